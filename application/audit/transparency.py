"""The transparency log as the rest of the registry sees it: what signs it, what can be asked of it, its bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from domain.errors import Invalid, NotFound
from domain.transparency.bundle import BundleMalformed, Garbled, Head, LeafHashes, Line, LoggedEvent, SignedCheckpoint
from domain.transparency.notes import NoteSigner, NoteVerifier, parse_note, parse_tree_head
from domain.transparency.tiles import TILE_WIDTH, TileReader, width_at

MAX_PAGE = 1_024
"""Positions that one page of events spans."""

CHECKPOINT_SPAN = 16_384
"""How many events a listing of checkpoints may span; there may be one for each."""


class NotInTheLog(NotFound):
    """A size, a tile or a position that no signed checkpoint reaches yet."""


class CheckpointSigner(NoteSigner, NoteVerifier, Protocol):
    """The log's own key. Its name is the log's origin."""

    @property
    def verifier_key(self) -> str:
        """The public half as text, for auditors to pin."""


class AuditedLog(TileReader, Protocol):
    """A log as an auditor sees it, here or across the network."""

    def checkpoint(self) -> str:
        """The latest signed checkpoint."""

    def verifier_key(self) -> str:
        """The key that signed the latest checkpoint, as text. An auditor compares it with the one pinned before."""

    def checkpoints(self, after: int, until: int, *, spread: bool = False) -> Sequence[str]:
        """Signed checkpoints of more than `after` and at most `until` events, by size.

        spread: only the largest one within each tile. Raises Invalid for more than CHECKPOINT_SPAN at once.
        """

    def events(self, after: int, until: int) -> Sequence[LoggedEvent | Garbled]:
        """Events above position `after`, up to `until`, as they are stored now, checkpoint or not.

        One page: it spans at most MAX_PAGE positions, and ends early when the events are large. Nothing is there only
        when the answer is empty.
        """


class TransparencyLog(AuditedLog, Protocol):
    """What can be asked. Sizes and positions beyond the latest checkpoint raise NotInTheLog."""

    def checkpoint_at(self, size: int) -> str:
        """The signed checkpoint of exactly this size."""

    def entries(self, index: int, width: int) -> bytes:
        """An entry bundle: the first `width` entries beside tile `index` of level 0, each after its 16-bit length.

        Computed from the events as they are stored now. Source: https://c2sp.org/tlog-tiles#log-entries
        """

    def inclusion_proof(self, position: int, size: int) -> Sequence[bytes]:
        """The hashes that lead from the event's leaf to the root at `size`."""

    def consistency_proof(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """The hashes that show the tree at `new_size` to continue the tree at `old_size`."""

    def events(self, after: int, until: int) -> Sequence[LoggedEvent]:
        """See AuditedLog."""


def bundle_of(log: AuditedLog, head: Head, first_tile: int = 0, *, spread: bool = True) -> Iterator[Line | Garbled]:
    """The audit bundle of a log up to a head, read tile by tile.

    Leaves out the tiles before `first_tile`. spread: one checkpoint for each tile at most. Raises BundleMalformed when
    the log does not give what its own checkpoint covers; Unavailable and the like pass.
    """
    yield head
    size = _size_of(head.note)
    notes: dict[int, list[str]] = {}
    for index in range(first_tile, -(-size // TILE_WIDTH)):
        start = index * TILE_WIDTH
        if index == first_tile or start % CHECKPOINT_SPAN == 0:
            until = min(start + CHECKPOINT_SPAN - start % CHECKPOINT_SPAN, size)
            notes = _by_tile(log.checkpoints(start, until, spread=spread))
        yield from (SignedCheckpoint(note=note) for note in notes.get(index, ()))
        width = width_at(0, index, size)
        try:
            yield LeafHashes(index=index, hashes=log.tile(0, index, width))
        except NotFound as error:
            raise BundleMalformed(f"the log does not give its leaf hashes: {error}") from error
        yield from _events(log, start, start + width)


def _events(log: AuditedLog, after: int, until: int) -> Iterator[LoggedEvent | Garbled]:
    """Page through a range; ends when the log gives nothing further, whatever it gives."""
    while after < until:
        page = log.events(after, until)
        yield from page
        last = max((event.position for event in page if isinstance(event, LoggedEvent)), default=until)
        if last <= after:
            return
        after = last


def _by_tile(notes: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for note in notes:
        found.setdefault((_size_of(note) - 1) // TILE_WIDTH, []).append(note)
    return found


def _size_of(note: str) -> int:
    try:
        return parse_tree_head(parse_note(note.encode()).text).size
    except (Invalid, UnicodeEncodeError) as error:
        raise BundleMalformed(f"the log gives a checkpoint that is none: {error}") from error
