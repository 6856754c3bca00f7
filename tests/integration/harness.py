"""A registry in this process, for tests of package routes: real log, projections and blobs; people chosen by name.

    with registry(dsn, tmp_path, [FORMAT]) as running:
        running.repository("libs", "generic")
        running.person("wendy", libs="read write")
        answer = running.request("PUT", "/general/libs/a.txt", b"hello", user="wendy")

`request` speaks ASGI to the real Gate and Wire without a socket and sends the target exactly as written. `serve` puts
the same callable on a loopback port for real clients. Everybody's password is accepted; `admin` always exists.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server

from api.asgi import Gate
from api.incoming import Proxies
from api.locks import Locks
from api.wire import Wire
from application.access import Access
from application.catalogue import RepositoryRow
from application.documents import Documents
from application.format import Format, Formats
from application.log import EventLog
from application.publishing import Publishing
from application.repositories import NewRepository, Repositories
from application.resolving import Resolver
from application.services import Services
from application.uploading.streamed import StreamedUploads
from domain.errors import Unauthenticated
from domain.event import SYSTEM
from domain.ids import NAMESPACE
from domain.permissions import Principal
from domain.repository import Kind, Settings
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.blobs.spool import FolderSpool
from infrastructure.blobs.staging import FolderStaging
from infrastructure.cache import LocalLocks, NoCache
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.streamed_uploads import PostgresStreamedSessions
from infrastructure.postgres.writer import Writer
from projections.catalogue.finder import CatalogueFinder
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.revisions import Revisions
from projections.catalogue.view import CatalogueView
from projections.progress import Progress
from projections.runner import Projector

ANSWER_SECONDS = 30.0


class Reply(msgspec.Struct, frozen=True):
    """What came back. headers: all of them, in order, names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str, default: str = "") -> str:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name.lower()), default)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class People:
    """The Authenticator port: Basic (any password) or `X-As`, by user name."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {"admin": _principal("admin", admin=True)}

    def remembered(self, headers: Mapping[str, str]) -> Principal | None:
        name = _name_of(headers)
        return self.known.get(name) if name else Principal()

    def authenticate(self, headers: Mapping[str, str], client: str) -> Principal:
        principal = self.remembered(headers)
        if principal is None:
            raise Unauthenticated("wrong user name or password")
        return principal

    def redeem(self, ticket: str, path: str, client: str) -> Principal:
        raise Unauthenticated("there are no tickets here")


class Denied(list[tuple[str, str, str]]):
    """The Denials port: (user name, action, resource)."""

    def record(
        self, principal: Principal, action: str, resource: str, repository: UUID | None, client: str, **_: str
    ) -> None:
        self.append((principal.username, action, resource))


class _Nothing:
    """The Observer port, which observes nothing."""

    def begin(self) -> None:
        pass

    def request(self, method: str, template: str, status: int, seconds: float) -> None:
        pass


class _CatalogueAlone:
    """The Progress port of a process where no other read model is kept: nobody waits for those."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        return self._progress.reached([name for name in names if name == "catalogue"], position, timeout_seconds)


class Registry:
    """Wired by hand, as the composition root does it for a process."""

    def __init__(self, dsn: str, directory: Path, formats: Sequence[Format]) -> None:
        self.db: Pool = open_pool(dsn, application_name="test")
        self._writer = Writer(dsn)
        self.log = EventLog(EventRecorder(self.db, self._writer))
        self.catalogue = CatalogueView(lambda: connection(self.db))
        self.revisions = Revisions(self.catalogue)
        self.progress = Progress(dsn, {"catalogue": self.revisions.advance}, self.revisions.forget)
        self._projector = Projector(dsn, [CatalogueProjection()], self.log.recorded)
        self.blobs = FolderBlobs(directory / "blobs")
        self.spool_directory = directory / "spool"
        self.spool = FolderSpool(self.spool_directory)
        self.leases = PostgresLeases(self.db)
        self.publishing = Publishing(self.log, self.catalogue, self.blobs, self.leases, self.spool, self.progress)
        self.repositories = Repositories(self.log, self.catalogue, _CatalogueAlone(self.progress), lambda *_: [])
        self.people = People()
        self.denied = Denied()
        self.downloads: list[tuple[UUID, UUID, str]] = []
        self._pool = ThreadPoolExecutor(8, "request")
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, name="asgi", daemon=True)
        self.access = Access(
            self.people,
            Resolver(self.catalogue, self.log.head, self.log.position_at),
            self.denied,
            lambda *_: b"",
            lambda: self.revisions.repositories_generation,
        )
        documents = Documents(NoCache(), LocalLocks())
        self.services = Services(
            catalogue=self.catalogue,
            finder=CatalogueFinder(lambda: connection(self.db)),
            publishing=self.publishing,
            blobs=self.blobs,
            spool=self.spool,
            access=self.access,
            formats=Formats(formats),
            documents=documents,
            recorded_at=self.log.recorded_at,
            streamed_uploads=StreamedUploads(PostgresStreamedSessions(self.db), FolderStaging(directory / "staging")),
        )
        self.wire = Wire(
            formats,
            services=self.services,
            access=self.access,
            documents=documents,
            revisions=self.revisions,
            is_fresh=lambda: self.progress.fresh,
            count_download=lambda *download: self.downloads.append(download),
            pool=self._pool,
            cache_bytes=16 << 20,
            max_upload_bytes=None,
        )
        self.app = Gate(
            self.wire,
            _no_management,
            access=self.access,
            proxies=Proxies((), None),
            pool=self._pool,
            observer=_Nothing(),
            locks=Locks(lambda: False, demo=False),
            log_probes=False,
        )

    def start(self) -> None:
        self._projector.start()
        self.progress.start()
        self._loop_thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join(timeout=5)
        self._loop.close()
        self.progress.stop()
        self._projector.stop()
        self.leases.close()
        self._writer.close()
        self._pool.shutdown(cancel_futures=True)
        self.db.close()

    # what a test arranges

    def repository(
        self,
        key: str,
        format: str,
        *,
        kind: Kind = "local",
        public: bool = True,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        **more: Any,
    ) -> RepositoryRow:
        """Create a repository."""
        new = NewRepository(
            key=key, name=key, description=None, format=format, kind=kind, public=public, settings=settings, **more
        )
        return self.repositories.create(new, SYSTEM)

    def person(self, name: str, **grants: str) -> Principal:
        """Somebody with actions on repositories by key: `libs="read write"`. A dash of a key is written as `_`."""
        rows = {row.key.replace("-", "_"): row.id for row in self.catalogue.repositories()}
        allowed = {rows[key]: frozenset(actions.split()) for key, actions in grants.items()}
        self.people.known[name] = _principal(name, grants=allowed)
        return self.people.known[name]

    def spooled_files(self) -> list[Path]:
        """Bodies that nobody kept and nobody removed; none, whenever no request runs."""
        return sorted(self.spool_directory.iterdir())

    # what a test does

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] = b"",
        *,
        user: str | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        truncated: bool = False,
    ) -> Reply:
        """Send one request; the target goes out as written.

        body: bytes with a length, or chunks without one. truncated: the client goes away after the body.
        """
        path, _, query = target.partition("?")
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        sent = {name.lower() for name, _ in pairs}
        if "host" not in sent:
            pairs.append(("host", "registry.example"))
        if user is not None:
            pairs.append(("authorization", basic(user)))
        chunks = [body] if isinstance(body, bytes) else list(body)
        if isinstance(body, bytes) and (body or method in {"PUT", "POST", "PATCH"}) and "content-length" not in sent:
            pairs.append(("content-length", str(len(body))))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
            "client": ("127.0.0.1", "50000"),
            "server": ("127.0.0.1", 80),
            "extensions": {},
        }
        future = asyncio.run_coroutine_threadsafe(exchange(self.app, scope, chunks, truncated), self._loop)
        return future.result(ANSWER_SECONDS)

    def serve(self) -> AbstractContextManager[str]:
        """The registry on a loopback port, until the block is left; gives `http://127.0.0.1:port`."""
        return served(self.app, self._loop)


@contextmanager
def registry(dsn: str, directory: Path, formats: Sequence[Format]) -> Iterator[Registry]:
    """A running registry with these formats; ended with the block."""
    running = Registry(dsn, directory, formats)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def served(app: Any, loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """An application on a loopback port, until the block is left; gives `http://127.0.0.1:port`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    task = asyncio.run_coroutine_threadsafe(server.serve(), loop)
    _wait_for_port(port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(server.stop)
        task.result(ANSWER_SECONDS)


def basic(user: str, password: str = "any") -> str:
    """An Authorization header value."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """A multipart/form-data body of (name, value) and (name, file name, content), and its content type."""
    boundary = "------------------------5f1b0c7e2a9d"
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields]
    parts += [
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        for name, filename, content in files
    ]
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _principal(name: str, *, admin: bool = False, grants: dict[UUID, frozenset[str]] | None = None) -> Principal:
    return Principal(
        id=uuid5(NAMESPACE, f"test person {name}"),
        kind="user",
        username=name,
        via="password",
        admin=admin,
        grants=grants or {},
    )


def _name_of(headers: Mapping[str, str]) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return base64.b64decode(value).decode().partition(":")[0]
    return value or headers.get("x-as", "")


AsgiApp = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[..., Awaitable[None]]], Any]


async def exchange(app: AsgiApp, scope: dict[str, Any], chunks: list[bytes], truncated: bool) -> Reply:
    """One request to an ASGI application. truncated: the client goes away after the chunks."""
    pending = list(chunks)
    started: list[dict[str, Any]] = []
    received = bytearray()
    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if pending:
            chunk = pending.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(pending) or truncated}
        if not truncated:
            await answered.wait()  # who sent all of its request stays for the answer
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not started, "a second response was started"
            started.append(message)
        else:
            received.extend(message.get("body", b""))
            if not message.get("more_body", False):
                answered.set()

    await app(scope, receive, send)
    if not started:
        return Reply(499, (), b"")
    headers = tuple((name.decode(), value.decode("latin-1")) for name, value in started[0]["headers"])
    reply = Reply(started[0]["status"], headers, bytes(received))
    announced = reply.header("content-length")
    if announced and scope["method"] != "HEAD":
        assert int(announced) == len(reply.body), f"announced {announced} bytes, sent {len(reply.body)}"
    return reply


async def _no_management(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            probe.settimeout(0.05)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
