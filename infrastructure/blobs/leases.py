"""Leases on blobs in PostgreSQL: what keeps the collector away from uploads in flight, across all processes.

A publisher writes a row for each digest before it keeps the bytes; one round trip, no flush. The collector takes a
digest's advisory lock alone, which publishers take shared while they write their row: so once it has the lock it sees
every lease there is, and none can be added while it decides and deletes.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection, OperationalError

from domain.errors import Conflict, RegistryError, Unavailable
from infrastructure.blobs.faults import checked_sha256
from infrastructure.postgres.pool import DatabaseUnavailable, Pool, connection

_log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
TRUSTED_SECONDS = 90.0
"""How long after a renewal the holder itself believes in it. The rest is for an append that is already on its way."""

RENEW_SECONDS = 30.0

_LINGER_SECONDS = 0.005
_RETRY_SECONDS = 0.5
_RUN_LOCK = int.from_bytes(hashlib.sha256(b"artifact-keeper collector").digest()[:8], signed=True)
_NIL = UUID(int=0)


class PostgresLeases:
    """Leases of one process. One thread gives finished ones back and renews long ones; `close` ends it."""

    def __init__(self, pool: Pool, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._pool = pool
        self._lease_seconds = lease_seconds
        self._trusted_seconds = lease_seconds * TRUSTED_SECONDS / LEASE_SECONDS
        self._renew_seconds = lease_seconds * RENEW_SECONDS / LEASE_SECONDS
        self._held: dict[UUID, PostgresLease] = {}
        self._ended: list[UUID] = []
        self._news = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, sha256s: Iterable[str]) -> Iterator[PostgresLease]:
        """Protect these digests in the block; see the port.

        A block that ends by Unavailable, or by anything that is not a refusal, may have an append under way whose
        outcome nobody knows. Its lease is not given back: it ends by itself, long after that append must have.
        """
        lease = PostgresLease(self)
        known = False
        try:
            lease.extend(sha256s)
            yield lease
            known = True
        except RegistryError as refusal:
            known = not isinstance(refusal, Unavailable)
            raise
        finally:
            self._end(lease, give_back=known)

    @contextmanager
    def collecting(self) -> Iterator[PostgresRun]:
        """Be the only collector in the block; see the port."""
        with connection(self._pool) as own:
            if not _value(own, "SELECT pg_try_advisory_lock(%s)", _RUN_LOCK):
                raise Conflict("a collection is already running")
            try:
                self._await_lost_leases(own)
                yield PostgresRun(own)
            finally:
                with suppress(OperationalError):
                    own.execute("SELECT pg_advisory_unlock(%s)", [_RUN_LOCK])

    def flush(self) -> None:
        """Give finished leases back now rather than a few milliseconds later. Raises Unavailable."""
        with self._news:
            ended, self._ended = self._ended, []
        try:
            self._give_back(ended)
        except BaseException:
            with self._news:
                self._ended += ended
            raise

    def close(self) -> None:
        """Give everything back and end the thread. Leases that cannot be given back end by themselves."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(timeout=2)
        with suppress(Unavailable):
            self.flush()

    def take(self, lease: PostgresLease, digests: list[str]) -> None:
        """Write the rows of a lease; called by the lease itself."""
        self._start()
        with self._news:
            self._held[lease.id] = lease
        asked_at = time.monotonic()
        with connection(self._pool) as borrowed:
            borrowed.execute(
                "SELECT blob_lease_take(%s, %s, %s)",
                [lease.id, " ".join(digests), self._lease_seconds],
                prepare=True,
            )
        lease.taken(digests, asked_at + self._trusted_seconds)

    def renew(self) -> None:
        """Prolong all leases that are held; those that are no longer there become invalid. Raises Unavailable."""
        with self._news:
            held = dict(self._held)
        if not held:
            return
        asked_at = time.monotonic()
        with connection(self._pool) as borrowed:
            rows = borrowed.execute(
                "WITH renewed AS (UPDATE blob_lease SET until = clock_timestamp() + make_interval(secs => %s) "
                "WHERE lease = ANY(%s) AND until > clock_timestamp() RETURNING lease) "
                "SELECT lease, count(*) FROM renewed GROUP BY lease",
                [self._lease_seconds, list(held)],
            ).fetchall()
        counts = dict(rows)
        for lease in held.values():
            lease.renewed(counts.get(lease.id, 0), asked_at + self._trusted_seconds)

    def _end(self, lease: PostgresLease, *, give_back: bool) -> None:
        with self._news:
            if self._held.pop(lease.id, None) is not None and give_back:
                self._ended.append(lease.id)
                self._news.notify()

    def _give_back(self, ended: Sequence[UUID]) -> None:
        if ended:
            with connection(self._pool) as borrowed:
                borrowed.execute("DELETE FROM blob_lease WHERE lease = ANY(%s)", [list(ended)], prepare=True)

    def _start(self) -> None:
        with self._news:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="blob-leases", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        renew_at = time.monotonic() + self._renew_seconds
        while True:
            with self._news:
                self._news.wait_for(lambda: self._ended or self._closing, max(0.0, renew_at - time.monotonic()))
                if self._closing:
                    return
            time.sleep(_LINGER_SECONDS)  # for company: many finished leases are one statement
            try:
                self.flush()
                if time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + self._renew_seconds
                    self.renew()
            except Unavailable as fault:
                _log.warning("leases on blobs cannot be kept up: %s", fault)
                renew_at = min(renew_at, time.monotonic() + _RETRY_SECONDS)
                time.sleep(_RETRY_SECONDS)

    def _await_lost_leases(self, own: Connection[tuple[Any, ...]]) -> None:
        """Raise Unavailable until every lease that a crash of the database may have lost would have ended."""
        own.execute(
            "INSERT INTO blob_lease VALUES ('', %s, now() + make_interval(secs => %s)) ON CONFLICT DO NOTHING",
            [_NIL, self._lease_seconds],
        )
        begin: datetime | None = _value(
            own, "SELECT until FROM blob_lease WHERE sha256 = '' AND until > clock_timestamp()"
        )
        if begin is not None:
            raise Unavailable(f"the database was restarted amid uploads; collecting can begin at {begin:%H:%M:%S} UTC")
        own.execute("DELETE FROM blob_lease WHERE sha256 <> '' AND until < now() - interval '1 hour'")


class PostgresLease:
    """The digests of one upload. Not for use by two threads at once."""

    def __init__(self, leases: PostgresLeases) -> None:
        self.id = uuid4()
        self._leases = leases
        self._digests: set[str] = set()
        self._trusted_until: float | None = None
        self._lost = False

    def extend(self, sha256s: Iterable[str]) -> None:
        """Protect further digests. Raises Invalid for what is none, Unavailable when they cannot be protected."""
        digests = sorted({checked_sha256(sha256) for sha256 in sha256s} - self._digests)
        if digests:
            self._leases.take(self, digests)

    def check(self) -> None:
        """Raise Unavailable when the protection may have lapsed."""
        if self._lost or (self._trusted_until is not None and time.monotonic() > self._trusted_until):
            raise Unavailable("the upload took too long to be protected from the collector; send it again")

    def taken(self, digests: Sequence[str], trusted_until: float) -> None:
        """Note that rows were written."""
        self._digests.update(digests)
        self._trusted_until = min(trusted_until, self._trusted_until or trusted_until)

    def renewed(self, count: int, trusted_until: float) -> None:
        """Note how many rows were prolonged. Fewer than there are digests: some were lost, and stay so."""
        if count < len(self._digests):
            self._lost = True
        elif self._trusted_until is not None:
            self._trusted_until = max(trusted_until, self._trusted_until)


class PostgresRun:
    """One run of the collector, on a connection of its own whose end would end every exclusion."""

    def __init__(self, own: Connection[tuple[Any, ...]]) -> None:
        self._own = own

    @contextmanager
    def exclude(self, sha256s: Sequence[str]) -> Iterator[PostgresExclusion]:
        """Let nobody take a lease on these digests in the block; see the port. At most some hundred at once: each is
        an entry in the server's lock table.
        """
        digests = [checked_sha256(sha256) for sha256 in sha256s]
        with _faults(), self._own.transaction():
            # Try, never wait: two collectors, or a collector and publishers, can then not block each other in a circle.
            locked = self._own.execute(
                "SELECT d FROM unnest(%s::text[]) AS d WHERE pg_try_advisory_xact_lock(blob_lock(d))", [digests]
            ).fetchall()
            # A statement of its own: its snapshot is younger than the locks, so it sees all leases taken before them.
            held = self._own.execute(
                "SELECT sha256 FROM blob_lease WHERE sha256 = ANY(%s) AND until > clock_timestamp()",
                [[digest for (digest,) in locked]],
            ).fetchall()
            free = frozenset(digest for (digest,) in locked) - {digest for (digest,) in held}
            yield PostgresExclusion(self._own, free)


class PostgresExclusion:
    """Digests that nobody holds and nobody can begin to hold."""

    def __init__(self, own: Connection[tuple[Any, ...]], free: frozenset[str]) -> None:
        self._own = own
        self.free = free

    def check(self) -> None:
        """Ask the server for a sign of life: our locks end with the connection, and only with it."""
        with _faults():
            self._own.execute("SELECT 1")


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OperationalError as fault:
        raise DatabaseUnavailable("the collector's connection was lost") from fault


def _value(own: Connection[tuple[Any, ...]], statement: str, *parameters: object) -> Any:
    row = own.execute(statement, parameters).fetchone()
    return row[0] if row else None
