"""Queries over download counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any
from uuid import UUID

from psycopg import Connection

from application.usage import Day, DownloadStats
from projections.projection import Row


class UsageView:
    """The Usage port."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection[Row]]]) -> None:
        self._connect = connect

    def downloads(self, artifacts: Collection[UUID]) -> dict[UUID, int]:
        """See Usage."""
        return dict(self._rows("SELECT artifact, downloads FROM usage_total WHERE artifact = ANY(%s)", list(artifacts)))

    def stats(self, artifact: UUID) -> DownloadStats:
        """See Usage."""
        rows = self._rows("SELECT downloads, first_at, last_at FROM usage_total WHERE artifact = %s", artifact)
        return DownloadStats(*rows[0]) if rows else DownloadStats()

    def of_packages(self, packages: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
        """See Usage."""
        rows = self._rows(
            "SELECT a.repository, a.package, sum(t.downloads)::bigint "
            "FROM unnest(%s::uuid[], %s::text[]) AS wanted (repository, package) "
            "JOIN view_artifact a USING (repository, package) JOIN usage_total t ON t.artifact = a.artifact "
            "GROUP BY a.repository, a.package",
            [repository for repository, _ in packages],
            [package for _, package in packages],
        )
        return {(repository, package): count for repository, package, count in rows}

    def of_versions(self, repository: UUID, package: str) -> dict[str, int]:
        """See Usage."""
        return dict(
            self._rows(
                "SELECT a.version, sum(t.downloads)::bigint FROM view_artifact a "
                "JOIN usage_total t ON t.artifact = a.artifact "
                "WHERE a.repository = %s AND a.package = %s GROUP BY a.version",
                repository,
                package,
            )
        )

    def of_repositories(self, repositories: Collection[UUID]) -> dict[UUID, int]:
        """See Usage."""
        return dict(
            self._rows(
                "SELECT repository, sum(downloads)::bigint FROM usage_total WHERE repository = ANY(%s) "
                "GROUP BY repository",
                list(repositories),
            )
        )

    def total(self) -> int:
        """See Usage."""
        count: int = self._rows("SELECT coalesce(sum(downloads), 0)::bigint FROM usage_total")[0][0]
        return count

    def trend(
        self, first: date, last: date, *, repository: UUID | None = None, artifact: UUID | None = None
    ) -> list[Day]:
        """See Usage."""
        condition, parameters = _within(first, last, repository)
        if artifact is not None:
            condition, parameters = f"{condition} AND artifact = %s", [*parameters, artifact]
        query = f"SELECT day, sum(downloads)::bigint FROM usage_daily WHERE {condition} GROUP BY day ORDER BY day"
        return [Day(day, count) for day, count in self._rows(query, *parameters)]

    def families(self, first: date, last: date, *, repository: UUID | None = None) -> dict[str, int]:
        """See Usage."""
        condition, parameters = _within(first, last, repository)
        query = (
            f"SELECT client_family, sum(downloads)::bigint FROM usage_daily WHERE {condition} "
            "GROUP BY client_family ORDER BY 2 DESC, 1"
        )
        return dict(self._rows(query, *parameters))

    def trending(
        self, days: int, limit: int, repositories: Collection[UUID] | None = None
    ) -> Sequence[tuple[UUID, int]]:
        """See Usage."""
        rows = self._rows(
            "SELECT artifact, sum(downloads)::bigint AS count FROM usage_daily d "
            "WHERE day > (now() AT TIME ZONE 'UTC')::date - %s::int "
            "AND (%s::uuid[] IS NULL OR repository = ANY(%s::uuid[])) "
            "AND EXISTS (SELECT FROM view_artifact a WHERE a.artifact = d.artifact) "
            "GROUP BY artifact ORDER BY count DESC, artifact LIMIT %s",
            days,
            *[None if repositories is None else list(repositories)] * 2,
            limit,
        )
        return [(artifact, count) for artifact, count in rows]

    def _rows(self, query: str, *parameters: Any) -> list[Row]:
        with self._connect() as connection:
            return connection.execute(query, parameters, prepare=True).fetchall()


def _within(first: date, last: date, repository: UUID | None) -> tuple[str, list[Any]]:
    if repository is None:
        return "day BETWEEN %s AND %s", [first, last]
    return "day BETWEEN %s AND %s AND repository = %s", [first, last, repository]
