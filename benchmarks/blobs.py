"""What storing bytes costs: hashing, writing, flushing, keeping, leasing.

Each ratio is to the first line of its block (how much of its speed is left), from medians of interleaved rounds.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.blobs.spool import FolderSpool
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import connection, open_pool

MEBIBYTE = 1024 * 1024
BATCH = 1 * MEBIBYTE
LARGE = 64 * MEBIBYTE
SMALL = 20 * 1024
ROUNDS = 7
BLOCK = memoryview(os.urandom(BATCH))

Work = Callable[[], object]


class Row(NamedTuple):
    """ratio: share of the base's speed. limit: the least it may be."""

    name: str
    ratio: float
    absolute: str
    limit: float


def medians(works: dict[str, Work], rounds: int, repeats: int) -> dict[str, float]:
    """Seconds of one call of each, the median over rounds in which all take turns."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            for _ in range(repeats):
                work()
            samples[name].append((time.perf_counter() - begin) / repeats)
    return {name: statistics.median(values) for name, values in samples.items()}


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = FolderSpool(root / ".spool")
        self.blobs = FolderBlobs(root)

    def receive(self, size: int, batch: int = BATCH, algorithms: tuple[str, ...] = (), *, flush: bool = False) -> None:
        with self.spool.create(algorithms) as writer:
            for start in range(0, size, batch):
                writer.write(BLOCK[: min(batch, size - start)])
            if flush:
                self.spool.discard(writer.finish())

    def store(self, content: bytes) -> None:
        with self.spool.create() as writer:
            writer.write(content)
            self.blobs.keep(writer.finish())

    def by_hand(self, size: int) -> None:
        """What no implementation can avoid: hash and write the same bytes with bare calls, no flush."""
        path = self.root / "by-hand"
        hashed = hashlib.sha256()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for start in range(0, size, BATCH):
            part = BLOCK[: min(BATCH, size - start)]
            hashed.update(part)
            os.write(descriptor, part)
        os.close(descriptor)
        path.unlink()


def large(folder: Folder) -> list[Row]:
    works: dict[str, Work] = {
        "hash and write by hand": lambda: folder.by_hand(LARGE),
        "spool, sha256": lambda: folder.receive(LARGE),
        "spool, sha256, 64 KiB a write": lambda: folder.receive(LARGE, batch=64 * 1024),
        "spool, sha256 md5 sha1": lambda: folder.receive(LARGE, algorithms=("md5", "sha1")),
        "spool, all four": lambda: folder.receive(LARGE, algorithms=("md5", "sha1", "sha512")),
        "spool, sha256, fsync": lambda: folder.receive(LARGE, flush=True),
    }
    return rows(
        medians(works, ROUNDS, 1), {"spool, sha256": 0.85}, lambda seconds: f"{LARGE / seconds / 1e6:,.0f} MB/s"
    )


def small(folder: Folder) -> list[Row]:
    fixed = os.urandom(SMALL)
    folder.store(fixed)
    works: dict[str, Work] = {
        "spool, sha256, fsync": lambda: folder.receive(SMALL, flush=True),
        "hash and write by hand": lambda: folder.by_hand(SMALL),
        "store what is new": lambda: folder.store(os.urandom(SMALL)),
        "store what is there": lambda: folder.store(fixed),
    }
    return rows(medians(works, ROUNDS, 40), {}, microseconds)


def leasing(directory: Path) -> list[Row]:
    with EmbeddedPostgres(directory) as server:
        migrate(server.dsn())
        pool = open_pool(server.dsn(), max_size=4)
        leases = PostgresLeases(pool)

        def ask() -> None:
            with connection(pool) as own:
                own.execute("SELECT 1", prepare=True)

        def lease(count: int) -> None:
            with leases.hold([hashlib.sha256(os.urandom(8)).hexdigest() for _ in range(count)]) as held:
                held.check()

        try:
            works: dict[str, Work] = {"SELECT 1": ask, "lease": lambda: lease(1), "lease on five": lambda: lease(5)}
            medians(works, 2, 50)
            seconds = medians(works, 3 * ROUNDS, 60)
        finally:
            leases.close()
            pool.close()
    return rows(seconds, {"lease": 1 / 3}, microseconds)


def rows(seconds: dict[str, float], limits: dict[str, float], absolute: Callable[[float], str]) -> list[Row]:
    base = next(iter(seconds.values()))
    return [Row(name, base / value, absolute(value), limits.get(name, 0)) for name, value in seconds.items()]


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"


def figures() -> Iterator[Figure]:
    """Each line against the first of its block."""
    with tempfile.TemporaryDirectory(prefix="ak-") as name:
        root = Path(name)
        root.chmod(0o711)
        folder = Folder(root / "blobs")
        sections: dict[str, Callable[[], list[Row]]] = {
            "64 MiB": lambda: large(folder),
            "20 KiB": lambda: small(folder),
            "PostgreSQL": lambda: leasing(root / "database"),
        }
        for title, measure in sections.items():
            first, *others = measure()
            for row in others:
                what = f"bytes: {title}: {row.name}, of {first.name}"
                yield Figure(what, row.absolute, first.absolute, row.ratio, least=row.limit or None)
