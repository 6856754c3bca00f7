"""Jobs over dramatiq: any worker may run what any scheduler found due. Without Redis each worker runs its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit
from psycopg import Connection

from application.jobs import Job
from domain.errors import Unavailable

_log = logging.getLogger(__name__)

QUEUE = "artifact-keeper"
MAX_RETRIES = 3
MAX_RUN_MILLISECONDS = 3_600_000
MAX_AGE_MILLISECONDS = 3_600_000
TICK_SECONDS = 1.0

_DUE = """
    WITH due AS (
        SELECT job FROM job_schedule WHERE due_at <= now() AND job = ANY(%(jobs)s) FOR UPDATE SKIP LOCKED
    )
    UPDATE job_schedule s SET due_at = now() + make_interval(secs => e.every)
    FROM due, unnest(%(jobs)s::text[], %(every)s::float8[]) AS e (job, every)
    WHERE s.job = due.job AND e.job = s.job
    RETURNING s.job
"""


class Worker:
    """Finds due jobs in the database and runs jobs from the queue.

    connect: gives a database connection. redis_url: None keeps the queue in this process.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        connect: Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]],
        redis_url: str | None,
        threads: int,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._connect = connect
        middleware: list[dramatiq.Middleware] = [
            AgeLimit(max_age=MAX_AGE_MILLISECONDS),
            TimeLimit(time_limit=MAX_RUN_MILLISECONDS),
            ShutdownNotifications(),
            Retries(max_retries=MAX_RETRIES),
        ]
        self._broker: dramatiq.Broker = (
            StubBroker(middleware=middleware)
            if redis_url is None
            else RedisBroker(  # type: ignore[no-untyped-call]
                url=redis_url, namespace=QUEUE, middleware=middleware
            )
        )

        def job(name: str) -> None:
            self._run(name)

        self._actor = dramatiq.actor(actor_name="job", queue_name=QUEUE, broker=self._broker)(job)
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

    def enqueue(self, name: str) -> None:
        """See JobQueue."""
        self._actor.send(name)

    def _schedule(self) -> None:
        announced = False
        while not self._stopping.wait(TICK_SECONDS):
            try:
                announced = announced or self._announce()
                for name in self._due():
                    self.enqueue(name)
            except Unavailable as error:
                _log.warning("scheduler: %s", error)
            except Exception:  # noqa: BLE001 - a process edge: the queue may be away for a while
                _log.exception("scheduler")

    def _announce(self) -> bool:
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO job_schedule (job, due_at) SELECT j, now() FROM unnest(%s::text[]) j "
                "ON CONFLICT DO NOTHING",
                (list(self._jobs),),
            )
        return True

    def _due(self) -> list[str]:
        every = [job.every_seconds for job in self._jobs.values()]
        with self._connect() as connection:
            rows = connection.execute(_DUE, {"jobs": list(self._jobs), "every": every}).fetchall()
        return [row[0] for row in rows]

    def _run(self, name: str) -> None:
        job = self._jobs.get(name)
        if job is None:
            _log.warning("no job is called %r here; a newer release may have asked for it", name)
            return
        error = None
        try:
            job.run()
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
            raise
        finally:
            with self._connect() as connection:
                connection.execute("UPDATE job_schedule SET done_at = now(), error = %s WHERE job = %s", (error, name))
