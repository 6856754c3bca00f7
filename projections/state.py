"""What the database knows of the registry as a whole: the log's head, read models, totals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from psycopg import Connection

from application.health import ProjectionState, Totals
from projections.projection import Row

_PROJECTIONS = """
SELECT wanted.name, coalesce(t.position, 0), greatest(h.position - coalesce(t.position, 0), 0),
       coalesce(greatest(extract(epoch FROM clock_timestamp() - waiting.recorded_at), 0), 0)::float8,
       t.at, t.failed_at, t.error, (SELECT count(*) FROM es_skipped s WHERE s.projection = wanted.name)
FROM unnest(%s::text[]) AS wanted (name) CROSS JOIN es_head h
LEFT JOIN es_tracking t ON t.projection = wanted.name
LEFT JOIN es_events waiting ON waiting.notification_id = coalesce(t.position, 0) + 1 ORDER BY wanted.name
"""
_TOTALS = """
SELECT (SELECT count(*) FROM view_repository), coalesce(sum(artifacts), 0)::bigint,
       (SELECT count(*) FROM view_package), coalesce(sum(logical_bytes), 0)::bigint,
       (SELECT count(*) FROM view_user WHERE NOT deleted)
FROM view_storage
"""
_BLOBS = """
SELECT count(*), coalesce(sum(size), 0)::bigint FROM (
    SELECT max(size_bytes) AS size FROM view_blob WHERE until IS NULL GROUP BY sha256
) AS blob
"""


class StateView:
    """The State port. names: of the read models that this installation keeps."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection[Row]]], names: Sequence[str]) -> None:
        self._connect = connect
        self._names = list(names)

    def head(self) -> int:
        """See State."""
        with self._connect() as connection:
            row = connection.execute("SELECT position FROM es_head", prepare=True).fetchone()
        return row[0] if row else 0

    def projections(self) -> Sequence[ProjectionState]:
        """See State."""
        with self._connect() as connection:
            return [ProjectionState(*row) for row in connection.execute(_PROJECTIONS, (self._names,)).fetchall()]

    def totals(self) -> Totals:
        """See State."""
        with self._connect() as connection:
            row = connection.execute(_TOTALS).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        return Totals(*row)

    def blobs(self) -> tuple[int, int]:
        """See State."""
        with self._connect() as connection:
            row = connection.execute(_BLOBS).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        return row[0], row[1]
