"""npm's grammar: package names, versions, tags, tarball file names, and how versions order.

Two strictnesses on purpose: what may be published here (`parse_name`), and what may be asked for
(`parse_existing_name`), since upstream registries still serve names from before today's rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, NewType

from semantic_version import Version

from domain.errors import Invalid

NpmName = NewType("NpmName", str)
"""A package name, `base` or `@scope/base`, that passed one of the two parsers."""

NpmVersion = NewType("NpmVersion", str)
"""A SemVer 2.0 version without build metadata, as node-semver's `clean` gives it."""

DistTag = NewType("DistTag", str)
"""A distribution tag: text that no client can mistake for a version range."""

MAX_NAME_CHARS = 214
MAX_VERSION_CHARS = 256
MAX_TAG_CHARS = 214
_MAX_SAFE_INTEGER = 2**53 - 1

_SCOPE = r"@[a-z0-9~-][a-z0-9._~-]*"
_NEW_NAME = re.compile(rf"(?:{_SCOPE}/)?[a-z0-9][a-z0-9._-]*\Z")
_OLD_PART = r"[A-Za-z0-9!~*'()-][A-Za-z0-9!~*'()._-]*"
_OLD_NAME = re.compile(rf"(?:@{_OLD_PART}/)?{_OLD_PART}\Z")
_FORBIDDEN_NAMES = frozenset({"node_modules", "favicon.ico"})

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
# What node-semver's `validRange` takes of the characters above; a pre-release only follows a third part.
_X_RANGE = re.compile(r"v*(?:[0-9]+|[xX])(?:\.(?:[0-9]+|[xX])(?:\.(?:[0-9]+|[xX])(?:-[0-9A-Za-z.-]+)?)?)?\Z")
_SEPARATORS = str.maketrans("", "", "-_.")


class NameInvalid(Invalid):
    """Not a package name that npm would accept."""

    template: ClassVar[str] = "invalid package name {name!r}: {why}"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name=name[:MAX_NAME_CHARS], why=why)


class VersionInvalid(Invalid):
    """Not a SemVer 2.0 version."""

    template: ClassVar[str] = "invalid version {version!r}: {why}"

    def __init__(self, version: str, why: str = "versions follow SemVer 2.0, such as 1.2.3 or 1.2.3-beta.1") -> None:
        super().__init__(version=version[:MAX_VERSION_CHARS], why=why)


class TagInvalid(Invalid):
    """Not a distribution tag."""

    template: ClassVar[str] = "invalid tag {tag!r}: {why}"

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(tag=tag[:MAX_TAG_CHARS], why=why)


def parse_name(text: str) -> NpmName:
    """A name that may be published: lower case, URL-safe, at most 214 characters.

    Raises NameInvalid. A leading hyphen is refused because `/-/` separates a name from everything below it.
    Source: https://github.com/npm/validate-npm-package-name#naming-rules
    """
    if len(text) > MAX_NAME_CHARS:
        raise NameInvalid(text, f"longer than {MAX_NAME_CHARS} characters")
    if text in _FORBIDDEN_NAMES:
        raise NameInvalid(text, "reserved")
    if not _NEW_NAME.match(text):
        raise NameInvalid(
            text, "a name is lower case letters, digits, '-', '_' and '.', and starts with one of the first two"
        )
    return NpmName(text)


def parse_existing_name(text: str) -> NpmName:
    """A name that may exist somewhere, upper case and old punctuation included. Raises NameInvalid."""
    if len(text) > MAX_NAME_CHARS or text.lower() in _FORBIDDEN_NAMES or not _OLD_NAME.match(text):
        raise NameInvalid(text, "not a package name")
    return NpmName(text)


def split_name(name: NpmName) -> tuple[str | None, str]:
    """The scope with its `@`, or None, and the rest."""
    scope, slash, base = name.rpartition("/")
    return (scope if slash else None), base


def similarity_key(name: NpmName) -> str:
    """Equal for names of one scope that differ only in case and in `-`, `_`, `.`.

    Source: https://github.com/npm/documentation/blob/main/content/threats-and-mitigations.mdx (typosquatting)
    """
    scope, base = split_name(name)
    squeezed = base.lower().translate(_SEPARATORS) or base.lower()
    return f"{scope.lower()}/{squeezed}" if scope else squeezed


def clean_version(text: str) -> NpmVersion:
    """What node-semver's `clean` makes of a version: no surrounding space, no leading `v` or `=`, no build metadata.

    Raises VersionInvalid. Two texts that differ only in build metadata are one version.
    Source: https://semver.org/spec/v2.0.0.html, https://github.com/npm/node-semver#clean
    """
    return NpmVersion(str(_parsed(text.strip().lstrip("=v")).truncate("prerelease")))


def parse_version(text: str) -> NpmVersion:
    """A version that is already clean, as it stands in paths and documents. Raises VersionInvalid."""
    cleaned = clean_version(text)
    if cleaned != text:
        raise VersionInvalid(text, f"write it as {cleaned}")
    return cleaned


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Version:
    # The library's own pattern lets a final newline and digits of other scripts through.
    if len(text) > MAX_VERSION_CHARS or not _VERSION.match(text):
        raise VersionInvalid(text)
    try:
        version = Version(text)
    except ValueError:
        raise VersionInvalid(text) from None
    if max(version.major, version.minor, version.patch) > _MAX_SAFE_INTEGER:
        raise VersionInvalid(text, "numbers go up to 9007199254740991")
    return version


OrderKey = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@lru_cache(maxsize=65536)
def order_key(version: str) -> OrderKey:
    """Sorts by SemVer precedence, equal for versions that differ only in build metadata. Raises VersionInvalid.

    The library's own key counts build metadata, and compares some ten times slower than plain tuples do.
    """
    parsed = _parsed(version)
    identifiers = tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in parsed.prerelease)
    return parsed.major, parsed.minor, parsed.patch, not identifiers, identifiers


def is_prerelease(version: str) -> bool:
    """Whether the version carries a pre-release part. Raises VersionInvalid."""
    return bool(_parsed(version).prerelease)


def highest(versions: Iterable[str]) -> str | None:
    """The highest stable version; the highest pre-release when nothing is stable; None when there is nothing."""
    ordered = sorted(versions, key=order_key)
    return next(
        (version for version in reversed(ordered) if not is_prerelease(version)), ordered[-1] if ordered else None
    )


def parse_tag(text: str) -> DistTag:
    """A distribution tag. Raises TagInvalid for text that a client would read as a version range.

    Source: https://github.com/npm/cli/blob/latest/docs/lib/content/commands/npm-dist-tag.md#caveats
    """
    if len(text) > MAX_TAG_CHARS or not _TAG.match(text):
        raise TagInvalid(text, "a tag is letters, digits, '.', '_' and '-'")
    if _X_RANGE.match(text):
        raise TagInvalid(text, "a tag must not be a valid SemVer range")
    return DistTag(text)


def tarball_name(name: NpmName, version: NpmVersion) -> str:
    """The file name under `/-/`: a scope is not part of it."""
    return f"{split_name(name)[1]}-{version}.tgz"


def bundle_name(name: NpmName, version: NpmVersion) -> str:
    """The name of the Sigstore bundle that may be attached beside a tarball."""
    return f"{split_name(name)[1]}-{version}.sigstore"
