"""What is told of read models, and what is not."""

from __future__ import annotations

import pytest

from application.health import (
    BEHIND_SECONDS,
    Probe,
    ProjectionState,
    ReadModelBehind,
    ReadModelHalted,
    require_progress,
    require_unhalted,
)
from domain.errors import Unavailable


def state(name: str, *, lag: int = 0, seconds: float = 0.0, failed_at: int | None = None) -> ProjectionState:
    return ProjectionState(name, 100, lag, seconds, None, failed_at, "secret/path.txt" if failed_at else None, 0)


def test_read_models_that_keep_up_are_well() -> None:
    states = [state("audit"), state("search", lag=1_000, seconds=BEHIND_SECONDS)]
    require_progress(states)
    require_unhalted(states, ["audit", "search"])


def test_one_that_halted_is_named_with_its_event_and_not_with_what_is_in_it() -> None:
    states = [state("audit"), state("search", lag=7, failed_at=101)]
    require_unhalted(states, ["audit"])
    with pytest.raises(ReadModelHalted) as raised:
        require_progress(states)
    assert str(raised.value) == "the read model search halted at event 101"


def test_one_that_does_not_move_is_named_with_how_far_it_is_behind() -> None:
    with pytest.raises(ReadModelBehind) as raised:
        require_progress([state("audit", lag=7, seconds=BEHIND_SECONDS + 1.5)])
    assert str(raised.value) == f"the read model audit is 7 events and {int(BEHIND_SECONDS) + 1} seconds behind"


def test_a_probe_asks_once_a_moment_and_survives_whatever_it_hears() -> None:
    now, asked = 0.0, 0
    faults: list[Exception] = [Unavailable("away"), ValueError("a fault with details")]

    def ask() -> None:
        nonlocal asked
        asked += 1
        if faults:
            raise faults.pop(0)

    probe = Probe(ask, lambda: now)
    assert [probe().message, probe().message, asked] == ["away", "away", 1]
    now = 1.0
    assert (probe().status, probe().message) == ("unhealthy", "ValueError")
    now = 2.0
    assert probe().status == "healthy"
    assert asked == 3
