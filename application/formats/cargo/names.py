"""Cargo's grammar: crate names, versions, where a crate stands in an index, and how versions order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, NewType

from semantic_version import Version

from domain.errors import Invalid

CrateName = NewType("CrateName", str)
"""A crate's name as its publisher spells it, that passed `parse_name`."""

CrateKey = NewType("CrateKey", str)
"""A crate's name in lower case: by which the registry and the paths of an index know it."""

CrateVersion = NewType("CrateVersion", str)
"""A SemVer 2.0 version that cargo can read, build metadata included."""

MAX_NAME_CHARS = 64
MAX_VERSION_CHARS = 256
_MAX_NUMBER = 2**64 - 1

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}\Z")
_NUMBER = r"(?:0|[1-9][0-9]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?\Z"
)
_KEYWORDS = frozenset(
    {
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
        "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
        "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct",
        "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
        "yield",
    }
)  # fmt: skip
_SYSROOT = frozenset({"alloc", "core", "proc_macro", "std", "test"})
_DEVICE = re.compile(r"(?:aux|con|nul|prn|com[0-9]|lpt[0-9])\Z")


class NameInvalid(Invalid):
    """Not a name that a crate may have."""

    template: ClassVar[str] = "invalid crate name {name!r}: {why}"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name=name[:MAX_NAME_CHARS], why=why)


class VersionInvalid(Invalid):
    """Not a version that cargo can read."""

    template: ClassVar[str] = "invalid version {version!r}: {why}"

    def __init__(self, version: str, why: str = "versions follow SemVer 2.0, such as 1.2.3 or 1.2.3-beta.1") -> None:
        super().__init__(version=version[:MAX_VERSION_CHARS], why=why)


def parse_name(text: str) -> CrateName:
    """A name that a crate may be published by. Raises NameInvalid.

    Keywords and the crates of the sysroot cannot be depended on, and Windows keeps no file of a device's name.
    Source: https://doc.rust-lang.org/cargo/reference/registry-index.html#name-restrictions
    """
    if not _NAME.match(text):
        why = f"a name is at most {MAX_NAME_CHARS} ASCII letters, digits, '-' and '_', and begins with a letter"
        raise NameInvalid(text, why)
    squeezed = similarity_key(text)
    if squeezed in _KEYWORDS:
        raise NameInvalid(text, "a keyword of Rust")
    if squeezed in _SYSROOT:
        raise NameInvalid(text, "a crate of the standard library")
    if _DEVICE.match(squeezed):
        raise NameInvalid(text, "a name that Windows reserves for a device")
    return CrateName(text)


def crate_key(text: str) -> CrateKey | None:
    """By which a crate is looked up; None for text that no crate is called."""
    return CrateKey(text.lower()) if _NAME.match(text) else None


def similarity_key(text: str) -> str:
    """Equal for names that cargo would take for one another: case and the choice between `-` and `_` do not count."""
    return text.lower().replace("-", "_")


def index_path(key: CrateKey) -> tuple[str, ...]:
    """The segments of a crate's file below the root of an index.

    Source: https://doc.rust-lang.org/cargo/reference/registry-index.html#index-files
    """
    if len(key) < 3:
        return str(len(key)), key
    if len(key) == 3:
        return "3", key[0], key
    return key[:2], key[2:4], key


def parse_version(text: str) -> CrateVersion:
    """A strict SemVer 2.0 version whose numbers fit into 64 bits. Raises VersionInvalid.

    Source: https://semver.org/spec/v2.0.0.html
    """
    _parsed(text)
    return CrateVersion(text)


def without_build(version: CrateVersion) -> str:
    """What makes a version unique: those that differ only in build metadata are the same to cargo."""
    return version.partition("+")[0]


OrderKey = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@lru_cache(maxsize=65536)
def order_key(version: str) -> OrderKey:
    """Sorts by SemVer precedence, for which build metadata does not count. Raises VersionInvalid."""
    parsed = _parsed(version)
    identifiers = tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in parsed.prerelease)
    return parsed.major, parsed.minor, parsed.patch, not identifiers, identifiers


def highest(versions: Iterable[str]) -> str | None:
    """The highest stable version; the highest pre-release when nothing is stable; None when there is nothing."""
    keys = {version: order_key(version) for version in versions}
    return max(keys, key=lambda version: (keys[version][3], keys[version]), default=None)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Version:
    if len(text) > MAX_VERSION_CHARS or not _VERSION.match(text):
        raise VersionInvalid(text)
    try:
        version = Version(text)
    except ValueError:
        raise VersionInvalid(text) from None
    if max(version.major, version.minor, version.patch) > _MAX_NUMBER:
        raise VersionInvalid(text, f"numbers go up to {_MAX_NUMBER}")
    return version
