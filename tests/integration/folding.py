"""A log in a real database, and projections folded from it on demand: no threads, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from application.log import EventLog
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.writer import Writer
from projections.projection import Projection, Row


class Registry:
    """A log and what was folded from it so far."""

    def __init__(self, dsn: str, pool: Pool, log: EventLog) -> None:
        self.dsn = dsn
        self.pool = pool
        self.log = log
        self._reached: dict[str, int] = {}

    def connect(self) -> AbstractContextManager[psycopg.Connection[Row]]:
        """What views take."""
        return connection(self.pool)

    def fold(self, *projections: Projection, batch: int = 5_000) -> None:
        """Bring projections up to the head, in batches like the runner's."""
        with psycopg.connect(self.dsn) as folding:
            for projection in projections:
                while events := self.log.read(self._reached.get(projection.name, 0), batch):
                    with folding.transaction(), folding.cursor() as cursor:
                        projection.apply(cursor, events)
                    self._reached[projection.name] = events[-1].position

    def forget(self, name: str) -> None:
        """Fold this projection from the beginning next time."""
        self._reached.pop(name, None)

    def rows(self, statement: str, *parameters: object) -> list[Row]:
        """What a statement gives."""
        with self.connect() as open_connection:
            rows: list[Row] = open_connection.execute(statement, parameters).fetchall()
        return rows


@contextmanager
def registry(dsn: str) -> Iterator[Registry]:
    """Open a log on a migrated database."""
    pool = open_pool(dsn, min_size=1, max_size=5)
    writer = Writer(dsn)
    try:
        yield Registry(dsn, pool, EventLog(EventRecorder(pool, writer)))
    finally:
        writer.close()
        pool.close()
