"""The indexes of a suite at a revision: made once for all addresses that need them, found again by their digests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from application.catalogue import TREE_SCOPE
from application.finding import ArtifactFilter
from application.formats.debian.index import BY_HASH, Indexes, IndexFile
from application.formats.debian.indexing import LARGE_BYTES, index_suite, pool_rows
from application.formats.debian.names import POOL, SuiteNotFound, checked_suite
from application.formats.debian.stored import DISTRIBUTION
from application.wire import Call, Document
from domain.errors import NotFound

GENERATIONS = 4
"""How many earlier revisions are looked through for an index that nobody remembers having made, where that is quick."""

_MSGPACK = "application/vnd.msgpack"
_DIGEST = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?\Z")

_encode = msgspec.msgpack.Encoder().encode
_decode_indexes = msgspec.msgpack.Decoder(Indexes).decode
_decode_revision = msgspec.msgpack.Decoder(int).decode


class Found(msgspec.Struct, frozen=True):
    """An index of a suite as of a revision. path: below the suite."""

    suite: str
    revision: int
    path: str
    file: IndexFile


def revision_of(call: Call) -> int:
    """The revision that a call reads."""
    return call.services.catalogue.revision(call.content, TREE_SCOPE, call.at)


def load_indexes(call: Call, suite: str, revision: int) -> Indexes:
    """The indexes of a suite as of a revision of the repository. Raises SuiteNotFound."""
    return _decode_indexes(_kept(call, f"debian indexes {suite}", revision, lambda: _make(call, suite, revision)))


def find_by_hash(call: Call, suite: str, directory: str, folder: str, digest: str) -> Found:
    """The index with a digest, of this revision or of one before. Raises NotFound."""
    algorithm = BY_HASH.get(folder)
    if algorithm is None or not _DIGEST.match(digest):
        raise NotFound("no such index")
    for revision in _generations(call, _title(suite, directory, digest)):
        indexes = load_indexes(call, suite, revision)
        for path, file in indexes.files.items():
            if getattr(file, algorithm) == digest and path.rpartition("/")[0] == directory:
                return Found(suite, revision, path, file)
        if any(file.size_bytes > LARGE_BYTES for file in indexes.files.values()):
            break
    raise NotFound("no such index, or one from long ago")


def require_stored(call: Call, found: Found) -> None:
    """See that the bytes are there, or make them anew: the store gives up what nothing refers to. Raises NotFound."""
    sha256 = found.file.sha256
    if call.services.blobs.exists(sha256):
        return
    named = _is_named(call, found.suite, found.revision)
    made = _index(call, found.suite if named else "", found.revision).files.get(found.path)
    if made is None or made.sha256 != sha256:
        raise NotFound("no such index any more")


def made_at(call: Call, revision: int) -> datetime:
    """When the last fact was recorded that a suite tells of."""
    recorded_at = call.services.recorded_at
    return recorded_at(revision) if recorded_at is not None and revision else call.repository.created_at


def _make(call: Call, suite: str, revision: int) -> Document:
    checked_suite(suite)
    if _is_named(call, suite, revision):
        indexes = _index(call, suite, revision)
    else:
        body = _kept(call, "debian indexes", revision, lambda: _document(_index(call, "", revision)))
        indexes = _decode_indexes(body)
        if not indexes.members and _has_files(call, revision):
            raise SuiteNotFound(suite)
    _remember(call, suite, revision, indexes)
    return _document(indexes)


def _index(call: Call, suite: str, revision: int) -> Indexes:
    services = call.services
    rows = pool_rows(services.catalogue, call.content, revision)
    return index_suite(suite, rows, services.blobs, services.spool)


def _is_named(call: Call, suite: str, revision: int) -> bool:
    """Whether some artifact says that it is in this suite."""
    wanted = ArtifactFilter(repositories=[call.content], prefix=f"{POOL}/", properties={DISTRIBUTION: suite})
    return call.services.finder.count(wanted, revision, limit=1) > 0


def _has_files(call: Call, revision: int) -> bool:
    return bool(call.services.catalogue.artifacts_below(call.content, f"{POOL}/", revision, limit=1))


def _generations(call: Call, title: str) -> Iterator[int]:
    """The revision that is remembered under the title; else the asked one, and some of those before."""
    asked = revision_of(call)
    remembered = _remembered(call, title)
    if remembered is not None and remembered <= asked:
        yield remembered
    yield asked
    for _ in range(GENERATIONS):
        asked = call.services.catalogue.revision(call.content, TREE_SCOPE, asked - 1) if asked else 0
        if not asked:
            return
        yield asked


def _remember(call: Call, suite: str, revision: int, indexes: Indexes) -> None:
    """Clients ask for what a Release file told them a moment ago, and meanwhile there may be many revisions."""
    told = Document(body=_encode(revision), media_type=_MSGPACK)
    for path, file in indexes.files.items():
        if file.stored or file.body is not None:
            _kept(call, _title(suite, path.rpartition("/")[0], file.sha256), 0, lambda: told)


def _remembered(call: Call, title: str) -> int | None:
    def nothing() -> Document:
        raise NotFound("not remembered")

    try:
        return _decode_revision(_kept(call, title, 0, nothing))
    except NotFound:
        return None


def _title(suite: str, directory: str, digest: str) -> str:
    return f"debian by-hash {suite} {directory} {digest}"


def _kept(call: Call, name: str, revision: int, render: Callable[[], Document]) -> bytes:
    documents = call.services.documents
    if documents is None:
        return render().body
    return documents.get(call.content, TREE_SCOPE, name, revision, render).body


def _document(indexes: Indexes) -> Document:
    return Document(body=_encode(indexes), media_type=_MSGPACK)
