"""GET and HEAD: what names the documents, the documents themselves, signatures and keys, packages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from application.catalogue import TREE_SCOPE, ArtifactRow, package_scope
from application.formats.rpm.extras import EXTRAS, listed_extras
from application.formats.rpm.generation import document_parts, load_generation, load_zstd
from application.formats.rpm.index import KINDS, Kind, decompress, in_zstd, render_repomd
from application.formats.rpm.names import REPODATA, named_package, package_path
from application.formats.rpm.publishing import MEDIA_TYPE
from application.formats.rpm.stored import extra_of
from application.signing_keys import SigningKeyMissing, SigningKeyUnsuitable
from application.wire import Answer, AnyAnswer, Call, Document, DocumentKey, File, Request, Stream
from domain.artifact import ArtifactNotFound
from domain.errors import NotFound

MAX_HELD_BYTES = 1 << 20
"""Documents up to this are answered from memory, with all that HTTP offers; longer ones are streamed."""

ZSTD = "zstd"
"""The directory with the same repository, its generated documents compressed by Zstandard: for clients that know it."""

_XML = "application/xml"
_GZIP = "application/gzip"
_OF_REVISION = re.compile(r"([0-9]{1,18})-([0-9a-f]{64})-([a-z.]+)\Z")
_ZSTD = "application/zstd"
_GENERATED: dict[str, tuple[Kind, str]] = {
    f"{kind}.xml.{ending}": (kind, media_type)
    for kind in KINDS
    for ending, media_type in (("gz", _GZIP), ("zst", _ZSTD))
}
_PLAIN: dict[str, Kind] = {f"{kind}.xml": kind for kind in KINDS}


# keys of documents


def repomd_key(request: Request) -> DocumentKey:
    """Everything that changes in a repository changes it."""
    return DocumentKey(TREE_SCOPE, f"rpm {request.segments[0]} repomd")


def signature_key(request: Request) -> DocumentKey:
    """It goes with the document that it signs."""
    return DocumentKey(TREE_SCOPE, f"rpm {request.segments[0]} repomd signature")


def public_key_key(request: Request) -> DocumentKey:
    """Changes of keys are changes of the repository."""
    return DocumentKey(TREE_SCOPE, "rpm key")


def requested_package(request: Request) -> str | None:
    """The package whose file is asked for; None for what cannot be the name of one."""
    return named_package(_filename(request))


def package_key(request: Request) -> DocumentKey | None:
    """Everything that is told of a package has its scope; None for what cannot be the name of a package's file."""
    name = requested_package(request)
    return DocumentKey(package_scope(name), f"rpm file {_filename(request)}", shared=False) if name else None


# handlers


def get_repomd(call: Call) -> Document:
    """GET repodata/repomd.xml."""
    at = _position(call)
    # no date of change: one of whole seconds would hide the second of two changes
    return Document(body=_repomd(call, at, _made_at(call, at)), media_type=_XML)


def get_signature(call: Call) -> Document:
    """GET repodata/repomd.xml.asc: of exactly the bytes that repomd.xml has at this revision."""
    signer, at = call.services.repository_signer, _position(call)
    if signer is None:
        raise SigningKeyMissing
    made_at = _made_at(call, at)
    body = signer.sign_detached(call.content, _repomd(call, at, made_at), made_at, at)
    return Document(body=body, media_type="application/pgp-signature")


def get_public_key(call: Call) -> Document:
    """GET repodata/repomd.xml.key: what `rpm --import` takes."""
    signer = call.services.repository_signer
    if signer is None:
        raise SigningKeyMissing
    return Document(body=signer.public_key(call.content, call.at), media_type="application/pgp-keys")


def get_document(call: Call) -> AnyAnswer:
    """GET repodata/{file}: a document of a revision by its own name; or the present one by the name of its kind."""
    name = call.params["file"]
    if name in _PLAIN:
        return _plain(call, _PLAIN[name])
    found = _OF_REVISION.match(name)
    at = int(found[1]) if found else _position(call)
    if found and not _is_revision(call, at):
        raise NotFound(f"{name} is not a document of this repository")
    wanted = found[3] if found else name
    kind, media_type = _GENERATED.get(wanted, (None, ""))
    answer = _uploaded(call, at, wanted) if kind is None else _generated(call, at, kind, media_type)
    if answer is None or (found and answer[0] != found[2]):
        raise NotFound(f"{name} is not a document of this repository")
    return msgspec.structs.replace(answer[1], immutable=True) if found and isinstance(answer[1], File) else answer[1]


def get_package(call: Call) -> AnyAnswer:
    """GET {path}: a package by the name of its file, in whatever directory it is looked for."""
    path = package_path(_filename(call.request))
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        raise ArtifactNotFound(path)
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=MEDIA_TYPE,
        filename=row.filename,
        last_modified=row.published_at,
        artifact=row.id,
    )


def get_snippet(call: Call) -> Answer:
    """GET config.repo: what goes into /etc/yum.repos.d, without credentials."""
    url, key = call.request.repository_url, call.repository.key
    signed = _is_signed(call)
    lines = [
        f"[{key}]",
        f"name={' '.join((call.repository.name or key).split())}",
        f"baseurl={url}/",
        "enabled=1",
        "gpgcheck=0",
        f"repo_gpgcheck={int(signed)}",
    ]
    if signed:
        lines.append(f"gpgkey={url}/repodata/repomd.xml.key")
    return Answer(body="\n".join([*lines, ""]).encode())


# steps


def _is_signed(call: Call) -> bool:
    """Whether there is a signature of ours; an upstream's may be there or not."""
    if call.repository.kind == "remote":
        return False
    try:
        get_public_key(call)
    except (SigningKeyMissing, SigningKeyUnsuitable):
        return False
    return True


def _position(call: Call) -> int:
    """The revision that is read; every document of it is addressed by this number."""
    return call.services.catalogue.revision(call.content, TREE_SCOPE, call.at)


def _is_revision(call: Call, at: int) -> bool:
    """Whether something changed at a position, not later than what the call may see."""
    if call.at is not None and at > call.at:
        return False
    return call.services.catalogue.revision(call.content, TREE_SCOPE, at) == at


def _made_at(call: Call, at: int) -> datetime:
    """When a revision came about."""
    if not at or call.services.recorded_at is None:
        return call.repository.created_at
    return call.services.recorded_at(at)


def _repomd(call: Call, at: int, made_at: datetime) -> bytes:
    if call.request.segments[0] == ZSTD:
        generated = load_zstd(call.services, call.content, at)
    else:
        generated = load_generation(call.services, call.content, at).listed
    listed = [generated[kind] for kind in KINDS]
    for row in _extra_rows(call, at):
        listed += listed_extras(row)
    return render_repomd(at, int(made_at.timestamp()), listed)


def _extra_rows(call: Call, at: int) -> Iterable[ArtifactRow]:
    return call.services.catalogue.artifacts_below(call.content, REPODATA, at, limit=len(EXTRAS) + 1)


def _generated(call: Call, at: int, kind: Kind, media_type: str) -> tuple[str, AnyAnswer]:
    """A generated document, with its digest."""
    generation = load_generation(call.services, call.content, at)
    listed, parts = generation.listed[kind], document_parts(call.services, call.content, generation, kind)
    if media_type == _ZSTD:
        listed, parts = load_zstd(call.services, call.content, at)[kind], map(in_zstd, parts)
    if listed.size_bytes <= MAX_HELD_BYTES:
        return listed.sha256, Document(body=b"".join(parts), media_type=media_type)
    headers = (("content-length", str(listed.size_bytes)), ("etag", f'"{listed.sha256}"'))
    return listed.sha256, Stream(chunks=parts, media_type=media_type, headers=headers)


def _plain(call: Call, kind: Kind) -> Stream:
    """A generated document without compression, for people and for programs that look at nothing else."""
    generation = load_generation(call.services, call.content, _position(call))
    parts = document_parts(call.services, call.content, generation, kind)
    return Stream(chunks=map(decompress, parts), media_type=_XML)


def _uploaded(call: Call, at: int, name: str) -> tuple[str, AnyAnswer] | None:
    """An uploaded document, as it came or compressed, with its digest."""
    plain = name.removesuffix(".gz")
    row = call.services.catalogue.artifact(call.content, REPODATA + plain, at) if plain in EXTRAS else None
    facts = extra_of(row) if row is not None else None
    if row is None or facts is None:
        return None
    sha256, size, media_type = row.sha256, row.size_bytes, EXTRAS[plain].media_type
    if name != plain:
        sha256, size, media_type = facts.gz_sha256, facts.gz_bytes, _GZIP
    file = File(sha256=sha256, size_bytes=size, media_type=media_type, last_modified=row.published_at)
    return sha256, file


def _filename(request: Request) -> str:
    return request.segments[-1] if request.segments else ""
