"""Named positions: `release-2026.3` means the registry as of one position of the log, for ever."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from domain.errors import Conflict, Invalid
from domain.event import Event

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")


class CheckpointNamed(Event, frozen=True, kw_only=True):
    """A position has a name."""

    TOPIC: ClassVar[str] = "checkpoint.named"
    name: str
    position: int


class CheckpointExists(Conflict):
    """The name already means another position."""

    template = "checkpoint '{name}' already exists"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class NamedPosition(msgspec.Struct, frozen=True):
    """What the next decision needs."""

    position: int | None = None


def evolve(state: NamedPosition, event: Event) -> NamedPosition:
    """Fold one event."""
    return NamedPosition(event.position) if isinstance(event, CheckpointNamed) else state


def name_position(state: NamedPosition, name: str, position: int) -> list[Event]:
    """Give the position a name; naming it so again changes nothing."""
    if not _NAME.match(name) or len(name) > 100:
        raise Invalid("a checkpoint name is lower-case letters and digits with single '.', '_' or '-' between them")
    if state.position == position:
        return []
    if state.position is not None:
        raise CheckpointExists(name)
    return [CheckpointNamed(name=name, position=position)]
