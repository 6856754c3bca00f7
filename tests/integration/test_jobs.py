"""Recurring jobs on a real database and a real queue: run once, tried again, seen when they fail, never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg import Connection

from api.composition.core import open_core
from api.composition.worker import WorkerProcess
from application.jobs import Job, JobFailing, JobNotFound, JobState, require_jobs
from infrastructure.embedded import EmbeddedValkey
from infrastructure.postgres.pool import connection, open_pool
from infrastructure.queue import QUEUE, JobBoard, Worker
from tests.integration.product import product
from tests.integration.test_admin_cli import Operate, command  # noqa: F401 - a fixture

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.queue.TICK_SECONDS", 0.1)


@pytest.fixture
def connect(fresh_postgres_dsn: str) -> Iterator[Connect]:
    with psycopg.connect(fresh_postgres_dsn, autocommit=True) as own:
        own.execute("DELETE FROM job_schedule")
    pool = open_pool(fresh_postgres_dsn, max_size=8)
    yield partial(connection, pool)
    pool.close()


@pytest.fixture
def board(connect: Connect) -> JobBoard:
    return JobBoard(connect)


@contextmanager
def working(connect: Connect, url: str | None, *jobs: Job) -> Iterator[Worker]:
    worker = Worker(jobs, connect, url, threads=2)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state_of(board: JobBoard, name: str = "sweep") -> JobState:
    return next(state for state in board.states() if state.name == name)


def make_due(connect: Connect) -> None:
    with connect() as own:
        own.execute("UPDATE job_schedule SET due_at = now()")


@pytest.fixture(params=["valkey", "no queue"])
def url(request: pytest.FixtureRequest, valkey_url: str) -> str | None:
    return valkey_url if request.param == "valkey" else None


def test_a_due_job_is_run_once_by_one_of_several_workers_and_then_is_due_again(
    connect: Connect, board: JobBoard, url: str | None
) -> None:
    runs: list[str] = []
    sweep = Job("sweep", 3600, lambda: runs.append(threading.current_thread().name))
    with working(connect, url, sweep), working(connect, url, sweep):
        eventually(lambda: board.states() and state_of(board).done_at)
        time.sleep(0.6)
        assert len(runs) == 1
        state = state_of(board)
        assert (state.failures, state.error, state.running) == (0, None, False)
        assert state.done_at is not None
        assert timedelta(minutes=59) < state.due_at - state.done_at <= timedelta(minutes=60)
        board.enqueue("sweep")
        eventually(lambda: len(runs) == 2)
    with pytest.raises(JobNotFound):
        board.enqueue("no-such-job")


def test_a_job_that_fails_is_tried_again_ever_later_and_is_seen(
    connect: Connect, board: JobBoard, url: str | None
) -> None:
    attempts: list[int] = []

    def sweep() -> None:
        attempts.append(1)
        if len(attempts) < 6:
            raise OSError("the disk is full")

    with working(connect, url, Job("sweep", 3600, sweep)):
        waits = []
        for number in range(1, 6):
            eventually(lambda: board.states() and state_of(board).failures == number)  # noqa: B023 - called at once
            state = state_of(board)
            assert state.error == "OSError: the disk is full"
            assert state.failed_at is not None
            waits.append(round((state.due_at - state.failed_at).total_seconds()))
            make_due(connect)
        assert waits == [30, 60, 120, 240, 480]
        assert state.failing
        with pytest.raises(JobFailing, match="sweep failed 5 times in a row: OSError: the disk is full"):
            require_jobs([state])
        eventually(lambda: state_of(board).failures == 0)
        assert state_of(board).error is None


def test_jobs_wait_while_the_queue_is_away_and_run_when_it_is_back(
    connect: Connect, board: JobBoard, servers_directory: Path
) -> None:
    runs: list[float] = []
    valkey = EmbeddedValkey(servers_directory / "queue", max_bytes=32 * 1024 * 1024)
    url = valkey.start()
    valkey.stop()
    with working(connect, url, Job("sweep", 3600, lambda: runs.append(time.monotonic()))):
        eventually(lambda: board.states() and state_of(board).queued_at)
        time.sleep(0.3)
        assert runs == []
        state = state_of(board)
        assert state.started_at is None
        assert state.queued_at is not None
        assert state.due_at - state.queued_at < timedelta(seconds=10)  # put back, not given up for an hour
        valkey.start()
        try:
            eventually(lambda: runs, 30)
            eventually(lambda: state_of(board).done_at)
        finally:
            valkey.stop()


def test_what_the_queue_forgot_is_queued_again(connect: Connect, board: JobBoard, valkey_url: str) -> None:
    with connect() as own:  # as after a crash between taking the job and its delivery
        own.execute(
            "INSERT INTO job_schedule (job, due_at, queued_at) "
            "VALUES ('sweep', now() + interval '1 second', now() - interval '299 seconds')"
        )
    with redis.Redis.from_url(valkey_url) as client:
        assert not client.keys(f"{QUEUE}*msgs")
    runs: list[int] = []
    with working(connect, valkey_url, Job("sweep", 3600, lambda: runs.append(1))):
        eventually(lambda: runs)


def test_a_message_that_comes_twice_or_late_runs_nothing(connect: Connect, board: JobBoard) -> None:
    runs: list[int] = []
    worker = Worker([Job("sweep", 3600, lambda: runs.append(1))], connect, None, threads=1)
    with connect() as own:
        own.execute("INSERT INTO job_schedule (job, due_at, queued_at) VALUES ('sweep', now(), now())")
    queued_at = state_of(board).queued_at
    assert queued_at is not None
    for moment in (queued_at, queued_at, queued_at - timedelta(minutes=6)):
        worker._run("sweep", moment.isoformat())
    worker._run("of a newer release", queued_at.isoformat())
    assert runs == [1]


def test_a_job_under_way_says_so_and_is_not_begun_again(connect: Connect, board: JobBoard, url: str | None) -> None:
    let_go, runs = threading.Event(), []

    def sweep() -> None:
        runs.append(1)
        let_go.wait(20)

    with working(connect, url, Job("sweep", 3600, sweep)):
        eventually(lambda: board.states() and state_of(board).running)
        board.enqueue("sweep")
        time.sleep(0.6)
        assert runs == [1]
        let_go.set()
        eventually(lambda: state_of(board).done_at)
        assert not state_of(board).running


def test_the_worker_process_collects_blobs_when_that_is_switched_on(
    fresh_postgres_dsn: str,
    valkey_url: str,
    tmp_path: Path,
    command: Operate,  # noqa: F811 - the fixture
) -> None:
    choices = {"REDIS_URL": valkey_url, "BLOB_GC_ENABLED": "true", "BLOB_GC_SWEEP_GRACE_SECS": "60"}
    with product(fresh_postgres_dsn, tmp_path, **choices) as running:  # type: ignore[arg-type]
        core = open_core(running.settings, max_connections=6)
        worker = WorkerProcess(core)
        worker.start()
        board = JobBoard(core.connect)
        try:
            wanted = {"collect-blobs", "expire-uploads", "forget-commands", "forget-readers", "retire-signing-keys"}
            eventually(lambda: {state.name for state in board.states() if state.done_at} >= wanted)
            with core.connect() as own:
                own.execute("UPDATE job_schedule SET failures = 4, error = 'no room' WHERE job = 'collect-blobs'")
            metrics = running.call("GET", "/api/v1/admin/metrics", auth=running.admin).body.decode()
            assert 'ak_job_failures{job="collect-blobs"} 4.0' in metrics
            health = running.call("GET", "/health").json()
            assert (health["status"], health["checks"]["jobs"]["status"]) == ("healthy", "unhealthy")
            assert "collect-blobs failed 4 times" in health["checks"]["jobs"]["message"]
            beside = {"DATABASE_URL": fresh_postgres_dsn, "AK_DATA_DIR": str(tmp_path)}
            listed = command("jobs", **beside)
            assert listed.status == 1
            assert "no room" in listed.out
            assert command("run-job", "collect-blobs", **beside).status == 0
            eventually(lambda: state_of(board, "collect-blobs").failures == 0)
            assert command("jobs", "--json", **beside).status == 0
            assert command("run-job", "nothing", **beside).status == 2
        finally:
            worker.stop()
            core.close()
