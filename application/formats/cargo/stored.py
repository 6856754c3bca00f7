"""What the catalogue keeps of a crate, and how it becomes an entry of the index again.

Stored data: fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from application.catalogue import ArtifactRow, VersionRow
from application.formats.cargo.dependencies import Dependency, Features
from application.formats.cargo.index import IndexEntry
from application.formats.cargo.manifest import Manifest
from application.formats.cargo.upstream import UpstreamLine, read_told
from application.ports import BlobStore


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact that is a crate. dependencies: with the registries that the index tells."""

    name: str
    dependencies: tuple[Dependency, ...] = ()
    features: Features = {}
    links: str | None = None
    rust_version: str | None = None
    description: str = ""
    keywords: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    license: str = ""
    homepage: str = ""
    documentation: str = ""
    repository: str = ""


_decode = msgspec.json.Decoder(Facts).decode


class Release(msgspec.Struct, frozen=True):
    """One version of a crate, as the catalogue has it at the position that is read."""

    row: ArtifactRow
    facts: Facts
    yanked: bool


def encode_facts(manifest: Manifest) -> bytes:
    """The metadata to store."""
    stated = {field: getattr(manifest, field) for field in Facts.__struct_fields__}
    return msgspec.json.encode(Facts(**stated))


def encode_told(line: UpstreamLine) -> bytes:
    """The metadata to store of a crate of another registry: what its index tells."""
    told = read_told(line)
    facts = Facts(
        name=line.name,
        dependencies=told.deps,
        features={**told.features, **(told.features2 or {})},
        links=told.links,
        rust_version=told.rust_version,
    )
    return msgspec.json.encode(facts)


def releases(rows: Iterable[ArtifactRow], versions: Iterable[VersionRow], blobs: BlobStore) -> list[Release]:
    """The crates among the artifacts of a package; other files, which came another way, are passed over."""
    yanked = {version.version for version in versions if version.yanked is not None}
    return [Release(row, facts, row.version in yanked) for row in rows if (facts := _facts(row, blobs)) is not None]


def index_entries(found: Sequence[Release]) -> list[IndexEntry]:
    """What the index tells of these."""
    return [
        IndexEntry(
            name=release.facts.name,
            version=release.row.version,
            sha256=release.row.sha256,
            published_at=release.row.published_at,
            yanked=release.yanked,
            dependencies=release.facts.dependencies,
            features=release.facts.features,
            links=release.facts.links,
            rust_version=release.facts.rust_version,
        )
        for release in found
    ]


def _facts(row: ArtifactRow, blobs: BlobStore) -> Facts | None:
    metadata = bytes(row.metadata)
    if row.metadata_blob:
        with blobs.open(row.metadata_blob) as file:
            metadata = file.read()
    try:
        return _decode(metadata)
    except msgspec.ValidationError:
        return None
