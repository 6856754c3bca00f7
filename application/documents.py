"""Generated documents, kept under (repository, scope, name, revision): rendered once, never invalidated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from isal import igzip

from application.wire import Document

MIN_COMPRESSED_BYTES = 512
MAX_SHARED_BYTES = 8 << 20


class Kept(msgspec.Struct, frozen=True):
    """A document ready to be sent: identity and gzip bodies, and the digest of the identity one."""

    body: bytes
    compressed: bytes | None
    digest: str
    media_type: str
    headers: tuple[tuple[str, str], ...]
    last_modified: datetime | None


class SharedCache(Protocol):
    """Bytes under a key, for all processes; may forget at any time, and is skipped while it is away."""

    def get(self, key: str) -> bytes | None:
        """The bytes, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Remember, if possible."""


class RenderLocks(Protocol):
    """One renderer at a time for a key, across all processes."""

    def hold(self, key: str) -> AbstractContextManager[None]:
        """Wait for the key, a few seconds at most; a stuck holder delays others, it never stops them."""


class Documents:
    """Finds documents in the shared cache, or has them rendered and puts them there."""

    def __init__(self, cache: SharedCache, locks: RenderLocks) -> None:
        self._cache = cache
        self._locks = locks
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Kept).decode

    def get(self, repository: UUID, scope: str, name: str, revision: int, render: Callable[[], Document]) -> Kept:
        """The document of that key. `render` must depend on nothing else."""
        title = hashlib.sha256(f"{scope}\0{name}".encode()).hexdigest()[:32]
        key = f"doc:{repository.hex}:{revision}:{title}"
        kept = self._shared(key)
        if kept is not None:
            return kept
        with self._locks.hold(key):
            kept = self._shared(key)
            if kept is None:
                kept = keep(render())
                if len(kept.body) <= MAX_SHARED_BYTES:
                    self._cache.put(key, self._encode(kept))
            return kept

    def _shared(self, key: str) -> Kept | None:
        data = self._cache.get(key)
        if data is None:
            return None
        try:
            return self._decode(data)
        except msgspec.DecodeError:
            return None  # another release's shape


def keep(document: Document) -> Kept:
    """Compress once and name by digest."""
    compressed = None
    if len(document.body) >= MIN_COMPRESSED_BYTES:
        compressed = igzip.compress(document.body, 1, mtime=0)
        if len(compressed) >= len(document.body):
            compressed = None
    return Kept(
        body=document.body,
        compressed=compressed,
        digest=hashlib.sha256(document.body).hexdigest()[:32],
        media_type=document.media_type,
        headers=document.headers,
        last_modified=document.last_modified,
    )
