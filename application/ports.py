"""What the application needs from outside, as Protocols. Adapters live in `infrastructure` and `projections`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, Self

import msgspec


class Spooled(msgspec.Struct, frozen=True):
    """Received bytes on local disk, hashed in the same pass, not yet under their digest."""

    path: Path
    size_bytes: int
    digests: dict[str, str]

    @property
    def sha256(self) -> str:
        """The name that these bytes will have as a blob."""
        return self.digests["sha256"]

    def open(self) -> BinaryIO:
        """The bytes, seekable."""
        return self.path.open("rb")


class SpoolWriter(Protocol):
    """One file being received. Leaving the `with` block without `finish()` removes it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append and hash; raises TooLarge over the limit."""

    def finish(self) -> Spooled:
        """Flush to durable storage (fsync) and give what was received; the file stays until `keep` or `discard`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Spool(Protocol):
    """A place for bodies on their way in; on the file system of the blobs where those are files."""

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> SpoolWriter:
        """Begin to receive; SHA-256 is always computed, `algorithms` (md5, sha1, sha512) besides."""

    def discard(self, spooled: Spooled) -> None:
        """Remove what was received, if it is still here; never raises for a missing file."""


class BlobInfo(msgspec.Struct, frozen=True):
    """One stored blob as the store sees it."""

    sha256: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """Bytes under their SHA-256. Absent blobs raise domain NotFound; a store that is away raises Unavailable."""

    def keep(self, spooled: Spooled) -> None:
        """Store durably under the digest; returns only when a crash cannot lose it. Idempotent: keeping bytes that are
        already there refreshes `modified_at`, which is what protects them from the collector.
        """

    def open(self, sha256: str, offset: int = 0) -> BinaryIO:
        """The bytes from `offset` on; seekable when the store is local."""

    def size(self, sha256: str) -> int:
        """The size in bytes."""

    def exists(self, sha256: str) -> bool:
        """Whether the blob is stored."""

    def local_path(self, sha256: str) -> Path | None:
        """The file that holds the blob, when it is one on this machine."""

    def signed_url(self, sha256: str, *, filename: str, media_type: str, expires_seconds: int) -> str | None:
        """An address from which a client may fetch the bytes itself, when the store offers that."""

    def delete(self, sha256: str) -> None:
        """Remove; never raises for an absent blob."""

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Every stored blob whose digest starts with `prefix`, in digest order, lazily."""

    def check(self) -> None:
        """Raise Unavailable when the store cannot be used (health)."""
