"""Queries over the catalogue, now and as of a position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from application.catalogue import (
    ArtifactRow,
    Child,
    PackageRow,
    RepositoryRow,
    StorageUsage,
    VersionRow,
)
from domain.repository import Settings
from projections.catalogue.tree import children_parameters, children_query
from projections.projection import Row

Connect = Callable[[], AbstractContextManager[Connection[Row]]]

_REPOSITORY = (
    "repository, key, name, description, format, kind, public, settings, source, source_position, "
    "created_at, created_by, updated_at, since"
)
_PACKAGE = "repository, package, name, created_at, updated_at"
_VERSION = "version, created_at, created_by, yanked, deprecated"
ARTIFACT_COLUMNS = (
    "artifact, repository, path, package, name, version, sha256, size_bytes, media_type, digests, metadata, "
    "metadata_blob, blobs, properties, revision, published_at, published_by, since"
)

_digests = msgspec.json.Decoder(dict[str, str])
_properties = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_settings = msgspec.json.Decoder(Settings)

_USAGE = """
    WITH mine AS (
        SELECT b.sha256, max(b.size_bytes) AS size,
               NOT EXISTS (SELECT FROM view_blob o WHERE o.sha256 = b.sha256 AND o.until IS NULL
                           AND o.repository <> %(repository)s) AS alone
        FROM view_blob b WHERE b.repository = %(repository)s AND b.until IS NULL AND b.size_bytes IS NOT NULL
        GROUP BY b.sha256
    )
    SELECT coalesce((SELECT logical_bytes FROM view_storage WHERE repository = %(repository)s), 0),
           coalesce(sum(size), 0)::bigint, coalesce(sum(size) FILTER (WHERE alone), 0)::bigint, count(*), now()
    FROM mine
"""

_FORMER_VERSIONS = """
    SELECT h.version, min(h.created_at) FROM view_version_h h
    WHERE h.repository = %(repository)s AND h.package = %(package)s AND h.until <= %(at)s
      AND NOT EXISTS (SELECT FROM view_version v WHERE v.repository = h.repository AND v.package = h.package
                      AND v.version = h.version AND v.since <= %(at)s)
      AND NOT EXISTS (SELECT FROM view_version_h v WHERE v.repository = h.repository AND v.package = h.package
                      AND v.version = h.version AND v.since <= %(at)s AND v.until > %(at)s)
    GROUP BY h.version ORDER BY h.version
"""

_FOREVER = (1 << 62) - 1


class CatalogueView:
    """The Catalogue port over the tables of the catalogue projection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def repository(self, key: str, at: int | None = None) -> RepositoryRow | None:
        """See Catalogue."""
        rows = self._select(_REPOSITORY, "view_repository", "key = %(key)s", {"key": key}, at)
        if not rows and at is not None:
            now = self.repository(key)
            return self.repository_by_id(now.id, at) if now else None
        return _repository_row(rows[0]) if rows else None

    def repository_by_id(self, repository: UUID, at: int | None = None) -> RepositoryRow | None:
        """See Catalogue."""
        parameters = {"repository": repository}
        rows = self._select(_REPOSITORY, "view_repository", "repository = %(repository)s", parameters, at)
        return _repository_row(rows[0]) if rows else None

    def repositories(self) -> list[RepositoryRow]:
        """See Catalogue."""
        rows = self._select(_REPOSITORY, "view_repository", "true", {}, None, "ORDER BY key")
        return [_repository_row(row) for row in rows]

    def packages(
        self, repository: UUID, at: int | None = None, *, after: str = "", limit: int | None = None
    ) -> list[PackageRow]:
        """See Catalogue."""
        rows = self._select(
            _PACKAGE,
            "view_package",
            "repository = %(repository)s AND package > %(after)s",
            {"repository": repository, "after": after, "limit": limit},
            at,
            "ORDER BY package LIMIT %(limit)s",
        )
        return [PackageRow(*row) for row in rows]

    def versions(self, repository: UUID, package: str, at: int | None = None) -> list[VersionRow]:
        """See Catalogue."""
        rows = self._select(
            _VERSION,
            "view_version",
            "repository = %(repository)s AND package = %(package)s",
            {"repository": repository, "package": package},
            at,
            "ORDER BY created_at, version",
        )
        return [VersionRow(*row) for row in rows]

    def former_versions(self, repository: UUID, package: str, at: int | None = None) -> dict[str, datetime]:
        """See Catalogue."""
        parameters = {"repository": repository, "package": package, "at": _FOREVER if at is None else at}
        with self._connect() as connection:
            return dict(connection.execute(_FORMER_VERSIONS, parameters).fetchall())

    def marks(self, repository: UUID, package: str, kind: str, at: int | None = None) -> dict[str, str]:
        """See Catalogue."""
        rows = self._select(
            "name, value",
            "view_mark",
            "repository = %(repository)s AND package = %(package)s AND kind = %(kind)s",
            {"repository": repository, "package": package, "kind": kind},
            at,
            "ORDER BY name",
            within="int8range(since, until) @> %(at)s::bigint",
        )
        return dict(rows)

    def artifact(self, repository: UUID, path: str, at: int | None = None) -> ArtifactRow | None:
        """See Catalogue."""
        parameters = {"repository": repository, "path": path}
        rows = self._select(
            ARTIFACT_COLUMNS, "view_artifact", "repository = %(repository)s AND path = %(path)s", parameters, at
        )
        return artifact_row(rows[0]) if rows else None

    def artifact_by_id(self, artifact: UUID, at: int | None = None) -> ArtifactRow | None:
        """See Catalogue."""
        rows = self._select(ARTIFACT_COLUMNS, "view_artifact", "artifact = %(artifact)s", {"artifact": artifact}, at)
        return artifact_row(rows[0]) if rows else None

    def artifacts(self, repository: UUID, package: str, at: int | None = None) -> list[ArtifactRow]:
        """See Catalogue."""
        rows = self._select(
            ARTIFACT_COLUMNS,
            "view_artifact",
            "repository = %(repository)s AND package = %(package)s",
            {"repository": repository, "package": package},
            at,
            "ORDER BY path",
        )
        return [artifact_row(row) for row in rows]

    def artifacts_below(
        self,
        repository: UUID,
        prefix: str,
        at: int | None = None,
        *,
        after: str = "",
        upto: str | None = None,
        limit: int = 1000,
    ) -> list[ArtifactRow]:
        """See Catalogue."""
        condition = "repository = %(repository)s AND path > %(after)s AND path >= %(prefix)s"
        if prefix:
            condition += " AND path < %(end)s"
        if upto is not None:
            condition += " AND path <= %(upto)s"
        rows = self._select(
            ARTIFACT_COLUMNS,
            "view_artifact",
            condition,
            {
                "repository": repository,
                "prefix": prefix,
                "end": _successor(prefix),
                "after": after,
                "upto": upto,
                "limit": limit,
            },
            at,
            "ORDER BY path LIMIT %(limit)s",
        )
        return [artifact_row(row) for row in rows]

    def outline(self, repository: UUID, prefix: str, at: int | None = None) -> list[tuple[str, int]]:
        """See Catalogue."""
        condition = "repository = %(repository)s AND path >= %(prefix)s AND path < %(end)s"
        parameters = {"repository": repository, "prefix": prefix, "end": _successor(prefix)}
        return self._select("path, since", "view_artifact", condition, parameters, at, "ORDER BY path")

    def children(
        self, repository: UUID, directory: str, at: int | None = None, *, after: str = "", limit: int = 1000
    ) -> list[Child]:
        """See Catalogue."""
        query, parameters = (
            children_query(past=at is not None),
            children_parameters(repository, directory, at, after, limit),
        )
        with self._connect() as connection:
            paths = [row[0] for row in connection.execute(query, parameters, prepare=True)]
        files = self._artifacts_at(repository, [path for path in paths if "/" not in path[len(directory) :]], at)
        return [Child(path[len(directory) :].partition("/")[0], files.get(path)) for path in paths]

    def _artifacts_at(self, repository: UUID, paths: list[str], at: int | None) -> dict[str, ArtifactRow]:
        if not paths:
            return {}
        parameters = {"repository": repository, "paths": paths}
        condition = "repository = %(repository)s AND path = ANY(%(paths)s)"
        rows = map(artifact_row, self._select(ARTIFACT_COLUMNS, "view_artifact", condition, parameters, at))
        return {row.path: row for row in rows}

    def revision(self, repository: UUID, scope: str, at: int | None = None) -> int:
        """See Catalogue."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT revision FROM view_revision WHERE repository = %s AND scope = %s AND revision <= %s "
                "ORDER BY revision DESC LIMIT 1",
                (repository, scope, _FOREVER if at is None else at),
                prepare=True,
            ).fetchone()
        return row[0] if row else 0

    def changes(self, after: int, upto: int, limit: int) -> list[tuple[UUID, str, int]]:
        """Scopes that changed at positions in (after, upto], at most `limit`, in order."""
        with self._connect() as connection:
            return connection.execute(
                "SELECT repository, scope, revision FROM view_revision WHERE revision > %s AND revision <= %s "
                "ORDER BY revision LIMIT %s",
                (after, upto, limit),
                prepare=True,
            ).fetchall()

    def checkpoint(self, name: str) -> int | None:
        """See Catalogue."""
        with self._connect() as connection:
            row = connection.execute("SELECT position FROM view_checkpoint WHERE name = %s", (name,)).fetchone()
        return row[0] if row else None

    def checkpoints(self) -> list[tuple[str, int]]:
        """See Catalogue."""
        with self._connect() as connection:
            return connection.execute("SELECT name, position FROM view_checkpoint ORDER BY name").fetchall()

    def used_bytes(self, repositories: Sequence[UUID]) -> dict[UUID, int]:
        """See Storage."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT repository, logical_bytes FROM view_storage WHERE repository = ANY(%s)", (list(repositories),)
            ).fetchall()
        return dict(rows)

    def usage(self, repository: UUID) -> StorageUsage:
        """See Storage."""
        with self._connect() as connection:
            row = connection.execute(_USAGE, {"repository": repository}).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        return StorageUsage(*row)

    def blobs_known(self, digests: Sequence[str]) -> set[str]:
        """See Catalogue."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT d FROM unnest(%s::text[]) AS d WHERE EXISTS (SELECT FROM view_blob WHERE sha256 = d)",
                (list(digests),),
            ).fetchall()
        return {row[0] for row in rows}

    def _select(
        self,
        columns: str,
        table: str,
        condition: str,
        parameters: dict[str, Any],
        at: int | None,
        tail: str = "",
        *,
        within: str = "since <= %(at)s AND until > %(at)s",
    ) -> list[Row]:
        if at is None:
            query = f"SELECT {columns} FROM {table} WHERE {condition} {tail}"
        else:
            parameters = {**parameters, "at": at}
            query = (
                f"SELECT {columns} FROM {table} WHERE {condition} AND since <= %(at)s UNION ALL "
                f"SELECT {columns} FROM {table}_h WHERE {condition} AND {within} {tail}"
            )
        with self._connect() as connection:
            return connection.execute(query, parameters, prepare=True).fetchall()


def _successor(prefix: str) -> str:
    """The smallest text after everything that starts with the prefix, in byte order."""
    return prefix + "\U0010ffff"


def _repository_row(row: Row) -> RepositoryRow:
    values = list(row)
    values[7] = _settings.decode(values[7])
    return RepositoryRow(*values)


def artifact_row(row: Row) -> ArtifactRow:
    """A row of ARTIFACT_COLUMNS."""
    values = list(row)
    values[9] = _digests.decode(values[9])
    values[10] = msgspec.Raw(values[10].encode())
    values[12] = _digests.decode(values[12])
    values[13] = _properties.decode(values[13])
    return ArtifactRow(*values)
