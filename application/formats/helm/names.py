"""Helm's grammar: chart names, versions as its client reads them, the names of files, and how versions order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, NewType

from semantic_version import NpmSpec, Version

from domain.errors import Invalid

ChartName = NewType("ChartName", str)
"""A chart's name, that passed `parse_name`."""

ChartVersion = NewType("ChartVersion", str)
"""A version that helm can read, as its author wrote it."""

MAX_NAME_CHARS = 250
MAX_VERSION_CHARS = 256
FOLDER = "charts/"
ARCHIVE = ".tgz"
PROVENANCE = ".prov"
_MAX_NUMBER = 2**64 - 1
_MAX_RANGE_CHARS = 256

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_CHARS - 1}}}\Z")
_NUMBER = r"(0|[1-9][0-9]{0,19})"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?\Z")


class NameInvalid(Invalid):
    """Not a name that a chart may have."""

    template: ClassVar[str] = "invalid chart name {name!r}: use letters, digits, '-', '_' and '.', without '..'"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:MAX_NAME_CHARS])


class VersionInvalid(Invalid):
    """Not a version that helm can read."""

    template: ClassVar[str] = (
        "invalid chart version {version!r}: versions follow SemVer 2.0, such as 1.2.3 or 1.2.3-rc.1"
    )

    def __init__(self, version: str) -> None:
        super().__init__(version=version[:MAX_VERSION_CHARS])


class RangeInvalid(Invalid):
    """Not a constraint on versions."""

    template: ClassVar[str] = "invalid version constraint {range!r}"

    def __init__(self, text: str) -> None:
        super().__init__(range=text[:_MAX_RANGE_CHARS])


def parse_name(text: str) -> ChartName:
    """A name that can stand in the name of a file. Raises NameInvalid.

    Source: https://helm.sh/docs/chart_best_practices/conventions/#chart-names; helm itself only refuses what would
    leave a folder.
    """
    if not _NAME.match(text) or ".." in text:
        raise NameInvalid(text)
    return ChartName(text)


def parse_version(text: str) -> ChartVersion:
    """A version of up to three numbers, perhaps after a `v`. Raises VersionInvalid.

    A missing number counts as zero, as helm has it; the text stays as it is, for it is part of file names.
    """
    _parsed(text)
    return ChartVersion(text)


def chart_file(name: ChartName, version: ChartVersion) -> str:
    """How a chart's archive is called."""
    return f"{name}-{version}{ARCHIVE}"


def chart_path(name: ChartName, version: ChartVersion) -> str:
    """Where a chart is stored."""
    return FOLDER + chart_file(name, version)


OrderKey = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@lru_cache(maxsize=65536)
def order_key(version: str) -> OrderKey:
    """Sorts by SemVer precedence, for which build metadata does not count. Raises VersionInvalid."""
    parsed = _parsed(version)
    identifiers = tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in parsed.prerelease)
    return parsed.major, parsed.minor, parsed.patch, not identifiers, identifiers


def newest_first(versions: Iterable[str]) -> list[str]:
    """By precedence; those of the same one by their text, so that the order is always the same."""
    return sorted(versions, key=lambda version: (order_key(version), version), reverse=True)


def best(versions: Iterable[str], wanted: str) -> str | None:
    """What `wanted` means among versions: itself, the highest that a constraint admits, or the latest.

    `latest` and nothing at all mean the highest stable version, or the highest at all. Raises RangeInvalid.
    """
    ordered = newest_first(versions)
    if wanted in ordered:
        return wanted
    if wanted in ("", "latest"):
        return next((version for version in ordered if order_key(version)[3]), ordered[0] if ordered else None)
    spec = _range(wanted)
    return next((version for version in ordered if _parsed(version) in spec), None)


def _range(text: str) -> NpmSpec:
    """Helm's constraints are npm's, but that a comma may join what must hold together."""
    if len(text) > _MAX_RANGE_CHARS:
        raise RangeInvalid(text)
    try:
        return NpmSpec(re.sub(r"\s*,\s*", " ", re.sub(r"([<>=~^]+)\s+", r"\1", text)).strip())
    except (ValueError, AttributeError):  # the latter for an end of `a - b` that is none, as in `< - 2`
        raise RangeInvalid(text) from None


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Version:
    found = _VERSION.match(text) if len(text) <= MAX_VERSION_CHARS else None
    if found is None:
        raise VersionInvalid(text)
    numbers = [int(number or 0) for number in found.groups()[:3]]
    if max(numbers) > _MAX_NUMBER:
        raise VersionInvalid(text)
    try:
        return Version(".".join(map(str, numbers)) + (f"-{found[4]}" if found[4] else ""))
    except ValueError:
        raise VersionInvalid(text) from None
