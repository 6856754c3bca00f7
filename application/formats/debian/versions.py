"""Versions of Debian packages, and their order.

Source: https://www.debian.org/doc/debian-policy/ch-controlfields.html#version
"""

from __future__ import annotations

import re
from typing import TypeAlias

from domain.errors import Invalid

MAX_VERSION_CHARS = 200
_MAX_EPOCH = 2**31 - 1
_VERSION = re.compile(r"(?:([0-9]{1,10}):)?([A-Za-z0-9.+~:-]*?)(?:-([A-Za-z0-9+.~]+))?\Z")
_RUNS = re.compile(r"([^0-9]*)([0-9]*)")

Runs: TypeAlias = tuple[tuple[int, ...] | int, ...]
OrderKey: TypeAlias = tuple[int, Runs, Runs]


class VersionInvalid(Invalid):
    """Not a version."""

    template = "version {text!r}: {reason}"

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text=text[:MAX_VERSION_CHARS], reason=reason)


def checked_version(text: str) -> str:
    """The version itself. Raises VersionInvalid by the rules of dpkg."""
    found = _VERSION.match(text)
    if len(text) > MAX_VERSION_CHARS:
        raise VersionInvalid(text, f"longer than {MAX_VERSION_CHARS} characters")
    if found is None:
        raise VersionInvalid(text, "expected [epoch:]upstream[-revision] of letters, digits, '.', '+', '~' and '-'")
    epoch, upstream, _ = found.groups()
    if epoch and int(epoch) > _MAX_EPOCH:
        raise VersionInvalid(text, "the epoch is too large")
    if not upstream or not upstream[0].isalnum() or text.endswith("-"):
        raise VersionInvalid(text, "the upstream version is empty or begins or ends with a punctuation character")
    if ":" in upstream and not epoch:
        raise VersionInvalid(text, "the epoch is not a number")
    return text


def without_epoch(version: str) -> str:
    """The version as file names have it."""
    return version.partition(":")[2] if ":" in version else version


def upstream_of(version: str) -> str:
    """The version without epoch and revision, as the names of source tarballs have it."""
    bare = without_epoch(version)
    return bare.rpartition("-")[0] if "-" in bare else bare


def order_key(version: str) -> OrderKey:
    """Sorts as `dpkg --compare-versions` does. Takes any text; what is no version sorts as if it were one."""
    epoch, colon, rest = version.partition(":")
    if not (colon and epoch.isascii() and epoch.isdigit()):
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch[:20]), _runs(upstream), _runs(revision)


def _runs(text: str) -> Runs:
    """Runs of other characters and of digits in turn; a tilde is before the end, letters are before punctuation."""
    key: list[tuple[int, ...] | int] = []
    for letters, digits in _RUNS.findall(text):
        key.append((*map(_weight, letters), 0))
        key.append(_number(digits))
    return tuple(key)


def _number(digits: str) -> int:
    """Longer than Python reads at once is possible in text that was never checked."""
    significant = digits.lstrip("0")
    return int(significant) if 0 < len(significant) <= 4000 else int(bool(significant)) << 16_000


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256
