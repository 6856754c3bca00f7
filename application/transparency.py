"""The transparency log as the rest of the registry sees it: what signs it, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.bundle import LoggedEvent
from domain.errors import NotFound
from domain.notes import NoteSigner, NoteVerifier
from domain.tiles import TileReader

MAX_PAGE = 1_000
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


class TransparencyLog(TileReader, Protocol):
    """What can be asked. Sizes and positions beyond the latest checkpoint raise NotInTheLog."""

    def checkpoint(self) -> str:
        """The latest signed checkpoint."""

    def verifier_key(self) -> str:
        """The key that signed the latest checkpoint, as text. An auditor compares it with the one pinned before."""

    def checkpoint_at(self, size: int) -> str:
        """The signed checkpoint of exactly this size."""

    def checkpoints(self, after: int, until: int, *, spread: bool = False) -> Sequence[str]:
        """Signed checkpoints of more than `after` and at most `until` events, by size.

        spread: only the largest one within each tile. Raises Invalid for more than CHECKPOINT_SPAN at once.
        """

    def entries(self, index: int, width: int) -> bytes:
        """An entry bundle: the first `width` entries beside tile `index` of level 0, each after its 16-bit length.

        Computed from the events as they are stored now. Source: https://c2sp.org/tlog-tiles#log-entries
        """

    def inclusion_proof(self, position: int, size: int) -> Sequence[bytes]:
        """The hashes that lead from the event's leaf to the root at `size`."""

    def consistency_proof(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """The hashes that show the tree at `new_size` to continue the tree at `old_size`."""

    def events(self, after: int, until: int) -> Sequence[LoggedEvent]:
        """Events above position `after`, up to `until`, as they are stored now, checkpoint or not.

        One page: it spans at most MAX_PAGE positions, and ends early when the events are large. Nothing is there only
        when the answer is empty.
        """
