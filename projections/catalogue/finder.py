"""Queries over artifacts by path, property, blob and revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from application.catalogue import ArtifactRow
from application.finding import ArtifactFilter, Occupancy
from projections.catalogue.view import ARTIFACT_COLUMNS, Connect, artifact_row

_REVISIONS = (
    f"SELECT DISTINCT ON (revision) {ARTIFACT_COLUMNS} FROM ("
    f"SELECT {ARTIFACT_COLUMNS} FROM view_artifact WHERE artifact = %(artifact)s UNION ALL "
    f"SELECT {ARTIFACT_COLUMNS} FROM view_artifact_h WHERE artifact = %(artifact)s) AS every "
    "WHERE %(at)s::bigint IS NULL OR since <= %(at)s ORDER BY revision DESC, since DESC"
)
_WITH_BLOB = (
    f"SELECT {ARTIFACT_COLUMNS} FROM view_artifact WHERE sha256 = %(sha256)s AND artifact IN ("
    "SELECT artifact FROM view_blob WHERE sha256 = %(sha256)s AND until IS NULL "
    "AND repository = ANY(%(repositories)s)) LIMIT %(limit)s"
)
_IN_ROLE = "repository = %(repository)s AND package = %(package)s AND blobs::jsonb ? %(role)s"
_IN_ROLE_OF_BLOB = (
    f"{_IN_ROLE} AND artifact IN ("
    "SELECT artifact FROM view_blob WHERE sha256 = %(sha256)s AND repository = %(repository)s)"
)
_OCCUPANCY = (
    "SELECT path, false FROM view_artifact WHERE repository = %(repository)s AND path = ANY(%(at)s) UNION ALL "
    "(SELECT found.path, true FROM unnest(%(paths)s::text[]) AS wanted (path), LATERAL ("
    "SELECT path FROM view_artifact WHERE repository = %(repository)s "
    "AND path > wanted.path || '/' AND path < wanted.path || '0' LIMIT 1) AS found LIMIT 1)"  # 0 comes after the slash
)


class CatalogueFinder:
    """The Finder port over the tables of the catalogue projection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def find(
        self,
        wanted: ArtifactFilter,
        at: int | None = None,
        *,
        after: tuple[UUID, str] | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[ArtifactRow]:
        """See Finder."""
        condition, parameters = _condition(wanted)
        if after is not None:
            condition += " AND (repository, path) > (%(repository)s, %(after)s)"
            parameters["repository"], parameters["after"] = after
        query = (
            f"{_select(ARTIFACT_COLUMNS, condition, at)} ORDER BY repository, path LIMIT %(limit)s OFFSET %(offset)s"
        )
        with self._connect() as connection:
            rows = connection.execute(query, {**parameters, "at": at, "limit": limit, "offset": offset}).fetchall()
        return [artifact_row(row) for row in rows]

    def count(self, wanted: ArtifactFilter, at: int | None = None, limit: int | None = None) -> int:
        """See Finder."""
        condition, parameters = _condition(wanted)
        query = f"SELECT count(*) FROM ({_select('path', condition, at)} LIMIT %(limit)s) AS fitting"
        with self._connect() as connection:
            row = connection.execute(query, {**parameters, "at": at, "limit": limit}).fetchone()
        return row[0] if row else 0

    def revisions(self, artifact: UUID, at: int | None = None) -> list[ArtifactRow]:
        """See Finder."""
        with self._connect() as connection:
            rows = connection.execute(_REVISIONS, {"artifact": artifact, "at": at}, prepare=True).fetchall()
        return [artifact_row(row) for row in rows]

    def with_blob(self, sha256: str, repositories: Sequence[UUID], limit: int = 1) -> list[ArtifactRow]:
        """See Finder."""
        parameters = {"sha256": sha256, "repositories": list(repositories), "limit": limit}
        with self._connect() as connection:
            rows = connection.execute(_WITH_BLOB, parameters, prepare=True).fetchall()
        return [artifact_row(row) for row in rows]

    def in_role(
        self, repository: UUID, package: str, role: str, at: int | None = None, *, sha256: str = ""
    ) -> ArtifactRow | None:
        """See Finder."""
        condition = _IN_ROLE_OF_BLOB if sha256 else _IN_ROLE
        parameters = {"repository": repository, "package": package, "role": role, "sha256": sha256, "at": at}
        with self._connect() as connection:
            row = connection.execute(
                f"{_select(ARTIFACT_COLUMNS, condition, at)} LIMIT 1", parameters, prepare=True
            ).fetchone()
        return artifact_row(row) if row else None

    def occupancy(self, repository: UUID, paths: Sequence[str]) -> Occupancy:
        """See Finder."""
        above = {parent for path in paths for parent in _parents(path)}
        parameters = {"repository": repository, "paths": list(paths), "at": [*above, *paths]}
        with self._connect() as connection:
            rows = connection.execute(_OCCUPANCY, parameters, prepare=True).fetchall()
        at = {path for path, is_below in rows if not is_below}
        obstacles = sorted(at & above) + [path for path, is_below in rows if is_below]
        return Occupancy(frozenset(at.intersection(paths)), next(iter(obstacles), None))


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _select(columns: str, condition: str, at: int | None) -> str:
    """Rows there are, or were at a position."""
    if at is None:
        return f"SELECT {columns} FROM view_artifact WHERE {condition}"
    return (
        f"SELECT {columns} FROM view_artifact WHERE {condition} AND since <= %(at)s UNION ALL "
        f"SELECT {columns} FROM view_artifact_h WHERE {condition} AND since <= %(at)s AND until > %(at)s"
    )


def _condition(wanted: ArtifactFilter) -> tuple[str, dict[str, Any]]:
    terms = ["repository = ANY(%(repositories)s)"]
    parameters: dict[str, Any] = {"repositories": list(wanted.repositories)}
    if wanted.prefix:
        terms.append("path >= %(prefix)s AND path < %(end)s")
        parameters |= {"prefix": wanted.prefix, "end": wanted.prefix + "\U0010ffff"}
    if wanted.text:
        terms.append("path ILIKE %(text)s")
        parameters["text"] = f"%{_like(wanted.text)}%"
    if wanted.glob:
        terms.append("path LIKE %(glob)s")
        parameters["glob"] = _glob(wanted.glob)
    if wanted.name_glob:
        terms.append("substring(path FROM '[^/]*$') LIKE %(name_glob)s")
        parameters["name_glob"] = _glob(wanted.name_glob)
    for number, (name, value) in enumerate(wanted.properties.items()):
        terms.append(
            f"properties::jsonb -> %(name{number})s ? %(value{number})s"
            if value
            else f"properties::jsonb ? %(name{number})s"
        )
        parameters |= {f"name{number}": name, f"value{number}": value}
    for number, (algorithm, digest) in enumerate(wanted.digests.items()):
        terms.append(f"digests::jsonb ->> %(algorithm{number})s = %(digest{number})s")
        parameters |= {f"algorithm{number}": algorithm, f"digest{number}": digest}
    return " AND ".join(terms), parameters


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _glob(text: str) -> str:
    return _like(text).replace("*", "%").replace("?", "_")
