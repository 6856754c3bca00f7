"""Blobs that another image has already: found for those who may read it there, and for nobody else."""

from __future__ import annotations

from application.catalogue import RepositoryRow
from application.formats.oci.names import Digest, NameInvalid, parse_image
from application.formats.oci.stored import Shelf
from application.ports import Stored
from application.resolving import Resolved
from application.services import Services
from application.wire import Call
from domain.errors import RegistryError, Unavailable
from domain.permissions import Principal

KEY = "oci"


def find_mountable(call: Call, digest: Digest, source: str) -> Stored | None:
    """The blob as an image has it that the caller may read; None tells nothing of why there is none.

    source: the image's full name, empty for any.
    """
    try:
        if source:
            return _in_image(call, digest, source)
        return _anywhere(call, digest)
    except Unavailable:
        raise
    except RegistryError:
        return None


def serves(services: Services, row: RepositoryRow) -> bool:
    """Whether images are in the repository."""
    found = services.formats.by_key(row.format)
    return found is not None and found.key == KEY


def readable(services: Services, principal: Principal) -> list[RepositoryRow]:
    """The repositories with images that the caller may read, by key."""
    rows = [row for row in services.catalogue.repositories() if serves(services, row)]
    return services.access.visible(principal, rows)


def present(row: RepositoryRow) -> Resolved:
    """What is read in a repository without saying when: of a snapshot, its moment."""
    if row.kind == "snapshot" and row.source is not None:
        return Resolved(row, row.source, row.source_position)
    return Resolved(row, row.id, None)


def _in_image(call: Call, digest: Digest, source: str) -> Stored | None:
    key, _, name = source.partition("/")
    resolved = call.services.access.resolve(call.principal, key)
    if resolved is None or not serves(call.services, resolved.repository):
        return None
    if not call.services.access.allows(call.principal, resolved, "read"):
        return None
    try:
        image = parse_image(name)
    except NameInvalid:
        return None
    blob = Shelf(call.services, resolved.content, resolved.at).blob(image, digest)
    return blob.content if blob is not None else None


def _anywhere(call: Call, digest: Digest) -> Stored | None:
    if digest.algorithm != "sha256":
        return None
    repositories = [row.id for row in readable(call.services, call.principal) if row.kind != "snapshot"]
    found = call.services.finder.with_blob(digest.hex, repositories)
    return Stored(found[0].size_bytes, {"sha256": digest.hex}) if found else None
