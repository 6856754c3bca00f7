"""What is in a tar, of any compression: every entry with its kind, links and devices too, for archives that are told
about and never unpacked here.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import msgspec

from application.archives.unpacking import PackedMalformed, PackedTooLarge, Unpacked

_BLOCK = 512
_MAX_EXTENSION_BYTES = 64 * 1024
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class ListedEntry(msgspec.Struct, frozen=True):
    """One entry. path: as written, without a leading `./`; bytes that are not UTF-8 as surrogates. What is neither
    regular nor a folder is a link or a device.
    """

    path: str
    size_bytes: int
    regular: bool
    folder: bool


def list_entries(stream: Unpacked, max_entries: int) -> Iterator[tuple[ListedEntry, EntryData]]:
    """Every entry and its data; what is not read of those is passed over.

    Raises PackedMalformed, and nothing else, for any bytes.
    """
    name, entries = "", 0
    while True:
        block = stream.exactly(_BLOCK)
        if not block.strip(b"\0"):
            return
        entries += 1
        if entries > max_entries:
            raise PackedTooLarge("tar", f"more than {max_entries} entries")
        header = _decode(block)
        padding = -header.size % _BLOCK
        if header.type in _EXTENSIONS:
            name = _extension(header, stream, name)
            stream.skip(padding)
            continue
        path, name = (name or header.name).removeprefix("./"), ""
        entry = ListedEntry(path, header.size, header.type in _FILES, header.type == tarfile.DIRTYPE)
        data = EntryData(stream, header.size if entry.regular else 0)
        yield entry, data
        stream.skip(data.left + (padding if entry.regular else 0))


class EntryData:
    """The data of one entry; `left` is how many bytes of it were not read yet."""

    def __init__(self, stream: Unpacked, size_bytes: int) -> None:
        self._stream = stream
        self.left = size_bytes

    def read(self, count: int) -> bytes:
        """The next bytes, as many as there are and were asked for."""
        count = min(count, self.left)
        data = self._stream.exactly(count)
        self.left -= count
        return data


def _decode(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError):
        raise PackedMalformed("tar", "a header is damaged") from None
    if header.size < 0:
        raise PackedMalformed("tar", "a header states a negative size")
    return header


def _extension(header: tarfile.TarInfo, stream: Unpacked, name: str) -> str:
    """The name that an extended header gives to the next entry; the one it has when this is of something else."""
    if header.size > _MAX_EXTENSION_BYTES:
        raise PackedMalformed("tar", f"an extended header of {header.size} bytes")
    data = stream.exactly(header.size)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return data.rstrip(b"\0").decode("utf-8", "surrogateescape")
    if header.type == tarfile.XHDTYPE:
        return _pax_path(data) or name
    return name


def _pax_path(data: bytes) -> str:
    path = ""
    while data:
        digits, _, _ = data[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = data[len(digits) + 1 : length].partition(b"=")
        if length <= len(digits) or length > len(data) or not equals or not value.endswith(b"\n"):
            raise PackedMalformed("tar", "a pax header is malformed")
        if key == b"size" or key.startswith(b"GNU.sparse."):
            raise PackedMalformed("tar", "a pax header changes the size of an entry")
        if key == b"path":
            path = value[:-1].decode("utf-8", "surrogateescape")
        data = data[length:]
    return path
