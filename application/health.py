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
BEHIND_SECONDS = 60.0
"""How long an event may wait for a read model until that is worth telling."""


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check found."""

    status: Status
    message: str | None = None


HEALTHY = Check("healthy")


class ProjectionState(msgspec.Struct, frozen=True):
    """How far a read model is.

    lag: events that it has not seen yet; lag_seconds: how long the first of them has been waiting. failed_at: the
    position of the event at which it halted. skipped: events it left out.
    """

    name: str
    position: int
    lag: int
    lag_seconds: float
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

    def blobs(self) -> tuple[int, int]:
        """How many distinct blobs artifacts need now, and their bytes; the cost goes by their number."""


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


def require_unhalted(states: Sequence[ProjectionState], names: Sequence[str]) -> None:
    """Raise ReadModelHalted for the first of these read models that stopped at an event."""
    for state in states:
        if state.name in names and state.failed_at is not None:
            raise ReadModelHalted(state.name, state.failed_at)


def require_progress(states: Sequence[ProjectionState]) -> None:
    """Raise ReadModelHalted or ReadModelBehind for the first read model that does not keep up with the log."""
    require_unhalted(states, [state.name for state in states])
    for state in states:
        if state.lag_seconds > BEHIND_SECONDS:
            raise ReadModelBehind(state.name, state.lag, state.lag_seconds)


class ReadModelHalted(RegistryError):
    """A read model cannot go on; what it shows is true up to the event before. Why is in the log of its process: it may
    tell of things that not everybody may know.
    """

    template = "the read model {projection} halted at event {position}"
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, projection: str, position: int) -> None:
        super().__init__(projection=projection, position=position)


class ReadModelBehind(RegistryError):
    """A read model does not move, or not fast enough."""

    template = "the read model {projection} is {events} events and {seconds} seconds behind"
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, projection: str, events: int, seconds: float) -> None:
        super().__init__(projection=projection, events=events, seconds=int(seconds))


class NotReady(RegistryError):
    """Something that must be there before anybody is served is not."""

    code = "SERVICE_UNAVAILABLE"


class Probes(msgspec.Struct, frozen=True):
    """The checks of a process, by what they answer for. notes: told with its health, and not decisive for it."""

    health: Mapping[str, Probe]
    notes: Mapping[str, Probe]
    readiness: Mapping[str, Probe]
