"""Refresh tokens: each once, the previous one for a moment longer, any other ends the session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.session import (
    REFRESH_GRACE,
    Session,
    SessionEnded,
    SessionOver,
    SessionRefreshed,
    SessionStarted,
    end,
    refresh,
    session_after,
)

SESSION, USER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def refreshed(times: int) -> Session:
    state = session_after(SessionStarted(session=SESSION, user=USER, method="password"))
    for number in range(times):
        state = session_after(refresh(state, number, NOW)[-1])
    return state


def test_each_token_works_in_its_turn() -> None:
    assert refresh(refreshed(2), 2, NOW) == [SessionRefreshed(session=SESSION, user=USER, number=2, at=NOW)]
    assert refreshed(3).number == 3


def test_the_previous_token_changes_nothing_within_the_grace() -> None:
    assert refresh(refreshed(2), 1, NOW + REFRESH_GRACE) == []


@pytest.mark.parametrize(
    ("number", "later"), [(1, REFRESH_GRACE + timedelta(microseconds=1)), (0, timedelta()), (3, timedelta())]
)
def test_a_token_that_was_used_up_or_is_not_due_ends_the_session(number: int, later: timedelta) -> None:
    assert refresh(refreshed(2), number, NOW + later) == [SessionEnded(session=SESSION, user=USER, reason="replayed")]


def test_the_first_token_has_no_previous_one() -> None:
    assert refresh(refreshed(0), -1, NOW) == [SessionEnded(session=SESSION, user=USER, reason="replayed")]


@pytest.mark.parametrize("last", [SessionEnded(session=SESSION, user=USER, reason="logout"), None])
def test_a_session_that_is_over_or_never_was_gives_nothing(last: SessionEnded | None) -> None:
    with pytest.raises(SessionOver):
        refresh(session_after(last), 0, NOW)
    assert end(session_after(last), "logout") == []
