"""Reading zip archives as a stream of members, by what their directory says.

That is the view of every reader that seeks; one that goes by local headers is told the same names, or the archive is
refused. A format whose clients unpack while they receive needs more than this.
Source: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, ClassVar, cast

import msgspec

from domain.errors import Invalid

CHUNK_BYTES = 256 * 1024

_MAX_DIRECTORY_BYTES = 8 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class ZipMalformed(Invalid):
    """Not a zip archive that can be read safely."""

    template: ClassVar[str] = "malformed zip: {detail}"


class ZipLimits(msgspec.Struct, frozen=True):
    """How far an archive may expand. ratio: unpacked to packed, held above the first `free_bytes`."""

    max_unpacked_bytes: int = 4 << 30
    ratio: int = 100
    free_bytes: int = 64 << 20


DEFAULT_LIMITS = ZipLimits()


class Member(msgspec.Struct, frozen=True):
    """One file, or folder (its name ends in a slash). The chunks can be read while the archive's file is open."""

    name: str
    size_bytes: int
    chunks: Iterator[bytes]

    @property
    def is_folder(self) -> bool:
        """Whether this entry only names a folder."""
        return self.name.endswith("/")


def walk(file: BinaryIO, limits: ZipLimits = DEFAULT_LIMITS) -> Iterator[Member]:
    """Files and folders in the order of the directory. Raises ZipMalformed, and nothing else, for any bytes.

    Refused: links, devices, encryption, compression other than deflate, names that readers decode differently, what
    expands beyond the limits, damage.
    """
    with _faults():
        archive = _open(file)
        infos = archive.infolist()
        _check_expansion(sum(info.file_size for info in infos), file, limits)
        for info in infos:
            _check(info)
            yield Member(info.filename, info.file_size, _chunks(archive, info))


def find(file: BinaryIO, name: str, limits: ZipLimits = DEFAULT_LIMITS) -> Member | None:
    """The file of that name, None for a folder or nothing. Raises ZipMalformed."""
    with _faults():
        archive = _open(file)
        try:
            info = archive.getinfo(name)
        except KeyError:
            return None
        if info.is_dir():
            return None
        _check(info)
        _check_expansion(info.file_size, file, limits)
        return Member(info.filename, info.file_size, _chunks(archive, info))


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as fault:
        raise ZipMalformed(f"damaged, or no zip archive ({type(fault).__name__})") from None


class _Bounded:
    """A file of which no piece is read that a zip's directory cannot need."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.close = file.tell, file.close

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == os.SEEK_SET and offset < 0:
            raise ZipMalformed("an offset lies before the file")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise ZipMalformed(f"its directory has {size} bytes; at most {_MAX_DIRECTORY_BYTES} are read")
        return self._file.read(min(size, _MAX_DIRECTORY_BYTES) if size >= 0 else _MAX_DIRECTORY_BYTES)


def _open(file: BinaryIO) -> zipfile.ZipFile:
    file.seek(0)
    if file.read(4) not in _STARTS:
        raise ZipMalformed("it does not begin like a zip archive")
    return zipfile.ZipFile(cast("BinaryIO", _Bounded(file)))


def _check(info: zipfile.ZipInfo) -> None:
    shown = repr(info.filename[:200])
    if info.filename != info.orig_filename or not info.filename:
        raise ZipMalformed(f"{shown} has another name to other readers")
    if not info.flag_bits & _UTF8 and not info.filename.isascii():
        raise ZipMalformed(f"{shown} is neither ASCII nor declared to be UTF-8")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in ({0, stat.S_IFDIR} if info.is_dir() else {0, stat.S_IFREG}):
        raise ZipMalformed(f"{shown} is a link or a device")
    if info.is_dir() and info.file_size:
        raise ZipMalformed(f"the folder {shown} has contents")
    if info.flag_bits & _ENCRYPTED:
        raise ZipMalformed(f"{shown} is encrypted")
    if info.compress_type not in _METHODS:
        raise ZipMalformed(f"{shown} is compressed by method {info.compress_type}")


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.file_size
    with _faults(), archive.open(info) as source:
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            yield chunk
    if left:
        raise ZipMalformed(f"{info.filename[:200]!r} is shorter than its header states")


def _check_expansion(unpacked_bytes: int, file: BinaryIO, limits: ZipLimits) -> None:
    packed_bytes = file.seek(0, os.SEEK_END)
    if unpacked_bytes > limits.max_unpacked_bytes:
        raise ZipMalformed(f"unpacks to more than {limits.max_unpacked_bytes} bytes")
    if unpacked_bytes > max(limits.free_bytes, limits.ratio * packed_bytes):
        raise ZipMalformed(f"it expands more than {limits.ratio} times")
