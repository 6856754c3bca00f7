"""The adapter of package routes: resolve, authorise, receive, handle, answer. Written once, for all formats."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import msgspec

from api.answers import (
    MAX_HELD_FILE_BYTES,
    Headers,
    Prepared,
    Redirects,
    Send,
    encoded,
    gives_bytes,
    send_answer,
    send_file,
    send_prepared,
    send_stream,
)
from api.bodies import BATCH_BYTES, ClientGone, Intake, Received, drain, receive_body
from api.errors import Unframed, error_headers, status_of
from api.forgery import refuse_forged
from api.incoming import Incoming
from application.access import Access, CredentialNeeded
from application.documents import Documents, keep
from application.downloads import Download, may_be_recorded
from application.format import Format, Mount
from application.kinds import Kinds
from application.ports import Spool
from application.resolving import Resolved
from application.services import Services
from application.uploading.digest_headers import announced_digests, verify_digests
from application.wire import (
    SEPARATOR,
    Answer,
    AnyAnswer,
    Body,
    Call,
    Derived,
    Document,
    DocumentKey,
    File,
    Matcher,
    Request,
    Route,
    ServerCall,
    ServerRoute,
    Stream,
)
from domain.errors import NotAllowed, NotFound, RegistryError, Unavailable
from domain.event import SYSTEM, Metadata
from domain.permissions import Action, Principal

_log = logging.getLogger(__name__)

_VARY = (b"vary", b"authorization")

READING = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
"""Methods that change nothing anywhere; others may write elsewhere than where they need to read."""

PATIENT_THREADS = 64
"""Requests to remote and virtual repositories at once: they may wait for upstreams."""

MAX_PLANS = 20_000
MAX_WAITING = 512
"""Requests in threads or waiting for one; more are answered 503."""


class Revisions(Protocol):
    """Current revisions; see `projections.catalogue.revisions`."""

    def remembered(self, repository: UUID, scope: str) -> int | None:
        """Known without waiting."""

    def current(self, repository: UUID, scope: str) -> int:
        """Known or read."""


class Mounted:
    """A place among the addresses, its compiled routes, and the formats whose repositories are at home there."""

    def __init__(self, mount: Mount, keys: Iterable[str]) -> None:
        self.prefix = tuple(mount.prefix.split("/"))
        self.error = mount.error
        self.matcher = Matcher(mount.routes)
        self.server_matcher = Matcher(mount.server_routes)
        self._keys = frozenset(keys)
        self._open = any(route.any_format for route in mount.routes)

    def is_home(self, format_key: str) -> bool:
        """Whether repositories of the format are at home here."""
        return format_key in self._keys

    def admits(self, format_key: str, route: Route | None) -> bool:
        """Whether a repository of the format can be reached by the route, or by any when there is none."""
        return format_key in self._keys or (route.any_format if route is not None else self._open)


def _mounts(format_: Format) -> Iterator[Mounted]:
    keys = (format_.key, *format_.aliases)
    for prefix in (format_.prefix, *format_.further_prefixes):
        mount = Mount(prefix=prefix, routes=format_.routes, error=format_.error, server_routes=format_.server_routes)
        yield Mounted(mount, keys)
    for mount in format_.mounts:
        yield Mounted(mount, keys)


class Exchange:
    """One request on its way through the adapter."""

    __slots__ = ("base_url", "incoming", "pathsend", "receive", "request_id", "send", "template")

    def __init__(
        self, incoming: Incoming, base_url: str, request_id: str, receive: Intake, send: Send, *, pathsend: bool
    ) -> None:
        self.incoming = incoming
        self.base_url = base_url
        self.request_id = request_id
        self.receive = receive
        self.send = send
        self.pathsend = pathsend
        self.template = ""

    @property
    def started(self) -> bool:
        """Whether an answer is on its way, which cannot be taken back."""
        return bool(getattr(self.send, "started", False))


class AnswerBroken(Exception):
    """An answer broke off. Whoever calls must end the connection, or the client takes what came for the whole."""


class DocumentCache:
    """Prepared answers by key, least recently used out first, bounded by bytes. Used from the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[str, Prepared | File] = OrderedDict()
        self._max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> Prepared | File | None:
        """The entry, if it is held."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Prepared | File) -> None:
        """Hold an entry, unless it would take a quarter of the room."""
        size = _size(entry)
        if size > self._max_bytes // 4 or key in self._entries:
            return
        self._entries[key] = entry
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= _size(dropped)

    def __len__(self) -> int:
        return len(self._entries)


class Plan(msgspec.Struct, frozen=True):
    """Where the answer to an address was found last: a shortcut, good while repositories and its scope do not change.

    cached: the key of the answer in the cache, at that revision. until: of what an upstream said, how long it is good
    (monotonic seconds); None where the revision says it.
    """

    resolved: Resolved
    scope: str
    revision: int
    cached: str
    template: str
    generation: int
    until: float | None = None


def _size(entry: Prepared | File) -> int:
    return entry.size if isinstance(entry, Prepared) else 1_500


class Wire:
    """Serves `/{prefix}/{repository}[@when]/…` of every mounted format."""

    def __init__(
        self,
        formats: Iterable[Format],
        *,
        services: Services,
        access: Access,
        documents: Documents,
        revisions: Revisions,
        is_fresh: Callable[[], bool],
        count_download: Callable[[UUID, UUID, str], None],
        pool: ThreadPoolExecutor,
        cache_bytes: int,
        max_upload_bytes: int | None,
        redirects: Redirects | None = None,
        record_download: Callable[[Download], None] | None = None,
        max_waiting: int = MAX_WAITING,
        kinds: Kinds | None = None,
    ) -> None:
        every = [mounted for format_ in formats for mounted in _mounts(format_)]
        self._mounted = {mounted.prefix: mounted for mounted in every}
        self._depth = max(map(len, self._mounted), default=0)
        self._services = services
        self._access = access
        self._documents = documents
        self._revisions = revisions
        self._is_fresh = is_fresh
        self._count_download = count_download
        self._pool = pool
        self._max_upload_bytes = max_upload_bytes
        self._redirects = redirects
        self._record_download = record_download
        self._max_waiting = max_waiting
        self._waiting = 0
        self._kinds = kinds or Kinds(services.catalogue, access, self._revision_at)
        self._patient = ThreadPoolExecutor(PATIENT_THREADS, thread_name_prefix="remote")
        self._plans: dict[tuple[bytes, bytes, str, str], Plan] = {}
        self._past: dict[tuple[UUID, str, int], int] = {}
        self.cache = DocumentCache(cache_bytes)

    def close(self) -> None:
        """Finish what waits for other servers."""
        self._patient.shutdown(wait=True, cancel_futures=True)

    def find(self, segments: tuple[str, ...]) -> Mounted | None:
        """The mount that answers an address: of those that fit, the one with the longest prefix."""
        for depth in range(min(self._depth, len(segments)), 0, -1):
            mounted = self._mounted.get(segments[:depth])
            if mounted is not None:
                return mounted
        return None

    async def hit(self, incoming: Incoming, base_url: str, send: Send) -> str | None:
        """Answer from memory what was asked in the same words before; None when the long way must be gone.

        Nothing here is decided otherwise than there: it is authorised anew, under the revision of now. Returns the
        template of the route.
        """
        plan = self._plans.get(_plan_key(incoming, base_url))
        if plan is None or plan.generation != self._access.generation or incoming.method not in _READS:
            return None
        principal = self._remembered(incoming)
        if principal is None or not self._access.allows(principal, plan.resolved, "read"):
            return None
        resolved = plan.resolved
        if plan.until is not None:
            if plan.until < time.monotonic():
                return None
        elif resolved.at is None and self._revisions.remembered(resolved.content, plan.scope) != plan.revision:
            return None
        entry = self.cache.get(plan.cached)
        if not isinstance(entry, Prepared) or (entry.file is not None and may_be_recorded(resolved)):
            return None
        await self._send_prepared(incoming, entry, resolved, principal, send)
        return plan.template

    async def __call__(self, exchange: Exchange, mounted: Mounted, segments: tuple[str, ...]) -> int:
        """Answer one request; returns the status. 499 when the client went away."""
        incoming = exchange.incoming
        depth = len(mounted.prefix)
        key = segments[depth] if len(segments) > depth else ""
        sent = [part.decode("ascii", "replace") for part in incoming.raw_path.split(b"/")[1:]]
        request = Request(
            method=incoming.method,
            segments=segments[depth + 1 :],
            params={},
            query=(),
            headers=incoming.headers,
            base_url=exchange.base_url,
            mount="/" + "/".join(sent[: depth + 1]),
            raw_path="/" + "/".join(sent[depth + 1 :]),
            client=incoming.client,
        )
        try:
            found = mounted.server_matcher.match(incoming.method, SEPARATOR.join(segments[depth:]))
            if found is not None:
                return await self._serve_server(exchange, request, *found)
            return await self._serve(exchange, mounted, request, key)
        except ClientGone:
            # Where only the framing was broken, the client is there still.
            await self._refuse(exchange, mounted, request, Unframed("the body broke off"))
            return 499
        except RegistryError as error:
            return await self._refuse(exchange, mounted, request, error)
        except Exception:  # noqa: BLE001 - a process edge: answered, logged, and the next request goes on
            where = exchange.template or request.mount
            _log.exception("%s %s failed (request %s)", incoming.method, where, exchange.request_id)
            return await self._refuse(exchange, mounted, request, RegistryError("internal error"))

    async def _serve(self, exchange: Exchange, mounted: Mounted, request: Request, key: str) -> int:
        incoming = exchange.incoming
        path = SEPARATOR.join(request.segments)
        matched = mounted.matcher.match(incoming.method, path)
        access = self._access
        principal = self._remembered(incoming)
        resolved = access.remembered_repository(key) if self._is_fresh() else None
        if principal is None or resolved is None:
            principal, resolved = await self._in_thread(access.identify, incoming.shown(), key)
        refuse_forged(incoming, principal)
        if resolved is None or not mounted.admits(resolved.repository.format, matched[0] if matched else None):
            raise access.refusal(principal, key)
        if matched is None:
            self._require(exchange, principal, resolved, "read")
            return await self._serve_unmatched(exchange, mounted, request, path)
        route, params = matched
        exchange.template = f"/{'/'.join(mounted.prefix)}/{{repository}}{route.pattern}"
        self._require(exchange, principal, resolved, route.needs)
        if route.needs != "read":
            resolved.require_present()
            if resolved.repository.kind in _HOLDING_NOTHING:
                resolved = await self._in_thread(self._kinds.written, principal, resolved)
                self._require(exchange, principal, resolved, route.needs)
        request = msgspec.structs.replace(request, params=params, query=incoming.query())
        if resolved.repository.kind in _HOLDING_NOTHING:
            return await self._serve_call(exchange, route, request, resolved, principal)
        if route.document is not None and mounted.is_home(resolved.repository.format):
            document_key = route.document(request)
            if document_key is not None:
                return await self._serve_document(exchange, route, request, resolved, principal, document_key)
        return await self._serve_call(exchange, route, request, resolved, principal)

    def _require(self, exchange: Exchange, principal: Principal, resolved: Resolved, action: Action) -> None:
        incoming = exchange.incoming
        agent = incoming.headers.get("user-agent", "")
        self._access.require(principal, resolved, action, incoming.client, agent=agent, request=exchange.request_id)

    def _remembered(self, incoming: Incoming) -> Principal | None:
        """Who this is, when no thread is needed to know."""
        if incoming.ticket or not self._is_fresh():
            return None
        return self._access.remembered_principal(incoming.headers)

    # documents

    async def _serve_document(
        self,
        exchange: Exchange,
        route: Route,
        request: Request,
        resolved: Resolved,
        principal: Principal,
        wanted: DocumentKey,
    ) -> int:
        generation = self._access.generation
        if resolved.at is not None:
            revision = self._past.get((resolved.content, wanted.scope, resolved.at))
        else:
            revision = self._revisions.remembered(resolved.content, wanted.scope) if self._is_fresh() else None
        if revision is None:
            revision = await self._in_thread(self._revision, resolved, wanted.scope)
        key = _cache_key(resolved.content, wanted, revision)
        entry = self.cache.get(key)
        if entry is None:
            call = Call(request, resolved.repository, resolved.content, revision, principal, SYSTEM, self._services)
            entry = await self._in_thread(self._make, route, call, wanted, revision)
            if isinstance(entry, Answer | Stream):
                return await self.send(exchange, entry, resolved, principal)
            self.cache.put(key, entry)
        if isinstance(entry, File):
            return await self.send(exchange, entry, resolved, principal)
        plan = Plan(resolved, wanted.scope, revision, key, exchange.template, generation)
        self._remember(_plan_key(exchange.incoming, exchange.base_url), plan)
        self._record(exchange, entry.file, resolved, principal)
        return await self._send_prepared(exchange.incoming, entry, resolved, principal, exchange.send)

    def _send_prepared(
        self, incoming: Incoming, entry: Prepared, resolved: Resolved, principal: Principal, send: Send
    ) -> Awaitable[int]:
        self._count(incoming, entry.file, resolved)
        extra = self._caching(resolved, principal, entry.file)
        return send_prepared(entry, incoming.headers, incoming.method, extra, send)

    def _revision(self, resolved: Resolved, scope: str) -> int:
        return self._revision_at(resolved.content, scope, resolved.at)

    def _revision_at(self, content: UUID, scope: str, at: int | None) -> int:
        if at is None:
            if self._is_fresh():
                return self._revisions.current(content, scope)
            return self._services.catalogue.revision(content, scope)
        known = self._past.get((content, scope, at))
        if known is not None:
            return known
        if len(self._past) >= MAX_PLANS:
            self._past.clear()
        revision = self._past[content, scope, at] = self._services.catalogue.revision(content, scope, at)
        return revision

    def _make(self, route: Route, call: Call, wanted: DocumentKey, revision: int) -> Prepared | File | Answer | Stream:
        """Render a document or look up a file. What it gives depends on the key alone."""
        other: list[AnyAnswer] = []

        def render() -> Document:
            answer = route.handler(call)
            if isinstance(answer, Document):
                return answer
            other.append(answer)
            raise _NotADocument

        try:
            if wanted.shared:
                kept = self._documents.get(call.content, wanted.scope, wanted.name, revision, render)
            else:
                kept = keep(render())
            return Prepared.document(kept)
        except _NotADocument:
            answer = other[0]
        if isinstance(answer, File) and answer.size_bytes <= MAX_HELD_FILE_BYTES:
            with self._services.blobs.open(answer.sha256) as source:
                return Prepared.small_file(answer, source.read())
        return answer  # type: ignore[return-value]

    # everything else

    async def _serve_call(
        self, exchange: Exchange, route: Route, request: Request, resolved: Resolved, principal: Principal
    ) -> int:
        call = Call(request, resolved.repository, resolved.content, resolved.at, principal, SYSTEM, self._services)
        if route.admit is not None and _is_large(exchange.incoming.headers):
            await self._in_thread(route.admit, call)
        spool = None if route.spool is None else await self._in_thread(route.spool, call)
        async with self._receive(exchange, route.body, spool) as received:
            call = msgspec.structs.replace(call, upload=received.upload, form=received.form, text=received.text)
            pool = self._patient if resolved.repository.kind in _HOLDING_NOTHING else None
            answer = await self._in_thread(self._handle, exchange, route, call, pool=pool)
        if isinstance(answer, Derived):
            return await self._serve_derived(exchange, answer, resolved, principal)
        return await self.send(exchange, answer, resolved, principal)

    async def _serve_derived(
        self, exchange: Exchange, derived: Derived, resolved: Resolved, principal: Principal
    ) -> int:
        generation = self._access.generation
        address = _plan_key(exchange.incoming, exchange.base_url)
        key = f"{resolved.content.hex} {address!r} {derived.key}"
        entry = self.cache.get(key)
        if not isinstance(entry, Prepared):
            entry = await self._in_thread(self._render, resolved.content, derived, key, pool=self._patient)
            if not isinstance(entry, Prepared):
                return await self.send(exchange, entry, resolved, principal)
            self.cache.put(key, entry)
        if derived.fresh_seconds > 0:
            self._remember(
                address,
                Plan(resolved, "", 0, key, exchange.template, generation, time.monotonic() + derived.fresh_seconds),
            )
        extra = [*self._caching(resolved, principal, None), *encoded(derived.headers)]
        incoming = exchange.incoming
        return await send_prepared(entry, incoming.headers, incoming.method, extra, exchange.send)

    def _render(self, repository: UUID, derived: Derived, key: str) -> Prepared | AnyAnswer:
        other: list[AnyAnswer] = []

        def render() -> Document:
            answer = derived.render()
            if isinstance(answer, Document):
                return answer
            other.append(answer)
            raise _NotADocument

        try:
            return Prepared.document(self._documents.get(repository, "derived", key, 0, render))
        except _NotADocument:
            return other[0]

    def _remember(self, address: tuple[bytes, bytes, str, str], plan: Plan) -> None:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[address] = plan

    async def _serve_server(
        self, exchange: Exchange, request: Request, route: ServerRoute, params: dict[str, str]
    ) -> int:
        incoming = exchange.incoming
        exchange.template = f"{request.mount.rpartition('/')[0]}{route.pattern}"
        principal = self._remembered(incoming)
        if principal is None:
            principal = await self._in_thread(self._access.authenticate, incoming.shown())
        refuse_forged(incoming, principal)
        if route.needs == "user" and not principal.authenticated:
            raise CredentialNeeded
        request = msgspec.structs.replace(request, params=params, query=incoming.query())
        async with self._receive(exchange, route.body) as received:
            call = ServerCall(request, principal, SYSTEM, self._services, received.upload, received.form, received.text)
            answer = await self._in_thread(self._handle_server, exchange, route, call)
        return await self._send_value(exchange, answer, [(b"cache-control", b"private, no-cache"), _VARY])

    def _handle(self, exchange: Exchange, route: Route, call: Call) -> AnyAnswer:
        if route.needs != "read" or route.method not in READING:
            call = msgspec.structs.replace(call, meta=self._metadata(exchange, call.principal))
        return self._kinds.answer(route, call) if route.needs == "read" else route.handler(call)

    def _handle_server(self, exchange: Exchange, route: ServerRoute, call: ServerCall) -> AnyAnswer:
        return route.handler(msgspec.structs.replace(call, meta=self._metadata(exchange, call.principal)))

    @asynccontextmanager
    async def _receive(self, exchange: Exchange, body: Body, spool: Spool | None = None) -> AsyncIterator[Received]:
        """Take the body; what nobody keeps of it is removed at the end of the block. spool: None is the server's."""
        headers = exchange.incoming.headers
        announced = announced_digests(headers) if body.announced else {}
        if announced:
            body = msgspec.structs.replace(body, algorithms=tuple(dict.fromkeys((*body.algorithms, *announced))))
        received = await receive_body(
            body, headers, exchange.receive, spool or self._services.spool, self._pool, self._max_upload_bytes
        )
        try:
            if announced and received.upload is not None:
                verify_digests(announced, received.upload)
            yield received
        finally:
            received.release()

    def _metadata(self, exchange: Exchange, principal: Principal) -> Metadata:
        incoming = exchange.incoming
        return self._access.metadata(
            principal, exchange.request_id, incoming.client, incoming.headers.get("user-agent", "")
        )

    async def send(self, exchange: Exchange, answer: AnyAnswer, resolved: Resolved, principal: Principal) -> int:
        """Send an answer that concerns a repository: the one way out of stored bytes, whoever found them."""
        file = answer if isinstance(answer, File) else None
        if isinstance(answer, File | Stream) and answer.holder is not None:
            resolved = Resolved(answer.holder, answer.holder.id, resolved.at)
        self._record(exchange, file, resolved, principal)
        self._count(exchange.incoming, answer if isinstance(answer, File | Stream) else None, resolved)
        return await self._send_value(exchange, answer, self._caching(resolved, principal, file))

    async def _send_value(self, exchange: Exchange, answer: AnyAnswer, extra: Headers) -> int:
        headers, method = exchange.incoming.headers, exchange.incoming.method
        match answer:
            case File():
                return await send_file(
                    answer,
                    headers,
                    method,
                    extra,
                    exchange.send,
                    blobs=self._services.blobs,
                    pool=self._pool,
                    pathsend=exchange.pathsend,
                    redirects=self._redirects,
                )
            case Document():
                prepared = Prepared.document(await self._in_thread(keep, answer))
                return await send_prepared(prepared, headers, method, extra, exchange.send)
            case Stream():
                pool = self._patient if answer.waits else self._pool
                return await send_stream(answer, method, extra, exchange.send, pool)
            case Derived():
                entry = await self._in_thread(answer.render)
                return await self._send_value(exchange, entry, extra)
            case Answer():
                return await send_answer(answer, method, extra, exchange.send)

    def _caching(self, resolved: Resolved, principal: Principal, file: File | None) -> Headers:
        """Immutable bytes for ever, documents to be revalidated; nothing shared that a credential was needed for."""
        private = principal.authenticated or not resolved.repository.public
        return _CACHING[private, file is not None and file.immutable]

    def _count(self, incoming: Incoming, file: File | Stream | None, resolved: Resolved) -> None:
        if file is None or file.artifact is None or incoming.method != "GET":
            return
        if isinstance(file, File) and not gives_bytes(file, incoming.headers):
            return
        asked = incoming.headers.get("range", "bytes=0-")
        if asked.startswith("bytes=0-"):  # the parts of a resumed download are one download
            self._count_download(file.artifact, resolved.content, incoming.headers.get("user-agent", ""))

    def _record(self, exchange: Exchange, file: File | None, resolved: Resolved, principal: Principal) -> None:
        """Hand the download of a repository that records access to the recorder, before the first byte goes out."""
        incoming = exchange.incoming
        if file is None or file.artifact is None or incoming.method != "GET" or self._record_download is None:
            return
        if may_be_recorded(resolved) and gives_bytes(file, incoming.headers):
            headers = incoming.headers
            agent, part = headers.get("user-agent", ""), headers.get("range", "")
            self._record_download(
                Download(
                    file.artifact, file.sha256, resolved, principal, exchange.request_id, incoming.client, agent, part
                )
            )

    # refusals

    async def _serve_unmatched(self, exchange: Exchange, mounted: Mounted, request: Request, path: str) -> int:
        allowed = mounted.matcher.methods(path)
        if not allowed:
            raise NotFound("no such address in this repository")
        if request.method != "OPTIONS":
            raise NotAllowed(f"{request.method} is not supported here; try {', '.join(allowed)}")
        answer = Answer(status=204, headers=(("allow", ", ".join([*allowed, "OPTIONS"])),))
        return await send_answer(answer, request.method, [], exchange.send)

    async def _refuse(self, exchange: Exchange, mounted: Mounted, request: Request, error: RegistryError) -> int:
        incoming = exchange.incoming
        if exchange.started:
            raise AnswerBroken(str(error))
        status = status_of(error)
        answer = mounted.error(request, error, status)
        own = {name for name, _ in answer.headers}  # a protocol may have a challenge of its own
        owed = error_headers(error, browser=_is_browser(incoming.headers))
        extra = encoded(pair for pair in owed if pair[0] not in own)
        extra.append((b"cache-control", b"no-store"))
        if status == 405:
            allowed = mounted.matcher.methods(SEPARATOR.join(request.segments))
            extra.append((b"allow", ", ".join(allowed).encode()))
        if incoming.method in {"PUT", "POST", "PATCH"} and "expect" not in incoming.headers and status != 408:
            await drain(exchange.receive)
        return await send_answer(answer, incoming.method, extra, exchange.send)

    async def _in_thread(
        self, function: Callable[..., Any], *arguments: Any, pool: ThreadPoolExecutor | None = None
    ) -> Any:
        """pool: for what may have to wait for other servers, so that nobody else waits with it."""
        if self._waiting >= self._max_waiting:
            raise Unavailable("the server is busy; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool or self._pool, function, *arguments)
        finally:
            self._waiting -= 1


def _plan_key(incoming: Incoming, base_url: str) -> tuple[bytes, bytes, str, str]:
    return incoming.raw_path, incoming.query_string, incoming.headers.get("accept", ""), base_url


def _cache_key(content: UUID, wanted: DocumentKey, revision: int) -> str:
    """One text, because it is hashed once and then only looked up; the length keeps scope and name apart."""
    return f"{content.hex} {revision} {len(wanted.scope)} {wanted.scope} {wanted.name}"


_READS = frozenset({"GET", "HEAD"})
_HOLDING_NOTHING = frozenset({"remote", "virtual"})
_CACHING: dict[tuple[bool, bool], Headers] = {
    (False, False): [(b"cache-control", b"public, no-cache")],
    (False, True): [(b"cache-control", b"public, max-age=31536000, immutable")],
    (True, False): [(b"cache-control", b"private, no-cache"), _VARY],
    (True, True): [(b"cache-control", b"private, max-age=31536000, immutable"), _VARY],
}
"""By whether it is private and whether it is immutable."""


class _NotADocument(Exception):
    """The handler of a document route answered with something else: a file, a redirect."""


def _is_large(headers: Mapping[str, str]) -> bool:
    """Whether to ask before receiving: the body takes a while, or the client waits to be told."""
    length = headers.get("content-length", "")
    return "expect" in headers or not length.isdigit() or len(length) > 7 or int(length) > BATCH_BYTES


def _is_browser(headers: Mapping[str, str]) -> bool:
    return "sec-fetch-mode" in headers or "text/html" in headers.get("accept", "")
