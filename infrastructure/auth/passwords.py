"""Password hashes: Argon2id, a few at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from domain.errors import Unavailable
from domain.passwords import normalised

MEMORY_KIB = 19 * 1024
ITERATIONS = 2
PARALLELISM = 1
"""The OWASP minimum for Argon2id: about 30 ms of one core. Memory, not cores, makes guessing dear."""

MAX_CHARACTERS = 1024
"""Longer ones are nobody's password, and are not worth hashing."""

MAX_WAITING = 32
"""Callers that hash or wait to; more are refused at once."""

WAIT_SECONDS = 5.0


class TooManySignIns(Unavailable):
    """So many passwords wait to be checked that this one will not be."""

    template = "too many sign-ins at the same time; please try again"

    def __init__(self) -> None:
        super().__init__()


class Argon2Passwords:
    """The Passwords port. As many hashes at once as there are cores; a bounded number of callers waits for its turn."""

    def __init__(
        self,
        max_waiting: int = MAX_WAITING,
        *,
        concurrent: int | None = None,
        memory_kib: int = MEMORY_KIB,
        iterations: int = ITERATIONS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=iterations, memory_cost=memory_kib, parallelism=PARALLELISM, type=Type.ID
        )
        self._slots = threading.BoundedSemaphore(concurrent or os.cpu_count() or 1)
        self._wait_seconds = wait_seconds
        self._waiting = threading.BoundedSemaphore(max_waiting)
        self._decoy = self._hasher.hash(os.urandom(16).hex())

    def hash(self, password: str) -> str:
        """See Passwords."""
        with self._slot():
            return self._hasher.hash(normalised(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """See Passwords."""
        if len(password) > MAX_CHARACTERS:
            return False
        with self._slot():
            try:
                right = self._hasher.verify(stored or self._decoy, normalised(password))
            except (VerificationError, InvalidHashError):
                return False
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """See Passwords."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise TooManySignIns
        try:
            if not self._slots.acquire(timeout=self._wait_seconds):
                raise TooManySignIns
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._waiting.release()
