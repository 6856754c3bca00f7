"""What provability costs, as ratios to plainly hashing the same entries, all in one run.

    python -m benchmarks.merkle [--events 100000]

Each ratio says how much of the speed of the first line is left; medians of interleaved rounds. A line that misses its
limit is marked, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg

from application.log import Recorded
from domain.bundle import Head, LeafHashes, Line, LoggedEvent, SignedCheckpoint, format_line, read_lines
from domain.bundle_audit import audit
from domain.event import SYSTEM, Unknown
from domain.merkle import leaf_hash, verify_consistency, verify_inclusion
from domain.notes import TreeHead, format_tree_head, parse_verifier_key, sign_note
from domain.tiles import Tile, TiledTree, consistency_proof, inclusion_proof
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.migrate import migrate
from infrastructure.signing.ed25519 import Ed25519Signer, Ed25519Verifier
from projections.transparency.fold import Transparency

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="size of the log (default: %(default)s)")
    count = parser.parse_args().events
    logged = events(count)
    entries = [event.entry() for event in logged]
    bundle = bundle_of(logged)
    rows = [
        Row("plain SHA-256 of the entries", lambda: [sha256(entry).digest() for entry in entries], 1),
        Row("leaves, tiles, root per 1,000", lambda: grow([leaf_hash(entry) for entry in entries]), 0.2),
        Row("events to entries to tree", lambda: grow([event.leaf() for event in logged]), 0.1),
        Row("audit of a bundle, parsed and proven", lambda: check(bundle), 0.03),
    ]
    missed = print_rates(rows, count)
    print_proofs(logged)
    print_projection(logged)
    sys.exit(1 if missed else 0)


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


def print_rates(rows: Sequence[Row], count: int) -> bool:
    """Interleaved rounds; whether a limit was missed."""
    samples: dict[str, list[float]] = {row.name: [] for row in rows}
    for _ in range(ROUNDS):
        for row in rows:
            samples[row.name].append(seconds(row.work))
    base = statistics.median(samples[rows[0].name])
    missed = False
    for row in rows:
        taken = statistics.median(samples[row.name])
        mark = "" if base / taken >= row.limit else f"  MISSED {row.limit}"
        missed = missed or bool(mark)
        print(f"{row.name:<40}{base / taken:>7.2f}{count / taken:>14,.0f}/s{mark}")
    return missed


class Tiles(dict[tuple[int, int], bytes]):
    """Tiles in memory."""

    def keep(self, tiles: Sequence[Tile]) -> None:
        """Take them."""
        self.update({(tile.level, tile.index): tile.hashes for tile in tiles})

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See TileReader."""
        return self[level, index][: width * 32]


def print_proofs(logged: Sequence[LoggedEvent]) -> None:
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
        print(f"{name:<40}{taken * 1e6:>7.0f} us")


def print_projection(logged: Sequence[LoggedEvent]) -> None:
    """The projection with its database: batches of 5,000 and of 200, checkpoints included."""
    recorded = [
        Recorded(
            event.position,
            event.recorded_at,
            event.stream,
            event.version,
            event.topic,
            None,
            Unknown(topic=event.topic, raw=b""),
            SYSTEM,
            event.state,
        )
        for event in logged
    ]
    directory = Path(tempfile.mkdtemp(prefix="ak-bench-"))
    directory.chmod(0o711)
    try:
        with EmbeddedPostgres(directory) as server:
            for number, batch in enumerate((5_000, 200)):
                with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as root:
                    root.execute(f"CREATE DATABASE bench{number} OWNER {ROLE}".encode())
                migrate(server.dsn(f"bench{number}"))
                some = recorded[: len(recorded) if batch > BATCH else len(recorded) // 5]
                taken = seconds(lambda: fold(server.dsn(f"bench{number}"), some, batch))  # noqa: B023 - called at once
                print(f"{f'projection in batches of {batch:,}':<40}{len(some) / taken:>21,.0f}/s")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fold(dsn: str, recorded: Sequence[Recorded], batch: int) -> None:
    """What the runner does."""
    projection = Transparency(KEY)
    with psycopg.connect(dsn, autocommit=True) as work:
        work.execute("SET synchronous_commit = off")
        for start in range(0, len(recorded), batch):
            with work.transaction(), work.cursor() as cursor:
                projection.apply(cursor, recorded[start : start + batch])


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
