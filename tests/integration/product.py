"""The whole product in this process: as many API workers as a test wants on one database, and one projector.

    with product(dsn, tmp_path) as running:
        running.repository("libs", "generic")
        reader = running.person("rita", libs="read")
        answer = running.call("GET", "/general/libs/a.txt", auth=reader)

Everything is wired by the composition root; only the sockets are left out. Targets and headers go out as written.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from api.composition.api import Api, wire_api
from api.composition.core import open_core
from api.composition.projector import compose_projector
from application.log import Change
from domain.event import SYSTEM, Event
from infrastructure.settings import load_settings
from tests.integration.harness import Reply, exchange, served

ADMIN_PASSWORD = "chosen with care"
ANSWER_SECONDS = 60.0
CLIENT = "192.0.2.7"
_SECRET = "9f1b7c0d5e3a48627d0f6c1e8b5a3947"

Raw = Sequence[tuple[bytes, bytes]]
Auth = Mapping[str, str] | tuple[str, str] | str | None
"""Headers that say who asks, a name and a password, or a token."""


class Product:
    """Workers, a projector, and what tests arrange through the API itself. admin: headers of the administrator.

    environ: settings by their names; None takes back one that is made here.
    """

    def __init__(self, dsn: str, directory: Path, *, workers: int = 1, **environ: str | None) -> None:
        chosen = {
            "DATABASE_URL": dsn,
            "AK_DATA_DIR": str(directory),
            "JWT_SECRET": _SECRET,
            "AK_INSTANCE_KEY": _SECRET[::-1],
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "RATE_LIMIT_ENABLED": "false",
            **environ,
        }
        settings = load_settings({name: value for name, value in chosen.items() if value is not None})
        self.settings = settings
        self._projector_core = open_core(settings, max_connections=4)
        self._projector = compose_projector(self._projector_core)
        self._projector.start()
        self.workers: list[Api] = [wire_api(open_core(settings, max_connections=10)) for _ in range(workers)]
        self.loops = [asyncio.new_event_loop() for _ in range(workers)]
        self._threads = [threading.Thread(target=loop.run_forever, daemon=True) for loop in self.loops]
        for thread in self._threads:
            thread.start()
        self.admin = basic("admin", ADMIN_PASSWORD)

    def close(self) -> None:
        for loop, thread in zip(self.loops, self._threads, strict=True):
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5)
            loop.close()
        for worker in self.workers:
            worker.close()
        self._projector.stop()
        self._projector_core.close()

    # requests

    def call(
        self,
        method: str,
        target: str | bytes,
        body: object = None,
        *,
        auth: Auth = None,
        headers: Mapping[str, str] | None = None,
        client: str = CLIENT,
        worker: int = 0,
    ) -> Reply:
        """One request. body: bytes, or what becomes JSON."""
        path, _, query = (target.encode() if isinstance(target, str) else target).partition(b"?")
        sent = {"host": "registry.example", **credential(auth), **(headers or {})}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data and data is not body:
            sent.setdefault("content-type", "application/json")
        if data or method in {"PUT", "POST", "PATCH"}:
            sent.setdefault("content-length", str(len(data)))
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
        return self.raw(method, path, query, pairs, [data], client=client, worker=worker)

    def raw(
        self,
        method: str,
        path: bytes,
        query: bytes,
        headers: Raw,
        chunks: Iterable[bytes] = (b"",),
        *,
        truncated: bool = False,
        client: str = CLIENT,
        worker: int = 0,
    ) -> Reply:
        """One request in the bytes that a server would pass on. truncated: the client goes away after the chunks."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path,
            "root_path": "",
            "query_string": query,
            "headers": list(headers),
            "client": (client, "50000"),
            "server": ("registry.example", 80),
            "extensions": {},
        }
        gate: Any = self.workers[worker].gate
        answer = exchange(gate, scope, list(chunks), truncated)
        return asyncio.run_coroutine_threadsafe(answer, self.loops[worker]).result(ANSWER_SECONDS)

    def serve(self, worker: int = 0) -> AbstractContextManager[str]:
        """A worker on a loopback port, until the block is left; gives `http://127.0.0.1:port`."""
        return served(self.workers[worker].gate, self.loops[worker])

    # what tests arrange

    def done(self, method: str, target: str, body: object = None, **options: Any) -> Any:
        """A call as administrator that must succeed; its JSON, if it has any."""
        reply = self.call(method, target, body, **{"auth": self.admin, **options})
        assert reply.status < 300, (method, target, reply.status, reply.body)
        is_json = reply.header("content-type").startswith("application/json")
        return json.loads(reply.body) if is_json and reply.body else None

    def repository(self, key: str, format: str, *, public: bool = True, **more: Any) -> dict[str, Any]:
        body = {"key": key, "name": key, "format": format, "is_public": public, **more}
        created: dict[str, Any] = self.done("POST", "/api/v1/repositories", body)
        return created

    def person(self, name: str, **grants: str) -> dict[str, str]:
        """A user with actions on repositories by key (a dash as `_`): `libs="read write"`; the headers of theirs."""
        password = f"{name} has chosen with care"
        body = {"username": name, "email": f"{name}@people.example", "password": password}
        user = self.done("POST", "/api/v1/users", body)["user"]
        for key, actions in grants.items():
            self.grant(user["id"], key.replace("_", "-"), actions)
        return basic(name, password)

    def grant(self, user: str, key: str, actions: str) -> str:
        """Grant actions; the id of the permission."""
        target = self.done("GET", f"/api/v1/repositories/{key}")["id"]
        body = {
            "principal_type": "user",
            "principal_id": user,
            "target_type": "repository",
            "target_id": target,
            "actions": actions.split(),
        }
        permission: str = self.done("POST", "/api/v1/permissions", body)["id"]
        return permission

    def user_id(self, auth: Auth) -> str:
        found: str = self.done("GET", "/api/v1/auth/me", auth=auth)["id"]
        return found

    def record(self, stream: Any, *events: Event) -> None:
        """Append events as nobody could by a command: time that has passed, say."""
        app = self.workers[0].app
        receipt = app.log.execute(lambda: [Change(stream, 0, list(events))], SYSTEM)
        app.progress.reached(("catalogue", "access"), receipt.position)

    def head(self) -> int:
        """The last position in the log."""
        return self.workers[0].app.log.head()


@contextmanager
def product(dsn: str, directory: Path, *, workers: int = 1, **environ: str | None) -> Iterator[Product]:
    """A running product; ended with the block."""
    running = Product(dsn, directory, workers=workers, **environ)
    try:
        yield running
    finally:
        running.close()


def basic(user: str, password: str) -> dict[str, str]:
    """The header of a name and a password."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(secret: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {secret}"}


def credential(auth: Auth) -> dict[str, str]:
    """The headers that say who asks."""
    if auth is None:
        return {}
    if isinstance(auth, str):
        return bearer(auth)
    return basic(*auth) if isinstance(auth, tuple) else dict(auth)
