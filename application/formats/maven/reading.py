"""GET and HEAD: files, their checksums, metadata, and listings of directories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from application.catalogue import ArtifactRow, package_scope
from application.formats.maven.address import Asked, asked_of, is_snapshot_directory, path_of
from application.formats.maven.index import Metadata, Plugin, artifact_metadata, render, snapshot_metadata
from application.formats.maven.names import (
    LayoutFile,
    LayoutInvalid,
    directory_package,
    media_type_of,
    parse_file,
)
from application.ports import BlobStore
from application.wire import Answer, AnyAnswer, Call, Document, DocumentKey, File, Request
from domain.artifact import ArtifactNotFound
from domain.digests import Hasher

_PAGE = 5_000
_CHUNK_BYTES = 1 << 20
PLAIN = "text/plain"
XML = "application/xml"


# keys of documents


def file_key(request: Request) -> DocumentKey | None:
    """Everything that is told of a package has its scope; None for directories."""
    asked = asked_of(request)
    if asked is None:
        return None
    kind = "file" if asked.file else "metadata"
    return DocumentKey(package_scope(asked.package), f"{kind} {asked.path} {asked.algorithm}", shared=not asked.file)


def asked_package(request: Request) -> str | None:
    """The package that an address is about: a directory's is that of which it may have the versions."""
    asked = asked_of(request)
    if asked is not None:
        return asked.package
    try:
        directory = path_of(request)
    except LayoutInvalid:
        return None
    return directory_package(directory) if "/" in directory else None


# handlers


def get_file(call: Call) -> AnyAnswer:
    """GET {path}: a file or a document, or the checksum of one; a directory's address gets its slash."""
    asked = asked_of(call.request)
    if asked is None:
        return _to_directory(call)
    if asked.file is None:
        return _metadata_answer(call, asked)
    row = find_file(call, asked.file)
    if row is None:
        raise ArtifactNotFound(path_of(call.request))
    if asked.algorithm:
        digest = digest_of(call.services.blobs, row, asked.algorithm)
        return Document(body=digest.encode(), media_type=PLAIN, last_modified=row.published_at)
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=media_type_of(asked.file.extension),
        filename=row.filename,
        headers=tuple((f"x-checksum-{name}", digest) for name, digest in row.digests.items()),
        last_modified=row.published_at,
        artifact=row.id,
    )


# steps


def load_metadata(call: Call, directory: str) -> Metadata | None:
    """The metadata of a directory as of the call; None where there is none."""
    if not directory:
        return None
    if is_snapshot_directory(directory):
        return snapshot_metadata([(file, row.published_at) for file, row in _files_below(call, directory)])
    catalogue, package = call.services.catalogue, directory_package(directory)
    versions = catalogue.versions(call.content, package, call.at)
    prefixes = catalogue.marks(call.content, package, "tag", call.at)
    plugins = tuple(sorted(Plugin(prefix, artifact) for prefix, artifact in prefixes.items()))
    if not versions:
        return Metadata(plugins=plugins) if plugins else None
    group, _, artifact = package.partition(":")
    updated_at = max(row.created_at for row in versions)
    found = artifact_metadata(group, artifact, (row.version for row in versions), updated_at)
    return msgspec.structs.replace(found, plugins=plugins)


def find_file(call: Call, wanted: LayoutFile) -> ArtifactRow | None:
    """The file at a path; for a snapshot's without a timestamp, when there is none, its newest build."""
    row = call.services.catalogue.artifact(call.content, wanted.path, call.at)
    if row is not None or not wanted.mutable:
        return row
    builds = [
        (file.build, row)
        for file, row in _files_below(call, wanted.path.rpartition("/")[0])
        if file.build and (file.classifier, file.extension) == (wanted.classifier, wanted.extension)
    ]
    return max(builds, key=lambda found: found[0])[1] if builds else None


def checksum_document(body: bytes, algorithm: str, last_modified: datetime | None = None) -> Document:
    """The checksum of a document. last_modified: of that."""
    digest = hashlib.new(algorithm, body, usedforsecurity=False).hexdigest()
    return Document(body=digest.encode(), media_type=PLAIN, last_modified=last_modified)


def digest_of(blobs: BlobStore, row: ArtifactRow, algorithm: str) -> str:
    """A digest of a stored file; read from its bytes where it was not computed when they came."""
    known = row.sha256 if algorithm == "sha256" else row.digests.get(algorithm)
    if known:
        return known
    hasher = Hasher((algorithm,))
    with blobs.open(row.sha256) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.digests()[algorithm]


def _files_below(call: Call, directory: str) -> Iterator[tuple[LayoutFile, ArtifactRow]]:
    """The files of a version."""
    after, prefix = "", f"{directory}/"
    while rows := call.services.catalogue.artifacts_below(call.content, prefix, call.at, after=after, limit=_PAGE):
        for row in rows:
            if not row.path.count("/", len(prefix)) and row.package:
                yield parse_file(row.path), row
        if len(rows) < _PAGE:
            return
        after = rows[-1].path


def _metadata_answer(call: Call, asked: Asked) -> Document:
    metadata = load_metadata(call, asked.directory)
    if metadata is None:
        raise ArtifactNotFound(path_of(call.request))
    body = render(metadata)
    if asked.algorithm:
        return checksum_document(body, asked.algorithm, metadata.updated_at)
    return Document(body=body, media_type=XML, last_modified=metadata.updated_at)


def _to_directory(call: Call) -> Answer:
    try:
        path = path_of(call.request)
    except LayoutInvalid:
        raise ArtifactNotFound("/".join(call.request.segments)) from None
    if not call.services.catalogue.children(call.content, f"{path}/", call.at, limit=1):
        raise ArtifactNotFound(path)
    return with_slash(call.request)


def with_slash(request: Request) -> Answer:
    """To the address of a directory, which ends in a slash."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    location = f"{request.repository_url}{request.raw_path.rstrip('/')}/{query}"
    return Answer(status=301, headers=(("location", location),))
