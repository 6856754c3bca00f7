"""Sessions: sign-in, refresh with rotation, sign-out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import msgspec

from application.identity.clients import ClientSeals
from application.identity.directory import Directory, UserRow
from application.identity.limits import Limits
from application.identity.session_tokens import SessionTokens
from application.identity.sign_ins import Proven, SignIns
from application.log import Change, EventLog
from application.publishing import Progress
from domain import session
from domain.event import Event, Metadata
from domain.session import Session, SessionEnded, SessionOver, SessionStarted, session_after


class SignedIn(msgspec.Struct, frozen=True):
    """A pair of tokens, for whom, and how long they live."""

    user: UserRow
    access_token: str
    refresh_token: str
    access_seconds: int
    refresh_seconds: int


class Sessions:
    """The commands on sessions."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        tokens: SessionTokens,
        sign_ins: SignIns,
        limits: Limits,
        seals: ClientSeals,
        progress: Progress,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._directory = directory
        self._tokens = tokens
        self._sign_ins = sign_ins
        self._limits = limits
        self._seals = seals
        self._progress = progress
        self._now = now

    def start(self, username: str, password: str, meta: Metadata, client: str) -> SignedIn:
        """Sign in with a password. Raises CredentialRefused, TooMany."""
        self._limits.take_login(username, client)
        proven = self._sign_ins.check(username, password, meta, client)
        return self.start_for(proven, "password", meta)

    def start_for(self, proven: Proven, method: str, meta: Metadata) -> SignedIn:
        """Begin a session for an account that proved itself by some method."""
        row = proven.user
        family = uuid4()
        started = SessionStarted(session=family, user=row.id, method=method)
        meta = self._seals.hand_over(meta, row.id, row.kind, method)
        self._log.execute(lambda: [Change(family, 0, [started])], meta)
        return self._pair(row, family, proven.position, 0)

    def refresh(self, token: str, meta: Metadata) -> SignedIn:
        """A new pair for a refresh token. Raises SessionOver, TokenExpired, TokenUnreadable."""
        claims = self._tokens.read(token, "refresh")
        row = self._directory.user(claims.user)
        if row is None or not row.usable or claims.position < row.sessions_after:
            raise SessionOver
        meta = self._seals.hand_over(meta, row.id, row.kind, "session")
        events, number = self._use(claims.session, row.id, claims.number, meta)
        if any(isinstance(event, SessionEnded) for event in events):
            raise SessionOver
        return self._pair(row, claims.session, claims.position, number)

    def end(self, family: UUID, meta: Metadata) -> None:
        """Sign out: no token of the session opens anything any more."""

        def decide() -> list[Change]:
            state, version = self._load(family)
            return [Change(family, version, session.end(state, "logout"))]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("access",), receipt.position)

    def family_of(self, token: str) -> UUID:
        """The session of a refresh token. Raises SessionOver, TokenExpired, TokenUnreadable."""
        claims = self._tokens.read(token, "refresh")
        if self._load(claims.session)[0].user != claims.user:
            raise SessionOver
        return claims.session

    def _use(self, family: UUID, user: UUID, number: int, meta: Metadata) -> tuple[Sequence[Event], int]:
        """Use a refresh token; what happened, and the number of the token that is good now."""
        events: list[Event] = []
        good = 0

        def decide() -> list[Change]:
            nonlocal events, good
            state, version = self._load(family)
            if state.user != user:
                raise SessionOver
            events = session.refresh(state, number, self._now())
            good = session_after(events[-1]).number if events else state.number
            return [Change(family, version, events)]

        receipt = self._log.execute(decide, meta)
        if any(isinstance(event, SessionEnded) for event in events):
            self._progress.reached(("access",), receipt.position)
        return events, good

    def _load(self, family: UUID) -> tuple[Session, int]:
        last = self._log.last(family)
        return (session_after(last.event), last.originator_version) if last else (session_after(None), 0)

    def _pair(self, row: UserRow, family: UUID, position: int, number: int) -> SignedIn:
        return SignedIn(
            user=row,
            access_token=self._tokens.access(row, family, position),
            refresh_token=self._tokens.refresh(row, family, position, number),
            access_seconds=self._tokens.access_seconds,
            refresh_seconds=self._tokens.refresh_seconds,
        )
