"""What processes tell each other about upstreams."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import psycopg
import pytest

from application.proxying.ports import Known
from infrastructure.postgres.pool import connection, open_pool
from infrastructure.postgres.upstreams import PostgresUpstreams

SECONDS = 30


@pytest.fixture
def upstreams(fresh_postgres_dsn: str) -> Iterator[PostgresUpstreams]:
    pool = open_pool(fresh_postgres_dsn, max_size=4)
    yield PostgresUpstreams(fresh_postgres_dsn, partial(connection, pool))
    pool.close()


def test_what_was_noted_last_is_known(upstreams: PostgresUpstreams) -> None:
    repository, now = uuid4(), datetime.now(UTC)
    assert upstreams.known(repository, "a") is None
    upstreams.note(repository, "a", Known("00", '"e"', "then", now))
    upstreams.note(repository, "a", missing := Known(None, "", "", now))
    assert upstreams.known(repository, "a") == missing
    assert upstreams.known(uuid4(), "a") is None


def test_what_matches_is_asked_for_again(upstreams: PostgresUpstreams) -> None:
    repository, now = uuid4(), datetime.now(UTC)
    for path in ("a/1", "a/2", "b_1", "b%1", "bx1"):
        upstreams.note(repository, path, Known("00", '"e"', "", now))
    assert upstreams.expire(repository, "a/*") == 2
    assert upstreams.expire(repository, "b_1") == 1
    assert upstreams.expire(uuid4(), "*") == 0
    found = {path: upstreams.known(repository, path) for path in ("a/1", "b_1", "bx1", "b%1")}
    old = {path for path, known in found.items() if known and now - known.checked_at > timedelta(days=1)}
    assert old == {"a/1", "b_1"}
    assert all(known is not None and known.etag == '"e"' for known in found.values())


def test_one_at_a_time_and_who_dies_is_replaced(upstreams: PostgresUpstreams, fresh_postgres_dsn: str) -> None:
    repository, held, entered = uuid4(), threading.Event(), threading.Event()

    def second() -> None:
        assert held.wait(SECONDS)
        with upstreams.alone(repository, "a"):
            entered.set()

    waiting = threading.Thread(target=second)
    waiting.start()
    with psycopg.connect(fresh_postgres_dsn, autocommit=True) as own, upstreams.alone(repository, "a"):
        held.set()
        with upstreams.alone(repository, "b"):
            pass
        locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while own.execute(locked).fetchone() == (0,):
            assert not entered.is_set()
        own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid IN "
            "(SELECT pid FROM pg_stat_activity WHERE application_name = 'artifact-keeper fetch')"
        )
        assert entered.wait(SECONDS)
    waiting.join(SECONDS)
    assert not waiting.is_alive()
