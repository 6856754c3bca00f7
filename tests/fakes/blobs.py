"""The two ports of bytes, in memory: the same behaviour suite runs over these as over the real stores."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from application.ports import BlobInfo, Spooled
from domain.digests import Hasher
from domain.errors import Invalid, NotFound, TooLarge, Unavailable

HEX = set("0123456789abcdef")


class MemorySpooled(Spooled, frozen=True):
    """Received bytes that are not on any disk; `path` names them, nothing is there."""

    spool: MemorySpool

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content())

    def content(self) -> bytes:
        try:
            return self.spool.bodies[self.path]
        except KeyError:
            raise FileNotFoundError(self.path) from None


class MemorySpool:
    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.bodies: dict[Path, bytes] = {}

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> MemorySpoolWriter:
        limits = [limit for limit in (self.max_bytes, max_bytes) if limit is not None]
        return MemorySpoolWriter(self, Hasher(algorithms), min(limits, default=None))

    def discard(self, spooled: Spooled) -> None:
        self.bodies.pop(spooled.path, None)


class MemorySpoolWriter:
    def __init__(self, spool: MemorySpool, hasher: Hasher, max_bytes: int | None) -> None:
        self.spool, self.hasher, self.max_bytes = spool, hasher, max_bytes
        self.received = bytearray()
        self.finished = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.finished:
            raise ValueError("the body is already complete")
        if self.max_bytes is not None and len(self.received) + len(data) > self.max_bytes:
            raise TooLarge(f"the body is larger than the limit of {self.max_bytes} bytes")
        self.hasher.update(data)
        self.received += data

    def finish(self) -> Spooled:
        if self.finished:
            raise ValueError("the body is already complete")
        self.finished = True
        path = Path("/nowhere") / uuid.uuid4().hex
        self.spool.bodies[path] = bytes(self.received)
        return MemorySpooled(path, self.hasher.size_bytes, self.hasher.digests(), self.spool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.finished = True


class MemoryBlobs:
    """now: the clock of `modified_at`."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.blobs: dict[str, tuple[bytes, datetime]] = {}
        self.now = now
        self.away = False

    def keep(self, spooled: Spooled) -> None:
        key = self._key(spooled.sha256)
        try:
            with spooled.open() as file:
                content = file.read()
        except FileNotFoundError:
            if key not in self.blobs:
                raise Unavailable("the received bytes are no longer in the spool; send them again") from None
            content = self.blobs[key][0]
        self.blobs[key] = (content, self.now())
        if isinstance(spooled, MemorySpooled):
            spooled.spool.discard(spooled)
        else:
            spooled.path.unlink(missing_ok=True)

    def put(self, content: bytes, modified_at: datetime | None = None) -> str:
        """Store without a spool, for a test's set-up; gives the digest."""
        hasher = Hasher()
        hasher.update(content)
        sha256 = hasher.digests()["sha256"]
        self.blobs[sha256] = (content, modified_at or self.now())
        return sha256

    def open(self, sha256: str, offset: int = 0) -> BinaryIO:
        file = io.BytesIO(self._stored(sha256)[0])
        file.seek(offset)
        return file

    def size(self, sha256: str) -> int:
        return len(self._stored(sha256)[0])

    def exists(self, sha256: str) -> bool:
        return self._key(sha256) in self.blobs

    def local_path(self, sha256: str) -> Path | None:
        self._key(sha256)
        return None

    def signed_url(self, sha256: str, *, filename: str | None, media_type: str, expires_seconds: int) -> str | None:
        self._key(sha256)
        return None

    def delete(self, sha256: str) -> None:
        self.blobs.pop(self._key(sha256), None)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        if not set(prefix) <= HEX or len(prefix) > 64:
            raise Invalid("not the beginning of a SHA-256 digest in lower-case hexadecimal")
        self.check()
        for sha256 in sorted(self.blobs):
            if sha256.startswith(prefix) and (stored := self.blobs.get(sha256)):
                yield BlobInfo(sha256, len(stored[0]), stored[1])

    def check(self) -> None:
        if self.away:
            raise Unavailable("the store is away")

    def _key(self, sha256: str) -> str:
        if len(sha256) != 64 or not set(sha256) <= HEX:
            raise Invalid("not a SHA-256 digest in lower-case hexadecimal")
        self.check()
        return sha256

    def _stored(self, sha256: str) -> tuple[bytes, datetime]:
        try:
            return self.blobs[self._key(sha256)]
        except KeyError:
            raise NotFound(f"no blob sha256:{sha256}") from None
