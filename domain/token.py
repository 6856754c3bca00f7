"""API tokens: opaque secrets of which only a hash is kept."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import Invalid, NotFound
from domain.event import Event

SCOPES = frozenset(
    {
        "read:artifacts",
        "write:artifacts",
        "delete:artifacts",
        "promote:artifacts",
        "read:repositories",
        "write:repositories",
        "delete:repositories",
        "read:users",
        "write:users",
        "trigger:sync",
        "admin",
        "*",
    }
)
ADMIN_SCOPES = frozenset(
    {
        "admin",
        "*",
        "delete:artifacts",
        "delete:repositories",
        "promote:artifacts",
        "trigger:sync",
        "write:users",
    }
)
"""Scopes that only an administrator may give out."""

MAX_SCOPES = 50


class TokenNotFound(NotFound):
    """No such token, or not this caller's."""

    template = "token not found"

    def __init__(self) -> None:
        super().__init__()


class TokenCreated(Event, frozen=True, kw_only=True):
    """A token exists. hash: SHA-256 of the secret, hexadecimal. repositories: None is not confined."""

    TOPIC: ClassVar[str] = "token.created"
    token: UUID
    user: UUID
    name: str
    prefix: str
    hash: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    repositories: tuple[UUID, ...] | None = None
    description: str | None = None


class TokenRevoked(Event, frozen=True, kw_only=True):
    """The token opens nothing any more."""

    TOPIC: ClassVar[str] = "token.revoked"
    token: UUID
    user: UUID


class Token(msgspec.Struct, frozen=True):
    """What the next decision needs."""

    user: UUID | None = None
    revoked: bool = False


def evolve(state: Token, event: Event) -> Token:
    """Fold one event."""
    match event:
        case TokenCreated():
            return Token(user=event.user)
        case TokenRevoked():
            return msgspec.structs.replace(state, revoked=True)
        case _:
            return state


def checked_scopes(scopes: list[str]) -> tuple[str, ...]:
    """The scopes without repetition; raises Invalid for unknown, missing or too many ones."""
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise Invalid(f"unknown scope {unknown[0][:256]!r}; known are {', '.join(sorted(SCOPES))}")
    if not scopes or len(scopes) > MAX_SCOPES:
        raise Invalid(f"a token needs 1 to {MAX_SCOPES} scopes")
    return tuple(dict.fromkeys(scopes))


def scope_allows(held: tuple[str, ...] | None, wanted: str) -> bool:
    """Whether a token with the scopes `held` may do `wanted` (`verb:thing` or a bare verb). None holds everything."""
    if held is None or "admin" in held or "*" in held:
        return True
    return wanted in held or wanted.split(":", 1)[0] in held
