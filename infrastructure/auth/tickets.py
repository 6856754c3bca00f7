"""Download tickets in the database: any process takes what any other gave, and only once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from psycopg import Connection

from application.identity.tickets import TICKET_SECONDS, TicketHolder

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]

_holder = msgspec.json.Decoder(TicketHolder)


class StoredTickets:
    """The Tickets port over table download_ticket, which holds hashes only."""

    def __init__(self, connect: Connect, lifetime_seconds: float = TICKET_SECONDS) -> None:
        self._connect = connect
        self._lifetime_seconds = lifetime_seconds

    def issue(self, holder: TicketHolder, path: str | None) -> str:
        """See Tickets."""
        ticket = secrets.token_urlsafe(24)
        with self._connect() as connection:
            connection.execute("DELETE FROM download_ticket WHERE expires_at < now()", prepare=True)
            connection.execute(
                "INSERT INTO download_ticket (hash, path, holder, expires_at) "
                "VALUES (%s, %s, %s, now() + make_interval(secs => %s))",
                (_hashed(ticket), path or "", msgspec.json.encode(holder), self._lifetime_seconds),
                prepare=True,
            )
        return ticket

    def redeem(self, ticket: str, path: str) -> TicketHolder | None:
        """See Tickets."""
        with self._connect() as connection:
            row = connection.execute(
                "DELETE FROM download_ticket WHERE hash = %s AND path IN ('', %s) RETURNING holder, expires_at > now()",
                (_hashed(ticket), path.replace("\0", "")),
                prepare=True,
            ).fetchone()
        return _holder.decode(row[0]) if row is not None and row[1] else None


def _hashed(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
