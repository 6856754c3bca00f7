"""Another Maven repository, shown as our own. Nothing in it is rewritten.

A file is kept only when it has the checksum that the upstream has beside it. The checksums that are served are
computed from what is kept, so that a document and its checksum are of one fetch.
"""

from __future__ import annotations

from functools import partial

import msgspec

from application.catalogue import ArtifactRow
from application.formats.maven import reading
from application.formats.maven.address import Asked, asked_of, path_of
from application.formats.maven.checksums import (
    MAX_CHECKSUM_BYTES,
    ChecksumInvalid,
    read_checksum,
)
from application.formats.maven.names import LayoutFile, is_name, media_type_of
from application.formats.maven.publishing import ALGORITHMS
from application.formats.maven.reading import PLAIN, XML, checksum_document, digest_of
from application.formats.maven.upstream import read_metadata
from application.ports import Spooled
from application.proxying.ageing import require_age
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Document, File
from application.xml_reader import MAX_BYTES
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid, NotFound, TooLarge

INDEX = ".index"
"""Where the upstream's metadata is kept, apart from its files."""

_VERIFIED = ("sha1", "md5")
"""Checksums of an upstream, in the order in which they are looked for: every repository has had these."""

_HTML = (b"<!doctype html", b"<html")
_START_BYTES = 512


class ContentInvalid(Invalid):
    """What came is no file of a repository."""

    template = "{path}: {reason}"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path=path[:300], reason=reason)


def get_file(call: Call) -> AnyAnswer:
    """GET {path}: a file, or its checksum; of directories, what is kept in them."""
    asked = asked_of(call.request)
    if asked is None or asked.file is None:
        return reading.get_file(call)
    if call.at is None:
        require_age(upstream_of(call), asked.path, None)
    proxy, resource = proxy_of(call), _file(call, asked.file)
    if asked.algorithm:
        fetched = proxy.fetch(call, resource)
        return proxy.document([fetched], f"checksum {asked.path}", partial(_digest, call, asked, fetched))
    if resource.lifetime == "immutable":
        row = call.services.catalogue.artifact(call.content, asked.path, call.at)
        if row is not None:
            return _with_checksums(proxy.sent(Fetched(row), resource), row)
    answer = proxy.file(call, resource)
    row = call.services.catalogue.artifact(call.content, asked.path, call.at) if isinstance(answer, File) else None
    if row is None or not isinstance(answer, File) or answer.sha256 != row.sha256:
        return answer
    return _with_checksums(answer, row)


def get_metadata(call: Call) -> AnyAnswer:
    """GET {directory}/maven-metadata.xml, as the upstream has it, or its checksum."""
    asked = asked_of(call.request)
    if asked is None or not all(is_name(name) for name in asked.directory.split("/")):
        raise ArtifactNotFound(path_of(call.request))
    resource = Resource(
        path=f"{INDEX}/{asked.path}",
        url=asked.path,
        lifetime="mutable",
        max_bytes=MAX_BYTES,
        media_type=XML,
        check=lambda spooled, _: read_metadata(spooled.path.read_bytes()),
    )
    proxy = proxy_of(call)
    fetched = proxy.fetch(call, resource)

    def render() -> Document:
        body = proxy.read(fetched)
        return checksum_document(body, asked.algorithm) if asked.algorithm else Document(body=body, media_type=XML)

    return proxy.document([fetched], f"metadata {asked.path} {asked.algorithm}", render)


def _file(call: Call, file: LayoutFile) -> Resource:
    return Resource(
        path=file.path,
        url=file.path,
        lifetime="mutable" if file.mutable else "immutable",
        algorithms=ALGORITHMS,
        media_type=media_type_of(file.extension),
        package=file.package,
        name=file.package,
        version=file.version,
        check=partial(_check, call, file),
    )


def _check(call: Call, file: LayoutFile, spooled: Spooled, media_type: str) -> None:
    """Raise Invalid for a page in place of a file, and for bytes that do not have the checksum beside them."""
    del media_type
    with spooled.open() as content:
        start = content.read(_START_BYTES).lstrip().lower()
    if not spooled.size_bytes and file.main:
        raise ContentInvalid(file.path, "it is empty")
    if start.startswith(_HTML) and not file.extension.startswith("htm"):
        raise ContentInvalid(file.path, "it is a page in HTML")
    for algorithm in _VERIFIED:
        announced = _announced(call, f"{file.path}.{algorithm}", algorithm)
        if announced is not None:
            if announced != spooled.digests[algorithm]:
                found = spooled.digests[algorithm]
                raise ContentInvalid(
                    file.path, f"the {algorithm} checksum beside it is {announced}, its own is {found}"
                )
            return


def _announced(call: Call, path: str, algorithm: str) -> str | None:
    """The digest in a checksum at the upstream; None when it has none."""
    try:
        text = proxy_of(call).passed(call, Resource(path=path, url=path, lifetime="mutable"), MAX_CHECKSUM_BYTES)
    except NotFound:
        return None
    except TooLarge:
        raise ChecksumInvalid(path, algorithm) from None
    return read_checksum(text, path, algorithm)


def _digest(call: Call, asked: Asked, fetched: Fetched) -> Document:
    digest = digest_of(call.services.blobs, fetched.row, asked.algorithm)
    return Document(body=digest.encode(), media_type=PLAIN, last_modified=fetched.row.published_at)


def _with_checksums(file: File, row: ArtifactRow) -> File:
    checksums = tuple((f"x-checksum-{name}", digest) for name, digest in row.digests.items())
    return msgspec.structs.replace(file, headers=(*file.headers, *checksums))
