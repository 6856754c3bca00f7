"""The adapter of package routes: resolve, authorise, receive, handle, answer. Written once, for all formats."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from uuid import UUID

from api.answers import (
    MAX_HELD_FILE_BYTES,
    Headers,
    Prepared,
    Send,
    encoded,
    send_answer,
    send_file,
    send_prepared,
    send_stream,
)
from api.bodies import ClientGone, Intake, Receive, Received, SlowBody, drain, receive_body
from api.errors import error_headers, status_of
from api.incoming import Incoming
from application.access import Access
from application.documents import Documents, keep
from application.format import Format
from application.resolving import Resolved
from application.services import Services
from application.wire import (
    SEPARATOR,
    Answer,
    AnyAnswer,
    Call,
    Document,
    DocumentKey,
    File,
    Matcher,
    Request,
    Route,
    Stream,
)
from domain.errors import NotAllowed, NotFound, RegistryError, Unavailable
from domain.event import SYSTEM, Metadata
from domain.permissions import Principal

_log = logging.getLogger(__name__)

MAX_WAITING = 512
"""Requests in threads or waiting for one; more are answered 503."""


class Revisions(Protocol):
    """Current revisions; see `projections.catalogue.revisions`."""

    def remembered(self, repository: UUID, scope: str) -> int | None:
        """Known without waiting."""

    def current(self, repository: UUID, scope: str) -> int:
        """Known or read."""


class Mounted:
    """A format and its compiled routes."""

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.matcher = Matcher(format_.routes)
        self.keys = frozenset((format_.key, *format_.aliases))


class Exchange:
    """One request on its way through the adapter."""

    __slots__ = ("base_url", "incoming", "pathsend", "receive", "request_id", "send", "template")

    def __init__(
        self, incoming: Incoming, base_url: str, request_id: str, receive: Receive, send: Send, *, pathsend: bool
    ) -> None:
        self.incoming = incoming
        self.base_url = base_url
        self.request_id = request_id
        self.receive = Intake(receive)
        self.send = send
        self.pathsend = pathsend
        self.template = ""


class DocumentCache:
    """Prepared answers by key, least recently used out first, bounded by bytes. Used from the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[tuple[UUID, str, str, int], Prepared | File] = OrderedDict()
        self._max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: tuple[UUID, str, str, int]) -> Prepared | File | None:
        """The entry, if it is held."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: tuple[UUID, str, str, int], entry: Prepared | File) -> None:
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
    ) -> None:
        self._mounted = {
            prefix: mounted
            for mounted in map(Mounted, formats)
            for prefix in (mounted.format.prefix, *mounted.format.further_prefixes)
        }
        self._services = services
        self._access = access
        self._documents = documents
        self._revisions = revisions
        self._is_fresh = is_fresh
        self._count_download = count_download
        self._pool = pool
        self._max_upload_bytes = max_upload_bytes
        self._waiting = 0
        self.cache = DocumentCache(cache_bytes)

    def serves(self, prefix: str) -> bool:
        """Whether the first path segment belongs to a format."""
        return prefix in self._mounted

    async def __call__(self, exchange: Exchange, segments: tuple[str, ...]) -> int:
        """Answer one request; returns the status. 499 when the client went away."""
        incoming = exchange.incoming
        mounted = self._mounted[segments[0]]
        key = segments[1] if len(segments) > 1 else ""
        mount = "/" + "/".join(part.decode("ascii", "replace") for part in incoming.raw_path.split(b"/")[1:3])
        method = incoming.method
        request = Request(method, segments[2:], {}, (), incoming.headers, exchange.base_url, mount)
        try:
            return await self._serve(exchange, mounted, request, key)
        except ClientGone:
            return 499
        except RegistryError as error:
            return await self._refuse(exchange, mounted, request, error)
        except Exception:  # noqa: BLE001 - a process edge: answered, logged, and the next request goes on
            _log.exception("%s %s failed (request %s)", method, exchange.template or mount, exchange.request_id)
            return await self._refuse(exchange, mounted, request, RegistryError("internal error"))

    async def _serve(self, exchange: Exchange, mounted: Mounted, request: Request, key: str) -> int:
        incoming = exchange.incoming
        path = SEPARATOR.join(request.segments)
        matched = mounted.matcher.match(incoming.method, path)
        access = self._access
        principal = access.remembered_principal(incoming.headers) if self._is_fresh() else None
        resolved = access.remembered_repository(key) if self._is_fresh() else None
        if principal is None or resolved is None:
            principal, resolved = await self._in_thread(access.identify, incoming.headers, key, incoming.client)
        if resolved is None or resolved.repository.format not in mounted.keys:
            raise access.refusal(principal, key)
        if matched is None:
            access.require(principal, resolved, "read", incoming.client)
            self._refuse_unmatched(exchange, mounted, request, path)
        assert matched is not None  # noqa: S101 - refused above
        route, params = matched
        exchange.template = f"/{mounted.format.prefix}/{{repository}}{route.pattern}"
        if route.needs != "nothing":
            access.require(principal, resolved, route.needs, incoming.client)
            if route.needs != "read":
                resolved.require_present()
        request = Request(
            incoming.method,
            request.segments,
            params,
            incoming.query(),
            incoming.headers,
            request.base_url,
            request.mount,
        )
        if route.document is not None and incoming.method in {"GET", "HEAD"}:
            document_key = route.document(request)
            if document_key is not None:
                return await self._serve_document(exchange, route, request, resolved, principal, document_key)
        return await self._serve_call(exchange, route, request, resolved, principal)

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
        revision = None
        if resolved.at is None and self._is_fresh():
            revision = self._revisions.remembered(resolved.content, wanted.scope)
        if revision is None:
            revision = await self._in_thread(self._revision, resolved, wanted.scope)
        key = (resolved.content, wanted.scope, wanted.name, revision)
        entry = self.cache.get(key)
        if entry is None:
            call = Call(request, resolved.repository, resolved.content, revision, principal, SYSTEM, self._services)
            entry = await self._in_thread(self._make, route, call, wanted, revision)
            if isinstance(entry, Answer | Stream):
                return await self._send(exchange, entry, resolved, principal)
            self.cache.put(key, entry)
        if isinstance(entry, File):
            return await self._send(exchange, entry, resolved, principal)
        extra = self._caching(resolved, principal, entry.file)
        self._count(exchange, entry.file, resolved)
        return await send_prepared(entry, request.headers, request.method, extra, exchange.send)

    def _revision(self, resolved: Resolved, scope: str) -> int:
        if resolved.at is None and self._is_fresh():
            return self._revisions.current(resolved.content, scope)
        return self._services.catalogue.revision(resolved.content, scope, resolved.at)

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
            return Prepared.document(self._documents.get(call.content, wanted.scope, wanted.name, revision, render))
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
        incoming = exchange.incoming
        received: Received | None = None
        try:
            received = await receive_body(
                route.body, incoming.headers, exchange.receive, self._services.spool, self._pool, self._max_upload_bytes
            )
            answer = await self._in_thread(self._handle, exchange, route, request, resolved, principal, received)
        finally:
            if received is not None:
                received.release()
        return await self._send(exchange, answer, resolved, principal)

    def _handle(
        self,
        exchange: Exchange,
        route: Route,
        request: Request,
        resolved: Resolved,
        principal: Principal,
        received: Received,
    ) -> AnyAnswer:
        meta = SYSTEM if route.needs == "read" else self._metadata(exchange, principal)
        return route.handler(
            Call(
                request,
                resolved.repository,
                resolved.content,
                resolved.at,
                principal,
                meta,
                self._services,
                received.upload,
                received.form,
                received.text,
            )
        )

    def _metadata(self, exchange: Exchange, principal: Principal) -> Metadata:
        incoming = exchange.incoming
        return self._access.metadata(
            principal, exchange.request_id, incoming.client, incoming.headers.get("user-agent", "")
        )

    async def _send(self, exchange: Exchange, answer: AnyAnswer, resolved: Resolved, principal: Principal) -> int:
        incoming = exchange.incoming
        headers, method = incoming.headers, incoming.method
        file = answer if isinstance(answer, File) else None
        extra = self._caching(resolved, principal, file)
        match answer:
            case File():
                self._count(exchange, answer, resolved)
                return await send_file(
                    answer,
                    headers,
                    method,
                    extra,
                    exchange.send,
                    blobs=self._services.blobs,
                    pool=self._pool,
                    pathsend=exchange.pathsend,
                )
            case Document():
                prepared = Prepared.document(await self._in_thread(keep, answer))
                return await send_prepared(prepared, headers, method, extra, exchange.send)
            case Stream():
                return await send_stream(answer, method, extra, exchange.send, self._pool)
            case Answer():
                return await send_answer(answer, method, extra, exchange.send)

    def _caching(self, resolved: Resolved, principal: Principal, file: File | None) -> Headers:
        """Immutable bytes for ever, documents to be revalidated; nothing shared that a credential was needed for."""
        private = b"private, " if principal.authenticated or not resolved.repository.public else b"public, "
        how = b"max-age=31536000, immutable" if file is not None and file.immutable else b"no-cache"
        headers = [(b"cache-control", private + how)]
        if private == b"private, ":
            headers.append((b"vary", b"authorization"))
        return headers

    def _count(self, exchange: Exchange, file: File | None, resolved: Resolved) -> None:
        incoming = exchange.incoming
        if file is None or file.artifact is None or incoming.method != "GET":
            return
        asked = incoming.headers.get("range", "bytes=0-")
        if asked.startswith("bytes=0-"):  # the parts of a resumed download are one download
            self._count_download(file.artifact, resolved.content, incoming.headers.get("user-agent", ""))

    # refusals

    def _refuse_unmatched(self, exchange: Exchange, mounted: Mounted, request: Request, path: str) -> None:
        allowed = mounted.matcher.methods(path)
        if allowed:
            raise NotAllowed(f"{request.method} is not supported here; try {', '.join(allowed)}")
        raise NotFound("no such address in this repository")

    async def _refuse(self, exchange: Exchange, mounted: Mounted, request: Request, error: RegistryError) -> int:
        incoming = exchange.incoming
        status = 408 if isinstance(error, SlowBody) else status_of(error)
        answer = mounted.format.error(request, error, status)
        extra = encoded(error_headers(error, browser=_is_browser(incoming.headers)))
        extra.append((b"cache-control", b"no-store"))
        if status == 405:
            allowed = mounted.matcher.methods(SEPARATOR.join(request.segments))
            extra.append((b"allow", ", ".join(allowed).encode()))
        if incoming.method in {"PUT", "POST", "PATCH"} and "expect" not in incoming.headers and status != 408:
            await drain(exchange.receive)
        return await send_answer(answer, incoming.method, extra, exchange.send)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("the server is busy; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._waiting -= 1


class _NotADocument(Exception):
    """The handler of a document route answered with something else: a file, a redirect."""


def _is_browser(headers: Mapping[str, str]) -> bool:
    return "sec-fetch-mode" in headers or "text/html" in headers.get("accept", "")
