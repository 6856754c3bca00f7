"""Pieces of resumable uploads, in one sparse file for each session: every chunk is written where it belongs.

All API processes that serve one session must see this directory: processes of one machine do; several machines need a
shared file system with working `flock`, or the staging in the object store.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from application.ports import Spooled
from application.uploading.sessions import UploadBusy, UploadLost
from domain.digests import Hasher
from domain.errors import Unavailable
from infrastructure.blobs.faults import storage_faults

SUFFIX = ".upload"
READ_BYTES = 1 << 20

_SPARE_BYTES = 256 << 20
"""Room that uploads leave to everything else on the disk."""


class FolderStaging:
    """One directory, on the file system of the blobs: then a completed upload becomes a blob by a rename.

    Writers hold the file's lock shared, whoever assembles the whole holds it alone until the file has moved on. So
    nobody writes into bytes that were hashed: a request that stalls on an early chunk could otherwise change a blob.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with storage_faults("prepare the upload directory"):
            directory.mkdir(parents=True, exist_ok=True)

    def create(self, session: UUID, total_size: int) -> None:
        """Make a sparse file; raises Unavailable when the disk has no room for the whole now."""
        with storage_faults("begin an upload"):
            if shutil.disk_usage(self._directory).free < total_size + _SPARE_BYTES:
                raise Unavailable("storage cannot begin an upload: there is not enough room")
            descriptor = os.open(self._path(session), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, total_size)
            finally:
                os.close(descriptor)

    def write_chunk(self, session: UUID, chunk: int, offset: int) -> FolderChunkWriter:
        """Receive a chunk; the file stays locked for assembling until the writer's block is left."""
        return FolderChunkWriter(self._locked(session, os.O_WRONLY, fcntl.LOCK_SH), self._path(session), offset)

    @contextmanager
    def assembled(
        self, session: UUID, chunks: Sequence[int], size_bytes: int, algorithms: tuple[str, ...]
    ) -> Iterator[Spooled]:
        """The file itself, hashed. Whoever keeps it moves it away; otherwise it stays for another attempt."""
        descriptor = self._locked(session, os.O_RDWR, fcntl.LOCK_EX)
        try:
            hasher = Hasher(algorithms)
            buffer = memoryview(bytearray(READ_BYTES))
            with storage_faults("read an upload"), open(descriptor, "rb", buffering=0, closefd=False) as file:
                if os.fstat(descriptor).st_size > size_bytes:
                    os.ftruncate(descriptor, size_bytes)  # a body broke off beyond what counts
                while size := file.readinto(buffer):
                    hasher.update(buffer[:size])
                os.fsync(descriptor)
            yield Spooled(self._path(session), hasher.size_bytes, hasher.digests())
        finally:
            os.close(descriptor)

    def discard(self, session: UUID) -> None:
        """Remove the file, if it is still here."""
        with suppress(FileNotFoundError), storage_faults("remove an upload", absence=True):
            self._path(session).unlink()

    def stale(self, before: datetime) -> list[UUID]:
        """Sessions whose file was last written before that time."""
        found = []
        with storage_faults("list uploads"):
            for entry in os.scandir(self._directory):
                with suppress(FileNotFoundError, ValueError):
                    if entry.name.endswith(SUFFIX) and entry.stat().st_mtime < before.timestamp():
                        found.append(UUID(hex=entry.name.removesuffix(SUFFIX)))
        return found

    def _path(self, session: UUID) -> Path:
        return self._directory / f"{session.hex}{SUFFIX}"

    def _locked(self, session: UUID, mode: int, lock: int) -> int:
        """The open file under that lock; raises UploadBusy while others hold it, UploadLost without a file."""
        path = self._path(session)
        try:
            with storage_faults("open an upload", absence=True):
                descriptor = os.open(path, mode | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UploadLost from None
        try:
            fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
            # It may have become a blob between the two calls; then the lock is on the blob, and we must not write.
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except (BlockingIOError, FileNotFoundError) as reason:
            os.close(descriptor)
            raise (UploadLost() if isinstance(reason, FileNotFoundError) else _busy(lock)) from None
        if not same:
            os.close(descriptor)
            raise UploadLost
        return descriptor


def _busy(lock: int) -> UploadBusy:
    return UploadBusy("a chunk of this upload is still arriving") if lock == fcntl.LOCK_EX else UploadBusy()


class FolderChunkWriter:
    """Writes from an offset on. Nothing is undone when the block is left early: the chunk does not count then."""

    def __init__(self, descriptor: int, path: Path, offset: int) -> None:
        self._descriptor = descriptor
        self._path = path
        self._begin = self._position = offset

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write at the next position."""
        view = memoryview(data).cast("B")
        with storage_faults("store an upload"):
            while view:
                written = os.pwrite(self._descriptor, view, self._position)
                self._position += written
                view = view[written:]

    def finish(self) -> Spooled:
        """Make it durable. What is given has no digests: they are the whole's."""
        with storage_faults("store an upload"):
            os.fdatasync(self._descriptor)
        return Spooled(self._path, self._position - self._begin, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)
