"""Events into what can be found."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import Cursor

from application.log import Recorded
from application.searching import MAX_INDEXED_WORDS, Described, describe, name_key, name_words, storable, words
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.ids import package_id
from domain.repository import RepositoryDeleted
from projections.projection import Projection, Row

_FETCH = (
    "SELECT artifact, repository, package, size_bytes, media_type FROM view_search WHERE artifact = ANY(%s::uuid[])"
)
_REMOVE = "DELETE FROM view_search WHERE artifact = ANY(%s::uuid[])"
_FIELDS: tuple[tuple[str, str], ...] = (
    ("artifact", "uuid"),
    ("position", "bigint"),
    ("repository", "uuid"),
    ("path", "text"),
    ("package", "text"),
    ("name", "text"),
    ("name_key", "text"),
    ("version", "text"),
    ("sha256", "text"),
    ("sha1", "text"),
    ("md5", "text"),
    ("size_bytes", "bigint"),
    ("media_type", "text"),
    ("published_at", "timestamptz"),
    ("words", "text"),
)
_NAMES = ", ".join(name for name, _ in _FIELDS)
_ADD = (
    f"INSERT INTO view_search ({_NAMES}) "
    f"SELECT {', '.join(name + '::tsvector' * (name == 'words') for name, _ in _FIELDS)} "
    f"FROM unnest({', '.join(f'%b::{kind}[]' for _, kind in _FIELDS)}) AS new ({_NAMES}) "
    "ON CONFLICT (artifact) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name, _ in _FIELDS if name != "artifact")
)
_FETCH_PACKAGES = (
    "SELECT package_id, name, description, artifacts, size_bytes, created_at, updated_at FROM view_search_package "
    "WHERE package_id = ANY(%s::uuid[])"
)
_PACKAGE_FIELDS: tuple[tuple[str, str], ...] = (
    ("package_id", "uuid"),
    ("repository", "uuid"),
    ("package", "text"),
    ("name_key", "text"),
    ("name", "text"),
    ("description", "text"),
    ("artifacts", "bigint"),
    ("size_bytes", "bigint"),
    ("created_at", "timestamptz"),
    ("updated_at", "timestamptz"),
)
_ADD_PACKAGES = (
    f"INSERT INTO view_search_package ({', '.join(name for name, _ in _PACKAGE_FIELDS)}) "
    f"SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for _, kind in _PACKAGE_FIELDS)}) "
    "ON CONFLICT (package_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name, _ in _PACKAGE_FIELDS if name != "package_id")
)
_REMOVE_PACKAGES = "DELETE FROM view_search_package WHERE package_id = ANY(%s::uuid[])"
_COUNT = (
    "INSERT INTO view_search_count AS c (repository, media_type, artifacts) "
    "SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) "
    "ON CONFLICT (repository, media_type) DO UPDATE SET artifacts = c.artifacts + excluded.artifacts"
)
_TABLES = ("view_search", "view_search_package", "view_search_count")


class _Held(NamedTuple):
    """What leaves with an artifact."""

    repository: UUID
    package: str
    size_bytes: int
    media_type: str


class _Package(NamedTuple):
    """What is known of a package that has artifacts."""

    name: str
    description: str | None
    artifacts: int
    size_bytes: int
    created_at: datetime
    updated_at: datetime


_PackageKey = tuple[UUID, str]


class SearchProjection(Projection):
    """Folds artifacts into what can be found. Skips what it cannot fold: better one hit less than no search."""

    name = "search"
    tables = _TABLES
    on_poison = "skip"
    linger_seconds = 0.1

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Fold a batch; a deleted repository splits it, because its content is removed by the database itself."""
        start = 0
        for index, recorded in enumerate(events):
            if isinstance(recorded.event, RepositoryDeleted):
                self._apply(cursor, events[start:index])
                for table in _TABLES:
                    cursor.execute(f"DELETE FROM {table} WHERE repository = %s", (recorded.event.repository,))
                start = index + 1
        self._apply(cursor, events[start:])

    def _apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        relevant = [one for one in events if isinstance(one.event, ArtifactPublished | ArtifactDeleted)]
        if not relevant:
            return
        batch = _Batch(cursor, relevant)
        for recorded in relevant:
            batch.remove(recorded.stream, recorded.at)
            if isinstance(recorded.event, ArtifactPublished):
                batch.add(recorded, recorded.event)
        batch.write(cursor)


class _Batch:
    """Rows of several events, folded to one for each artifact and package, whatever the batch's borders are."""

    def __init__(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        self._touched = {one.stream for one in events}
        fetched = cursor.execute(_FETCH, (list(self._touched),), prepare=True).fetchall()
        self._held = {row[0]: _Held(*row[1:]) for row in fetched}
        keys = {(held.repository, held.package) for held in self._held.values() if held.package}
        keys |= {
            (one.event.repository, one.event.package)
            for one in events
            if isinstance(one.event, ArtifactPublished) and one.event.package
        }
        self._ids = {key: package_id(*key) for key in keys}
        known = cursor.execute(_FETCH_PACKAGES, (list(self._ids.values()),), prepare=True).fetchall()
        packages = {row[0]: _Package(*row[1:]) for row in known}
        self._packages: dict[_PackageKey, _Package | None] = {
            key: packages.get(identifier) for key, identifier in self._ids.items()
        }
        self._added: dict[UUID, Row] = {}
        self._counts: dict[tuple[UUID, str], int] = {}

    def remove(self, artifact: UUID, at: datetime) -> None:
        """Nothing is at the artifact's path any more."""
        held = self._held.pop(artifact, None)
        self._added.pop(artifact, None)
        if held is None:
            return
        self._count(held, -1)
        package = self._packages.get((held.repository, held.package))
        if package is not None:
            self._packages[held.repository, held.package] = (
                None
                if package.artifacts <= 1
                else package._replace(
                    artifacts=package.artifacts - 1, size_bytes=package.size_bytes - held.size_bytes, updated_at=at
                )
            )

    def add(self, recorded: Recorded, event: ArtifactPublished) -> None:
        """An artifact is there."""
        described = describe(bytes(event.metadata))
        held = _Held(event.repository, event.package, event.size_bytes, event.media_type)
        self._held[recorded.stream] = held
        self._added[recorded.stream] = _row(recorded, event, described)
        self._count(held, 1)
        if event.package:
            before = self._packages[event.repository, event.package]
            self._packages[event.repository, event.package] = _Package(
                storable(event.name or event.package),
                described.description,
                1 + (before.artifacts if before else 0),
                event.size_bytes + (before.size_bytes if before else 0),
                before.created_at if before else recorded.at,
                recorded.at,
            )

    def write(self, cursor: Cursor[Row]) -> None:
        """Write what changed."""
        gone = [artifact for artifact in self._touched if artifact not in self._added]
        if gone:
            cursor.execute(_REMOVE, (gone,), prepare=True)
        if self._added:
            cursor.execute(_ADD, _columns(self._added.values()), prepare=True)
        rows = [(self._ids[key], *key, name_key(found.name), *found) for key, found in self._packages.items() if found]
        if rows:
            cursor.execute(_ADD_PACKAGES, _columns(rows), prepare=True)
        empty = [self._ids[key] for key, found in self._packages.items() if found is None]
        if empty:
            cursor.execute(_REMOVE_PACKAGES, (empty,), prepare=True)
        if self._counts:
            cursor.execute(_COUNT, _columns([(*key, count) for key, count in self._counts.items()]), prepare=True)

    def _count(self, held: _Held, change: int) -> None:
        key = (held.repository, held.media_type)
        self._counts[key] = self._counts.get(key, 0) + change


def _row(recorded: Recorded, event: ArtifactPublished, described: Described) -> Row:
    name = event.name or event.package or event.path.rpartition("/")[2]
    return (
        recorded.stream,
        recorded.position,
        event.repository,
        event.path,
        event.package,
        name,
        name_key(name),
        event.version,
        event.sha256,
        event.digests.get("sha1"),
        event.digests.get("md5"),
        event.size_bytes,
        event.media_type,
        recorded.at,
        vector_of(
            ("A", [*name_words(name), *words(event.package)]),
            ("B", [word for keyword in described.keywords for word in words(keyword)]),
            ("C", words(described.description or "")),
            ("D", [*words(event.version), *words(event.path)]),
        ),
    )


def vector_of(*texts: tuple[str, Iterable[str]]) -> str:
    """A tsvector's text form: each word once, where it stands first, with the weight of that text; heaviest first."""
    marked: dict[str, str] = {}
    for weight, found in texts:
        for word in found:
            if word not in marked:
                marked[word] = f"'{word}':{len(marked) + 1}{weight}"
    return " ".join(itertools.islice(marked.values(), MAX_INDEXED_WORDS))


def _columns(rows: Iterable[Row]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
