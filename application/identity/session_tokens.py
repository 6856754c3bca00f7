"""Signed tokens of a session, as values. How they are signed is an adapter's business."""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

import msgspec

from application.identity.directory import UserRow
from domain.errors import Unauthenticated

TokenType = Literal["access", "refresh", "client"]


class TokenExpired(Unauthenticated):
    """A good signature whose time is over."""

    template = "the session token has expired; refresh it or sign in again"

    def __init__(self) -> None:
        super().__init__()


class TokenUnreadable(Unauthenticated):
    """Not a token of ours, or not of the asked type."""

    template = "the session token is not valid"
    code = "JWT_ERROR"

    def __init__(self) -> None:
        super().__init__()


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a session token says.

    session: its family. position: of the log when its holder was proven. number: of a refresh token within its session.
    expires_at: seconds since the epoch.
    """

    user: UUID
    session: UUID
    position: int
    expires_at: float
    number: int = 0


class SessionTokens(Protocol):
    """Issues and reads session tokens."""

    @property
    def client_seconds(self) -> int:
        """How long a token of a package client lives."""

    @property
    def access_seconds(self) -> int:
        """How long an access token lives."""

    @property
    def refresh_seconds(self) -> int:
        """How long a refresh token lives."""

    def access(self, user: UserRow, session: UUID, position: int) -> str:
        """A token that opens the API for a while."""

    def refresh(self, user: UserRow, session: UUID, position: int, number: int) -> str:
        """A token that gives a new pair, once."""

    def client(self, user: UUID, position: int) -> str:
        """A token that a package client swaps its credential for; of no session that could be ended."""

    def read(self, token: str, type_: TokenType) -> SessionClaims:
        """What the token says; raises TokenExpired, TokenUnreadable."""
