"""Leases within one process, and references that a test sets by hand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from domain.errors import Conflict, Unavailable


class MemoryLeases:
    """One condition guards everything: who asks for a lease on an excluded digest waits."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        self.excluded: set[str] = set()
        self.lapsed = False
        self._changed = threading.Condition()
        self._running = threading.Lock()

    @contextmanager
    def hold(self, sha256s: Iterable[str]) -> Iterator[MemoryLease]:
        lease = MemoryLease(self)
        try:
            lease.extend(sha256s)
            yield lease
        finally:
            with self._changed:
                self.held -= Counter(lease.digests)

    def take(self, digests: set[str]) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: not digests & self.excluded, timeout=5):
                raise Unavailable("the collector does not end")
            self.held += Counter(digests)

    @contextmanager
    def collecting(self) -> Iterator[MemoryLeases]:
        if not self._running.acquire(blocking=False):
            raise Conflict("a collection is already running")
        try:
            yield self
        finally:
            self._running.release()

    @contextmanager
    def exclude(self, sha256s: Sequence[str]) -> Iterator[MemoryExclusion]:
        with self._changed:
            free = frozenset(sha256s) - set(self.held)
            self.excluded |= free
        try:
            yield MemoryExclusion(self, free)
        finally:
            with self._changed:
                self.excluded -= free
                self._changed.notify_all()


class MemoryLease:
    def __init__(self, leases: MemoryLeases) -> None:
        self.leases = leases
        self.digests: set[str] = set()

    def extend(self, sha256s: Iterable[str]) -> None:
        digests = set(sha256s) - self.digests
        self.leases.take(digests)
        self.digests |= digests

    def check(self) -> None:
        if self.leases.lapsed:
            raise Unavailable("the lease has lapsed")


class MemoryExclusion:
    def __init__(self, leases: MemoryLeases, free: frozenset[str]) -> None:
        self.leases = leases
        self.free = free

    def check(self) -> None:
        if self.leases.lapsed:
            raise Unavailable("the exclusion has ended")


class MemoryReferences:
    """references: digest to the artifacts that need it. former: the same for deleted ones."""

    def __init__(self) -> None:
        self.references: dict[str, set[str]] = {}
        self.former: dict[str, set[str]] = {}

    def unreferenced(self, sha256s: Sequence[str]) -> set[str]:
        return {sha256 for sha256 in sha256s if not self.references.get(sha256)}

    def former_artifacts(self, sha256s: Sequence[str]) -> int:
        return len(set[str]().union(*(self.former.get(sha256, set()) for sha256 in sha256s)))
