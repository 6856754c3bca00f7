"""The readers of .dsc and .changes: a paragraph, and the files that belong to it with their digests. Pure.

Source: https://manpages.debian.org/bookworm/dpkg-dev/dsc.5.en.html, …/deb-changes.5.en.html
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from application.formats.debian.names import checked_file_name, checked_package, checked_suite
from application.formats.debian.stanza import Stanza, StanzaMalformed, parse_signed
from application.formats.debian.versions import checked_version
from domain.digests import parse_hex_digest

MAX_FILES = 500
_FILE_FIELDS = {"md5": "Files", "sha1": "Checksums-Sha1", "sha256": "Checksums-Sha256"}
_LISTS = frozenset(name.lower() for name in _FILE_FIELDS.values()) | {"checksums-sha512", "directory"}


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that belongs to the paragraph. section: with its component, only a .changes says it."""

    name: str
    size_bytes: int
    sha256: str
    md5: str = ""
    sha1: str = ""
    section: str = ""


class SourcePackage(msgspec.Struct, frozen=True, kw_only=True):
    """What a .dsc says. stanza: as an index begins it, without lists of files."""

    package: str
    version: str
    stanza: Stanza
    files: tuple[ListedFile, ...]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a .changes says: what is uploaded together, and into which distributions."""

    source: str
    version: str
    distributions: tuple[str, ...]
    files: tuple[ListedFile, ...]


def read_source(data: bytes) -> SourcePackage:
    """Read a .dsc, signed or not. Raises Invalid, and nothing else, for any bytes."""
    stanza = parse_signed(data, "dsc")
    package, version = checked_package(_required(stanza, "Source", "dsc")), _required(stanza, "Version", "dsc")
    kept = (field for field in stanza.fields if field[0].lower() not in _LISTS | {"source", "package"})
    return SourcePackage(
        package=package,
        version=checked_version(version),
        stanza=Stanza((("Package", package), *kept)),
        files=_files(stanza, "dsc", columns=3),
    )


def read_changes(data: bytes) -> Changes:
    """Read a .changes, signed or not. Raises Invalid, and nothing else, for any bytes."""
    stanza = parse_signed(data, "changes")
    source = _required(stanza, "Source", "changes").partition(" ")[0]
    distributions = _required(stanza, "Distribution", "changes").split()
    return Changes(
        source=checked_package(source),
        version=checked_version(_required(stanza, "Version", "changes")),
        distributions=tuple(dict.fromkeys(map(checked_suite, distributions))),
        files=_files(stanza, "changes", columns=5),
    )


def _required(stanza: Stanza, name: str, file: str) -> str:
    value = stanza.get(name)
    if not value or "\n" in value:
        raise StanzaMalformed(file, f"{name} is missing or has several lines")
    return value


def _files(stanza: Stanza, file: str, columns: int) -> tuple[ListedFile, ...]:
    """Every list must name the same files with the same sizes. columns: of the list with MD5 sums."""
    found: dict[str, dict[str, str]] = {}
    sizes: dict[str, str] = {}
    for algorithm, field in _FILE_FIELDS.items():
        listed = dict[str, str]()
        for parts in _lines(stanza, field, file, columns if algorithm == "md5" else 3):
            digest, size, name = parse_hex_digest(algorithm, parts[0]), parts[1], checked_file_name(parts[-1])
            if digest is None or not (size.isascii() and size.isdigit() and len(size) < 16) or name in listed:
                raise StanzaMalformed(file, f"{field} has a malformed line for {name}")
            if sizes.setdefault(name, size) != size:
                raise StanzaMalformed(file, f"two sizes for {name}")
            listed[name] = digest
            found.setdefault(name, {})[algorithm] = digest
            if len(parts) == 5:
                found[name]["section"] = parts[2]
        if len(listed) > MAX_FILES:
            raise StanzaMalformed(file, f"more than {MAX_FILES} files")
    for name, known in found.items():
        if "sha256" not in known:
            raise StanzaMalformed(file, f"Checksums-Sha256 does not name {name}")
    if not found:
        raise StanzaMalformed(file, "it names no files")
    return tuple(ListedFile(name=name, size_bytes=int(sizes[name]), **known) for name, known in found.items())


def _lines(stanza: Stanza, field: str, file: str, columns: int) -> Iterator[list[str]]:
    for line in stanza.get(field).split("\n"):
        parts = line.split()
        if parts and len(parts) != columns:
            raise StanzaMalformed(file, f"{field} has a line that is not of {columns} words")
        if parts:
            yield parts
