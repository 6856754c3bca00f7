"""The log as it grows, as server-sent events: what screens need to stay true, and everything for auditors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from litestar.response import Stream

from api.app import App
from api.http.audit import audit_query
from api.http.given import AnyRequest, GivenApp, GivenPrincipal
from api.live import HEADERS, PING, follow, server_sent
from application.auditing import AuditQuery
from domain.errors import Invalid
from domain.permissions import Principal

EVENT_STREAM = "text/event-stream"

_After = Annotated[
    int | None, QueryParameter(description="Begin behind this position; the header Last-Event-ID goes before.")
]


class EventsController(Controller):
    """`/api/v1/events/stream`."""

    path = "/api/v1/events"
    tags = ["events"]

    @get("/stream", opt={"needs": "user"})
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
        return Stream(_changes(app, principal, _position(request, after)), media_type=EVENT_STREAM, headers=HEADERS)


class AuditStreamController(Controller):
    """`/api/v1/audit/stream`."""

    path = "/api/v1/audit"
    tags = ["audit"]
    dependencies = {"wanted": Provide(audit_query, sync_to_thread=True)}

    @get("/stream", opt={"needs": "admin"})
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
        position = _position(request, after)
        return Stream(_entries(app, principal, wanted, position), media_type=EVENT_STREAM, headers=HEADERS)


async def _changes(app: App, principal: Principal, after: int | None) -> AsyncIterator[bytes]:
    yield server_sent(b'{"status":"ok"}', "connected")
    async for batch in follow(app.changes, after, app.pool, lossless=False):
        if batch.missed:
            yield server_sent(msgspec.json.encode({"missed": batch.missed}), "lagged")
        sent = [
            server_sent(change.data, "entity.changed", change.position)
            for change in batch.items
            if change.shown_to(principal)
        ]
        if sent:
            yield b"".join(sent)
        elif not batch.items and not batch.missed:
            yield PING
        if any(change.concerns == principal.id for change in batch.items):
            return  # the caller's rights are not what they were: it comes back, and is asked who it is


async def _entries(app: App, principal: Principal, wanted: AuditQuery, after: int | None) -> AsyncIterator[bytes]:
    yield PING  # headers go out with the first bytes
    async for batch in follow(app.audit_lines, after, app.pool, lossless=True):
        sent = [server_sent(line.line, "", line.position) for line in batch.items if wanted.matches(line.entry)]
        if sent:
            yield b"".join(sent)
        elif batch.items:
            # where the next connection may begin, without going through all this again
            yield f"id: {batch.items[-1].position}\n\n".encode()
        else:
            yield PING
        if any(line.concerns == principal.id for line in batch.items):
            return
        if wanted.last is not None and batch.items and batch.items[-1].position >= wanted.last:
            return


def _position(request: AnyRequest, after: int | None) -> int | None:
    """Where to begin; None is now."""
    given = request.headers.get("last-event-id", "")
    if not given:
        return None if after is None else max(0, after)
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Invalid("Last-Event-ID is a position of the log")
    return int(given)
