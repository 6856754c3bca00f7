"""Threads for what blocks: of requests in general, and of those that may have to wait for other servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from domain.errors import Unavailable

PATIENT_THREADS = 64
"""Requests to remote and virtual repositories at once: they may wait for upstreams."""

MAX_WAITING = 512
"""Requests in threads or waiting for one; more are answered 503."""


class Threads:
    """pool: for what waits for nobody but us. patient: for the rest, so that nobody else waits with it."""

    def __init__(self, pool: ThreadPoolExecutor, max_waiting: int = MAX_WAITING) -> None:
        self.pool = pool
        self.patient = ThreadPoolExecutor(PATIENT_THREADS, thread_name_prefix="remote")
        self._max_waiting = max_waiting
        self._waiting = 0

    def close(self) -> None:
        """Finish what waits for other servers; the other pool is its owner's."""
        self.patient.shutdown(wait=True, cancel_futures=True)

    async def run(self, function: Callable[..., Any], *arguments: Any, patient: bool = False) -> Any:
        """Call it in a thread. Raises Unavailable when too many wait already."""
        if self._waiting >= self._max_waiting:
            raise Unavailable("the server is busy; try again in a moment")
        self._waiting += 1
        try:
            pool = self.patient if patient else self.pool
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        finally:
            self._waiting -= 1
