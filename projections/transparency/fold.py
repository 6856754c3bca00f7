"""Grows the tree by every event and signs what it has become.

The stored tiles are the tree as of the last flush, no more and no less. What came since is in memory, and is read again
from the log after a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from psycopg import Cursor

from application.audit.transparency import CheckpointSigner
from application.log import Recorded
from domain.errors import Conflict, RegistryError
from domain.transparency.bundle import LoggedEvent
from domain.transparency.merkle import HASH_BYTES
from domain.transparency.notes import NoteVerifier, TreeHead, format_tree_head, open_tree_head, sign_note
from domain.transparency.tiles import TILE_WIDTH, Tile, TiledTree
from projections.projection import Projection, Row

_log = logging.getLogger(__name__)

FLUSH_EVENTS = 1_000
FLUSH_SECONDS = 1.0

_MAX_LEVELS = 8
_PAGE = 5_000

_EDGE = (
    "SELECT t.level, t.idx, t.width, t.hashes FROM generate_series(0, %s) AS l (level), LATERAL "
    "(SELECT level, idx, width, hashes FROM log_tile WHERE level = l.level ORDER BY idx DESC LIMIT 1) AS t "
    "ORDER BY t.level"
)
_EVENTS = (
    "SELECT notification_id, originator_id, originator_version, repository, topic, recorded_at, state FROM es_events "
    "WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id LIMIT %s"
)
_LEAVES = "SELECT hashes FROM log_tile WHERE level = 0 AND idx >= %s AND idx <= %s ORDER BY idx"
_STORE = (
    "INSERT INTO log_tile (level, idx, width, hashes) "
    "SELECT * FROM unnest(%b::smallint[], %b::bigint[], %b::smallint[], %b::bytea[]) "
    "ON CONFLICT (level, idx) DO UPDATE SET width = excluded.width, hashes = excluded.hashes"
)
_SIGN = (
    "WITH key AS (INSERT INTO log_key (verifier_key, since) VALUES (%s, %s) ON CONFLICT DO NOTHING) "
    "INSERT INTO log_checkpoint (size, root, note) VALUES (%s, %s, %s)"
)


class HistoryDiverged(Conflict):
    """The events no longer lead to a checkpoint that was signed. Nothing more is signed until an operator decides."""


class Transparency(Projection):
    """The tree and its checkpoints.

    Never signs a tree that does not continue what was signed before: whatever is loaded is compared with the last
    checkpoint, whatever is appended with every checkpoint that it passes. A log whose past was altered stops being
    signed. Emptying `log_tile` and setting the position back to 0 lets the tiles be made anew, under the same checks.
    """

    name = "transparency"
    rebuildable = False
    tables = ("log_tile",)
    on_poison = "halt"
    linger_seconds = 0.1

    def __init__(
        self,
        signer: CheckpointSigner,
        former_keys: Sequence[NoteVerifier] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """former_keys: whose checkpoints this log signed before its key changed. clock: seconds, never going back."""
        self._signer = signer
        self._keys = (signer, *former_keys)
        self._clock = clock
        self._tree: TiledTree | None = None
        self._full: list[Tile] = []
        self._stored_size = 0
        self._signed_size = -1
        self._flushed_at = float("-inf")
        self._complaint = ""

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """See Projection. Raises HistoryDiverged."""
        tree = self._tree_at(cursor, events[0].position - 1)
        logged = [_logged(event) for event in events]
        if logged[0].position <= tree.size:  # folded before, and the position was set back since
            self._compare(cursor, [event for event in logged if event.position <= tree.size])
        self._append(cursor, tree, [event for event in logged if event.position > tree.size])
        self._flush_when_due(cursor, tree)

    def idle(self, cursor: Cursor[Row], position: int) -> None:
        """See Projection. Signs what is left over when the log falls silent; an empty log too.

        What cannot be signed is logged here and halts the projection at the next event.
        """
        try:
            tree = self._tree_at(cursor, position)
            if position < self._signed_size:
                raise HistoryDiverged(f"the log ends at event {position}, and {self._signed_size} were signed for")
            self._flush_when_due(cursor, tree)
        except RegistryError as error:
            self._tree = None
            if str(error) != self._complaint:
                _log.error("the log is not signed any more: %s", error)
            self._complaint = str(error)

    def _tree_at(self, cursor: Cursor[Row], position: int) -> TiledTree:
        """The tree of at least `position` leaves: the one in memory unless its transaction was rolled back."""
        if self._tree is not None and self._tree.size == position:
            return self._tree
        tree = self._tree = self._load(cursor)
        while tree.size < position:
            rows = cursor.execute(_EVENTS, (tree.size, position, _PAGE), prepare=True, binary=True).fetchall()
            if not rows:
                raise HistoryDiverged(f"event {tree.size + 1} is not in the log")
            self._append(cursor, tree, [LoggedEvent(*row) for row in rows])
            if len(rows) == _PAGE:  # far behind: a flush is due at the end anyway, and memory is bounded until then
                self._store(cursor, self._full)
                self._full = []
        return tree

    def _load(self, cursor: Cursor[Row]) -> TiledTree:
        self._full = []
        open_tiles = [b""] * _MAX_LEVELS
        size = 0
        for level, index, width, hashes in cursor.execute(_EDGE, (_MAX_LEVELS - 1,), prepare=True, binary=True):
            if level == 0:
                size = index * TILE_WIDTH + width
            if width < TILE_WIDTH:
                open_tiles[level] = hashes
        tree = TiledTree(size, open_tiles)
        self._stored_size = size
        latest = cursor.execute("SELECT size, note FROM log_checkpoint ORDER BY size DESC LIMIT 1", prepare=True)
        self._signed_size = -1
        for signed_size, note in latest:
            head = open_tree_head(note.encode(), self._keys)
            self._signed_size = signed_size
            if head.size != signed_size or (head.size == size and head.root != tree.root()):
                raise HistoryDiverged(f"the stored tree of {size} events is not the one that was signed")
        return tree

    def _compare(self, cursor: Cursor[Row], events: Sequence[LoggedEvent]) -> None:
        """Events that have leaves already must still be those."""
        first, last = (events[at].position - 1 for at in (0, -1))
        rows = cursor.execute(_LEAVES, (first // TILE_WIDTH, last // TILE_WIDTH), prepare=True, binary=True).fetchall()
        stored = b"".join(hashes for (hashes,) in rows)
        for event in events:
            at = (event.position - 1 - first + first % TILE_WIDTH) * HASH_BYTES
            if event.leaf() != stored[at : at + HASH_BYTES]:
                raise HistoryDiverged(f"event {event.position} is not the one that was signed for")

    def _append(self, cursor: Cursor[Row], tree: TiledTree, events: Sequence[LoggedEvent]) -> None:
        """Add leaves, stopping at each size that was signed before to compare."""
        for number, event in enumerate(events, tree.size + 1):
            if event.position != number:
                raise HistoryDiverged(f"event {number} is not in the log")
        leaves = [event.leaf() for event in events]
        base, done = tree.size, 0
        for size, root in self._signed_within(cursor, base, base + len(leaves)):
            self._full += tree.extend(leaves[done : size - base])
            done = size - base
            if tree.root() != root:
                raise HistoryDiverged(
                    f"the events up to {size} are not those of the checkpoint that was signed for them"
                )
        self._full += tree.extend(leaves[done:])

    def _signed_within(self, cursor: Cursor[Row], after: int, until: int) -> Sequence[Row]:
        if after >= self._signed_size:
            return ()
        return cursor.execute(
            "SELECT size, root FROM log_checkpoint WHERE size > %s AND size <= %s ORDER BY size", (after, until)
        ).fetchall()

    def _flush_when_due(self, cursor: Cursor[Row], tree: TiledTree) -> None:
        unsigned = tree.size > self._signed_size
        if not unsigned and tree.size == self._stored_size:
            return
        enough = tree.size - self._stored_size >= FLUSH_EVENTS
        if not enough and self._clock() - self._flushed_at < FLUSH_SECONDS:
            return
        self._store(cursor, [*self._full, *tree.open_tiles()])
        if unsigned:
            self._sign(cursor, TreeHead(self._signer.name, tree.size, tree.root()))
        # Whether this is committed is for the runner to see: forget, and read what is stored the next time.
        self._tree = None
        self._flushed_at = self._clock()

    def _store(self, cursor: Cursor[Row], tiles: Sequence[Tile]) -> None:
        columns = (
            [tile.level for tile in tiles],
            [tile.index for tile in tiles],
            [tile.width for tile in tiles],
            [tile.hashes for tile in tiles],
        )
        cursor.execute(_STORE, columns, prepare=True)

    def _sign(self, cursor: Cursor[Row], head: TreeHead) -> None:
        cursor.execute("SET LOCAL synchronous_commit = on")  # nobody may see a checkpoint that a crash takes back
        note = sign_note(format_tree_head(head), [self._signer])
        cursor.execute(_SIGN, (self._signer.verifier_key, head.size, head.size, head.root, note), prepare=True)


def _logged(event: Recorded) -> LoggedEvent:
    return LoggedEvent(
        event.position, event.stream, event.version, event.repository, event.topic, event.at, event.state
    )
