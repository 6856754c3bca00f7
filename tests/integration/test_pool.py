"""The pool of connections: what callers get, and that it heals itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from domain.errors import Unavailable
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.pool import DatabaseUnavailable, Pool, connection, open_pool


@pytest.fixture
def pool(empty_postgres_dsn: str) -> Iterator[Pool]:
    with open_pool(empty_postgres_dsn, 1, 2, acquire_timeout_seconds=0.3) as opened:
        yield opened


def test_connections_commit_each_statement_and_speak_utc(pool: Pool, empty_postgres_dsn: str) -> None:
    with connection(pool) as borrowed:
        borrowed.execute("CREATE TABLE seen (id int)")
        assert borrowed.execute("SHOW timezone").fetchone() == ("UTC",)
        with psycopg.connect(empty_postgres_dsn) as other:
            assert other.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_a_fault_of_the_statement_passes_unchanged(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), connection(pool) as borrowed:
        borrowed.execute("SELECT * FROM nothing")


def test_an_exhausted_pool_is_unavailable(pool: Pool) -> None:
    with connection(pool), connection(pool), pytest.raises(Unavailable), connection(pool):
        pass


def test_connections_that_the_server_ended_are_not_handed_out(pool: Pool, postgres_server: EmbeddedPostgres) -> None:
    with connection(pool) as borrowed:
        database, before = borrowed.execute("SELECT current_database(), pg_backend_pid()").fetchone() or (None, None)
    with psycopg.connect(postgres_server.dsn("postgres", "postgres")) as superuser:
        superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [before])

    with connection(pool) as borrowed:
        found = borrowed.execute("SELECT current_database(), pg_backend_pid()").fetchone()
    assert found is not None
    assert found[0] == database
    assert found[1] != before


def test_a_connection_lost_in_use_is_unavailable_and_the_next_one_works(pool: Pool) -> None:
    with pytest.raises(DatabaseUnavailable), connection(pool) as borrowed:
        borrowed.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with connection(pool) as borrowed:
        assert borrowed.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_returns_is_used_again_without_a_new_pool(servers_directory: Path) -> None:
    server = EmbeddedPostgres(servers_directory / "away", durable=False)
    try:
        with open_pool(server.start(), 2, 4, acquire_timeout_seconds=0.3) as pool:
            with connection(pool) as borrowed:
                borrowed.execute("SELECT 1")
            server.stop()
            for _ in range(4):
                with pytest.raises(DatabaseUnavailable), connection(pool):
                    pass
            server.start()
            deadline = time.monotonic() + 10
            while True:
                try:
                    with connection(pool) as borrowed:
                        assert borrowed.execute("SELECT 1").fetchone() == (1,)
                    break
                except DatabaseUnavailable:
                    assert time.monotonic() < deadline, "the pool did not recover"
    finally:
        server.stop()
