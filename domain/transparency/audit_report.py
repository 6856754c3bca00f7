"""What the check of a log says: faults named by positions, and what was proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

import msgspec

from domain.transparency.notes import TreeHead

MAX_FINDINGS = 1_000
"""Ranges of faults that are told apart; after so many a check stops."""


class Fault(StrEnum):
    """What can be wrong with a log, or with a copy of it."""

    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    SURPLUS = "surplus"
    TRUNCATED = "truncated"
    LEAF_HASH = "leaf-hash"
    DIVERGED = "diverged"
    FORKED = "forked"
    ROLLED_BACK = "rolled-back"
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"


OF_SEVERAL = {
    Fault.ALTERED: "they are not the events that were signed for",
    Fault.MISSING: "they are not there",
    Fault.REORDERED: "they do not stand in their places",
    Fault.DUPLICATED: "they are there more than once",
    Fault.SURPLUS: "no checkpoint covers them",
    Fault.LEAF_HASH: "their stored leaf hashes were altered; the events themselves are those that were signed for",
}
"""How a fault reads when it concerns a range of events."""


class Finding(msgspec.Struct, frozen=True):
    """One fault. first, last: the positions it concerns, both included; 0 when it concerns none."""

    fault: Fault
    first: int
    last: int
    detail: str


class AuditReport(msgspec.Struct, frozen=True):
    """What a check found.

    head: the checkpoint that was checked against, None when there was none to trust. proven: the size of the largest
    checkpoint that agrees with what was read. events, checkpoints: how many were looked at. until: the recorded time of
    the last event. complete: whether everything was read; a check stops early at too many faults.
    """

    head: TreeHead | None
    proven: int
    events: int
    checkpoints: int
    until: datetime | None
    findings: tuple[Finding, ...]
    complete: bool

    @property
    def verified(self) -> bool:
        """Whether every event is the one that was signed for."""
        return self.complete and self.head is not None and not self.findings


class Findings:
    """Faults as they are found; neighbours of one kind become one finding. Iterates in the order of positions."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._latest: dict[Fault, int] = {}

    @property
    def full(self) -> bool:
        """Whether further faults would be lost."""
        return len(self._found) >= MAX_FINDINGS

    def add(self, fault: Fault, first: int, last: int, detail: str) -> None:
        """Note a fault; dropped when full, unless it continues one."""
        latest = self._latest.get(fault)
        if fault in OF_SEVERAL and latest is not None and self._found[latest].last + 1 == first:
            start = self._found[latest].first
            self._found[latest] = Finding(fault, start, last, f"events {start} to {last}: {OF_SEVERAL[fault]}")
        elif not self.full:
            self._latest[fault] = len(self._found)
            self._found.append(Finding(fault, first, last, detail))

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._found, key=lambda finding: (finding.first, finding.last)))
