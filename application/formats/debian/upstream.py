"""What other archives say: the indexes that a Release file vouches for, and the paragraphs in an index. Pure.

Source: https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec

from application.archives.unpacking import Unpacked
from application.formats.debian.stanza import MAX_STANZA_BYTES, StanzaMalformed, parse_signed
from domain.digests import parse_hex_digest
from domain.errors import Invalid

MAX_RELEASE_BYTES = MAX_STANZA_BYTES
MAX_INDEX_BYTES = 2 << 30
"""The most that one index unpacks to."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}

_READ_BYTES = 1 << 20
_PACKAGE_INDEX = re.compile(r"(.+/(?:Packages|Sources))(?:\.(?:xz|zst|gz|bz2))?\Z")
_SNIFFED_BYTES = 6
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~-]*(?:/[A-Za-z0-9][A-Za-z0-9+._~-]*)*\Z")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~:@=,%^-]*(?:/[A-Za-z0-9_][A-Za-z0-9+._~:@=,%^-]*)*\Z")


class ReleaseMalformed(Invalid):
    """An upstream's Release file does not say what is needed."""

    template = "Release: {detail}"


class ListedIndex(msgspec.Struct, frozen=True):
    """An index that a Release file vouches for."""

    sha256: str
    size_bytes: int


class UpstreamRelease(msgspec.Struct, frozen=True):
    """What a Release file says. indexes: by path below the suite. by_hash: whether they can be had by their digests."""

    components: tuple[str, ...]
    architectures: tuple[str, ...]
    by_hash: bool
    indexes: dict[str, ListedIndex]


class UpstreamEntry(msgspec.Struct, frozen=True):
    """One paragraph of an index. text: as it stands, without the empty line behind it. path: of the file below the
    archive; of a source package, of its directory.
    """

    package: str
    version: str
    architecture: str
    path: str
    sha256: str
    size_bytes: int
    text: bytes


def read_release(data: bytes) -> UpstreamRelease:
    """Read a Release or InRelease file. The signature is not verified here. Raises Invalid."""
    stanza = parse_signed(data, "Release")
    indexes: dict[str, ListedIndex] = {}
    for line in stanza.get("SHA256").split("\n"):
        parts = line.split()
        if not parts:
            continue
        digest = parse_hex_digest("sha256", parts[0])
        if len(parts) != 3 or digest is None or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 16):
            raise ReleaseMalformed(f"SHA256 has a malformed line: {line[:200]!r}")
        if _PATH.match(parts[2]):
            indexes[parts[2]] = ListedIndex(digest, int(parts[1]))
    if not indexes:
        raise ReleaseMalformed("it names no index by its SHA-256")
    return UpstreamRelease(
        tuple(stanza.get("Components").split()),
        tuple(stanza.get("Architectures").split()),
        stanza.get("Acquire-By-Hash").lower() == "yes",
        indexes,
    )


def read_index(file: BinaryIO) -> Iterator[UpstreamEntry]:
    """The paragraphs of a Packages or Sources file, compressed as its first bytes say, one after the other.

    What has no name, no version or a path that leads elsewhere is passed over. Raises Invalid.
    """
    start = file.read(_SNIFFED_BYTES)
    compression = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "none")
    stream = Unpacked(cast("BinaryIO", _Rewound(start, file)), compression, MAX_INDEX_BYTES)
    rest = b""
    while chunk := stream.read(_READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n\n")
        if len(rest) > MAX_STANZA_BYTES:
            raise StanzaMalformed("index", f"a paragraph of more than {MAX_STANZA_BYTES} bytes")
        for text in whole:
            if entry := _entry(text.strip(b"\n")):
                yield entry
    if entry := _entry(rest.strip(b"\n")):
        yield entry


def find_path(file: BinaryIO, wanted: str) -> UpstreamEntry | None:
    """The paragraph about a file of the archive. Raises Invalid."""
    return next((entry for entry in read_index(file) if entry.path == wanted), None)


def source_files(entry: UpstreamEntry) -> dict[str, ListedIndex]:
    """The files of a source package by their paths below the archive."""
    found: dict[str, ListedIndex] = {}
    for line in _field(entry.text, b"Checksums-Sha256", folded=True).split("\n"):
        parts = line.split()
        digest = parse_hex_digest("sha256", parts[0]) if len(parts) == 3 else None
        if digest is not None and parts[1].isdigit() and _FILENAME.match(parts[2]):
            found[f"{entry.path}/{parts[2]}"] = ListedIndex(digest, int(parts[1][:15]))
    return found


def compressions_of(release: UpstreamRelease, path: str) -> Iterator[tuple[str, ListedIndex]]:
    """The forms in which an index can be had, what is small and quick to read first."""
    for extension in (".xz", ".zst", ".gz", ".bz2", ""):
        listed = release.indexes.get(path + extension)
        if listed is not None:
            yield path + extension, listed


class _Rewound:
    """A file of which the first bytes were read already."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start = start
        self._file = file

    def read(self, size: int = -1) -> bytes:
        start, self._start = self._start, b""
        return start + self._file.read(size - len(start) if size >= 0 else -1)


def package_indexes(release: UpstreamRelease) -> set[str]:
    """The indexes of packages and of sources, by their paths without a compression."""
    return {found[1] for path in release.indexes if (found := _PACKAGE_INDEX.match(path))}


def _entry(text: bytes) -> UpstreamEntry | None:
    if not text or b"\0" in text:
        return None
    try:
        package, version = _field(text, b"Package"), _field(text, b"Version")
        path = (_field(text, b"Filename") or _field(text, b"Directory")).removeprefix("./")
        sha256, size = _field(text, b"SHA256").lower(), _field(text, b"Size")
        architecture = _field(text, b"Architecture")
    except UnicodeDecodeError:
        return None
    if not package or not version or not _FILENAME.match(path) or ".." in path:
        return None
    return UpstreamEntry(
        package, version, architecture, path, sha256, int(size) if size.isascii() and size.isdigit() else 0, text
    )


def _field(text: bytes, name: bytes, *, folded: bool = False) -> str:
    """The value of a field: its line, or with what is folded below it. Fast, for indexes are large."""
    at = 0 if text.startswith(name + b":") else text.find(b"\n" + name + b":") + 1
    if not at and not text.startswith(name + b":"):
        return ""
    begin = at + len(name) + 1
    end = text.find(b"\n", begin)
    while folded and end >= 0 and text[end + 1 : end + 2] in {b" ", b"\t"}:
        end = text.find(b"\n", end + 1)
    return text[begin : end if end >= 0 else len(text)].strip().decode()
