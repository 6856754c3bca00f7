"""A log in memory: the real EventLog, mapper and encoding over a list, with the clock in the test's hand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)

from application.log import EventLog, Recorded
from domain.event import Event

BEGINNING = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = BEGINNING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class MemoryRecorder(ApplicationRecorder):
    """Rows in a list; the version of a stream decides races, as the database's primary key does."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self.rows: list[tuple[Any, ...]] = []

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        with self._lock:
            known = {(row[2], row[3]) for row in self.rows}
            for event in stored_events:
                if (event.originator_id, event.originator_version) in known:
                    raise IntegrityError(f"stream moved on: {event.originator_id}")
            first = len(self.rows) + 1
            repositories = kwargs["repositories"]
            for offset, event in enumerate(stored_events):
                stream, version = event.originator_id, event.originator_version
                row = (first + offset, self._clock(), stream, version, event.topic, repositories[offset], event.state)
                self.rows.append(row)
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
        rows = [row for row in self.rows if row[2] == originator_id and row[3] > (gt or 0)]
        rows = [row for row in rows if lte is None or row[3] <= lte]
        rows = rows[::-1] if desc else rows
        return [StoredEvent(row[2], row[3], row[4], row[6]) for row in rows[:limit]]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        raise NotImplementedError

    def max_notification_id(self) -> int | None:
        return len(self.rows) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        raise NotImplementedError

    def read(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        return self.rows[after : after + limit]

    def head(self) -> int:
        return len(self.rows)

    def position_at(self, moment: datetime) -> int:
        return sum(row[1] <= moment for row in self.rows)


class MemoryLog(EventLog):
    """The real log over memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        super().__init__(MemoryRecorder(self.clock))

    def recordings(self) -> list[Recorded]:
        """Everything, in order."""
        return self.read(0, 1 << 30)

    def happened(self, *kinds: type[Event]) -> list[Event]:
        """The events of these kinds, in order; all when none is named."""
        return [item.event for item in self.recordings() if not kinds or isinstance(item.event, kinds)]
