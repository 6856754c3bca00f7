"""Recurring work off the requests: what it is, how often, what became of it, and the queue that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from domain.errors import NotFound, RegistryError

FAILING = 4
"""So many failures in a row are no hiccup any more."""


class JobNotFound(NotFound):
    """No such job."""

    template = "no job is called {name!r}"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:100])


class JobFailing(RegistryError):
    """A job failed again and again; it goes on being tried at its regular times."""

    template = "the job {name} failed {failures} times in a row: {error}"
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, state: JobState) -> None:
        super().__init__(name=state.name, failures=state.failures, error=(state.error or "")[:200])


class Job(msgspec.Struct, frozen=True):
    """Work that may be done twice without harm. every_seconds: the time between its end and the next start."""

    name: str
    every_seconds: float
    run: Callable[[], None]


class JobState(msgspec.Struct, frozen=True):
    """What became of a job. due_at: when it is looked at next. failures: in a row. error: of the last of them."""

    name: str
    due_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    done_at: datetime | None
    failed_at: datetime | None
    failures: int
    error: str | None
    running: bool = False

    @property
    def failing(self) -> bool:
        """Whether somebody should look at it."""
        return self.failures >= FAILING


class JobQueue(Protocol):
    """Runs jobs by name, somewhere, at least once."""

    def enqueue(self, name: str) -> None:
        """Have the job of that name run soon."""


def require_jobs(states: Sequence[JobState]) -> None:
    """Raise JobFailing for the first job that fails again and again."""
    for state in states:
        if state.failing:
            raise JobFailing(state)
