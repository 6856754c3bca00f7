"""The shared cache in Redis or Valkey. A cache that is away costs renders, never answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import redis

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 2.0
"""After a failure nobody asks for this long: requests must not queue before a dead cache."""

EXPIRE_SECONDS = 24 * 3600
LOCK_SECONDS = 5
POLL_SECONDS = 0.01


class RedisCache:
    """Implements the SharedCache and RenderLocks ports."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=30
        )
        self._away_until = 0.0
        self._local = LocalLocks()

    def get(self, key: str) -> bytes | None:
        """The bytes, or None also when the cache is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            value = self._redis.get(key)
        except redis.RedisError as error:
            self._went_away(error)
            return None
        return value if isinstance(value, bytes) else None

    def put(self, key: str, value: bytes) -> None:
        """Remember for a day, if the cache is there."""
        if time.monotonic() < self._away_until:
            return
        try:
            self._redis.set(key, value, ex=EXPIRE_SECONDS)
        except redis.RedisError as error:
            self._went_away(error)

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """One holder in this process and, while the cache is there, in all."""
        with self._local.hold(key):
            held = self._acquire(f"lock:{key}")
            try:
                yield
            finally:
                if held:
                    self._release(f"lock:{key}")

    def _acquire(self, key: str) -> bool:
        deadline = time.monotonic() + LOCK_SECONDS
        while self._away_until < time.monotonic() < deadline:
            try:
                if self._redis.set(key, b"1", nx=True, ex=LOCK_SECONDS):
                    return True
            except redis.RedisError as error:
                self._went_away(error)
                return False
            time.sleep(POLL_SECONDS)
        return False

    def _release(self, key: str) -> None:
        try:
            self._redis.delete(key)
        except redis.RedisError as error:
            self._went_away(error)

    def _went_away(self, error: redis.RedisError) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
        _log.warning("shared cache: %s", error)

    def close(self) -> None:
        """Close its connections."""
        self._redis.close()


class LocalLocks:
    """The RenderLocks port within one process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """One holder of a key at a time in this process."""
        with self._guard:
            lock, waiting = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._held[key]
                if waiting == 1:
                    del self._held[key]
                else:
                    self._held[key] = (lock, waiting - 1)


class MemoryCache:
    """The SharedCache port of one process alone: what was used last, up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._guard = threading.Lock()
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        """The bytes, or None."""
        with self._guard:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: bytes) -> None:
        """Remember, and forget what was not asked for longest."""
        with self._guard:
            self._bytes += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._values.popitem(last=False)[1])


class NoCache:
    """The SharedCache port where there is none."""

    def get(self, key: str) -> bytes | None:
        """Nothing is ever remembered."""
        return None

    def put(self, key: str, value: bytes) -> None:
        """Nothing is ever remembered."""
