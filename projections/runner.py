"""Follows the log for one projection: one leader across all processes, batches, and no event silently skipped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection

from application.log import Recorded
from domain.errors import Unavailable
from projections.projection import Projection, Row

_log = logging.getLogger(__name__)

BATCH = 5_000
IDLE_SECONDS = 1.0
RETRY_POISON_SECONDS = 10.0
STALLED_SECONDS = 30.0
MAX_PAUSE_SECONDS = 2.0

READ = (
    "SELECT notification_id, recorded_at, originator_id, originator_version, topic, repository, state "
    "FROM es_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
)
LOCK_CLASS = "hashtext('artifact-keeper projection')"


class LeadershipLost(Exception):
    """Another process leads this projection now."""


class Runner:
    """One projection's loop. `run` returns when `stop` is called."""

    def __init__(self, dsn: str, projection: Projection, decode: Callable[[Row], Recorded]) -> None:
        self.projection = projection
        self._dsn = dsn
        self._decode = decode
        self._stopping = threading.Event()
        self._leader: Connection[Row] | None = None
        self._work: Connection[Row] | None = None
        self._position = 0
        self._epoch = 0

    def stop(self) -> None:
        """End the loop soon, wherever it is."""
        self._stopping.set()
        if self._leader is not None:
            with suppress(psycopg.Error):
                self._leader.cancel_safe(timeout=1)

    def run(self) -> None:
        """Lead when nobody else does, follow the log, and begin again after every failure of the connection."""
        pause = 0.05
        while not self._stopping.is_set():
            try:
                self._connect()
                self._lead()
                pause = 0.05
                while not self._stopping.is_set():
                    self.step()
            except (psycopg.OperationalError, psycopg.InterfaceError, LeadershipLost) as error:
                if not self._stopping.is_set() and pause < MAX_PAUSE_SECONDS:  # an outage is told of, not counted
                    _log.warning("projection %s: %s; trying again", self.projection.name, str(error).strip())
            except Unavailable as error:
                self._tell_away(str(error), loudly=pause < MAX_PAUSE_SECONDS)
            finally:
                self._disconnect()
            self._stopping.wait(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def step(self) -> None:
        """Fold one batch, or do what is to be done while there is none; then wait for news."""
        assert self._work is not None  # noqa: S101 - connected above
        rows = self._work.execute(READ, (self._position, BATCH), prepare=True, binary=True).fetchall()
        if rows:
            self._fold(rows)
        else:
            self._idle()
        if len(rows) < BATCH:
            self._await_news()

    def _idle(self) -> None:
        try:
            with self._transaction() as cursor:
                self.projection.idle(cursor, self._position)
        except (psycopg.OperationalError, psycopg.InterfaceError, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - a projection that halts must be seen to, and its thread go on
            self._halt(self._position, f"while idle: {type(error).__name__}: {error}")

    def _await_news(self) -> None:
        assert self._leader is not None  # noqa: S101 - connected above
        if list(self._leader.notifies(timeout=IDLE_SECONDS, stop_after=1)):
            self._stopping.wait(self.projection.linger_seconds)

    def _connect(self) -> None:
        name = self.projection.name
        self._leader = psycopg.connect(
            self._dsn, autocommit=True, application_name=f"artifact-keeper {name} leader", connect_timeout=3
        )
        self._work = psycopg.connect(
            self._dsn, autocommit=True, application_name=f"artifact-keeper {name}", connect_timeout=3
        )
        self._work.execute("SET synchronous_commit = off")  # rows and position are lost or kept together

    def _lead(self) -> None:
        assert self._leader is not None  # noqa: S101 - connected above
        name = self.projection.name
        self._leader.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, hashtext(%s))", (name,))
        self._leader.execute("LISTEN es_append")  # before the first read: nothing falls between
        row = self._leader.execute(
            "INSERT INTO es_tracking AS t (projection, epoch) VALUES (%s, 1) "
            "ON CONFLICT (projection) DO UPDATE SET epoch = t.epoch + 1, at = now() RETURNING position, epoch",
            (name,),
        ).fetchone()
        assert row is not None  # noqa: S101 - an upsert gives one row
        position, self._epoch = row
        with self._transaction() as cursor:
            self._position = self.projection.begin(cursor, position)
            if self._position != position:
                cursor.execute("UPDATE es_tracking SET position = %s WHERE projection = %s", (self._position, name))
        _log.info("projection %s: leading from position %d", name, self._position)

    def _disconnect(self) -> None:
        for connection in (self._work, self._leader):
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()
        self._work = self._leader = None

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Cursor[Row]]:
        assert self._work is not None  # noqa: S101 - connected above
        with self._work.transaction(), self._work.cursor() as cursor:
            yield cursor

    def _fold(self, rows: Sequence[Row]) -> None:
        try:
            self._commit([self._decode(row) for row in rows])
        except (psycopg.OperationalError, psycopg.InterfaceError, LeadershipLost, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a fold may raise, the event must be found and named
            if len(rows) > 1:
                middle = len(rows) // 2
                self._fold(rows[:middle])
                self._fold(rows[middle:])
            else:
                self._poisoned(position=rows[0][0], topic=rows[0][4], error=error)

    def _commit(self, events: Sequence[Recorded]) -> None:
        reached = events[-1].position
        with self._transaction() as cursor:
            self.projection.apply(cursor, events)
            self._advance(cursor, reached)
        self._position = reached

    def _advance(self, cursor: psycopg.Cursor[Row], reached: int) -> None:
        cursor.execute(
            "UPDATE es_tracking SET position = %s, at = clock_timestamp(), failed_at = NULL, error = NULL "
            "WHERE projection = %s AND position = %s AND epoch = %s RETURNING pg_notify('es_read', %s)",
            (reached, self.projection.name, self._position, self._epoch, f"{self.projection.name}:{reached}"),
            prepare=True,
        )
        if cursor.rowcount != 1:
            raise LeadershipLost(f"a newer leader took over {self.projection.name}")

    def _poisoned(self, *, position: int, topic: str, error: Exception) -> None:
        name, text = self.projection.name, f"{type(error).__name__}: {error}"
        _log.error("projection %s: cannot fold event %d (%s): %s", name, position, topic, text)
        if self.projection.on_poison == "halt":
            self._halt(position, text)
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO es_skipped (projection, position, error) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (name, position, text),
            )
            self._advance(cursor, position)
        self._position = position

    def _tell_away(self, text: str, *, loudly: bool) -> None:
        """What this projection writes to beside the database is away: say so where one looks, and begin anew."""
        if loudly and not self._stopping.is_set():
            _log.warning("projection %s: %s; trying again", self.projection.name, text)
        with suppress(psycopg.Error), psycopg.connect(self._dsn, autocommit=True, connect_timeout=3) as connection:
            connection.execute(
                "UPDATE es_tracking SET failed_at = position + 1, error = %s WHERE projection = %s AND epoch = %s",
                (text, self.projection.name, self._epoch),
            )

    def _halt(self, position: int, text: str) -> None:
        """Say for all to see where and why this projection stands still; after a while it is tried again."""
        assert self._work is not None  # noqa: S101 - connected above
        self._work.execute(
            "UPDATE es_tracking SET failed_at = %s, error = %s WHERE projection = %s AND epoch = %s",
            (position, text, self.projection.name, self._epoch),
        )
        self._stopping.wait(RETRY_POISON_SECONDS)
        raise LeadershipLost(f"halted at event {position}")


class Projector:
    """Runs all projections of a process, each in a thread, and frees the lock of a leader that hangs elsewhere."""

    def __init__(self, dsn: str, projections: Sequence[Projection], decode: Callable[[Row], Recorded]) -> None:
        self._dsn = dsn
        self._runners = [Runner(dsn, projection, decode) for projection in projections]
        self._threads = [
            threading.Thread(target=runner.run, name=f"projection-{runner.projection.name}", daemon=True)
            for runner in self._runners
        ]
        self._watchdog = threading.Thread(target=self._watch, name="projection-watchdog", daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start all threads."""
        for thread in (*self._threads, self._watchdog):
            thread.start()

    def stop(self) -> None:
        """End all threads, at most a few seconds."""
        self._stopping.set()
        for runner in self._runners:
            runner.stop()
        deadline = time.monotonic() + 5
        for thread in (*self._threads, self._watchdog):
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _watch(self) -> None:
        while not self._stopping.wait(STALLED_SECONDS / 3):
            with suppress(psycopg.Error), psycopg.connect(self._dsn, autocommit=True, connect_timeout=3) as connection:
                release_stalled(connection)


def release_stalled(connection: Connection[Row], seconds: float = STALLED_SECONDS) -> list[str]:
    """End the sessions of leaders that have not moved for so long though there is news; their projections."""
    freed = [name for (name,) in connection.execute(_RELEASE_STALLED, (seconds,)).fetchall()]
    for name in freed:
        _log.warning("projection %s: its leader hangs; its lock was freed", name)
    return freed


_RELEASE_STALLED = f"""
    WITH stalled AS MATERIALIZED (
        SELECT t.projection, l.pid FROM es_tracking t CROSS JOIN es_head h
        JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND l.classid::bigint = {LOCK_CLASS}::bigint & 4294967295
             AND l.objid::bigint = hashtext(t.projection)::bigint & 4294967295
        WHERE t.position < h.position AND t.failed_at IS NULL
          AND t.at < clock_timestamp() - make_interval(secs => %s) AND h.at < clock_timestamp() - interval '5 seconds'
    )
    SELECT projection FROM stalled WHERE pg_terminate_backend(pid)
"""
# Materialized, or the planner may end sessions before it has looked at all of the conditions.
