"""Reading a zip archive of which every reader has the same view.

The standard library looks only at the central directory and forgives much; an installer that streams local headers
would see other members in a crafted file. Here an archive is taken only when its local records tile the file from
the first byte, the central directory follows and agrees with each of them, and the end record ends the file. Members
are then inflated with the declared size as a limit. Nothing is ever written.
Source of all structures: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from application.formats.pypi.faults import ArchiveInvalid, shown
from application.formats.pypi.limits import CHUNK_BYTES, MAX_MEMBERS, MemberNames, check_expansion, check_member_name

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")

_MAX_DIRECTORY_BYTES = 32 << 20
_MAX_COMMENT_BYTES = 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DATA_DESCRIPTOR, _UTF8 = 0x0001, 0x0008, 0x0800
_PATCH, _STRONG_ENCRYPTION, _MASKED_HEADERS = 0x0020, 0x0040, 0x2000
_MAX_VERSION_NEEDED = 63
_EXTRA_ZIP64, _EXTRA_UNICODE_PATH = 0x0001, 0x7075


class Member(msgspec.Struct, frozen=True):
    """One file or folder (name ends in `/`) of the archive; sizes and CRC as both of its headers state them."""

    name: str
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    header_offset: int
    data_offset: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether this entry only names a folder."""
        return self.name.endswith("/")


class _Directory(msgspec.Struct, frozen=True):
    """Where the central directory lies, and how many entries it has."""

    offset: int
    size_bytes: int
    entries: int


class ZipArchive:
    """The members of a checked archive by name, in directory order."""

    def __init__(self, file: BinaryIO, members: dict[str, Member]) -> None:
        self._file = file
        self.members = members

    def chunks(self, member: Member) -> Iterator[bytes]:
        """The contents in pieces of bounded size; raises ArchiveInvalid where size, CRC or compression are false."""
        crc = size_bytes = 0
        for piece in _inflate(self._file, member):
            crc = zlib.crc32(piece, crc)
            size_bytes += len(piece)
            if size_bytes > member.size_bytes:
                raise ArchiveInvalid(f"{shown(member.name)} is longer than its header states")
            yield piece
        if size_bytes != member.size_bytes:
            raise ArchiveInvalid(f"{shown(member.name)} is shorter than its header states")
        if crc != member.crc:
            raise ArchiveInvalid(f"{shown(member.name)} does not match its CRC")

    def read(self, member: Member, max_bytes: int) -> bytes:
        """The whole contents of a member that must be small."""
        if member.size_bytes > max_bytes:
            raise ArchiveInvalid(f"{shown(member.name)} has {member.size_bytes} bytes; at most {max_bytes} are read")
        return b"".join(self.chunks(member))


def open_zip(file: BinaryIO) -> ZipArchive:
    """Check the framing of the whole archive and give its members; the file must be seekable and stay open.

    Refused with ArchiveInvalid: leading, trailing or unclaimed bytes, duplicate names, headers that disagree, data
    descriptors, encryption, compression other than deflate, unsafe names, and archives that expand beyond bounds.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    end_offset = find_end(file)
    if end_offset is None:
        raise ArchiveInvalid("not a zip archive, or one that was cut short")
    directory = _directory(file, end_offset)
    listed = _central_headers(file, directory)
    check_expansion(sum(member.size_bytes for member in listed), size_bytes)
    members: dict[str, Member] = {}
    offset = 0
    for member in sorted(listed, key=lambda member: member.header_offset):
        if member.header_offset != offset:
            raise ArchiveInvalid(f"bytes before {shown(member.name)} belong to no member, or to two")
        checked = _local_header(file, member)
        offset = checked.data_offset + checked.packed_bytes
        members[member.name] = checked
    if offset != directory.offset:
        raise ArchiveInvalid("bytes before the central directory belong to no member, or to two")
    return ZipArchive(file, {member.name: members[member.name] for member in listed})


def find_end(file: BinaryIO) -> int | None:
    """The offset of an end record that ends the file exactly, or None; also how a disguised zip is recognised."""
    size_bytes = file.seek(0, os.SEEK_END)
    start = max(0, size_bytes - _END.size - _MAX_COMMENT_BYTES)
    file.seek(start)
    tail = file.read(size_bytes - start)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(tail):
            comment_bytes = int(_END.unpack_from(tail, at)[7])
            if at + _END.size + comment_bytes == len(tail):
                return start + at
        at = tail.rfind(b"PK\5\6", 0, at)
    return None


def _directory(file: BinaryIO, end_offset: int) -> _Directory:
    """Read the end records; they must be the only ones, undivided, and follow the directory without a gap."""
    file.seek(end_offset)
    _, disk, start_disk, here, entries, size_bytes, offset, _ = _END.unpack(_exactly(file, _END.size))
    if disk or start_disk or here != entries:
        raise ArchiveInvalid("the archive is one part of several")
    end_of_directory = end_offset
    if entries == _FULL16 or _FULL32 in (size_bytes, offset):
        found = _directory64(file, end_offset)
        if found is not None:
            end_of_directory, wide = found
            _agree((entries, size_bytes, offset), (wide.entries, wide.size_bytes, wide.offset))
            entries, size_bytes, offset = wide.entries, wide.size_bytes, wide.offset
    if offset + size_bytes != end_of_directory:
        raise ArchiveInvalid("the central directory is not where the end record places it")
    if entries > MAX_MEMBERS or size_bytes > _MAX_DIRECTORY_BYTES:
        raise ArchiveInvalid(f"more than {MAX_MEMBERS} members, or a directory over {_MAX_DIRECTORY_BYTES} bytes")
    return _Directory(offset, size_bytes, entries)


def _directory64(file: BinaryIO, end_offset: int) -> tuple[int, _Directory] | None:
    locator_offset = end_offset - _LOCATOR64.size
    if locator_offset < 0:
        return None
    file.seek(locator_offset)
    signature, disk, record_offset, disks = _LOCATOR64.unpack(_exactly(file, _LOCATOR64.size))
    if signature != b"PK\6\7":
        return None
    if disk or disks > 1 or record_offset + _END64.size != locator_offset:
        raise ArchiveInvalid("the ZIP64 end record is misplaced or extended")
    file.seek(record_offset)
    record = _END64.unpack(_exactly(file, _END64.size))
    signature, record_bytes, _, _, disk, start_disk, here, entries, size_bytes, offset = record
    if signature != b"PK\6\6" or record_bytes != _END64.size - 12 or disk or start_disk or here != entries:
        raise ArchiveInvalid("the ZIP64 end record is malformed")
    return record_offset, _Directory(offset, size_bytes, entries)


def _agree(narrow: tuple[int, int, int], wide: tuple[int, int, int]) -> None:
    for small, large, full in zip(narrow, wide, (_FULL16, _FULL32, _FULL32), strict=True):
        if small not in (full, large):
            raise ArchiveInvalid("the two end records disagree")


def _central_headers(file: BinaryIO, directory: _Directory) -> list[Member]:
    file.seek(directory.offset)
    data = memoryview(_exactly(file, directory.size_bytes))
    members: list[Member] = []
    names = MemberNames()
    at = 0
    while at < len(data):
        member, at = _central_header(data, at)
        names.add(member.name, is_folder=member.is_folder)
        members.append(member)
        if len(members) > directory.entries:
            break
    if len(members) != directory.entries:
        raise ArchiveInvalid("the central directory has another number of members than the end record states")
    return members


def _central_header(data: memoryview, at: int) -> tuple[Member, int]:
    if at + _CENTRAL.size > len(data):
        raise ArchiveInvalid("the central directory is cut short")
    header = _CENTRAL.unpack_from(data, at)
    signature, _, needed, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes, comment_bytes = header[:13]
    disk, _, _, offset = header[13:]
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_bytes
    end = extra_at + extra_bytes + comment_bytes
    if signature != b"PK\1\2" or end > len(data):
        raise ArchiveInvalid("the central directory is malformed")
    if comment_bytes or disk:
        raise ArchiveInvalid("a member has a comment or lies on another disk")
    name = _name(bytes(data[name_at:extra_at]), flags)
    wide = _extra(bytes(data[extra_at:end]))
    size, packed, offset = _widen(wide, size, packed, offset)
    _check_method(name, method, flags, needed)
    member = Member(name, method, crc, packed, size, offset)
    if method == _STORED and packed != size:
        raise ArchiveInvalid(f"{shown(name)} is stored, yet its two sizes differ")
    if member.is_folder and size:
        raise ArchiveInvalid(f"the folder {shown(name)} has contents")
    return member, end


def _local_header(file: BinaryIO, member: Member) -> Member:
    """The member with the place of its data, once its local header says what the directory says."""
    file.seek(member.header_offset)
    header = _LOCAL.unpack(_exactly(file, _LOCAL.size))
    signature, needed, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = header
    if signature != b"PK\3\4":
        raise ArchiveInvalid(f"{shown(member.name)} has no local header where the directory places it")
    name = _name(_exactly(file, name_bytes), flags)
    wide = _extra(_exactly(file, extra_bytes))
    size, packed = _widen(wide, size, packed)
    _check_method(name, method, flags, needed)
    told = (name, method, crc, packed, size)
    if told != (member.name, member.method, member.crc, member.packed_bytes, member.size_bytes):
        raise ArchiveInvalid(f"the local header of {shown(member.name)} disagrees with the central directory")
    data_offset = member.header_offset + _LOCAL.size + name_bytes + extra_bytes
    return msgspec.structs.replace(member, data_offset=data_offset)


def _name(raw: bytes, flags: int) -> str:
    # Without the flag the bytes mean code page 437 to some readers and UTF-8 to others.
    encoding = "utf-8" if flags & _UTF8 else "ascii"
    try:
        name = raw.decode(encoding)
    except UnicodeDecodeError:
        raise ArchiveInvalid("a member's name is neither ASCII nor declared UTF-8") from None
    check_member_name(name)
    return name


def _extra(raw: bytes) -> bytes | None:
    """The ZIP64 field of the extra data, or None; fields that could rename a member are refused."""
    wide: bytes | None = None
    at = 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise ArchiveInvalid("the extra data of a member are malformed")
        kind, length = struct.unpack_from("<HH", raw, at)
        at += 4 + length
        if at > len(raw) or kind == _EXTRA_UNICODE_PATH or (kind == _EXTRA_ZIP64 and wide is not None):
            raise ArchiveInvalid("the extra data of a member are malformed or rename it")
        if kind == _EXTRA_ZIP64:
            wide = raw[at - length : at]
    return wide


def _widen(wide: bytes | None, *values: int) -> list[int]:
    """Replace each value of all ones by its 64-bit form; a field with more or fewer values is ambiguous, so refused."""
    if wide is None:
        return list(values)
    needed = sum(value == _FULL32 for value in values)
    if len(wide) != 8 * needed:
        raise ArchiveInvalid("the ZIP64 field of a member does not fit its header")
    further = iter(struct.unpack(f"<{needed}Q", wide))
    return [next(further) if value == _FULL32 else value for value in values]


def _check_method(name: str, method: int, flags: int, needed: int) -> None:
    if needed > _MAX_VERSION_NEEDED or flags & _PATCH:
        raise ArchiveInvalid(f"{shown(name)} needs features of zip that installers do not have")
    if flags & (_ENCRYPTED | _STRONG_ENCRYPTION | _MASKED_HEADERS):
        raise ArchiveInvalid(f"{shown(name)} is encrypted")
    if flags & _DATA_DESCRIPTOR:
        raise ArchiveInvalid(f"{shown(name)} was written as a stream (with a data descriptor)")
    if method not in (_STORED, _DEFLATED):
        raise ArchiveInvalid(f"{shown(name)} uses compression method {method}; only stored and deflated are accepted")


def _inflate(file: BinaryIO, member: Member) -> Iterator[bytes]:
    file.seek(member.data_offset)
    left = member.packed_bytes
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while left and not inflater.eof:
        packed = _exactly(file, min(left, CHUNK_BYTES))
        left -= len(packed)
        resume = file.tell()
        if member.method == _STORED:
            yield packed
        else:
            yield from _pieces(inflater, packed, member.name)
        # The caller may have read elsewhere in the file between two pieces.
        file.seek(resume)
    if member.method == _DEFLATED and (left or inflater.unused_data or not inflater.eof):
        raise ArchiveInvalid(f"the compressed data of {shown(member.name)} do not end where its header states")


def _pieces(inflater: zlib._Decompress, packed: bytes, name: str) -> Iterator[bytes]:
    while packed and not inflater.eof:
        try:
            piece = inflater.decompress(packed, CHUNK_BYTES)
        except zlib.error:
            raise ArchiveInvalid(f"the compressed data of {shown(name)} are damaged") from None
        if not piece and inflater.unconsumed_tail == packed:
            break
        packed = inflater.unconsumed_tail
        if piece:
            yield piece


def _exactly(file: BinaryIO, size_bytes: int) -> bytes:
    data = file.read(size_bytes)
    if len(data) != size_bytes:
        raise ArchiveInvalid("the archive is cut short")
    return data
