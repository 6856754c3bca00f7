"""Tags of one package that lead to another one: they go where that goes, and go away with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow, Catalogue
from application.log import Change, EventLog
from application.publishing import PackageDecision
from domain import package
from domain.event import Event
from domain.package import Package


class Pointer(msgspec.Struct, frozen=True):
    """A tag of the package `holder`. value: of the tag; to: the package that it leads to."""

    holder: str
    tag: str
    value: str
    to: str


Pointers = Callable[[Catalogue, UUID, Sequence[str]], Iterable[Pointer]]
"""The tags in a repository that lead to any of these packages."""


class Together(PackageDecision):
    """Decisions about different packages, as one."""

    def __init__(self, decisions: Sequence[PackageDecision]) -> None:
        self._decisions = decisions

    def changes(self, log: EventLog, repository: UUID) -> list[Change]:
        """The changes of each."""
        return [change for decision in self._decisions for change in decision.changes(log, repository)]


def carried(found: Iterable[Pointer], target: UUID) -> Together:
    """Set the tags in another repository, to which what they lead to goes."""

    def decide(state: Package, held: Pointer) -> list[Event]:
        return package.set_tag(state, target, held.holder, held.tag, held.value)

    return _by_holder(found, decide)


def forgotten(pointers: Pointers, catalogue: Catalogue, repository: UUID, gone: Sequence[ArtifactRow]) -> Together:
    """Remove the tags that lead to packages of which nothing is left when these artifacts are gone."""
    counts = {name: sum(row.package == name for row in gone) for name in {row.package for row in gone if row.package}}
    found = [
        held
        for held in pointers(catalogue, repository, sorted(counts))
        if len(catalogue.artifacts(repository, held.to)) == counts[held.to]
    ]

    def decide(state: Package, held: Pointer) -> list[Event]:
        if state.tags.get(held.tag) != held.value:
            return []
        return package.remove_tag(state, repository, held.holder, held.tag)

    return _by_holder(found, decide)


def _by_holder(found: Iterable[Pointer], decide: Callable[[Package, Pointer], list[Event]]) -> Together:
    """One decision for each package that has such tags."""
    groups = groupby(sorted(found, key=attrgetter("holder")), attrgetter("holder"))
    return Together([_decision(holder, tuple(group), decide) for holder, group in groups])


def _decision(
    holder: str, held: Sequence[Pointer], decide: Callable[[Package, Pointer], list[Event]]
) -> PackageDecision:
    return PackageDecision(holder, lambda state: [event for one in held for event in decide(state, one)])
