"""The strict subset of gzip tar that every reader unpacks to the same files.

Python's tarfile, node-tar, Go's archive/tar and the readers in pnpm and yarn disagree about damaged headers, text
after a NUL, extended sizes and what follows the first empty block. Where they disagree, one of them installs files that
nobody checked. So this reader accepts what package managers, GNU tar and common libraries write, and refuses everything
with two readings.
Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 (ustar and pax)
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

import msgspec

from domain.errors import Invalid

BLOCK = 512
_CHUNK_BYTES = 64 * 1024
_MAX_EXTENSION_BYTES = 64 * 1024
_USTAR, _GNU, _V7 = b"ustar\x0000", b"ustar  \x00", b"\x00" * 8
_FILE_TYPES = (b"0", b"\x00")
_OCTAL = re.compile(rb"[ ]*([0-7]*)[ \x00]*\Z")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n\x00]{1,255})=")
_PAX_REFUSED = re.compile(r"linkpath|GNU\.sparse\..*|SCHILY\.realsize")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


class TarballMalformed(Invalid):
    """The file is not a gzip tar that may be unpacked safely."""

    template: ClassVar[str] = "malformed tarball: {detail}"


class TarballLimits(msgspec.Struct, frozen=True):
    """How far an archive may expand. ratio: unpacked to packed, held above the first `free_bytes`."""

    max_entries: int = 200_000
    max_unpacked_bytes: int = 4 * 1024**3
    ratio: int = 100
    free_bytes: int = 8 * 1024**2


class Entry:
    """One regular file. Its data can be read until the next entry is asked for."""

    def __init__(self, path: tuple[str, ...], size_bytes: int, source: _Gunzip) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._source = source
        self._left = size_bytes

    def read(self, max_bytes: int) -> bytes:
        """At most the next `max_bytes` of the file."""
        data = self._source.exactly(min(max_bytes, self._left))
        self._left -= len(data)
        return data

    def pass_over(self) -> None:
        """Move behind the file's data and its padding."""
        self._source.skip(self._left + -self.size_bytes % BLOCK)
        self._left = 0


def read_entries(file: BinaryIO, limits: TarballLimits) -> Iterator[Entry]:
    """The regular files in order. Raises TarballMalformed, and nothing else, for any bytes.

    Links, devices, sparse files and paths that leave the archive are refused, as the public registry does.
    """
    source = _Gunzip(file, limits)
    extension: dict[str, str] = {}
    entries = 0
    while header := source.block():
        if not header.strip(b"\x00"):
            source.only_zeros_left()
            return
        entries += 1
        if entries > limits.max_entries:
            raise TarballMalformed(f"more than {limits.max_entries} entries")
        member = _parse_header(header)
        if member.kind in b"xgL":
            extension = _extension(member, source, pending=extension)
            continue
        path = _path(extension.get("path", member.path), member, extension)
        extension = {}
        if path is not None:
            entry = Entry(path, member.size_bytes, source)
            yield entry
            entry.pass_over()
    if extension:
        raise TarballMalformed("an extended header without its file")
    if not entries:
        raise TarballMalformed("the archive is empty")


class _Member(msgspec.Struct, frozen=True):
    path: str
    size_bytes: int
    kind: bytes


def _parse_header(block: bytes) -> _Member:
    if _octal(block[148:156], "checksum") != sum(block) - sum(block[148:156]) + 8 * 32:
        raise TarballMalformed("a header has a wrong checksum")
    magic, kind = block[257:265], block[156:157]
    if magic not in (_USTAR, _GNU, _V7):
        raise TarballMalformed("not a ustar archive")
    prefix = _text(block[345:500]) if magic == _USTAR else ""
    if magic != _USTAR and block[345:500].strip(b"\x00"):
        raise TarballMalformed("a header has data where other readers see a path prefix")
    if kind in (b"1", b"2"):
        raise TarballMalformed("links are not allowed in packages")
    if kind not in (*_FILE_TYPES, b"5", b"x", b"g", b"L"):
        raise TarballMalformed(f"entries of type {kind!r} are not allowed in packages")
    if block[157:257].strip(b"\x00"):
        raise TarballMalformed("a link target on something that is no link")
    name = _text(block[0:100])
    return _Member(f"{prefix}/{name}" if prefix else name, _octal(block[124:136], "size"), kind)


def _octal(field: bytes, what: str) -> int:
    match = _OCTAL.match(field)
    if match is None:
        raise TarballMalformed(f"a header has no plain octal {what}")
    return int(match[1] or b"0", 8)


def _text(field: bytes) -> str:
    text, _, rest = field.partition(b"\x00")
    if rest.strip(b"\x00"):
        raise TarballMalformed("text after the end of a name")
    return text.decode(errors="replace")


def _extension(member: _Member, source: _Gunzip, pending: dict[str, str]) -> dict[str, str]:
    """What an extended header says about the next file; a global one may say nothing that matters."""
    if pending:
        raise TarballMalformed("two extended headers before one file")
    if not 0 < member.size_bytes <= _MAX_EXTENSION_BYTES:
        raise TarballMalformed("an extended header of unacceptable size")
    data = source.exactly(member.size_bytes)
    source.skip(-member.size_bytes % BLOCK)
    if member.kind == b"L":
        return {"path": _text(data)}
    records = _pax_records(data)
    if member.kind == b"x":
        return records
    if records.keys() & {"path", "size"}:
        raise TarballMalformed("a global header that renames or resizes files")
    return {}


def _pax_records(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        match = _PAX_RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or end <= match.end() or end > len(data) or data[end - 1 : end] != b"\n":
            raise TarballMalformed("a pax record is damaged")
        key, value = match[2].decode(errors="replace"), data[match.end() : end - 1]
        # node-tar splits at every newline, so a value with one would be two records to npm.
        if key in records or b"\n" in value or _PAX_REFUSED.fullmatch(key):
            raise TarballMalformed(f"pax record {key[:80]!r} is not allowed in packages")
        records[key] = value.decode(errors="replace")
        at = end
    return records


def _path(text: str, member: _Member, extension: dict[str, str]) -> tuple[str, ...] | None:
    """The path's parts, or None for a directory."""
    size = extension.get("size", str(member.size_bytes))
    if size != str(member.size_bytes):
        raise TarballMalformed("two sizes for one file")
    parts = tuple(text.replace("\\", "/").split("/"))
    if not text or _CONTROL.search(text) or parts[0] == "" or ".." in parts or _DRIVE.match(text):
        raise TarballMalformed(f"unsafe path {text[:200]!r}")
    if member.kind == b"5" or text.endswith("/"):
        if member.size_bytes:
            raise TarballMalformed("a directory with content")
        return None
    return parts


class _Gunzip:
    """Bytes out of one or more gzip members, forward only, within the limits."""

    def __init__(self, file: BinaryIO, limits: TarballLimits) -> None:
        self._file = file
        self._limits = limits
        self._inflater = zlib.decompressobj(wbits=31)
        self._input = b""
        self._packed = 0
        self._unpacked = 0
        self._chunk = b""
        self._at = 0

    def block(self) -> bytes:
        """The next 512 bytes, or nothing at the end."""
        data = self._up_to(BLOCK)
        if data and len(data) < BLOCK:
            raise TarballMalformed("the archive ends inside a header")
        return data

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes; callers bound the count."""
        data = self._up_to(count)
        if len(data) < count:
            raise TarballMalformed("the archive ends inside a file")
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes without holding them."""
        while count:
            step = min(count, self._available())
            if not step:
                raise TarballMalformed("the archive ends inside a file")
            self._at += step
            count -= step

    def only_zeros_left(self) -> None:
        """Raise TarballMalformed when anything but padding follows the end mark."""
        while self._available():
            if self._chunk[self._at :].strip(b"\x00"):
                raise TarballMalformed("data after the end of the archive")
            self._at = len(self._chunk)

    def _up_to(self, count: int) -> bytes:
        data = self._chunk[self._at : self._at + count]
        self._at += len(data)
        if len(data) == count:
            return data
        pieces, missing = [data], count - len(data)
        while missing and (step := min(missing, self._available())):
            pieces.append(self._chunk[self._at : self._at + step])
            self._at += step
            missing -= step
        return b"".join(pieces)

    def _available(self) -> int:
        """How many unpacked bytes are at hand; unpacks more when there are none; 0 at the end of the file."""
        while self._at == len(self._chunk):
            if self._inflater.eof and not self._next_member():
                return 0
            self._chunk, self._at = self._inflate(), 0
        return len(self._chunk) - self._at

    def _inflate(self) -> bytes:
        if not self._input and not self._receive():
            raise TarballMalformed("the gzip data ends too early")
        try:
            chunk = self._inflater.decompress(self._input, _CHUNK_BYTES)
        except zlib.error as error:
            raise TarballMalformed(f"not gzip data: {error}") from None
        self._input = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        self._unpacked += len(chunk)
        if self._unpacked > self._limits.max_unpacked_bytes:
            raise TarballMalformed(f"unpacks to more than {self._limits.max_unpacked_bytes} bytes")
        if self._unpacked > self._limits.free_bytes + self._limits.ratio * self._packed:
            raise TarballMalformed(f"unpacks to more than {self._limits.ratio} times its size")
        return chunk

    def _next_member(self) -> bool:
        """Begin the gzip member that follows; False when only zero padding does."""
        while self._input or self._receive():
            rest = self._input.lstrip(b"\x00")
            if rest and rest == self._input:
                self._inflater = zlib.decompressobj(wbits=31)
                return True
            if rest:
                raise TarballMalformed("data after the end of the gzip stream")
            self._input = b""
        return False

    def _receive(self) -> bool:
        self._input = self._file.read(_CHUNK_BYTES)
        self._packed += len(self._input)
        return bool(self._input)
