"""What clients pull: blobs, manifests, lists of tags, and what refers to a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from application.catalogue import TREE_SCOPE, package_scope
from application.formats.oci.address import digest_in, image_in, image_path, reference_in, shelf_of
from application.formats.oci.dialect import VERSION
from application.formats.oci.index import JSON_TYPE, Referrer, next_link, page, render_referrers, render_tags
from application.formats.oci.metadata import OCI_INDEX
from application.formats.oci.names import Digest, ImageName, NameInvalid, TagInvalid, full_name
from application.formats.oci.stored import BlobUnknown, ManifestUnknown, digest_at
from application.wire import Call, Document, DocumentKey, File, Request
from domain.errors import Invalid

MAX_PAGE = 10_000


class PageInvalid(Invalid):
    """The asked size of a list is none."""

    template = "n must be a number, not {text!r}"
    code = "UNSUPPORTED"

    def __init__(self, text: str) -> None:
        super().__init__(text=text[:40])


# blobs


def get_blob(call: Call) -> File:
    """GET {image}/blobs/{digest}."""
    image, digest = image_in(call.request), digest_in(call.request)
    blob = shelf_of(call).blob(image, digest)
    if blob is None:
        raise BlobUnknown(image, str(digest))
    return File(
        sha256=blob.content.sha256,
        size_bytes=blob.content.size_bytes,
        media_type="application/octet-stream",
        headers=(VERSION, ("docker-content-digest", str(digest))),
        artifact=blob.artifact,
        immutable=True,
    )


# manifests


def get_manifest(call: Call) -> File:
    """GET {image}/manifests/{reference}: the very bytes that were pushed, whatever types the client prefers."""
    image = image_in(call.request)
    try:
        reference = reference_in(call.request)
    except TagInvalid:
        raise ManifestUnknown(image, call.params["reference"]) from None
    row = shelf_of(call).manifest(image, reference)
    if row is None:
        raise ManifestUnknown(image, str(reference))
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        headers=(VERSION, ("docker-content-digest", str(digest_at(row)))),
        last_modified=row.published_at,
        artifact=row.id,
        immutable=isinstance(reference, Digest),
        redirectable=False,
    )


def manifest_key(request: Request) -> DocumentKey | None:
    """What a manifest depends on: its image."""
    return _key(request, f"manifest {request.params['reference']}")


# lists


def list_tags(call: Call) -> Document:
    """GET {image}/tags/list."""
    image = image_in(call.request)
    limit = page_size(call.request)
    return tags_document(call.request, image, shelf_of(call).live_tags(image), limit)


def tags_document(request: Request, image: ImageName, tags: Iterable[str], limit: int | None) -> Document:
    """The part of a list of tags that is asked for."""
    listed = page(tags, request.query_value("last"), limit)
    headers = [VERSION]
    if listed.more:
        path = f"{image_path(request, image)}/tags/list"
        headers.append(next_link(path, listed.names[-1], len(listed.names)))
    body = render_tags(full_name(_shown_key(request), image), listed.names)
    return Document(body=body, media_type=JSON_TYPE, headers=tuple(headers))


def tags_key(request: Request) -> DocumentKey | None:
    """What a list of tags depends on: its image, and the part that is asked for."""
    asked = f"{request.query_value('n')}\0{request.query_value('last')}"
    return _key(request, f"tags {request.mount}\0{asked}")


def list_referrers(call: Call) -> Document:
    """GET {image}/referrers/{digest}: empty for a manifest that nothing refers to, or that is not there."""
    image, subject = image_in(call.request), digest_in(call.request)
    return referrers_document(call.request, shelf_of(call).referrers(image, subject))


def referrers_document(request: Request, found: Sequence[Referrer]) -> Document:
    """Those who refer to a manifest and are of the type that is asked for."""
    wanted = request.query_value("artifactType")
    headers = [VERSION]
    if wanted:
        found = [referrer for referrer in found if referrer.artifact_type == wanted]
        headers.append(("oci-filters-applied", "artifactType"))
    return Document(body=render_referrers(found), media_type=OCI_INDEX, headers=tuple(headers))


def referrers_key(request: Request) -> DocumentKey | None:
    """What a list of referrers depends on: anything that changes in the repository."""
    asked = f"{request.params['digest']}\0{request.query_value('artifactType')}"
    key = _key(request, asked)
    return DocumentKey(TREE_SCOPE, f"referrers {key.scope}\0{asked}", shared=False) if key is not None else None


def image_package(request: Request) -> str | None:
    """The package that a request concerns: its image."""
    try:
        return image_in(request)
    except NameInvalid:
        return None


def page_size(request: Request) -> int | None:
    """How many names are asked for; None for all. Raises PageInvalid."""
    text = request.query_value("n")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise PageInvalid(text)
    return min(int(text[:9]), MAX_PAGE)


def _key(request: Request, name: str) -> DocumentKey | None:
    try:
        image = image_in(request)
    except NameInvalid:
        return None  # the handler says so
    return DocumentKey(package_scope(image), name, shared=False)


def _shown_key(request: Request) -> str:
    """The repository as the client wrote it."""
    return request.mount.rpartition("/")[2]
