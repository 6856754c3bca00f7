"""What was wrong with an uploaded file, as values: where the fault lies and what it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from domain.errors import Invalid

_SHOWN = 20


class Fault(msgspec.Struct, frozen=True):
    """One fault; `place` is a member of the archive, a field, or both (`METADATA: Requires-Python`)."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


class ArchiveInvalid(Invalid):
    """The container itself cannot be trusted, so nothing in it was read."""

    template: ClassVar[str] = "{problem}"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem=problem)


class DistributionInvalid(Invalid):
    """An uploaded file that is refused, with everything that was found wrong with it."""

    template: ClassVar[str] = "{filename}: {problems}"

    def __init__(self, filename: str, faults: Iterable[Fault]) -> None:
        self.filename = filename
        self.faults = tuple(faults)
        shown = [str(fault) for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            shown.append(f"and {len(self.faults) - _SHOWN} more")
        super().__init__(filename=filename, problems="; ".join(shown))


def shown(text: str) -> str:
    """Hostile text cut and quoted so that it can stand in a one-line message."""
    return repr(text if len(text) <= 100 else text[:97] + "...")
