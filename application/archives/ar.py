"""The `ar` archives that binary packages are: a magic line, then members behind headers of sixty bytes.

Strict: what dpkg itself writes, so that no two readers find different members.
Source: https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html
"""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO, ClassVar

import msgspec

from domain.errors import Invalid

MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_END = b"`\n"
_MAX_MEMBERS = 64
_NAME = re.compile(rb"([A-Za-z0-9_.+-]{1,16})/?[ ]*\Z")
_SIZE = re.compile(rb"([0-9]{1,10})[ ]*\Z")


class ArMalformed(Invalid):
    """Not an archive that every reader takes for the same members."""

    template: ClassVar[str] = "malformed ar archive: {detail}"


class ArMember(msgspec.Struct, frozen=True):
    """Where the bytes of a member are in the file."""

    name: str
    offset: int
    size_bytes: int


def read_members(file: BinaryIO) -> list[ArMember]:
    """The members in order. Raises ArMalformed, and nothing else, for any bytes."""
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise ArMalformed("it does not begin as one")
    members: list[ArMember] = []
    at = len(MAGIC)
    while at < total:
        if len(members) == _MAX_MEMBERS:
            raise ArMalformed(f"more than {_MAX_MEMBERS} members")
        member = _read_header(file, at)
        at = member.offset + member.size_bytes
        if at > total:
            raise ArMalformed(f"{member.name} ends behind the end of the file")
        at += at % 2
        members.append(member)
    return members


def _read_header(file: BinaryIO, at: int) -> ArMember:
    file.seek(at)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[58:] != _END:
        raise ArMalformed(f"no header of a member at byte {at}")
    name, size = _NAME.match(header[:16]), _SIZE.match(header[48:58])
    if name is None or size is None:
        raise ArMalformed(f"the header at byte {at} has no plain name and size")
    return ArMember(name[1].decode(), at + _HEADER_BYTES, int(size[1]))


class Section(io.RawIOBase):
    """A part of a file, read as a file of its own. Closing it leaves the file open."""

    def __init__(self, file: BinaryIO, offset: int, size_bytes: int) -> None:
        super().__init__()
        self._file = file
        self._at = offset
        self._left = size_bytes

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; all that are left without a size."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        self._file.seek(self._at)
        data = self._file.read(wanted)
        self._at += len(data)
        self._left -= len(data)
        return data
