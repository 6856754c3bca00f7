"""How the API shows accounts and tokens, and what its routes about them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from application.identity.directory import TokenRow, UserRow
from application.identity.tokens import CreatedToken, NewToken
from domain.errors import Forbidden, Invalid
from domain.permissions import Principal


class UserBody(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the API shows it."""

    id: UUID
    username: str
    email: str
    display_name: str | None
    auth_provider: str
    is_active: bool
    is_admin: bool
    must_change_password: bool
    last_login_at: datetime | None
    created_at: datetime


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: UUID
    name: str
    token_prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class TokenList(msgspec.Struct, frozen=True):
    """Somebody's tokens, oldest first."""

    items: list[TokenBody]


class CreateToken(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a token's creation."""

    name: str
    scopes: list[str]
    expires_in_days: int | None = None


class CreatedTokenBody(msgspec.Struct, frozen=True):
    """A new token; `token` is shown this once."""

    id: UUID
    name: str
    token: str


def user_body(row: UserRow) -> UserBody:
    """An account for the API."""
    return UserBody(
        id=row.id,
        username=row.username,
        email=row.email,
        display_name=row.display_name,
        auth_provider=row.provider,
        is_active=row.active,
        is_admin=row.admin,
        must_change_password=row.must_change_password,
        last_login_at=row.last_login_at,
        created_at=row.created_at,
    )


def token_list(rows: Sequence[TokenRow]) -> TokenList:
    """Tokens for the API."""
    return TokenList(
        [
            TokenBody(
                id=row.id,
                name=row.name,
                token_prefix=row.prefix,
                scopes=row.scopes,
                expires_at=row.expires_at,
                last_used_at=row.last_used_at,
                created_at=row.created_at,
            )
            for row in rows
        ]
    )


def created_body(created: CreatedToken) -> CreatedTokenBody:
    """A new token for the API."""
    return CreatedTokenBody(created.id, created.name, created.secret)


def new_token(data: CreateToken) -> NewToken:
    """What a body asks for."""
    return NewToken(name=data.name, scopes=data.scopes, expires_in_days=data.expires_in_days)


def caller_id(principal: Principal) -> UUID:
    """The caller of a route that needs one."""
    assert principal.id is not None  # noqa: S101 - the guard let nobody else in
    return principal.id


def checked_id(text: str) -> UUID:
    """A UUID in a path; raises Invalid."""
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(f"{text[:64]!r} is not a UUID") from None


def require_self_or_admin(principal: Principal, user: UUID) -> None:
    """Raise Forbidden for anybody but the user and administrators."""
    if principal.id != user and not principal.is_admin:
        raise Forbidden("this is for the user and for administrators")
