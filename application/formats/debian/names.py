"""What names may be in an archive: components, suites, architectures, packages, paths of the pool.

Source: https://www.debian.org/doc/debian-policy/ch-controlfields.html, https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from application.formats.debian.versions import without_epoch
from domain.errors import Invalid, NotFound

POOL = "pool"
INCOMING = "incoming"
DEFAULT_COMPONENT = "main"
MAX_PATH_CHARS = 1024

_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_SUITE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}\Z")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+._~:@=,-]{0,254}\Z")
_SOURCE_PART = re.compile(r".*\.(?:tar\.(?:gz|bz2|lzma|xz|zst)|diff\.gz)(?:\.(?:asc|sig))?\Z")
_MAX_SUITE_PARTS = 4
_NO_SUITE_PARTS = frozenset({"by-hash", "source", "i18n"})

Kind: TypeAlias = Literal["binary", "source", "part", "changes", "buildinfo"]
"""What a file of the pool is. A part belongs to a source package: a tarball, a diff, or a signature of one."""

_BINARY_TYPE = "application/vnd.debian.binary-package"
_MEDIA_TYPES = {
    "deb": _BINARY_TYPE,
    "udeb": _BINARY_TYPE,
    "ddeb": _BINARY_TYPE,
    "dsc": "text/plain; charset=utf-8",
    "changes": "text/plain; charset=utf-8",
    "buildinfo": "text/plain; charset=utf-8",
    "gz": "application/gzip",
    "xz": "application/x-xz",
    "bz2": "application/x-bzip2",
    "zst": "application/zstd",
}


class NameInvalid(Invalid):
    """A name that archives cannot have."""

    template = "{what} {text!r}: {reason}"

    def __init__(self, what: str, text: str, reason: str) -> None:
        super().__init__(what=what, text=text[:200], reason=reason)


class SuiteNotFound(NotFound):
    """No package is in a suite of that name."""

    template = "suite '{suite}' not found"

    def __init__(self, suite: str) -> None:
        super().__init__(suite=suite[:200])


class PoolFile(msgspec.Struct, frozen=True):
    """A place in the pool. path: `pool/{component}/…/{name}`."""

    path: str
    component: str
    kind: Kind

    @property
    def directory(self) -> str:
        """The path without the name."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last segment."""
        return self.path.rpartition("/")[2]


def checked_component(text: str) -> str:
    """The component itself; raises NameInvalid."""
    if not _COMPONENT.match(text) or ".." in text:
        raise NameInvalid("component", text, "expected letters, digits, '.', '_', '+' and '-'")
    return text


def checked_suite(text: str) -> str:
    """The suite itself, such as `bookworm` or `stable/updates`; raises NameInvalid."""
    parts = text.split("/")
    bad = [part for part in parts if not _SUITE_PART.match(part) or ".." in part or part in _NO_SUITE_PARTS]
    if bad or len(parts) > _MAX_SUITE_PARTS:
        raise NameInvalid("distribution", text, "expected letters, digits, '.', '_', '+', '~' and '-'")
    return text


def checked_architecture(text: str) -> str:
    """The architecture of a binary package; raises NameInvalid for wildcards and `source`, too."""
    if not _ARCHITECTURE.match(text) or text in {"any", "source"} or text.startswith("any-") or text.endswith("-any"):
        raise NameInvalid("architecture", text, "expected one architecture, such as amd64 or all")
    return text


def checked_package(text: str) -> str:
    """The name of a package; raises NameInvalid."""
    if not _PACKAGE.match(text):
        raise NameInvalid("package", text, "expected lower-case letters, digits, '+', '-' and '.'")
    return text


def kind_of(name: str) -> Kind | None:
    """What a file is by its name; None for what has no place in a pool."""
    extension = name.rpartition(".")[2]
    if extension in {"deb", "udeb", "ddeb"}:
        return "binary"
    if extension == "dsc":
        return "source"
    if extension == "changes":
        return "changes"
    if extension == "buildinfo":
        return "buildinfo"
    return "part" if _SOURCE_PART.match(name) else None


def package_of_path(path: str) -> str | None:
    """The package that a binary file belongs to by its name; None for other files."""
    name = path.rpartition("/")[2]
    package, underscore, _ = name.partition("_")
    return package if underscore and kind_of(name) == "binary" and _PACKAGE.match(package) else None


def media_type_of(name: str) -> str:
    """The type of a file by its extension."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def checked_file_name(name: str) -> str:
    """The name of a file itself; raises NameInvalid."""
    if not _SEGMENT.match(name) or ".." in name:
        raise NameInvalid("file name", name, "expected letters, digits and + . _ ~ : @ = , -")
    return name


def parse_pool_path(path: str) -> PoolFile:
    """Read `pool/{component}/…/{name}`. Raises NameInvalid."""
    segments = path.split("/")
    if len(path) > MAX_PATH_CHARS or len(segments) < 3 or segments[0] != POOL:
        raise NameInvalid("path", path, "expected pool/{component}/{directory}/{file}")
    for segment in segments:
        checked_file_name(segment)
    kind = kind_of(segments[-1])
    if kind is None:
        raise NameInvalid("path", path, "expected a .deb, .udeb, .ddeb, .dsc, .changes, .buildinfo or source tarball")
    return PoolFile(path, checked_component(segments[1]), kind)


def pool_directory(component: str, source: str) -> str:
    """Where the files of a source package go: `pool/main/h/hello`, `pool/main/libz/libzip`."""
    prefix = source[:4] if source.startswith("lib") and len(source) > 3 else source[:1]
    return f"{POOL}/{component}/{prefix}/{source}"


def binary_name(package: str, version: str, architecture: str, extension: str = "deb") -> str:
    """The name that a binary package has: the version without its epoch."""
    return f"{package}_{without_epoch(version)}_{architecture}.{extension}"
