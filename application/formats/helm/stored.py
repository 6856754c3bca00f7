"""What the catalogue keeps of a chart, and how it becomes an entry of the index again.

A chart's metadata is the object that an index has for it, without what an index adds. Stored data: fields are only
ever added.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from application.catalogue import ArtifactRow
from application.formats.helm.index import Entry
from application.formats.helm.metadata import Chart
from application.formats.helm.names import ARCHIVE, FOLDER
from application.ports import BlobStore

_NO_FACTS = b"{}"


class _Described(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a search tells of a chart, which a file that came after it must not take away."""

    description: str = ""
    keywords: tuple[str, ...] = ()


def encode_facts(chart: Chart) -> bytes:
    """The metadata to store of a chart."""
    return msgspec.json.encode(chart)


def encode_provenance_facts(described: bytes) -> bytes:
    """The metadata to store of a provenance file, from that of its chart."""
    return msgspec.json.encode(msgspec.json.decode(described, type=_Described))


def is_chart(row: ArtifactRow) -> bool:
    """Whether an artifact is a chart, and not what lies beside one."""
    return bool(row.package) and row.path.startswith(FOLDER) and row.path.endswith(ARCHIVE)


def facts_of(row: ArtifactRow, blobs: BlobStore) -> bytes:
    """The stored metadata, wherever it is."""
    if row.metadata_blob is None:
        return bytes(row.metadata)
    with blobs.open(row.metadata_blob) as file:
        return file.read()


def index_entries(rows: Iterable[ArtifactRow], blobs: BlobStore) -> list[Entry]:
    """What an index tells of the charts among artifacts; what came without being read as one is passed over."""
    return [
        Entry(row.name, row.version, facts, row.filename, row.sha256, row.published_at)
        for row in rows
        if is_chart(row) and (facts := facts_of(row, blobs)) != _NO_FACTS
    ]
