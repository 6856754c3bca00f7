"""Versions of Go modules: their form, their order, which of them stand for a commit, and which a path may have.

Source: https://go.dev/ref/mod#versions, https://go.dev/ref/mod#pseudo-versions; golang.org/x/mod/semver
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar, NewType

from application.formats.go.names import ModulePath, major_suffix
from domain.errors import Invalid

Version = NewType("Version", str)
"""A canonical version that passed `parse_version`."""

MAX_VERSION_CHARS = 128
INCOMPATIBLE = "+incompatible"

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_LOOSE = re.compile(
    rf"v({_NUMBER})(?:\.({_NUMBER})(?:\.({_NUMBER})(?:-({_PRE}(?:\.{_PRE})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?)?\Z"
)
_CANONICAL = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE}(?:\.{_PRE})*)?(?:\+incompatible)?\Z")
_PSEUDO = re.compile(r"v[0-9]+\.(?:0\.0-|[0-9]+\.[0-9]+-(?:[^+]*\.)?0\.)([0-9]{14})-[A-Za-z0-9]+(?:\+incompatible)?\Z")


class VersionInvalid(Invalid):
    """Not a version that a module may have."""

    template: ClassVar[str] = "invalid version {version!r}: {why}"

    def __init__(self, version: str, why: str = "expected vMAJOR.MINOR.PATCH, such as v1.2.3 or v1.2.3-beta.1") -> None:
        super().__init__(version=version[:MAX_VERSION_CHARS], why=why)


def parse_version(text: str) -> Version:
    """A canonical version: three numbers, and no build metadata but `+incompatible`. Raises VersionInvalid."""
    if not is_canonical(text):
        raise VersionInvalid(text)
    return Version(text)


def is_canonical(text: str) -> bool:
    """Whether `parse_version` takes it."""
    return len(text) <= MAX_VERSION_CHARS and _CANONICAL.match(text) is not None


def is_version(text: str) -> bool:
    """Whether a go.mod may name the version: its last numbers may be missing, and it may have build metadata."""
    return len(text) <= MAX_VERSION_CHARS and _LOOSE.match(text) is not None


def check_major(module: ModulePath, version: Version) -> None:
    """Raise VersionInvalid where a module of that path cannot have the version.

    A path with a major version has versions of that one only; others have v0 and v1, and what is later and knows
    nothing of modules says `+incompatible`.
    Source: https://go.dev/ref/mod#major-version-suffixes
    """
    suffix = major_suffix(module) or ""
    major = version.partition(".")[0]
    incompatible = version.endswith(INCOMPATIBLE)
    if incompatible and (suffix or major in {"v0", "v1"}):
        raise VersionInvalid(version, f"{INCOMPATIBLE} is for v2 and later of modules without a major version's suffix")
    if suffix == ".v1" and version.startswith("v0.0.0-"):
        return
    if suffix and major != suffix[1:]:
        raise VersionInvalid(version, f"{module} has versions of {suffix[1:]} only")
    if not suffix and not incompatible and major not in {"v0", "v1"}:
        raise VersionInvalid(version, f"the module would be {module}/{major}, as its go.mod must say")


def is_pseudo(version: str) -> bool:
    """Whether a version stands for a commit without a tag; such are never listed."""
    return _pseudo(version) is not None


OrderKey = tuple[bool, tuple[tuple[int, str], ...], bool, tuple[tuple[bool, int, str], ...], str]


def order_key(version: str) -> OrderKey:
    """Sorts any texts as the go command sorts versions.

    What is no version goes first, pre-releases before their release, missing numbers are zeros; where two have the same
    place, the texts decide.
    """
    found = _LOOSE.match(version)
    if found is None:
        return False, (), False, (), version
    numbers = tuple((len(part), part) for part in (found[1], found[2] or "0", found[3] or "0"))
    pre = found[4] or ""
    identifiers = tuple(_identifier(part) for part in pre.split(".")) if pre else ()
    return True, numbers, not pre, identifiers, version


def listed(versions: Iterable[str]) -> list[str]:
    """What `@v/list` tells of, lowest first."""
    return sorted((version for version in versions if not is_pseudo(version)), key=order_key)


def latest(versions: Iterable[str]) -> str | None:
    """What `@latest` means: the highest release, else the highest pre-release, else the youngest commit.

    `+incompatible` gives way to a release of a real module.
    """
    return max(versions, key=_preference, default=None)


def _preference(version: str) -> tuple[int, str, OrderKey]:
    commit = _pseudo(version)
    if commit is not None:
        return 0, commit[1], order_key(version)
    key = order_key(version)
    is_release = key[2]
    return (1 + is_release + (is_release and not version.endswith(INCOMPATIBLE))), "", key


def _pseudo(version: str) -> re.Match[str] | None:
    return _PSEUDO.match(version) if version.count("-") >= 2 else None


def _identifier(text: str) -> tuple[bool, int, str]:
    """Numbers go before words, and by their value."""
    return (False, len(text), text) if text.isdecimal() else (True, 0, text)
