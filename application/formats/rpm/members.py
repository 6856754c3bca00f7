"""The members of a virtual repository at one position of the log, and what each of them says.

Hosted members are told by their revision, remote ones by the list that was fetched from their upstream. So everything
that is made of a state can be made again, from its position alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from application.catalogue import PACKAGES_SCOPE, TREE_SCOPE
from application.formats.rpm.extras import MAX_BYTES
from application.formats.rpm.generation import document_parts, load_generation
from application.formats.rpm.index import KINDS, Kind, decompress
from application.formats.rpm.names import REPODATA
from application.formats.rpm.remote import document_resource, fetch_repomd, list_documents
from application.formats.rpm.upstream import Data, Told, read_packages, unpacked
from application.formats.rpm.xml_stream import CHUNK_BYTES, Readable
from application.kinds import hosted_parts
from application.proxying.asking import host_of
from application.proxying.ports import UpstreamLied
from application.proxying.proxy import proxy_of, upstream_of
from application.wire import Call
from domain.errors import Invalid, NotFound, TooLarge

EXTRA_TYPES = {"comps.xml": "group", "modules.yaml": "modules", "updateinfo.xml": "updateinfo"}
"""Documents that members may have uploaded, by what their upstreams call them."""


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


def state_of(call: Call, members: Sequence[Call], at: int | None = None) -> State:
    """The members now, or as they were. A remote member's documents are fetched, if they are not there yet."""
    position = call.at if at is None else at if call.at is None else min(at, call.at)
    sources = [source for member in members if (source := _source(member, position)) is not None]
    own = call.services.catalogue.revision(call.content, TREE_SCOPE, position)
    hosted = [
        (part.content, call.services.catalogue.revision(part.content, PACKAGES_SCOPE, _earlier(part.at, position)))
        for part in hosted_parts(call, position)
    ]
    names = [f"{content.hex}:{revision}" for content, revision in hosted]
    digest = hashlib.sha256("\n".join([*(source.key for source in sources), "", *names, str(own)]).encode())
    newest = max([own, *(source.at for source in sources), *(revision for _, revision in hosted)])
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
    at = max([repomd.row.since, *(row.since for row in rows)])
    return Source(there, at, f"{there.content.hex}:{repomd.row.sha256}", documents)


def _needed(documents: dict[str, Data]) -> list[Data]:
    """The documents that are merged."""
    return [documents[kind] for kind in (*KINDS, *EXTRA_TYPES.values()) if kind in documents]


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def hosted_names(call: Call, at: int) -> frozenset[str]:
    """What the packages of hosted members are called, but for what is allowed to be shared."""
    shared = call.repository.settings.shared_names
    names = {
        row.package
        for part in hosted_parts(call, at)
        for row in call.services.catalogue.packages(part.content, _earlier(part.at, at))
    }
    return frozenset(name for name in names if not any(fnmatchcase(name, pattern) for pattern in shared))


def told_by(source: Source, kind: Kind) -> Iterator[Told]:
    """What a member's document says of each package."""
    call = source.call
    if source.is_ours:
        generation = load_generation(call.services, call.content, source.at)
        parts = document_parts(call.services, call.content, generation, kind)
        yield from read_packages(Joined(map(decompress, parts)), kind)
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


class Joined:
    """Pieces of bytes as something to read; a read gives one piece, however long."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, count: int, /) -> bytes:
        """The next piece."""
        return next((piece for piece in self._pieces if piece), b"")


def whole(body: bytes) -> Joined:
    """Bytes as something to read."""
    return Joined(iter([body]))


def _read_all(file: Readable) -> bytes:
    body = bytearray()
    while chunk := file.read(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise TooLarge(f"an uploaded document has more than {MAX_BYTES} bytes")
    return bytes(body)


def extras_of(source: Source, name: str) -> Iterator[bytes]:
    """The uploaded document of a member, if it has one."""
    call = source.call
    if source.is_ours:
        row = call.services.catalogue.artifact(call.content, REPODATA + name, source.at)
        if row is not None:
            with call.services.blobs.open(row.sha256) as file:
                yield file.read()
    elif (data := source.documents.get(EXTRA_TYPES[name])) is not None:
        fetched = proxy_of(call).fetch(call, document_resource(data))
        with call.services.blobs.open(fetched.row.sha256) as file:
            yield _read_all(unpacked(file, data.href))
