"""What apt reads: Release files and their signatures, indexes by name and by digest, and the files of the pool."""

from __future__ import annotations

from datetime import datetime

from application.catalogue import TREE_SCOPE
from application.formats.debian.address import Asked, NoSuchIndex, asked_of
from application.formats.debian.index import (
    Identity,
    IndexFile,
    dearmored,
    render_component_release,
    render_release,
    render_sources_list,
)
from application.formats.debian.names import (
    DEFAULT_COMPONENT,
    NameInvalid,
    checked_suite,
    media_type_of,
    package_of_path,
    parse_pool_path,
)
from application.formats.debian.suites import (
    Found,
    find_by_hash,
    load_indexes,
    made_at,
    require_stored,
    revision_of,
)
from application.signing_keys import RepositorySigner
from application.wire import AnyAnswer, Call, Document, DocumentKey, File, Request
from domain.artifact import ArtifactNotFound
from domain.errors import NotFound

_TEXT = "text/plain; charset=utf-8"
_KEY_TYPE = "application/pgp-keys"
_DEFAULT_SUITE = "stable"
_VOUCHING = frozenset({"InRelease", "Release", "Release.gpg"})
_INDEX_TYPES = {"gz": "application/gzip", "xz": "application/x-xz", "zst": "application/zstd"}


# keys of documents


def dists_key(request: Request) -> DocumentKey | None:
    """Of what vouches for a suite. Indexes are kept elsewhere: large ones are files that may have to be made anew."""
    if request.segments[-1] not in _VOUCHING:
        return None
    return DocumentKey(TREE_SCOPE, "/".join(("debian", *request.segments)))


def pool_key(request: Request) -> DocumentKey | None:
    """Of a file of the pool: small ones are held in memory."""
    return DocumentKey(TREE_SCOPE, "/".join(("debian", *request.segments)), shared=False)


def package_of(request: Request) -> str | None:
    """The package that a file of the pool belongs to."""
    return package_of_path(request.segments[-1])


def key_key(request: Request) -> DocumentKey | None:
    """Of the public key."""
    return DocumentKey(TREE_SCOPE, f"debian {request.segments[-1]}", shared=False)


# handlers


def get_dists(call: Call) -> AnyAnswer:
    """GET dists/…: whatever is there."""
    asked = asked_of(call.request)
    match asked.wanted:
        case "Release" | "InRelease" | "Release.gpg":
            revision = revision_of(call)
            release = _release(call, asked.suite, revision)
            return vouching_document(call, asked.wanted, release, made_at(call, revision))
        case "gpg-key.asc" | "gpg-key.gpg":
            return get_key(call)
        case "stub":
            return _text(_stub(call, asked))
        case "index":
            return _index(call, asked)
        case "hash":
            found = find_by_hash(call, asked.suite, asked.directory, asked.folder, asked.name)
            return _index_answer(call, found, immutable=True)


def get_nothing(call: Call) -> AnyAnswer:
    """GET of what only other archives may have."""
    raise NoSuchIndex("/".join(call.request.segments))


def get_pool_file(call: Call) -> File:
    """GET pool/{path}."""
    path = "/".join(call.request.segments)
    try:
        name = parse_pool_path(path).name
    except NameInvalid:
        raise ArtifactNotFound(path) from None
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        raise ArtifactNotFound(path)
    settings = call.repository.settings
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=media_type_of(name),
        filename=row.filename,
        last_modified=row.published_at,
        artifact=row.id,
        immutable=settings.overwrite != "allow" and not settings.versioning_enabled,
    )


def get_key(call: Call) -> Document:
    """GET gpg-key.asc, and gpg-key.gpg for those who want it without its armor."""
    armored = _signer(call).public_key(call.content, call.at)
    binary = call.request.segments[-1].endswith(".gpg")
    return Document(body=dearmored(armored) if binary else armored, media_type=_KEY_TYPE)


def get_sources_list(call: Call) -> Document:
    """GET {repository}.sources: what makes a machine use this repository; `suite` chooses which."""
    if call.params["repository"] != call.repository.key:
        raise ArtifactNotFound(call.request.segments[-1])
    suite = checked_suite(call.request.query_value("suite", _DEFAULT_SUITE))
    signer = call.services.repository_signer if call.repository.kind != "remote" else None
    try:
        key = signer.public_key(call.content, call.at) if signer is not None else b""
    except NotFound:
        key = b""
    components = call.request.query_value("component", DEFAULT_COMPONENT).split()
    body = render_sources_list(call.request.repository_url, suite, components, key)
    return Document(body=body, media_type=_TEXT)


# steps


def identity_of(call: Call) -> Identity:
    """What the repository's suites say of themselves, or said then."""
    past = None if call.at is None else call.services.catalogue.repository_by_id(call.content, call.at)
    settings = (past or call.repository).settings
    return Identity(settings.apt_origin, settings.apt_label, settings.apt_release_version, settings.apt_description)


def vouching_document(call: Call, name: str, release: bytes, made_at: datetime) -> Document:
    """The Release file, or a signature of it, made at the same time for the same bytes. Raises SigningKeyMissing."""
    to_sign = (call.content, release, made_at.replace(microsecond=0), call.at)
    if name == "InRelease":
        return _text(_signer(call).sign_cleartext(*to_sign))
    if name == "Release.gpg":
        return Document(body=_signer(call).sign_detached(*to_sign), media_type="application/pgp-signature")
    return _text(release)


def index_answer(path: str, file: IndexFile, *, immutable: bool) -> AnyAnswer:
    """An index by its path, whose bytes are there. Raises NoSuchIndex for one that is only told of."""
    media_type = _INDEX_TYPES.get(path.rpartition(".")[2], _TEXT)
    if file.body is not None:
        return Document(body=file.body, media_type=media_type)
    if not file.stored:
        raise NoSuchIndex(path)
    return File(sha256=file.sha256, size_bytes=file.size_bytes, media_type=media_type, immutable=immutable)


def _release(call: Call, suite: str, revision: int) -> bytes:
    indexes = load_indexes(call, suite, revision)
    return render_release(suite, indexes, identity_of(call), made_at(call, revision))


def _stub(call: Call, asked: Asked) -> bytes:
    indexes = load_indexes(call, asked.suite, revision_of(call))
    component, _, folder = asked.directory.partition("/")
    if not any(path.startswith(f"{asked.directory}/") for path in indexes.files):
        raise NoSuchIndex(asked.path)
    architecture = folder.rpartition("/")[2].removeprefix("binary-")
    return render_component_release(asked.suite, component, architecture, identity_of(call))


def _index(call: Call, asked: Asked) -> AnyAnswer:
    revision = revision_of(call)
    file = load_indexes(call, asked.suite, revision).files.get(asked.path)
    if file is None:
        raise NoSuchIndex(asked.path)
    return _index_answer(call, Found(asked.suite, revision, asked.path, file), immutable=False)


def _index_answer(call: Call, found: Found, *, immutable: bool) -> AnyAnswer:
    if found.file.stored:
        require_stored(call, found)
    return index_answer(found.path, found.file, immutable=immutable)


def _signer(call: Call) -> RepositorySigner:
    if call.services.repository_signer is None:
        raise NotFound("nothing signs this repository")
    return call.services.repository_signer


def _text(body: bytes) -> Document:
    return Document(body=body, media_type=_TEXT)
