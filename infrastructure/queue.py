"""Jobs over dramatiq. The database knows what is due, under way and failed; the queue only carries names to workers.

So the queue may be away, or lose what it held, at any time: what was not started comes again. Without Redis each worker
carries to itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerError
from dramatiq.middleware import AgeLimit, Interrupt, Shutdown, ShutdownNotifications, TimeLimit
from psycopg import Connection

from application.jobs import Job, JobNotFound, JobState
from domain.errors import Unavailable

_log = logging.getLogger(__name__)

QUEUE = "artifact-keeper"
MAX_RUN_SECONDS = 3600.0
LOST_SECONDS = 300.0
"""A job that was queued and not begun after this long is queued again."""

QUEUE_AWAY_SECONDS = 5.0
FIRST_RETRY_SECONDS = 30.0
"""Doubled with each failure in a row, up to the time between two regular runs."""

TICK_SECONDS = 1.0

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]

_TAKE = """
    WITH due AS (
        SELECT job FROM job_schedule WHERE due_at <= now() AND job = ANY(%s) FOR UPDATE SKIP LOCKED
    )
    UPDATE job_schedule s SET queued_at = clock_timestamp(), due_at = now() + make_interval(secs => %s)
    FROM due WHERE s.job = due.job RETURNING s.job, s.queued_at
"""
_PUT_BACK = "UPDATE job_schedule SET due_at = now() + make_interval(secs => %s) WHERE job = %s AND queued_at = %s"
_BEGIN = """
    UPDATE job_schedule SET started_at = clock_timestamp(), due_at = now() + make_interval(secs => %s)
    WHERE job = %s AND queued_at = %s AND (started_at IS NULL OR started_at < queued_at) RETURNING job
"""
_DONE = """
    UPDATE job_schedule SET done_at = clock_timestamp(), error = NULL, failures = 0,
        due_at = now() + make_interval(secs => %s) WHERE job = %s AND queued_at = %s
"""
_FAILED = """
    UPDATE job_schedule SET failed_at = clock_timestamp(), error = %s, failures = failures + 1,
        due_at = now() + make_interval(secs => least(%s, %s * 2 ^ least(failures, 20)))
    WHERE job = %s AND queued_at = %s
"""
_RUNNING = (
    "coalesce(started_at >= queued_at AND started_at > coalesce(greatest(done_at, failed_at), '-infinity') "
    "AND due_at > now(), false)"
)
_STATES = (
    f"SELECT job, due_at, queued_at, started_at, done_at, failed_at, failures, error, {_RUNNING} "
    "FROM job_schedule ORDER BY job"
)
_SOON = f"UPDATE job_schedule SET due_at = CASE WHEN {_RUNNING} THEN due_at ELSE now() END WHERE job = %s"


class JobBoard:
    """What the database knows of jobs. `enqueue` keeps the JobQueue port."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def states(self) -> list[JobState]:
        """Every job that was ever announced, by name."""
        with self._connect() as connection:
            rows = connection.execute(_STATES).fetchall()
        return [JobState(*row) for row in rows]

    def enqueue(self, name: str) -> None:
        """See JobQueue; one that runs just now is left to that. Raises JobNotFound."""
        with self._connect() as connection:
            found = connection.execute(_SOON, (name,)).rowcount
        if not found:
            raise JobNotFound(name)


class Worker:
    """Finds due jobs in the database and runs jobs from the queue.

    connect: gives a database connection. redis_url: None keeps the queue in this process.
    """

    def __init__(self, jobs: Iterable[Job], connect: Connect, redis_url: str | None, threads: int) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._connect = connect
        milliseconds = int(MAX_RUN_SECONDS * 1000)
        middleware: list[dramatiq.Middleware] = [
            AgeLimit(max_age=milliseconds),
            TimeLimit(time_limit=milliseconds),
            ShutdownNotifications(notify_shutdown=True),
        ]
        self._broker: dramatiq.Broker = (
            StubBroker(middleware=middleware)
            if redis_url is None
            else RedisBroker(  # type: ignore[no-untyped-call]
                url=redis_url, namespace=QUEUE, middleware=middleware
            )
        )
        self._actor = dramatiq.actor(actor_name="job", queue_name=QUEUE, broker=self._broker)(self._run)
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads, worker_timeout=1_000)
        self._stopping = threading.Event()
        self._scheduler = threading.Thread(target=self._schedule, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._worker.start()
        self._scheduler.start()

    def stop(self) -> None:
        """Finish what runs, take nothing more."""
        self._stopping.set()
        self._scheduler.join(timeout=5)
        self._worker.stop(timeout=10_000)
        self._broker.close()
        if isinstance(self._broker, RedisBroker):
            self._broker.client.connection_pool.disconnect()  # its close leaves them to the garbage collector

    def _schedule(self) -> None:
        announced = False
        while not self._stopping.wait(TICK_SECONDS):
            try:
                announced = announced or self._announce()
                self._queue_due()
            except Unavailable as error:
                _log.warning("scheduler: %s", error)
            except Exception:  # noqa: BLE001 - a process edge: the next look may do better
                _log.exception("scheduler")

    def _announce(self) -> bool:
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO job_schedule (job, due_at) SELECT j, now() FROM unnest(%s::text[]) j "
                "ON CONFLICT DO NOTHING",
                (list(self._jobs),),
            )
        return True

    def _queue_due(self) -> None:
        with self._connect() as connection:
            taken = connection.execute(_TAKE, (list(self._jobs), LOST_SECONDS)).fetchall()
        for name, queued_at in taken:
            try:
                self._actor.send(name, queued_at.isoformat())
            except (redis.RedisError, BrokerError, OSError) as error:
                _log.warning("job %s: the queue is away (%s); trying again", name, type(error).__name__)
                with self._connect() as connection:
                    connection.execute(_PUT_BACK, (QUEUE_AWAY_SECONDS, name, queued_at))

    def _run(self, name: str, queued_at: str) -> None:
        job = self._jobs.get(name)
        if job is None:
            _log.warning("no job is called %r here; a newer release may have asked for it", name)
            return
        moment = datetime.fromisoformat(queued_at)
        with self._connect() as connection:
            begun = connection.execute(_BEGIN, (MAX_RUN_SECONDS, name, moment)).fetchone()
        if begun is None:
            return  # delivered twice, or late: it was queued again meanwhile
        try:
            job.run()
        except Shutdown:
            self._record(_PUT_BACK, 0.0, name, moment)
            raise
        except (Exception, Interrupt) as error:  # noqa: BLE001 - whatever a job raises is kept for those who look
            _log.exception("job %s failed", name)
            text = f"{type(error).__name__}: {error}"[:2000]
            self._record(_FAILED, text, job.every_seconds, FIRST_RETRY_SECONDS, name, moment)
        else:
            self._record(_DONE, job.every_seconds, name, moment)

    def _record(self, statement: str, *parameters: Any) -> None:
        with self._connect() as connection:
            connection.execute(statement, parameters)
