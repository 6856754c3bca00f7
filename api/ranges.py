"""Byte ranges: what a Range header asks for, and how several parts are laid out in one answer (RFC 9110 section 14)."""

from __future__ import annotations

import os
import re
from itertools import pairwise

import msgspec

MAX_RANGES = 10
"""A request for more parts, or for overlapping ones, gets the whole: parts cost more than they save (section 17.15)."""

_UNIT = "bytes="
_RANGE = re.compile(r"([0-9]*)-([0-9]*)\Z")

Span = tuple[int, int]
"""Start and end, the end exclusive."""


class Unsatisfiable(ValueError):
    """The header is well-formed and no part of the file is asked for (416)."""


class Layout(msgspec.Struct, frozen=True):
    """A multipart/byteranges body: what stands before each part, and after the last."""

    parts: tuple[tuple[bytes, Span], ...]
    closing: bytes
    media_type: str

    @property
    def length(self) -> int:
        """The length of the whole body."""
        return len(self.closing) + sum(len(head) + end - start for head, (start, end) in self.parts)


def wanted_spans(header: str, size: int) -> list[Span]:
    """The parts that a Range header asks for, in its order; none to send the whole, as for headers that are no ranges.

    Raises Unsatisfiable.
    """
    text = header.replace(" ", "").replace("\t", "")
    if not text.lower().startswith(_UNIT):
        return []
    asked = [item for item in text[len(_UNIT) :].split(",") if item]
    if not 0 < len(asked) <= MAX_RANGES:
        return []
    spans = []
    for item in asked:
        found = _RANGE.match(item)
        if not found or found[1] == found[2] == "":
            return []
        first, last = found[1][:19], found[2][:19]
        if first and last and int(last) < int(first):
            return []
        spans.append(_span(first, last, size))
    satisfiable = [span for span in spans if span is not None]
    if not satisfiable:
        raise Unsatisfiable
    return [] if _overlap(satisfiable) else satisfiable


def lay_out(spans: list[Span], size: int, media_type: str) -> Layout:
    """Several parts of a file as one body."""
    boundary = os.urandom(16).hex()
    parts = tuple(
        (
            (
                f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n"
                f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n"
            ).encode(),
            (start, end),
        )
        for start, end in spans
    )
    return Layout(parts, f"\r\n--{boundary}--\r\n".encode(), f"multipart/byteranges; boundary={boundary}")


def _span(first: str, last: str, size: int) -> Span | None:
    if first == "":
        count = int(last)
        return (max(0, size - count), size) if count and size else None
    start = int(first)
    if start >= size:
        return None
    return start, (min(int(last) + 1, size) if last else size)


def _overlap(spans: list[Span]) -> bool:
    ordered = sorted(spans)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))
