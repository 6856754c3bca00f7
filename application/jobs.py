"""Recurring work off the requests: what it is, how often, and the queue that runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Job(msgspec.Struct, frozen=True):
    """Work that may be done twice without harm. every_seconds: the time between two starts."""

    name: str
    every_seconds: float
    run: Callable[[], None]


class JobQueue(Protocol):
    """Runs jobs by name, somewhere, at least once."""

    def enqueue(self, name: str) -> None:
        """Have the job of that name run soon."""
