"""Something that concerns security happened at the edge of a repository, and was refused."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from domain.event import Event


class UpstreamRejected(Event, frozen=True, kw_only=True):
    """An upstream sent what must not be kept, or led to where nobody goes. reason: as the client was told."""

    TOPIC: ClassVar[str] = "upstream.rejected"
    repository: UUID
    path: str
    reason: str
