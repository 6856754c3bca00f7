"""A sign-in that lasts: refresh tokens are used once each, and one that is used twice ends the session.

Every event carries all of the state, so that a session of any length is loaded by its last event alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import Unauthenticated
from domain.event import Event

REFRESH_GRACE = timedelta(seconds=30)
"""How long the previous refresh token still works: for answers that got lost and for two tabs at once."""


class SessionOver(Unauthenticated):
    """The refresh token opens nothing: ended, used up, or void since the password or the rights changed."""

    template = "the session is over; please sign in again"

    def __init__(self) -> None:
        super().__init__()


class SessionStarted(Event, frozen=True, kw_only=True):
    """A sign-in succeeded. method: how, as `password`."""

    TOPIC: ClassVar[str] = "session.started"
    session: UUID
    user: UUID
    method: str


class SessionRefreshed(Event, frozen=True, kw_only=True):
    """Refresh token number `number` of the session was used, at `at`; the next one is number + 1."""

    TOPIC: ClassVar[str] = "session.refreshed"
    session: UUID
    user: UUID
    number: int
    at: datetime


class SessionEnded(Event, frozen=True, kw_only=True):
    """The session is over. reason: `logout`, or `replayed` when a refresh token was used twice."""

    TOPIC: ClassVar[str] = "session.ended"
    session: UUID
    user: UUID
    reason: str


class Session(msgspec.Struct, frozen=True):
    """What the next decision needs. number: of the refresh token that is good now."""

    id: UUID | None = None
    user: UUID | None = None
    number: int = 0
    refreshed_at: datetime | None = None
    ended: bool = False


def session_after(last: Event | None) -> Session:
    """The state that the last event of the stream tells."""
    match last:
        case SessionStarted():
            return Session(last.session, last.user)
        case SessionRefreshed():
            return Session(last.session, last.user, last.number + 1, last.at)
        case SessionEnded():
            return Session(last.session, last.user, ended=True)
        case _:
            return Session(ended=True)


def refresh(state: Session, number: int, now: datetime) -> list[Event]:
    """Use refresh token `number`.

    The previous one within the grace changes nothing: its holder gets what the first use got. Any other is a replay
    and ends the session. Raises SessionOver when it has ended before.
    """
    if state.ended or state.id is None or state.user is None:
        raise SessionOver
    if number == state.number:
        return [SessionRefreshed(session=state.id, user=state.user, number=number, at=now)]
    recent = state.refreshed_at is not None and now - state.refreshed_at <= REFRESH_GRACE
    if number == state.number - 1 and recent:
        return []
    return [SessionEnded(session=state.id, user=state.user, reason="replayed")]


def end(state: Session, reason: str) -> list[Event]:
    """End the session; nothing happens when it is over already."""
    if state.ended or state.id is None or state.user is None:
        return []
    return [SessionEnded(session=state.id, user=state.user, reason=reason)]
