"""One holder of a name: repository keys, user names, e-mail addresses. The stream's id derives from the name."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import Conflict
from domain.event import Event


class ClaimTaken(Event, frozen=True, kw_only=True):
    """The name now belongs to `holder`. The name itself is not told: it may be personal."""

    TOPIC: ClassVar[str] = "claim.taken"
    kind: str
    holder: UUID


class ClaimReleased(Event, frozen=True, kw_only=True):
    """The name is free again."""

    TOPIC: ClassVar[str] = "claim.released"
    kind: str
    holder: UUID


class NameTaken(Conflict):
    """Somebody else holds the name."""

    template = "{kind} '{name}' already exists"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind=kind, name=name)


class Claim(msgspec.Struct, frozen=True):
    """Who holds the name now."""

    holder: UUID | None = None


def evolve(state: Claim, event: Event) -> Claim:
    """Fold one event."""
    match event:
        case ClaimTaken(holder=holder):
            return Claim(holder=holder)
        case ClaimReleased():
            return Claim()
        case _:
            return state


def take(state: Claim, kind: str, name: str, holder: UUID) -> list[Event]:
    """Give the name to `holder`; raises NameTaken when another holds it."""
    if state.holder == holder:
        return []
    if state.holder is not None:
        raise NameTaken(kind, name)
    return [ClaimTaken(kind=kind, holder=holder)]


def release(state: Claim, kind: str) -> list[Event]:
    """Free the name."""
    return [] if state.holder is None else [ClaimReleased(kind=kind, holder=state.holder)]
