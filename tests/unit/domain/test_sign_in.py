"""Counting wrong passwords and locking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.sign_in import (
    Attempts,
    FailuresCleared,
    Lockout,
    LoginFailed,
    attempts_after,
    clear_failures,
    is_locked,
    wrong_password,
)

USER = UUID(int=7)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOCKOUT = Lockout(threshold=3, duration=timedelta(minutes=30))


def after_failures(count: int) -> Attempts:
    state = Attempts()
    for _ in range(count):
        state = attempts_after(wrong_password(state, USER, NOW, LOCKOUT)[-1])
    return state


def test_the_failure_that_reaches_the_threshold_locks() -> None:
    assert not is_locked(after_failures(2), NOW)
    locked = after_failures(3)
    assert locked == Attempts(3, NOW + LOCKOUT.duration)
    assert is_locked(locked, NOW + timedelta(minutes=29, seconds=59))
    assert not is_locked(locked, NOW + timedelta(minutes=30))


def test_after_a_lock_counting_begins_afresh() -> None:
    event = wrong_password(after_failures(3), USER, NOW + timedelta(minutes=30), LOCKOUT)
    assert event == [LoginFailed(user=USER, failures=1)]


def test_the_right_password_clears_failures_once() -> None:
    assert clear_failures(after_failures(2), USER) == [FailuresCleared(user=USER)]
    assert clear_failures(attempts_after(FailuresCleared(user=USER)), USER) == []
    assert clear_failures(Attempts(), USER) == []
