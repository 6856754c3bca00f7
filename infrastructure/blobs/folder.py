"""Blobs as files of one directory tree: `ab/<sha256>`, read-only, complete or absent.

One level of directories: they are there from the start, and no upload waits until a new one is on the disk.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EXDEV
from pathlib import Path
from typing import BinaryIO

from application.ports import BlobInfo, Spooled
from domain.errors import NotFound, Unavailable
from infrastructure.blobs.faults import checked_prefix, checked_sha256, storage_faults

READ_ONLY = 0o444

_ARRIVING = ".arriving-"
_DAY_SECONDS = 86_400


class FolderBlobs:
    """A content-addressed directory. A file appears under its digest by one rename, never by writing.

    Several processes may use one root at once, also over a shared file system with atomic rename.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with storage_faults("prepare the blob directory"):
            self._make_directories()
            _sweep(root)

    def keep(self, spooled: Spooled) -> None:
        """Rename the received file to its digest and make the name durable; the spool file is gone afterwards.

        A file that is there with the same size only has its time refreshed. One of another size is what a damaged
        disk left, and is replaced. Raises Unavailable when the spool file has vanished and the blob is not stored.
        """
        path = self._path(spooled.sha256)
        with storage_faults("store a blob"):
            if self._refresh(path, spooled.size_bytes):
                with suppress(FileNotFoundError):
                    spooled.path.unlink()
            else:
                self._move(spooled, path)
            # Also for a blob that was there: its first keeper may not have reached this line yet.
            _fsync_directory(path.parent)

    def open(self, sha256: str, offset: int = 0) -> BinaryIO:
        """The bytes from `offset` on; seekable."""
        path = self._path(sha256)
        try:
            with storage_faults("read a blob", absence=True):
                file = path.open("rb")
        except FileNotFoundError:
            raise _absent(sha256) from None
        if offset:
            file.seek(offset)
        return file

    def size(self, sha256: str) -> int:
        """The size in bytes."""
        try:
            with storage_faults("read a blob", absence=True):
                return self._path(sha256).stat().st_size
        except FileNotFoundError:
            raise _absent(sha256) from None

    def exists(self, sha256: str) -> bool:
        """Whether the blob is stored."""
        try:
            self.size(sha256)
        except NotFound:
            return False
        return True

    def local_path(self, sha256: str) -> Path:
        """The file that holds the blob; raises NotFound when there is none."""
        self.size(sha256)
        return self._path(sha256)

    def signed_url(self, sha256: str, *, filename: str | None, media_type: str, expires_seconds: int) -> None:
        """None: clients cannot reach this store themselves."""
        checked_sha256(sha256)

    def delete(self, sha256: str) -> None:
        """Remove; an absent blob is no fault."""
        with suppress(FileNotFoundError), storage_faults("delete a blob", absence=True):
            self._path(sha256).unlink()

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Every stored blob whose digest starts with `prefix`, in digest order, one directory at a time."""
        checked_prefix(prefix)
        return self._walk(prefix)

    def check(self) -> None:
        """Raise Unavailable unless a file can be made here and removed again."""
        probe = self._root / f".check-{uuid.uuid4().hex}"
        with storage_faults("accept files"):
            probe.touch(exist_ok=False)
            probe.unlink()

    def _path(self, sha256: str) -> Path:
        checked_sha256(sha256)
        return self._root / sha256[:2] / sha256

    def _refresh(self, path: Path, size_bytes: int) -> bool:
        try:
            if path.stat().st_size != size_bytes:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _move(self, spooled: Spooled, path: Path) -> None:
        try:
            spooled.path.chmod(READ_ONLY)
            os.utime(spooled.path)  # an upload may have taken days; the blob's age counts from now
        except FileNotFoundError:
            raise Unavailable("the received bytes are no longer in the spool; send them again") from None
        try:
            self._rename_or_copy(spooled.path, path)
        except FileNotFoundError:  # the directory was removed behind our back, by a restore perhaps
            self._make_directories()
            self._rename_or_copy(spooled.path, path)

    def _make_directories(self) -> None:
        """Make all directories, durably: one that a crash loses takes its files along."""
        for first in range(256):
            (self._root / f"{first:02x}").mkdir(parents=True, exist_ok=True)
        _fsync_directory(self._root)

    def _rename_or_copy(self, source: Path, target: Path) -> None:
        try:
            source.replace(target)
        except OSError as fault:
            if fault.errno != EXDEV:
                raise
            self._copy_across(source, target)

    def _copy_across(self, source: Path, target: Path) -> None:
        """Bring a file from another file system: copied into the root, made durable, then renamed."""
        arriving = self._root / f"{_ARRIVING}{uuid.uuid4().hex}"
        try:
            shutil.copyfile(source, arriving)
            arriving.chmod(READ_ONLY)
            with arriving.open("rb") as file:
                os.fsync(file.fileno())
            arriving.replace(target)
        finally:
            arriving.unlink(missing_ok=True)
        source.unlink(missing_ok=True)

    def _walk(self, prefix: str) -> Iterator[BlobInfo]:
        for first in _names(self._root, prefix[:2], 2):
            folder = self._root / first
            for name in _names(folder, prefix, 64):
                with suppress(FileNotFoundError), storage_faults("list blobs", absence=True):
                    status = (folder / name).stat()
                    yield BlobInfo(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _absent(sha256: str) -> NotFound:
    return NotFound(f"no blob sha256:{sha256}")


def _sweep(root: Path) -> None:
    """Remove what a crash in the middle of `_copy_across` left, once it is a day old."""
    for left_over in root.glob(f"{_ARRIVING}*"):
        with suppress(FileNotFoundError):
            if left_over.stat().st_mtime < time.time() - _DAY_SECONDS:
                left_over.unlink()


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(directory: Path, prefix: str, length: int) -> list[str]:
    """The entries that look like a level of a digest and start with `prefix`, sorted; others are not ours to list."""
    with storage_faults("list blobs", absence=True):
        try:
            names = [entry.name for entry in directory.iterdir()]
        except FileNotFoundError:
            return []
    return sorted(
        name for name in names if len(name) == length and name.startswith(prefix) and not name.strip("0123456789abcdef")
    )
