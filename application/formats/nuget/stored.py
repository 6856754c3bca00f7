"""What the catalogue keeps of a package, and how it becomes an entry of documents again.

Stored data: fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from application.catalogue import ArtifactRow, VersionRow
from application.formats.nuget.index import Entry
from application.formats.nuget.metadata import Nuspec, Package
from application.ports import BlobStore

MANIFEST_ROLE = "nuspec"
"""Beside a package's archive, its manifest is kept, and the files that it shows by their own roles."""


class Facts(Nuspec, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact that is a package. keywords: its tags, for searches."""

    semver2: bool = False
    signed: bool = False
    keywords: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Facts).decode


def encode_facts(package: Package) -> bytes:
    """The metadata to store of a package that was read."""
    return encode_told(package.nuspec, signed=package.signed)


def encode_told(nuspec: Nuspec, *, signed: bool = False) -> bytes:
    """The metadata to store, from what is known of a version."""
    stated = {field: getattr(nuspec, field) for field in Nuspec.__struct_fields__}
    keywords = tuple(nuspec.tags.split()[:100])
    return msgspec.json.encode(Facts(**stated, semver2=nuspec.is_semver2, signed=signed, keywords=keywords))


def entries_of(
    rows: Iterable[ArtifactRow], versions: Iterable[VersionRow], blobs: BlobStore, downloads: Mapping[str, int]
) -> list[Entry]:
    """The packages among artifacts of one id, from the lowest version on; other files are passed over."""
    marks = {version.version: version for version in versions}
    found = [entry for row in rows if (entry := _entry(row, marks.get(row.version), blobs, downloads)) is not None]
    return sorted(found, key=lambda entry: entry.order)


def _entry(row: ArtifactRow, mark: VersionRow | None, blobs: BlobStore, downloads: Mapping[str, int]) -> Entry | None:
    metadata = bytes(row.metadata)
    if row.metadata_blob:
        with blobs.open(row.metadata_blob) as file:
            metadata = file.read()
    try:
        facts = _decode(metadata)
    except msgspec.ValidationError:
        return None
    return Entry(
        nuspec=facts,
        normalized=row.version,
        sha512=row.digests.get("sha512", ""),
        size_bytes=row.size_bytes,
        published_at=row.published_at,
        semver2=facts.semver2,
        listed=mark is None or mark.yanked is None,
        deprecated=mark.deprecated if mark is not None else None,
        shown=frozenset(row.blobs) - {MANIFEST_ROLE},
        downloads=downloads.get(row.version, 0),
    )
