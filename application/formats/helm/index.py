"""Stored charts to the index that helm fetches, and to the lists that the API of ChartMuseum gives.

The index is JSON under the name of YAML, which contains it: helm since 3.14 reads that ten times as fast, and before
that as well as any other.
Source: https://helm.sh/docs/topics/chart_repository/#the-index-file
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from application.formats.helm.names import FOLDER, order_key

INDEX_TYPE = "application/yaml"

_encode = msgspec.json.encode


class Entry(msgspec.Struct, frozen=True):
    """One version of a chart. facts: the JSON object of its Chart.yaml; file: the name of its archive; sha256: empty
    where an upstream does not tell it.
    """

    name: str
    version: str
    facts: bytes
    file: str
    sha256: str
    created_at: datetime


def render_index(entries: Iterable[Entry], generated_at: datetime) -> bytes:
    """index.yaml. generated_at: when what it tells last changed, so that the same content has the same bytes."""
    body = b",".join(_member(name, versions) for name, versions in _grouped(entries))
    return b'{"apiVersion":"v1","entries":{' + body + b'},"generated":' + _encode(_stamp(generated_at)) + b"}\n"


def render_charts(entries: Iterable[Entry], offset: int, limit: int | None) -> bytes:
    """Charts by name, each with its versions: some of them, by the order of their names."""
    every = list(_grouped(entries))
    chosen = every[offset : None if limit is None else offset + limit]
    return b"{" + b",".join(_member(name, versions) for name, versions in chosen) + b"}"


def render_versions(entries: Iterable[Entry]) -> bytes:
    """The versions of one chart, newest first."""
    return b"[" + b",".join(map(render_version, _ordered(entries))) + b"]"


def render_version(entry: Entry) -> bytes:
    """One version of a chart."""
    added: dict[str, object] = {"urls": [FOLDER + quote(entry.file, safe="")], "created": _stamp(entry.created_at)}
    if entry.sha256:
        added["digest"] = entry.sha256
    return entry.facts[:-1] + b"," + _encode(added)[1:]


def _grouped(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.name, []).append(entry)
    return ((name, groups[name]) for name in sorted(groups))


def _member(name: str, versions: Iterable[Entry]) -> bytes:
    return _encode(name) + b":" + render_versions(versions)


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (order_key(entry.version), entry.version), reverse=True)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
