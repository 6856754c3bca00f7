"""A transparency log in memory, signed with a key that hashes."""

from collections.abc import Iterable, Sequence

from application.audit.transparency import CHECKPOINT_SPAN, MAX_PAGE, NotInTheLog
from domain.errors import Invalid
from domain.transparency.bundle import LoggedEvent
from domain.transparency.notes import VerifierKey
from domain.transparency.tiles import consistency_proof, inclusion_proof
from tests.fakes.bundles import KEY, head_of, signed
from tests.fakes.tiles import MemoryTiles


class MemoryLog:
    """Signed at `sizes` and at the end. `stored` may be changed afterwards: what is signed stays."""

    def __init__(self, logged: Sequence[LoggedEvent], sizes: Iterable[int] = ()) -> None:
        self.stored = list(logged)
        self.leaves = [event.leaf() for event in logged]
        self.notes = {size: signed(head_of(self.leaves, size)) for size in sorted({*sizes, len(logged)})}
        self.tiles = MemoryTiles(self.leaves)
        self.page = MAX_PAGE

    def tile(self, level: int, index: int, width: int) -> bytes:
        return self.tiles.tile(level, index, width)

    def checkpoint(self) -> str:
        return self.notes[max(self.notes)]

    def verifier_key(self) -> str:
        return str(VerifierKey(KEY.name, b"k" * 32))

    def checkpoint_at(self, size: int) -> str:
        if size not in self.notes:
            raise NotInTheLog(f"no checkpoint of {size} events was signed")
        return self.notes[size]

    def checkpoints(self, after: int, until: int, *, spread: bool = False) -> list[str]:
        if not 0 <= until - after <= CHECKPOINT_SPAN:
            raise Invalid("too many")
        found = {size: note for size, note in self.notes.items() if after < size <= until}
        if spread:
            found = {(size - 1) // 256: note for size, note in found.items()}
        return list(found.values())

    def entries(self, index: int, width: int) -> bytes:
        self._require(index * 256 + width)
        entries = [event.entry() for event in self.events(index * 256, index * 256 + width)]
        return b"".join(len(entry).to_bytes(2) + entry for entry in entries)

    def inclusion_proof(self, position: int, size: int) -> list[bytes]:
        self._require(max(position, size))
        return inclusion_proof(self, position - 1, size)

    def consistency_proof(self, old_size: int, new_size: int) -> list[bytes]:
        self._require(new_size)
        return consistency_proof(self, old_size, new_size)

    def events(self, after: int, until: int) -> list[LoggedEvent]:
        return [event for event in self.stored if after < event.position <= until][: self.page]

    def _require(self, size: int) -> None:
        if size > max(self.notes):
            raise NotInTheLog(f"the log has no checkpoint of {size} events yet")
