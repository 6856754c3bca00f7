"""GET {path}!/{entry}: one file of a stored archive, without unpacking the rest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from application.catalogue import ArtifactRow
from application.formats.generic.archives import ArchiveInvalid, Member, find
from application.formats.generic.names import media_type_of
from application.ports import BlobStore
from application.wire import Stream
from domain.errors import NotFound


class EntryNotFound(NotFound):
    """The archive has no such file, or is none."""

    template = "{path} has no entry {entry}"

    def __init__(self, path: str, entry: str) -> None:
        super().__init__(path=path, entry=entry[:200])


def entry_of(blobs: BlobStore, row: ArtifactRow, entry: str) -> Stream:
    """A file of the archive that an artifact is. Raises EntryNotFound."""
    file = _seekable(blobs, row.sha256)
    try:
        member = find(file, entry)
    except ArchiveInvalid:
        member = None
    if member is None:
        file.close()
        raise EntryNotFound(row.path, entry)
    headers = (("content-security-policy", "sandbox"), ("content-length", str(member.size_bytes)))
    return Stream(chunks=_Chunks(file, member), media_type=media_type_of(entry), headers=headers)


class _Chunks:
    """The content of a member, and the archive that must be open until it was read or is not wanted any more."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self._chunks = member.chunks
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)


def _seekable(blobs: BlobStore, sha256: str) -> BinaryIO:
    """The blob; copied to a file of no name where the store can only be read forwards."""
    source = blobs.open(sha256)
    if blobs.local_path(sha256) is not None:
        return source
    copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by whoever reads it
    with source:
        shutil.copyfileobj(source, copy, 1 << 20)
    copy.seek(0)
    return copy
