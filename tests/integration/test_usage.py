"""Downloads are counted exactly: in batches, through failures of the database, and at a clean stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from application.log import Change
from application.usage import Day, DownloadStats
from domain.artifact import ArtifactPublished
from domain.errors import Unavailable
from domain.ids import artifact_id
from projections.catalogue.fold import CatalogueProjection
from projections.projection import Row
from projections.usage.counter import CountedDownloads
from projections.usage.view import UsageView
from tests.integration.folding import Registry, registry

TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def opened(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as running:
        yield running


@pytest.fixture
def view(opened: Registry) -> UsageView:
    return UsageView(opened.connect)


def _counted(opened: Registry, *downloads: tuple[UUID, UUID, str], day: date = TODAY) -> None:
    moment = datetime.combine(day, datetime.min.time(), UTC)
    counter = CountedDownloads(opened.connect, lambda: moment)
    for download in downloads:
        counter.count(*download)
    assert counter.flush()


def test_downloads_are_summed_by_artifact_day_and_client(opened: Registry, view: UsageView) -> None:
    libs, first, second = uuid4(), uuid4(), uuid4()
    yesterday = TODAY - timedelta(days=1)
    _counted(opened, (first, libs, "pip/24"), (first, libs, "pip/23"), (second, libs, "curl/8"), day=yesterday)
    _counted(opened, (first, libs, "uv/1"))
    assert view.downloads([first, second, uuid4()]) == {first: 3, second: 1}
    assert view.trend(yesterday, TODAY, repository=libs) == [Day(yesterday, 3), Day(TODAY, 1)]
    assert view.trend(TODAY, TODAY, artifact=first) == [Day(TODAY, 1)]
    assert view.families(yesterday, TODAY, repository=libs) == {"pip": 2, "curl": 1, "uv": 1}
    assert view.of_repositories([libs]) == {libs: 4}
    stats = view.stats(first)
    assert (stats.count, stats.first_at, stats.last_at) == (3, _midnight(yesterday), _midnight(TODAY))
    assert view.stats(uuid4()) == DownloadStats()


def test_several_processes_add_to_the_same_rows(opened: Registry, view: UsageView) -> None:
    libs, artifact = uuid4(), uuid4()
    others = [uuid4() for _ in range(50)]

    def work() -> None:
        for _ in range(10):
            _counted(opened, *[(one, libs, "npm/1") for one in (artifact, *others)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert view.downloads([artifact, others[7]]) == {artifact: 40, others[7]: 40}


class Faulty:
    """A connection that fails when told: before the statement, or after it took effect."""

    def __init__(self, opened: Registry) -> None:
        self._opened = opened
        self.away = False
        self.lose_answer = False

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        if self.away:
            raise Unavailable("away")
        with self._opened.connect() as connection:
            yield connection
        if self.lose_answer:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def __call__(self) -> AbstractContextManager[psycopg.Connection[Row]]:
        return self._connection()


def test_a_database_that_is_away_loses_nothing(opened: Registry, view: UsageView) -> None:
    libs, artifact = uuid4(), uuid4()
    faulty = Faulty(opened)
    counter = CountedDownloads(faulty)
    faulty.away = True
    for _ in range(3):
        counter.count(artifact, libs, "pip/24")
        assert not counter.flush()
    assert counter.pending == 3
    faulty.away = False
    assert counter.flush()
    assert view.downloads([artifact]) == {artifact: 3}
    assert counter.pending == 0


def test_an_answer_that_was_lost_does_not_count_twice(opened: Registry, view: UsageView) -> None:
    libs, artifact = uuid4(), uuid4()
    faulty = Faulty(opened)
    counter = CountedDownloads(faulty)
    counter.count(artifact, libs, "pip/24")
    faulty.lose_answer = True
    assert not counter.flush()
    counter.count(artifact, libs, "pip/24")
    faulty.lose_answer = False
    assert counter.flush()
    assert view.downloads([artifact]) == {artifact: 2}


def test_a_clean_stop_writes_everything(opened: Registry, view: UsageView) -> None:
    libs, artifact = uuid4(), uuid4()
    counter = CountedDownloads(opened.connect)
    counter.start()
    for _ in range(1000):
        counter.count(artifact, libs, "pip/24")
    counter.close()
    assert view.downloads([artifact]) == {artifact: 1000}


def test_a_running_counter_writes_within_a_moment(opened: Registry, view: UsageView) -> None:
    libs, artifact = uuid4(), uuid4()
    counter = CountedDownloads(opened.connect)
    counter.start()
    try:
        counter.count(artifact, libs, "pip/24")
        deadline = time.monotonic() + 10
        while not view.downloads([artifact]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert view.downloads([artifact]) == {artifact: 1}
    finally:
        counter.close()


def test_counting_costs_a_request_next_to_nothing(opened: Registry) -> None:
    counter = CountedDownloads(opened.connect)
    artifact, libs = uuid4(), uuid4()
    fastest = min(_seconds(counter, artifact, libs) for _ in range(5))
    assert fastest < 1e-6


def _seconds(counter: CountedDownloads, artifact: UUID, libs: UUID) -> float:
    started = time.perf_counter()
    for _ in range(1000):
        counter.count(artifact, libs, "pip/24")
    return (time.perf_counter() - started) / 1000


def test_packages_versions_and_trends_speak_of_what_is_there(opened: Registry, view: UsageView) -> None:
    libs, tools = uuid4(), uuid4()
    paths = {"six-1.whl": "1", "six-1.tar.gz": "1", "six-2.whl": "2"}
    for path, version in paths.items():
        event = ArtifactPublished(
            repository=libs, path=path, package="six", version=version, sha256="00", size_bytes=1, media_type="x"
        )
        opened.log.append([Change(artifact_id(libs, path), 0, [event], libs)])
    opened.fold(CatalogueProjection())
    gone = uuid4()
    _counted(
        opened,
        *[(artifact_id(libs, path), libs, "pip/24") for path in paths],
        (artifact_id(libs, "six-2.whl"), libs, "pip/24"),
        *[(gone, libs, "pip/24")] * 5,
        (uuid4(), tools, "pip/24"),
    )
    assert view.of_packages([(libs, "six"), (libs, "other"), (tools, "six")]) == {(libs, "six"): 4}
    assert view.of_versions(libs, "six") == {"1": 2, "2": 2}
    trending = view.trending(7, 10, {libs})
    assert trending[0] == (artifact_id(libs, "six-2.whl"), 2)
    assert gone not in dict(trending)
    assert view.trending(7, 1, {libs}) == trending[:1]
    assert view.trending(7, 10, set()) == []
    assert dict(view.trending(7, 1000)).keys() >= dict(trending).keys()
    assert view.total() >= 10


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
