"""Checking a log without trusting who keeps it: every event against its leaf hash, those against what was signed.

The check reads a bundle's lines once, in order, and holds one tile of them. Each fault is named by its positions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from domain.errors import Invalid
from domain.transparency.audit_report import MAX_FINDINGS, OF_SEVERAL, AuditReport, Fault, Findings
from domain.transparency.bundle import BundleMalformed, Garbled, Head, LeafHashes, Line, LoggedEvent, SignedCheckpoint
from domain.transparency.merkle import HASH_BYTES, CompactRange
from domain.transparency.notes import NoteVerifier, TreeHead, open_tree_head
from domain.transparency.tiles import TILE_WIDTH, width_at

MAX_OWED = 65_536
"""Missing events whose leaf hashes are remembered, in case they come later."""

MAX_EARLY = 4_096
MAX_QUEUED = 4_096


def audit(
    lines: Iterable[Line | Garbled],
    verifiers: Sequence[NoteVerifier],
    known: Iterable[TreeHead] = (),
    begin: CompactRange | None = None,
) -> AuditReport:
    """Check a bundle.

    verifiers: the keys that the auditor trusts. known: checkpoints that the auditor has kept from elsewhere or earlier;
    the log must contain each. begin: the tree before the first tile, when the bundle leaves out the tiles before it.
    Faults become findings, never errors; a bundle out of order beyond repair is one of them.
    """
    check = _Check(verifiers, known, begin or CompactRange())
    try:
        for line in lines:
            check.take(line)
            if check.findings.full:
                return check.report(complete=False)
    except BundleMalformed as error:
        check.findings.add(Fault.MALFORMED, 0, 0, str(error))
        return check.report(complete=False)
    return check.report(complete=True)


class _Window:
    """One tile: its leaf hashes as stored, and those of the events as they come."""

    def __init__(self, start: int, hashes: bytes) -> None:
        self.start = start
        self.stored = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        self.seen: list[bytes | None] = [None] * len(self.stored)
        self.end = start + len(self.stored)


class _Check:
    def __init__(self, verifiers: Sequence[NoteVerifier], known: Iterable[TreeHead], begin: CompactRange) -> None:
        self._known = deque(sorted(known, key=lambda head: head.size))
        if begin.size % TILE_WIDTH or (self._known and self._known[0].size < begin.size):
            raise Invalid("a check begins at the edge of a tile, before every checkpoint that it shall reach")
        self.findings = Findings()
        self._verifiers = verifiers
        self._head: TreeHead | None = None
        self._queued: list[TreeHead] = []
        self._window: _Window | None = None
        self._highest = begin.size
        self._early: dict[int, tuple[bytes, LoggedEvent]] = {}
        self._owed: dict[int, bytes] = {}
        self._suspects: list[tuple[int, int, str]] = []
        self._by_tiles = begin.copy()
        # The tree by events: None while it is the same as by stored leaf hashes, or unknown because one is missing.
        self._by_events: CompactRange | None = None
        self._gap = False
        self._proven = 0
        self._unmatched: TreeHead | None = None
        self._events = self._checkpoints = 0
        self._until: datetime | None = None

    def take(self, line: Line | Garbled) -> None:
        """Check one line. Raises BundleMalformed when no further line can be understood."""
        if isinstance(line, LoggedEvent):
            self._event(line)
        elif isinstance(line, LeafHashes):
            self._tile(line)
        elif isinstance(line, SignedCheckpoint):
            self._checkpoint(line)
        elif isinstance(line, Head):
            self._begin(line)
        else:
            self.findings.add(Fault.MALFORMED, 0, 0, f"line {line.number}: {line.detail}")

    def report(self, *, complete: bool) -> AuditReport:
        """Draw the conclusions."""
        self._close_window()
        self._settle(Fault.ALTERED)
        if self._head is None:
            self.findings.add(Fault.MALFORMED, 0, 0, "there is no head to check against")
        else:
            self._conclude(self._head, complete=complete)
        return AuditReport(
            self._head, self._proven, self._events, self._checkpoints, self._until, tuple(self.findings), complete
        )

    def _conclude(self, head: TreeHead, *, complete: bool) -> None:
        for position in sorted(position for position in self._owed if position <= self._highest):
            self.findings.add(Fault.MISSING, position, position, f"event {position} is not there")
        first = self._highest + 1
        if complete and first <= head.size:
            detail = f"events {first} to {head.size} are signed for and not given"
            self.findings.add(Fault.TRUNCATED, first, head.size, detail)
        if self._unmatched is not None:
            first, last = self._proven + 1, self._unmatched.size
            since = f"history diverges after checkpoint {self._proven}" if self._proven else "no checkpoint agrees"
            detail = f"the leaf hashes of events {first} to {last} do not lead to checkpoint {last}: {since}"
            self.findings.add(Fault.DIVERGED, first, last, detail)
        for other in (*self._known, *self._queued):
            if other.size > head.size:
                detail = f"a checkpoint over {other.size} events was signed, and now the log shows {head.size}"
                self.findings.add(Fault.ROLLED_BACK, head.size + 1, other.size, detail)

    # What was signed

    def _begin(self, line: Head) -> None:
        if self._head is not None:
            raise BundleMalformed("the bundle has a second head")
        self._head = self._open(line.note)
        if self._head is None:
            raise BundleMalformed("the head of the bundle is not signed by a trusted key")
        if self._head.size < self._by_tiles.size:
            raise BundleMalformed("the bundle ends before the check begins")
        self._judge_reached()

    def _checkpoint(self, line: SignedCheckpoint) -> None:
        head = self._open(line.note)
        if head is None:
            return
        reached = self._window.end if self._window else self._by_tiles.size
        if head.size <= reached or len(self._queued) >= MAX_QUEUED:
            raise BundleMalformed(f"checkpoint {head.size} does not stand before the leaf hashes that it covers")
        self._queued.append(head)

    def _open(self, note: str) -> TreeHead | None:
        self._checkpoints += 1
        try:
            return open_tree_head(note.encode(), self._verifiers)
        except (Invalid, UnicodeEncodeError) as error:
            self.findings.add(Fault.UNSIGNED, 0, 0, f"a checkpoint cannot be trusted: {error}")
            return None

    # Events and their leaf hashes

    def _tile(self, line: LeafHashes) -> None:
        self._close_window()
        if self._head is None:
            raise BundleMalformed("the bundle does not begin with its head")
        start = self._by_tiles.size
        index = start // TILE_WIDTH
        width = width_at(0, index, self._head.size)
        if line.index != index or len(line.hashes) != width * HASH_BYTES or not width or start % TILE_WIDTH:
            raise BundleMalformed(f"leaf hashes of tile {line.index} stand where {width} of tile {index} belong")
        self._window = _Window(start, line.hashes)
        for position in range(start + 1, self._window.end + 1):
            if position in self._early:
                leaf, event = self._early.pop(position)
                self._reordered(event)
                self._place(self._window, leaf, event)

    def _event(self, event: LoggedEvent) -> None:
        self._events += 1
        position, window = event.position, self._window
        if self._head is None:
            raise BundleMalformed("the bundle does not begin with its head")
        leaf = _leaf(event)
        if position > self._head.size:
            self.findings.add(Fault.SURPLUS, position, position, f"no checkpoint covers {event}")
        elif window is None or position > window.end:
            self._keep(leaf, event)
        elif position > window.start:
            self._place(window, leaf, event)
        elif position not in self._owed:
            self._duplicated(event)
        elif self._owed.pop(position) == leaf:
            self._reordered(event)
        else:
            self.findings.add(Fault.ALTERED, position, position, f"{event} is not the event that was signed for")

    def _keep(self, leaf: bytes, event: LoggedEvent) -> None:
        """Hold an event that came before its leaf hashes."""
        if event.position in self._early or event.position <= self._by_tiles.size:
            self._duplicated(event)
        elif len(self._early) < MAX_EARLY:
            self._early[event.position] = (leaf, replace(event, state=b""))
        else:
            raise BundleMalformed(f"the leaf hashes of event {min(self._early)} do not stand before it")

    def _place(self, window: _Window, leaf: bytes, event: LoggedEvent) -> None:
        number = event.position - window.start - 1
        if window.seen[number] is not None:
            self._duplicated(event)
            return
        window.seen[number] = leaf
        if leaf != window.stored[number]:
            self._suspect(event)
        if event.position < self._highest:
            self._reordered(event)
        else:
            self._highest, self._until = event.position, event.recorded_at

    def _close_window(self) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        for number, (stored, seen) in enumerate(zip(window.stored, window.seen, strict=True), 1):
            if seen is None:
                self._owe(window.start + number, stored)
                self._gap = True
            elif seen != stored and self._by_events is None and not self._gap:
                self._by_events = self._by_tiles.copy()
            if self._by_events is not None and not self._gap:
                self._by_events.append(seen or b"")
            self._by_tiles.append(stored)
            self._judge_reached()

    def _owe(self, position: int, leaf: bytes) -> None:
        if len(self._owed) < MAX_OWED:
            self._owed[position] = leaf
        else:
            self.findings.add(Fault.MISSING, position, position, f"event {position} is not there")

    # Judging

    def _judge_reached(self) -> None:
        """Compare with every checkpoint of the size reached now."""
        size = self._by_tiles.size
        while self._known and self._known[0].size == size:
            self._judge(self._known.popleft())
        if self._queued:
            for head in [head for head in self._queued if head.size == size]:
                self._queued.remove(head)
                self._judge(head)
        if self._head is not None and self._head.size == size:
            self._judge(self._head)

    def _judge(self, head: TreeHead) -> None:
        if self._by_tiles.root() == head.root:
            self._settle(Fault.ALTERED)
        elif self._by_events is not None and not self._gap and self._by_events.root() == head.root:
            self._settle(Fault.LEAF_HASH)
            self._by_tiles = self._by_events
        elif 0 < head.size == self._proven:
            self._forked(head, head)
            return
        else:
            self._unmatched = self._unmatched or head
            return
        if self._unmatched is not None:
            self._forked(self._unmatched, head)
        self._unmatched = self._by_events = None
        self._gap = False
        self._proven = head.size

    def _forked(self, other: TreeHead, head: TreeHead) -> None:
        detail = (
            f"a checkpoint over {other.size} events was signed for another history than the one that checkpoint "
            f"{head.size} covers: they part after event {min(self._proven, other.size - 1)} at the earliest"
        )
        self.findings.add(Fault.FORKED, min(self._proven + 1, other.size), other.size, detail)

    def _settle(self, fault: Fault) -> None:
        """Say of the events that differ from their stored leaf hashes which of the two is wrong."""
        for first, last, text in self._suspects:
            detail = f"{text} is not the event that was signed for"
            if fault is Fault.LEAF_HASH:
                detail = f"the stored leaf hash of {text} was altered; the event itself is the one that was signed for"
            if first != last:
                detail = f"events {first} to {last}: {OF_SEVERAL[fault]}"
            self.findings.add(fault, first, last, detail)
        self._suspects.clear()

    def _suspect(self, event: LoggedEvent) -> None:
        position = event.position
        if self._suspects and self._suspects[-1][1] + 1 == position:
            first, _, text = self._suspects[-1]
            self._suspects[-1] = (first, position, text)
        elif len(self._suspects) < MAX_FINDINGS:
            self._suspects.append((position, position, str(event)))
        else:
            raise BundleMalformed("too many events differ from their leaf hashes")

    def _reordered(self, event: LoggedEvent) -> None:
        self.findings.add(Fault.REORDERED, event.position, event.position, f"{event} does not stand in its place")

    def _duplicated(self, event: LoggedEvent) -> None:
        self.findings.add(Fault.DUPLICATED, event.position, event.position, f"{event} is there more than once")


def _leaf(event: LoggedEvent) -> bytes:
    try:
        return event.leaf()
    except Invalid:
        return b""  # no log can hold it, so it is altered: no hash is empty
