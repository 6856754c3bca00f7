"""What the catalogue keeps of images: manifests and blobs by digest, tags as marks, and who refers to whom.

Stored data: fields are only ever added. A manifest holds its blobs: as long as it is there, so are they, whatever
became of their own entries meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow
from application.formats.oci.index import ListInvalid, Referrer, read_referrers
from application.formats.oci.metadata import OCI_INDEX, Manifest
from application.formats.oci.names import (
    Digest,
    DigestInvalid,
    ImageName,
    Tag,
    blob_path,
    fallback_tag,
    manifest_path,
    parse_digest,
    referrers_key,
)
from application.ports import BlobStore, Stored
from application.services import Services
from domain.errors import NotFound


class BlobUnknown(NotFound):
    """The image has no such blob."""

    template = "blob {digest} is not in {image}"
    code = "BLOB_UNKNOWN"

    def __init__(self, image: str, digest: str) -> None:
        super().__init__(image=image, digest=digest)


class ManifestUnknown(NotFound):
    """The image has no such manifest or tag."""

    template = "manifest {reference} is not in {image}"
    code = "MANIFEST_UNKNOWN"

    def __init__(self, image: str, reference: str) -> None:
        super().__init__(image=image, reference=reference[:200])


class NameUnknown(NotFound):
    """There is no such image."""

    template = "image {image} not found"
    code = "NAME_UNKNOWN"

    def __init__(self, image: str) -> None:
        super().__init__(image=image)


class StoredPlatform(msgspec.Struct, frozen=True, omit_defaults=True):
    """For what machines one of the manifests of an index is."""

    digest: str
    os: str = ""
    architecture: str = ""
    variant: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact that is a manifest."""

    kind: str
    artifact_type: str = ""
    config_type: str = ""
    config: str = ""
    subject: str = ""
    blobs_bytes: int = 0
    annotations: dict[str, str] = {}
    manifests: tuple[str, ...] = ()
    platforms: tuple[StoredPlatform, ...] = ()


_decode = msgspec.json.Decoder(Facts).decode


class Blob(msgspec.Struct, frozen=True):
    """A blob of an image. artifact: of its own entry, None for one that is there for a manifest's sake alone."""

    digest: Digest
    content: Stored
    artifact: UUID | None


def encode_facts(manifest: Manifest) -> bytes:
    """The metadata to store."""
    return msgspec.json.encode(
        Facts(
            kind=manifest.kind,
            artifact_type=manifest.artifact_type,
            config_type=manifest.config_type,
            config=str(manifest.config_digest or ""),
            subject=str(manifest.subject or ""),
            blobs_bytes=sum(blob.size_bytes for blob in manifest.blobs),
            annotations=manifest.annotations,
            manifests=tuple(str(child.digest) for child in manifest.manifests),
            platforms=tuple(
                StoredPlatform(str(platform.digest), platform.os, platform.architecture, platform.variant)
                for platform in manifest.platforms
            ),
        )
    )


def facts_of(row: ArtifactRow, blobs: BlobStore) -> Facts | None:
    """What a stored manifest says; None for a file that came another way."""
    metadata = bytes(row.metadata)
    if row.metadata_blob:
        with blobs.open(row.metadata_blob) as file:
            metadata = file.read()
    try:
        return _decode(metadata)
    except msgspec.ValidationError:
        return None


class Shelf(msgspec.Struct, frozen=True):
    """The images of one repository, now or as of a position."""

    services: Services
    content: UUID
    at: int | None = None

    def blob(self, image: ImageName, digest: Digest) -> Blob | None:
        """The blob, by its own entry or for a manifest's sake."""
        row = self.services.catalogue.artifact(self.content, blob_path(image, digest), self.at)
        if row is not None:
            return Blob(digest, Stored(row.size_bytes, {**row.digests, "sha256": row.sha256}), row.id)
        holder = self.holder(image, digest)
        if holder is None:
            return None
        sha256 = holder.blobs[str(digest)]
        digests: dict[str, str] = {"sha256": sha256, digest.algorithm: digest.hex}
        return Blob(digest, Stored(self.services.blobs.size(sha256), digests), None)

    def holder(self, image: ImageName, digest: Digest) -> ArtifactRow | None:
        """A manifest of the image that needs the blob."""
        sha256 = digest.hex if digest.algorithm == "sha256" else ""
        return self.services.finder.in_role(self.content, image, str(digest), self.at, sha256=sha256)

    def manifest(self, image: ImageName, reference: Digest | Tag) -> ArtifactRow | None:
        """The manifest of that digest, or of that tag."""
        if not isinstance(reference, Digest):
            value = self.services.catalogue.marks(self.content, image, "tag", self.at).get(reference)
            if value is None:
                return None
            reference = parse_digest(value)
        return self.services.catalogue.artifact(self.content, manifest_path(image, reference), self.at)

    def live_tags(self, image: ImageName) -> list[str]:
        """The tags that lead somewhere. Raises NameUnknown for an image of which nothing is left, or never was."""
        there = {row.version for row in self.services.catalogue.versions(self.content, image, self.at)}
        if not there and not self._has_blobs(image):
            raise NameUnknown(image)
        marks = self.services.catalogue.marks(self.content, image, "tag", self.at)
        return [tag for tag, digest in marks.items() if digest in there]

    def referrers(self, image: ImageName, subject: Digest) -> list[Referrer]:
        """The manifests that refer to the subject, which need not be there itself."""
        told = [*self._tagged_referrers(image, subject), *self._marked_referrers(image, subject)]
        return list({referrer.digest: referrer for referrer in told}.values())

    def _marked_referrers(self, image: ImageName, subject: Digest) -> Iterator[Referrer]:
        """Those that were pushed here as such."""
        marks = self.services.catalogue.marks(self.content, referrers_key(image, subject), "tag", self.at)
        for name in marks:
            row = self.manifest(image, parse_digest(name))
            facts = facts_of(row, self.services.blobs) if row is not None else None
            if row is not None and facts is not None:
                yield Referrer(
                    digest=parse_digest(name),
                    media_type=row.media_type,
                    size_bytes=row.size_bytes,
                    artifact_type=facts.artifact_type,
                    annotations=facts.annotations,
                )

    def _tagged_referrers(self, image: ImageName, subject: Digest) -> list[Referrer]:
        """Those that clients listed under a tag, as they do where a registry keeps no referrers."""
        row = self.manifest(image, fallback_tag(subject))
        if row is None or row.media_type != OCI_INDEX:
            return []
        with self.services.blobs.open(row.sha256) as file:
            try:
                return read_referrers(file.read())
            except ListInvalid:
                return []

    def _has_blobs(self, image: ImageName) -> bool:
        return bool(self.services.catalogue.artifacts_below(self.content, f"{image}/blobs/", self.at, limit=1))


def digest_at(row: ArtifactRow) -> Digest:
    """The digest by which a manifest or a blob is known: the last segment of its path. Raises NotFound for others."""
    try:
        return parse_digest(row.filename)
    except DigestInvalid:
        raise NotFound(f"{row.path} is no part of an image") from None
