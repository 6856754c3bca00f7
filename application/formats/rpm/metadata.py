"""A package's headers as what repositories tell of it: names, dependencies, files, changes, and who signed it.

Source: https://rpm-software-management.github.io/rpm/manual/tags.html; what is left out, and in which order the rest
goes, is as createrepo_c does it, whose output all clients are made for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from application.formats.rpm.evr import parse_evr
from application.formats.rpm.header import Header, RpmInvalid, Structure, read_structure
from application.formats.rpm.names import Nevra, checked_nevra
from application.formats.rpm.signatures import Signature, read_signatures

MAX_CHANGES = 10
"""Entries of a changelog that are told, the newest ones."""

MAX_PATHS = 64 << 20
"""Characters of all paths together: files share the names of their directories, which must not make them a bomb."""

DEPENDENCIES = {
    "provides": (1047, 1112, 1113),
    "requires": (1049, 1048, 1050),
    "conflicts": (1054, 1053, 1055),
    "obsoletes": (1090, 1114, 1115),
    "suggests": (5049, 5051, 5050),
    "enhances": (5055, 5057, 5056),
    "recommends": (5046, 5048, 5047),
    "supplements": (5052, 5054, 5053),
}
"""Kind to the tags of names, flags and versions; in the order of the documents."""

_NAME, _VERSION, _RELEASE, _EPOCH, _SUMMARY, _DESCRIPTION = 1000, 1001, 1002, 1003, 1004, 1005
_BUILT_AT, _BUILD_HOST, _SIZE, _VENDOR, _LICENSE, _PACKAGER, _GROUP, _URL = (
    1006,
    1007,
    1009,
    1011,
    1014,
    1015,
    1016,
    1020,
)
_ARCH, _FILE_MODES, _FILE_FLAGS, _SOURCE_RPM, _ARCHIVE_SIZE = 1022, 1030, 1037, 1044, 1046
_NO_SOURCE, _NO_PATCH, _SOURCE_PACKAGE = 1051, 1052, 1106
_CHANGE_TIMES, _CHANGE_AUTHORS, _CHANGE_TEXTS = 1080, 1081, 1082
_OLD_FILE_NAMES, _DIRECTORY_OF, _BASE_NAMES, _DIRECTORIES = 1027, 1116, 1117, 1118
_LONG_SIZE, _MODULE = 5009, 5096
_SIGNATURE_PAYLOAD_SIZE, _LONG_ARCHIVE_SIZE = 1007, 271

_COMPARISONS = {2: "LT", 4: "GT", 8: "EQ", 10: "LE", 12: "GE"}
_BEFORE_INSTALLATION = 1 << 6 | 1 << 9 | 1 << 10
_GHOST = 1 << 6
_DIRECTORY = 0o040000
_KIND_OF_FILE = 0o170000
_ILLEGAL_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class Dependency(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the things that a package provides, requires and so on. comparison: `EQ`, `GE` …; empty for any."""

    name: str
    comparison: str = ""
    epoch: int = 0
    version: str = ""
    release: str = ""
    before: bool = False


class PackagedFile(msgspec.Struct, frozen=True):
    """A file, by its path. kind: `dir`, `ghost`, or empty."""

    path: str
    kind: str = ""


class Change(msgspec.Struct, frozen=True):
    """An entry of the changelog. at: seconds since 1970."""

    author: str
    at: int
    text: str


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one package. Sizes are in bytes; header_range: of its main header in the file."""

    nevra: Nevra
    summary: str
    description: str
    packager: str
    url: str
    license: str
    vendor: str
    group: str
    build_host: str
    source_rpm: str
    built_at: int
    installed_bytes: int
    archive_bytes: int
    header_range: tuple[int, int]
    dependencies: dict[str, tuple[Dependency, ...]]
    files: tuple[PackagedFile, ...]
    changes: tuple[Change, ...]
    module: str
    signatures: tuple[Signature, ...]


def read_package(file: BinaryIO) -> Package:
    """Read a package from its beginning; raises RpmInvalid, NameInvalid."""
    return package_of(read_structure(file))


def package_of(structure: Structure) -> Package:
    """What the headers say; raises RpmInvalid, NameInvalid."""
    header, signature = structure.header, structure.signature
    files = _files(header)
    return Package(
        nevra=_nevra(header),
        summary=_clean(header.text(_SUMMARY)),
        description=_clean(header.text(_DESCRIPTION)),
        packager=_clean(header.text(_PACKAGER)),
        url=_clean(header.text(_URL)),
        license=_clean(header.text(_LICENSE)),
        vendor=_clean(header.text(_VENDOR)),
        group=_clean(header.text(_GROUP)),
        build_host=_clean(header.text(_BUILD_HOST)),
        source_rpm=_clean(header.text(_SOURCE_RPM)),
        built_at=header.number(_BUILT_AT) or 0,
        installed_bytes=header.number(_LONG_SIZE) or header.number(_SIZE) or 0,
        archive_bytes=_archive_size(header, signature),
        header_range=(structure.start, structure.end),
        dependencies=_dependencies(header, files),
        files=files,
        changes=_changes(header),
        module=_clean(header.text(_MODULE)),
        signatures=read_signatures(signature),
    )


def is_primary(path: str) -> bool:
    """Whether a file is told in the first document already, because packages depend on such files by their paths."""
    return path.startswith("/etc/") or "bin/" in path or path == "/usr/lib/sendmail"


def _nevra(header: Header) -> Nevra:
    name, version, release = header.text(_NAME), header.text(_VERSION), header.text(_RELEASE)
    if not (name and version and release):
        raise RpmInvalid("its header does not say name, version and release")
    return checked_nevra(Nevra(name, header.number(_EPOCH) or 0, version, release, _architecture(header)))


def _architecture(header: Header) -> str:
    """That of the header; a source package has the one of the machine that built it there."""
    if _SOURCE_PACKAGE not in header and _SOURCE_RPM in header:
        return header.text(_ARCH)
    return "nosrc" if _NO_SOURCE in header or _NO_PATCH in header else "src"


def _archive_size(header: Header, signature: Header) -> int:
    found = signature.number(_LONG_ARCHIVE_SIZE) or signature.number(_SIGNATURE_PAYLOAD_SIZE)
    return found or header.number(_ARCHIVE_SIZE) or 0


def _dependencies(header: Header, files: Sequence[PackagedFile]) -> dict[str, tuple[Dependency, ...]]:
    found = {kind: _list_of(header, kind, *tags) for kind, tags in DEPENDENCIES.items()}
    own = {file.path for file in files if is_primary(file.path)}
    provided = set(found["provides"])
    found["requires"] = [
        wanted
        for wanted in found["requires"]
        if not wanted.name.startswith("rpmlib(")
        and wanted.name not in own
        and msgspec.structs.replace(wanted, before=False) not in provided
    ]
    return {kind: tuple(dict.fromkeys(every)) for kind, every in found.items() if every}


def _list_of(header: Header, kind: str, names: int, flags: int, versions: int) -> list[Dependency]:
    named, flagged, versioned = header.texts(names), header.numbers(flags), header.texts(versions)
    if len(flagged) != len(named) or len(versioned) != len(named):
        if not flagged and not versioned:  # as packages of the nineties had them
            return [Dependency(_clean(name)) for name in named]
        raise RpmInvalid(f"of {kind} there are {len(named)} names, {len(flagged)} flags and {len(versioned)} versions")
    return [
        _dependency(name, flag, version, is_requirement=kind == "requires")
        for name, flag, version in zip(named, flagged, versioned, strict=True)
    ]


def _dependency(name: str, flags: int, version: str, *, is_requirement: bool) -> Dependency:
    before = is_requirement and bool(flags & _BEFORE_INSTALLATION)
    comparison = _COMPARISONS.get(flags & 14, "")
    if not version:
        return Dependency(_clean(name), comparison, before=before)
    evr = parse_evr(_clean(version))
    return Dependency(_clean(name), comparison, evr.epoch, evr.version, evr.release, before)


def _files(header: Header) -> tuple[PackagedFile, ...]:
    paths = list(_paths(header))
    modes, flags = header.numbers(_FILE_MODES), header.numbers(_FILE_FLAGS)
    if len(modes) not in (0, len(paths)) or len(flags) not in (0, len(paths)):
        raise RpmInvalid(f"there are {len(paths)} files, {len(modes)} modes and {len(flags)} flags")
    modes, flags = modes or (0,) * len(paths), flags or (0,) * len(paths)
    return tuple(
        PackagedFile(_clean(path), "dir" if mode & _KIND_OF_FILE == _DIRECTORY else "ghost" if flag & _GHOST else "")
        for path, mode, flag in zip(paths, modes, flags, strict=True)
    )


def _paths(header: Header) -> Iterator[str]:
    names = header.texts(_BASE_NAMES)
    if not names:
        yield from header.texts(_OLD_FILE_NAMES)
        return
    directories, places = header.texts(_DIRECTORIES), header.numbers(_DIRECTORY_OF)
    if len(places) != len(names) or max(places) >= len(directories):
        raise RpmInvalid("its files are in directories that it does not have")
    left = MAX_PATHS
    for name, place in zip(names, places, strict=True):
        path = directories[place] + name
        left -= len(path)
        if left < 0:
            raise RpmInvalid(f"the paths of its files have more than {MAX_PATHS} characters")
        yield path


def _changes(header: Header) -> tuple[Change, ...]:
    """The newest entries, oldest first; of two at one time the later one gets a later second, so that order is kept."""
    times = header.numbers(_CHANGE_TIMES)
    authors, texts = header.texts(_CHANGE_AUTHORS), header.texts(_CHANGE_TEXTS)
    if not len(times) == len(authors) == len(texts):
        raise RpmInvalid(f"its changelog has {len(times)} times, {len(authors)} authors and {len(texts)} texts")
    newest = list(zip(times, authors, texts, strict=True))[:MAX_CHANGES]
    changes: list[Change] = []
    last: int | None = None
    for at, author, text in reversed(newest):
        told = changes[-1].at + 1 if at == last else at
        changes.append(Change(_clean(author).rstrip(), told, _clean(text)))
        last = at
    return tuple(changes)


def _clean(text: str) -> str:
    """The text without what XML has no way to write."""
    return _ILLEGAL_IN_XML.sub("", text)
