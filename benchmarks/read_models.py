"""Read models: how fast they are rebuilt, that a long log answers as fast as a short one, and the past as the present.

`python -m benchmarks read_models`: a log of EVENTS against one of 10,000 (BENCH_EVENTS=1200000: a million artifacts). Most
artifacts are in one repository.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection

from application.log import EventLog
from benchmarks import audit, catalogue, search
from benchmarks.figures import Figure, milliseconds, rate
from benchmarks.log_filler import fill
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.personal import PersonKeys
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.writer import Writer
from infrastructure.signing.ed25519 import Ed25519Signer
from projections.access.fold import AccessProjection
from projections.audit.fold import AuditProjection
from projections.audit.view import AuditView
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from projections.projection import Projection, Row
from projections.runner import BATCH
from projections.search.fold import SearchProjection
from projections.search.view import SearchView
from projections.transparency.fold import Transparency

SHORT = 10_000
EVENTS = int(os.environ.get("BENCH_EVENTS", "240000"))
REBUILT_PER_SECOND = 40_000
ASKED = 20

READING = "nothing, only reading"


def figures() -> Iterator[Figure]:
    """Rates of the long log, then each question of both logs, then the past against the present."""
    with tempfile.TemporaryDirectory(prefix="ak-") as name:
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name)) as server:
            short, long = filled(server, "short", SHORT), filled(server, "long", EVENTS)
            with opened(short) as few, opened(long) as many:
                rebuilt(short, few)
                rates = rebuilt(long, many)
                before, after = asked(questions(few, SHORT), questions(many, EVENTS))
    for what, per_second in rates.items():
        yield Figure(
            f"rebuild of {what}", rate(per_second), f"read alone {rate(rates[READING])}", per_second, "/s",
            least=REBUILT_PER_SECOND,
        )  # fmt: skip
    for question, seconds in after.items():
        yield Figure(
            f"{question}: {EVENTS:,} events to {SHORT:,}", milliseconds(seconds), milliseconds(before[question]),
            seconds / before[question], most=2,
        )  # fmt: skip
    for question, seconds in after.items():
        now = question.removesuffix(", as of")
        if now != question:
            yield Figure(
                f"{question}: then to now", milliseconds(seconds), milliseconds(after[now]), seconds / after[now], most=2
            )  # fmt: skip


def filled(server: EmbeddedPostgres, name: str, events: int) -> str:
    """A database of its own with a log of so many events."""
    with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as root:
        root.execute(f"CREATE DATABASE {name} OWNER {ROLE}".encode())
    dsn = server.dsn(name)
    migrate(dsn)
    fill(dsn, events)
    return dsn


class Opened(NamedTuple):
    """A log and its read models."""

    pool: Pool
    log: EventLog


@contextmanager
def opened(dsn: str) -> Iterator[Opened]:
    pool, writer = open_pool(dsn), Writer(dsn)
    try:
        yield Opened(pool, EventLog(EventRecorder(pool, writer)))
    finally:
        writer.close()
        pool.close()


def rebuilt(dsn: str, place: Opened) -> dict[str, float]:
    """Events a second of each rebuild."""
    events = place.log.head()
    rates = {READING: events / rebuild(dsn, place.log, None)}
    for projection in projections(place.pool):
        rates[projection.name] = events / rebuild(dsn, place.log, projection)
    with psycopg.connect(dsn, autocommit=True) as connected:
        connected.execute("VACUUM ANALYZE")
    return rates


def projections(pool: Pool) -> list[Projection]:
    keys = PersonKeys(lambda: connection(pool), secrets.token_hex(32))
    signer = Ed25519Signer.generate("bench.example/log")
    return [CatalogueProjection(), AccessProjection(keys), AuditProjection(), SearchProjection(), Transparency(signer)]


def rebuild(dsn: str, log: EventLog, projection: Projection | None) -> float:
    """Seconds to fold the whole log in the runner's batches; None only reads it."""
    begun, position = time.perf_counter(), 0
    with psycopg.connect(dsn, autocommit=True) as folding:
        folding.execute("SET synchronous_commit = off")
        while page := log.read(position, BATCH):
            if projection is not None:
                with folding.transaction(), folding.cursor() as cursor:
                    projection.apply(cursor, page)
            position = page[-1].position
    return time.perf_counter() - begun


Question = Callable[[], object]


def questions(place: Opened, events: int) -> dict[str, Question]:
    def connect() -> AbstractContextManager[Connection[Row]]:
        return connection(place.pool)

    every = {
        "catalogue": catalogue.questions(CatalogueView(connect), events),
        "audit": audit.questions(AuditView(connect, place.log.recorded), events),
        "search": search.questions(SearchView(connect), events),
    }
    return {f"{title}: {name}": ask for title, these in every.items() for name, ask in these.items()}


def asked(few: Mapping[str, Question], many: Mapping[str, Question]) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each question, the least of ASKED calls in turns: what else runs on the machine can only add to it."""
    times: dict[tuple[int, str], list[float]] = {}
    for name in few:
        for _ in range(ASKED):
            for which, questions in enumerate((few, many)):
                begun = time.perf_counter()
                questions[name]()
                times.setdefault((which, name), []).append(time.perf_counter() - begun)
    return {name: min(times[0, name]) for name in few}, {name: min(times[1, name]) for name in few}
