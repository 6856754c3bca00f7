"""Read models made anew beside the live ones: to take their place without downtime, or to be compared with them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import LiteralString, Self

import msgspec
import psycopg
from psycopg import sql

from application.log import Recorded
from domain.errors import Conflict, Invalid, Unavailable
from projections.projection import Projection, Row
from projections.runner import BATCH, LOCK_CLASS, READ

CLOSE_ENOUGH = 1_000
SWAP_LOCK_TIMEOUT = "5s"
SHOWN_DIFFERENCES = 10

Report = Callable[[str, int, int], None]
"""Told the projection, the position reached and the head."""


class Difference(msgspec.Struct, frozen=True):
    """A row that only one side has. side: `live` or `rebuilt`."""

    table: str
    side: str
    row: str


class Verification(msgspec.Struct, frozen=True):
    """What a comparison found. differences: at most SHOWN_DIFFERENCES for each table that differs."""

    projection: str
    position: int
    rows: int
    differing_tables: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether the live read model is what its events say."""
        return not self.differing_tables


class Rebuild:
    """A shadow of one projection, in a schema of its own. Use as a context manager: leaving drops what is left."""

    def __init__(
        self, dsn: str, projection: Projection, decode: Callable[[Row], Recorded], report: Report = lambda *_: None
    ) -> None:
        if not projection.rebuildable:
            raise Invalid(
                f"the read model {projection.name} is signed as it grows and is never rebuilt; verify the log"
            )
        self._dsn = dsn
        self._projection = projection
        self._beside = projection
        self._decode = decode
        self._report = report
        self._shadow = f"shadow_{projection.name}"
        self._former = f"former_{projection.name}"
        self._position = 0

    def __enter__(self) -> Self:
        try:
            self._work = psycopg.connect(self._dsn, autocommit=True, application_name="artifact-keeper rebuild")
        except psycopg.OperationalError as error:
            raise Unavailable(f"the database does not answer: {error}") from None
        row = self._work.execute(
            "SELECT pg_try_advisory_lock(hashtext('artifact-keeper rebuild'), hashtext(%s))", (self._projection.name,)
        ).fetchone()
        if row is None or not row[0]:
            self._work.close()
            raise Conflict(f"the read model {self._projection.name} is being rebuilt or verified already")
        self._drop(self._shadow)
        self._drop(self._former)
        self._run("CREATE SCHEMA {}", self._shadow)
        for table in self._projection.tables:
            self._run("CREATE TABLE {}.{} (LIKE public.{} INCLUDING ALL)", self._shadow, table, table)
        self._run("SET search_path = {}, public", self._shadow)
        try:
            self._beside = self._projection.shadow()
        except BaseException:
            self.__exit__()
            raise
        self._work.execute("SET synchronous_commit = off")
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(psycopg.Error):
            self._work.execute("SET search_path = public")
            self._drop(self._shadow)
            self._drop(self._former)
        self._work.close()
        if self._beside is not self._projection:
            self._beside.discard()

    def swap(self) -> int:
        """Fold everything into the shadow and put it in the live tables' place; the position reached."""
        self._catch_up(leave=CLOSE_ENOUGH)
        with self._leadership():
            self._catch_up(leave=0)
            with self._work.transaction():
                self._work.execute(f"SET LOCAL lock_timeout = '{SWAP_LOCK_TIMEOUT}'")
                self._run("CREATE SCHEMA {}", self._former)
                for table in self._projection.tables:
                    self._run("ALTER TABLE public.{} SET SCHEMA {}", table, self._former)
                    self._run("ALTER TABLE {}.{} SET SCHEMA public", self._shadow, table)
                with self._work.cursor() as cursor:
                    self._projection.replace(cursor, self._beside)
                self._work.execute(
                    "UPDATE es_tracking SET position = %s, epoch = epoch + 1, at = clock_timestamp(), "
                    "failed_at = NULL, error = NULL WHERE projection = %s",
                    (self._position, self._projection.name),
                )
        return self._position

    def verify(self) -> Verification:
        """Fold up to where the live read model is, and compare row by row; the live one pauses meanwhile.

        Raises Invalid for one that has no tables.
        """
        if not self._projection.tables:
            raise Invalid(f"the read model {self._projection.name} is not in the database: rebuild it instead")
        self._catch_up(leave=CLOSE_ENOUGH)
        with self._leadership():
            row = self._work.execute(
                "SELECT position FROM es_tracking WHERE projection = %s", (self._projection.name,)
            ).fetchone()
            self._catch_up(leave=0, upto=row[0] if row else 0)
            rows, differing, differences = 0, [], []
            for table in self._projection.tables:
                count, equal = self._compare(table)
                rows += count
                if not equal:
                    differing.append(table)
                    differences += self._differences(table)
        return Verification(self._projection.name, self._position, rows, tuple(differing), tuple(differences))

    def _catch_up(self, *, leave: int, upto: int | None = None) -> None:
        while True:
            head = self._head() if upto is None else upto
            if head - self._position <= leave:
                return
            limit = min(BATCH, head - self._position)
            rows = self._work.execute(READ, (self._position, limit), prepare=True, binary=True).fetchall()
            if not rows:
                return
            events = [self._decode(row) for row in rows]
            with self._work.transaction(), self._work.cursor() as cursor:
                self._beside.apply(cursor, events)
            self._position = events[-1].position
            self._report(self._projection.name, self._position, head)

    def _head(self) -> int:
        row = self._work.execute("SELECT position FROM es_head").fetchone()
        return row[0] if row else 0

    @contextmanager
    def _leadership(self) -> Iterator[None]:
        """Be the live projection's leader: queue for its lock, then ask whoever holds it to let go."""
        name = self._projection.name
        with psycopg.connect(self._dsn, autocommit=True, application_name="artifact-keeper rebuild leader") as leader:
            got = threading.Event()

            def take() -> None:
                leader.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, hashtext(%s))", (name,))
                got.set()

            thread = threading.Thread(target=take, name="rebuild-leadership", daemon=True)
            thread.start()
            while not got.wait(0.05):
                self._work.execute(_TERMINATE_LEADER, (name, leader.info.backend_pid))
            yield

    def _compare(self, table: str) -> tuple[int, bool]:
        sums = [
            self._work.execute(
                sql.SQL("SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {}.{} t").format(
                    sql.Identifier(schema), sql.Identifier(table)
                )
            ).fetchone()
            for schema in ("public", self._shadow)
        ]
        assert sums[0] is not None  # noqa: S101 - an aggregate gives one row
        return sums[0][0], sums[0] == sums[1]

    def _differences(self, table: str) -> list[Difference]:
        found = []
        for side, here, there in (("live", "public", self._shadow), ("rebuilt", self._shadow, "public")):
            rows = self._work.execute(
                sql.SQL("SELECT t::text FROM {0}.{2} t EXCEPT ALL SELECT t::text FROM {1}.{2} t LIMIT {3}").format(
                    sql.Identifier(here),
                    sql.Identifier(there),
                    sql.Identifier(table),
                    sql.Literal(SHOWN_DIFFERENCES),
                )
            ).fetchall()
            found += [Difference(table, side, row[0]) for row in rows]
        return found

    def _drop(self, schema: str) -> None:
        self._run("DROP SCHEMA IF EXISTS {} CASCADE", schema)

    def _run(self, statement: LiteralString, *names: str) -> None:
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        self._work.execute(composed)


_TERMINATE_LEADER = f"""
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = {LOCK_CLASS}::bigint & 4294967295
      AND objid::bigint = hashtext(%s)::bigint & 4294967295 AND pid <> %s
"""
