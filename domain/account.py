"""People and service accounts: who they are, how they sign in, and when they are locked out.

Names, addresses and password hashes are sealed under a key per person that is kept outside the log; erasing the key
erases the person while every hash over the log stays valid.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import NotFound, Unauthenticated
from domain.event import Event

AccountKind = Literal["user", "service"]


class AccountNotFound(NotFound):
    """No such user."""

    template = "user {user} not found"

    def __init__(self, user: object) -> None:
        super().__init__(user=user)


class CredentialRefused(Unauthenticated):
    """Wrong name, wrong password, locked or disabled: the caller never learns which."""

    template = "invalid username or password"

    def __init__(self) -> None:
        super().__init__()


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The personal part of an account; stored only sealed."""

    username: str
    email: str
    display_name: str | None = None


class UserCreated(Event, frozen=True, kw_only=True):
    """An account exists. profile: a sealed Profile. password: a sealed hash, empty when none is set."""

    TOPIC: ClassVar[str] = "user.created"
    user: UUID
    kind: AccountKind = "user"
    profile: bytes
    password: bytes = b""
    admin: bool = False
    must_change_password: bool = False
    provider: str = "local"


class UserUpdated(Event, frozen=True, kw_only=True):
    """Some attributes changed; UNSET ones did not."""

    TOPIC: ClassVar[str] = "user.updated"
    user: UUID
    profile: bytes | msgspec.UnsetType = msgspec.UNSET
    admin: bool | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    must_change_password: bool | msgspec.UnsetType = msgspec.UNSET


class PasswordChanged(Event, frozen=True, kw_only=True):
    """A new password; every earlier session of the user is void."""

    TOPIC: ClassVar[str] = "user.password-changed"
    user: UUID
    password: bytes
    must_change_password: bool = False


class UserDeleted(Event, frozen=True, kw_only=True):
    """The account is gone; its id still names what it did."""

    TOPIC: ClassVar[str] = "user.deleted"
    user: UUID


class LoginFailed(Event, frozen=True, kw_only=True):
    """A wrong password for an existing account. locked_until: set when this one locked it."""

    TOPIC: ClassVar[str] = "user.login-failed"
    user: UUID
    failures: int
    locked_until: datetime | None = None


class LoginRefused(Event, frozen=True, kw_only=True):
    """A sign-in that never reached a password check: unknown name, locked or disabled account, bad token.

    user: the account where one is known. suppressed: how many equal ones since the last were not recorded.
    """

    TOPIC: ClassVar[str] = "access.login-refused"
    user: UUID | None = None
    reason: str
    suppressed: int = 0


class AccessDenied(Event, frozen=True, kw_only=True):
    """Somebody tried what they may not. action: what was asked; resource: of what."""

    TOPIC: ClassVar[str] = "access.denied"
    repository: UUID | None = None
    action: str
    resource: str
    suppressed: int = 0


class SessionStarted(Event, frozen=True, kw_only=True):
    """A sign-in succeeded."""

    TOPIC: ClassVar[str] = "session.started"
    session: UUID
    user: UUID
    method: str


class SessionRefreshed(Event, frozen=True, kw_only=True):
    """Refresh token number `number` of the session was used; the next one is number + 1."""

    TOPIC: ClassVar[str] = "session.refreshed"
    session: UUID
    user: UUID
    number: int


class SessionEnded(Event, frozen=True, kw_only=True):
    """The session is over: logout, or a refresh token was used twice."""

    TOPIC: ClassVar[str] = "session.ended"
    session: UUID
    user: UUID
    reason: str


class Account(msgspec.Struct, frozen=True):
    """What the next decision needs."""

    id: UUID | None = None
    kind: AccountKind = "user"
    profile: bytes = b""
    password: bytes = b""
    admin: bool = False
    active: bool = True
    must_change_password: bool = False
    failures: int = 0
    locked_until: datetime | None = None
    deleted: bool = False


class Session(msgspec.Struct, frozen=True):
    """What the next decision about a session needs. number: of the refresh token that is good now."""

    user: UUID | None = None
    number: int = 0
    refreshed_at: datetime | None = None
    ended: bool = False


def evolve(state: Account, event: Event) -> Account:
    """Fold one event."""
    replace = msgspec.structs.replace
    match event:
        case UserCreated():
            return Account(
                id=event.user,
                kind=event.kind,
                profile=event.profile,
                password=event.password,
                admin=event.admin,
                must_change_password=event.must_change_password,
            )
        case UserUpdated():
            changed = {
                name: value
                for name in ("profile", "admin", "active", "must_change_password")
                if (value := getattr(event, name)) is not msgspec.UNSET
            }
            return replace(state, **changed)
        case PasswordChanged():
            return replace(
                state,
                password=event.password,
                must_change_password=event.must_change_password,
                failures=0,
                locked_until=None,
            )
        case LoginFailed():
            return replace(state, failures=event.failures, locked_until=event.locked_until or state.locked_until)
        case UserDeleted():
            return replace(state, deleted=True, active=False)
        case _:
            return state


def evolve_session(state: Session, event: Event) -> Session:
    """Fold one event of a session's stream."""
    match event:
        case SessionStarted():
            return Session(user=event.user)
        case SessionRefreshed():
            return msgspec.structs.replace(state, number=event.number + 1)
        case SessionEnded():
            return msgspec.structs.replace(state, ended=True)
        case _:
            return state


def is_locked(state: Account, now: datetime) -> bool:
    """Whether sign-ins are refused at `now`, right password or not."""
    return state.locked_until is not None and now < state.locked_until


def wrong_password(state: Account, now: datetime, threshold: int, duration: timedelta) -> list[Event]:
    """Count a failure; at the threshold the account is locked for the duration. Failures before a lock that is over
    do not count.
    """
    if state.id is None:
        return []
    over = state.locked_until is not None and now >= state.locked_until
    failures = 1 if over else state.failures + 1
    locked_until = now + duration if failures >= threshold else None
    return [LoginFailed(user=state.id, failures=failures, locked_until=locked_until)]
