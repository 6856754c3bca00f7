"""Collecting storage: removing the blobs that nothing refers to, and only those, while uploads go on.

A blob goes when it is older than the grace period, nothing refers to it, and nobody holds a lease on it; the last two
are decided and acted on while no lease can be taken. What is removed is recorded before it is gone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec

from application.log import Change, EventLog
from application.ports import BlobInfo, BlobLeases, BlobReferences, BlobStore, CollectorRun, Exclusion
from application.publishing import Progress
from domain.errors import RegistryError, Unavailable
from domain.event import SYSTEM, Metadata
from domain.storage import BlobsCollected

DEFAULT_GRACE_SECONDS = 3600

LISTED_AT_ONCE = 1_000
EXCLUDED_AT_ONCE = 100
"""How many digests are closed to uploads at a time, for as long as it takes to delete them."""

MOST_ERRORS = 20


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, or would do when it is dry.

    storage_keys_deleted: blobs. artifacts_removed: artifacts, all deleted before, whose bytes went. errors: why parts
    were left for the next run, at most MOST_ERRORS. maven_flat_objects_gated: objects held back because they lie in a
    flat layout shared between repositories; bytes here lie under their digest, so there are none.
    """

    dry_run: bool
    storage_keys_deleted: int = 0
    artifacts_removed: int = 0
    bytes_freed: int = 0
    errors: tuple[str, ...] = ()
    maven_flat_objects_gated: int = 0


class Collector:
    """Removes blobs without reference. projections: the read models that `references` is made of.

    A run may be cut at any point; the next one continues. Runs of several processes exclude each other.
    """

    def __init__(
        self,
        blobs: BlobStore,
        references: BlobReferences,
        leases: BlobLeases,
        log: EventLog,
        progress: Progress,
        projections: Sequence[str] = ("catalogue",),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._blobs = blobs
        self._references = references
        self._leases = leases
        self._log = log
        self._progress = progress
        self._projections = projections
        self._now = now

    def collect(
        self, *, dry_run: bool = False, grace_seconds: int = DEFAULT_GRACE_SECONDS, meta: Metadata = SYSTEM
    ) -> Collected:
        """Look at every stored blob once. grace_seconds 0 spares nothing but uploads in flight.

        Raises Conflict while another run is active, Unavailable when it cannot begin; what fails later is in `errors`.
        """
        tally = _Tally(dry_run)
        with self._leases.collecting() as run:
            try:
                for candidates in self._candidates(grace_seconds):
                    self._remove(run, candidates, meta, tally)
            except RegistryError as reason:
                tally.errors.append(str(reason))
            except _TooManyErrors:
                pass
        return tally.result()

    def _candidates(self, grace_seconds: int) -> Iterator[list[BlobInfo]]:
        """Old and apparently unreferenced blobs, in portions. Decides nothing: references may still be on their way."""
        before = self._now() - timedelta(seconds=grace_seconds)
        old = (info for info in self._blobs.list() if info.modified_at <= before)
        for listed in _portions(old, LISTED_AT_ONCE):
            unreferenced = self._references.unreferenced([info.sha256 for info in listed])
            yield from _portions((info for info in listed if info.sha256 in unreferenced), EXCLUDED_AT_ONCE)

    def _remove(self, run: CollectorRun, candidates: Sequence[BlobInfo], meta: Metadata, tally: _Tally) -> None:
        try:
            with run.exclude([info.sha256 for info in candidates]) as exclusion:
                doomed = self._doomed(candidates, exclusion.free)
                if not doomed:
                    return
                artifacts = self._references.former_artifacts([info.sha256 for info in doomed])
                if not tally.dry_run:
                    self._record(doomed, meta)
                    doomed = self._delete(doomed, exclusion, tally)
                tally.add(doomed, artifacts)
        except RegistryError as reason:
            tally.fail(reason)

    def _delete(self, doomed: Sequence[BlobInfo], exclusion: Exclusion, tally: _Tally) -> list[BlobInfo]:
        """Those that went. One that cannot be deleted does not keep the others; a lost exclusion ends it all."""
        gone = []
        for info in doomed:
            try:
                exclusion.check()
            except RegistryError as reason:
                tally.fail(reason)
                break
            try:
                self._blobs.delete(info.sha256)
            except RegistryError as reason:
                tally.fail(reason)
            else:
                gone.append(info)
        return gone

    def _doomed(self, candidates: Iterable[BlobInfo], free: frozenset[str]) -> list[BlobInfo]:
        """Those that nothing refers to in the whole log up to now. Called when no lease on them exists or can begin,
        so every event that names them is either in the log already or will be preceded by keeping the bytes again.
        """
        if not free:
            return []
        if not self._progress.reached(self._projections, self._log.head()):
            raise Unavailable("the catalogue is behind the log; nothing is deleted on an old view of references")
        unreferenced = self._references.unreferenced(sorted(free))
        return [info for info in candidates if info.sha256 in free and info.sha256 in unreferenced]

    def _record(self, doomed: Sequence[BlobInfo], meta: Metadata) -> None:
        """Before the deletion: a crash in between leaves bytes that the next run removes, never an unexplained gap."""
        event = BlobsCollected(
            blobs=tuple(info.sha256 for info in doomed), bytes_freed=sum(info.size_bytes for info in doomed)
        )
        self._log.append([Change(uuid4(), 0, [event])], meta)


class _Tally:
    """What a run has done so far."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.errors: list[str] = []
        self._blobs = self._artifacts = self._bytes = 0

    def add(self, gone: Sequence[BlobInfo], artifacts: int) -> None:
        self._blobs += len(gone)
        self._bytes += sum(info.size_bytes for info in gone)
        self._artifacts += artifacts if gone else 0

    def fail(self, reason: RegistryError) -> None:
        """Note an error; raises _TooManyErrors with the last that fits."""
        self.errors.append(str(reason))
        if len(self.errors) == MOST_ERRORS:
            raise _TooManyErrors

    def result(self) -> Collected:
        return Collected(
            dry_run=self.dry_run,
            storage_keys_deleted=self._blobs,
            artifacts_removed=self._artifacts,
            bytes_freed=self._bytes,
            errors=tuple(self.errors),
        )


class _TooManyErrors(Exception):
    """The run gives up."""


def _portions(infos: Iterable[BlobInfo], size: int) -> Iterator[list[BlobInfo]]:
    iterator = iter(infos)
    while portion := list(itertools.islice(iterator, size)):
        yield portion
