"""Fills a log with a plausible history, straight into the table: benchmarks need a million events in seconds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import msgspec
import psycopg

from application.log import Envelope
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.event import Event, Metadata
from domain.ids import NAMESPACE, artifact_id, package_id
from domain.package import TagSet
from domain.repository import RepositoryCreated
from domain.session import SessionStarted

REPOSITORIES = 20
PEOPLE = 200
FILES_A_PACKAGE = 20
START = datetime(2026, 1, 1, tzinfo=UTC)

repositories = [uuid5(NAMESPACE, f"bench repository {number}") for number in range(REPOSITORIES)]
people = [uuid5(NAMESPACE, f"bench person {number}") for number in range(PEOPLE)]
_SYLLABLES = ("ba", "co", "di", "fu", "ga", "he", "ki", "lo", "mu", "na", "pe", "ro", "su", "ti", "vo", "xa")
vocabulary = ["".join(parts) for parts in itertools.product(_SYLLABLES, repeat=3)][::-2]
"""About two thousand words; texts use the first ones often and the last ones hardly ever."""


def package_name(number: int) -> str:
    """A name of which parts are common and the whole is rare."""
    return f"{vocabulary[number % 97]}-{vocabulary[number % 1009]}-{number}"


def repository_of(package_number: int) -> UUID:
    """Most are in one large repository."""
    return repositories[0 if package_number % 4 else package_number % REPOSITORIES]


def fill(dsn: str, events: int, seed: int = 1) -> None:
    """Append `events` events to an empty log."""
    encode = msgspec.json.Encoder().encode
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(
            "COPY es_events (originator_id, originator_version, topic, state, notification_id, repository, recorded_at) "
            "FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(["uuid", "int8", "text", "bytea", "int8", "uuid", "timestamptz"])
            for position, (stream, version, event, meta, repository) in enumerate(
                itertools.islice(_history(random.Random(seed)), events), 1
            ):
                state = encode(Envelope(meta=meta, data=event))
                at = START + timedelta(milliseconds=37 * position)
                copy.write_row((stream, version, event.TOPIC, state, position, repository, at))
        cursor.execute(
            "UPDATE es_head SET position = %s, at = %s", (events, START + timedelta(milliseconds=37 * events))
        )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE es_events")


def _history(chance: random.Random) -> Iterator[tuple[UUID, int, Event, Metadata, UUID | None]]:
    for number, repository in enumerate(repositories):
        created = RepositoryCreated(repository=repository, key=f"repo-{number}", name="", format="pypi", kind="local")
        yield repository, 1, created, Metadata(by=people[0], kind="user"), repository
    tagged: dict[UUID, int] = {}
    for number in itertools.count():
        person = people[int(PEOPLE * chance.random() ** 3)]
        meta = Metadata(
            by=person, kind="user", via="password", request=f"{chance.getrandbits(128):032x}", client=bytes(80)
        )
        if number % 10 == 9:
            session = uuid5(NAMESPACE, f"bench session {number}")
            yield session, 1, SessionStarted(session=session, user=person, method="password"), meta, None
        package_number = number // FILES_A_PACKAGE
        repository = repository_of(package_number)
        package, version = package_name(package_number), f"1.{number % FILES_A_PACKAGE}.0"
        path = f"{package}/{package.replace('-', '_')}-{version}.tar.gz"
        yield (
            artifact_id(repository, path),
            1,
            _published(repository, path, package, version, number, chance),
            meta,
            repository,
        )
        if number % 20 == 19:
            stream = package_id(repository, package)
            tagged[stream] = tagged.get(stream, 0) + 1
            tag = TagSet(repository=repository, package=package, tag="latest", version=version)
            yield stream, tagged[stream], tag, meta, repository
        if number % 50 == 49:
            deleted = ArtifactDeleted(repository=repository, path=path, package=package, version=version)
            yield artifact_id(repository, path), 2, deleted, meta, repository


def _published(
    repository: UUID, path: str, package: str, version: str, number: int, chance: random.Random
) -> ArtifactPublished:
    summary = " ".join(vocabulary[int(len(vocabulary) * chance.random() ** 4)] for _ in range(8))
    return ArtifactPublished(
        repository=repository,
        path=path,
        package=package,
        name=package,
        version=version,
        sha256=f"{number:064x}",
        size_bytes=number * 7919 % 10_000_000,
        media_type="application/gzip",
        digests={"md5": f"{number:032x}"},
        metadata=msgspec.Raw(msgspec.json.encode({"summary": summary, "keywords": summary.split()[:3]})),
    )
