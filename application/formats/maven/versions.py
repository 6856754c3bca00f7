"""How Maven orders versions, and which of them are snapshots.

Source: https://maven.apache.org/pom.html#Version_Order_Specification
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SNAPSHOT = "SNAPSHOT"

_PIECE = re.compile(r"([._-]?)([0-9]+|[^0-9._-]+|(?=[._-]|\Z))")
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_KNOWN = ("alpha", "beta", "milestone", "rc", "snapshot")
_ALIASES = {"cr": "rc", "ga": "", "final": "", "release": ""}


class Token(NamedTuple):
    """One place of a version, comparable to what stands at the same place of another.

    rank: qualifiers before the release, the release itself, qualifiers after it, `-number`, `.number`. length: of the
    number, so that its digits compare as one.
    """

    rank: int
    length: int
    text: str


OrderKey = tuple[tuple[Token, ...], str]

_BEFORE, _RELEASE, _AFTER, _DASHED, _DOTTED = range(5)
_END = Token(_RELEASE, 0, "")
_NULLS = frozenset({_END, Token(_DASHED, 0, ""), Token(_DOTTED, 0, "")})


def order_key(version: str) -> OrderKey:
    """Orders versions as Maven does: `1-alpha` < `1-SNAPSHOT` < `1` = `1.0` < `1-sp` < `1-1` < `1.1`.

    Every text has a place. Where Maven sees no difference the text itself decides, so that the order is total.
    """
    kept = [_END]
    for token in reversed(list(_tokens(version.lower()))):
        # what says nothing drops where nothing, a hyphen or a qualifier follows: 1.0.0 is 1, 1.0-foo is 1-foo
        if token not in _NULLS or kept[-1].rank == _DOTTED:
            kept.append(token)
    return tuple(reversed(kept)), version


def is_snapshot(version: str) -> bool:
    """Whether a version is still being made: its directory holds builds of it."""
    return version == SNAPSHOT or version.endswith(f"-{SNAPSHOT}")


def latest(versions: list[str]) -> str:
    """The highest version; empty for none."""
    return max(versions, key=order_key, default="")


def latest_release(versions: list[str]) -> str:
    """The highest version that is no snapshot; empty for none."""
    return latest([version for version in versions if not is_snapshot(version)])


def _tokens(text: str) -> Iterator[Token]:
    pieces = _PIECE.findall(f"0{text}" if text[:1] in {".", "-", "_"} else text)
    for index, (separator, value) in enumerate(pieces):
        if not separator and not value:
            continue  # the empty match at the end
        if not value or value[0] in "0123456789":
            digits = value.lstrip("0")
            dashed = separator != "." and index > 0  # a change from letters to digits is a hyphen, too
            yield Token(_DASHED if dashed else _DOTTED, len(digits), digits)
        else:
            following = pieces[index + 1] if index + 1 < len(pieces) else ("", "")
            short = not following[0] and following[1]
            yield _qualifier(_SHORT.get(value, value) if short else value)


def _qualifier(text: str) -> Token:
    text = _ALIASES.get(text, text)
    if not text:
        return _END
    if text in _KNOWN:
        return Token(_BEFORE, _KNOWN.index(text), "")
    return Token(_AFTER, 0 if text == "sp" else 1, "" if text == "sp" else text)
