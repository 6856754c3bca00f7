"""The adapter of package routes: resolve, authorise, receive, handle, answer. Written once, for all formats."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from api.answers import MAX_HELD_FILE_BYTES, Prepared, Redirects, Send, encoded, send_answer, send_prepared
from api.bodies import BATCH_BYTES, ClientGone, Received, drain, receive_body
from api.errors import Unframed, error_headers, status_of
from api.exchange import AnswerBroken, Exchange
from api.forgery import refuse_forged
from api.incoming import Incoming
from api.mounts import Mounted, mounts
from api.outlet import VARY, Outlet
from api.remembered import DocumentCache, Plan, Plans, address_of, cache_key
from api.revisions import Revisions, ShownRevisions
from api.threads import MAX_WAITING, Threads
from application.access import Access, CredentialNeeded
from application.documents import Documents, keep
from application.downloads import Download, may_be_recorded
from application.format import Format
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
    Request,
    Route,
    ServerCall,
    ServerRoute,
    Stream,
)
from domain.errors import NotAllowed, NotFound, RegistryError
from domain.event import SYSTEM, Metadata
from domain.permissions import Action, Principal

_log = logging.getLogger(__name__)

_READS = frozenset({"GET", "HEAD"})
_HOLDING_NOTHING = frozenset({"remote", "virtual"})
READING = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
"""Methods that change nothing anywhere; others may write elsewhere than where they need to read."""


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
        every = [mounted for format_ in formats for mounted in mounts(format_)]
        self._mounted = {mounted.prefix: mounted for mounted in every}
        self._depth = max(map(len, self._mounted), default=0)
        self._services = services
        self._access = access
        self._documents = documents
        self._is_fresh = is_fresh
        self._max_upload_bytes = max_upload_bytes
        self._threads = Threads(pool, max_waiting)
        self._in_thread = self._threads.run
        self._outlet = Outlet(self._threads, services.blobs, count_download, record_download, redirects)
        self.send = self._outlet.send
        self._revisions = ShownRevisions(revisions, services.catalogue, is_fresh)
        self._kinds = kinds or Kinds(services.catalogue, access, self._revisions.at)
        self._plans = Plans()
        self.cache = DocumentCache(cache_bytes)

    def close(self) -> None:
        """Finish what waits for other servers."""
        self._threads.close()

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
        plan = self._plans.get(address_of(incoming, base_url))
        if plan is None or plan.generation != self._access.generation or incoming.method not in _READS:
            return None
        principal = self._remembered(incoming)
        if principal is None or not self._access.allows(principal, plan.resolved, "read"):
            return None
        resolved = plan.resolved
        if plan.until is not None:
            if plan.until < time.monotonic():
                return None
        elif resolved.at is None and not self._revisions.unchanged(resolved.content, plan.scope, plan.revision):
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
            if resolved.shown.kind in _HOLDING_NOTHING:
                resolved = await self._in_thread(self._kinds.written, principal, resolved)
                self._require(exchange, principal, resolved, route.needs)
        request = msgspec.structs.replace(request, params=params, query=incoming.query())
        if resolved.shown.kind in _HOLDING_NOTHING:
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
        revision = self._revisions.remembered(resolved.content, wanted.scope, resolved.at)
        if revision is None:
            revision = await self._in_thread(self._revisions.at, resolved.content, wanted.scope, resolved.at)
        key = cache_key(resolved.content, wanted, revision)
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
        self._plans.put(address_of(exchange.incoming, exchange.base_url), plan)
        self._outlet.record(exchange, entry.file, resolved, principal)
        return await self._send_prepared(exchange.incoming, entry, resolved, principal, exchange.send)

    def _send_prepared(
        self, incoming: Incoming, entry: Prepared, resolved: Resolved, principal: Principal, send: Send
    ) -> Awaitable[int]:
        self._outlet.count(incoming, entry.file, resolved)
        extra = self._outlet.caching(resolved, principal, entry.file)
        return send_prepared(entry, incoming.headers, incoming.method, extra, send)

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
        call = Call(request, resolved.shown, resolved.content, resolved.at, principal, SYSTEM, self._services)
        if route.admit is not None and _is_large(exchange.incoming.headers):
            await self._in_thread(route.admit, call)
        spool = None if route.spool is None else await self._in_thread(route.spool, call)
        async with self._receive(exchange, route.body, spool) as received:
            call = msgspec.structs.replace(call, upload=received.upload, form=received.form, text=received.text)
            patient = resolved.shown.kind in _HOLDING_NOTHING
            answer = await self._in_thread(self._handle, exchange, route, call, patient=patient)
        if isinstance(answer, Derived):
            return await self._serve_derived(exchange, answer, resolved, principal)
        return await self.send(exchange, answer, resolved, principal)

    async def _serve_derived(
        self, exchange: Exchange, derived: Derived, resolved: Resolved, principal: Principal
    ) -> int:
        generation = self._access.generation
        address = address_of(exchange.incoming, exchange.base_url)
        key = f"{resolved.content.hex} {address!r} {derived.key}"
        entry = self.cache.get(key)
        if not isinstance(entry, Prepared):
            entry = await self._in_thread(self._render, resolved.content, derived, key, patient=True)
            if not isinstance(entry, Prepared):
                return await self.send(exchange, entry, resolved, principal)
            self.cache.put(key, entry)
        if derived.fresh_seconds > 0:
            self._plans.put(
                address,
                Plan(resolved, "", 0, key, exchange.template, generation, time.monotonic() + derived.fresh_seconds),
            )
        extra = [*self._outlet.caching(resolved, principal, None), *encoded(derived.headers)]
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
        return await self._outlet.send_value(exchange, answer, [(b"cache-control", b"private, no-cache"), VARY])

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
            body, headers, exchange.receive, spool or self._services.spool, self._threads.pool, self._max_upload_bytes
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


class _NotADocument(Exception):
    """The handler of a document route answered with something else: a file, a redirect."""


def _is_large(headers: Mapping[str, str]) -> bool:
    """Whether to ask before receiving: the body takes a while, or the client waits to be told."""
    length = headers.get("content-length", "")
    return "expect" in headers or not length.isdigit() or len(length) > 7 or int(length) > BATCH_BYTES


def _is_browser(headers: Mapping[str, str]) -> bool:
    return "sec-fetch-mode" in headers or "text/html" in headers.get("accept", "")
