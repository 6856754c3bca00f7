"""The reader of binary packages: what `control` says, and what files the package brings. Pure, in bounded memory.

Source: https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html
"""

from __future__ import annotations

import re
from typing import BinaryIO, cast

import msgspec

from application.archives.ar import ArMember, Section, read_members
from application.archives.listing import list_entries
from application.archives.unpacking import PackedMalformed, PackedTooLarge, Unpacked
from application.formats.debian.names import checked_architecture, checked_package
from application.formats.debian.stanza import MAX_STANZA_BYTES, Stanza, parse_stanza
from application.formats.debian.versions import checked_version
from domain.errors import Invalid

MAX_CONTROL_TAR_BYTES = 64 << 20
MAX_LISTED_BYTES = 512 << 20
"""So far the data of a package is unpacked to see what files it has; of larger ones, its checksums tell."""

_MAX_ENTRIES = 200_000
_MAX_SUMS_BYTES = 32 << 20
_COMPRESSIONS = {"": "none", ".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2", ".lzma": "lzma"}
_CONTROL_COMPRESSIONS = ("", ".gz", ".xz", ".zst")
_SUM_LINE = re.compile(rb"[0-9a-fA-F]{32}[ ][ *](?:\./)?([^\n]+)\Z")
_UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f]")
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?\Z")
_SECTION = re.compile(r"[A-Za-z0-9.+_/-]{1,100}\Z")

_INDEX_FIELDS = frozenset({"filename", "size", "md5sum", "sha1", "sha256", "sha512", "status"})
"""What only an index may say of a package."""


class PackageMalformed(Invalid):
    """Not a binary package that can be installed."""

    template = "malformed package: {detail}"


class BinaryPackage(msgspec.Struct, frozen=True, kw_only=True):
    """What a .deb says of itself. source: the source package it was built from. paths: of its files and links, sorted;
    bytes, for they need not be text. None where there are more than are looked at.
    """

    package: str
    version: str
    architecture: str
    source: str
    section: str
    description: str
    stanza: Stanza
    paths: tuple[bytes, ...] | None


def read_binary(file: BinaryIO) -> BinaryPackage:
    """Read a .deb. Raises Invalid, and nothing else, for any bytes."""
    control, data = _members(file)
    text, sums = _read_control(file, control)
    stanza = parse_stanza(text, "control").without(_INDEX_FIELDS)
    for required in ("Package", "Version", "Architecture"):
        if not stanza.get(required):
            raise PackageMalformed(f"control has no {required}")
    package = checked_package(stanza.get("Package"))
    paths = _read_paths(file, data)
    section = stanza.get("Section")
    return BinaryPackage(
        package=package,
        version=checked_version(stanza.get("Version")),
        architecture=checked_architecture(stanza.get("Architecture")),
        source=_source_of(stanza, package),
        section=section if _SECTION.match(section) else "",
        description=stanza.get("Description").partition("\n")[0],
        stanza=Stanza(sorted(stanza.fields, key=lambda field: field[0].lower() != "package")),
        paths=_paths_of_sums(sums) if paths is None else paths,
    )


def _members(file: BinaryIO) -> tuple[ArMember, ArMember]:
    """The control and the data member: there once each, in this order; members that begin with `_` are passed over."""
    members = [member for member in read_members(file) if not member.name.startswith("_")]
    names = [member.name for member in members]
    if len(members) != 3 or names[0] != "debian-binary":
        raise PackageMalformed(f"expected debian-binary, control.tar and data.tar, found {', '.join(names)[:200]}")
    version = Section(file, members[0].offset, min(members[0].size_bytes, 16)).read()
    if not version.startswith(b"2.") or not version.endswith(b"\n"):
        raise PackageMalformed("its format is not 2.0")
    _compression(members[1].name, "control.tar", _CONTROL_COMPRESSIONS)
    _compression(members[2].name, "data.tar", tuple(_COMPRESSIONS))
    return members[1], members[2]


def _compression(name: str, stem: str, allowed: tuple[str, ...]) -> str:
    extension = name.removeprefix(stem)
    if not name.startswith(stem) or extension not in allowed:
        raise PackageMalformed(f"expected {stem} with {', '.join(allowed[1:])} or no compression, found {name}")
    return _COMPRESSIONS[extension]


def _open(file: BinaryIO, member: ArMember, stem: str, max_bytes: int) -> Unpacked:
    section = cast("BinaryIO", Section(file, member.offset, member.size_bytes))
    return Unpacked(section, _compression(member.name, stem, tuple(_COMPRESSIONS)), max_bytes)


def _read_control(file: BinaryIO, member: ArMember) -> tuple[bytes, bytes]:
    """The files `control` and `md5sums`; the second is empty where it is missing or very large."""
    found: dict[str, bytes] = {}
    for entry, data in list_entries(_open(file, member, "control.tar", MAX_CONTROL_TAR_BYTES), _MAX_ENTRIES):
        if entry.path == "control":
            if "control" in found or not entry.regular or entry.size_bytes > MAX_STANZA_BYTES:
                raise PackageMalformed(f"control is there twice, no file, or larger than {MAX_STANZA_BYTES} bytes")
            found["control"] = data.read(entry.size_bytes)
        elif entry.path == "md5sums" and entry.size_bytes <= _MAX_SUMS_BYTES:
            found["md5sums"] = data.read(entry.size_bytes)
    if "control" not in found:
        raise PackageMalformed("it has no file control")
    return found["control"], found.get("md5sums", b"")


def _read_paths(file: BinaryIO, member: ArMember) -> tuple[bytes, ...] | None:
    paths: set[bytes] = set()
    try:
        for entry, _ in list_entries(_open(file, member, "data.tar", MAX_LISTED_BYTES), _MAX_ENTRIES):
            if not entry.folder:
                paths.add(entry.path.encode("utf-8", "surrogateescape").lstrip(b"/"))
    except PackedTooLarge:
        return None
    except PackedMalformed as fault:
        raise PackageMalformed(f"{member.name}: {fault}") from None
    return tuple(sorted(filter(_may_be_listed, paths)))


def _paths_of_sums(sums: bytes) -> tuple[bytes, ...] | None:
    found = {match[1] for line in sums.split(b"\n") if (match := _SUM_LINE.match(line))}
    return tuple(sorted(filter(_may_be_listed, found))) or None


def _may_be_listed(path: bytes) -> bool:
    """A line break in a name would forge a line of the listing."""
    return bool(path) and not _UNPRINTABLE.search(path)


def _source_of(stanza: Stanza, package: str) -> str:
    found = _SOURCE.match(stanza.get("Source", package))
    if found is None:
        raise PackageMalformed(f"Source is {stanza.get('Source')[:100]!r}")
    if found[2]:
        checked_version(found[2])
    return checked_package(found[1])
