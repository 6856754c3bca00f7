"""The one reader of a process that gives the growing log to its channels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import psycopg
from psycopg import Connection

from application.audit.streaming import PAGE, Channel
from application.log import Recorded
from projections.projection import Row
from projections.runner import READ

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How long without a notification until it looks anyway: a notification is a hint, never the truth."""

QUIET_SECONDS = 0.25
"""How soon it sees that somebody has begun to listen."""


def reached(connect: Callable[[], AbstractContextManager[Connection[Row]]], names: Sequence[str]) -> int:
    """The position that all of these projections have passed."""
    with connect() as connection:
        row = connection.execute(
            "SELECT coalesce(min(coalesce(t.position, 0)), 0) FROM unnest(%s::text[]) AS wanted (projection) "
            "LEFT JOIN es_tracking t USING (projection)",
            (list(names),),
        ).fetchone()
    return row[0] if row else 0


def _is_due(horizon: int, patience_seconds: float | None) -> Callable[[Recorded], bool]:
    """Whether an event may be shown: the read models have passed it, or were waited for long enough."""
    if patience_seconds is None:
        return lambda event: event.position <= horizon
    long_ago = datetime.now(UTC) - timedelta(seconds=patience_seconds)
    return lambda event: event.position <= horizon or event.at < long_ago


class Feed:
    """Listens to the database while anybody listens to a channel. decode: a row of the log to an event."""

    def __init__(self, dsn: str, channels: Sequence[Channel[Any]], decode: Callable[[Row], Recorded]) -> None:
        self._dsn = dsn
        self._channels = channels
        self._decode = decode
        self._marks: dict[str, int] = {}
        self._stopping = threading.Event()
        self._connection: Connection[Row] | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End every subscription, then the reader."""
        self._stopping.set()
        for channel in self._channels:
            channel.close()
        self._thread.join(timeout=POLL_SECONDS + 2)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not any(channel.active for channel in self._channels):
                self._disconnect()
                self._stopping.wait(QUIET_SECONDS)
                continue
            try:
                self._follow(self._connected())
            except Exception as error:  # noqa: BLE001 - whatever fails, the next attempt begins where this one stopped
                level = logging.WARNING if isinstance(error, psycopg.Error) else logging.ERROR
                _log.log(level, "the live stream is interrupted", exc_info=error)
                self._disconnect()
                self._stopping.wait(POLL_SECONDS)
        self._disconnect()

    def _follow(self, connection: Connection[Row]) -> None:
        """Give what is there, then wait for news."""
        pages: dict[int, list[Recorded]] = {}
        for channel in self._channels:
            while channel.active and not self._stopping.is_set() and self._publish(connection, channel, pages):
                pass
        for notification in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            self._notice(notification.channel, notification.payload)

    def _publish(self, connection: Connection[Row], channel: Channel[Any], pages: dict[int, list[Recorded]]) -> bool:
        """One page; False when there is none yet."""
        horizon = min((self._marks.get(name, 0) for name in channel.after), default=None)
        start = channel.position
        if horizon is not None and horizon <= start and channel.patience_seconds is None:
            return False
        if start not in pages:
            rows = connection.execute(READ, (start, PAGE), prepare=True, binary=True).fetchall()
            pages[start] = [self._decode(row) for row in rows]
        page = pages[start]
        if horizon is not None:
            page = list(takewhile(_is_due(horizon, channel.patience_seconds), page))
        if not page:
            return False
        channel.publish(page)
        return True

    def _connected(self) -> Connection[Row]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, application_name="artifact-keeper feed", connect_timeout=3
            )
            self._connection.execute("LISTEN es_append")
            self._connection.execute("LISTEN es_read")
            self._marks = dict(self._connection.execute("SELECT projection, position FROM es_tracking").fetchall())
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _notice(self, channel: str, payload: str) -> None:
        name, _, position = payload.rpartition(":")
        if channel == "es_read" and position.isdigit():
            self._marks[name] = max(self._marks.get(name, 0), int(position))
