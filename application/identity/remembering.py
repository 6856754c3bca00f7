"""What a process remembers of credentials and accounts, and how it forgets at once when access changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from uuid import UUID

import msgspec

from application.identity.directory import UserRow
from domain.permissions import Principal

REMEMBER_SECONDS = 300.0
MAX_CREDENTIALS = 10_000
MAX_ACCOUNTS = 5_000


class Known(msgspec.Struct, frozen=True):
    """A verified credential. seconds: how long it may be remembered. token: the API token whose use is noted."""

    principal: Principal
    seconds: float = REMEMBER_SECONDS
    token: UUID | None = None


class KnownAccount(msgspec.Struct, frozen=True):
    """An account and what it is granted, target to actions."""

    row: UserRow
    grants: dict[UUID, frozenset[str]]


class Remembered:
    """Credentials by digest, accounts by id. A load that overlaps a change is answered and not remembered.

    fresh: whether this process hears of changes; while it does not, nothing is recalled.
    """

    def __init__(self, fresh: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fresh = fresh
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._generation = 0
        self._credentials: dict[bytes, tuple[Known, float]] = {}
        self._accounts: dict[UUID, KnownAccount] = {}
        self._flights: dict[tuple[bytes, int], Future[Known]] = {}

    def recall(self, digest: bytes) -> Known | None:
        """The credential, if it is remembered and its time is not over. Never waits."""
        entry = self._credentials.get(digest)
        if entry is None or self._monotonic() >= entry[1] or not self._fresh():
            return None
        return entry[0]

    def verify_once(self, digest: bytes, verify: Callable[[], Known]) -> Known:
        """Verify and remember; of several requests with one credential at a time one verifies, the others wait."""
        with self._lock:
            flight_key = (digest, self._generation)
            flight = self._flights.get(flight_key)
            if flight is None:
                mine = self._flights[flight_key] = Future[Known]()
        if flight is not None:
            return flight.result()
        try:
            known = verify()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self._remember(digest, known, flight_key[1])
            mine.set_result(known)
            return known
        finally:
            with self._lock:
                del self._flights[flight_key]

    def account(self, user: UUID, load: Callable[[UUID], KnownAccount | None]) -> KnownAccount | None:
        """The account, loaded when it is not remembered; None when there is none."""
        with self._lock:
            generation = self._generation
            known = self._accounts.get(user)
        if known is not None and self._fresh():
            return known
        known = load(user)
        if known is not None:
            with self._lock:
                if generation == self._generation:
                    _make_room(self._accounts, MAX_ACCOUNTS)
                    self._accounts[user] = known
        return known

    def forget(self, principals: frozenset[UUID] | None = None) -> None:
        """Forget these principals, or everybody. What is being verified meanwhile is not remembered either."""
        with self._lock:
            self._generation += 1
            if principals is None:
                self._credentials, self._accounts = {}, {}
                return
            for principal in principals:
                self._accounts.pop(principal, None)
            self._credentials = {
                digest: entry for digest, entry in self._credentials.items() if entry[0].principal.id not in principals
            }

    def _remember(self, digest: bytes, known: Known, generation: int) -> None:
        with self._lock:
            if generation == self._generation:
                _make_room(self._credentials, MAX_CREDENTIALS)
                self._credentials[digest] = (known, self._monotonic() + min(known.seconds, REMEMBER_SECONDS))


def _make_room(held: dict[bytes, tuple[Known, float]] | dict[UUID, KnownAccount], limit: int) -> None:
    while len(held) >= limit:
        del held[next(iter(held))]  # type: ignore[arg-type]
