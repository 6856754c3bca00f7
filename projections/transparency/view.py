"""Queries over the transparency log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from psycopg import Connection

from application.audit.transparency import CHECKPOINT_SPAN, MAX_PAGE, NotInTheLog
from domain.errors import Invalid
from domain.transparency.bundle import LoggedEvent
from domain.transparency.merkle import HASH_BYTES
from domain.transparency.notes import parse_note, parse_verifier_key
from domain.transparency.tiles import TILE_WIDTH, consistency_proof, inclusion_proof
from projections.projection import Row

Connect = Callable[[], AbstractContextManager[Connection[Row]]]

MAX_PAGE_BYTES = 8 << 20
"""Where a page of large events ends early."""

_LARGEST = (1 << 63) - 1
_EVENTS = """
    SELECT notification_id, originator_id, originator_version, repository, topic, recorded_at, state FROM (
        SELECT page.*, sum(octet_length(state)) OVER (ORDER BY notification_id) - octet_length(state) AS before
        FROM es_events AS page WHERE notification_id > %s AND notification_id <= %s
    ) AS measured WHERE before < %s ORDER BY notification_id
"""
_CHECKPOINTS = "SELECT note FROM log_checkpoint WHERE size > %s AND size <= %s ORDER BY size"
_SPREAD = (
    "SELECT DISTINCT ON ((size - 1) / 256) note FROM log_checkpoint WHERE size > %s AND size <= %s "
    "ORDER BY (size - 1) / 256, size DESC"
)


class TransparencyView:
    """The TransparencyLog port over the tables of the transparency projection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def checkpoint(self) -> str:
        """See TransparencyLog."""
        rows = self._rows("SELECT note FROM log_checkpoint ORDER BY size DESC LIMIT 1", ())
        if not rows:
            raise NotInTheLog("no checkpoint has been signed yet")
        note: str = rows[0][0]
        return note

    def verifier_key(self) -> str:
        """See TransparencyLog."""
        signed = {(line.name, line.key_id) for line in parse_note(self.checkpoint().encode()).signatures}
        for (text,) in self._rows("SELECT verifier_key FROM log_key ORDER BY since DESC", ()):
            key = parse_verifier_key(text)
            if (key.name, key.key_id) in signed:
                return str(key)
        raise NotInTheLog("the key of the latest checkpoint is not known here")

    def checkpoint_at(self, size: int) -> str:
        """See TransparencyLog."""
        rows = self._rows("SELECT note FROM log_checkpoint WHERE size = %s", (min(size, _LARGEST),))
        if not rows:
            raise NotInTheLog(f"no checkpoint of {size} events was signed")
        note: str = rows[0][0]
        return note

    def checkpoints(self, after: int, until: int, *, spread: bool = False) -> list[str]:
        """See TransparencyLog."""
        if not 0 <= until - after <= CHECKPOINT_SPAN or until > _LARGEST or after < -1:
            raise Invalid(f"checkpoints are listed for at most {CHECKPOINT_SPAN} events at once")
        return [note for (note,) in self._rows(_SPREAD if spread else _CHECKPOINTS, (after, until))]

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See TransparencyLog."""
        rows = self._rows(
            "SELECT substring(hashes FROM 1 FOR %s) FROM log_tile WHERE level = %s::int AND idx = %s AND width >= %s",
            (width * HASH_BYTES, level, min(index, _LARGEST), width),
        )
        if not rows:
            raise NotInTheLog(f"tile {level}/{index} does not hold {width} hashes yet")
        hashes: bytes = rows[0][0]
        return hashes

    def entries(self, index: int, width: int) -> bytes:
        """See TransparencyLog."""
        start = index * TILE_WIDTH
        self._require(start + width)
        events: list[LoggedEvent] = []
        while more := self.events(events[-1].position if events else start, start + width):
            events += more
        if [event.position for event in events] != list(range(start + 1, start + width + 1)):
            raise NotInTheLog(f"not all events from {start + 1} to {start + width} are there")
        return b"".join(len(entry).to_bytes(2) + entry for entry in map(LoggedEvent.entry, events))

    def inclusion_proof(self, position: int, size: int) -> list[bytes]:
        """See TransparencyLog."""
        self._require(max(position, size))
        return inclusion_proof(self, position - 1, size)

    def consistency_proof(self, old_size: int, new_size: int) -> list[bytes]:
        """See TransparencyLog."""
        self._require(new_size)
        return consistency_proof(self, old_size, new_size)

    def events(self, after: int, until: int) -> list[LoggedEvent]:
        """See TransparencyLog."""
        last = min(until, after + MAX_PAGE, _LARGEST)
        return [LoggedEvent(*row) for row in self._rows(_EVENTS, (min(after, _LARGEST), last, MAX_PAGE_BYTES))]

    def _require(self, size: int) -> None:
        """Refuse sizes that nothing was signed for."""
        if not self._rows("SELECT 1 FROM log_checkpoint WHERE size >= %s LIMIT 1", (min(size, _LARGEST),)):
            raise NotInTheLog(f"the log has no checkpoint of {size} events yet")

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[Row]:
        with self._connect() as connection:
            return connection.execute(query, parameters, prepare=True, binary=True).fetchall()
