"""How far the read models are, as this process knows it; and the promise that no process answers from an older one.

Every process that answers from memory is a *reader*. When a projection commits, each reader takes notice (followers
update or drop what they remember) and says so. Whoever waits for a position waits for the projection and for all live
readers. A reader that could not renew its lease must not answer from memory; it is `fresh` no more.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psycopg
from psycopg import Connection

from projections.projection import Row

_log = logging.getLogger(__name__)

RENEW_SECONDS = 1.0
FRESH_SECONDS = 3.0
FORGET_SECONDS = 5.0
"""Longer than FRESH_SECONDS: a reader stops trusting its memory before others stop waiting for it."""

JOIN_SECONDS = 0.1
MAX_JOIN_SECONDS = 1.0
"""How long until it tries to reach the database again; doubled from the first to the second."""

ASK_SECONDS = 0.05
"""How long a waiter goes without news before it asks the database itself."""

Follower = Callable[[int], None]


class Progress:
    """High-water marks of projections, kept by one thread that listens to the database.

    followers: projection name to what must happen in this process before it may say that it has taken notice. A process
    without any answers nothing from memory: it is no reader, and nobody waits for it.
    reset: called whenever notifications may have been missed; everything remembered must go.
    """

    def __init__(self, dsn: str, followers: dict[str, Follower], reset: Callable[[], None]) -> None:
        self._dsn = dsn
        self._followers = followers
        self._reset = reset
        self._reader = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._marks: dict[str, int] = {}
        self._others: dict[str, float] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._connection: Connection[Row] | None = None
        self._fresh_until = 0.0
        self._renewed_at = 0.0
        self.late = 0
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Take leave of the other readers."""
        self._stopping.set()
        self._thread.join(timeout=3)

    @property
    def fresh(self) -> bool:
        """Whether this process may answer from memory now."""
        return time.monotonic() < self._fresh_until

    def mark(self, name: str) -> int:
        """How far a projection is known to be."""
        return self._marks.get(name, 0)

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        """Wait until these projections, and every reader of them, have passed the position.

        Returns False when the time is over: the write stands all the same, and the delay is counted in `late`.
        """
        if position <= 0:
            return True
        wanted = tuple(names)
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._news:
                if self._all_passed(wanted, position):
                    return True
                heard = self._news.wait(ASK_SECONDS)
            if not heard and time.monotonic() >= deadline:
                self.late += 1
                return False
            if not heard:
                self._ask()

    def _all_passed(self, names: tuple[str, ...], position: int) -> bool:
        for name in names:
            if self._marks.get(name, 0) < position:
                return False
            if name in self._followers and any(
                self._seen.get((other, name), 0) < position for other in self._live_others()
            ):
                return False
        return True

    def _live_others(self) -> list[str]:
        now = time.monotonic()
        for other in [other for other, heard in self._others.items() if now - heard > FORGET_SECONDS]:
            self._forget(other)
        return list(self._others)

    def _forget(self, other: str) -> None:
        self._others.pop(other, None)
        for key in [key for key in self._seen if key[0] == other]:
            del self._seen[key]

    def _ask(self) -> None:
        """No news: forget readers whose session is gone."""
        if not self._others:
            return
        with suppress(psycopg.Error), psycopg.connect(self._dsn, autocommit=True, connect_timeout=1) as connection:
            alive = connection.execute(
                "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'artifact-keeper reader %'"
            ).fetchall()
            names = {row[0].rpartition(" ")[2] for row in alive}
            with self._news:
                for other in [other for other in self._others if other not in names]:
                    self._forget(other)

    def _run(self) -> None:
        pause = JOIN_SECONDS
        while not self._stopping.is_set():
            try:
                self._join()
                pause = JOIN_SECONDS
                while not self._stopping.is_set():
                    self._listen()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if pause == JOIN_SECONDS:  # once an outage
                    _log.warning("progress: %s; joining again", str(error).strip() or type(error).__name__)
            except Exception:  # noqa: BLE001 - a process edge: the thread must go on
                _log.exception("progress: joining again")
            self._fresh_until = 0.0
            self._leave()
            self._stopping.wait(pause)
            pause = min(pause * 2, MAX_JOIN_SECONDS)

    def _join(self) -> None:
        self._connection = psycopg.connect(
            self._dsn, autocommit=True, application_name=f"artifact-keeper reader {self._reader}", connect_timeout=3
        )
        self._connection.execute("LISTEN es_read")
        self._connection.execute("LISTEN es_seen")
        if self._followers:
            self._connection.execute("SELECT pg_notify('es_seen', %s)", (f"{self._reader}:join:0",))
        self._renew()
        self._reset()
        rows = self._connection.execute(
            "SELECT reader FROM es_reader WHERE reader <> %s AND at > clock_timestamp() - make_interval(secs => %s)",
            (self._reader, FORGET_SECONDS),
        ).fetchall()
        marks = self._connection.execute("SELECT projection, position FROM es_tracking").fetchall()
        now = time.monotonic()
        with self._news:
            self._others = {row[0]: now for row in rows}
            self._seen.clear()
        for name, position in marks:
            self._take_notice(name, position)

    def _renew(self) -> None:
        assert self._connection is not None  # noqa: S101 - joined above
        started = time.monotonic()
        if self._followers:
            self._connection.execute(
                "INSERT INTO es_reader (reader) VALUES (%s) ON CONFLICT (reader) DO UPDATE SET at = clock_timestamp()",
                (self._reader,),
                prepare=True,
            )
        for name in self._followers:
            self._say(name, self._marks.get(name, 0))
        self._renewed_at = started
        self._fresh_until = started + FRESH_SECONDS

    def _say(self, name: str, position: int) -> None:
        assert self._connection is not None  # noqa: S101 - joined above
        self._connection.execute(
            "SELECT pg_notify('es_seen', %s)", (f"{self._reader}:{name}:{position}",), prepare=True
        )

    def _listen(self) -> None:
        assert self._connection is not None  # noqa: S101 - joined above
        reached: dict[str, int] = {}
        for notice in self._connection.notifies(timeout=RENEW_SECONDS / 2, stop_after=1):
            if notice.channel == "es_read":
                name, _, position = notice.payload.rpartition(":")
                reached[name] = max(reached.get(name, 0), int(position))
            else:
                self._hear(notice.payload)
        for projection, mark in reached.items():
            self._take_notice(projection, mark)
            if self._others and projection in self._followers:
                self._say(projection, mark)
        if time.monotonic() - self._renewed_at > RENEW_SECONDS:
            self._renew()

    def _take_notice(self, name: str, position: int) -> None:
        if position <= self._marks.get(name, 0):
            return
        follower = self._followers.get(name)
        if follower is not None:
            follower(position)
        with self._news:
            self._marks[name] = position
            self._news.notify_all()

    def _hear(self, payload: str) -> None:
        other, name, position = payload.rsplit(":", 2)
        if other == self._reader:
            return
        with self._news:
            if name == "leave":
                self._forget(other)
            else:
                self._others[other] = time.monotonic()
                self._seen[other, name] = max(self._seen.get((other, name), 0), int(position))
                if name == "join":
                    self._renewed_at = 0.0  # who is new waits for us until it hears from us
            self._news.notify_all()

    def _leave(self) -> None:
        if self._connection is None:
            return
        with suppress(psycopg.Error):
            self._connection.execute("DELETE FROM es_reader WHERE reader = %s", (self._reader,))
            self._connection.execute("SELECT pg_notify('es_seen', %s)", (f"{self._reader}:leave:0",))
        with suppress(psycopg.Error):
            self._connection.close()
        self._connection = None
