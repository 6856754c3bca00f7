"""Documents of an RPM repository: how long until the index shows one more package among ten or a hundred thousand.

`python -m benchmarks rpm_index`: the log is filled with packages that have 12 dependencies and 20 files each. "anew" is a
process that knows nothing yet; "one more" the same process after another publish. Served is what a client downloads.
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
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid5

import msgspec
import psycopg
from psycopg import Connection

from application.formats.rpm import generation
from application.formats.rpm.fragments import make_fragments
from application.formats.rpm.index import KINDS
from application.formats.rpm.metadata import Change, Dependency, Package, PackagedFile
from application.formats.rpm.names import Nevra, package_path
from application.formats.rpm.stored import encode, facts_of
from application.log import Change as LogChange
from application.log import Envelope
from application.services import Services
from benchmarks.figures import Figure
from benchmarks.read_models import opened, rebuild
from domain.artifact import ArtifactPublished
from domain.event import SYSTEM
from domain.ids import NAMESPACE, artifact_id
from domain.repository import RepositoryCreated
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import connection
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from projections.projection import Row

SIZES = tuple(map(int, os.environ.get("BENCH_PACKAGES", "10000,100000").split(",")))
SECONDS = 2.0
REPOSITORY = uuid5(NAMESPACE, "bench rpm")
START = datetime(2026, 1, 1, tzinfo=UTC)


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="ak-") as name:
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name)) as server:
            for packages in SIZES:
                yield from measured(server, packages)


def measured(server: EmbeddedPostgres, packages: int) -> Iterator[Figure]:
    dsn = filled(server, f"rpm{packages}", packages)
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        told = fresh.submit(remade, dsn, packages).result()
    size = f"{told.served_bytes / 2**20:.0f} MiB served"
    yield Figure(f"rpm: {packages:,} packages, one more", f"{told.more:.2f} s", size, told.more, " s", most=SECONDS)
    yield Figure(f"rpm: {packages:,} packages, anew", f"{told.anew:.2f} s", size, told.anew, " s")
    yield Figure(f"rpm: {packages:,} packages, send all", f"{told.sent:.2f} s", size, told.sent, " s")
    grown = f"+{told.grown_bytes / 2**20:.0f} MiB"
    yield Figure(f"rpm: {packages:,} packages, peak memory", grown, size, told.grown_bytes / 2**20, " MiB")


class Remade(NamedTuple):
    """Seconds and bytes."""

    anew: float
    more: float
    sent: float
    served_bytes: int
    grown_bytes: int


def remade(dsn: str, packages: int) -> Remade:
    """In a process of its own: all documents, then all again after one more publish."""
    with opened(dsn) as place:

        def connect() -> AbstractContextManager[Connection[Row]]:
            return connection(place.pool)

        services = with_catalogue(CatalogueView(connect))
        before = peak_bytes()
        anew = timed(services, packages + 1)
        receipt = place.log.append([LogChange(*published(packages), REPOSITORY)])
        with psycopg.connect(dsn, autocommit=True) as folding, folding.transaction(), folding.cursor() as cursor:
            CatalogueProjection().apply(cursor, place.log.read(receipt.position - 1, 1))
        more = timed(services, receipt.position)
        made = generation.load_generation(services, REPOSITORY, receipt.position)
        assert made.packages == packages + 1
        begun = time.perf_counter()
        for kind in KINDS:
            for _ in generation.document_parts(services, REPOSITORY, made, kind):
                pass
        sent = time.perf_counter() - begun
    served = sum(listed.size_bytes for listed in made.listed.values())
    return Remade(anew, more, sent, served, peak_bytes() - before)


def timed(services: Services, position: int) -> float:
    begun = time.perf_counter()
    generation.load_generation(services, REPOSITORY, position)
    return time.perf_counter() - begun


def with_catalogue(catalogue: CatalogueView) -> Services:
    """What generations are made with, and nothing else."""
    nothing = cast("Any", None)
    return Services(
        catalogue=catalogue,
        finder=nothing,
        publishing=nothing,
        blobs=nothing,
        spool=nothing,
        access=nothing,
        formats=nothing,
    )


def peak_bytes() -> int:
    """The most memory that this process ever had; what `getrusage` says begins with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def filled(server: EmbeddedPostgres, name: str, packages: int) -> str:
    """A database with a log of one repository and its packages."""
    with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as root:
        root.execute(f"CREATE DATABASE {name} OWNER {ROLE}".encode())
    dsn = server.dsn(name)
    migrate(dsn)
    created = RepositoryCreated(repository=REPOSITORY, key="el", name="", format="rpm", kind="local")
    with psycopg.connect(dsn) as connected, connected.cursor() as cursor:
        columns = "originator_id, originator_version, topic, state, notification_id, repository, recorded_at"
        with cursor.copy(f"COPY es_events ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["uuid", "int8", "text", "bytea", "int8", "uuid", "timestamptz"])
            state = msgspec.json.encode(Envelope(meta=SYSTEM, data=created))
            copy.write_row((REPOSITORY, 1, created.TOPIC, state, 1, REPOSITORY, START))
            for number in range(packages):
                stream, version, (event,) = published(number)
                state = msgspec.json.encode(Envelope(meta=SYSTEM, data=event))
                position = number + 2
                at = START + timedelta(milliseconds=position)
                copy.write_row((stream, version + 1, event.TOPIC, state, position, REPOSITORY, at))
        cursor.execute("UPDATE es_head SET position = %s, at = %s", (packages + 1, START + timedelta(days=1)))
    with opened(dsn) as place:
        rebuild(dsn, place.log, CatalogueProjection())
    with psycopg.connect(dsn, autocommit=True) as connected:
        connected.execute("VACUUM ANALYZE")
    return dsn


def published(number: int) -> tuple[UUID, int, list[ArtifactPublished]]:
    """The publish of a package, as a change of its stream."""
    nevra = Nevra(f"lib{number % 977:03d}-part{number}", 0, f"1.{number % 40}", f"{number % 7}.el9", "x86_64")
    digest = f"{number:064x}"
    package = sample(nevra, number)
    metadata = encode(facts_of(package, make_fragments(package, digest, 50_000 + number)))
    event = ArtifactPublished(
        repository=REPOSITORY,
        path=package_path(nevra.filename),
        package=nevra.name,
        name=nevra.name,
        version=nevra.evr,
        sha256=digest,
        size_bytes=50_000 + number,
        media_type="application/x-rpm",
        metadata=msgspec.Raw(metadata),
    )
    return artifact_id(REPOSITORY, event.path), 0, [event]


def sample(nevra: Nevra, number: int) -> Package:
    """A package such as there are many."""
    named = [f"lib{(number * 31 + step) % 977:03d}.so.{step}()(64bit)" for step in range(10)]
    return Package(
        nevra=nevra,
        summary=f"Library {number}",
        description=f"The library {number} does what libraries do, and {number % 13} things more. " * 3,
        packager="Builders <builders@example.org>",
        url=f"https://example.org/{nevra.name}",
        license="MIT",
        vendor="Example",
        group="Unspecified",
        build_host=f"builder{number % 9}.example.org",
        source_rpm=f"lib-{number}.src.rpm",
        built_at=1_700_000_000 + number,
        installed_bytes=number,
        archive_bytes=number,
        header_range=(4504, 9000),
        dependencies={
            "provides": (Dependency(nevra.name, "EQ", 0, nevra.version, nevra.release), Dependency(f"lib{number}.so")),
            "requires": tuple(map(Dependency, named)),
        },
        files=tuple(
            PackagedFile(f"/usr/share/{nevra.name}/part-{step}/file-{number * step}.txt") for step in range(20)
        ),
        changes=tuple(Change("Ada <ada@example.org>", 1_600_000_000 + step, f"- Change {step}") for step in range(5)),
        module="",
        signatures=(),
    )
