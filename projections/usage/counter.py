"""Counting downloads without slowing them: remembered in memory, written once a second, each batch exactly once."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection

from application.usage import client_family
from domain.errors import Unavailable
from projections.projection import Row

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
CLOSE_SECONDS = 10.0
"""How long a stopping process goes on trying to write what it has counted."""

_RETRY_SECONDS = 0.2

_WRITE = """
WITH fresh AS (
    INSERT INTO usage_writer AS w (writer, batch, at) VALUES (%(writer)s, %(batch)s, now())
    ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at WHERE w.batch < excluded.batch
    RETURNING 1
), counted AS (
    SELECT * FROM unnest(
        %(days)s::date[], %(artifacts)s::uuid[], %(families)s::text[], %(repositories)s::uuid[],
        %(downloads)s::bigint[], %(lasts)s::timestamptz[]
    ) AS c (day, artifact, client_family, repository, downloads, last_at)
    WHERE EXISTS (SELECT FROM fresh)
), daily AS (
    INSERT INTO usage_daily AS d (day, artifact, client_family, repository, downloads)
    SELECT day, artifact, client_family, (array_agg(repository))[1], sum(downloads) FROM counted
    GROUP BY day, artifact, client_family ORDER BY day, artifact, client_family
    ON CONFLICT (day, artifact, client_family) DO UPDATE SET downloads = d.downloads + excluded.downloads
)
INSERT INTO usage_total AS t (artifact, repository, downloads, first_at, last_at)
SELECT artifact, (array_agg(repository))[1], sum(downloads), min(last_at), max(last_at) FROM counted
GROUP BY artifact ORDER BY artifact
ON CONFLICT (artifact) DO UPDATE SET downloads = t.downloads + excluded.downloads,
    last_at = greatest(t.last_at, excluded.last_at)
"""

_FORGET = "DELETE FROM usage_writer WHERE at < now() - interval '7 days'"

_Key = tuple[date, UUID, str, UUID]


class CountedDownloads:
    """The DownloadCounter port.

    A batch whose outcome is unknown is sent again under its number, and the database counts it once. While the database
    is away counts are kept; memory goes by what was downloaded, not by how often.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection[Row]]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connect = connect
        self._now = now
        self._seen: deque[tuple[UUID, UUID, str]] = deque()
        self._counts: dict[_Key, int] = {}
        self._writer = uuid4()
        self._batch = 0
        self._sending: dict[str, Any] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="download-counter", daemon=True)

    def count(self, artifact: UUID, repository: UUID, agent: str) -> None:
        """See DownloadCounter."""
        self._seen.append((artifact, repository, agent))  # atomic, and all that a request pays

    def start(self) -> None:
        """Write once a second from now on."""
        self._thread.start()

    def close(self) -> None:
        """Write what was counted, and stop. What cannot be written within CLOSE_SECONDS is lost, and logged."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_SECONDS + FLUSH_SECONDS)
        deadline = time.monotonic() + CLOSE_SECONDS
        while not self.flush():
            if time.monotonic() > deadline:
                _log.error("the database is away: %d downloads were not counted", self.pending)
                return
            time.sleep(_RETRY_SECONDS)

    @property
    def pending(self) -> int:
        """Downloads that are not written yet."""
        sending = self._sending
        sent = sum(sending["downloads"]) if sending else 0
        return len(self._seen) + sum(self._counts.values()) + sent

    def flush(self) -> bool:
        """Write what was counted so far; False when the database is away and it is kept for later."""
        while True:
            self._take()
            if self._sending is None:
                if not self._counts:
                    return True
                self._sending = self._next_batch()
            try:
                with self._connect() as connection:
                    connection.execute(_WRITE, self._sending)
            except (Unavailable, psycopg.OperationalError, psycopg.InterfaceError) as error:
                _log.warning("downloads are not written yet: %s", error)
                return False
            self._sending = None

    def _run(self) -> None:
        self._forget_old_writers()
        while not self._closing.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except Exception:  # noqa: BLE001 - counting goes on, and the batch is kept
                _log.exception("downloads cannot be written; trying again")

    def _forget_old_writers(self) -> None:
        try:
            with self._connect() as connection:
                connection.execute(_FORGET)
        except (Unavailable, psycopg.Error) as error:
            _log.warning("old download writers are not forgotten yet: %s", error)

    def _take(self) -> None:
        """Fold what requests have left into counts."""
        day = self._now().date()
        counts, seen = self._counts, self._seen
        for _ in range(len(seen)):
            artifact, repository, agent = seen.popleft()
            key = (day, artifact, client_family(agent), repository)
            counts[key] = counts.get(key, 0) + 1

    def _next_batch(self) -> dict[str, Any]:
        self._batch += 1
        counts, self._counts = self._counts, {}
        days, artifacts, families, repositories = (list(part) for part in zip(*counts, strict=True))
        return {
            "writer": self._writer,
            "batch": self._batch,
            "days": days,
            "artifacts": artifacts,
            "families": families,
            "repositories": repositories,
            "downloads": list(counts.values()),
            "lasts": [self._now()] * len(counts),
        }
