"""Reading a gzip-compressed tar as a stream, in bounded memory, without ever unpacking it.

`tarfile` decodes single headers; the walk over them is ours, because the library reads extended headers of any size
into memory, follows links, and forgives what other readers take differently: several gzip members, bytes after the
end, sizes stated twice.
Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13 (ustar and pax),
https://www.gnu.org/software/tar/manual/html_node/Standard.html (GNU long names), RFC 1952 (gzip)
"""

from __future__ import annotations

import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from application.formats.pypi.faults import ArchiveInvalid, shown
from application.formats.pypi.limits import CHUNK_BYTES, MAX_MEMBERS, MemberNames, check_expansion, check_member_name
from application.formats.pypi.zips import find_end

_BLOCK = 512
_MAX_HEADER_BYTES = 64 << 10
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)


class Entry(msgspec.Struct, frozen=True):
    """One member: a file, a folder or a link (then `target` is where it points, as written)."""

    name: str
    size_bytes: int
    is_folder: bool = False
    target: str | None = None
    contents: bytes | None = None


def walk_tar(file: BinaryIO, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Entry]:
    """The members of a `.tar.gz` in order; files whose name is `wanted` come with their contents.

    Everything is decompressed and checked to the last byte by the time the iteration ends. Raises ArchiveInvalid: for
    a wanted file over `max_bytes`; for duplicate files, devices, sparse files, links that leave the archive, unsafe
    names; for data after the end, a second gzip member, a zip hidden in the tail; for expansion beyond bounds.
    """
    if find_end(file) is not None:
        raise ArchiveInvalid("the file is both a tar and a zip archive")
    stream = _GzipStream(file)
    seen = MemberNames()
    for header, pax in _headers(stream):
        entry = _entry(header, pax)
        seen.add(entry.name, is_folder=entry.is_folder)
        if entry.target is None and not entry.is_folder and wanted(entry.name):
            if entry.size_bytes > max_bytes:
                raise ArchiveInvalid(f"{shown(entry.name)} has {entry.size_bytes} bytes; at most {max_bytes} are read")
            entry = msgspec.structs.replace(entry, contents=stream.exactly(entry.size_bytes))
        else:
            stream.skip(entry.size_bytes)
        stream.skip(-entry.size_bytes % _BLOCK)
        yield entry
    stream.finish()


def _headers(stream: _GzipStream) -> Iterator[tuple[tarfile.TarInfo, dict[str, str]]]:
    """Member headers, each with the extended values that precede it; ends at the two blocks of zeros."""
    pax: dict[str, str] = {}
    members = 0
    while (block := stream.exactly(_BLOCK)).strip(b"\0"):
        members += 1
        if members > 3 * MAX_MEMBERS:
            raise ArchiveInvalid(f"more than {MAX_MEMBERS} members")
        header = _decode(block)
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            fields = _pax_fields(_extended(stream, header))
            if header.type == tarfile.XHDTYPE:
                pax |= fields
            elif fields.keys() - {"comment"}:
                raise ArchiveInvalid("a global header changes the members after it")
        elif header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            key = "path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
            pax[key] = _text(_extended(stream, header).rstrip(b"\0"))
        else:
            yield header, pax
            pax = {}
    if pax:
        raise ArchiveInvalid("an extended header is followed by no member")


def _decode(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError, OverflowError):
        raise ArchiveInvalid("a tar header is damaged") from None
    if header.size < 0:
        raise ArchiveInvalid("a tar header states a negative size")
    return header


def _extended(stream: _GzipStream, header: tarfile.TarInfo) -> bytes:
    if header.size > _MAX_HEADER_BYTES:
        raise ArchiveInvalid(f"an extended header has {header.size} bytes; at most {_MAX_HEADER_BYTES} are read")
    data = stream.exactly(header.size)
    stream.skip(-header.size % _BLOCK)
    return data


def _pax_fields(data: bytes) -> dict[str, str]:
    """The records of a pax header, `<length> <key>=<value>` and a newline each; every key once."""
    fields: dict[str, str] = {}
    while data:
        digits, space, _ = data[:20].partition(b" ")
        if not space or not digits.isdigit():
            raise ArchiveInvalid("a pax header is malformed")
        record, data = data[: int(digits)], data[int(digits) :]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if len(record) != int(digits) or not equals or not value.endswith(b"\n"):
            raise ArchiveInvalid("a pax header is malformed")
        name = _text(key)
        if name in fields or name.startswith("GNU.sparse."):
            raise ArchiveInvalid("a pax header states a value twice, or a sparse file")
        fields[name] = _text(value[:-1]) if name in ("path", "linkpath", "size") else ""
    return fields


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveInvalid("a tar header holds a name that is not UTF-8") from None


def _entry(header: tarfile.TarInfo, pax: dict[str, str]) -> Entry:
    name = pax.get("path", header.name)
    if header.type == tarfile.DIRTYPE or (header.type in _FILES and name.endswith("/")):
        name, is_folder = name.rstrip("/"), True
    else:
        is_folder = False
    check_member_name(name)
    if "size" in pax and pax["size"] != str(header.size):
        raise ArchiveInvalid(f"the size of {shown(name)} is stated twice, differently")
    if header.type in _LINKS:
        return _link(name, header, pax.get("linkpath", header.linkname))
    if not is_folder and header.type not in _FILES:
        raise ArchiveInvalid(f"{shown(name)} is neither a file, a folder nor a link")
    if is_folder and header.size:
        raise ArchiveInvalid(f"the folder {shown(name)} has contents")
    return Entry(name, header.size, is_folder)


def _link(name: str, header: tarfile.TarInfo, target: str) -> Entry:
    """A link must carry no bytes and point inside the top folder (hard links are written from the root)."""
    if header.size:
        raise ArchiveInvalid(f"the link {shown(name)} has contents")
    if header.type == tarfile.SYMTYPE:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    else:
        place = posixpath.normpath(target)
    top = name.split("/", 1)[0]
    inside = place == top or place.startswith(f"{top}/")
    if not target or target.startswith("/") or "\\" in target or "\0" in target or not inside:
        raise ArchiveInvalid(f"the link {shown(name)} points outside the archive")
    return Entry(name, 0, target=target)


class _GzipStream:
    """The decompressed bytes of exactly one gzip member, read forwards, counted against the expansion limits."""

    def __init__(self, file: BinaryIO) -> None:
        self._packed_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._file = file
        self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._piece = b""
        self._at = 0
        self._expanded_bytes = 0

    def exactly(self, size_bytes: int) -> bytes:
        """The next bytes, as many as asked; only for sizes that were checked to be small."""
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
        while piece := self._next(CHUNK_BYTES, may_end=True):
            if piece.strip(b"\0"):
                raise ArchiveInvalid("data follow the end of the tar archive")
        if self._inflater.unused_data or self._file.read(1):
            raise ArchiveInvalid("data follow the end of the gzip stream")

    def _next(self, size_bytes: int, *, may_end: bool = False) -> bytes:
        """Between one and `size_bytes` bytes; none only at the end of the stream, where that `may_end`."""
        while self._at == len(self._piece):
            if self._inflater.eof:
                if may_end:
                    return b""
                raise ArchiveInvalid("the archive ends without its end mark")
            self._piece, self._at = self._inflated(), 0
        piece = self._piece[self._at : self._at + size_bytes]
        self._at += len(piece)
        return piece

    def _inflated(self) -> bytes:
        packed = self._inflater.unconsumed_tail or self._file.read(CHUNK_BYTES)
        if not packed:
            raise ArchiveInvalid("the gzip stream is cut short")
        try:
            piece = self._inflater.decompress(packed, CHUNK_BYTES)
        except zlib.error:
            raise ArchiveInvalid("not a gzip file, or a damaged one") from None
        self._expanded_bytes += len(piece)
        check_expansion(self._expanded_bytes, self._packed_bytes)
        return piece
