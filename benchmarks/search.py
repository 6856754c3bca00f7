"""Search: how fast the index is rebuilt, and that it answers from many artifacts as from few.

`python -m benchmarks.search [--events 200000]`: medians in milliseconds, and the ratio of the long log to one of 10,000.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from application.log import EventLog
from application.searching import SearchQuery
from benchmarks.audit import BATCH, SMALL, median_ms
from benchmarks.log_filler import fill, package_name, repositories, vocabulary
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import connection, open_pool
from infrastructure.postgres.writer import Writer
from projections.search.fold import SearchProjection
from projections.search.view import SearchView


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
        rate = rebuild(dsn, EventLog(EventRecorder(pool, writer)), events)
        view = SearchView(lambda: connection(pool))
        return {query: median_ms(ask) for query, ask in questions(view, events).items()}, rate
    finally:
        writer.close()
        pool.close()


def rebuild(dsn: str, log: EventLog, events: int) -> float:
    """Fold the whole log in the runner's batches."""
    projection, started, position = SearchProjection(), time.perf_counter(), 0
    with psycopg.connect(dsn, autocommit=True) as folding:
        folding.execute("SET synchronous_commit = off")
        while page := log.read(position, BATCH):
            with folding.transaction(), folding.cursor() as cursor:
                projection.apply(cursor, page)
            position = page[-1].position
        seconds = time.perf_counter() - started
        folding.execute("VACUUM ANALYZE view_search, view_search_package")
    return events / seconds


def questions(view: SearchView, events: int) -> dict[str, Callable[[], object]]:
    """What people ask most."""
    package = package_name(events // 48)
    few = frozenset(repositories[:5])

    def search(**asked: object) -> Callable[[], object]:
        return lambda: view.search(SearchQuery(**asked))  # type: ignore[arg-type]

    return {
        "quick, a name": lambda: view.quick(package, None, 10),
        "quick, a frequent word": lambda: view.quick(vocabulary[0], None, 10),
        "quick, a common word": lambda: view.quick(vocabulary[100], None, 10),
        "quick, a rare word": lambda: view.quick(vocabulary[1900], None, 10),
        "quick, a word of every artifact": lambda: view.quick("tar", None, 10),
        "quick, two words": lambda: view.quick(f"{vocabulary[3]} {vocabulary[40]}", None, 10),
        "quick, mistyped": lambda: view.quick(package.replace("-", "") + "q", None, 10),
        "quick, few repositories": lambda: view.quick(vocabulary[0], few, 10),
        "advanced, a name": search(name=package),
        "advanced, name with wildcard": search(name=f"*{package[2:]}"),
        "advanced, part of a path": search(path=package[3:]),
        "advanced, everything": search(),
        "advanced, everything by name": search(sort="name", descending=False),
        "advanced, sizes": search(min_size=9_990_000),
        "suggest": lambda: view.suggest(package[:7], None, 10),
        "recent": lambda: view.recent(few, 10),
        "checksum": lambda: view.by_checksum("md5", f"{events // 2:032x}", None),
        "packages, a page": lambda: view.packages("", few, limit=24, offset=0),
        "packages, part of a name": lambda: view.packages(package[2:], None, limit=24, offset=0),
    }


if __name__ == "__main__":
    main()
