"""Images of another registry: what has a digest is asked for once, tags and lists again after a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import msgspec

from application.formats.oci.address import digest_in, image_in, reference_in
from application.formats.oci.dialect import PREFIX, VERSION
from application.formats.oci.index import read_referrers, read_tags
from application.formats.oci.metadata import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_MANIFEST_BYTES,
    OCI_INDEX,
    OCI_MANIFEST,
    parse_manifest,
)
from application.formats.oci.names import (
    ROOT_IMAGE,
    Digest,
    ImageName,
    Tag,
    TagInvalid,
    blob_path,
    fallback_tag,
    manifest_path,
)
from application.formats.oci.reading import page_size, referrers_document, tags_document
from application.formats.oci.stored import BlobUnknown, ManifestUnknown, NameUnknown
from application.ports import Spooled
from application.proxying.ports import UpstreamRefused
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Document, File, Stream
from domain.errors import NotFound

INDEX = ".index"
"""Where what an upstream says is kept, apart from what has a digest."""

PAGE_TAGS = 1_000
LEAST_PAGE = 50
"""No registry gives fewer names at once when it has more of them."""

MAX_PAGES = 200
MAX_LIST_BYTES = 32 << 20
_ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
_REFUSED_AS_ABSENT = frozenset({"401", "403"})
"""What registries say of images that are not there, so as not to say that they are not."""


def get_blob(call: Call) -> AnyAnswer:
    """GET {image}/blobs/{digest}: the bytes go to the client while they are kept."""
    image, digest = image_in(call.request), digest_in(call.request)
    resource = Resource(
        path=blob_path(image, digest),
        url=_url(call, image, f"blobs/{digest}"),
        lifetime="immutable",
        digests={digest.algorithm: digest.hex},
        algorithms=digest.further,
        media_type="application/octet-stream",
        scope=_scope(image),
    )
    with _absent_as(BlobUnknown(image, str(digest))):
        return _as_image(proxy_of(call).file(call, resource), digest)


def get_manifest(call: Call) -> AnyAnswer:
    """GET {image}/manifests/{reference}."""
    image = image_in(call.request)
    try:
        reference = reference_in(call.request)
    except TagInvalid:
        raise ManifestUnknown(image, call.params["reference"]) from None
    with _absent_as(ManifestUnknown(image, str(reference))):
        if isinstance(reference, Digest):
            return _as_image(_by_digest(call, image, reference), reference)
        resource = _tag_resource(call, image, reference)
        fetched = proxy_of(call).fetch(call, resource)
        return _as_image(proxy_of(call).sent(fetched, resource), Digest("sha256", fetched.row.sha256))


def list_tags(call: Call) -> AnyAnswer:
    """GET {image}/tags/list."""
    image, limit, proxy = image_in(call.request), page_size(call.request), proxy_of(call)
    with _absent_as(NameUnknown(image)):
        sources = list(_tag_lists(call, image))

    def render() -> Document:
        tags = {tag for source in sources for tag in read_tags(proxy.read(source))}
        return tags_document(call.request, image, tags, limit)

    return proxy.document(sources, f"tags {image}", render)


def list_referrers(call: Call) -> AnyAnswer:
    """GET {image}/referrers/{digest}: of an upstream that knows none of this, what its clients tagged instead."""
    image, subject, proxy = image_in(call.request), digest_in(call.request), proxy_of(call)
    source = _referrers_of(call, image, subject)

    def render() -> Document:
        return referrers_document(call.request, read_referrers(proxy.read(source)) if source is not None else [])

    return proxy.document([source] if source is not None else [], f"referrers {image} {subject}", render)


# steps


def _by_digest(call: Call, image: ImageName, digest: Digest) -> File | Stream:
    resource = Resource(
        path=manifest_path(image, digest),
        url=_url(call, image, f"manifests/{digest}"),
        lifetime="immutable",
        accept=_ACCEPT,
        digests={digest.algorithm: digest.hex},
        algorithms=digest.further,
        max_bytes=MAX_MANIFEST_BYTES,
        package=image,
        name=image,
        version=str(digest),
        check=_check_manifest,
        scope=_scope(image),
    )
    proxy = proxy_of(call)
    tagged = _under_a_tag(call, image, digest)
    return proxy.file(call, resource) if tagged is None else proxy.sent(tagged, resource)


def _under_a_tag(call: Call, image: ImageName, digest: Digest) -> Fetched | None:
    """The manifest where it was fetched for its tag: whoever asks for that asks for its digest next."""
    if digest.algorithm != "sha256" or call.at is not None:
        return None
    folder = _tag_path(image, "")
    rows = call.services.finder.with_blob(digest.hex, [call.content], limit=10)
    return next((Fetched(row) for row in rows if row.path.startswith(folder)), None)


def _tag_lists(call: Call, image: ImageName) -> Iterator[Fetched]:
    """Every page of the upstream's list."""
    last = ""
    for _ in range(MAX_PAGES):
        after = f"&last={quote(last, safe='')}" if last else ""
        resource = Resource(
            path=f"{INDEX}/{image}/tags/{last or '-'}",
            url=_url(call, image, f"tags/list?n={PAGE_TAGS}{after}"),
            lifetime="mutable",
            max_bytes=MAX_LIST_BYTES,
            check=_check_tags,
            scope=_scope(image),
        )
        fetched = proxy_of(call).fetch(call, resource)
        yield fetched
        tags = read_tags(proxy_of(call).read(fetched))
        if len(tags) < LEAST_PAGE or tags[-1] == last:
            return
        last = tags[-1]


def _referrers_of(call: Call, image: ImageName, subject: Digest) -> Fetched | None:
    resource = Resource(
        path=f"{INDEX}/{image}/referrers/{subject}",
        url=_url(call, image, f"referrers/{subject}"),
        lifetime="mutable",
        accept=OCI_INDEX,
        max_bytes=MAX_LIST_BYTES,
        check=_check_referrers,
        scope=_scope(image),
    )
    instead = _tag_resource(call, image, fallback_tag(subject))
    for wanted in (resource, instead):
        try:
            with _absent_as(NameUnknown(image)):
                return proxy_of(call).fetch(call, wanted)
        except NotFound:
            continue
    return None


def _tag_resource(call: Call, image: ImageName, tag: Tag) -> Resource:
    return Resource(
        path=_tag_path(image, tag),
        url=_url(call, image, f"manifests/{tag}"),
        lifetime="mutable",
        accept=_ACCEPT,
        max_bytes=MAX_MANIFEST_BYTES,
        check=_check_manifest,
        scope=_scope(image),
    )


def _tag_path(image: ImageName, tag: str) -> str:
    return f"{INDEX}/{image}/manifests/{tag}"


def _url(call: Call, image: ImageName, rest: str) -> str:
    """Where something is at the upstream. A path in the upstream's address is a part of the names there, as clients
    would write it; one with `v2` in it is the whole way to them.
    """
    if image == ROOT_IMAGE:
        raise NameUnknown("at the upstream without a name")
    address = urlsplit(upstream_of(call).url)
    if PREFIX in address.path.split("/"):
        return f"{image}/{rest}"
    if address.path:
        return f"{address.scheme}://{address.netloc}/{PREFIX}{address.path}/{image}/{rest}"
    return f"{PREFIX}/{image}/{rest}"


def _scope(image: ImageName) -> str:
    return f"repository:{image}:pull"


def _as_image(answer: File | Stream, digest: Digest) -> File | Stream:
    """The answer as clients of images want it."""
    media_type = answer.media_type.partition(";")[0].strip()
    headers = (*answer.headers, VERSION, ("docker-content-digest", str(digest)))
    answer = msgspec.structs.replace(answer, media_type=media_type, headers=headers)
    if isinstance(answer, File):
        answer = msgspec.structs.replace(answer, filename=None, redirectable=media_type == "application/octet-stream")
    return answer


@contextmanager
def _absent_as(fault: NotFound) -> Iterator[None]:
    """Say in this protocol's words that something is not at the upstream."""
    try:
        yield
    except NotFound:
        raise fault from None
    except UpstreamRefused as refused:
        if refused.fields["status"] in _REFUSED_AS_ABSENT:
            raise fault from None
        raise


def _check_manifest(spooled: Spooled, media_type: str) -> None:
    with spooled.open() as file:
        parse_manifest(file.read(), media_type)


def _check_tags(spooled: Spooled, _: str) -> None:
    with spooled.open() as file:
        read_tags(file.read())


def _check_referrers(spooled: Spooled, _: str) -> None:
    with spooled.open() as file:
        read_referrers(file.read())
