"""Following the log: leaders, stand-bys, poison, and the promise of read-your-writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from uuid import uuid4

import psycopg
import pytest
from psycopg import Cursor

from application.log import Change, Recorded
from domain.checkpoint import CheckpointNamed
from projections.progress import Progress
from projections.projection import Projection, Row
from projections.runner import LOCK_CLASS, Projector, release_stalled
from tests.integration.folding import Registry, registry


class Names(Projection):
    """Collects the names of checkpoints; cannot stomach `poison`."""

    name = "names"
    tables = ("test_names",)

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        for recorded in events:
            if isinstance(recorded.event, CheckpointNamed):
                if recorded.event.name == "poison":
                    raise ValueError("cannot be folded")
                cursor.execute("INSERT INTO test_names VALUES (%s, %s)", (recorded.position, recorded.event.name))


class Tolerant(Names):
    name = "tolerant"
    on_poison = "skip"


@pytest.fixture
def log(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as running:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS test_names (position bigint, name text)")
            connection.execute("TRUNCATE test_names")
            connection.execute("DELETE FROM es_tracking")
            connection.execute(
                "INSERT INTO es_tracking (projection, position) SELECT p, position FROM es_head, "
                "unnest(ARRAY['names', 'tolerant']) p"
            )
        yield running


def test_a_row_that_cannot_even_be_decoded_is_named_too(log: Registry) -> None:
    def decode(row: Row) -> Recorded:
        if row[0] == bad:
            raise ValueError("garbled")
        return log.log.recorded(row)

    append(log, "good")
    bad = log.log.head() + 1
    projector = Projector(log.dsn, [Names()], decode)
    projector.start()
    try:
        append(log, "unreadable")
        eventually(lambda: tracking(log, "names")[1] == bad)
        assert tracking(log, "names")[2] == "ValueError: garbled"
    finally:
        projector.stop()


def append(running: Registry, *names: str) -> int:
    position = 0
    for name in names:
        event = CheckpointNamed(name=name, position=1)
        position = running.log.append([Change(uuid4(), 0, [event])]).position
    return position


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def tracking(running: Registry, name: str) -> tuple[int, int | None, str | None]:
    row = running.rows("SELECT position, failed_at, error FROM es_tracking WHERE projection = %s", name)[0]
    return row[0], row[1], row[2]


def test_events_are_folded_in_order_and_only_once(log: Registry) -> None:
    projector = Projector(log.dsn, [Names()], log.log.recorded)
    projector.start()
    try:
        last = append(log, *(f"n{number}" for number in range(50)))
        eventually(lambda: tracking(log, "names")[0] == last)
        rows = log.rows("SELECT name FROM test_names ORDER BY position")
        assert [row[0] for row in rows] == [f"n{number}" for number in range(50)]
    finally:
        projector.stop()


def test_a_stand_by_takes_over_when_the_leader_is_gone(log: Registry) -> None:
    first, second = (Projector(log.dsn, [Names()], log.log.recorded) for _ in range(2))
    first.start()
    eventually(lambda: log.rows("SELECT 1 FROM es_tracking WHERE projection = 'names' AND epoch > 0") != [])
    second.start()
    try:
        append(log, "before")
        first.stop()
        last = append(log, "after")
        eventually(lambda: tracking(log, "names")[0] == last, seconds=5)
        assert len(log.rows("SELECT * FROM test_names")) == 2
    finally:
        second.stop()


def test_an_event_that_cannot_be_folded_stops_its_projection_visibly(log: Registry) -> None:
    projector = Projector(log.dsn, [Names()], log.log.recorded)
    projector.start()
    try:
        good = append(log, "good")
        bad = append(log, "poison")
        append(log, "later")
        eventually(lambda: tracking(log, "names")[1] == bad)
        position, _, error = tracking(log, "names")
        assert position == good
        assert error == "ValueError: cannot be folded"
        assert [row[0] for row in log.rows("SELECT name FROM test_names")] == ["good"]
    finally:
        projector.stop()


def test_a_projection_that_may_skip_says_what_it_skipped(log: Registry) -> None:
    projector = Projector(log.dsn, [Tolerant()], log.log.recorded)
    projector.start()
    try:
        bad = append(log, "poison")
        last = append(log, "later")
        eventually(lambda: tracking(log, "tolerant")[0] == last)
        assert log.rows("SELECT position, error FROM es_skipped WHERE projection = 'tolerant'") == [
            (bad, "ValueError: cannot be folded")
        ]
    finally:
        projector.stop()


def test_a_writer_waits_until_every_reader_has_taken_notice(log: Registry) -> None:
    seen: list[int] = []

    def slow(position: int) -> None:
        time.sleep(0.3)
        seen.append(position)

    writer = Progress(log.dsn, {"names": lambda _: None}, lambda: None)
    reader = Progress(log.dsn, {"names": slow}, lambda: None)
    projector = Projector(log.dsn, [Names()], log.log.recorded)
    for part in (writer, reader, projector):
        part.start()
    try:
        eventually(lambda: writer.fresh and reader.fresh)
        position = append(log, "news")
        assert writer.reached(("names",), position)
        assert seen
        assert max(seen) >= position
    finally:
        reader.stop()
        writer.stop()
        projector.stop()


def test_nobody_waits_for_a_process_that_answers_nothing_from_memory(log: Registry) -> None:
    worker = Progress(log.dsn, {}, lambda: None)
    writer = Progress(log.dsn, {"names": lambda _: None}, lambda: None)
    projector = Projector(log.dsn, [Names()], log.log.recorded)
    worker.start()
    projector.start()
    try:
        eventually(lambda: worker.fresh)
        writer.start()  # after it, and so it would hear of it from the table of readers
        eventually(lambda: writer.fresh)
        started = time.monotonic()
        assert writer.reached(("names",), append(log, "news"))
        assert time.monotonic() - started < 5.5  # it would wait for 6
    finally:
        writer.stop()
        worker.stop()
        projector.stop()


def test_a_reader_whose_session_is_cut_stops_trusting_its_memory_and_delays_nobody(log: Registry) -> None:
    resets: list[float] = []
    writer = Progress(log.dsn, {"names": lambda _: None}, lambda: None)
    reader = Progress(log.dsn, {"names": lambda _: None}, lambda: resets.append(time.monotonic()))
    projector = Projector(log.dsn, [Names()], log.log.recorded)
    for part in (writer, reader, projector):
        part.start()
    try:
        eventually(lambda: writer.fresh and reader.fresh)
        before = len(resets)
        log.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            f"artifact-keeper reader {reader._reader}",
        )
        started = time.monotonic()
        assert writer.reached(("names",), append(log, "news"))
        assert time.monotonic() - started < 5.5
        eventually(lambda: len(resets) > before)
        eventually(lambda: reader.fresh)
    finally:
        reader.stop()
        writer.stop()
        projector.stop()


def test_only_the_leader_that_hangs_is_cut_off(log: Registry, fresh_postgres_dsn: str) -> None:
    lead = f"SELECT pg_advisory_lock({LOCK_CLASS}, hashtext(%s))"
    append(log, "news")
    long_ago = "at = clock_timestamp() - interval '1 hour'"
    log.rows(f"UPDATE es_tracking SET {long_ago} RETURNING 1")
    log.rows(f"UPDATE es_head SET {long_ago} RETURNING 1")
    log.rows(
        "UPDATE es_tracking SET position = (SELECT position FROM es_head) WHERE projection = 'tolerant' RETURNING 1"
    )
    with (
        psycopg.connect(log.dsn, autocommit=True) as hanging,
        psycopg.connect(log.dsn, autocommit=True) as idle,
        psycopg.connect(log.dsn, autocommit=True) as bystander,
        psycopg.connect(fresh_postgres_dsn, autocommit=True) as elsewhere,
        psycopg.connect(log.dsn, autocommit=True) as watchdog,
    ):
        hanging.execute(lead, ("names",))
        idle.execute(lead, ("tolerant",))
        elsewhere.execute(lead, ("names",))
        bystander.execute("SELECT pg_advisory_lock(1, 2)")
        assert release_stalled(watchdog) == ["names"]
        for alive in (idle, bystander, elsewhere):
            alive.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            hanging.execute("SELECT 1")


def test_a_log_without_news_leaves_every_leader_alone(log: Registry) -> None:
    log.rows("UPDATE es_tracking SET at = '2001-01-01' RETURNING 1")
    with psycopg.connect(log.dsn, autocommit=True) as leader, psycopg.connect(log.dsn, autocommit=True) as watchdog:
        leader.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, hashtext('names'))")
        assert release_stalled(watchdog) == []
        leader.execute("SELECT 1")
