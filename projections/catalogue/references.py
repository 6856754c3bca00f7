"""Which blobs the registry still needs: for what is there now, and for every past that can still be read."""

from __future__ import annotations

from collections.abc import Sequence

from projections.catalogue.view import Connect

_NEEDED = """
    SELECT DISTINCT b.sha256 FROM view_blob b
    WHERE b.sha256 = ANY(%(digests)s)
      AND (b.until IS NULL
           OR %(days)s = 0
           OR b.until > es_position_at(now() - make_interval(days => %(days)s))
           OR EXISTS (SELECT FROM view_repository s WHERE s.kind = 'snapshot' AND s.source = b.repository
                      AND b.since <= s.source_position AND b.until > s.source_position)
           OR EXISTS (SELECT FROM view_checkpoint c WHERE b.since <= c.position AND b.until > c.position))
"""


class CatalogueReferences:
    """The BlobReferences port. retention_days: how long a past can be read; 0 is for ever.

    Snapshots and named checkpoints keep what they show however old they are.
    """

    def __init__(self, connect: Connect, retention_days: int) -> None:
        self._connect = connect
        self._retention_days = retention_days

    def unreferenced(self, sha256s: Sequence[str]) -> set[str]:
        """See BlobReferences."""
        with self._connect() as connection:
            rows = connection.execute(_NEEDED, {"digests": list(sha256s), "days": self._retention_days}).fetchall()
        return set(sha256s) - {row[0] for row in rows}

    def former_artifacts(self, sha256s: Sequence[str]) -> int:
        """See BlobReferences."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT count(DISTINCT artifact) FROM view_blob WHERE sha256 = ANY(%s)", (list(sha256s),)
            ).fetchone()
        return row[0] if row else 0
