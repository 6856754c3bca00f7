"""Bodies on their way in, as files: hashed while they are written, durable when finished, gone when abandoned."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import BinaryIO, Self

from application.ports import Spooled
from domain.digests import Hasher
from domain.errors import TooLarge
from infrastructure.blobs.faults import storage_faults

SUFFIX = ".part"
DAY_SECONDS = 86_400

_BUFFER_BYTES = 256 * 1024
"""Below this nothing touches the disk before `finish`: most bodies are one write, refused ones are none."""


class FolderSpool:
    """Receives into files of one directory; on the file system of the blobs, keeping is a rename.

    max_bytes: limit of every body, None for no limit. Files that a crashed process left are removed at construction
    once they are older than `stale_seconds`.
    """

    def __init__(self, directory: Path, max_bytes: int | None = None, *, stale_seconds: int = DAY_SECONDS) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        with storage_faults("prepare the upload directory"):
            directory.mkdir(parents=True, exist_ok=True)
            self.swept = _sweep(directory, time.time() - stale_seconds)

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> FolderSpoolWriter:
        """Begin to receive; the smaller of the two limits holds."""
        limits = [limit for limit in (self._max_bytes, max_bytes) if limit is not None]
        path = self._directory / f"{uuid.uuid4().hex}{SUFFIX}"
        return FolderSpoolWriter(path, Hasher(algorithms), min(limits, default=None))

    def discard(self, spooled: Spooled) -> None:
        """Remove what was received, if it is still here."""
        with suppress(FileNotFoundError), storage_faults("remove an upload", absence=True):
            spooled.path.unlink()


class FolderSpoolWriter:
    """One body being received. Not for use by two threads at once."""

    def __init__(self, path: Path, hasher: Hasher, max_bytes: int | None) -> None:
        self._path = path
        self._hasher = hasher
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._descriptor: int | None = None
        self._opening = RLock()
        self._finished = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append and hash. Raises TooLarge before any byte over the limit is taken, Unavailable when the disk is full.

        The caller may reuse the buffer as soon as this returns.
        """
        if self._finished:
            raise ValueError("the body is already complete")
        view = memoryview(data).cast("B")
        if self._max_bytes is not None and self._hasher.size_bytes + len(view) > self._max_bytes:
            raise TooLarge(f"the body is larger than the limit of {self._max_bytes} bytes")
        self._hasher.update(view)
        if len(self._pending) + len(view) < _BUFFER_BYTES:
            self._pending += view
            return
        self._flush()
        if len(view) < _BUFFER_BYTES:
            self._pending += view
        else:
            self._write_out(view)

    def finish(self) -> Spooled:
        """Write what is buffered, fsync, and give what was received."""
        if self._finished:
            raise ValueError("the body is already complete")
        self._flush()
        with self._opening, storage_faults("store an upload"):
            descriptor = self._open()
            os.fsync(descriptor)
            os.close(descriptor)
            self._descriptor = None
            self._finished = True
        return Spooled(path=self._path, size_bytes=self._hasher.size_bytes, digests=self._hasher.digests())

    def reader(self) -> BinaryIO:
        """See GrowingWriter. Raises FileNotFoundError once the file was kept or discarded."""
        with self._opening, storage_faults("read an upload", absence=True):
            if not self._finished:
                self._open()
            return self._path.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._finished:
            return
        self._finished = True
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                os.close(descriptor)
        with suppress(OSError):
            self._path.unlink()

    def _open(self) -> int:
        with self._opening:
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            return self._descriptor

    def _flush(self) -> None:
        if self._pending:
            self._write_out(memoryview(self._pending))
            self._pending = bytearray()

    def _write_out(self, view: memoryview) -> None:
        with storage_faults("store an upload"):
            descriptor = self._open()
            while view:
                view = view[os.write(descriptor, view) :]


def _sweep(directory: Path, before: float) -> int:
    """Remove the spool files last written before that time; gives how many. Other processes may sweep at once."""
    removed = 0
    for entry in os.scandir(directory):
        with suppress(FileNotFoundError):
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                Path(entry.path).unlink()
                removed += 1
    return removed
