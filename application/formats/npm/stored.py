"""What the catalogue keeps of a release, and how it becomes an index entry again.

Stored data: fields are only ever added. A readme of some size and a large manifest are blobs beside the tarball, so
that an event stays small and a readme that every version repeats is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from application.catalogue import ArtifactRow, VersionRow
from application.formats.npm.index import Package, Signature, VersionEntry
from application.formats.npm.metadata import Release
from application.formats.npm.names import NpmName
from application.ports import BlobStore
from application.publishing import MAX_INLINE_METADATA_BYTES
from domain.digests import subresource_integrity

MAX_INLINE_README_BYTES = 1024
_README, _MANIFEST, PROVENANCE = "readme", "manifest", "provenance"


_NULL = msgspec.Raw(b"null")


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metadata of an artifact that is a release. manifest: null when it is the blob `manifest`.

    readme: empty also when it is the blob `readme`. predicate_type: of the blob `provenance`. signatures: made when it
    was published, so that whoever changes a digest later is found out.
    """

    abbreviated: msgspec.Raw
    manifest: msgspec.Raw = _NULL
    file_count: int | None = None
    unpacked_bytes: int | None = None
    description: str = ""
    keywords: tuple[str, ...] = ()
    license: str = ""
    readme: str = ""
    readme_file: str = ""
    predicate_type: str | None = None
    signatures: tuple[Signature, ...] = ()


_decode = msgspec.json.Decoder(Facts).decode


def facts_of(release: Release, signatures: tuple[Signature, ...] = ()) -> tuple[bytes, dict[str, bytes]]:
    """The metadata to store, and the blobs that go with it by role."""
    readme = release.readme.encode()
    blobs = {}
    if len(readme) > MAX_INLINE_README_BYTES:
        blobs[_README] = readme
    if release.provenance is not None:
        blobs[PROVENANCE] = release.provenance.bundle
    facts = Facts(
        abbreviated=msgspec.Raw(release.abbreviated),
        manifest=msgspec.Raw(release.manifest),
        file_count=release.file_count,
        unpacked_bytes=release.unpacked_bytes,
        description=release.description,
        keywords=release.keywords,
        license=release.license,
        readme="" if _README in blobs else release.readme,
        readme_file=release.readme_file,
        predicate_type=release.provenance.predicate_type if release.provenance else None,
        signatures=signatures,
    )
    metadata = msgspec.json.encode(facts)
    if len(metadata) > MAX_INLINE_METADATA_BYTES:
        blobs[_MANIFEST] = release.manifest
        metadata = msgspec.json.encode(msgspec.structs.replace(facts, manifest=_NULL))
    return metadata, blobs


def read_facts(row: ArtifactRow, blobs: BlobStore) -> Facts | None:
    """What is known of a release; None for a file that was not published as one."""
    metadata = _blob(blobs, row.metadata_blob) if row.metadata_blob else bytes(row.metadata)
    return None if metadata == b"{}" else _decode(metadata)


def read_provenance_bundle(row: ArtifactRow, blobs: BlobStore) -> bytes | None:
    """The Sigstore bundle that was published with a release."""
    digest = row.blobs.get(PROVENANCE)
    return _blob(blobs, digest) if digest else None


def version_entry(row: ArtifactRow, deprecated: str | None, blobs: BlobStore, *, full: bool) -> VersionEntry | None:
    """The index entry of a release. full: with its manifest, which an abbreviated document does not need."""
    facts = read_facts(row, blobs)
    return _entry(row, facts, deprecated, blobs, full=full) if facts else None


def package_of(
    name: NpmName,
    revision: int,
    rows: Iterable[ArtifactRow],
    versions: Iterable[VersionRow],
    tags: dict[str, str],
    blobs: BlobStore,
    *,
    full: bool,
    removed: Mapping[str, datetime] | None = None,
) -> Package | None:
    """Everything that a packument is made of; None when no release is left. removed: unpublished versions."""
    known = {version.version: version for version in versions}
    found = [(row, facts) for row in rows if row.version in known and (facts := read_facts(row, blobs)) is not None]
    if not found:
        return None
    entries = [_entry(row, facts, known[row.version].deprecated, blobs, full=full) for row, facts in found]
    removed = removed or {}
    return Package(
        name=name,
        revision=str(revision),
        versions=entries,
        created_at=min((*removed.values(), *(entry.published_at for entry in entries))),
        modified_at=max(entry.published_at for entry in entries),
        tags=tags,
        removed=removed,
    )


def read_readme(row: ArtifactRow, blobs: BlobStore) -> tuple[str, str]:
    """The readme of a release and its file name."""
    facts = read_facts(row, blobs)
    if facts is None:
        return "", ""
    digest = row.blobs.get(_README)
    return (_blob(blobs, digest).decode(errors="replace") if digest else facts.readme), facts.readme_file


def _entry(row: ArtifactRow, facts: Facts, deprecated: str | None, blobs: BlobStore, *, full: bool) -> VersionEntry:
    manifest = facts.manifest
    if full and bytes(manifest) == b"null":
        manifest = msgspec.Raw(_blob(blobs, row.blobs[_MANIFEST]))
    return VersionEntry(
        version=row.version,
        manifest=manifest,
        abbreviated=facts.abbreviated,
        tarball=row.filename,
        sha1=row.digests["sha1"],
        integrity=subresource_integrity("sha512", row.digests["sha512"]),
        size_bytes=row.size_bytes,
        published_at=row.published_at,
        deprecated=deprecated,
        file_count=facts.file_count,
        unpacked_bytes=facts.unpacked_bytes,
        predicate_type=facts.predicate_type,
        signatures=facts.signatures,
    )


def _blob(blobs: BlobStore, digest: str) -> bytes:
    with blobs.open(digest) as file:
        return file.read()
