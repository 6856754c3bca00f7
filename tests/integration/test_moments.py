"""A moment of the log means one position, whenever it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from application.log import Change
from domain.checkpoint import CheckpointNamed
from domain.errors import Invalid
from tests.integration.folding import Registry, registry

APPEND = (
    "SELECT es_append(ARRAY[1], ARRAY[gen_random_uuid()], ARRAY[1::bigint], ARRAY['checkpoint.named'], "
    "ARRAY['{}'::bytea], ARRAY[NULL::uuid], ARRAY[gen_random_uuid()], '{}', '{}', '{}')"
)


@pytest.fixture
def log(fresh_postgres_dsn: str) -> Iterator[Registry]:
    with registry(fresh_postgres_dsn) as running:
        yield running


def named(log: Registry, name: str) -> int:
    return log.log.append([Change(uuid4(), 0, [CheckpointNamed(name=name, position=1)])]).position


def test_an_append_that_has_its_time_but_is_not_committed_is_waited_for(log: Registry) -> None:
    named(log, "first")
    waiting = threading.Event()
    with ThreadPoolExecutor(1) as thread, psycopg.connect(log.dsn) as writing:
        writing.execute(APPEND)
        moment = datetime.now(UTC)

        def ask() -> int:
            waiting.set()
            return log.log.position_at(moment)

        asked = thread.submit(ask)
        waiting.wait(5)
        with pytest.raises(TimeoutError):
            asked.result(0.3)
        writing.commit()
        assert asked.result(5) == 2
    named(log, "later")
    assert log.log.position_at(moment) == 2


def test_a_moment_long_past_waits_for_nobody(log: Registry) -> None:
    named(log, "first")
    with psycopg.connect(log.dsn) as writing:
        writing.execute(APPEND)
        assert log.log.position_at(datetime.now(UTC) - timedelta(hours=1)) == 0


def test_a_moment_still_to_come_by_the_clock_of_the_log_is_refused(log: Registry) -> None:
    with pytest.raises(Invalid, match="still to come"):
        log.log.position_at(datetime.now(UTC) + timedelta(minutes=5))
