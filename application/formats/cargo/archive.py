"""The strict subset of gzip tar that `cargo package` writes, read forwards in bounded memory, never unpacked.

Readers disagree about damaged headers, several gzip members, links, and what follows the end; cargo before 1.64 could
be led out of its folder by some of that. Whatever cargo itself does not write is refused.
Source: https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import os
import tarfile
import unicodedata
import zlib
from collections.abc import Collection, Iterator
from typing import BinaryIO, ClassVar

from domain.errors import Invalid

_BLOCK = 512
_CHUNK_BYTES = 64 * 1024
_MAX_ENTRIES = 100_000
_MAX_PATH_CHARS = 4096
_MAX_TOP_CHARS = 512
_GNU_MAGIC = b"ustar  \x00"
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)

# Beyond these, cargo refuses to unpack (cargo/sources/registry/mod.rs, `max_unpack_size`).
MAX_UNPACKED_BYTES = 512 * 1024**2
MAX_RATIO = 20


class CrateMalformed(Invalid):
    """The file is not a crate that may be unpacked safely."""

    template: ClassVar[str] = "malformed crate: {detail}"


def read_files(file: BinaryIO, top: str, wanted: Collection[str], max_bytes: int) -> dict[str, bytes]:
    """Those of the wanted files that the crate holds, by their path below its top folder.

    Everything is decompressed and looked at to the last byte. Raises CrateMalformed, and nothing else, for any bytes:
    for links, devices and entries outside the top folder, for a wanted file that is larger than `max_bytes`, there
    twice, or there in another case, for expansion beyond what cargo would unpack, for data after the end.
    """
    stream = _Gunzip(file)
    spelled = {_folded(path): path for path in wanted}
    found: dict[str, bytes] = {}
    for path, size_bytes in _entries(stream):
        below = _below(path, top)
        expected = spelled.get(_folded(below))
        if expected is None:
            stream.skip(size_bytes)
        else:
            if below != expected or expected in found:
                raise CrateMalformed(f"{below!r} where only one {expected!r} may be")
            if size_bytes > max_bytes:
                raise CrateMalformed(f"{expected} has {size_bytes} bytes; at most {max_bytes} are read")
            found[expected] = stream.exactly(size_bytes)
        stream.skip(-size_bytes % _BLOCK)
    stream.finish()
    return found


def top_folder(file: BinaryIO) -> str:
    """The folder in which the first entry of the crate is. Raises CrateMalformed."""
    path, _ = next(_entries(_Gunzip(file)), ("", 0))
    return path.partition("/")[0][:_MAX_TOP_CHARS]


def _entries(stream: _Gunzip) -> Iterator[tuple[str, int]]:
    """Path and size of the files, the stream standing at the contents of each; ends at the first block of zeros."""
    long_name: str | None = None
    entries = 0
    while (block := stream.exactly(_BLOCK)).strip(b"\0"):
        entries += 1
        if entries > _MAX_ENTRIES:
            raise CrateMalformed(f"more than {_MAX_ENTRIES} entries")
        header = _decode(block)
        if header.type == tarfile.GNUTYPE_LONGNAME:
            if long_name is not None:
                raise CrateMalformed("two long names before one entry")
            long_name = _long_name(stream, header)
            continue
        path = header.name if long_name is None else long_name
        long_name = None
        if header.type == tarfile.DIRTYPE:
            if header.size:
                raise CrateMalformed(f"the folder {path[:200]!r} has contents")
        elif header.type not in _FILES:
            raise CrateMalformed(f"{path[:200]!r} is neither a file nor a folder")
        else:
            yield path, header.size
    if long_name is not None:
        raise CrateMalformed("a long name is followed by no entry")


def _decode(block: bytes) -> tarfile.TarInfo:
    if block[257:265] == _GNU_MAGIC and block[345:500].strip(b"\0"):
        raise CrateMalformed("a header has data where other readers see a part of its path")
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError, OverflowError):
        raise CrateMalformed("a tar header is damaged") from None
    if header.size < 0:
        raise CrateMalformed("a tar header states a negative size")
    return header


def _long_name(stream: _Gunzip, header: tarfile.TarInfo) -> str:
    if header.size > _MAX_PATH_CHARS:
        raise CrateMalformed(f"a path is longer than {_MAX_PATH_CHARS} bytes")
    data = stream.exactly(header.size)
    stream.skip(-header.size % _BLOCK)
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise CrateMalformed("a path is not UTF-8") from None


def _below(path: str, top: str) -> str:
    """The path below the top folder, of one that stays there."""
    first, _, below = path.partition("/")
    if first != top or not below:
        raise CrateMalformed(f"{path[:200]!r} is not inside the folder {top!r}")
    if "\\" in path or not all(character >= " " and character != "\x7f" for character in path):
        raise CrateMalformed(f"the path {path[:200]!r} has a backslash or a control character")
    if any(part in ("", ".", "..") for part in below.split("/")):
        raise CrateMalformed(f"{path[:200]!r} is not a plain relative path")
    return below


def _folded(path: str) -> str:
    """The path as the least exact file systems compare it."""
    return unicodedata.normalize("NFKC", path).casefold()


class _Gunzip:
    """The decompressed bytes of exactly one gzip member, read forwards, counted against what cargo would unpack."""

    def __init__(self, file: BinaryIO) -> None:
        self._max_bytes = max(MAX_UNPACKED_BYTES, MAX_RATIO * file.seek(0, os.SEEK_END))
        file.seek(0)
        self._file = file
        self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._piece = b""
        self._at = 0
        self._unpacked_bytes = 0

    def exactly(self, size_bytes: int) -> bytes:
        """The next bytes, as many as asked; callers bound the number."""
        pieces = []
        while size_bytes:
            piece = self._next(size_bytes)
            pieces.append(piece)
            size_bytes -= len(piece)
        return b"".join(pieces)

    def skip(self, size_bytes: int) -> None:
        """Move forwards."""
        while size_bytes:
            size_bytes -= len(self._next(size_bytes))

    def finish(self) -> None:
        """Check that only zeros follow up to the end of the tar, and nothing after the gzip member."""
        while piece := self._next(_CHUNK_BYTES, may_end=True):
            if piece.strip(b"\0"):
                raise CrateMalformed("data follow the end of the tar archive")
        if self._inflater.unused_data or self._file.read(1):
            raise CrateMalformed("data follow the end of the gzip stream")

    def _next(self, size_bytes: int, *, may_end: bool = False) -> bytes:
        """Between one and `size_bytes` bytes; none only at the end of the stream, where that `may_end`."""
        while self._at == len(self._piece):
            if self._inflater.eof:
                if may_end:
                    return b""
                raise CrateMalformed("the archive ends too early")
            self._piece, self._at = self._inflate(), 0
        piece = self._piece[self._at : self._at + size_bytes]
        self._at += len(piece)
        return piece

    def _inflate(self) -> bytes:
        packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK_BYTES)
        if not packed:
            raise CrateMalformed("the gzip stream is cut short")
        try:
            piece = self._inflater.decompress(packed, _CHUNK_BYTES)
        except zlib.error:
            raise CrateMalformed("not a gzip file, or a damaged one") from None
        self._unpacked_bytes += len(piece)
        if self._unpacked_bytes > self._max_bytes:
            raise CrateMalformed(f"unpacks to more than {self._max_bytes} bytes")
        return piece
