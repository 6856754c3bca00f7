"""What the catalogue keeps of a package. Stored data: fields are only ever added."""

from __future__ import annotations

import msgspec

from application.catalogue import ArtifactRow
from application.formats.rpm.fragments import Fragments
from application.formats.rpm.metadata import Package
from application.formats.rpm.signatures import Signature
from application.ports import BlobStore

FRAGMENTS = "fragments"
"""The role of the blob that holds the fragments of a package with so many files that they are no metadata any more."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact that is a package. fragments: None when they are a blob."""

    name: str
    epoch: int = 0
    version: str
    release: str
    arch: str
    summary: str = ""
    description: str = ""
    license: str = ""
    url: str = ""
    vendor: str = ""
    source_rpm: str = ""
    module: str = ""
    built_at: int = 0
    installed_bytes: int = 0
    signatures: tuple[Signature, ...] = ()
    fragments: Fragments | None = None


class ExtraFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a document that was uploaded. gz_sha256, gz_bytes: of the same, compressed."""

    gz_sha256: str
    gz_bytes: int


_MAX_DESCRIPTION = 2_000
_decode_facts = msgspec.json.Decoder(Facts).decode
_decode_extra = msgspec.json.Decoder(ExtraFacts).decode
_decode_fragments = msgspec.json.Decoder(Fragments).decode
encode = msgspec.json.encode


def facts_of(package: Package, fragments: Fragments | None) -> Facts:
    """What to keep of a package."""
    nevra = package.nevra
    return Facts(
        name=nevra.name,
        epoch=nevra.epoch,
        version=nevra.version,
        release=nevra.release,
        arch=nevra.arch,
        summary=package.summary,
        description=package.description[:_MAX_DESCRIPTION],
        license=package.license,
        url=package.url,
        vendor=package.vendor,
        source_rpm=package.source_rpm,
        module=package.module,
        built_at=package.built_at,
        installed_bytes=package.installed_bytes,
        signatures=package.signatures,
        fragments=fragments,
    )


def fragments_of(row: ArtifactRow, blobs: BlobStore) -> Fragments | None:
    """What the documents say of an artifact; None for one that is no package."""
    try:
        facts = _decode_facts(_metadata(row, blobs))
    except msgspec.ValidationError:
        return None
    if facts.fragments is not None or FRAGMENTS not in row.blobs:
        return facts.fragments
    with blobs.open(row.blobs[FRAGMENTS]) as file:
        return _decode_fragments(file.read())


def extra_of(row: ArtifactRow) -> ExtraFacts | None:
    """What is known of an uploaded document; None for a file that came another way."""
    try:
        return _decode_extra(row.metadata)
    except msgspec.ValidationError:
        return None


def _metadata(row: ArtifactRow, blobs: BlobStore) -> bytes:
    if not row.metadata_blob:
        return bytes(row.metadata)
    with blobs.open(row.metadata_blob) as file:
        return file.read()
