"""The process that runs background jobs."""

from __future__ import annotations

from api.composition.core import Core
from application.jobs import Job
from infrastructure.queue import Worker

REMEMBER_COMMANDS = "7 days"
HOUR_SECONDS = 3600.0


def jobs(core: Core) -> list[Job]:
    """Everything that recurs."""

    def forget_commands() -> None:
        with core.connect() as connection:
            connection.execute("DELETE FROM es_command WHERE at < now() - %s::interval", (REMEMBER_COMMANDS,))

    def forget_readers() -> None:
        with core.connect() as connection:
            connection.execute("DELETE FROM es_reader WHERE at < now() - interval '1 minute'")

    return [Job("forget-commands", HOUR_SECONDS, forget_commands), Job("forget-readers", HOUR_SECONDS, forget_readers)]


def compose_worker(core: Core) -> Worker:
    """A worker, ready to start."""
    return Worker(jobs(core), core.connect, core.settings.redis_url, core.settings.job_threads)
