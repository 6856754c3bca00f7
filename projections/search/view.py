"""Questions to the search tables. Words are matched by their beginning, parts of names and paths by trigrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from application.searching import (
    MAX_COUNTED,
    MAX_TEXT,
    Hit,
    PackageHit,
    SearchQuery,
    SearchResult,
    name_key,
    query_words,
    storable,
)
from projections.projection import Row

Connect = Callable[[], AbstractContextManager[Connection[Row]]]

_HIT = "artifact, repository, path, package, name, version, sha256, size_bytes, media_type, published_at"
_PACKAGE = "package_id, repository, package, name, description, artifacts, size_bytes, created_at, updated_at"

_RANKED = 300
"""How many of the newest matches are put in order of relevance."""

_NAMED = 200
_BIGINT = (1 << 63) - 1
_ORDER = {"name": "name_key", "created_at": "position", "size_bytes": "size_bytes"}

_Parameters = dict[str, Any]


class SearchView:
    """The SearchIndex and Shelves ports over the search projection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    # words

    def quick(self, text: str, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """See SearchIndex."""
        if limit <= 0 or not query_words(text):
            return []
        query = SearchQuery(text=text, repositories=repositories, limit=limit)
        return self._page(query) or self._resembling(text, repositories, limit)

    def search(self, query: SearchQuery) -> SearchResult:
        """See SearchIndex."""
        if query.text and not query_words(query.text):
            return SearchResult([], 0, exact=True, repositories={}, media_types={})
        hits = self._page(query) if query.limit > 0 else []
        rows = self._counts(query)
        repositories: dict[UUID, int] = {}
        media_types: dict[str, int] = {}
        for repository, media_type, count in rows:
            repositories[repository] = repositories.get(repository, 0) + count
            media_types[media_type] = media_types.get(media_type, 0) + count
        total = sum(repositories.values())
        exact = total < MAX_COUNTED or _is_everything(query)
        return SearchResult(hits, total, exact=exact, repositories=repositories, media_types=media_types)

    def suggest(self, prefix: str, repositories: frozenset[UUID] | None, limit: int) -> list[str]:
        """See SearchIndex. Steps from name to name: the cost goes by names, not by what bears them."""
        start = name_key(prefix[:MAX_TEXT])
        if not start or limit <= 0:
            return []
        condition, parameters = _visible(repositories)
        parameters |= {"start": start, "end": start + "\U0010ffff", "limit": limit}
        first = (
            "SELECT name_key, name FROM view_search WHERE name_key >= %(start)s AND name_key < %(end)s AND "
            f"{condition} ORDER BY name_key, position LIMIT 1"
        )
        after = (
            "SELECT name_key, name FROM view_search v WHERE v.name_key > found.name_key AND v.name_key < %(end)s AND "
            f"{condition} ORDER BY name_key, position LIMIT 1"
        )
        rows = self._rows(
            f"WITH RECURSIVE found (name_key, name) AS (({first}) UNION ALL "
            f"SELECT following.* FROM found, LATERAL ({after}) AS following) SELECT name FROM found LIMIT %(limit)s",
            parameters,
        )
        return [name for (name,) in rows]

    # lists

    def recent(self, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """See Shelves."""
        condition, parameters = _visible(repositories)
        query = f"SELECT {_HIT} FROM view_search WHERE {condition} ORDER BY position DESC LIMIT %(limit)s"
        return _hits(self._rows(query, {**parameters, "limit": max(limit, 0)}))

    def by_checksum(self, algorithm: str, checksum: str, repositories: frozenset[UUID] | None) -> list[Hit]:
        """See Shelves."""
        column = {"sha256": "sha256", "sha1": "sha1", "md5": "md5"}[algorithm]
        condition, parameters = _visible(repositories)
        query = (
            f"SELECT {_HIT} FROM view_search WHERE {column} = %(checksum)s AND {condition} "
            f"ORDER BY position LIMIT {MAX_COUNTED}"
        )
        return _hits(self._rows(query, {**parameters, "checksum": checksum}))

    def artifacts(self, artifacts: Sequence[UUID]) -> list[Hit]:
        """See Shelves."""
        rows = self._rows(f"SELECT {_HIT} FROM view_search WHERE artifact = ANY(%(ids)s)", {"ids": list(artifacts)})
        found = {hit.artifact: hit for hit in _hits(rows)}
        return [found[artifact] for artifact in artifacts if artifact in found]

    def packages(
        self, text: str, repositories: frozenset[UUID] | None, *, limit: int, offset: int
    ) -> tuple[list[PackageHit], int]:
        """See Shelves."""
        condition, parameters = _visible(repositories)
        key = name_key(text[:MAX_TEXT])
        if key:
            condition += " AND name_key LIKE %(pattern)s"
            parameters["pattern"] = f"%{_escape(key)}%"
        parameters |= {"limit": limit, "offset": min(offset, _BIGINT)}
        with self._connect() as connection:
            count = _execute(connection, f"SELECT count(*) FROM view_search_package WHERE {condition}", parameters)
            rows = _execute(
                connection,
                f"SELECT {_PACKAGE} FROM view_search_package WHERE {condition} "
                "ORDER BY name_key, package_id LIMIT %(limit)s OFFSET %(offset)s",
                parameters,
            )
        return [PackageHit(*row) for row in rows], count[0][0]

    def package(self, package: UUID) -> PackageHit | None:
        """See Shelves."""
        rows = self._rows(f"SELECT {_PACKAGE} FROM view_search_package WHERE package_id = %(id)s", {"id": package})
        return PackageHit(*rows[0]) if rows else None

    def metadata(self, versions: Sequence[tuple[UUID, str, str]]) -> dict[tuple[UUID, str, str], msgspec.Raw]:
        """See Shelves."""
        repositories, packages, names = (list(part) for part in zip(*versions, strict=True)) if versions else ([],) * 3
        rows = self._rows(
            "SELECT wanted.repository, wanted.package, wanted.version, one.metadata FROM "
            "unnest(%(repositories)s::uuid[], %(packages)s::text[], %(versions)s::text[]) "
            "AS wanted (repository, package, version) CROSS JOIN LATERAL (SELECT a.metadata FROM view_artifact a "
            "WHERE a.repository = wanted.repository AND a.package = wanted.package AND a.version = wanted.version "
            "LIMIT 1) AS one",
            {"repositories": repositories, "packages": packages, "versions": names},
        )
        return {(row[0], row[1], row[2]): msgspec.Raw(row[3].encode()) for row in rows}

    # steps

    def _page(self, query: SearchQuery) -> list[Hit]:
        condition, parameters = _conditions(query)
        parameters |= {"limit": query.limit, "offset": min(query.offset, _BIGINT)}
        if query.sort == "relevance" and query.text:
            return _hits(self._rows(_by_relevance(condition), _with_key(query, parameters)))
        column = _ORDER.get(query.sort, "position")
        way = "DESC" if query.descending else "ASC"
        order = f"{column} {way}" if column == "position" else f"{column} {way}, position {way}"
        return _hits(
            self._rows(
                f"SELECT {_HIT} FROM view_search WHERE {condition} ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s",
                parameters,
            )
        )

    def _counts(self, query: SearchQuery) -> list[Row]:
        """Matches by repository and media type; of more than MAX_COUNTED only so many, unless all are asked for."""
        if _is_everything(query):
            condition, parameters = _visible(query.repositories)
            return self._rows(
                f"SELECT repository, media_type, artifacts FROM view_search_count WHERE {condition} AND artifacts > 0",
                parameters,
            )
        condition, parameters = _conditions(query)
        return self._rows(
            "SELECT repository, media_type, count(*) FROM (SELECT repository, media_type FROM view_search "
            f"WHERE {condition} LIMIT {MAX_COUNTED}) AS counted GROUP BY repository, media_type",
            parameters,
        )

    def _resembling(self, text: str, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """The newest artifact of each package whose name is nearly the text: somebody mistyped it."""
        condition, parameters = _visible(repositories)
        rows = self._rows(
            "SELECT newest.* FROM (SELECT repository, name_key, similarity(name_key, %(key)s) AS nearness "
            f"FROM view_search_package WHERE name_key %% %(key)s AND {condition} "
            "ORDER BY nearness DESC, name_key LIMIT %(limit)s) AS near "
            f"CROSS JOIN LATERAL (SELECT {_HIT} FROM view_search s "
            "WHERE s.repository = near.repository AND s.name_key = near.name_key "
            "ORDER BY s.position DESC LIMIT 1) AS newest ORDER BY near.nearness DESC, near.name_key",
            {**parameters, "key": name_key(text[:MAX_TEXT]), "limit": limit},
        )
        return _hits(rows)

    def _rows(self, query: str, parameters: _Parameters) -> list[Row]:
        with self._connect() as connection:
            return _execute(connection, query, parameters)


def _execute(connection: Connection[Row], query: str, parameters: _Parameters) -> list[Row]:
    # planned anew for its values: how common a word is decides where to begin
    return connection.execute(query, parameters, prepare=False).fetchall()


def _by_relevance(condition: str) -> str:
    """Names that are the text, then names that begin with it, then by how the words stand in it; the newest first."""
    matches = f"SELECT * FROM view_search WHERE {condition} AND name_key"
    return (
        f"SELECT {_HIT} FROM ("
        f"({matches} = %(key)s ORDER BY position DESC LIMIT {_NAMED}) UNION ALL "
        f"({matches} <> %(key)s ORDER BY position DESC LIMIT {_RANKED})"
        ") AS candidates ORDER BY (name_key = %(key)s) DESC, starts_with(name_key, %(key)s) DESC, "
        "ts_rank(words, %(words)s::tsquery) DESC, position DESC LIMIT %(limit)s OFFSET %(offset)s"
    )


def _with_key(query: SearchQuery, parameters: _Parameters) -> _Parameters:
    return {**parameters, "key": name_key(query.text[:MAX_TEXT].strip())}


def _is_everything(query: SearchQuery) -> bool:
    """Whether nothing but repositories is asked for."""
    asked = (
        query.name, query.path, query.version,
        query.min_size, query.max_size, query.created_after, query.created_before,
    )  # fmt: skip
    return not query.text and all(value is None for value in asked)


def _conditions(query: SearchQuery) -> tuple[str, _Parameters]:
    visible, parameters = _visible(query.repositories)
    conditions = [visible]

    def add(condition: str, name: str, value: object) -> None:
        conditions.append(condition)
        parameters[name] = value

    if query.text:
        add("words @@ %(words)s::tsquery", "words", " & ".join(f"'{word}':*" for word in query_words(query.text)))
    if query.name is not None:
        key = name_key(query.name[:MAX_TEXT])
        add(f"name_key {_like(key)} %(name)s", "name", _pattern(key))
    if query.path is not None:
        path = storable(query.path[:MAX_TEXT])
        add("path ILIKE %(path)s", "path", _pattern(path) if "*" in path else f"%{_escape(path)}%")
    if query.version is not None:
        version = storable(query.version[:MAX_TEXT])
        add(f"version {_like(version)} %(version)s", "version", _pattern(version))
    if query.min_size is not None:
        add("size_bytes >= %(min_size)s", "min_size", _clamp(query.min_size))
    if query.max_size is not None:
        add("size_bytes <= %(max_size)s", "max_size", _clamp(query.max_size))
    if query.created_after is not None:
        add("published_at >= %(after)s", "after", query.created_after)
    if query.created_before is not None:
        add("published_at <= %(before)s", "before", query.created_before)
    return " AND ".join(conditions), parameters


def _visible(repositories: frozenset[UUID] | None) -> tuple[str, _Parameters]:
    if repositories is None:
        return "true", {}
    if len(repositories) == 1:
        return "repository = %(repository)s", {"repository": next(iter(repositories))}
    return "repository = ANY(%(repositories)s::uuid[])", {"repositories": list(repositories)}


def _like(text: str) -> str:
    return "LIKE" if "*" in text else "="


def _pattern(text: str) -> str:
    return _escape(text).replace("*", "%") if "*" in text else text


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _clamp(number: int) -> int:
    return max(-_BIGINT, min(number, _BIGINT))


def _hits(rows: list[Row]) -> list[Hit]:
    return [Hit(*row) for row in rows]
