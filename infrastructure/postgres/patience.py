"""Connections that do not wait for ever for a server that has fallen silent, and notice a machine that is gone."""

from __future__ import annotations

from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import _WaitTimeout

T = TypeVar("T")

SILENCE_SECONDS = 30.0
"""Longer than any statement of a request may take."""

_INTERVAL_SECONDS = 0.1
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}


class Impatient(Connection[tuple[Any, ...]]):
    """A connection whose statements fail with OperationalError once the server has said nothing for `silence_seconds`.

    A server that hangs keeps its TCP connections alive: without this, each request would hold a thread until none is
    left. What became of the statement is unknown then, and the connection is closed.
    """

    silence_seconds: float | None = None
    """None is SILENCE_SECONDS."""

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL_SECONDS, timeout: float | None = None) -> T:
        """See psycopg; timeout: the caller's own, who means to go on afterwards."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        limit = SILENCE_SECONDS if self.silence_seconds is None else self.silence_seconds
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout as fault:
            self.pgconn.finish()
            raise OperationalError(f"PostgreSQL has said nothing for {limit:g} seconds") from fault


def watchful(dsn: str) -> str:
    """The address with TCP keepalives that tell within half a minute of a machine or a line that is gone.

    What the address itself says of them stays; Unix sockets have none and need none.
    """
    given = conninfo_to_dict(dsn)
    return make_conninfo(dsn, **{name: value for name, value in _KEEPALIVE.items() if name not in given})
