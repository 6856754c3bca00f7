"""What clients push besides blobs, and what they take away."""

from __future__ import annotations

from application.formats.oci.address import digest_in, image_in, image_url, reference_in, target_of
from application.formats.oci.dialect import VERSION
from application.formats.oci.metadata import MAX_MANIFEST_BYTES, parse_manifest
from application.formats.oci.names import Digest, parse_tag
from application.formats.oci.publishing import delete_blob, delete_manifest, delete_tag, publish_manifest
from application.formats.oci.stored import ManifestUnknown
from application.wire import Answer, Body, Call
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid
from domain.package import TagNotFound

MANIFEST_BODY = Body(kind="text", max_bytes=MAX_MANIFEST_BYTES)
MAX_TAGS = 100


def put_manifest(call: Call) -> Answer:
    """PUT {image}/manifests/{reference}[?tag=…]: also several tags at once, of one that is pushed by its digest."""
    request = call.request
    image, reference = image_in(request), reference_in(request)
    tags = [parse_tag(value) for name, value in request.query if name == "tag"]
    if len(tags) > MAX_TAGS:
        raise Invalid(f"at most {MAX_TAGS} tags are set at once")
    digest = reference if isinstance(reference, Digest) else None
    if not isinstance(reference, Digest):
        tags.insert(0, reference)
    manifest = parse_manifest(call.text, request.headers.get("content-type", ""))
    known_as = publish_manifest(call.services, target_of(call), image, call.text, manifest, digest=digest, tags=tags)
    headers = [
        VERSION,
        ("location", f"{image_url(request, image)}/manifests/{known_as}"),
        ("docker-content-digest", str(known_as)),
    ]
    if manifest.subject is not None:
        headers.append(("oci-subject", str(manifest.subject)))
    if digest is not None:
        headers += [("oci-tag", tag) for tag in tags]
    return Answer(status=201, headers=tuple(headers))


def remove_manifest(call: Call) -> Answer:
    """DELETE {image}/manifests/{reference}: a tag goes alone; a manifest goes with all of its tags."""
    image, reference = image_in(call.request), reference_in(call.request)
    try:
        if isinstance(reference, Digest):
            delete_manifest(call.services, target_of(call), image, reference)
        else:
            delete_tag(call.services, target_of(call), image, reference)
    except (ArtifactNotFound, TagNotFound):
        raise ManifestUnknown(image, str(reference)) from None
    return Answer(status=202, headers=(VERSION,))


def remove_blob(call: Call) -> Answer:
    """DELETE {image}/blobs/{digest}."""
    delete_blob(call.services, target_of(call), image_in(call.request), digest_in(call.request))
    return Answer(status=202, headers=(VERSION,))
