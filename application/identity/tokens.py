"""API tokens: creating and revoking them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from application.log import Change, EventLog
from application.publishing import Progress
from domain import token
from domain.errors import Invalid
from domain.event import Metadata
from domain.permissions import Principal, may
from domain.token import (
    ADMIN_SCOPES,
    MAX_DAYS,
    ScopeRefused,
    Token,
    TokenCreated,
    check_delegation,
    checked_description,
    checked_name,
    checked_scopes,
    format_secret,
    secret_prefix,
)

MAX_CONFINED_DAYS = 365
_SECRET_BYTES = 20


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """What to create. expires_in_days: None is no end. description: for whoever finds it later."""

    name: str
    scopes: list[str]
    expires_in_days: int | None = None
    description: str | None = None


class CreatedToken(msgspec.Struct, frozen=True):
    """A new token. secret: shown once, to whoever asked for it."""

    id: UUID
    name: str
    secret: str


class Tokens:
    """The commands on tokens. Each returns when every process knows what it changed."""

    def __init__(self, log: EventLog, progress: Progress, *, now: Callable[[], datetime]) -> None:
        self._log = log
        self._progress = progress
        self._now = now

    def create(self, user: UUID, new: NewToken, caller: Principal, meta: Metadata) -> CreatedToken:
        """A token that acts for `user`, within what the caller may pass on. Raises Invalid, ScopeRefused.

        A caller whose own credential is confined passes the confinement on. Days are clamped to what is allowed.
        """
        scopes = checked_scopes(new.scopes)
        check_delegation(scopes, held=caller.scopes, admin=caller.is_admin)
        days = None if new.expires_in_days is None else max(1, min(new.expires_in_days, MAX_DAYS))
        confined = None if caller.repositories is None else tuple(sorted(caller.repositories))
        return self._store(user, new, scopes, days, confined, meta)

    def create_for_repository(
        self, repository: UUID, new: NewToken, caller: Principal, meta: Metadata, *, public: bool
    ) -> CreatedToken:
        """A token of the caller's that opens one repository only. What it may change there, the caller must be able to.

        Raises Invalid, ScopeRefused.
        """
        assert caller.id is not None  # noqa: S101 - anonymous callers do not come here
        scopes = checked_scopes(new.scopes)
        for scope in scopes:
            action = "admin" if scope in ADMIN_SCOPES or scope == "write:repositories" else scope.partition(":")[0]
            if not may(caller, action, repository, public=public):
                raise ScopeRefused(scope)
        check_delegation(scopes, held=caller.scopes, admin=True)
        if new.expires_in_days is not None and not 1 <= new.expires_in_days <= MAX_CONFINED_DAYS:
            raise Invalid(f"expires_in_days must be 1 to {MAX_CONFINED_DAYS}")
        return self._store(caller.id, new, scopes, new.expires_in_days, (repository,), meta)

    def revoke(self, token_id: UUID, meta: Metadata) -> None:
        """Take a token back, everywhere at once. Raises TokenNotFound."""

        def decide() -> list[Change]:
            state, version = self._log.load(token_id, Token(), token.evolve)
            return [Change(token_id, version, token.revoke(state, token_id))]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("access",), receipt.position)

    def _store(
        self,
        user: UUID,
        new: NewToken,
        scopes: tuple[str, ...],
        days: int | None,
        confined: tuple[UUID, ...] | None,
        meta: Metadata,
    ) -> CreatedToken:
        secret = format_secret(secrets.token_bytes(_SECRET_BYTES))
        created = TokenCreated(
            token=uuid4(),
            user=user,
            name=checked_name(new.name),
            prefix=secret_prefix(secret),
            hash=secret_hash(secret),
            scopes=scopes,
            expires_at=None if days is None else self._now() + timedelta(days=days),
            repositories=confined,
            description=checked_description(new.description),
        )
        receipt = self._log.execute(lambda: [Change(created.token, 0, [created])], meta)
        self._progress.reached(("access",), receipt.position)
        return CreatedToken(created.token, created.name, secret)


def secret_hash(secret: str) -> str:
    """What is stored of a token's secret. 128 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
