"""What provability costs, as ratios to plainly hashing the same entries; medians of interleaved rounds."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from benchmarks.figures import Figure, microseconds, rate
from domain.transparency.bundle import Head, LeafHashes, Line, LoggedEvent, SignedCheckpoint, format_line, read_lines
from domain.transparency.bundle_audit import audit
from domain.transparency.merkle import leaf_hash, verify_consistency, verify_inclusion
from domain.transparency.notes import TreeHead, format_tree_head, parse_verifier_key, sign_note
from domain.transparency.tiles import Tile, TiledTree, consistency_proof, inclusion_proof
from infrastructure.signing.ed25519 import Ed25519Signer, Ed25519Verifier

EVENTS = 100_000
BATCH = 1_000
ROUNDS = 5
STATE_BYTES = 440
KEY = Ed25519Signer.generate("registry.example/log")
VERIFIER = Ed25519Verifier(parse_verifier_key(KEY.verifier_key))


class Row(NamedTuple):
    """limit: the least that the ratio may be."""

    name: str
    work: Callable[[], object]
    limit: float


def figures() -> Iterator[Figure]:
    """Trees and audits against plain hashing, then single proofs."""
    logged = events(EVENTS)
    entries = [event.entry() for event in logged]
    bundle = bundle_of(logged)
    rows = [
        Row("leaves, tiles, root per 1,000", lambda: grow([leaf_hash(entry) for entry in entries]), 0.2),
        Row("events to entries to tree", lambda: grow([event.leaf() for event in logged]), 0.1),
        Row("audit of a bundle, parsed and proven", lambda: check(bundle), 0.03),
    ]
    plain = Row("plain SHA-256 of the entries", lambda: [sha256(entry).digest() for entry in entries], 1)
    samples = {row.name: [seconds(row.work)] for row in (plain, *rows)}
    for _ in range(ROUNDS - 1):
        for row in (plain, *rows):
            samples[row.name].append(seconds(row.work))
    least = statistics.median(samples[plain.name])
    for row in rows:
        taken = statistics.median(samples[row.name])
        yield Figure(
            f"proofs: {row.name}, of {plain.name}", rate(EVENTS / taken), rate(EVENTS / least), least / taken,
            least=row.limit,
        )  # fmt: skip
    yield from proofs(logged)


def events(count: int) -> list[LoggedEvent]:
    """Events of the usual size."""
    start = datetime(2026, 3, 3, tzinfo=UTC)
    return [
        LoggedEvent(
            position,
            UUID(int=position),
            1,
            UUID(int=1),
            "artifact.published",
            start + timedelta(milliseconds=position),
            (b'{"n":%d}' % position).ljust(STATE_BYTES),
        )
        for position in range(1, count + 1)
    ]


def grow(leaves: list[bytes]) -> TiledTree:
    """A tree by batches, with a root after each."""
    tree = TiledTree()
    for start in range(0, len(leaves), BATCH):
        tree.extend(leaves[start : start + BATCH])
        tree.root()
    return tree


def bundle_of(logged: Sequence[LoggedEvent]) -> bytes:
    """The audit bundle with a checkpoint per 1,000 events."""
    tree = TiledTree()
    notes: dict[int, str] = {}
    leaves = [event.leaf() for event in logged]
    for start in range(0, len(leaves), BATCH):
        tree.extend(leaves[start : start + BATCH])
        head = format_tree_head(TreeHead(KEY.name, tree.size, tree.root()))
        notes[tree.size] = sign_note(head, [KEY])
    lines: list[Line] = [Head(note=notes[tree.size])]
    for start in range(0, len(leaves), 256):
        lines += [SignedCheckpoint(note=notes[size]) for size in notes if start < size <= start + 256]
        lines.append(LeafHashes(index=start // 256, hashes=b"".join(leaves[start : start + 256])))
        lines += logged[start : start + 256]
    return b"".join(map(format_line, lines))


def check(bundle: bytes) -> None:
    """Audit it."""
    assert audit(read_lines(io.BytesIO(bundle)), [VERIFIER]).verified


class Tiles(dict[tuple[int, int], bytes]):
    """Tiles in memory."""

    def keep(self, tiles: Sequence[Tile]) -> None:
        """Take them."""
        self.update({(tile.level, tile.index): tile.hashes for tile in tiles})

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See TileReader."""
        return self[level, index][: width * 32]


def proofs(logged: Sequence[LoggedEvent]) -> Iterator[Figure]:
    """What one proof costs, made and verified, without storage; and a signature."""
    leaves = [event.leaf() for event in logged]
    tree, tiles, size = TiledTree(), Tiles(), len(leaves)
    tiles.keep(tree.extend(leaves))
    tiles.keep(tree.open_tiles())
    root, index, old = tree.root(), size // 3, size // 2 + 1
    older = grow(leaves[:old]).root()
    inclusion, consistency = inclusion_proof(tiles, index, size), consistency_proof(tiles, old, size)
    text = format_tree_head(TreeHead(KEY.name, size, root))
    signature = KEY.sign(text.encode())
    for name, work in {
        "make an inclusion proof": lambda: inclusion_proof(tiles, index, size),
        "verify it": lambda: verify_inclusion(index, size, leaves[index], inclusion, root),
        "make a consistency proof": lambda: consistency_proof(tiles, old, size),
        "verify it too": lambda: verify_consistency(old, older, size, root, consistency),
        "sign a checkpoint": lambda: sign_note(text, [KEY]),
        "verify its signature": lambda: VERIFIER.verify(text.encode(), signature),
    }.items():
        taken = statistics.median(seconds(work) for _ in range(200))
        yield Figure(f"proofs: {name}", microseconds(taken), "", taken * 1e6, " us")


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
