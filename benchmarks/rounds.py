"""Rounds in which all that is compared takes turns, so that noise of the machine falls on all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence


def alternate(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each gave in each round; every other round goes backwards, so that nobody always follows the same one."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name in list(works) if number % 2 == 0 else reversed(list(works)):
            samples[name].append(works[name]())
    return samples


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
