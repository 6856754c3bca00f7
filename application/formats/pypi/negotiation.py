"""Choosing between the HTML and the JSON form of a simple page (RFC 9110 section 12.5.1, PEP 691)."""

from __future__ import annotations

import re

HTML = "text/html"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"

# What may be asked for, and what is sent then. In this order where a client wants several equally: JSON says more.
OFFERED = {
    JSON_V1: JSON_V1,
    "application/vnd.pypi.simple.latest+json": JSON_V1,
    HTML_V1: HTML_V1,
    "application/vnd.pypi.simple.latest+html": HTML_V1,
    HTML: HTML,
}
_MAX_RANGES = 64
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def choose(accept: str | None, format_parameter: str | None = None) -> str | None:
    """The content type to answer with, or None when the client takes none that exists (406).

    format_parameter: the value of `?format=`, which goes before the header. Without a preference (no header, `*/*`)
    the answer is `text/html`, which every client since 2005 reads.
    Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/#version-format-selection
    """
    if format_parameter:
        # In a query an unescaped plus means a space, and everybody writes it unescaped.
        return OFFERED.get(format_parameter.strip().lower().replace(" ", "+"))
    ranges = _ranges(accept or "")
    if not ranges:
        return HTML if not (accept or "").strip() else None
    best: tuple[float, int, int] | None = None
    chosen = None
    for preference, (offered, answer) in enumerate(OFFERED.items()):
        specificity, quality = _match(ranges, offered)
        # Named types go before wildcards; behind a wildcard the oldest form is the safest.
        rank = (quality, specificity, -preference if specificity == 2 else preference)
        if quality > 0 and (best is None or rank > best):
            best, chosen = rank, answer
    return chosen


def prefers_json(accept: str | None) -> bool:
    """Whether a client would rather be told of an error in JSON than in plain text, which it gets when unsure."""
    ranges = _ranges(accept or "")
    exactly, quality = _match(ranges, "application/json")
    return exactly == 2 and quality > _match(ranges, "text/plain")[1]


def _ranges(accept: str) -> dict[str, float]:
    """Media range to quality; a malformed member is left out, as if the client had not sent it."""
    ranges: dict[str, float] = {}
    for item in accept.lower().split(",", _MAX_RANGES)[:_MAX_RANGES]:
        media_range, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = float(value) if _QUALITY.fullmatch(value.strip()) else -1.0
        if "/" in media_range and quality >= 0:
            ranges[media_range] = max(quality, ranges.get(media_range, 0.0))
    return ranges


def _match(ranges: dict[str, float], offered: str) -> tuple[int, float]:
    """How exactly the most exact range names the type (2, 1, 0), and its quality; quality 0 when none does."""
    for specificity, media_range in ((2, offered), (1, f"{offered.split('/', 1)[0]}/*"), (0, "*/*")):
        if media_range in ranges:
            return specificity, ranges[media_range]
    return 0, 0.0
