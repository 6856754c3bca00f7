"""Searching a repository as it was, in the rows that were true then."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import Connection

from application.catalogue import PackageRow
from application.searching import MAX_COUNTED, MAX_TEXT, Hit, SearchQuery, SearchResult, name_key, query_words, storable
from projections.catalogue.view import Connect
from projections.projection import Row

_COLUMNS = "artifact, repository, path, package, name, version, sha256, size_bytes, media_type, published_at, since"
_THEN = (
    "SELECT {columns} FROM {table} WHERE repository = %(repository)s AND since <= %(at)s UNION ALL "
    "SELECT {columns} FROM {table}_h WHERE repository = %(repository)s AND since <= %(at)s AND until > %(at)s"
)
# as in the search index: its name, else its package's, else its file's
_NAME = "coalesce(nullif(name, ''), nullif(package, ''), substring(path FROM '[^/]*$'))"
_KEY = "lower(regexp_replace({name}, '[-_.]+', '-', 'g'))"
_FOUND = (
    f"SELECT *, {_KEY.format(name='shown')} AS name_key FROM (SELECT *, {_NAME} AS shown FROM ("
    f"{_THEN.format(columns=_COLUMNS, table='view_artifact')}) AS rows) AS named"
)
_HIT = "artifact, repository, path, package, shown, version, sha256, size_bytes, media_type, published_at"
# words within words too: MyParser2 is found by parser
_WORDS = (
    "lower(concat_ws(' ', shown, package, version, path, "
    "regexp_replace(concat_ws(' ', shown, package), '([a-z])([A-Z0-9])', '\\1 \\2', 'g')))"
)
_ORDER = {"name": "name_key", "created_at": "since", "size_bytes": "size_bytes"}
_BIGINT = (1 << 63) - 1


class CataloguePast:
    """The Past port."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def search(self, query: SearchQuery, repository: UUID, at: int) -> SearchResult:
        """See Past."""
        if query.text and not query_words(query.text):
            return SearchResult([], 0, exact=True, repositories={}, media_types={})
        condition, parameters = _conditions(query)
        parameters |= {
            "repository": repository,
            "at": at,
            "key": name_key(query.text[:MAX_TEXT].strip()),
            "limit": query.limit,
            "offset": min(query.offset, _BIGINT),
        }
        matching = f"SELECT * FROM ({_FOUND}) AS found WHERE {condition}"
        with self._connect() as connection:
            counted = connection.execute(
                f"SELECT media_type, count(*) FROM (SELECT media_type FROM ({matching}) AS m LIMIT {MAX_COUNTED}) AS c "
                "GROUP BY media_type",
                parameters,
            ).fetchall()
            hits = _page(connection, query, matching, parameters) if query.limit > 0 else []
        total = sum(count for _, count in counted)
        found = {repository: total} if total else {}
        return SearchResult(hits, total, exact=total < MAX_COUNTED, repositories=found, media_types=dict(counted))

    def packages(
        self, repository: UUID, at: int, text: str = "", *, limit: int, offset: int = 0
    ) -> tuple[list[PackageRow], int]:
        """See Past."""
        columns = "repository, package, name, created_at, updated_at"
        then = f"SELECT * FROM ({_THEN.format(columns=columns, table='view_package')}) AS rows"
        parameters: dict[str, Any] = {
            "repository": repository,
            "at": at,
            "limit": limit,
            "offset": min(offset, _BIGINT),
        }
        key = name_key(text[:MAX_TEXT])
        if key:
            then += f" WHERE {_KEY.format(name='name')} LIKE %(pattern)s"
            parameters["pattern"] = f"%{_escape(key)}%"
        with self._connect() as connection:
            count = connection.execute(f"SELECT count(*) FROM ({then}) AS p", parameters).fetchone()
            rows = connection.execute(
                f"{then} ORDER BY package LIMIT %(limit)s OFFSET %(offset)s", parameters
            ).fetchall()
        return [PackageRow(*row) for row in rows], count[0] if count else 0


def _page(connection: Connection[Row], query: SearchQuery, matching: str, parameters: dict[str, Any]) -> list[Hit]:
    way = "DESC" if query.descending else "ASC"
    if query.sort == "relevance":
        order = "(name_key = %(key)s) DESC, starts_with(name_key, %(key)s) DESC, since DESC, path"
    else:
        order = f"{_ORDER[query.sort]} {way}, path {way}"
    rows = connection.execute(
        f"SELECT {_HIT} FROM ({matching}) AS m ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s", parameters
    ).fetchall()
    return [Hit(*row) for row in rows]


def _conditions(query: SearchQuery) -> tuple[str, dict[str, Any]]:
    conditions, parameters = ["true"], dict[str, Any]()

    def add(condition: str, name: str, value: object) -> None:
        conditions.append(condition)
        parameters[name] = value

    for number, word in enumerate(query_words(query.text)):
        add(f"{_WORDS} ~ %(word{number})s", f"word{number}", f"(^|[^[:alnum:]]){word}")
    if query.name is not None:
        key = name_key(query.name[:MAX_TEXT])
        add(f"name_key {_like(key)} %(name)s", "name", _pattern(key))
    if query.path is not None:
        path = storable(query.path[:MAX_TEXT])
        add("path ILIKE %(path)s", "path", _pattern(path) if "*" in path else f"%{_escape(path)}%")
    if query.version is not None:
        version = storable(query.version[:MAX_TEXT])
        add(f"version {_like(version)} %(version)s", "version", _pattern(version))
    for name, condition in (
        ("min_size", "size_bytes >= %(min_size)s"),
        ("max_size", "size_bytes <= %(max_size)s"),
        ("created_after", "published_at >= %(created_after)s"),
        ("created_before", "published_at <= %(created_before)s"),
    ):
        value = getattr(query, name)
        if value is not None:
            add(condition, name, max(-_BIGINT, min(value, _BIGINT)) if isinstance(value, int) else value)
    return " AND ".join(conditions), parameters


def _like(text: str) -> str:
    return "LIKE" if "*" in text else "="


def _pattern(text: str) -> str:
    return _escape(text).replace("*", "%") if "*" in text else text


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
