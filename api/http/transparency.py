"""The transparency log over HTTP: checkpoints, tiles and proofs for everyone, events for administrators.

Hashes disclose nothing, so whoever wants to watch the log may. Paths below `tile/` and the answer of `checkpoint` are
those of https://c2sp.org/tlog-tiles, with `/api/v1/audit/log` as the prefix.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.app import App
from application.audit.transparency import CHECKPOINT_SPAN, MAX_PAGE, NotInTheLog
from domain.errors import Invalid
from domain.transparency.bundle import Line, SignedCheckpoint, format_line
from domain.transparency.merkle import HASH_BYTES
from domain.transparency.notes import parse_note, parse_tree_head
from domain.transparency.tiles import TILE_WIDTH, TilePath, parse_tile_path

_FOREVER = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400, immutable"

_Position = Annotated[int, QueryParameter(ge=1, description="A position of the log, from 1.")]
_Size = Annotated[
    int | None, QueryParameter(ge=0, description="A number of events; by default the latest checkpoint's.")
]


class InclusionProof(msgspec.Struct, frozen=True):
    """That an event is in the log. index: of its leaf, from 0. Hashes are base64.

    checkpoint: the signed note over the root of this size, if one was signed for exactly this size.
    """

    position: int
    index: int
    size: int
    leaf_hash: str
    proof: list[str]
    checkpoint: str | None


class ConsistencyProof(msgspec.Struct, frozen=True, rename={"old_size": "from", "new_size": "to"}):
    """That the log of size `to` only appends to the log of size `from`. Hashes are base64."""

    old_size: int
    new_size: int
    proof: list[str]


class TransparencyController(Controller):
    """`/api/v1/audit/log`."""

    path = "/api/v1/audit/log"
    tags = ["audit"]

    @get("/checkpoint", opt={"needs": "anonymous"}, sync_to_thread=True, media_type="text/plain")
    def checkpoint(self, app: NamedDependency[App], size: _Size = None) -> Response[str]:
        """The latest signed checkpoint, or the one of a size."""
        note = app.transparency.checkpoint() if size is None else app.transparency.checkpoint_at(size)
        return _text(note, "no-cache" if size is None else _FOREVER)

    @get("/checkpoints", opt={"needs": "anonymous"}, sync_to_thread=True, media_type="application/x-ndjson")
    def checkpoints(
        self,
        app: NamedDependency[App],
        after: Annotated[int, QueryParameter(name="from", ge=0)] = 0,
        until: Annotated[int | None, QueryParameter(name="to", ge=0)] = None,
        spread: FromQuery[bool] = False,
    ) -> Response[bytes]:
        """Signed checkpoints of more than `from` and at most `to` events, as lines of an audit bundle.

        One answer spans at most 16384 events. With `spread`, only the largest of every 256 sizes.
        """
        end = after + CHECKPOINT_SPAN if until is None else until
        notes = app.transparency.checkpoints(after, end, spread=spread)
        return _lines(SignedCheckpoint(note=note) for note in notes)

    @get("/key", opt={"needs": "anonymous"}, sync_to_thread=True, media_type="text/plain")
    def key(self, app: NamedDependency[App]) -> Response[str]:
        """The verifier key of the latest checkpoint. Pin it on the first sight, or get it by another way."""
        return _text(app.transparency.verifier_key() + "\n", "no-cache")

    @get("/tile/{path:path}", opt={"needs": "anonymous"}, sync_to_thread=True, media_type="application/octet-stream")
    def tile(self, app: NamedDependency[App], path: FromPath[str]) -> Response[bytes]:
        """A tile of hashes: `{level}/{index}` or `{level}/{index}.p/{width}`."""
        named = parse_tile_path(path.removeprefix("/"))
        if named.level is None:
            raise Invalid("not a tile of hashes")
        return _tile(app.transparency.tile(named.level, named.index, named.width), named)

    @get(
        "/tile/entries/{path:path}", opt={"needs": "admin"}, sync_to_thread=True, media_type="application/octet-stream"
    )
    def entries(self, app: NamedDependency[App], path: FromPath[str]) -> Response[bytes]:
        """An entry bundle: who changed what and when is in there, so it needs an administrator."""
        named = parse_tile_path(f"entries{path}")
        return Response(
            app.transparency.entries(named.index, named.width),
            media_type="application/octet-stream",
            headers={"cache-control": "private, no-cache"},
        )

    @get("/proof/inclusion", opt={"needs": "anonymous"}, sync_to_thread=True)
    def inclusion(self, app: NamedDependency[App], position: _Position, size: _Size = None) -> InclusionProof:
        """The proof that the event at a position is in the log of a size."""
        log, checkpoint = app.transparency, None
        if size is None:
            checkpoint = log.checkpoint()
            size = _size(checkpoint)
        proof = log.inclusion_proof(position, size)
        tile, within = divmod(position - 1, TILE_WIDTH)
        leaf = log.tile(0, tile, within + 1)[-HASH_BYTES:]
        return InclusionProof(
            position, position - 1, size, _encode(leaf), [*map(_encode, proof)], checkpoint or _signed(app, size)
        )

    @get("/proof/consistency", opt={"needs": "anonymous"}, sync_to_thread=True)
    def consistency(
        self,
        app: NamedDependency[App],
        old_size: Annotated[int, QueryParameter(name="from", ge=0)],
        new_size: Annotated[int | None, QueryParameter(name="to", ge=0)] = None,
    ) -> ConsistencyProof:
        """The proof that the log of a size continues that of an earlier size."""
        size = _size(app.transparency.checkpoint()) if new_size is None else new_size
        return ConsistencyProof(old_size, size, [*map(_encode, app.transparency.consistency_proof(old_size, size))])

    @get("/events", opt={"needs": "admin"}, sync_to_thread=True, media_type="application/x-ndjson")
    def events(
        self,
        app: NamedDependency[App],
        first: Annotated[int, QueryParameter(name="from", ge=1)] = 1,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = MAX_PAGE,
    ) -> Response[bytes]:
        """Events exactly as stored, from a position on, as lines of an audit bundle.

        Spans `limit` positions and may end earlier when events are large; empty when none of them is there.
        """
        return _lines(app.transparency.events(first - 1, first - 1 + limit))


def _tile(hashes: bytes, path: TilePath) -> Response[bytes]:
    cache = _FOREVER if path.width == TILE_WIDTH else _A_DAY
    return Response(hashes, media_type="application/octet-stream", headers={"cache-control": cache})


def _signed(app: App, size: int) -> str | None:
    try:
        return app.transparency.checkpoint_at(size)
    except NotInTheLog:
        return None


def _size(note: str) -> int:
    return parse_tree_head(parse_note(note.encode()).text).size


def _text(text: str, cache: str) -> Response[str]:
    return Response(text, media_type="text/plain", headers={"cache-control": cache})


def _lines(lines: Iterable[Line]) -> Response[bytes]:
    return Response(
        b"".join(map(format_line, lines)),
        media_type="application/x-ndjson",
        headers={"cache-control": "no-store"},
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
