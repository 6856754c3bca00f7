"""Another repository's documents and packages: handed on as they are, so that its own signatures stay good.

Every file is held against what the documents say of it: those against repomd.xml, packages against the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from application.formats.rpm.memory import Memory
from application.formats.rpm.names import named_package
from application.formats.rpm.upstream import MAX_REPOMD, Data, read_packages, read_repomd, unpacked
from application.ports import Spooled
from application.proxying.asking import host_of
from application.proxying.ports import UpstreamLied
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, File
from domain.errors import Invalid, NotFound

INDEX = ".index/"
"""Where what an upstream says is kept, apart from its packages."""

_REPOMD = "repodata/repomd.xml"
_MAX_DOCUMENT = 2 << 30
_MAX_SIGNATURE = 1 << 20
_REPOMD_SECONDS = 120
_SIGNATURE_SECONDS = 30
_MEDIA_TYPE = "application/x-rpm"


class Located(msgspec.Struct, frozen=True):
    """Where a package is, and what it must be. url: relative to the upstream, or absolute."""

    url: str
    digests: dict[str, str]
    size_bytes: int | None
    name: str
    version: str


_locations_read: Memory[str, dict[str, Located]] = Memory(400_000)
"""By the digest of the document that says so; the weight of each is how many packages it has."""


# handlers


def remote_repomd(call: Call) -> AnyAnswer:
    """GET repodata/repomd.xml."""
    return proxy_of(call).file(call, _repomd_resource())


def remote_signature(call: Call) -> AnyAnswer:
    """GET repodata/repomd.xml.asc: asked for anew with every new repomd.xml, for each goes with one only."""
    signed = fetch_repomd(call).row.sha256
    resource = Resource(
        path=f"{INDEX}signature/{signed}.asc",
        url=f"{_REPOMD}.asc",
        lifetime="mutable",
        ttl_seconds=_SIGNATURE_SECONDS,
        max_bytes=_MAX_SIGNATURE,
        media_type="application/pgp-signature",
    )
    return proxy_of(call).file(call, resource)


def remote_key(call: Call) -> AnyAnswer:
    """GET repodata/repomd.xml.key: the upstream's own."""
    resource = Resource(
        path=f"{INDEX}{_REPOMD}.key",
        url=f"{_REPOMD}.key",
        lifetime="mutable",
        max_bytes=_MAX_SIGNATURE,
        media_type="application/pgp-keys",
    )
    return proxy_of(call).file(call, resource)


def remote_document(call: Call) -> AnyAnswer:
    """GET repodata/{file}: what repomd.xml lists, or listed when it was fetched."""
    href, proxy = "/".join(call.request.segments), proxy_of(call)
    for data in list_documents(call).values():
        if data.href == href:
            answer = proxy.file(call, document_resource(data))
            is_named_by_digest = _digest(data) in href
            if isinstance(answer, File) and not is_named_by_digest:
                return msgspec.structs.replace(answer, immutable=False)
            return answer
    row = call.services.catalogue.artifact(call.content, INDEX + href, call.at)
    if row is None:
        raise NotFound(f"{href} is not a document of this repository")
    return proxy.sent(Fetched(row), Resource(path=row.path, url="", lifetime="immutable"))


def remote_file(call: Call) -> AnyAnswer:
    """GET {path}: a package, held against what is said of it; or another file, of which nothing is said."""
    path, proxy = "/".join(call.request.segments), proxy_of(call)
    if call.request.segments[0].startswith(".") or any("/" in segment for segment in call.request.segments):
        raise NotFound(f"{path} not found")
    if not path.endswith(".rpm"):
        return proxy.file(call, Resource(path=path, url=path, lifetime="mutable", max_bytes=_MAX_DOCUMENT))
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is not None:
        return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    found = _locations(call).get(path)
    if found is None:
        raise NotFound(f"{path} is not among the packages of this repository")
    return proxy.file(
        call,
        Resource(
            path=path,
            url=found.url,
            lifetime="immutable",
            digests=found.digests,
            size_bytes=found.size_bytes,
            media_type=_MEDIA_TYPE,
            package=named_package(path.rpartition("/")[2]) or found.name,
            name=found.name,
            version=found.version,
        ),
    )


# what is known of the upstream


def fetch_repomd(call: Call) -> Fetched:
    """The list of documents."""
    return proxy_of(call).fetch(call, _repomd_resource())


def list_documents(call: Call) -> dict[str, Data]:
    """Type to document."""
    with call.services.blobs.open(fetch_repomd(call).row.sha256) as file:
        return read_repomd(file)


def document_resource(data: Data) -> Resource:
    """A document that is listed: its address, or else where it is kept, has its digest."""
    kept = data.href if _digest(data) in data.href else f"{_digest(data)}/{data.href}"
    return Resource(
        path=INDEX + kept,
        url=data.href,
        lifetime="immutable",
        digests=data.digests,
        size_bytes=data.size_bytes,
        max_bytes=_MAX_DOCUMENT,
    )


def _digest(data: Data) -> str:
    return next(iter(data.digests.values()))


def _repomd_resource() -> Resource:
    return Resource(
        path=INDEX + _REPOMD,
        url=_REPOMD,
        lifetime="mutable",
        ttl_seconds=_REPOMD_SECONDS,
        max_bytes=MAX_REPOMD,
        media_type="application/xml",
        check=_check_repomd,
    )


def _check_repomd(spooled: Spooled, media_type: str) -> object:
    with spooled.open() as file:
        return read_repomd(file)


def _locations(call: Call) -> dict[str, Located]:
    """Path to package, by the present first document."""
    data = list_documents(call).get("primary")
    if data is None:
        raise NotFound("this repository lists no packages")
    fetched = proxy_of(call).fetch(call, document_resource(data))
    found = _locations_read.get(fetched.row.sha256)
    if found is None:
        found = dict(_located(call, fetched, data))
        _locations_read.put(fetched.row.sha256, found, len(found) + 1)
    return found


def _located(call: Call, fetched: Fetched, data: Data) -> Iterator[tuple[str, Located]]:
    try:
        with call.services.blobs.open(fetched.row.sha256) as file:
            for told in read_packages(unpacked(file, data.href), data.href):
                if told.href and told.digests:
                    url = f"{told.base.rstrip('/')}/{told.href}" if told.base else told.href
                    located = Located(url, told.digests, told.size_bytes, told.nevra.name, told.nevra.evr)
                    yield told.href, located
    except Invalid as fault:
        raise UpstreamLied(host_of(upstream_of(call).url), data.href, str(fault)) from None
