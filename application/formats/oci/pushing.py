"""How blobs are pushed: in one request, in two, in pieces, as a stream, or by naming an image that has them.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import re
from uuid import UUID

from application.access import CredentialNeeded
from application.formats.oci.address import image_in, image_url, target_of, upload_in
from application.formats.oci.dialect import VERSION, received_range
from application.formats.oci.mounting import find_mountable
from application.formats.oci.names import Digest, ImageName, parse_digest
from application.formats.oci.publishing import publish_blob
from application.ports import Spool, Spooled, SpoolWriter
from application.uploading.streamed import StreamedUpload, StreamedUploads
from application.wire import Answer, Body, Call
from domain.errors import Invalid, NotAllowed

BLOB_BODY = Body(kind="bytes")

_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,15})-([0-9]{1,15})(?:/[0-9*]+)?\Z")


class RangeInvalid(Invalid):
    """The Content-Range of a piece is none."""

    template = "Content-Range must be first-last, not {text!r}"
    code = "BLOB_UPLOAD_INVALID"

    def __init__(self, text: str) -> None:
        super().__init__(text=text[:100])


class AlgorithmUnsupported(Invalid):
    """A digest is wanted that is not computed here."""

    template = "digest algorithm {name!r} is not supported; sha256 and sha512 are"
    code = "UNSUPPORTED"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:40])


# where bodies go


class _Hashing:
    """The server's spool, with the digest computed that the client announced."""

    def __init__(self, spool: Spool, digest: Digest) -> None:
        self._spool = spool
        self._digest = digest

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> SpoolWriter:
        return self._spool.create((*algorithms, *self._digest.further), max_bytes)

    def discard(self, spooled: Spooled) -> None:
        self._spool.discard(spooled)


def spool_of_start(call: Call) -> Spool:
    """Where the body of a request goes that begins a push: a whole blob where its digest is said."""
    image_in(call.request)
    announced = call.request.query_value("digest")
    return _Hashing(call.services.spool, parse_digest(announced)) if announced else call.services.spool


def spool_of_part(call: Call) -> Spool:
    """Where a piece of a blob goes: to the others. Raises OutOfOrder, UploadNotFound."""
    offset, length = announced_range(call)
    return _uploads(call).next_part(_upload(call), offset, length)


def spool_of_last(call: Call) -> Spool:
    """Where the last piece goes, of which often nothing is left. Raises DigestInvalid besides."""
    parse_digest(call.request.query_value("digest"))
    return spool_of_part(call)


def announced_range(call: Call) -> tuple[int | None, int | None]:
    """Offset and length of a piece, None where nothing is announced. Raises RangeInvalid."""
    text = call.request.headers.get("content-range", "").strip()
    if not text:
        return None, None
    matched = _RANGE.match(text)
    if matched is None:
        raise RangeInvalid(text)
    first, last = int(matched[1]), int(matched[2])
    if last < first:
        raise RangeInvalid(text)
    return first, last - first + 1


# handlers


def start_upload(call: Call) -> Answer:
    """POST {image}/blobs/uploads/: with `digest` the whole blob, with `mount` one that another image has."""
    request, image = call.request, image_in(call.request)
    algorithm = request.query_value("digest-algorithm", "sha256")
    if algorithm not in ("sha256", "sha512"):
        raise AlgorithmUnsupported(algorithm)
    announced, wanted = request.query_value("digest"), request.query_value("mount")
    if announced and call.upload is not None:
        digest = parse_digest(announced)
        publish_blob(call.services, target_of(call), image, digest, call.upload)
        return _created(call, image, digest)
    if wanted:
        digest = parse_digest(wanted)
        content = find_mountable(call, digest, request.query_value("from"))
        if content is not None:
            publish_blob(call.services, target_of(call), image, digest, content)
            return _created(call, image, digest)
    upload = _uploads(call).start(_owner(call), call.content, image)
    return _progress(call, upload, 202)


def put_part(call: Call) -> Answer:
    """PATCH {image}/blobs/uploads/{upload}: the body is with the others already."""
    return _progress(call, _upload(call), 202)


def finish_upload(call: Call) -> Answer:
    """PUT {image}/blobs/uploads/{upload}?digest=…: everything that came is the blob of that digest, or refused."""
    image, upload, uploads = image_in(call.request), _upload(call), _uploads(call)
    digest = parse_digest(call.request.query_value("digest"))
    with uploads.whole(upload, digest.further) as spooled:
        publish_blob(call.services, target_of(call), image, digest, spooled)
    uploads.end(upload)
    return _created(call, image, digest)


def get_upload(call: Call) -> Answer:
    """GET {image}/blobs/uploads/{upload}: how much is here."""
    return _progress(call, _upload(call), 204)


def cancel_upload(call: Call) -> Answer:
    """DELETE {image}/blobs/uploads/{upload}."""
    _uploads(call).end(_upload(call))
    return Answer(status=204, headers=(VERSION,))


# steps


def _progress(call: Call, upload: StreamedUpload, status: int) -> Answer:
    headers = (
        VERSION,
        ("location", f"{image_url(call.request, image_in(call.request))}/blobs/uploads/{upload.id}"),
        ("range", received_range(upload.size_bytes)),
        ("docker-upload-uuid", str(upload.id)),
    )
    return Answer(status=status, headers=headers)


def _created(call: Call, image: ImageName, digest: Digest) -> Answer:
    headers = (
        VERSION,
        ("location", f"{image_url(call.request, image)}/blobs/{digest}"),
        ("docker-content-digest", str(digest)),
    )
    return Answer(status=201, headers=headers)


def _upload(call: Call) -> StreamedUpload:
    return _uploads(call).get(upload_in(call.request), call.principal.id, call.content, image_in(call.request))


def _uploads(call: Call) -> StreamedUploads:
    if call.services.streamed_uploads is None:
        raise NotAllowed("blobs are pushed in one request here")
    return call.services.streamed_uploads


def _owner(call: Call) -> UUID:
    if call.principal.id is None:
        raise CredentialNeeded
    return call.principal.id
