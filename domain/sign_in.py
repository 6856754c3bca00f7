"""Signing in with a password: counting failures, locking, and what was refused.

The failures of an account are a stream of their own of which only the last event matters: an account that is attacked
for years must not become slow to load.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import Unauthenticated
from domain.event import Event


class CredentialRefused(Unauthenticated):
    """Wrong name, wrong password, locked or disabled: the caller never learns which."""

    template = "invalid username or password"

    def __init__(self) -> None:
        super().__init__()


class LoginFailed(Event, frozen=True, kw_only=True):
    """A wrong password for an existing account. failures: in a row. locked_until: set when this one locked it."""

    TOPIC: ClassVar[str] = "user.login-failed"
    user: UUID
    failures: int
    locked_until: datetime | None = None


class FailuresCleared(Event, frozen=True, kw_only=True):
    """The right password, or a new one: earlier failures count no more."""

    TOPIC: ClassVar[str] = "user.failures-cleared"
    user: UUID


class LoginRefused(Event, frozen=True, kw_only=True):
    """A sign-in that was refused whatever the password: unknown name, locked or disabled account, bad token.

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


class Attempts(msgspec.Struct, frozen=True):
    """What the next decision needs: wrong passwords in a row, and until when the account is locked."""

    failures: int = 0
    locked_until: datetime | None = None


class Lockout(msgspec.Struct, frozen=True):
    """How many wrong passwords in a row lock an account, and for how long."""

    threshold: int = 5
    duration: timedelta = timedelta(minutes=30)


def attempts_after(last: Event | None) -> Attempts:
    """The state that the last event of the stream tells; earlier ones add nothing."""
    return Attempts(last.failures, last.locked_until) if isinstance(last, LoginFailed) else Attempts()


def is_locked(state: Attempts, now: datetime) -> bool:
    """Whether sign-ins are refused at `now`, right password or not."""
    return state.locked_until is not None and now < state.locked_until


def wrong_password(state: Attempts, user: UUID, now: datetime, lockout: Lockout) -> list[Event]:
    """Count a failure; at the threshold the account is locked. Failures before a lock that is over do not count."""
    over = state.locked_until is not None and now >= state.locked_until
    failures = 1 if over else state.failures + 1
    locked_until = now + lockout.duration if failures >= lockout.threshold else None
    return [LoginFailed(user=user, failures=failures, locked_until=locked_until)]


def clear_failures(state: Attempts, user: UUID) -> list[Event]:
    """Start counting afresh."""
    return [FailuresCleared(user=user)] if state.failures else []
