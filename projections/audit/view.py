"""Queries over the audit trail. Rows say where; the events themselves are read from the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from application.audit.entries import EQUAL_TO_A_FIELD, AuditPage, AuditQuery, Entry, actions_of, entry_of
from application.log import Recorded
from projections.projection import Row

Connect = Callable[[], AbstractContextManager[Connection[Row]]]

_EVENT = "e.notification_id, e.recorded_at, e.originator_id, e.originator_version, e.topic, e.repository, e.state"
_EXPORT_BATCH = 1_000
_STREAM_BATCH = 500
_END = (1 << 62) - 1
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class AuditView:
    """The AuditTrail port over the audit projection. decode: a row of the log to an event."""

    def __init__(self, connect: Connect, decode: Callable[[Row], Recorded]) -> None:
        self._connect = connect
        self._decode = decode

    def newest(self, query: AuditQuery, *, before: int | None = None, limit: int = 100) -> AuditPage:
        """See AuditTrail."""
        with self._connect() as connection:
            query = _positions(connection, query)
            upper = _END if before is None else before - 1
            query = msgspec.structs.replace(query, last=upper if query.last is None else min(query.last, upper))
            return self._page(connection, query, limit, "DESC")

    def oldest(self, query: AuditQuery, *, after: int = 0, limit: int = 100) -> AuditPage:
        """See AuditTrail."""
        with self._connect() as connection:
            query = _positions(connection, query)
            query = msgspec.structs.replace(query, first=max(query.first or 0, after + 1))
            return self._page(connection, query, limit, "ASC")

    def numbered(self, query: AuditQuery, page: int, per_page: int) -> tuple[list[Entry], int]:
        """See AuditTrail. Without a filter the total and the page come from positions alone, which have no holes."""
        skipped = (page - 1) * per_page
        with self._connect() as connection:
            query = _positions(connection, query)
            if _only_positions(query):
                first, last = (
                    max(query.first or 1, 1),
                    min(_last(connection), _END if query.last is None else query.last),
                )
                query = msgspec.structs.replace(query, last=max(last - skipped, -1))
                return self._page(connection, query, per_page, "DESC").entries, max(last - first + 1, 0)
            source, parameters = _source(query)
            row = connection.execute(f"SELECT count(*) FROM ({source}) AS found", parameters).fetchone()
            return self._page(connection, query, per_page, "DESC", skipped).entries, row[0] if row else 0

    def export(self, query: AuditQuery, *, after: int = 0) -> Iterator[list[Entry]]:
        """See AuditTrail."""
        with self._connect() as connection:
            end = _last(connection)
        query = msgspec.structs.replace(query, last=end if query.last is None else min(query.last, end))
        while True:
            page = self.oldest(query, after=after, limit=_EXPORT_BATCH)
            if page.entries:
                yield page.entries
                after = page.entries[-1].position
            if not page.more:
                return

    def events(self, after: int, limit: int) -> list[Recorded]:
        """See AuditTrail."""
        with self._connect() as connection:
            rows = connection.execute(
                f"SELECT {_EVENT} FROM es_events e WHERE e.notification_id > %s ORDER BY e.notification_id LIMIT %s",
                (after, limit),
                prepare=True,
                binary=True,
            ).fetchall()
        return [self._decode(row) for row in rows]

    def stream(self, stream: UUID) -> Iterator[Recorded]:
        """See AuditTrail."""
        version = 0
        while True:
            with self._connect() as connection:
                rows = connection.execute(
                    f"SELECT {_EVENT} FROM es_events e WHERE e.originator_id = %s AND e.originator_version > %s "
                    "ORDER BY e.originator_version LIMIT %s",
                    (stream, version, _STREAM_BATCH),
                    prepare=True,
                    binary=True,
                ).fetchall()
            for row in rows:
                recorded = self._decode(row)
                version = recorded.version
                yield recorded
            if len(rows) < _STREAM_BATCH:
                return

    def _page(
        self, connection: Connection[Row], query: AuditQuery, limit: int, order: str, skipped: int = 0
    ) -> AuditPage:
        source, parameters = _source(query)
        rows = connection.execute(
            f"SELECT {_EVENT} FROM ({source} ORDER BY position {order} LIMIT %(limit)s OFFSET %(skipped)s) AS found "
            f"JOIN es_events e ON e.notification_id = found.position ORDER BY found.position {order}",
            {**parameters, "limit": limit + 1, "skipped": min(skipped, _END)},
            binary=True,
            prepare=False,  # planned anew for its values: a plan for any value walks the wrong index for rare ones
        ).fetchall()
        return AuditPage([entry_of(self._decode(row)) for row in rows[:limit]], more=len(rows) > limit)


def _source(query: AuditQuery) -> tuple[str, dict[str, Any]]:
    """The positions of what is asked for."""
    conditions, parameters = ["true"], dict[str, Any]()
    for name in EQUAL_TO_A_FIELD:
        value = getattr(query, name)
        if value is None or name in {"stream", "request"}:
            continue
        conditions.append(f"{name} = %({name})s")
        parameters[name] = value
    # topics have no index of their own: the actions that they can be called have
    called = tuple(action for topic in query.topics for action in actions_of(topic))
    for name, column, values in (
        ("actions", "action", query.actions),
        ("called", "action", called),
        ("topics", "topic", query.topics),
    ):
        if values:
            conditions.append(f"{column} = ANY(%({name})s)" if len(values) > 1 else f"{column} = %({name})s")
            parameters[name] = list(values) if len(values) > 1 else values[0]
    if query.stream is not None:
        conditions.append(
            "position = ANY(ARRAY(SELECT notification_id FROM es_events WHERE originator_id = %(stream)s))"
        )
        parameters["stream"] = query.stream
    if query.first is not None:
        conditions.append("position >= %(first)s")
        parameters["first"] = min(query.first, _END)
    if query.last is not None:
        conditions.append("position <= %(last)s")
        parameters["last"] = min(query.last, _END)
    table = "view_audit"
    if query.request is not None:
        # a request has a handful of events: find those first, whatever the planner believes
        table = "(SELECT * FROM view_audit WHERE request = %(request)s OFFSET 0) AS of_request"
        parameters["request"] = query.request
    return f"SELECT position FROM {table} WHERE {' AND '.join(conditions)}", parameters


def _positions(connection: Connection[Row], query: AuditQuery) -> AuditQuery:
    """The same question with times turned into positions: both only ever grow."""
    first, last = query.first, query.last
    if query.since is not None:
        found = _position_at(connection, max(query.since, _EARLIEST) - _MICROSECOND) + 1
        first = found if first is None else max(first, found)
    if query.until is not None:
        found = _position_at(connection, query.until)
        last = found if last is None else min(last, found)
    return msgspec.structs.replace(query, since=None, until=None, first=first, last=last)


def _position_at(connection: Connection[Row], moment: object) -> int:
    row = connection.execute("SELECT es_position_at(%s)", (moment,), prepare=True).fetchone()
    return row[0] if row else 0


def _last(connection: Connection[Row]) -> int:
    row = connection.execute("SELECT max(position) FROM view_audit", prepare=True).fetchone()
    return row[0] or 0 if row else 0


def _only_positions(query: AuditQuery) -> bool:
    return not query.actions and not query.topics and all(getattr(query, name) is None for name in EQUAL_TO_A_FIELD)
