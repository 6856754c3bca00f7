"""The record of resumable uploads: two tables, shared by all API processes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import TupleRow

from application.uploading.sessions import Status, UploadRequest, UploadResult, UploadSession
from infrastructure.postgres.pool import Pool, connection

CLAIM_MINUTES = 15
"""Longer than hashing and storing the largest upload takes."""

_COLUMNS = (
    "session, owner, repository, path, total_size, chunk_size, sha256, request, status, created_at, expires_at, "
    "result, verified"
)
_FREE = f"(completing_since IS NULL OR completing_since < now() - interval '{CLAIM_MINUTES} minutes')"


class PostgresUploadSessions:
    """The port `UploadSessions` in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, session: UploadSession) -> None:
        """Keep a new session."""
        self._execute(
            "INSERT INTO upload_session (session, owner, repository, path, total_size, chunk_size, sha256, request, "
            "created_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            session.id,
            session.owner,
            session.repository,
            session.path,
            session.total_size,
            session.chunk_size,
            session.sha256,
            msgspec.json.encode(session.request),
            session.created_at,
            session.expires_at,
        )

    def open_sessions(self, owner: UUID) -> int:
        """How many sessions of that owner are in progress."""
        rows = self._fetch("SELECT count(*) FROM upload_session WHERE owner = %s AND status = 'in_progress'", owner)
        return int(rows[0][0])

    def get(self, session: UUID) -> UploadSession | None:
        """The session, also an ended one."""
        return _first(self._fetch(f"SELECT {_COLUMNS} FROM upload_session WHERE session = %s", session))

    def chunks(self, session: UUID) -> set[int]:
        """The chunks that are wholly here."""
        return {chunk for (chunk,) in self._fetch("SELECT chunk FROM upload_chunk WHERE session = %s", session)}

    def begin_chunk(self, session: UUID, chunk: int) -> bool:
        """Forget the chunk until `end_chunk`. False while the session is being completed."""
        rows = self._fetch(
            "WITH open AS (UPDATE upload_session SET verified = false "
            f"WHERE session = %s AND status = 'in_progress' AND {_FREE} RETURNING session), "
            "gone AS (DELETE FROM upload_chunk WHERE session IN (SELECT session FROM open) AND chunk = %s) "
            "SELECT session FROM open",
            session,
            chunk,
        )
        return bool(rows)

    def end_chunk(self, session: UUID, chunk: int, expires_at: datetime) -> int:
        """The chunk is wholly here; gives how many are."""
        with connection(self._pool) as own, own.transaction():
            # The session's row first: chunks of one session are counted one after the other, each count once.
            own.execute(
                "UPDATE upload_session SET expires_at = greatest(expires_at, %s) WHERE session = %s",
                [expires_at, session],
            )
            own.execute(
                "INSERT INTO upload_chunk (session, chunk) SELECT session, %s FROM upload_session "
                "WHERE session = %s AND status = 'in_progress' ON CONFLICT DO NOTHING",
                [chunk, session],
            )
            row = own.execute("SELECT count(*) FROM upload_chunk WHERE session = %s", [session]).fetchone()
        return int(row[0]) if row else 0

    def claim(self, session: UUID) -> UploadSession | None:
        """Be the only one to complete the session, as it is now; None when it cannot be had."""
        return _first(
            self._fetch(
                "UPDATE upload_session SET completing_since = now() "
                f"WHERE session = %s AND status = 'in_progress' AND {_FREE} RETURNING {_COLUMNS}",
                session,
            )
        )

    def verify(self, session: UUID) -> None:
        """Note that what arrived has the announced digest."""
        self._execute("UPDATE upload_session SET verified = true WHERE session = %s", session)

    def release(self, session: UUID) -> None:
        """End a claim without completing."""
        self._execute("UPDATE upload_session SET completing_since = NULL WHERE session = %s", session)

    def end(self, session: UUID, status: Status, result: UploadResult | None = None) -> None:
        """The session is over; one that is over already stays what it is."""
        with connection(self._pool) as own, own.transaction():
            own.execute(
                "UPDATE upload_session SET status = %s, result = %s, completing_since = NULL "
                "WHERE session = %s AND status = 'in_progress'",
                [status, msgspec.json.encode(result) if result is not None else None, session],
            )
            own.execute("DELETE FROM upload_chunk WHERE session = %s", [session])

    def overdue(self, now: datetime) -> list[UUID]:
        """Sessions in progress whose time is over."""
        rows = self._fetch(
            f"SELECT session FROM upload_session WHERE status = 'in_progress' AND expires_at <= %s AND {_FREE}", now
        )
        return [session for (session,) in rows]

    def forget(self, before: datetime) -> None:
        """Drop the record of sessions that ended or expired before that time."""
        self._execute("DELETE FROM upload_session WHERE status <> 'in_progress' AND expires_at < %s", before)

    def known(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Those that are in progress."""
        rows = self._fetch(
            "SELECT session FROM upload_session WHERE session = ANY(%s) AND status = 'in_progress'", list(sessions)
        )
        return {session for (session,) in rows}

    def _fetch(self, statement: str, *parameters: object) -> list[TupleRow]:
        with connection(self._pool) as own:
            return own.execute(statement, parameters).fetchall()

    def _execute(self, statement: str, *parameters: object) -> None:
        with connection(self._pool) as own:
            own.execute(statement, parameters)


def _first(rows: list[tuple[Any, ...]]) -> UploadSession | None:
    if not rows:
        return None
    session, owner, repository, path, total, chunk, sha256, request, status, created, expires, result, verified = rows[
        0
    ]
    return UploadSession(
        id=session,
        owner=owner,
        repository=repository,
        path=path,
        total_size=total,
        chunk_size=chunk,
        sha256=sha256,
        request=msgspec.json.decode(request, type=UploadRequest),
        status=status,
        created_at=created,
        expires_at=expires,
        result=msgspec.json.decode(result, type=UploadResult) if result is not None else None,
        verified=verified,
    )
