"""When tokens were last used: remembered at once, written together now and then, never an event."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.errors import Unavailable

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]


class TokenUse:
    """`touch` costs a dictionary entry and is for the event loop too; a thread writes what came together."""

    def __init__(self, connect: Connect, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._connect = connect
        self._flush_seconds = flush_seconds
        self._used: dict[UUID, datetime] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="token-use", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write the rest, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._flush_quietly()

    def touch(self, token: UUID) -> None:
        """The token was used now."""
        self._used[token] = datetime.now(UTC)

    def flush(self) -> None:
        """Write; raises Unavailable when the database is away, and keeps what it had."""
        with self._lock:
            used, self._used = self._used, {}
            if not used:
                return
            try:
                self._write(list(used.items()))
            except Unavailable:
                self._used = {**used, **self._used}
                raise

    def _write(self, used: list[tuple[UUID, datetime]]) -> None:
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO token_use AS t (token, last_used_at) "
                "SELECT * FROM unnest(%s::uuid[], %s::timestamptz[]) AS n (token, at) ORDER BY token "
                "ON CONFLICT (token) DO UPDATE SET last_used_at = greatest(t.last_used_at, excluded.last_used_at)",
                ([token for token, _ in used], [at for _, at in used]),
            )

    def _run(self) -> None:
        while not self._stopping.wait(self._flush_seconds):
            self._flush_quietly()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except Unavailable as error:
            _log.warning("last use of tokens: %s; trying again", error)
