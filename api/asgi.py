"""The outermost ASGI callable: package routes to the wire, the rest to Litestar; what every answer needs, once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec

from api.answers import Headers, Send, encoded, send_answer
from api.bodies import Intake, Patience, Receive, check_framing
from api.errors import error_body, error_headers, status_of
from api.exchange import AnswerBroken, Exchange
from api.forgery import refuse_forged
from api.incoming import Incoming, Proxies, read_scope
from api.locks import Locks, SetupRequired
from api.wire import Wire
from application.access import Access
from application.wire import Answer
from domain.errors import RegistryError, Unauthenticated
from domain.permissions import Principal

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("artifact_keeper.access")

Scope = dict[str, Any]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

SECURITY_HEADERS: Headers = [
    (b"server", b"artifact-keeper"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]
DEFAULT_POLICY = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
)
MAX_REQUEST_ID = 256
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBES = frozenset({b"/livez", b"/health", b"/healthz", b"/ready", b"/readyz"})


class Observer(Protocol):
    """Counts requests."""

    def begin(self) -> None:
        """A request has come."""

    def request(self, method: str, template: str, status: int, seconds: float) -> None:
        """One request was answered."""


class Gate:
    """What is served on the port."""

    def __init__(
        self,
        wire: Wire,
        management: AsgiApp,
        *,
        access: Access,
        proxies: Proxies,
        pool: ThreadPoolExecutor,
        observer: Observer,
        locks: Locks,
        log_probes: bool,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self._wire = wire
        self._management = management
        self._access = access
        self._proxies = proxies
        self._pool = pool
        self._observer = observer
        self._locks = locks
        self._log_probes = log_probes
        self._patience = patience
        self._process = os.urandom(8).hex()
        """Half of a request's id; asking the system for randomness each time would take longer than many an answer."""
        self._requests = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.perf_counter()
        self._observer.begin()
        answered = _Answered(send, f"{self._process}{next(self._requests):016x}")
        template = ""
        try:
            template = await self._serve(scope, receive, answered)
        except RegistryError as error:
            await _send_error(error, scope["method"], answered)
        except AnswerBroken as broken:
            _log.warning("%s broke off: %s (request %s)", scope["method"], broken, answered.request_id)
            raise
        except Exception:  # noqa: BLE001 - a process edge: answered in our words, logged, and the next request goes on
            _log.exception("%s failed (request %s)", scope["method"], answered.request_id)
            await _send_error(RegistryError("internal error"), scope["method"], answered)
        finally:
            seconds = time.perf_counter() - started
            self._observer.request(scope["method"], template, answered.status, seconds)
            level = logging.DEBUG if scope["method"] in _READS and answered.status < 400 else logging.INFO
            if _access_log.isEnabledFor(level) and (self._log_probes or scope["raw_path"] not in PROBES):
                _access_log.log(
                    level,
                    "%s %s %d %.1fms %s",
                    scope["method"],
                    scope["raw_path"].decode("ascii", "replace"),
                    answered.status,
                    seconds * 1000,
                    answered.request_id,
                )

    async def _serve(self, scope: Scope, receive: Receive, send: _Answered) -> str:
        incoming = read_scope(scope)
        peer = incoming.client
        send.request_id = request_id = _callers_id(incoming.headers) or send.request_id
        incoming = _with_client(incoming, self._proxies.client_of(peer, incoming.headers))
        base_url = self._proxies.base_url_of(peer, scope.get("scheme", "http"), incoming.headers)
        check_framing(incoming.headers)
        locked = self._locks.refusal(incoming.method, incoming.raw_path)
        if locked is not None:
            raise locked
        template = await self._wire.hit(incoming, base_url, send)
        if template is not None:
            return template
        segments = incoming.segments()  # refuses what could mean two things, before any router
        mounted = self._wire.find(segments)
        intake = Intake(receive, self._patience)
        if mounted is not None:
            pathsend = "http.response.pathsend" in (scope.get("extensions") or ())
            exchange = Exchange(incoming, base_url, request_id, intake, send, pathsend=pathsend)
            send.status = await self._wire(exchange, mounted, segments)
            return exchange.template
        try:
            scope["principal"] = await self._principal(incoming)
        except Unauthenticated as refused:
            # the route decides: who signs in or out is not kept from it by a credential that is no longer good
            scope["principal"], scope["refused_credential"] = Principal(), refused
        scope["incoming"] = incoming
        scope["base_url"] = base_url
        scope["request_id"] = request_id
        refuse_forged(incoming, scope["principal"])
        if incoming.method == "HEAD":  # the answer to GET without its body; routes need not say so one by one
            scope, send.headed = {**scope, "method": "GET"}, True
        await self._management(scope, intake, send)
        return str(scope.get("path_template", ""))

    async def _principal(self, incoming: Incoming) -> Principal:
        if incoming.raw_path in PROBES:
            return Principal()
        known = None if incoming.ticket else self._access.remembered_principal(incoming.headers)
        if known is not None:
            return known
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._access.authenticate, incoming.shown())


class _Answered:
    """`send`, with what every answer carries; remembers the status. headed: the body stays here."""

    __slots__ = ("_ended", "_send", "headed", "request_id", "started", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 499
        self.started = False
        self.headed = False
        self._ended = False

    def __call__(self, message: dict[str, Any]) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            message["headers"] = self._finished(message["headers"])
        elif self.headed:
            return self._end()
        return self._send(message)

    async def _end(self) -> None:
        """End the answer at the first piece of its body: a stream would otherwise go on for nobody."""
        if not self._ended:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b""})

    def _finished(self, own: Headers) -> Headers:
        named = dict(own)
        if b"server" in named:
            own = [pair for pair in own if pair[0] != b"server"]
        headers = [*own, *SECURITY_HEADERS, (b"x-correlation-id", self.request_id.encode("latin-1", "replace"))]
        if b"content-security-policy" not in named:
            headers.append(DEFAULT_POLICY)
        return headers


def _callers_id(headers: Mapping[str, str]) -> str:
    """The caller's own id of the request, else the trace it belongs to (W3C Trace Context), else nothing."""
    own = headers.get("x-correlation-id")
    if own:
        return "".join(char for char in own[:MAX_REQUEST_ID] if char.isprintable())
    trace = headers.get("traceparent")
    if trace is None:
        return ""
    parts = trace.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 and parts[1].isalnum() else ""


def _with_client(incoming: Incoming, client: str) -> Incoming:
    if client == incoming.client:
        return incoming
    return Incoming(incoming.method, incoming.raw_path, incoming.query_string, incoming.headers, client)


async def _send_error(error: RegistryError, method: str, send: _Answered) -> None:
    if send.started:
        return
    body = error_body(error.code, str(error))
    if isinstance(error, SetupRequired):
        body = msgspec.json.encode({"error": error.code, "message": str(error), "instructions": error.instructions})
    answer = Answer(status=status_of(error), body=body, media_type="application/json")
    await send_answer(answer, method, encoded(error_headers(error)), send)
