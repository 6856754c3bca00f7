"""Facts about stored bytes themselves."""

from __future__ import annotations

from typing import ClassVar

from domain.event import Event


class BlobsCollected(Event, frozen=True, kw_only=True):
    """The collector removed blobs that nothing refers to. blobs: the digests, at most 1,000 an event."""

    TOPIC: ClassVar[str] = "storage.collected"
    blobs: tuple[str, ...]
    bytes_freed: int
