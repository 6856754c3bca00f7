"""The log as it grows, as server-sent events: what screens need to stay true, and everything for auditors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from litestar.response import Stream

from api.app import App
from api.http.audit import audit_query
from api.http.given import AnyRequest, GivenApp, GivenPrincipal
from api.incoming import Incoming
from api.live import HEADERS, PING, PING_SECONDS, Batch, follow, server_sent
from application.audit.entries import AuditQuery
from application.audit.streaming import Positioned
from domain.errors import Invalid, Unauthenticated
from domain.permissions import Principal

EVENT_STREAM = "text/event-stream"

_After = Annotated[
    int | None, QueryParameter(description="Begin behind this position; the header Last-Event-ID goes before.")
]


class _Concerning(Positioned, Protocol):
    @property
    def concerns(self) -> UUID | None:
        """Whose rights have changed, if anybody's."""


I = TypeVar("I", bound=_Concerning)  # noqa: E741 - an item


class EventsController(Controller):
    """`/api/v1/events/stream`."""

    path = "/api/v1/events"
    tags = ["events"]

    @get("/stream", opt={"needs": "user"}, media_type=EVENT_STREAM)
    async def stream(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        request: AnyRequest,
        after: _After = None,
    ) -> Stream:
        """Changes that the caller may know of, from now on.

        First `connected`, then `entity.changed` for each; `lagged` when some were dropped because the client was slow.
        Ids are positions: a client that comes back with Last-Event-ID gets what it missed.
        """
        return Stream(
            _changes(app, _Listener(app, request, principal), _position(request, after)),
            media_type=EVENT_STREAM,
            headers=HEADERS,
        )


class AuditStreamController(Controller):
    """`/api/v1/audit/stream`."""

    path = "/api/v1/audit"
    tags = ["audit"]
    dependencies = {"wanted": Provide(audit_query, sync_to_thread=True)}

    @get("/stream", opt={"needs": "admin"}, media_type=EVENT_STREAM)
    async def stream(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        wanted: NamedDependency[AuditQuery],
        request: AnyRequest,
        after: _After = None,
    ) -> Stream:
        """Matching events as they are recorded, filtered as in `/api/v1/audit/events`, none left out.

        Ids are positions. Data is one item of `/api/v1/audit/events`.
        """
        listener, position = _Listener(app, request, principal), _position(request, after)
        return Stream(_entries(app, listener, wanted, position), media_type=EVENT_STREAM, headers=HEADERS)


class _Listener:
    """Who listens, and whether they still may: rights that change end the stream, and the client comes back as what
    it is then.
    """

    def __init__(self, app: App, request: AnyRequest, principal: Principal) -> None:
        self._app = app
        self._incoming: Incoming = request.scope["incoming"]  # type: ignore[typeddict-item]
        self.principal = principal

    async def is_who_it_was(self) -> bool:
        """Whether nothing changed between the check of the request and the moment from which changes are heard.

        A ticket cannot be shown twice; it was redeemed just now.
        """
        if self.principal.via == "ticket":
            return True
        return await asyncio.get_running_loop().run_in_executor(self._app.pool, self._ask_again)

    def _ask_again(self) -> bool:
        self._app.progress.reached(("access",), self._app.log.head())
        try:
            return self._app.access.authenticate(self._incoming.shown()) == self.principal
        except Unauthenticated:
            return False

    def heard(self, batch: Batch[I]) -> tuple[Sequence[I], bool]:
        """What the listener may hear of a batch, and whether it is the last: nothing after a change of their rights."""
        if not batch.replayed:
            for number, item in enumerate(batch.items, 1):
                if item.concerns == self.principal.id:
                    return batch.items[:number], True
        return batch.items, False


async def _changes(app: App, listener: _Listener, after: int | None) -> AsyncIterator[bytes]:
    sent_at: float | None = None
    loop = asyncio.get_running_loop()
    async with aclosing(follow(app.changes, after, app.pool, lossless=False)) as batches:
        async for batch in batches:
            changes, over = listener.heard(batch)
            sent = [
                server_sent(change.data, "entity.changed", change.position)
                for change in changes
                if change.shown_to(listener.principal)
            ]
            if batch.missed:
                sent.insert(0, server_sent(msgspec.json.encode({"missed": batch.missed}), "lagged"))
            if sent_at is None:
                if not await listener.is_who_it_was():
                    return
                sent = [server_sent(b'{"status":"ok"}', "connected")]
            elif not sent and loop.time() - sent_at >= PING_SECONDS:
                sent = [PING]  # also while much happens that this listener is not shown
            if sent:
                sent_at = loop.time()
                yield b"".join(sent)
            if over:
                return


async def _entries(app: App, listener: _Listener, wanted: AuditQuery, after: int | None) -> AsyncIterator[bytes]:
    begun = False
    async with aclosing(follow(app.audit_lines, after, app.pool, lossless=True)) as batches:
        async for batch in batches:
            if not begun and not await listener.is_who_it_was():
                return
            begun = True
            lines, over = listener.heard(batch)
            sent = [server_sent(line.line, "", line.position) for line in lines if wanted.matches(line.entry)]
            if sent:
                yield b"".join(sent)
            elif lines:
                # where the next connection may begin, without going through all this again
                yield f"id: {lines[-1].position}\n\n".encode()
            else:
                yield PING  # headers go out with the first bytes
            if over or (wanted.last is not None and lines and lines[-1].position >= wanted.last):
                return


def _position(request: AnyRequest, after: int | None) -> int | None:
    """Where to begin; None is now."""
    given = request.headers.get("last-event-id", "")
    if not given:
        return None if after is None else max(0, after)
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Invalid("Last-Event-ID is a position of the log")
    return int(given)
