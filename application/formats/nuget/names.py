"""NuGet's grammar: package ids, versions as its clients normalise them, their order, and ranges of them.

Source: https://learn.microsoft.com/nuget/concepts/package-versioning
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, NewType

import msgspec

from domain.errors import Invalid

PackageId = NewType("PackageId", str)
"""An id as its publisher spells it, that passed `parse_id`."""

PackageKey = NewType("PackageKey", str)
"""An id in lower case: by which a registry knows it, and which is in addresses."""

MAX_ID_CHARS = 100
MAX_VERSION_CHARS = 64
_MAX_NUMBER = 2**31 - 1

_ID = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*\Z")
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"(\d{{1,10}})(?:\.(\d{{1,10}}))?(?:\.(\d{{1,10}}))?(?:\.(\d{{1,10}}))?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?\Z",
    re.ASCII,
)
_RANGE = re.compile(r"([\[(])([^,\[\]()]*)(?:(,)([^,\[\]()]*))?([\])])\Z")
_FLOATING = re.compile(r"(?:\d{1,10}\.){0,3}(?:\d{1,10})?(?:-[0-9A-Za-z.-]*)?\*(?:-\*)?\Z", re.ASCII)


class IdInvalid(Invalid):
    """Not an id that a package may have."""

    template: ClassVar[str] = (
        "invalid package id {id!r}: at most 100 ASCII letters, digits and '_', in groups joined by one '.' or '-'"
    )

    def __init__(self, text: str) -> None:
        super().__init__(id=text[:MAX_ID_CHARS])


class VersionInvalid(Invalid):
    """Not a version that NuGet can read."""

    template: ClassVar[str] = "invalid package version {version!r}: two to four numbers, such as 1.2.3 or 1.2.3-beta.1"

    def __init__(self, text: str) -> None:
        super().__init__(version=text[:MAX_VERSION_CHARS])


class RangeInvalid(Invalid):
    """Not a range of versions."""

    template: ClassVar[str] = "invalid version range {range!r}"

    def __init__(self, text: str) -> None:
        super().__init__(range=text[:200])


class NugetVersion(msgspec.Struct, frozen=True):
    """A version, taken apart. release: identifiers of a pre-release; metadata: of the build."""

    numbers: tuple[int, int, int, int]
    release: tuple[str, ...] = ()
    metadata: str = ""

    @property
    def normalized(self) -> str:
        """Three numbers, a fourth only if it is not zero, the pre-release, and nothing of the build."""
        numbers = self.numbers if self.numbers[3] else self.numbers[:3]
        return ".".join(map(str, numbers)) + (f"-{'.'.join(self.release)}" if self.release else "")

    @property
    def full(self) -> str:
        """The normal form, with what there is of the build."""
        return self.normalized + (f"+{self.metadata}" if self.metadata else "")

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before a release."""
        return bool(self.release)

    @property
    def is_semver2(self) -> bool:
        """Whether clients before NuGet 4.3 cannot read it."""
        return len(self.release) > 1 or bool(self.metadata)


OrderKey = tuple[tuple[int, int, int, int], bool, tuple[tuple[bool, int, str], ...]]


def parse_id(text: str) -> PackageId:
    """An id that a package may be published by. Raises IdInvalid."""
    if len(text) > MAX_ID_CHARS or not _ID.match(text):
        raise IdInvalid(text)
    return PackageId(text)


def package_key(text: str) -> PackageKey | None:
    """By which a package is looked up; None for text that no package is called."""
    return PackageKey(text.lower()) if len(text) <= MAX_ID_CHARS and _ID.match(text) else None


@lru_cache(maxsize=65536)
def parse_version(text: str) -> NugetVersion:
    """A version of one to four numbers, pre-release and build. Raises VersionInvalid."""
    found = _VERSION.match(text) if len(text) <= MAX_VERSION_CHARS else None
    if found is None:
        raise VersionInvalid(text)
    one, two, three, four = (int(number or 0) for number in found.groups()[:4])
    release = tuple(found[5].split(".")) if found[5] else ()
    zero_padded = any(part.isdigit() and part != "0" and part.startswith("0") for part in release)
    if max(one, two, three, four) > _MAX_NUMBER or (zero_padded and len(release) > 1):
        raise VersionInvalid(text)
    return NugetVersion((one, two, three, four), release, found[6] or "")


def version_key(text: str) -> str | None:
    """By which a version is looked up, in whatever form it was typed; None for text that is none."""
    try:
        return parse_version(text).normalized.lower()
    except VersionInvalid:
        return None


@lru_cache(maxsize=65536)
def order_key(version: str) -> OrderKey:
    """Sorts as NuGet does: numbers, then pre-releases before the release, ignoring case. Raises VersionInvalid."""
    parsed = parse_version(version)
    identifiers = tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part.lower()) for part in parsed.release
    )
    return parsed.numbers, not identifiers, identifiers


def ascending(versions: Iterable[str]) -> list[str]:
    """From the lowest on; those that NuGet takes for equal by their text, so that the order is always the same."""
    return sorted(versions, key=lambda version: (order_key(version), version))


def parse_range(text: str) -> tuple[NugetVersion, ...]:
    """The versions at the ends of a range: `1.0`, `[1.0]`, `[1.0,2.0)`, `(,2.0]`, or floating. Raises RangeInvalid.

    Source: https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges
    """
    text = text.strip()
    if len(text) > 2 * MAX_VERSION_CHARS:
        raise RangeInvalid(text)
    found = _RANGE.match(text)
    try:
        if found is None:
            return () if not text or _FLOATING.match(text) else (parse_version(text),)
        ends = tuple(_end(part) for part in (found[2], found[4] or "") if part.strip())
    except VersionInvalid:
        raise RangeInvalid(text) from None
    if not found[3] and (len(ends) != 1 or found[1] + found[5] != "[]"):
        raise RangeInvalid(text)
    return tuple(end for end in ends if end is not None)


def normalized_range(text: str) -> str:
    """The range as documents tell it: always with both brackets. Raises RangeInvalid."""
    parse_range(text)
    text = text.strip()
    if not text:
        return "(, )"
    found = _RANGE.match(text)
    if found is None:
        return f"[{text if '*' in text else parse_version(text).normalized}, )"
    low, high = (part.strip() for part in (found[2], found[4] if found[3] else found[2]))
    low, high = (part if not part or "*" in part else parse_version(part).normalized for part in (low, high))
    return f"{found[1]}{low}, {high}{found[5]}"


def _end(part: str) -> NugetVersion | None:
    part = part.strip()
    return None if _FLOATING.match(part) else parse_version(part)
