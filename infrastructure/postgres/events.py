"""The recorder of the log in PostgreSQL: appends through the group-commit writer, reads by prepared statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    StoredEvent,
    Subscription,
)

from domain.errors import Invalid
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.writer import Pending, Writer

_EVENTS = "SELECT originator_version, topic, state FROM es_events WHERE originator_id = %s"
_ROWS = (
    "SELECT notification_id, recorded_at, originator_id, originator_version, topic, repository, state "
    "FROM es_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
)

_SETTLE = "SELECT 1 FROM es_head WHERE id = 1 AND %s > clock_timestamp() - interval '1 minute' FOR SHARE"
"""Waits for the append under way, if an event of it could bear an earlier time than the moment."""
_POSITION_AT = "SELECT es_position_at(%s), %s > clock_timestamp()"


class EventRecorder(ApplicationRecorder):
    """Appends and reads es_events."""

    def __init__(self, pool: Pool, writer: Writer) -> None:
        super().__init__()
        self._pool = pool
        self._writer = writer

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Append one command. kwargs: command_id, repositories (one an event), guards."""
        pending = Pending(kwargs["command_id"], stored_events, kwargs["repositories"], kwargs["guards"])
        first = self._writer.submit(pending).result()
        return range(first, first + len(stored_events))

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """One stream's events in order."""
        query, parameters = _EVENTS, [originator_id]
        if gt is not None or lte is not None:
            query += " AND originator_version > %s AND originator_version <= %s"
            parameters += [gt or 0, lte if lte is not None else (1 << 62)]  # type: ignore[list-item]
        query += " ORDER BY originator_version" + (" DESC" if desc else "")
        if limit is not None:
            query += " LIMIT %s"
            parameters.append(limit)  # type: ignore[arg-type]
        with connection(self._pool) as open_connection:
            rows = open_connection.execute(query, parameters, prepare=True, binary=True).fetchall()
        return [StoredEvent(originator_id, version, topic, state) for version, topic, state in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The library's way to read the whole log."""
        after = (start or 1) - 1 if inclusive_of_start else (start or 0)
        rows = self.read(after, limit)
        return [
            Notification(stream, version, topic, state, position)
            for position, _, stream, version, topic, _, state in rows
            if (stop is None or position <= stop) and (not topics or topic in topics)
        ]

    def max_notification_id(self) -> int | None:
        """The last position; None while nothing is stored."""
        return self.head() or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Not offered: projections follow the log in batches, with their own leader and position."""
        raise NotImplementedError

    def read(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        """Rows (position, at, stream, version, topic, repository, state) after a position, in order."""
        with connection(self._pool) as open_connection:
            return open_connection.execute(_ROWS, (after, limit), prepare=True, binary=True).fetchall()

    def head(self) -> int:
        """The last position; 0 while nothing is stored."""
        with connection(self._pool) as open_connection:
            row = open_connection.execute("SELECT position FROM es_head", prepare=True).fetchone()
        assert row is not None  # noqa: S101 - the migration puts it there
        position: int = row[0]
        return position

    def position_at(self, moment: datetime) -> int:
        """The last position recorded at or before the moment; 0 when there is none.

        The answer never changes: appends under way that bear an earlier time are waited for. Raises Invalid for a
        moment that is still to come by the clock that stamps events.
        """
        with connection(self._pool) as open_connection, open_connection.transaction():
            open_connection.execute(_SETTLE, (moment,), prepare=True)
            row = open_connection.execute(_POSITION_AT, (moment, moment), prepare=True).fetchone()
        position, to_come = row or (0, False)
        if to_come:
            raise Invalid(f"{moment.isoformat()} is still to come; a repository can be read as of a past time only")
        return position  # type: ignore[no-any-return]
