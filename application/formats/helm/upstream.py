"""The index of another chart repository, as it comes. Pure; any bytes give charts or Invalid.

An entry that helm would pass over is passed over; one bad chart hides no other.
Source: https://helm.sh/docs/topics/chart_repository/#the-index-file
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from application.formats.helm.index import Entry
from application.formats.helm.metadata import chart_of
from application.formats.helm.names import chart_file
from application.proxying.asking import joined
from application.yaml_reader import YamlInvalid, parse_yaml
from domain.errors import Invalid

MAX_BYTES = 64 << 20
MAX_VALUES = 4_000_000
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class IndexMalformed(Invalid):
    """Not an index of charts."""

    template: ClassVar[str] = "not an index of charts: {problem}"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem[:300])


class Offer(msgspec.Struct, frozen=True):
    """A chart at an upstream. url: as the index has it, relative to its own address."""

    entry: Entry
    url: str

    def address(self, index_url: str) -> str:
        """Where the archive is, seen from the index."""
        return joined(index_url, self.url)


def read_index(body: bytes) -> dict[str, Offer]:
    """The charts of an index, by the names that their files have here; of several at one name the first.

    Raises IndexMalformed.
    """
    found: dict[str, Offer] = {}
    for versions in _entries(body).values():
        for told in versions if isinstance(versions, list) else ():
            offer = _offer(told) if isinstance(told, dict) else None
            if offer is not None:
                found.setdefault(offer.entry.file, offer)
    return found


def _entries(body: bytes) -> Mapping[str, Any]:
    if len(body) > MAX_BYTES:
        raise IndexMalformed(f"larger than {MAX_BYTES} bytes")
    tree = _tree(body)
    entries = tree.get("entries") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not tree.get("apiVersion") or not isinstance(entries, dict | None):
        raise IndexMalformed("it has no apiVersion, or entries that are none")
    return entries or {}


def _tree(body: bytes) -> Any:
    """JSON is read as such, as helm does; it is ten times as fast."""
    if body.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # YAML may begin so, too
    try:
        return parse_yaml(body, "index.yaml", max_bytes=MAX_BYTES, max_nodes=MAX_VALUES)
    except YamlInvalid as fault:
        raise IndexMalformed(str(fault)) from None


def _offer(told: dict[str, Any]) -> Offer | None:
    urls = told.get("urls")
    url = urls[0] if isinstance(urls, list) and urls else None
    if told.get("removed") in (True, "true") or not isinstance(url, str) or not _is_fetched(url):
        return None
    try:
        chart = chart_of({name: _textual(value) for name, value in told.items()}, "index.yaml")
    except Invalid:
        return None
    digest = _SHA256.match(told["digest"].lower()) if isinstance(told.get("digest"), str) else None
    entry = Entry(
        chart.name,
        chart.version,
        msgspec.json.encode(chart),
        chart_file(*chart.coordinates),
        digest[1] if digest is not None else "",
        _moment(told.get("created")),
    )
    return Offer(entry, url)


def _is_fetched(url: str) -> bool:
    """Whether an address is one that is asked over HTTP; others name things that are elsewhere, or on this machine."""
    try:
        return urlsplit(url).scheme in {"", "http", "https"}
    except ValueError:
        return False


def _textual(value: Any) -> Any:
    """A number where a text belongs, as helm takes it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _moment(told: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else _NEVER
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
