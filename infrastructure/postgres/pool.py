"""Connections to PostgreSQL, and what their failures mean to the rest of the registry."""

from __future__ import annotations

import logging
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

from domain.errors import Unavailable
from infrastructure.postgres.patience import Impatient

Pool: TypeAlias = ConnectionPool[Impatient]

_log = logging.getLogger(__name__)


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, is too busy, or ended the connection; trying again later may help."""

    template = "the database is not available: {reason}"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


def open_pool(
    dsn: str,
    min_size: int = 2,
    max_size: int = 20,
    *,
    acquire_timeout_seconds: float = 5,
    idle_timeout_seconds: float = 600,
    max_lifetime_seconds: float = 1800,
    application_name: str = "artifact-keeper",
) -> Pool:
    """A pool of autocommit connections in UTC; it fills in the background and heals itself when the server returns.

    A server that is away does not fail this call: the first `connection` says so. Close it with `close()`.
    acquire_timeout_seconds: how long a caller waits for a connection before it is refused; at most 4 callers for each
    connection wait, further ones are refused at once.
    """
    return ConnectionPool(
        dsn,
        connection_class=Impatient,
        min_size=min_size,
        max_size=max_size,
        open=True,
        kwargs={"autocommit": True, "application_name": application_name, "connect_timeout": 5},
        configure=_configure,
        check=_check,
        timeout=acquire_timeout_seconds,
        max_waiting=4 * max_size,
        max_idle=idle_timeout_seconds,
        max_lifetime=max_lifetime_seconds,
        # Its retries back off ever longer. Given up early, the next caller starts afresh: recovery takes no minutes.
        reconnect_timeout=5,
        reconnect_failed=lambda pool: _log.warning("PostgreSQL cannot be reached (%s)", pool.name),
        name=application_name,
    )


@contextmanager
def connection(pool: Pool) -> Iterator[Connection[tuple[Any, ...]]]:
    """Borrow a connection. In the block each statement is its own transaction; group them by `.transaction()`.

    Raises DatabaseUnavailable for whatever another attempt may cure: no or a silent server, no free connection, a lost
    connection, a lock or statement time-out, a deadlock. Faults of the statement itself pass unchanged.
    """
    try:
        with pool.connection() as borrowed:
            yield borrowed
    except OperationalError as fault:
        raise DatabaseUnavailable(_reason(fault)) from fault


def _configure(fresh: Connection[tuple[Any, ...]]) -> None:
    fresh.execute("SET TIME ZONE 'UTC'")


def _check(pooled: Connection[tuple[Any, ...]]) -> None:
    """Refuse a connection that the server has ended.

    A round trip only when the idle socket has something to say, which is nearly always its end; otherwise a poll.
    """
    poll = select.poll()
    poll.register(pooled.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(pooled)


def _reason(fault: OperationalError) -> str:
    lines = str(fault).strip().splitlines()
    return lines[0] if lines else type(fault).__name__
