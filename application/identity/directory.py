"""What is known of people, tokens and grants now: rows of the access read model, and the queries over it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from domain.account import AccountKind
from domain.permissions import Action


class UserRow(msgspec.Struct, frozen=True):
    """An account. sessions_after: sessions that were proven before this position are void.

    deleted: the account is gone and only its name is left, for those who ask who did something; an erased one has
    lost that too and all its texts are empty. setup: the provisional first administrator.
    """

    id: UUID
    kind: AccountKind
    username: str
    email: str
    display_name: str | None
    provider: str
    admin: bool
    active: bool
    must_change_password: bool
    setup: bool
    deleted: bool
    sessions_after: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @property
    def usable(self) -> bool:
        """Whether anybody may still act as this account."""
        return self.active and not self.deleted


class TokenRow(msgspec.Struct, frozen=True):
    """An API token without its secret. repositories: None is not confined. last_used_at: a few seconds late."""

    id: UUID
    user: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    repositories: tuple[UUID, ...] | None
    description: str | None
    created_at: datetime
    created_by: UUID | None
    revoked: bool
    last_used_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class GrantRow(msgspec.Struct, frozen=True):
    """What a principal may do to a target. Names are None where the thing is not, or not yet, known."""

    id: UUID
    principal_type: str
    principal: UUID
    principal_name: str | None
    target_type: str
    target: UUID
    target_name: str | None
    actions: tuple[Action, ...]
    created_at: datetime
    updated_at: datetime


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which users. search: part of the user name, e-mail address or display name, in any case."""

    search: str = ""
    active: bool | None = None
    admin: bool | None = None
    kind: AccountKind = "user"


class GrantFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which grants; what is None does not matter."""

    principal_type: str | None = None
    principal: UUID | None = None
    target_type: str | None = None
    target: UUID | None = None


class Directory(Protocol):
    """Queries over the present. Names are compared as `domain.account.name_key` has them."""

    def user(self, user: UUID) -> UserRow | None:
        """The account of that id, also when it was deleted."""

    def user_by_username(self, username: str) -> UserRow | None:
        """The live account of that name."""

    def user_by_email(self, email: str) -> UserRow | None:
        """The live account with that e-mail address."""

    def users(self, wanted: UserFilter, *, limit: int, offset: int = 0) -> tuple[list[UserRow], int]:
        """Live accounts by user name: one page, and how many there are in all."""

    def usernames(self, users: Collection[UUID]) -> dict[UUID, str]:
        """Names to show, also of deleted accounts; an erased one has none."""

    def administrators(self) -> int:
        """How many accounts can administer the registry."""

    def provisional_administrator(self) -> UserRow | None:
        """The first administrator, while nobody has chosen its password yet."""

    def token(self, token: UUID) -> TokenRow | None:
        """The token of that id, also when it was revoked."""

    def token_by_hash(self, sha256: str) -> TokenRow | None:
        """The token whose secret has this digest, also when it was revoked."""

    def tokens_of(self, user: UUID) -> list[TokenRow]:
        """The user's tokens that were not revoked, oldest first."""

    def tokens_for(self, repository: UUID) -> list[TokenRow]:
        """Tokens that are confined to just this repository, oldest first, revoked ones included."""

    def grant(self, grant: UUID) -> GrantRow | None:
        """The grant of that id."""

    def grants(self, wanted: GrantFilter, *, limit: int, offset: int = 0) -> tuple[list[GrantRow], int]:
        """Grants, oldest first: one page, and how many there are in all."""

    def grants_of(self, principal: UUID) -> dict[UUID, frozenset[str]]:
        """Target to the actions granted to this principal."""

    def session_ended(self, session: UUID) -> bool:
        """Whether the session was ended before its time. Forgotten when no token of it can be left."""
