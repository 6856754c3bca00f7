"""Durable commands a second through the group-commit writer, against the event library's own PostgreSQL recorder.

Each command is one new stream with one event of about 400 bytes; both run on the same embedded, durable server in turn.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from application.log import Change, EventLog
from benchmarks.figures import Figure, rate
from domain.artifact import ArtifactPublished
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import open_pool
from infrastructure.postgres.writer import Writer

SECONDS = 3.0
ROUNDS = 3
LEADS = {1: 0.8, 8: 3.0, 64: 5.0}
"""Callers to the least ratio."""

COMMANDS_PER_SECOND = 10_000


@dataclass
class Rate:
    per_second: float
    p50_ms: float
    p99_ms: float


def drive(command: Callable[[], None], callers: int, seconds: float) -> Rate:
    """Call from so many threads for so long."""
    taken: list[list[float]] = [[] for _ in range(callers)]
    stop = time.perf_counter() + seconds

    def call(mine: list[float]) -> None:
        while (begun := time.perf_counter()) < stop:
            command()
            mine.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=call, args=(mine,)) for mine in taken]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_taken = sorted(one for mine in taken for one in mine)
    rate = len(all_taken) / (time.perf_counter() - begun)
    return Rate(rate, all_taken[len(all_taken) // 2] * 1e3, all_taken[int(len(all_taken) * 0.99)] * 1e3)


def ours(log: EventLog) -> Callable[[], None]:
    def command() -> None:
        event = ArtifactPublished(
            repository=uuid4(), path="demo/demo-1.0.whl", package="demo", version="1.0", sha256="0" * 64, size_bytes=1,
            media_type="application/zip",
        )  # fmt: skip
        log.append([Change(uuid4(), 0, [event], event.repository)])

    return command


def library(recorder: PostgresApplicationRecorder) -> Callable[[], None]:
    state = b"x" * 400

    def command() -> None:
        recorder.insert_events([StoredEvent(uuid4(), 1, "artifact.published", state)])

    return command


def figures() -> Iterator[Figure]:
    """By 1, 8 and 64 callers."""
    with tempfile.TemporaryDirectory(prefix="ak-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder) as server:
            dsn = server.dsn()
            migrate(dsn)
            pool, writer = open_pool(dsn, max_size=8), Writer(dsn)
            datastore = PostgresDatastore(
                dbname="artifact_keeper", host=str(folder / "run"), port="5432", user="artifact_keeper", password="",
                pool_size=32, max_overflow=40,
            )  # fmt: skip
            recorder = PostgresApplicationRecorder(datastore, events_table_name="library_events")
            recorder.create_table()
            try:
                commands = ours(EventLog(EventRecorder(pool, writer))), library(recorder)
                for callers, least in LEADS.items():
                    yield from compare(*commands, callers, least)
            finally:
                datastore.close()
                writer.close()
                pool.close()


def compare(mine: Callable[[], None], theirs: Callable[[], None], callers: int, least: float) -> Iterator[Figure]:
    rounds = [(drive(mine, callers, SECONDS), drive(theirs, callers, SECONDS)) for _ in range(ROUNDS)]
    middle = statistics.median(ours.per_second for ours, _ in rounds)
    yield Figure(
        f"durable commands, {callers} callers, against the library's recorder", rate(middle),
        rate(statistics.median(library.per_second for _, library in rounds)),
        statistics.median(ours.per_second / library.per_second for ours, library in rounds), least=least,
    )  # fmt: skip
    if callers == max(LEADS):
        yield Figure(
            f"durable commands, {callers} callers", rate(middle),
            f"p99 {statistics.median(ours.p99_ms for ours, _ in rounds):.1f} ms", middle, "/s", least=COMMANDS_PER_SECOND,
        )  # fmt: skip
