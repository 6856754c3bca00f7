"""One state of a repository as documents: which packages it has, in which pieces, and what those add up to.

The packages are cut into spans by their paths, at places that depend on the paths alone; so a new package changes one
span, and the pieces of all others are there already. A generation is made from the catalogue at its position, at any
time again and in every process alike; that is why the addresses of its documents never break.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow
from application.formats.rpm.fragments import primary_of
from application.formats.rpm.index import (
    KINDS,
    Kind,
    Listed,
    Measured,
    Piece,
    decompress,
    foot,
    head,
    in_zstd,
    make_piece,
)
from application.formats.rpm.memory import Memory
from application.formats.rpm.names import PACKAGES
from application.formats.rpm.stored import fragments_of
from application.services import Services
from application.wire import Document

SPAN = 64
"""Packages of a span on average: many make a publish dear, few make documents long."""

MAX_SPAN = 512

T = TypeVar("T")

_pieces_made: Memory[tuple[UUID, str], Piece] = Memory(64 << 20)
_generations_made: Memory[tuple[UUID, int], Generation] = Memory(16)
_zstd_made: Memory[tuple[UUID, int], dict[Kind, Listed]] = Memory(16)
"""None of them ever changes, so it does not matter who made them, and for whom."""


class Span(msgspec.Struct, frozen=True):
    """Some packages whose paths follow each other. after: the path before the first; last: that of the last one; key:
    tells one content of it.
    """

    after: str
    last: str
    count: int
    key: str


class Generation(msgspec.Struct, frozen=True):
    """The documents of packages as of a position."""

    at: int
    packages: int
    spans: tuple[Span, ...]
    listed: dict[Kind, Listed]


def load_generation(services: Services, repository: UUID, at: int) -> Generation:
    """The generation of a position at which the repository changed."""
    key = repository, at
    found = _generations_made.get(key)
    if found is None:
        found = _shared(services, repository, f"generation {at}", Generation, lambda: _make(services, repository, at))
        _generations_made.put(key, found, 1)
    return found


def load_zstd(services: Services, repository: UUID, at: int) -> dict[Kind, Listed]:
    """The same documents in the other compression, as they are listed there. They are packed anew for whoever asks."""

    def measure() -> dict[Kind, Listed]:
        generation = load_generation(services, repository, at)
        listed: dict[Kind, Listed] = {}
        for kind in KINDS:
            measured = Measured(kind, "zst")
            for part in document_parts(services, repository, generation, kind):
                measured.add_both(in_zstd(part), decompress(part))
            listed[kind] = measured.listed()
        return listed

    key = repository, at
    found = _zstd_made.get(key)
    if found is None:
        found = _shared(services, repository, f"zstd {at}", dict[Kind, Listed], measure)
        _zstd_made.put(key, found, 1)
    return found


def document_parts(services: Services, repository: UUID, generation: Generation, kind: Kind) -> Iterator[bytes]:
    """The bytes of a document, part by part; never more of it in memory than one piece."""
    yield head(kind, generation.packages).data
    for piece in _pieces(services, repository, generation.at, generation.spans):
        yield piece.parts[kind].data
    yield foot(kind).data


def cut(outline: Sequence[tuple[str, int]]) -> list[Span]:
    """Spans out of paths in order, each with the position since which its package is as it is."""
    spans: list[Span] = []
    after, path, count, digest = "", "", 0, hashlib.sha256()
    for path, since in outline:
        encoded = path.encode()
        digest.update(b"%b\0%d\0" % (encoded, since))
        count += 1
        if zlib.crc32(encoded) % SPAN == 0 or count == MAX_SPAN:
            spans.append(Span(after, path, count, digest.hexdigest()))
            after, count, digest = path, 0, hashlib.sha256()
    if count:
        spans.append(Span(after, path, count, digest.hexdigest()))
    return spans


def _make(services: Services, repository: UUID, at: int) -> Generation:
    outline = services.catalogue.outline(repository, PACKAGES, at)
    spans, packages = tuple(cut(outline)), len(outline)
    del outline
    while True:
        measured = {kind: Measured(kind) for kind in KINDS}
        seen = 0
        for kind in KINDS:
            measured[kind].add(head(kind, packages))
        for piece in _pieces(services, repository, at, spans):
            seen += piece.packages
            for kind in KINDS:
                measured[kind].add(piece.parts[kind])
        for kind in KINDS:
            measured[kind].add(foot(kind))
        if seen == packages:
            return Generation(at, packages, spans, {kind: found.listed() for kind, found in measured.items()})
        packages = seen  # there are files that are no packages: their number is said first


def _pieces(services: Services, repository: UUID, at: int, spans: Sequence[Span]) -> Iterator[Piece]:
    for span in spans:
        key = repository, span.key
        piece = _pieces_made.get(key)
        if piece is None:
            piece = _shared(services, repository, span.key, Piece, partial(_make_piece, services, repository, at, span))
            _pieces_made.put(key, piece, sum(len(part.data) for part in piece.parts.values()))
        yield piece


def _make_piece(services: Services, repository: UUID, at: int, span: Span) -> Piece:
    rows = services.catalogue.artifacts_below(
        repository, PACKAGES, at, after=span.after, upto=span.last, limit=span.count
    )
    return make_piece(told for row in rows if (told := _told(services, row)) is not None)


def _told(services: Services, row: ArtifactRow) -> tuple[str, str, str] | None:
    """What the documents say of an artifact; None for one that is no package."""
    fragments = fragments_of(row, services.blobs)
    if fragments is None:
        return None
    primary = primary_of(fragments, row.path, int(row.published_at.timestamp()))
    return primary, fragments.filelists, fragments.other


def _shared(services: Services, repository: UUID, name: str, kind: type[T], make: Callable[[], T]) -> T:
    """What another process may have made already."""
    if services.documents is None:
        return make()

    def render() -> Document:
        return Document(body=msgspec.msgpack.encode(make()), media_type="application/msgpack")

    return msgspec.msgpack.decode(services.documents.get(repository, "rpm", name, 0, render).body, type=kind)
