"""Session tokens as JSON Web Tokens, signed with HMAC-SHA-256 and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import jwt

from application.identity.directory import UserRow
from application.identity.session_tokens import SessionClaims, TokenExpired, TokenType, TokenUnreadable
from domain.errors import Invalid

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32


class JwtTokens:
    """The SessionTokens port."""

    def __init__(
        self,
        secret: str,
        *,
        access_seconds: int = 30 * 60,
        client_seconds: int = 15 * 60,
        refresh_seconds: int = 7 * 86400,
        now: Callable[[], float] = time.time,
    ) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise Invalid(f"the secret for session tokens must have at least {MIN_SECRET_BYTES} bytes")
        self._secret = secret
        self._now = now
        self.access_seconds = access_seconds
        self.client_seconds = client_seconds
        self.refresh_seconds = refresh_seconds

    def access(self, user: UserRow, session: UUID, position: int) -> str:
        """See SessionTokens."""
        names = {"username": user.username, "email": user.email, "is_admin": user.admin}
        return self._signed("access", self.access_seconds, user.id, session, position, names)

    def refresh(self, user: UserRow, session: UUID, position: int, number: int) -> str:
        """See SessionTokens."""
        which = {"username": user.username, "number": number, "jti": f"{session}.{number}"}
        return self._signed("refresh", self.refresh_seconds, user.id, session, position, which)

    def client(self, user: UUID, position: int) -> str:
        """See SessionTokens."""
        return self._signed("client", self.client_seconds, user, uuid4(), position, {})

    def read(self, token: str, type_: TokenType) -> SessionClaims:
        """See SessionTokens."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                # expiry is checked below, by our clock; when it was issued is another process's clock
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
            read = SessionClaims(
                user=UUID(str(claims["sub"])),
                session=UUID(str(claims["family_id"])),
                position=int(claims["position"]),
                expires_at=int(claims["exp"]),
                number=int(claims.get("number", 0)),
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError):
            raise TokenUnreadable from None
        if claims.get("token_type") != type_:
            raise TokenUnreadable
        if read.expires_at <= self._now():
            raise TokenExpired
        return read

    def _signed(
        self, type_: TokenType, seconds: int, user: UUID, session: UUID, position: int, further: dict[str, Any]
    ) -> str:
        issued = self._now()
        claims = {
            "sub": str(user),
            "token_type": type_,
            "iat": int(issued),
            "iat_ms": int(issued * 1000),
            "exp": int(issued) + seconds,
            "family_id": str(session),
            "position": position,
            **further,
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)
