"""What is directly in a directory, by skipping over what lies below its folders."""

from __future__ import annotations

from typing import Any
from uuid import UUID

LAST = "\U0010ffff"
"""Sorts after every other character."""

_NOW = "SELECT path FROM view_artifact WHERE {condition} ORDER BY path LIMIT 1"
_THEN = (
    "SELECT min(path) FROM ("
    "(SELECT path FROM view_artifact WHERE {condition} AND since <= %(at)s ORDER BY path LIMIT 1) UNION ALL "
    "(SELECT path FROM view_artifact_h WHERE {condition} AND since <= %(at)s AND until > %(at)s ORDER BY path LIMIT 1)"
    ") AS either"
)
_WITHIN = "repository = %(repository)s AND path > {cursor} AND path < %(end)s"
_NEXT = (
    "CASE WHEN strpos(substr(entry.path, %(offset)s), '/') > 0 "
    "THEN %(directory)s || split_part(substr(entry.path, %(offset)s), '/', 1) || '/' || %(last)s "
    "ELSE entry.path END"
)


def children_query(*, past: bool) -> str:
    """Gives one path for each entry, in order: a file's own, or the first one below a folder.

    Each step is one descent of the index on (repository, path), however much lies below a folder.
    """
    step = _THEN if past else _NOW
    first = step.format(condition=_WITHIN.format(cursor="%(after)s"))
    following = step.format(condition=_WITHIN.format(cursor=_NEXT))
    return (
        f"WITH RECURSIVE entry (path, number) AS (SELECT ({first}), 1 UNION ALL "
        f"SELECT ({following}), number + 1 FROM entry WHERE path IS NOT NULL AND number < %(limit)s) "
        "SELECT path FROM entry WHERE path IS NOT NULL ORDER BY number"
    )


def children_parameters(repository: UUID, directory: str, at: int | None, after: str, limit: int) -> dict[str, Any]:
    """The parameters of `children_query`. after: the key of the entry to begin behind, or nothing."""
    return {
        "repository": repository,
        "directory": directory,
        "at": at,
        "after": directory + after + (LAST if after.endswith("/") else ""),
        "end": directory + LAST,
        "offset": len(directory) + 1,
        "last": LAST,
        "limit": limit,
    }
