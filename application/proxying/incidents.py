"""What upstreams were caught at, in the log."""

from __future__ import annotations

import logging
import threading
import time
from uuid import UUID, uuid4

from application.catalogue import RepositoryRow
from application.log import Change, EventLog
from domain.errors import RegistryError
from domain.event import SYSTEM
from domain.incident import UpstreamRejected

_log = logging.getLogger(__name__)

REPEAT_SECONDS = 300.0
MAX_REMEMBERED = 10_000


class Incidents:
    """Records each once in a while: a client that asks again and again must not fill the log."""

    def __init__(self, log: EventLog) -> None:
        self._event_log = log
        self._lock = threading.Lock()
        self._recorded: dict[tuple[UUID, str, str], float] = {}

    def record(self, repository: RepositoryRow, path: str, reason: str) -> None:
        """Record; a log that is away does not change the answer."""
        key, now = (repository.id, path, reason), time.monotonic()
        with self._lock:
            if now - self._recorded.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
                return
            if len(self._recorded) >= MAX_REMEMBERED:
                self._recorded.clear()
            self._recorded[key] = now
        event = UpstreamRejected(repository=repository.id, path=path[:1000], reason=reason[:1000])
        try:
            self._event_log.execute(lambda: [Change(uuid4(), 0, [event], repository.id)], SYSTEM)
        except RegistryError as error:
            _log.warning("remote repository %s: %s (not recorded: %s)", repository.key, reason, error)
