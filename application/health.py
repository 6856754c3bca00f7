"""Whether the registry can serve: a handful of checks, each asked at most once a moment however many want to know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from domain.errors import RegistryError

Status = Literal["healthy", "unhealthy", "unavailable"]

REMEMBER_SECONDS = 1.0


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check found."""

    status: Status
    message: str | None = None


HEALTHY = Check("healthy")


class ProjectionState(msgspec.Struct, frozen=True):
    """How far a read model is. failed_at: the position of the event at which it halted. skipped: events it left out."""

    name: str
    position: int
    lag: int
    at: datetime | None
    failed_at: int | None
    error: str | None
    skipped: int


class Totals(msgspec.Struct, frozen=True):
    """How much there is now. storage_bytes: of every artifact; bytes that several have count for each."""

    repositories: int
    artifacts: int
    packages: int
    storage_bytes: int
    users: int


class State(Protocol):
    """What the database knows of the registry as a whole."""

    def head(self) -> int:
        """The position of the last event."""

    def projections(self) -> Sequence[ProjectionState]:
        """Every read model of this installation, by name."""

    def totals(self) -> Totals:
        """How much there is; the cost goes by the number of repositories."""


class Probe:
    """One check, remembered for a moment. ask: returns when all is well, raises RegistryError when it is not."""

    def __init__(self, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._found: Check | None = None
        self._until = 0.0

    def __call__(self) -> Check:
        """What was found, now or a moment ago."""
        with self._lock:
            if self._found is None or self._clock() >= self._until:
                self._found = self._look()
                self._until = self._clock() + REMEMBER_SECONDS
            return self._found

    def _look(self) -> Check:
        try:
            self._ask()
        except RegistryError as error:
            return Check("unhealthy", str(error))
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding, whatever its fault
            return Check("unhealthy", type(error).__name__)
        return HEALTHY


def require_projections(states: Sequence[ProjectionState], halting: frozenset[str]) -> None:
    """Raise ReadModelHalted for the first of the `halting` read models that stopped at an event."""
    for state in states:
        if state.name in halting and state.failed_at is not None:
            raise ReadModelHalted(state.name, state.failed_at, state.error or "")


class ReadModelHalted(RegistryError):
    """A read model cannot go on; what it shows is true up to the event before."""

    template = "the read model {projection} halted at event {position}: {error}"
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, projection: str, position: int, error: str) -> None:
        super().__init__(projection=projection, position=position, error=error[:200])


class NotReady(RegistryError):
    """Something that must be there before anybody is served is not."""

    code = "SERVICE_UNAVAILABLE"


class Probes(msgspec.Struct, frozen=True):
    """The checks of a process, by what they answer for."""

    health: Mapping[str, Probe]
    readiness: Mapping[str, Probe]
