"""Events into catalogue rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

import msgspec
from psycopg import Cursor

from application.catalogue import (
    NIL,
    PACKAGES_SCOPE,
    REPOSITORIES_SCOPE,
    TREE_SCOPE,
    package_scope,
)
from application.log import Recorded
from domain.artifact import ArtifactDeleted, ArtifactPropertiesSet, ArtifactPublished
from domain.checkpoint import CheckpointNamed
from domain.package import (
    LocationsSet,
    OwnersSet,
    StatusSet,
    TagRemoved,
    TagSet,
    VersionsDeprecated,
    VersionsUnyanked,
    VersionsYanked,
)
from domain.repository import RepositoryCreated, RepositoryDeleted, RepositoryUpdated
from domain.signing_key import RepositorySigningChanged
from projections.catalogue import signing
from projections.catalogue.tables import (
    artifact_table,
    mark_table,
    package_table,
    repository_table,
    version_table,
)
from projections.projection import Projection, Row

_encode = msgspec.json.Encoder(order="deterministic").encode


def _described(event: StatusSet | LocationsSet) -> tuple[tuple[UUID, str, str, str], list[object]]:
    """The mark that tells of a package as a whole, and its value."""
    if isinstance(event, StatusSet):
        return (event.repository, event.package, "status", "status"), [event.status, event.reason]
    return (event.repository, event.package, "locations", "locations"), [event.tracks, event.alternates]


def _json(value: object) -> str:
    return _encode(value).decode()


class _Repository(NamedTuple):
    key: str
    name: str
    description: str | None
    format: str
    kind: str
    public: bool
    settings: str
    source: UUID | None
    source_position: int | None
    created_at: datetime
    created_by: UUID | None
    updated_at: datetime


class _Package(NamedTuple):
    name: str
    created_at: datetime
    artifacts: int
    updated_at: datetime


class _Version(NamedTuple):
    created_at: datetime
    created_by: UUID | None
    yanked: str | None
    deprecated: str | None
    artifacts: int


class _Artifact(NamedTuple):
    repository: UUID
    path: str
    package: str
    name: str
    version: str
    sha256: str
    size_bytes: int
    media_type: str
    digests: str
    metadata: str
    metadata_blob: str | None
    blobs: str
    properties: str
    revision: int
    published_at: datetime
    published_by: UUID | None


class CatalogueProjection(Projection):
    """Folds everything that package clients are shown. Halts on what it cannot fold: stale beats wrong."""

    name = "catalogue"
    tables = (
        "view_repository",
        "view_repository_h",
        "view_package",
        "view_package_h",
        "view_version",
        "view_version_h",
        "view_mark",
        "view_mark_h",
        "view_artifact",
        "view_artifact_h",
        "view_blob",
        "view_storage",
        "view_revision",
        "view_checkpoint",
        *signing.TABLES,
    )

    def __init__(self) -> None:
        self._repositories = repository_table()
        self._packages = package_table()
        self._versions = version_table()
        self._marks = mark_table()
        self._artifacts = artifact_table()
        self._signing = signing.signing_table()
        self._keys = signing.KeyRows()
        self._tables = (
            self._repositories,
            self._packages,
            self._versions,
            self._marks,
            self._artifacts,
            self._signing,
        )
        self._begin()

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Fold a batch; a deleted repository splits it, because its content is removed by the database itself."""
        start = 0
        for index, recorded in enumerate(events):
            if isinstance(recorded.event, RepositoryDeleted):
                self._apply(cursor, events[start:index])
                self._delete_repository(cursor, recorded, recorded.event)
                start = index + 1
        self._apply(cursor, events[start:])

    def _begin(self) -> None:
        for table in self._tables:
            table.clear()
        self._revisions: dict[tuple[UUID, str, int], None] = {}
        self._blobs: list[tuple[str, UUID, int, UUID, int | None]] = []
        self._released: list[tuple[UUID, int]] = []
        self._held: dict[UUID, tuple[int, int]] = {}

    def _apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        if not events:
            return
        self._begin()
        self._fetch(cursor, events)
        for recorded in events:
            self._fold(cursor, recorded)
            self._fold_signing(recorded)
        for table in self._tables:
            table.flush(cursor)
        self._keys.flush(cursor)
        self._write_blobs(cursor)
        self._write_storage(cursor)
        if self._revisions:
            cursor.execute(
                "INSERT INTO view_revision (repository, scope, revision) "
                "SELECT * FROM unnest(%b::uuid[], %b::text[], %b::bigint[])",
                [list(part) for part in zip(*self._revisions, strict=True)],
                prepare=True,
            )

    def _fetch(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        artifacts, repositories = set(), set()
        packages, versions, marks = set(), set(), set()
        self._keys.begin(cursor, events)
        self._signing.fetch(
            cursor, {(one.event.repository,) for one in events if isinstance(one.event, RepositorySigningChanged)}
        )
        for recorded in events:
            match recorded.event:
                case ArtifactPublished() | ArtifactDeleted() | ArtifactPropertiesSet() as event:
                    artifacts.add((recorded.stream,))
                    if event.package:
                        packages.add((event.repository, event.package))
                    if not isinstance(event, ArtifactPropertiesSet) and event.package and event.version:
                        versions.add((event.repository, event.package, event.version))
                case RepositoryCreated() | RepositoryUpdated() as event:
                    repositories.add((event.repository,))
                case VersionsYanked() | VersionsUnyanked() | VersionsDeprecated() as event:
                    versions.update((event.repository, event.package, version) for version in event.versions)
                case TagSet() | TagRemoved() as event:
                    marks.add((event.repository, event.package, "tag", event.tag))
                case StatusSet() | LocationsSet() as event:
                    marks.add(_described(event)[0])
        self._artifacts.fetch(cursor, artifacts)
        replaced = {
            (row.repository, row.package, row.version)
            for key in artifacts
            if (row := self._artifact(key[0])) is not None and row.package
        }
        self._packages.fetch(cursor, packages | {key[:2] for key in replaced})
        self._versions.fetch(cursor, versions | {key for key in replaced if key[2]})
        self._marks.fetch(cursor, marks)
        self._repositories.fetch(cursor, repositories)

    def _fold(self, cursor: Cursor[Row], recorded: Recorded) -> None:
        match recorded.event:
            case ArtifactPublished() as event:
                self._publish(recorded, event)
            case ArtifactDeleted() as event:
                self._weigh(event.repository, self._artifact(recorded.stream), None)
                self._withdraw(recorded.stream, recorded.position)
                self._artifacts.remove((recorded.stream,), recorded.position)
                self._touch(event.repository, event.package, recorded.position)
            case ArtifactPropertiesSet() as event:
                self._set_properties(recorded, event)
            case VersionsYanked() | VersionsUnyanked() | VersionsDeprecated() as event:
                self._judge(event, recorded.position)
            case TagSet() as event:
                key = (event.repository, event.package, "tag", event.tag)
                self._marks.put(key, (event.version,), recorded.position)
                self._touch(event.repository, event.package, recorded.position)
            case TagRemoved() as event:
                self._marks.remove((event.repository, event.package, "tag", event.tag), recorded.position)
                self._touch(event.repository, event.package, recorded.position)
            case StatusSet() | LocationsSet() as event:
                self._describe(event, recorded.position)
            case OwnersSet() as event:
                self._set_owners(cursor, event, recorded.position)
            case RepositoryCreated() as event:
                self._create_repository(recorded, event)
            case RepositoryUpdated() as event:
                self._update_repository(recorded, event)
            case CheckpointNamed() as event:
                cursor.execute(
                    "INSERT INTO view_checkpoint VALUES (%s, %s, %s, %s) ON CONFLICT (name) DO NOTHING",
                    (event.name, event.position, recorded.at, recorded.meta.by),
                )

    def _fold_signing(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, RepositorySigningChanged):
            self._signing.put((event.repository,), signing.signing_row(event), recorded.position)
            for scope in (PACKAGES_SCOPE, TREE_SCOPE):
                self._revise(event.repository, scope, recorded.position)
        else:
            self._keys.fold(recorded)

    # artifacts

    def _artifact(self, artifact: UUID) -> _Artifact | None:
        values = self._artifacts.get((artifact,))
        return _Artifact(*values) if values else None

    def _publish(self, recorded: Recorded, event: ArtifactPublished) -> None:
        position = recorded.position
        old = self._artifact(recorded.stream)
        self._weigh(event.repository, old, event.size_bytes)
        same_place = old is not None and (old.package, old.version) == (event.package, event.version)
        if same_place:
            self._released.append((recorded.stream, position))
        else:
            self._withdraw(recorded.stream, position)
        self._artifacts.put(
            (recorded.stream,),
            _Artifact(
                event.repository,
                event.path,
                event.package,
                event.name or event.package,
                event.version,
                event.sha256,
                event.size_bytes,
                event.media_type,
                _json(event.digests),
                bytes(event.metadata).decode(),
                event.metadata_blob,
                _json(event.blobs),
                "{}",
                event.revision,
                recorded.at,
                recorded.meta.by,
            ),
            position,
        )
        needed = {event.sha256: event.size_bytes, **dict.fromkeys(event.blobs.values())}
        if event.metadata_blob:
            needed.setdefault(event.metadata_blob, None)
        self._blobs.extend((blob, recorded.stream, position, event.repository, size) for blob, size in needed.items())
        if event.package and not same_place:
            self._count_in(recorded, event)
        self._touch(event.repository, event.package, position)

    def _count_in(self, recorded: Recorded, event: ArtifactPublished) -> None:
        key = (event.repository, event.package)
        values = self._packages.get(key)
        if values is None:
            package = _Package(event.name or event.package, recorded.at, 1, recorded.at)
            self._revise(event.repository, PACKAGES_SCOPE, recorded.position)
        else:
            old = _Package(*values)
            package = _Package(event.name or event.package, old.created_at, old.artifacts + 1, recorded.at)
        self._packages.put(key, package, recorded.position)
        if not event.version:
            return
        version_key = (*key, event.version)
        values = self._versions.get(version_key)
        if values is None:
            version = _Version(recorded.at, recorded.meta.by, None, None, 1)
        else:
            version = _Version(*values)
            version = version._replace(artifacts=version.artifacts + 1)
        self._versions.put(version_key, version, recorded.position)

    def _withdraw(self, artifact: UUID, position: int) -> None:
        """The artifact no longer counts for its package and version, nor keeps its blobs."""
        row = self._artifact(artifact)
        if row is None:
            return
        self._released.append((artifact, position))
        if not row.package:
            return
        key = (row.repository, row.package)
        if (values := self._packages.get(key)) is not None:
            package = _Package(*values)
            if package.artifacts <= 1:
                self._packages.remove(key, position)
                self._revise(row.repository, PACKAGES_SCOPE, position)
            else:
                self._packages.put(key, package._replace(artifacts=package.artifacts - 1), position)
        version_key = (*key, row.version)
        if row.version and (values := self._versions.get(version_key)) is not None:
            version = _Version(*values)
            if version.artifacts <= 1:
                self._versions.remove(version_key, position)
            else:
                self._versions.put(version_key, version._replace(artifacts=version.artifacts - 1), position)

    def _set_properties(self, recorded: Recorded, event: ArtifactPropertiesSet) -> None:
        row = self._artifact(recorded.stream)
        if row is not None:
            changed = row._replace(properties=_json(event.properties))
            self._artifacts.put((recorded.stream,), changed, recorded.position)
            self._touch(event.repository, event.package, recorded.position)

    def _weigh(self, repository: UUID, old: _Artifact | None, new_bytes: int | None) -> None:
        count, size = self._held.get(repository, (0, 0))
        if old is not None:
            count, size = count - 1, size - old.size_bytes
        if new_bytes is not None:
            count, size = count + 1, size + new_bytes
        self._held[repository] = (count, size)

    def _write_storage(self, cursor: Cursor[Row]) -> None:
        for repository, (count, size) in self._held.items():
            if count or size:
                cursor.execute(
                    "INSERT INTO view_storage AS s VALUES (%s, %s, %s) ON CONFLICT (repository) DO UPDATE "
                    "SET artifacts = s.artifacts + excluded.artifacts, "
                    "logical_bytes = s.logical_bytes + excluded.logical_bytes",
                    (repository, count, size),
                    prepare=True,
                )

    def _write_blobs(self, cursor: Cursor[Row]) -> None:
        """References in, then out: an artifact replaced within the batch closes what the batch itself opened."""
        if self._blobs:
            cursor.execute(
                "INSERT INTO view_blob (sha256, artifact, since, repository, size_bytes) "
                "SELECT * FROM unnest(%b::text[], %b::uuid[], %b::bigint[], %b::uuid[], %b::bigint[]) "
                "ON CONFLICT DO NOTHING",
                [list(part) for part in zip(*self._blobs, strict=True)],
                prepare=True,
            )
        for artifact, position in self._released:
            cursor.execute(
                "UPDATE view_blob SET until = %s WHERE artifact = %s AND until IS NULL AND since < %s",
                (position, artifact, position),
                prepare=True,
            )

    # packages

    def _judge(self, event: VersionsYanked | VersionsUnyanked | VersionsDeprecated, position: int) -> None:
        for name in event.versions:
            key = (event.repository, event.package, name)
            values = self._versions.get(key)
            if values is None:
                continue
            version = _Version(*values)
            match event:
                case VersionsYanked():
                    version = version._replace(yanked=event.reason)
                case VersionsUnyanked():
                    version = version._replace(yanked=None)
                case VersionsDeprecated():
                    version = version._replace(deprecated=event.message or None)
            self._versions.put(key, version, position)
        self._touch(event.repository, event.package, position)

    def _describe(self, event: StatusSet | LocationsSet, position: int) -> None:
        key, value = _described(event)
        self._marks.put(key, (_json(value),), position)
        self._touch(event.repository, event.package, position)

    def _set_owners(self, cursor: Cursor[Row], event: OwnersSet, position: int) -> None:
        self._marks.flush(cursor)
        held = cursor.execute(
            "SELECT name FROM view_mark WHERE repository = %s AND package = %s AND kind = 'owner'",
            (event.repository, event.package),
        ).fetchall()
        before = {cast("str", name) for (name,) in held}
        after = {str(owner): str(number) for number, owner in enumerate(event.owners)}
        key = (event.repository, event.package, "owner")
        self._marks.fetch(cursor, [(*key, name) for name in before | after.keys()])
        for name in before - after.keys():
            self._marks.remove((*key, name), position)
        for name, place in after.items():
            self._marks.put((*key, name), (place,), position)
        self._touch(event.repository, event.package, position)

    # repositories

    def _create_repository(self, recorded: Recorded, event: RepositoryCreated) -> None:
        row = _Repository(
            event.key,
            event.name,
            event.description,
            event.format,
            event.kind,
            event.public,
            _json(event.settings),
            event.source,
            event.source_position,
            recorded.at,
            recorded.meta.by,
            recorded.at,
        )
        self._repositories.put((event.repository,), row, recorded.position)
        self._revise(NIL, REPOSITORIES_SCOPE, recorded.position)

    def _update_repository(self, recorded: Recorded, event: RepositoryUpdated) -> None:
        values = self._repositories.get((event.repository,))
        if values is None:
            return
        row = _Repository(*values)._replace(updated_at=recorded.at)
        for field in ("key", "name", "description", "public"):
            if (changed := getattr(event, field)) is not msgspec.UNSET:
                row = row._replace(**{field: changed})
        if event.settings is not msgspec.UNSET:
            row = row._replace(settings=_json(event.settings))
            self._revise(event.repository, TREE_SCOPE, recorded.position)
        self._repositories.put((event.repository,), row, recorded.position)
        self._revise(NIL, REPOSITORIES_SCOPE, recorded.position)

    def _delete_repository(self, cursor: Cursor[Row], recorded: Recorded, event: RepositoryDeleted) -> None:
        parameters = {"repository": event.repository}
        for table in self._tables:
            table.close_where(cursor, "repository = %(repository)s", parameters, recorded.position)
        cursor.execute(
            "UPDATE view_blob SET until = %s WHERE repository = %s AND until IS NULL",
            (recorded.position, event.repository),
        )
        cursor.execute("DELETE FROM view_storage WHERE repository = %s", (event.repository,))
        cursor.execute("INSERT INTO view_revision VALUES (%s, %s, %s)", (NIL, REPOSITORIES_SCOPE, recorded.position))

    # revisions

    def _touch(self, repository: UUID, package: str, position: int) -> None:
        self._revise(repository, TREE_SCOPE, position)
        if package:
            self._revise(repository, package_scope(package), position)

    def _revise(self, repository: UUID, scope: str, position: int) -> None:
        self._revisions[repository, scope, position] = None
