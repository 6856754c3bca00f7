"""Reading zip and tar archives of strangers as a stream of files: nothing is ever unpacked to a path of theirs.

Bounds: the directory of a zip, the headers of a tar, and what comes out in all in proportion to what went in.
Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar and pax)
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import msgspec

from application.archives import zips
from domain.errors import Invalid

CHUNK_BYTES = 256 * 1024
MAX_RATIO = 100
FREE_BYTES = 64 << 20
"""Below this any ratio is harmless."""

_BLOCK = 512
_MAX_HEADER_BYTES = 64 << 10
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_ZIP_LIMITS = zips.ZipLimits(max_unpacked_bytes=1 << 62, ratio=MAX_RATIO, free_bytes=FREE_BYTES)
_DAMAGED = (
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    tarfile.HeaderError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


class ArchiveInvalid(Invalid):
    """Not an archive that can be read safely."""

    template = "archive: {detail}"


class Member(msgspec.Struct, frozen=True):
    """One regular file of an archive; its chunks can be read until the next member is asked for."""

    name: str
    size_bytes: int
    chunks: Iterator[bytes]


def walk(file: BinaryIO) -> Iterator[Member]:
    """The regular files of a zip, tar or gzipped tar, in order. Raises ArchiveInvalid.

    Refused: links, devices, encryption, odd compression, what expands more than a hundredfold, damage.
    """
    with _faults():
        kind, size_bytes = _kind_of(file), _size_of(file)
        if kind == "zip":
            yield from _walk_zip(file)
        else:
            yield from _walk_tar(_Stream(file, size_bytes, packed=kind == "gzip"), strict=True)


def find(file: BinaryIO, name: str) -> Member | None:
    """The regular file of that name; its chunks can be read while the archive is open. Raises ArchiveInvalid."""
    with _faults():
        kind, size_bytes = _kind_of(file), _size_of(file)
        if kind == "zip":
            found = zips.find(file, name, _ZIP_LIMITS)
            return _zip_member(found) if found is not None else None
        members = _walk_tar(_Stream(file, size_bytes, packed=kind == "gzip"), strict=False)
        return next((member for member in members if member.name == name), None)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except zips.ZipMalformed as fault:
        raise ArchiveInvalid(str(fault)) from None
    except _DAMAGED as fault:
        raise ArchiveInvalid(f"damaged or of an unknown kind ({type(fault).__name__})") from None


def _kind_of(file: BinaryIO) -> str:
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zip" if start in {b"PK\x03\x04", b"PK\x05\x06"} else "tar"


def _size_of(file: BinaryIO) -> int:
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size_bytes


# zip


def _walk_zip(file: BinaryIO) -> Iterator[Member]:
    for found in zips.walk(file, _ZIP_LIMITS):
        if not found.is_folder:
            yield _zip_member(found)


def _zip_member(found: zips.Member) -> Member:
    return Member(found.name, found.size_bytes, _zip_chunks(found))


def _zip_chunks(found: zips.Member) -> Iterator[bytes]:
    with _faults():
        yield from found.chunks


# tar


class _Stream:
    """The bytes of a tar, read forwards and counted."""

    def __init__(self, file: BinaryIO, size_bytes: int, *, packed: bool) -> None:
        self._source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
        self._packed_bytes = size_bytes
        self._expanded_bytes = 0

    def exactly(self, size_bytes: int) -> bytes:
        """The next bytes; only for sizes that were checked to be small."""
        data = self._source.read(size_bytes)
        if len(data) != size_bytes:
            raise ArchiveInvalid("the archive is cut short")
        self._expanded_bytes += size_bytes
        _check_expansion(self._expanded_bytes, self._packed_bytes)
        return data

    def chunks(self, size_bytes: int) -> Iterator[bytes]:
        """The next bytes, piece by piece."""
        left = size_bytes
        while left:
            chunk = self.exactly(min(left, CHUNK_BYTES))
            left -= len(chunk)
            yield chunk


def _walk_tar(stream: _Stream, *, strict: bool) -> Iterator[Member]:
    """strict: refuse what is no file and no directory; otherwise pass over it."""
    extended: dict[str, str] = {}
    while (block := stream.exactly(_BLOCK)).strip(b"\0"):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if header.size < 0:
            raise ArchiveInvalid("a tar header states a negative size")
        padding = -header.size % _BLOCK
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            data = _small(stream, header.size)
            stream.exactly(padding)
            extended |= _extension(header.type, data)
            continue
        name = extended.get("path", header.name).removeprefix("./")
        regular = header.type in _REGULAR and not name.endswith("/")
        if strict and not regular and header.type not in (tarfile.DIRTYPE, *_REGULAR):
            raise ArchiveInvalid(f"{name[:200]!r} is a link or a device")
        chunks = _tar_chunks(stream, header.size)
        if regular:
            yield Member(name, header.size, chunks)
        for _ in chunks:
            pass
        stream.exactly(padding)
        extended = {}


def _tar_chunks(stream: _Stream, size_bytes: int) -> Iterator[bytes]:
    with _faults():
        yield from stream.chunks(size_bytes)


def _small(stream: _Stream, size_bytes: int) -> bytes:
    if size_bytes > _MAX_HEADER_BYTES:
        raise ArchiveInvalid(f"an extended header has {size_bytes} bytes; at most {_MAX_HEADER_BYTES} are read")
    return stream.exactly(size_bytes)


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What an extended header says of the next member's name; a size that is said twice is refused."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode()}
    if kind != tarfile.XHDTYPE:
        return {}
    fields: dict[str, str] = {}
    while data:
        digits, _, _ = data[:20].partition(b" ")
        length = int(digits)
        key, equals, value = data[len(digits) + 1 : length].partition(b"=")
        if length <= len(digits) or not equals or not value.endswith(b"\n"):
            raise ArchiveInvalid("a pax header is malformed")
        if key == b"size" or key.startswith(b"GNU.sparse."):
            raise ArchiveInvalid("a pax header changes the size of a file")
        if key == b"path":
            fields["path"] = value[:-1].decode()
        data = data[length:]
    return fields


def _check_expansion(expanded_bytes: int, packed_bytes: int) -> None:
    if expanded_bytes > max(FREE_BYTES, MAX_RATIO * packed_bytes):
        raise ArchiveInvalid(f"it expands more than {MAX_RATIO} times")
