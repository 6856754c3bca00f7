"""How a version is in the catalogue: an artifact with the zip's bytes, its facts, and its go.mod beside it."""

from __future__ import annotations

from datetime import datetime

from application.catalogue import ArtifactRow
from application.formats.go.index import parse_time
from application.formats.go.metadata import Facts, decode_facts
from application.ports import BlobStore

GO_MOD_ROLE = "go.mod"
"""Of the blob that a version has besides its zip."""

TIME = "go.time"
"""The property that holds when a version was made, where its publisher said so; RFC 3339."""


def facts_of(row: ArtifactRow, blobs: BlobStore) -> Facts | None:
    """What is stored about a version; None for an artifact that is none."""
    if not row.metadata_blob:
        return decode_facts(bytes(row.metadata))
    with blobs.open(row.metadata_blob) as file:
        return decode_facts(file.read())


def time_of(row: ArtifactRow) -> datetime:
    """When a version was made: as its publisher said, else when it came."""
    for text in row.properties.get(TIME, ()):
        time = parse_time(text)
        if time is not None:
            return time
    return row.published_at
