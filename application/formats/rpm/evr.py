"""How versions of packages order: epoch, then version, then release, the last two as `rpmvercmp` compares.

Source: https://rpm-software-management.github.io/rpm/man/rpm-version.7 and rpmio/rpmvercmp.c.
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import Any

import msgspec

_SKIPPED = re.compile(r"[^A-Za-z0-9~^]*")
_DIGITS = re.compile(r"[0-9]*")
_LETTERS = re.compile(r"[A-Za-z]*")
_EPOCH = re.compile(r"([0-9]*):")


class Evr(msgspec.Struct, frozen=True):
    """Epoch, version and release; the release of a dependency may be empty."""

    epoch: int
    version: str
    release: str = ""

    def __str__(self) -> str:
        """As it is written: `1:2.0-3`, without the epoch when it is 0."""
        text = f"{self.version}-{self.release}" if self.release else self.version
        return f"{self.epoch}:{text}" if self.epoch else text


def parse_evr(text: str) -> Evr:
    """Read `[epoch:]version[-release]`; every text is one, as for rpm itself."""
    found = _EPOCH.match(text)
    epoch = int(found[1][-10:] or "0") if found else 0
    version, _, release = text[found.end() if found else 0 :].partition("-")
    return Evr(epoch, version, release)


def compare_evr(left: Evr, right: Evr) -> int:
    """-1, 0 or 1."""
    if left.epoch != right.epoch:
        return 1 if left.epoch > right.epoch else -1
    return rpmvercmp(left.version, right.version) or rpmvercmp(left.release, right.release)


def rpmvercmp(left: str, right: str) -> int:
    """Compare two versions or two releases: -1, 0 or 1. `~` sorts before the end of a text, `^` after it."""
    if left == right:
        return 0
    at, to = 0, 0
    while at < len(left) or to < len(right):
        at, to = _skip(left, at), _skip(right, to)
        mine, theirs = left[at : at + 1], right[to : to + 1]
        if "~" in (mine, theirs) or "^" in (mine, theirs):
            if mine != theirs:
                return _compare_marks(mine, theirs)
            at, to = at + 1, to + 1
            continue
        if not mine or not theirs:
            break
        numeric = mine in "0123456789"
        first, second = _segment(left, at, numeric=numeric), _segment(right, to, numeric=numeric)
        if not second:  # a number is newer than letters
            return 1 if numeric else -1
        at, to = at + len(first), to + len(second)
        if order := _compare_segments(first, second, numeric=numeric):
            return order
    return (at < len(left)) - (to < len(right))


def order_key(version: str) -> Any:
    """A sort key for versions as the catalogue has them."""
    return _evr_key(parse_evr(version))


def evr_key(evr: Evr) -> Any:
    """A sort key."""
    return _evr_key(evr)


_evr_key = cmp_to_key(compare_evr)


def _skip(text: str, at: int) -> int:
    found = _SKIPPED.match(text, at)
    return found.end() if found else at


def _segment(text: str, at: int, *, numeric: bool) -> str:
    found = (_DIGITS if numeric else _LETTERS).match(text, at)
    return found[0] if found else ""


def _compare_marks(mine: str, theirs: str) -> int:
    """One of the two texts goes on with a mark and the other one does not, or with the other mark; "" is an end."""
    if "~" in (mine, theirs):
        return -1 if mine == "~" else 1
    if not mine or not theirs:
        return -1 if not mine else 1
    return -1 if mine == "^" else 1


def _compare_segments(first: str, second: str, *, numeric: bool) -> int:
    if numeric:
        first, second = first.lstrip("0"), second.lstrip("0")
        if len(first) != len(second):
            return 1 if len(first) > len(second) else -1
    return (first > second) - (first < second)
