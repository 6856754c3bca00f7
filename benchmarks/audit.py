"""The audit trail: how fast it is rebuilt, and that its queries cost the same in a long log as in a short one.

`python -m benchmarks.audit [--events 200000]`: medians in milliseconds, and the ratio of the long log to one of 10,000.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg

from application.auditing import AuditQuery
from application.log import EventLog
from benchmarks.log_filler import REPOSITORIES, fill, package_name, people, repositories
from domain.ids import artifact_id
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import connection, open_pool
from infrastructure.postgres.writer import Writer
from projections.audit.fold import AuditProjection
from projections.audit.view import AuditView

SMALL = 10_000
BATCH = 5_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="size of the long log (default: %(default)s)")
    events = parser.parse_args().events
    directory = Path(tempfile.mkdtemp(prefix="ak-bench-"))
    directory.chmod(0o711)
    try:
        with EmbeddedPostgres(directory) as server:
            short, _ = measure(server, "short", SMALL)
            long, rate = measure(server, "long", events)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"rebuild: {rate:,.0f} events/s")
    print(f"{'query':<34}{SMALL:>12,}{events:>12,}   ratio")
    for name, before in short.items():
        print(f"{name:<34}{before:>9.2f} ms{long[name]:>9.2f} ms{long[name] / before:>8.2f}")


def measure(server: EmbeddedPostgres, name: str, events: int) -> tuple[dict[str, float], float]:
    """Median time of each query in milliseconds, and the rate of the rebuild in events a second."""
    with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as root:
        root.execute(f"CREATE DATABASE {name} OWNER {ROLE}".encode())
    dsn = server.dsn(name)
    migrate(dsn)
    fill(dsn, events)
    pool, writer = open_pool(dsn), Writer(dsn)
    try:
        log = EventLog(EventRecorder(pool, writer))
        rate = rebuild(dsn, log, events)
        view = AuditView(lambda: connection(pool), log.recorded)
        return {query: median_ms(ask) for query, ask in questions(view, events).items()}, rate
    finally:
        writer.close()
        pool.close()


def rebuild(dsn: str, log: EventLog, events: int) -> float:
    """Fold the whole log in the runner's batches."""
    projection, started, position = AuditProjection(), time.perf_counter(), 0
    with psycopg.connect(dsn, autocommit=True) as folding:
        folding.execute("SET synchronous_commit = off")
        while page := log.read(position, BATCH):
            with folding.transaction(), folding.cursor() as cursor:
                projection.apply(cursor, page)
            position = page[-1].position
        seconds = time.perf_counter() - started
        folding.execute("VACUUM ANALYZE view_audit")
    return events / seconds


def questions(view: AuditView, events: int) -> dict[str, Callable[[], object]]:
    """Each asks for a page of 100 from the middle of the log."""
    middle = events // 2
    entry = view.oldest(AuditQuery(topics=("artifact.published",)), after=middle, limit=1).entries[0]
    package = package_name(middle // 24)
    path = f"{package}/{package.replace('-', '_')}-1.0.0.tar.gz"
    repository: UUID = repositories[middle // 24 % REPOSITORIES]

    def ask(**asked: object) -> Callable[[], object]:
        query = AuditQuery(**asked)  # type: ignore[arg-type]
        return lambda: view.newest(query, before=middle, limit=100)

    return {
        "everything": ask(),
        "actor, busy": ask(actor=people[0]),
        "actor, quiet": ask(actor=people[-1]),
        "action": ask(actions=("ARTIFACT_DELETED",)),
        "repository": ask(repository=repositories[3]),
        "repository and actor": ask(repository=repositories[3], actor=people[5]),
        "package": lambda: view.newest(AuditQuery(repository=repository, package=package)),
        "artifact by path": lambda: view.newest(AuditQuery(path=path)),
        "artifact by id": lambda: view.newest(AuditQuery(resource_id=artifact_id(repository, path))),
        "request": lambda: view.newest(AuditQuery(request=entry.request)),
        "time range": lambda: view.newest(AuditQuery(until=entry.at), limit=100),
        "first page by number": lambda: view.numbered(AuditQuery(), 1, 100),
        "first page by number, one actor": lambda: view.numbered(AuditQuery(actor=people[-1]), 1, 100),
    }


def median_ms(ask: Callable[[], object]) -> float:
    """Of 30 calls, after 5 that do not count."""
    times = []
    for _ in range(35):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times[5:]) * 1000


if __name__ == "__main__":
    main()
