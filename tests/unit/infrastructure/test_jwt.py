"""Session tokens: what they say to clients, and everything that is not one of ours."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt
import pytest

from application.identity.directory import UserRow
from application.identity.session_tokens import TokenExpired, TokenUnreadable
from domain.errors import Invalid
from infrastructure.auth.jwt import JwtTokens

SECRET = "0123456789abcdef" * 4
USER, SESSION = UUID(int=1), UUID(int=2)
NOW = 1_772_000_000.25


class Time:
    now = NOW

    def __call__(self) -> float:
        return self.now


def row() -> UserRow:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return UserRow(
        id=USER,
        kind="user",
        username="ann",
        email="ann@example.org",
        display_name=None,
        provider="local",
        admin=True,
        active=True,
        must_change_password=False,
        setup=False,
        deleted=False,
        sessions_after=0,
        created_at=moment,
        updated_at=moment,
        last_login_at=None,
    )


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded


def forged(secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    claims = {**claims_of(JwtTokens(SECRET, now=Time()).access(row(), SESSION, 5)), **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm)


def test_an_access_token_says_what_the_contract_lists() -> None:
    assert claims_of(JwtTokens(SECRET, now=Time()).access(row(), SESSION, 5)) == {
        "sub": str(USER),
        "username": "ann",
        "email": "ann@example.org",
        "is_admin": True,
        "token_type": "access",
        "iat": int(NOW),
        "iat_ms": int(NOW * 1000),
        "exp": int(NOW) + 1800,
        "family_id": str(SESSION),
        "position": 5,
    }


def test_tokens_are_read_as_they_were_issued() -> None:
    tokens = JwtTokens(SECRET, now=Time())
    access = tokens.read(tokens.access(row(), SESSION, 5), "access")
    assert (access.user, access.session, access.position) == (USER, SESSION, 5)
    refresh = tokens.read(tokens.refresh(row(), SESSION, 5, 3), "refresh")
    assert (refresh.number, refresh.expires_at) == (3, int(NOW) + 7 * 86400)
    assert "email" not in claims_of(tokens.refresh(row(), SESSION, 5, 3))


def test_tokens_expire_by_our_clock() -> None:
    clock = Time()
    tokens = JwtTokens(SECRET, now=clock, access_seconds=60)
    token = tokens.access(row(), SESSION, 5)
    clock.now = int(NOW) + 59.9
    tokens.read(token, "access")
    clock.now = int(NOW) + 60
    with pytest.raises(TokenExpired):
        tokens.read(token, "access")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        forged(secret="another secret of thirty-two bytes!"),
        forged(algorithm="HS384"),
        forged(token_type="refresh"),
        forged(token_type="totp_pending"),
        forged(sub="not a uuid"),
        forged(sub=None),
        forged(exp=None),
        forged(exp="soon"),
        forged(exp=float("inf")),
        forged(family_id=None),
        forged(family_id=7),
        forged(position="x"),
        forged(position=None),
        forged()[:-2],
        "eyJhbGciOiJub25lIn0." + forged().split(".")[1] + ".",
    ],
)
def test_everything_else_is_unreadable(token: str) -> None:
    with pytest.raises(TokenUnreadable):
        JwtTokens(SECRET, now=Time()).read(token, "access")


def test_a_short_secret_signs_nothing() -> None:
    with pytest.raises(Invalid):
        JwtTokens("x" * 31)
