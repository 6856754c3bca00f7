"""Durable commands a second through the group-commit writer, against the event library's own PostgreSQL recorder.

Each command is one new stream with one event of about 400 bytes; both run on the same embedded, durable server in turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from application.log import Change, EventLog
from domain.artifact import ArtifactPublished
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import open_pool
from infrastructure.postgres.writer import Writer

SECONDS = 3.0


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ak-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder)) as server:
            dsn = server.dsn()
            migrate(dsn)
            pool = open_pool(dsn, max_size=8)
            writer = Writer(dsn)
            log = EventLog(EventRecorder(pool, writer))
            datastore = PostgresDatastore(
                dbname="artifact_keeper", host=str(Path(folder) / "run"), port="5432", user="artifact_keeper", password="",
                pool_size=32, max_overflow=40,
            )  # fmt: skip
            recorder = PostgresApplicationRecorder(datastore, events_table_name="library_events")
            recorder.create_table()
            print(
                f"{'callers':>8} {'ours/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'library/s':>10} {'p99 ms':>8} {'ratio':>7}"
            )
            for callers in (1, 8, 64):
                rounds = [
                    (drive(ours(log), callers, arguments.seconds), drive(library(recorder), callers, arguments.seconds))
                    for _ in range(arguments.rounds)
                ]
                mine, theirs = sorted(rounds, key=lambda pair: pair[0].per_second / pair[1].per_second)[
                    len(rounds) // 2
                ]
                ratio = statistics.median(a.per_second / b.per_second for a, b in rounds)
                print(
                    f"{callers:>8} {mine.per_second:>9.0f} {mine.p50_ms:>8.2f} {mine.p99_ms:>8.2f} "
                    f"{theirs.per_second:>10.0f} {theirs.p99_ms:>8.2f} {ratio:>7.1f}"
                )
            datastore.close()
            writer.close()
            pool.close()


if __name__ == "__main__":
    main()
