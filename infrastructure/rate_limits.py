"""Fixed windows, counted in Redis or Valkey for all processes, and in this process alone while that is away."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable

import redis

from application.ports import Allowance

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.25
AWAY_SECONDS = 5.0
"""After a failure nobody asks for this long: requests must not queue before a dead server."""

MAX_KEYS = 100_000
PREFIX = "limit:"


class MemoryLimiter:
    """The RateLimiter port within one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}

    def take(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """See RateLimiter."""
        return self._count(key, limit, window_seconds, 1)

    def peek(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """See RateLimiter."""
        return self._count(key, limit, window_seconds, 0)

    def _count(self, key: str, limit: int, window_seconds: int, uses: int) -> Allowance:
        now = self._clock()
        with self._lock:
            used, ends = self._windows.get(key, (0, 0.0))
            if now >= ends:
                used, ends = 0, now + window_seconds
            used += uses
            if uses:
                self._windows[key] = (used, ends)
                if len(self._windows) > MAX_KEYS:
                    self._make_room(now)
        return _allowance(used, uses, limit, ends - now)

    def _make_room(self, now: float) -> None:
        """Drop windows that are over; when none is, the oldest half: many keys are many callers, none of them heavy."""
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        for key in list(self._windows)[: max(0, len(self._windows) - MAX_KEYS // 2)]:
            del self._windows[key]


class RedisLimiter:
    """The RateLimiter port over Redis. Keys are hashed: names of people do not go there."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=30
        )
        self._clock = clock
        self._away_until = -math.inf
        self._local = MemoryLimiter(clock)

    def take(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """See RateLimiter."""
        return self._count(key, limit, window_seconds, 1)

    def peek(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """See RateLimiter."""
        return self._count(key, limit, window_seconds, 0)

    def close(self) -> None:
        """Close its connections."""
        self._redis.close()

    def _count(self, key: str, limit: int, window_seconds: int, uses: int) -> Allowance:
        if self._clock() >= self._away_until:
            try:
                used, milliseconds = self._ask(_hashed(key), window_seconds, uses)
                return _allowance(used, uses, limit, milliseconds / 1000)
            except redis.RedisError as error:
                self._away_until = self._clock() + AWAY_SECONDS
                _log.warning("rate limits are counted by each process alone for a while: %s", error)
        return self._local.take(key, limit, window_seconds) if uses else self._local.peek(key, limit, window_seconds)

    def _ask(self, key: str, window_seconds: int, uses: int) -> tuple[int, int]:
        with self._redis.pipeline(transaction=True) as pipeline:
            if uses:
                pipeline.set(key, 0, ex=window_seconds, nx=True)
                pipeline.incrby(key, uses)
            else:
                pipeline.get(key)
            pipeline.pttl(key)
            *_, used, milliseconds = pipeline.execute()
        return int(used or 0), milliseconds if milliseconds > 0 else window_seconds * 1000


def _allowance(used: int, uses: int, limit: int, seconds_left: float) -> Allowance:
    """A take is good while it is among the first `limit`; a peek while another take would be."""
    return Allowance(
        allowed=used <= limit if uses else used < limit,
        limit=limit,
        remaining=max(0, limit - used),
        retry_after_seconds=max(1, math.ceil(seconds_left)),
    )


def _hashed(key: str) -> str:
    return PREFIX + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
