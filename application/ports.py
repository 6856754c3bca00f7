"""What the application needs from outside, as Protocols. Adapters live in `infrastructure` and `projections`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, Self
from uuid import UUID

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


class Stored(msgspec.Struct, frozen=True):
    """Bytes that the blob store has already, to be referred to once more. digests: at least `sha256`."""

    size_bytes: int
    digests: dict[str, str]

    @property
    def sha256(self) -> str:
        """The name of the blob."""
        return self.digests["sha256"]


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

    def signed_url(self, sha256: str, *, filename: str | None, media_type: str, expires_seconds: int) -> str | None:
        """An address from which a client may fetch the bytes itself, when the store offers that."""

    def delete(self, sha256: str) -> None:
        """Remove; never raises for an absent blob."""

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Every stored blob whose digest starts with `prefix`, in digest order, lazily."""

    def check(self) -> None:
        """Raise Unavailable when the store cannot be used (health)."""


class BlobLease(Protocol):
    """Some digests that the collector leaves alone while an upload is in flight."""

    def extend(self, sha256s: Iterable[str]) -> None:
        """Protect further digests, from now until the lease ends."""

    def check(self) -> None:
        """Raise Unavailable when the protection may have lapsed. Local and cheap; call it last before appending."""


class BlobLeases(Protocol):
    """The agreement between those who are about to refer to blobs and the one who removes blobs without reference.

    Order for a publisher: hold, then keep (or see that the blob exists), check, append. The collector, for its part,
    decides and deletes only while nobody holds the digest and nobody can begin to.
    """

    def hold(self, sha256s: Iterable[str]) -> AbstractContextManager[BlobLease]:
        """Protect these digests in the block. Waits for a collector that is removing one of them just now.

        Raises Unavailable when the agreement cannot be recorded; then nothing may be published.
        """

    def collecting(self) -> AbstractContextManager[CollectorRun]:
        """Be the only collector of all processes in the block. Raises Conflict when there is one, Unavailable while
        uploads may be in flight whose leases were lost.
        """


class CollectorRun(Protocol):
    """One run of the collector."""

    def exclude(self, sha256s: Sequence[str]) -> AbstractContextManager[Exclusion]:
        """Let nobody take a lease on these digests in the block; those who try wait."""


class Exclusion(Protocol):
    """Digests that are the collector's alone for a moment."""

    @property
    def free(self) -> frozenset[str]:
        """Those of the asked digests that nobody holds; only these may be decided about."""

    def check(self) -> None:
        """Raise Unavailable when the exclusion has ended by itself. Call it before each deletion."""


class BlobReferences(Protocol):
    """Which blobs the registry still needs, as a read model of the log."""

    def unreferenced(self, sha256s: Sequence[str]) -> set[str]:
        """Those of the digests that nothing refers to: no live artifact, nor history that is still to be kept.

        It answers from events up to its own position; whoever deletes waits first until that has passed the head.
        """

    def former_artifacts(self, sha256s: Sequence[str]) -> int:
        """How many artifacts once needed one of these digests."""


class PersonalData(Protocol):
    """Seals what is personal under a key per person that is kept outside the log. Erasing the key erases the person."""

    def seal(self, person: UUID, plaintext: bytes) -> bytes:
        """Encrypt; equal plaintexts give different results. The person's key is made when there is none yet.

        Raises domain Gone for a person that was erased.
        """

    def open(self, person: UUID, sealed: bytes) -> bytes | None:
        """Decrypt; None for a person that was erased. Raises domain Invalid for bytes that were not sealed for them."""

    def erase(self, person: UUID) -> None:
        """Destroy the person's key; idempotent. Other processes forget it with their next access notification."""

    def name_digest(self, kind: str, name: str) -> str:
        """Stands for a user name or e-mail address where equality must show and the name must not."""


class Allowance(msgspec.Struct, frozen=True):
    """The answer of a limiter. retry_after_seconds: until the window ends, at least 1."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_seconds: int


class RateLimiter(Protocol):
    """Fixed windows that all processes share. A window begins with the first use of its key."""

    def take(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """Count one use, and say whether it was within the limit."""

    def peek(self, key: str, limit: int, window_seconds: int) -> Allowance:
        """What `take` would answer, without counting."""
