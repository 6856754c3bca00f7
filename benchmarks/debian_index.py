"""Indexes of a Debian suite: how long until they show one more package among ten or a hundred thousand, and in what memory.

`python -m benchmarks debian_index`: the log is filled with packages such as Debian has, with 30 files each. Measured in a
process that knows nothing yet; every publish makes the indexes of its suite anew, from stanzas that were kept with the
packages.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
import psycopg
from psycopg import Connection

from application.formats.debian.indexing import index_suite, pool_rows
from application.formats.debian.metadata import BinaryPackage
from application.formats.debian.names import binary_name, pool_directory
from application.formats.debian.stanza import parse_stanza
from application.formats.debian.stored import binary_facts
from application.log import Envelope
from benchmarks.figures import Figure
from benchmarks.read_models import opened, rebuild
from domain.artifact import ArtifactPublished
from domain.event import SYSTEM
from domain.ids import NAMESPACE, artifact_id
from domain.repository import RepositoryCreated
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.spool import FolderSpool
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import connection
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from projections.projection import Row

SIZES = tuple(map(int, os.environ.get("BENCH_PACKAGES", "10000,100000").split(",")))
SECONDS = 20.0
MEMORY_MIB = 64.0
REPOSITORY = uuid5(NAMESPACE, "bench debian")
START = datetime(2026, 1, 1, tzinfo=UTC)


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="ak-") as name:
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name)) as server:
            for packages in SIZES:
                yield from measured(server, packages, Path(name) / f"blobs{packages}")


def measured(server: EmbeddedPostgres, packages: int, folder: Path) -> Iterator[Figure]:
    dsn = filled(server, f"debian{packages}", packages)
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        told = fresh.submit(made, dsn, folder).result()
    size = f"{told.plain_bytes / 2**20:.0f} MiB plain, {told.packed_bytes / 2**20:.1f} MiB to fetch"
    most = SECONDS if packages == max(SIZES) else None
    yield Figure(
        f"debian: {packages:,} packages, indexes", f"{told.seconds:.2f} s", size, told.seconds, " s", most=most
    )
    grown = told.grown_bytes / 2**20
    yield Figure(f"debian: {packages:,} packages, peak memory", f"+{grown:.0f} MiB", "", grown, " MiB", most=MEMORY_MIB)


class Made(NamedTuple):
    """Seconds and bytes. packed: what apt fetches of one architecture."""

    seconds: float
    plain_bytes: int
    packed_bytes: int
    grown_bytes: int


def made(dsn: str, folder: Path) -> Made:
    """In a process of its own: the indexes of everything."""
    with opened(dsn) as place:

        def connect() -> AbstractContextManager[Connection[Row]]:
            return connection(place.pool)

        catalogue = CatalogueView(connect)
        blobs, spool = FolderBlobs(folder / "blobs"), FolderSpool(folder / "spool")
        before, begun = peak_bytes(), time.perf_counter()
        rows = pool_rows(catalogue, REPOSITORY, 1 << 40)
        indexes = index_suite("stable", rows, blobs, spool)
        seconds = time.perf_counter() - begun
    plain = indexes.files["main/binary-amd64/Packages"].size_bytes
    name = "main/binary-amd64/Packages"
    packed = indexes.files.get(f"{name}.zst") or indexes.files[f"{name}.xz"]
    return Made(seconds, plain, packed.size_bytes, peak_bytes() - before)


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def filled(server: EmbeddedPostgres, name: str, packages: int) -> str:
    """A database with a log of one repository and its packages."""
    with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as root:
        root.execute(f"CREATE DATABASE {name} OWNER {ROLE}".encode())
    dsn = server.dsn(name)
    migrate(dsn)
    created = RepositoryCreated(repository=REPOSITORY, key="apt", name="", format="debian", kind="local")
    with psycopg.connect(dsn) as connected, connected.cursor() as cursor:
        columns = "originator_id, originator_version, topic, state, notification_id, repository, recorded_at"
        with cursor.copy(f"COPY es_events ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["uuid", "int8", "text", "bytea", "int8", "uuid", "timestamptz"])
            state = msgspec.json.encode(Envelope(meta=SYSTEM, data=created))
            copy.write_row((REPOSITORY, 1, created.TOPIC, state, 1, REPOSITORY, START))
            for number in range(packages):
                stream, event = published(number)
                state = msgspec.json.encode(Envelope(meta=SYSTEM, data=event))
                position = number + 2
                at = START + timedelta(milliseconds=position)
                copy.write_row((stream, 1, event.TOPIC, state, position, REPOSITORY, at))
        cursor.execute("UPDATE es_head SET position = %s, at = %s", (packages + 1, START + timedelta(days=1)))
    with opened(dsn) as place:
        rebuild(dsn, place.log, CatalogueProjection())
    with psycopg.connect(dsn, autocommit=True) as connected:
        connected.execute("VACUUM ANALYZE")
    return dsn


def published(number: int) -> tuple[UUID, ArtifactPublished]:
    """The publish of a package such as there are many."""
    name, version = f"lib{number % 977:03d}-part{number}", f"1.{number % 40}-{number % 7}"
    needed = ", ".join(f"lib{(number * 31 + step) % 977:03d}-part{step} (>= 1.{step})" for step in range(8))
    text = (
        f"Package: {name}\nSource: lib{number % 977:03d}\nVersion: {version}\nArchitecture: amd64\n"
        f"Maintainer: Builders <builders@example.org>\nInstalled-Size: {number}\nDepends: {needed}\nSection: libs\n"
        f"Priority: optional\nHomepage: https://example.org/{name}\nDescription: library {number}\n"
        + " The library does what libraries do, and a few things more.\n"
        * 3
    )
    package = BinaryPackage(
        package=name,
        version=version,
        architecture="amd64",
        source=f"lib{number % 977:03d}",
        section="libs",
        description=f"library {number}",
        stanza=parse_stanza(text.encode(), "control"),
        paths=tuple(f"usr/share/{name}/part-{step}/file-{number * step}.txt".encode() for step in range(30)),
    )
    metadata, _ = binary_facts(package)
    digest = f"{number:064x}"
    event = ArtifactPublished(
        repository=REPOSITORY,
        path=f"{pool_directory('main', package.source)}/{binary_name(name, version, 'amd64')}",
        package=name,
        name=name,
        version=version,
        sha256=digest,
        size_bytes=50_000 + number,
        media_type="application/vnd.debian.binary-package",
        digests={"md5": digest[:32], "sha1": digest[:40], "sha512": digest * 2},
        metadata=msgspec.Raw(metadata),
    )
    return artifact_id(REPOSITORY, event.path), event
