"""What the collector removes, what it spares, and what it says about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from application.collecting import EXCLUDED_AT_ONCE, MOST_ERRORS, Collected, Collector
from application.log import Change, EventLog, Receipt
from domain.errors import Conflict, Unavailable
from domain.event import SYSTEM, Metadata
from domain.storage import BlobsCollected
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.leases import MemoryLeases, MemoryReferences

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=2)


class Log:
    def __init__(self) -> None:
        self.appended: list[BlobsCollected] = []
        self.metas: list[Metadata] = []
        self.away = False

    def head(self) -> int:
        return 7

    def append(self, changes: Iterable[Change], meta: Metadata) -> Receipt:
        if self.away:
            raise Unavailable("the log is away")
        for change in changes:
            assert change.version == 0
            self.appended += cast("list[BlobsCollected]", change.events)
        self.metas.append(meta)
        return Receipt(8)


class Progress:
    def __init__(self) -> None:
        self.behind = False
        self.asked: list[tuple[tuple[str, ...], int]] = []

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        self.asked.append((tuple(names), position))
        return not self.behind


class Place:
    """A collector and everything around it."""

    def __init__(self) -> None:
        self.blobs, self.references, self.leases = MemoryBlobs(lambda: NOW), MemoryReferences(), MemoryLeases()
        self.log, self.progress = Log(), Progress()
        self.collector = Collector(
            self.blobs, self.references, self.leases, cast("EventLog", self.log), self.progress, now=lambda: NOW
        )

    def put(self, content: bytes, modified_at: datetime = OLD) -> str:
        return self.blobs.put(content, modified_at)


@pytest.fixture
def place() -> Place:
    return Place()


def test_old_blobs_without_reference_go_and_the_log_says_so(place: Place) -> None:
    kept, gone = place.put(b"needed"), place.put(b"four")
    place.references.references[kept] = {"artifact"}
    place.references.former[gone] = {"deleted 1", "deleted 2"}
    meta = Metadata(kind="user")

    done = place.collector.collect(meta=meta)

    assert done == Collected(dry_run=False, storage_keys_deleted=1, artifacts_removed=2, bytes_freed=4)
    assert set(place.blobs.blobs) == {kept}
    assert place.log.appended == [BlobsCollected(blobs=(gone,), bytes_freed=4)]
    assert place.log.metas == [meta]
    assert place.progress.asked == [(("catalogue",), 7)]


def test_a_second_run_finds_nothing(place: Place) -> None:
    place.put(b"gone")
    place.collector.collect()

    assert place.collector.collect() == Collected(dry_run=False)
    assert len(place.log.appended) == 1


def test_a_dry_run_tells_and_does_nothing(place: Place) -> None:
    gone = place.put(b"four")
    place.references.former[gone] = {"deleted"}

    done = place.collector.collect(dry_run=True)

    assert done == Collected(dry_run=True, storage_keys_deleted=1, artifacts_removed=1, bytes_freed=4)
    assert set(place.blobs.blobs) == {gone}
    assert place.log.appended == []


@pytest.mark.parametrize(
    ("grace_seconds", "age_seconds", "goes"), [(3600, 3599, False), (3600, 3600, True), (0, 0, True), (60, 61, True)]
)
def test_the_grace_period_spares_young_blobs(place: Place, grace_seconds: int, age_seconds: int, goes: bool) -> None:
    place.put(b"x", NOW - timedelta(seconds=age_seconds))

    assert place.collector.collect(grace_seconds=grace_seconds).storage_keys_deleted == int(goes)


def test_uploads_in_flight_are_spared_without_grace(place: Place) -> None:
    held, gone = place.put(b"in flight"), place.put(b"gone")
    with place.leases.hold([held]):
        assert place.collector.collect(grace_seconds=0).storage_keys_deleted == 1
    assert set(place.blobs.blobs) == {held}
    assert gone not in place.blobs.blobs


def test_a_reference_that_appears_between_the_two_looks_saves_the_blob(place: Place) -> None:
    digest = place.put(b"published just now")

    def reached(names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        place.references.references[digest] = {"artifact"}
        return True

    place.progress.reached = reached  # type: ignore[method-assign]

    assert place.collector.collect(grace_seconds=0).storage_keys_deleted == 0
    assert place.blobs.exists(digest)
    assert place.log.appended == []


def test_nothing_goes_on_an_old_view_of_references(place: Place) -> None:
    digest = place.put(b"x")
    place.progress.behind = True

    done = place.collector.collect()

    assert place.blobs.exists(digest)
    assert done.storage_keys_deleted == 0
    assert "behind the log" in done.errors[0]


def test_nothing_goes_that_could_not_be_recorded(place: Place) -> None:
    digest = place.put(b"x")
    place.log.away = True

    done = place.collector.collect()

    assert place.blobs.exists(digest)
    assert done.errors == ("the log is away",)


def test_nothing_goes_once_the_exclusion_has_ended(place: Place) -> None:
    digest = place.put(b"x")
    place.leases.lapsed = True

    done = place.collector.collect()

    assert place.blobs.exists(digest)
    assert done.errors == ("the exclusion has ended",)


def test_a_store_that_goes_away_midway_ends_with_what_was_done(place: Place) -> None:
    for n in range(5):
        place.put(str(n).encode())
    delete = place.blobs.delete

    def delete_two(sha256: str) -> None:
        if len(place.blobs.blobs) == 3:
            place.blobs.away = True
        delete(sha256)

    place.blobs.delete = delete_two  # type: ignore[method-assign]

    done = place.collector.collect()

    assert done.storage_keys_deleted == done.bytes_freed == 2
    assert done.errors == ("the store is away",) * 3


def test_one_stubborn_blob_does_not_keep_the_others(place: Place) -> None:
    stubborn = min(place.put(str(n).encode()) for n in range(10))
    delete = place.blobs.delete

    def refuse_one(sha256: str) -> None:
        if sha256 == stubborn:
            raise Unavailable("this one not")
        delete(sha256)

    place.blobs.delete = refuse_one  # type: ignore[method-assign]

    done = place.collector.collect()

    assert done.errors == ("this one not",)
    assert done.storage_keys_deleted == 9
    assert set(place.blobs.blobs) == {stubborn}


def test_a_run_in_which_everything_fails_gives_up(place: Place) -> None:
    for n in range(EXCLUDED_AT_ONCE * (MOST_ERRORS + 5)):
        place.put(str(n).encode())
    place.log.away = True

    assert len(place.collector.collect().errors) == MOST_ERRORS


def test_events_stay_small(place: Place) -> None:
    for n in range(EXCLUDED_AT_ONCE * 2 + 1):
        place.put(str(n).encode())

    place.collector.collect()

    assert [len(event.blobs) for event in place.log.appended] == [EXCLUDED_AT_ONCE, EXCLUDED_AT_ONCE, 1]
    assert place.log.metas == [SYSTEM] * 3


def test_two_runs_at_once_are_refused(place: Place) -> None:
    with place.leases.collecting(), pytest.raises(Conflict, match="already running"):
        place.collector.collect()
