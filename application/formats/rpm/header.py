"""The binary structure of a package: a lead, a signature header, a header, the payload. Read strictly, up to there.

Source: https://rpm-software-management.github.io/rpm/manual/format_v4.html and lib/header.c. Everything in it comes
from strangers: counts and offsets are checked before anything is made of them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from domain.errors import Invalid

LEAD_BYTES = 96
MAX_ENTRIES = 0xFFFF
"""What rpm itself takes for one header."""

MAX_STORE_BYTES = 64 << 20
MAX_SIGNATURE_BYTES = 16 << 20
MAX_COUNT = 400_000
"""Elements of one tag; the largest packages there are have a quarter of a million files."""

_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_INTRO = struct.Struct(">4s4xII")
_ENTRY = struct.Struct(">IIII")
_STRING, _BINARY, _ARRAY, _I18N = 6, 7, 8, 9
_TEXTS = (_STRING, _ARRAY, _I18N)
_NUMBERS = {2: "B", 3: "H", 4: "I", 5: "Q"}
_WIDTHS = {0: 1, 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, _BINARY: 1}


class RpmInvalid(Invalid):
    """Not a package that rpm reads."""

    template = "not an RPM package: {detail}"

    def __init__(self, detail: str) -> None:
        super().__init__(detail=detail[:300])


class Entry(msgspec.Struct, frozen=True):
    """Where a tag's value is in the store."""

    type: int
    offset: int
    count: int


class Header:
    """The tags of one header. Values are decoded when they are asked for; a tag of another type is RpmInvalid."""

    def __init__(self, entries: dict[int, Entry], store: bytes) -> None:
        self._entries = entries
        self._store = store

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def text(self, tag: int) -> str:
        """A text; of a translated one that for the locale C. Empty when there is none."""
        entry = self._entry(tag, *_TEXTS)
        return _decode(self._strings(tag, entry, 1)[0]) if entry is not None else ""

    def texts(self, tag: int) -> list[str]:
        """The texts of an array; none when there is no such tag."""
        entry = self._entry(tag, *_TEXTS)
        return [_decode(part) for part in self._strings(tag, entry, entry.count)] if entry is not None else []

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Unsigned integers; none when there is no such tag."""
        entry = self._entry(tag, *_NUMBERS)
        if entry is None:
            return ()
        return struct.unpack_from(f">{entry.count}{_NUMBERS[entry.type]}", self._store, entry.offset)

    def number(self, tag: int) -> int | None:
        """The first of some integers; None when there is no such tag."""
        return next(iter(self.numbers(tag)), None)

    def binary(self, tag: int) -> bytes:
        """Bytes; none when there is no such tag."""
        entry = self._entry(tag, _BINARY)
        return self._store[entry.offset : entry.offset + entry.count] if entry is not None else b""

    def _entry(self, tag: int, *types: int) -> Entry | None:
        entry = self._entries.get(tag)
        if entry is not None and entry.type not in types:
            raise RpmInvalid(f"tag {tag} has the type {entry.type}")
        return entry

    def _strings(self, tag: int, entry: Entry, count: int) -> list[bytes]:
        found, at = [], entry.offset
        for _ in range(count):
            end = self._store.find(b"\0", at)
            if end < 0:
                raise RpmInvalid(f"a text of tag {tag} does not end")
            found.append(self._store[at:end])
            at = end + 1
        return found


class Structure(msgspec.Struct, frozen=True):
    """A package's headers. start, end: of the main header in the file, in bytes; the payload follows it."""

    signature: Header
    header: Header
    start: int
    end: int


def read_structure(file: BinaryIO) -> Structure:
    """Read everything before the payload; raises RpmInvalid."""
    lead = file.read(LEAD_BYTES)
    if len(lead) < LEAD_BYTES or lead[:4] != _LEAD_MAGIC:
        raise RpmInvalid("it does not begin with an RPM lead")
    if lead[4] not in (3, 4):
        raise RpmInvalid(f"version {lead[4]} of the format is not supported")
    signature, size = _read_header(file, "signature header", MAX_SIGNATURE_BYTES)
    padding = -size % 8
    if len(file.read(padding)) < padding:
        raise RpmInvalid("it ends behind the signature header")
    start = LEAD_BYTES + size + padding
    header, size = _read_header(file, "header", MAX_STORE_BYTES)
    return Structure(signature, header, start, start + size)


def _read_header(file: BinaryIO, name: str, max_bytes: int) -> tuple[Header, int]:
    """A header, and how many bytes it has."""
    intro = file.read(_INTRO.size)
    if len(intro) < _INTRO.size:
        raise RpmInvalid(f"it ends before its {name}")
    magic, count, size = _INTRO.unpack(intro)
    if magic != _HEADER_MAGIC:
        raise RpmInvalid(f"the {name} does not begin with its magic number")
    if not 0 < count <= MAX_ENTRIES or size > max_bytes:
        raise RpmInvalid(f"the {name} has {count} tags and {size} bytes of data")
    index, store = file.read(count * _ENTRY.size), file.read(size)
    if len(index) < count * _ENTRY.size or len(store) < size:
        raise RpmInvalid(f"it ends within its {name}")
    entries: dict[int, Entry] = {}
    for tag, type_, offset, elements in _ENTRY.iter_unpack(index):
        if tag in entries:
            raise RpmInvalid(f"the {name} has tag {tag} twice")
        entries[tag] = _checked(tag, Entry(type_, offset, elements), size)
    return Header(entries, store), len(intro) + len(index) + size


def _checked(tag: int, entry: Entry, size: int) -> Entry:
    """The entry, when it is within the store and aligned; texts are looked at when they are read."""
    width = _WIDTHS.get(entry.type)
    if width is None and entry.type not in _TEXTS:
        raise RpmInvalid(f"tag {tag} has the unknown type {entry.type}")
    limit = size if entry.type == _BINARY else MAX_COUNT
    if entry.offset > size or not 0 < entry.count <= limit or (entry.type == _STRING and entry.count != 1):
        raise RpmInvalid(f"tag {tag} has {entry.count} values at {entry.offset}")
    if entry.offset + entry.count * (width or 1) > size or entry.offset % (width or 1):
        raise RpmInvalid(f"tag {tag} is not within its header")
    return entry


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
