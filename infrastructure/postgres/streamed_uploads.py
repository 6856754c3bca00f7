"""The record of uploads of unknown length: one table, shared by all API processes."""

from __future__ import annotations

from uuid import UUID

from psycopg.rows import TupleRow

from application.uploading.streamed import StreamedUpload
from infrastructure.postgres.pool import Pool, connection

FORGOTTEN_AFTER_DAYS = 2
"""Since the last byte; the bytes themselves are removed sooner."""


class PostgresStreamedSessions:
    """The port `StreamedSessions` in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, upload: StreamedUpload) -> None:
        """Keep a new session, and forget those that were given up."""
        with connection(self._pool) as own:
            own.execute(
                "DELETE FROM streamed_upload WHERE touched_at < now() - make_interval(days => %s)",
                [FORGOTTEN_AFTER_DAYS],
                prepare=True,
            )
            own.execute(
                "INSERT INTO streamed_upload (session, owner, repository, place) VALUES (%s, %s, %s, %s)",
                [upload.id, upload.owner, upload.repository, upload.place],
                prepare=True,
            )

    def open_uploads(self, owner: UUID) -> int:
        """How many sessions of that owner there are."""
        row = self._first("SELECT count(*) FROM streamed_upload WHERE owner = %s", owner)
        return int(row[0]) if row else 0

    def get(self, upload: UUID) -> StreamedUpload | None:
        """The session as it is now."""
        row = self._first(
            "SELECT session, owner, repository, place, parts, size_bytes FROM streamed_upload WHERE session = %s",
            upload,
        )
        if row is None:
            return None
        session, owner, repository, place, parts, size_bytes = row
        return StreamedUpload(
            id=session, owner=owner, repository=repository, place=place, parts=tuple(parts), size_bytes=size_bytes
        )

    def begin(self, upload: UUID, size_bytes: int) -> int | None:
        """Take the turn, if the session has so many bytes."""
        row = self._first(
            "UPDATE streamed_upload SET turn = turn + 1, touched_at = now() WHERE session = %s AND size_bytes = %s "
            "RETURNING turn",
            upload,
            size_bytes,
        )
        return int(row[0]) if row else None

    def end(self, upload: UUID, turn: int, size_bytes: int) -> bool:
        """The bytes of that turn are here; False when it is no longer the last."""
        row = self._first(
            "UPDATE streamed_upload SET parts = parts || turn, size_bytes = size_bytes + %s, turn = turn + 1, "
            "touched_at = now() WHERE session = %s AND turn = %s RETURNING session",
            size_bytes,
            upload,
            turn,
        )
        return row is not None

    def remove(self, upload: UUID) -> None:
        """The session is over."""
        with connection(self._pool) as own:
            own.execute("DELETE FROM streamed_upload WHERE session = %s", [upload], prepare=True)

    def _first(self, statement: str, *parameters: object) -> TupleRow | None:
        with connection(self._pool) as own:
            return own.execute(statement, parameters, prepare=True).fetchone()
