"""What processes tell each other about upstreams: when what was asked for, and who is asking just now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection

from application.proxying.ports import Known
from infrastructure.postgres.pool import DatabaseUnavailable

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]

WAIT_SECONDS = 120
"""How long one waits for another process that is fetching the same; then it is told to come back."""


class PostgresUpstreams:
    """The UpstreamCache port. Who fetches holds an advisory lock on a connection of its own, which ends with it."""

    def __init__(self, dsn: str, connect: Connect) -> None:
        self._dsn = dsn
        self._connect = connect

    def known(self, repository: UUID, path: str) -> Known | None:
        """See UpstreamCache."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT sha256, etag, last_modified, checked_at FROM upstream_known "
                "WHERE repository = %s AND path = %s",
                (repository, path),
                prepare=True,
            ).fetchone()
        return None if row is None else Known(*row)

    def note(self, repository: UUID, path: str, known: Known) -> None:
        """See UpstreamCache."""
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO upstream_known (repository, path, sha256, etag, last_modified, checked_at) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (repository, path) DO UPDATE SET "
                "sha256 = excluded.sha256, "
                "etag = excluded.etag, last_modified = excluded.last_modified, checked_at = excluded.checked_at",
                (repository, path, known.sha256, known.etag[:1000], known.last_modified[:100], known.checked_at),
                prepare=True,
            )

    def expire(self, repository: UUID, pattern: str) -> int:
        """See UpstreamCache. Validators stay: what did not change is not fetched again."""
        like = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
        with self._connect() as connection:
            return connection.execute(
                "UPDATE upstream_known SET checked_at = 'epoch' WHERE repository = %s AND path LIKE %s",
                (repository, like),
            ).rowcount

    @contextmanager
    def alone(self, repository: UUID, path: str) -> Iterator[None]:
        """See UpstreamCache. Raises DatabaseUnavailable, also when another process takes too long."""
        name = hashlib.sha256(repository.bytes + path.encode()).digest()[:8]
        number = int.from_bytes(name, "big", signed=True)
        try:
            own = psycopg.connect(self._dsn, autocommit=True, application_name="artifact-keeper fetch")
        except psycopg.OperationalError as fault:
            raise DatabaseUnavailable(str(fault).strip()) from fault
        with closing(own):
            try:
                own.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
                own.execute("SELECT pg_advisory_lock(%s)", (number,))
            except psycopg.OperationalError as fault:
                raise DatabaseUnavailable(str(fault).strip()) from fault
            yield
