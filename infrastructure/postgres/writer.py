"""Group commit: every append of a process goes through one thread that writes what is pending as one transaction.

Many small commands share one flush of the disk; a command that fails leaves its neighbours untouched. A connection that
dies leaves outcomes unknown: the same batch is sent again, and the database recognises the commands it already has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from uuid import UUID

import psycopg
from eventsourcing.persistence import IntegrityError, StoredEvent

from application.log import Guard
from domain.errors import QuotaExceeded, TooLarge, Unavailable
from infrastructure.postgres.patience import Impatient

_log = logging.getLogger(__name__)

MAX_BATCH_EVENTS = 1_000
MAX_BATCH_BYTES = 8 << 20
MAX_EVENT_BYTES = 1 << 20
MAX_PENDING = 10_000
LINGER_SECONDS = 0.0003
"""How long a batch waits for company, only when the previous one had some."""

GIVE_UP_SECONDS = 5.0
"""How long a command waits for a database that is away before it is answered Unavailable."""

SILENCE_SECONDS = 10.0
"""How long a batch may take to be stored; after that it is sent again on another connection, and stored once."""

_APPEND = (
    "SELECT es_append(%b::int[], %b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[], "
    "%b::uuid[], %t::int[], %t::text[], %t::bigint[])"
)


class Pending:
    """One command on its way into the log."""

    __slots__ = ("bytes", "command_id", "deadline", "events", "future", "guards", "repositories")

    def __init__(
        self,
        command_id: UUID,
        events: Sequence[StoredEvent],
        repositories: Sequence[UUID | None],
        guards: Sequence[Guard],
    ) -> None:
        self.command_id = command_id
        self.events = events
        self.repositories = repositories
        self.guards = guards
        self.future: Future[int] = Future()
        self.bytes = sum(len(event.state) for event in events)
        self.deadline = time.monotonic() + GIVE_UP_SECONDS

    def resolve(self, position: int | None) -> None:
        """Tell the caller how it ended: a position, None for a conflict, -1 for a full counter."""
        if not self.future.set_running_or_notify_cancel():
            return  # the caller went away; the command stands
        if position is None:
            self.future.set_exception(IntegrityError(f"stream moved on: {self.events[0].originator_id}"))
        elif position < 0:
            self.future.set_exception(QuotaExceeded("the quota of this repository is exceeded"))
        else:
            self.future.set_result(position)

    def fail(self, error: Exception) -> None:
        """Tell the caller that nothing was, or may not have been, stored."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Written:
    """What a writer has stored so far. Read from any thread; a figure may be a batch older than its neighbour."""

    __slots__ = ("batches", "commands", "events")

    def __init__(self) -> None:
        self.batches = 0
        self.commands = 0
        self.events = 0

    def add(self, batch: Sequence[Pending]) -> None:
        """Count a batch."""
        self.batches += 1
        self.commands += len(batch)
        self.events += sum(len(pending.events) for pending in batch)


class Writer:
    """The thread that appends. Start it after fork, close it at shutdown. written: what it has stored so far."""

    def __init__(self, dsn: str) -> None:
        self.written = Written()
        self._dsn = dsn
        self._pending: deque[Pending] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._connection: Impatient | None = None
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, pending: Pending) -> Future[int]:
        """Queue a command. The future gives the position of its first event.

        Raises TooLarge for an event over MAX_EVENT_BYTES, Unavailable when MAX_PENDING commands wait already.
        """
        if any(len(event.state) > MAX_EVENT_BYTES for event in pending.events):
            raise TooLarge(f"an event may have at most {MAX_EVENT_BYTES} bytes; large metadata belongs in a blob")
        with self._wake:
            if self._closing:
                raise Unavailable("the log is closing")
            if len(self._pending) >= MAX_PENDING:
                raise Unavailable("too many commands are waiting to be written")
            self._pending.append(pending)
            self._wake.notify()
        return pending.future

    @property
    def waiting(self) -> int:
        """How many commands wait to be written."""
        return len(self._pending)

    def close(self) -> None:
        """Write what is pending, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout=GIVE_UP_SECONDS * 2)

    def _run(self) -> None:
        company = False
        while True:
            with self._wake:
                while not self._pending and not self._closing:
                    self._wake.wait()
                if not self._pending:
                    break
            if company:
                time.sleep(LINGER_SECONDS)
            batch = self._drain()
            company = len(batch) > 1
            self._write(batch)
        self._disconnect()

    def _drain(self) -> list[Pending]:
        """What goes into one transaction: bounded, and at most one command for each stream."""
        batch: list[Pending] = []
        deferred: list[Pending] = []
        streams: set[object] = set()
        events = size = 0
        with self._wake:
            while self._pending and events < MAX_BATCH_EVENTS and size < MAX_BATCH_BYTES:
                pending = self._pending.popleft()
                touched = {event.originator_id for event in pending.events}
                if streams & touched:
                    deferred.append(pending)
                    streams |= touched  # later commands on its streams stay behind it
                    continue
                streams |= touched
                batch.append(pending)
                events += len(pending.events)
                size += pending.bytes
            self._pending.extendleft(reversed(deferred))
        return batch

    def _write(self, batch: list[Pending]) -> None:
        pause = 0.02
        while True:
            try:
                positions = self._append(batch)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._disconnect()
                batch = self._give_up_on_overdue(batch, error)
                if not batch:
                    return
                time.sleep(pause)
                pause = min(pause * 2, 0.5)
            except psycopg.Error as error:
                _log.exception("append refused by the database")
                self._disconnect()
                for pending in batch:
                    pending.fail(Unavailable(f"the log refused the events: {type(error).__name__}"))
                return
            else:
                self.written.add(batch)
                for pending, position in zip(batch, positions, strict=True):
                    pending.resolve(position)
                return

    def _append(self, batch: list[Pending]) -> list[int | None]:
        connection = self._connected()
        events = [event for pending in batch for event in pending.events]
        guards = [(number, guard) for number, pending in enumerate(batch, 1) for guard in pending.guards]
        row = connection.execute(
            _APPEND,
            (
                [number for number, pending in enumerate(batch, 1) for _ in pending.events],
                [event.originator_id for event in events],
                [event.originator_version for event in events],
                [event.topic for event in events],
                [event.state for event in events],
                [repository for pending in batch for repository in pending.repositories],
                [pending.command_id for pending in batch],
                [number for number, _ in guards],
                [guard.key for _, guard in guards],
                [guard.delta for _, guard in guards],
            ),
            prepare=True,
        ).fetchone()
        assert row is not None  # noqa: S101 - a function call gives one row
        positions: list[int | None] = row[0]
        return positions

    def _connected(self) -> Impatient:
        if self._connection is None:
            self._connection = Impatient.connect(
                self._dsn, autocommit=True, application_name="artifact-keeper log writer", connect_timeout=3
            )
            self._connection.silence_seconds = SILENCE_SECONDS
            self._connection.execute("SET synchronous_commit = on")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    @staticmethod
    def _give_up_on_overdue(batch: list[Pending], error: Exception) -> list[Pending]:
        now = time.monotonic()
        waiting = []
        for pending in batch:
            if now > pending.deadline:
                pending.fail(Unavailable(f"the database is away: {type(error).__name__}"))
            else:
                waiting.append(pending)
        return waiting
