"""API tokens: opaque secrets of which only a hash is kept."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import Forbidden, Invalid, NotFound
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
MAX_NAME = 128
MAX_DESCRIPTION = 1024
MAX_DAYS = 3650

_PREFIX_DIGITS = 8
_SECRET = re.compile(r"[0-9a-f]{8}_[0-9a-f]{32}\Z")


class ScopeRefused(Forbidden):
    """The caller may not hand out that scope."""

    template = "you may not create a token with the scope '{scope}'"

    def __init__(self, scope: str) -> None:
        super().__init__(scope=scope)


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


def revoke(state: Token, token: UUID) -> list[Event]:
    """Take the token back; nothing happens when it is already."""
    if state.user is None:
        raise TokenNotFound
    return [] if state.revoked else [TokenRevoked(token=token, user=state.user)]


def format_secret(random: bytes) -> str:
    """The full token for 20 random bytes: 8 hexadecimal digits that are shown later too, `_`, and 32 that are not."""
    digits = random.hex()
    return f"{digits[:_PREFIX_DIGITS]}_{digits[_PREFIX_DIGITS:]}"


def is_secret(text: str) -> bool:
    """Whether the text has the form of one of our tokens."""
    return _SECRET.match(text) is not None


def secret_prefix(secret: str) -> str:
    """The part of a token that may be shown."""
    return secret[:_PREFIX_DIGITS]


def checked_name(name: str) -> str:
    """What the owner calls a token: 1 to 128 printable characters."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(f"a token needs a name of 1 to {MAX_NAME} printable characters")
    return name


def checked_description(text: str | None) -> str | None:
    """What a token is for: at most 1,024 characters, of which only line breaks need not be printable."""
    if text is not None and (len(text) > MAX_DESCRIPTION or not text.replace("\n", "").isprintable()):
        raise Invalid(f"a description has at most {MAX_DESCRIPTION} characters and no control characters")
    return text or None


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


def check_delegation(scopes: tuple[str, ...], *, held: tuple[str, ...] | None, admin: bool) -> None:
    """Raise ScopeRefused for a scope that this caller may not pass on.

    held: the scopes of the caller's own credential, None for all. admin: whether the caller acts as administrator;
    nobody else hands out ADMIN_SCOPES.
    """
    for scope in scopes:
        if not scope_allows(held, scope) or (scope in ADMIN_SCOPES and not admin):
            raise ScopeRefused(scope)
