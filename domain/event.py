"""What an event is: a frozen fact in the past tense, with a topic that never changes.

Stored bodies are JSON. Fields are only ever added, with defaults; a changed meaning gets a new topic (`….v2`) and a
function from the old shape to the new one in `domain/topics.py`.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact. Subclasses set TOPIC, which outlives their name and their module."""

    TOPIC: ClassVar[str] = ""


class Unknown(Event, frozen=True, kw_only=True):
    """An event whose topic this release does not know: a newer process or peer wrote it. Carried, never dropped."""

    topic: str
    raw: bytes


class Origin(msgspec.Struct, frozen=True):
    """Where an event was first recorded, when that was not here."""

    instance: str
    position: int


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who caused an event, and how. Times and positions are assigned by the log itself.

    by: the user or service account; None for the system and for anonymous callers. kind: `user`, `service`, `system`
    or `anonymous`. via: how they proved it (`password`, `session`, `token:<id>`). client: address and user agent,
    sealed under the person's key. cause: the position of the event that led to this one.
    """

    by: UUID | None = None
    kind: str = "system"
    via: str = ""
    request: str = ""
    client: bytes = b""
    cause: int | None = None
    origin: Origin | None = None


SYSTEM = Metadata()
