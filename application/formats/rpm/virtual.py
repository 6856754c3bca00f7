"""Several repositories as one, with documents of its own: every package once, the first member's, signed by our key.

A state is what each member is at one position of the log: hosted ones by their revision, remote ones by the list that
was fetched from their upstream. So documents of a virtual repository, too, are addressed by a position for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from uuid import UUID

import msgspec

from application.catalogue import PACKAGES_SCOPE, TREE_SCOPE
from application.formats.rpm.extras import EXTRAS, MAX_BYTES
from application.formats.rpm.generation import document_parts, load_generation
from application.formats.rpm.index import KINDS, Kind, Listed, Measured, Part, compress, decompress, render_repomd
from application.formats.rpm.memory import Memory
from application.formats.rpm.merging import Chosen, document_of, merge_modules, merge_xml
from application.formats.rpm.names import REPODATA
from application.formats.rpm.reading import get_public_key
from application.formats.rpm.remote import document_resource, fetch_repomd, list_documents, proxy_of
from application.formats.rpm.upstream import Data, Told, read_packages, unpacked
from application.formats.rpm.xml_stream import Readable
from application.proxying.asking import host_of
from application.proxying.ports import UpstreamLied
from application.proxying.proxy import upstream_of
from application.signing_keys import SigningKeyMissing
from application.wire import AnyAnswer, Call, Document, File
from domain.errors import Invalid, NotFound, TooLarge

_EXTRA_TYPES = {"comps.xml": "group", "modules.yaml": "modules", "updateinfo.xml": "updateinfo"}
"""Documents that members may have uploaded, by what their upstreams call them; the last two are compressed."""

_ROOTS = {"comps.xml": "comps", "updateinfo.xml": "updates"}
_OF_STATE = re.compile(r"([0-9]{1,18})-([0-9a-f]{64})-([a-z.]+)\Z")
_GZIP = "application/gzip"
_MAX_DEPTH = 8
_CHUNK_BYTES = 1 << 18


class Source(msgspec.Struct, frozen=True):
    """A member at a position. key: tells one content of it. call: the question as it is put to the member."""

    call: Call
    at: int
    key: str
    documents: dict[str, Data]

    @property
    def is_ours(self) -> bool:
        """Whether it is hosted here."""
        return self.call.repository.kind != "remote"


class State(msgspec.Struct, frozen=True):
    """The members at a position. key: tells one content of all of them, and of the names that only ours may have."""

    at: int
    key: str
    sources: tuple[Source, ...]


class Merged(msgspec.Struct, frozen=True):
    """The documents of a state, by the names of their files."""

    listed: tuple[Listed, ...]


_merged: Memory[tuple[UUID, str], Merged] = Memory(64)


# handlers


def virtual_repomd(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml."""
    state = _state(call, members)
    return Document(body=_repomd(call, state), media_type="application/xml")


def virtual_signature(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml.asc."""
    signer = call.services.repository_signer
    if signer is None:
        raise SigningKeyMissing
    state = _state(call, members)
    made_at = call.services.recorded_at(state.at) if state.at and call.services.recorded_at else None
    body = signer.sign_detached(call.content, _repomd(call, state), made_at or call.repository.created_at, call.at)
    return Document(body=body, media_type="application/pgp-signature")


def virtual_key(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml.key: our own."""
    return get_public_key(call)


def virtual_document(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET repodata/{file}: a document of a state by its own name, or the present one by the name of its kind."""
    name = call.params["file"]
    found = _OF_STATE.match(name)
    if found and call.at is not None and int(found[1]) > call.at:
        raise NotFound(f"{name} is not a document of this repository")
    state = _state(call, members, int(found[1]) if found else None)
    wanted = found[3] if found else name
    for listed in _load(call, state).listed:
        if listed.name == wanted and (found is None or listed.sha256 == found[2]):
            return _kept(call, state, listed)
    raise NotFound(f"{name} is not a document of this repository")


# states


def _state(call: Call, members: Sequence[Call], at: int | None = None) -> State:
    """The members now, or as they were. A remote member's documents are fetched, if they are not there yet."""
    position = call.at if at is None else at if call.at is None else min(at, call.at)
    sources = [source for member in members if (source := _source(member, position)) is not None]
    own = call.services.catalogue.revision(call.content, TREE_SCOPE, position)
    hosted = [
        f"{content.hex}:{call.services.catalogue.revision(content, PACKAGES_SCOPE, _earlier(limit, position))}"
        for content, limit in _hosted(call, call.repository.id, position)
    ]
    digest = hashlib.sha256("\n".join([*(source.key for source in sources), "", *hosted, str(own)]).encode())
    newest = max([own, *(source.at for source in sources)])
    return State(newest if at is None else at, digest.hexdigest(), tuple(sources))


def _source(member: Call, position: int | None) -> Source | None:
    """None for a member that has no documents."""
    there = msgspec.structs.replace(member, at=_earlier(member.at, position))
    if member.repository.kind != "remote":
        at = there.services.catalogue.revision(there.content, TREE_SCOPE, there.at)
        return Source(msgspec.structs.replace(there, at=at), at, f"{there.content.hex}:{at}", {})
    try:
        repomd, documents = fetch_repomd(there), list_documents(there)
        rows = [proxy_of(there).fetch(there, document_resource(data)).row for data in _needed(documents)]
    except NotFound:
        return None
    at = max(repomd.row.since, *(row.since for row in rows), 0)
    return Source(there, at, f"{there.content.hex}:{repomd.row.sha256}", documents)


def _needed(documents: dict[str, Data]) -> list[Data]:
    """The documents that are merged."""
    return [documents[kind] for kind in (*KINDS, *_EXTRA_TYPES.values()) if kind in documents]


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _hosted(call: Call, virtual: UUID, at: int | None, depth: int = 0) -> Iterator[tuple[UUID, int | None]]:
    """The hosted members, also those that the caller may not see: their names are theirs all the same."""
    catalogue = call.services.catalogue
    row = catalogue.repository_by_id(virtual, at) or catalogue.repository_by_id(virtual)
    for member in row.settings.members if row is not None else ():
        found = catalogue.repository_by_id(member.repository)
        if found is None or found.kind == "remote":
            continue
        if found.kind != "virtual":
            yield (found.source, found.source_position) if found.source is not None else (found.id, None)
        elif depth < _MAX_DEPTH:
            yield from _hosted(call, found.id, at, depth + 1)


def _hosted_names(call: Call, at: int) -> frozenset[str]:
    """What the packages of hosted members are called, but for what is allowed to be shared."""
    shared = call.repository.settings.shared_names
    names = {
        row.package
        for content, limit in _hosted(call, call.repository.id, at)
        for row in call.services.catalogue.packages(content, _earlier(limit, at))
    }
    return frozenset(name for name in names if not any(fnmatchcase(name, pattern) for pattern in shared))


# documents


def _repomd(call: Call, state: State) -> bytes:
    recorded_at = call.services.recorded_at
    made_at = recorded_at(state.at) if state.at and recorded_at is not None else call.repository.created_at
    return render_repomd(state.at, int(made_at.timestamp()), _load(call, state).listed)


def _load(call: Call, state: State) -> Merged:
    """What the documents of a state add up to; what another process found out is taken from it."""
    key = call.content, state.key
    found = _merged.get(key)
    if found is None:
        if call.services.documents is None:
            found = _make(call, state)
        else:
            kept = call.services.documents.get(
                call.content,
                "rpm merged",
                state.key,
                0,
                lambda: Document(body=msgspec.msgpack.encode(_make(call, state)), media_type="application/msgpack"),
            )
            found = msgspec.msgpack.decode(kept.body, type=Merged)
        _merged.put(key, found, 1)
    return found


def _kept(call: Call, state: State, listed: Listed) -> File:
    """A document as stored bytes; made once more when they were cleaned away."""
    if not call.services.blobs.exists(listed.sha256):
        _make(call, state)
    media_type = _GZIP if listed.name.endswith(".gz") else EXTRAS[listed.name].media_type
    return File(sha256=listed.sha256, size_bytes=listed.size_bytes, media_type=media_type, immutable=True)


def _make(call: Call, state: State) -> Merged:
    chosen = Chosen(_hosted_names(call, state.at).__contains__)
    for number, source in enumerate(state.sources):
        for told in _told(source, "primary"):
            chosen.choose(number, told, is_ours=source.is_ours)
    listed = [_store(call, kind, document_of(kind, chosen.count, _texts(state, chosen, kind))) for kind in KINDS]
    for name in _EXTRA_TYPES:
        listed += _merge_extra(call, state, name)
    return Merged(tuple(listed))


def _texts(state: State, chosen: Chosen, kind: Kind) -> Iterator[str]:
    done: set[tuple[int, str]] = set()
    for number, source in enumerate(state.sources):
        for told in _told(source, kind):
            if chosen.is_chosen(number, told) and (number, told.pkgid) not in done:
                done.add((number, told.pkgid))
                yield told.text


def _told(source: Source, kind: Kind) -> Iterator[Told]:
    """What a member's document says of each package."""
    call = source.call
    if source.is_ours:
        generation = load_generation(call.services, call.content, source.at)
        parts = document_parts(call.services, call.content, generation, kind)
        yield from read_packages(_Joined(map(decompress, parts)), kind)
        return
    if kind not in source.documents:
        return
    data = source.documents[kind]
    fetched = proxy_of(call).fetch(call, document_resource(data))
    try:
        with call.services.blobs.open(fetched.row.sha256) as file:
            yield from read_packages(unpacked(file, data.href), data.href)
    except Invalid as fault:
        raise UpstreamLied(host_of(upstream_of(call).url), data.href, str(fault)) from None


class _Joined:
    """Pieces of bytes as something to read; a read gives one piece, however long."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, count: int, /) -> bytes:
        """The next piece."""
        return next((piece for piece in self._pieces if piece), b"")


def _store(call: Call, kind: Kind, parts: Iterator[Part]) -> Listed:
    measured = Measured(kind)

    def pieces() -> Iterator[bytes]:
        for part in parts:
            measured.add(part)
            yield part.data

    _keep(call, pieces())
    return measured.listed()


def _keep(call: Call, pieces: Iterable[bytes]) -> str:
    """Store bytes that nothing refers to: whoever cleans may take them away, and they are made again."""
    services = call.services
    with services.spool.create() as writer:
        for piece in pieces:
            writer.write(piece)
        spooled = writer.finish()
    try:
        services.blobs.keep(spooled)
    finally:
        services.spool.discard(spooled)
    return spooled.sha256


# uploaded documents


def _merge_extra(call: Call, state: State, name: str) -> list[Listed]:
    """An uploaded document of all members that have one."""
    bodies = [body for source in state.sources for body in _extras(source, name)]
    if not bodies:
        return []
    plain = merge_modules(bodies) if name not in _ROOTS else merge_xml(_ROOTS[name], map(_whole, bodies))
    packed, open_sha256 = compress(plain), hashlib.sha256(plain).hexdigest()
    extra = EXTRAS[name]
    listed = []
    if extra.type:
        listed.append(Listed(type=extra.type, name=name, sha256=_keep(call, [plain]), size_bytes=len(plain)))
    if extra.type_compressed:
        listed.append(
            Listed(
                type=extra.type_compressed,
                name=f"{name}.gz",
                sha256=_keep(call, [packed]),
                size_bytes=len(packed),
                open_sha256=open_sha256,
                open_bytes=len(plain),
            )
        )
    return listed


def _whole(body: bytes) -> _Joined:
    return _Joined(iter([body]))


def _read_all(file: Readable) -> bytes:
    body = bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise TooLarge(f"an uploaded document has more than {MAX_BYTES} bytes")
    return bytes(body)


def _extras(source: Source, name: str) -> Iterator[bytes]:
    call = source.call
    if source.is_ours:
        row = call.services.catalogue.artifact(call.content, REPODATA + name, source.at)
        if row is not None:
            with call.services.blobs.open(row.sha256) as file:
                yield file.read()
    elif (data := source.documents.get(_EXTRA_TYPES[name])) is not None:
        fetched = proxy_of(call).fetch(call, document_resource(data))
        with call.services.blobs.open(fetched.row.sha256) as file:
            yield _read_all(unpacked(file, data.href))
