"""Putting blobs and manifests into a repository: what is checked of each, however it came."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from application.format import Deposit
from application.formats.oci.metadata import MAX_MANIFEST_BYTES, Manifest, Reference, parse_manifest
from application.formats.oci.names import (
    Digest,
    ImageName,
    Tag,
    blob_path,
    digest_of,
    manifest_path,
    parse_digest,
    parse_image,
    parse_reference,
    referrers_key,
)
from application.formats.oci.stored import BlobUnknown, Shelf, encode_facts, facts_of
from application.log import Change, EventLog
from application.ports import Spooled, Stored
from application.publishing import NewFile, PackageDecision, Target
from application.services import Services
from domain import package
from domain.artifact import ArtifactNotFound
from domain.digests import Hasher
from domain.errors import Conflict, DigestMismatch, Gone, Invalid
from domain.event import Event
from domain.package import Package

_CHUNK_BYTES = 1 << 20


class ManifestBlobUnknown(Invalid):
    """Something that a manifest needs is not in its image."""

    template = "{digest} is not in {image}: push it first"
    code = "MANIFEST_BLOB_UNKNOWN"

    def __init__(self, image: str, digest: str) -> None:
        super().__init__(image=image, digest=digest)


class BlobInUse(Conflict):
    """A blob that a manifest needs is not taken away before it."""

    template = "{digest} is part of {manifest}; delete that first"
    code = "DENIED"

    def __init__(self, digest: str, manifest: str) -> None:
        super().__init__(digest=digest, manifest=manifest)


class TagTaken(Conflict):
    """The repository lets no tag move."""

    template = "tag {tag} is at {digest} already, and tags of this repository do not move"
    code = "DENIED"

    def __init__(self, tag: str, digest: str) -> None:
        super().__init__(tag=tag, digest=digest)


class _All(PackageDecision):
    """Several decisions, made together."""

    def __init__(self, decisions: Sequence[PackageDecision]) -> None:
        self._decisions = decisions

    def changes(self, log: EventLog, repository: UUID) -> list[Change]:
        """The changes of each."""
        return [change for decision in self._decisions for change in decision.changes(log, repository)]


# blobs


def publish_blob(
    services: Services, target: Target, image: ImageName, digest: Digest, content: Spooled | Stored
) -> None:
    """Put a blob into an image. Raises DigestMismatch for bytes of another digest."""
    require_digest(digest, content)
    file = NewFile(
        path=blob_path(image, digest),
        spooled=content,
        media_type="application/octet-stream",
        algorithms=digest.further,
    )
    services.publishing.publish(target, [file])


def delete_blob(services: Services, target: Target, image: ImageName, digest: Digest) -> None:
    """Take a blob out of an image. Raises BlobUnknown, BlobInUse."""
    shelf = Shelf(services, target.repository)
    blob = shelf.blob(image, digest)
    if blob is None:
        raise BlobUnknown(image, str(digest))
    holder = shelf.holder(image, digest)
    if holder is not None:
        raise BlobInUse(str(digest), holder.version)
    try:
        services.publishing.delete(target, [blob_path(image, digest)])
    except ArtifactNotFound:
        raise BlobUnknown(image, str(digest)) from None


def require_digest(digest: Digest, content: Spooled | Stored) -> None:
    """Raise DigestMismatch unless the bytes have the digest."""
    actual = content.digests.get(digest.algorithm, "")
    if actual != digest.hex:
        raise DigestMismatch(digest.algorithm, digest.hex, actual)


# manifests


def publish_manifest(
    services: Services,
    target: Target,
    image: ImageName,
    data: bytes,
    manifest: Manifest,
    *,
    digest: Digest | None = None,
    tags: Sequence[Tag] = (),
) -> Digest:
    """Put a manifest into an image and point tags at it, all at once; gives the digest by which it is known.

    digest: as its sender says, SHA-256 otherwise. Raises DigestMismatch, ManifestBlobUnknown, TagTaken.
    """
    blobs = _needed(Shelf(services, target.repository), image, manifest)
    known_as = digest or digest_of(data)
    with services.spool.create(known_as.further) as writer:
        writer.write(data)
        spooled = writer.finish()
    try:
        require_digest(known_as, spooled)
        file = NewFile(
            path=manifest_path(image, known_as),
            spooled=spooled,
            media_type=manifest.media_type,
            package=image,
            version=str(known_as),
            algorithms=known_as.further,
            metadata=encode_facts(manifest),
            blobs=blobs,
        )
        services.publishing.publish(target, [file], _pointing(target, image, known_as, manifest, tags))
    except Gone:  # between the look and the lease
        raise ManifestBlobUnknown(image, "one of its blobs") from None
    finally:
        services.spool.discard(spooled)
    return known_as


def delete_manifest(services: Services, target: Target, image: ImageName, digest: Digest) -> None:
    """Take a manifest away, with every tag on it. Raises ArtifactNotFound."""
    row = Shelf(services, target.repository).manifest(image, digest)
    facts = facts_of(row, services.blobs) if row is not None else None
    decisions = [PackageDecision(image, lambda state: _untag(state, target.repository, image, str(digest)))]
    if facts is not None and facts.subject:
        key = referrers_key(image, parse_digest(facts.subject))
        decisions.append(PackageDecision(key, lambda state: _forget(state, target.repository, key, str(digest))))
    services.publishing.delete(target, [manifest_path(image, digest)], decision=_All(decisions))


def delete_tag(services: Services, target: Target, image: ImageName, tag: Tag) -> None:
    """Take a tag away and leave its manifest. Raises TagNotFound."""
    services.publishing.judge(
        target, PackageDecision(image, lambda state: package.remove_tag(state, target.repository, image, tag))
    )


def deposit(given: Deposit) -> str:
    """Publish what came with nothing but its path: `{image}/blobs/{digest}` or `{image}/manifests/{tag or digest}`."""
    name, _, last = given.path.rpartition("/")
    name, _, folder = name.rpartition("/")
    if folder == "blobs":
        digest = parse_digest(last)
        publish_blob(given.services, given.target, parse_image(name), digest, _hashed(given.spooled, digest))
        return given.path
    if folder == "manifests":
        image, reference = parse_image(name), parse_reference(last)
        with given.spooled.open() as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
        manifest = parse_manifest(data)
        named = reference if isinstance(reference, Digest) else None
        tags = () if isinstance(reference, Digest) else (reference,)
        known_as = publish_manifest(given.services, given.target, image, data, manifest, digest=named, tags=tags)
        return manifest_path(image, known_as)
    raise Invalid("expected the path {image}/blobs/{digest} or {image}/manifests/{tag or digest}")


# steps


def _hashed(spooled: Spooled, digest: Digest) -> Spooled:
    """What was received, with the digest computed by which it is to be known."""
    if digest.algorithm in spooled.digests:
        return spooled
    hasher = Hasher(digest.further)
    with spooled.open() as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return msgspec.structs.replace(spooled, digests=hasher.digests())


def _needed(shelf: Shelf, image: ImageName, manifest: Manifest) -> dict[str, Spooled | Stored]:
    """The blobs that the manifest will hold, by digest. Raises ManifestBlobUnknown for what must be here and is not."""
    held: dict[str, Spooled | Stored] = {}
    for reference in manifest.blobs:
        blob = shelf.blob(image, reference.digest)
        if blob is not None:
            held[str(reference.digest)] = blob.content
        elif reference.needed:
            raise ManifestBlobUnknown(image, str(reference.digest))
    for child in manifest.manifests:
        _require_manifest(shelf, image, child)
    return held


def _require_manifest(shelf: Shelf, image: ImageName, child: Reference) -> None:
    """What an index lists is a manifest, or, as builders use it for caches, a blob."""
    if child.needed and not shelf.manifest(image, child.digest) and not shelf.blob(image, child.digest):
        raise ManifestBlobUnknown(image, str(child.digest))


def _pointing(
    target: Target, image: ImageName, digest: Digest, manifest: Manifest, tags: Sequence[Tag]
) -> PackageDecision | None:
    decisions = []
    if tags:
        fixed = target.settings.overwrite == "once"
        decisions.append(
            PackageDecision(image, lambda state: _tagged(state, target.repository, image, digest, tags, fixed=fixed))
        )
    if manifest.subject is not None:
        key = referrers_key(image, manifest.subject)
        decisions.append(
            PackageDecision(
                key, lambda state: package.set_tag(state, target.repository, key, str(digest), manifest.artifact_type)
            )
        )
    return _All(decisions) if decisions else None


def _tagged(
    state: Package, repository: UUID, image: ImageName, digest: Digest, tags: Sequence[Tag], *, fixed: bool
) -> list[Event]:
    events: list[Event] = []
    for tag in dict.fromkeys(tags):
        if fixed and state.tags.get(tag, str(digest)) != str(digest):
            raise TagTaken(tag, state.tags[tag])
        events += package.set_tag(state, repository, image, tag, str(digest))
    return events


def _untag(state: Package, repository: UUID, image: ImageName, digest: str) -> list[Event]:
    found = [tag for tag, value in state.tags.items() if value == digest]
    return [event for tag in found for event in package.remove_tag(state, repository, image, tag)]


def _forget(state: Package, repository: UUID, key: str, digest: str) -> list[Event]:
    return package.remove_tag(state, repository, key, digest) if digest in state.tags else []
