"""Checking a password: always the same work, failures counted in the log, locked accounts refused whatever is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from application.identity.denials import Denials
from application.identity.directory import Directory, UserRow
from application.identity.passwords import Passwords
from application.identity.people import People
from application.log import Change, EventLog, LostRace
from domain.account import Account
from domain.event import Metadata
from domain.ids import attempts_id
from domain.sign_in import (
    Attempts,
    CredentialRefused,
    Lockout,
    attempts_after,
    clear_failures,
    is_locked,
    wrong_password,
)


class Proven(msgspec.Struct, frozen=True):
    """Whose password it was. position: of the log when the check began; what voids sessions later, voids this too."""

    user: UserRow
    position: int


class SignIns:
    """Names and passwords to accounts."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        people: People,
        passwords: Passwords,
        denials: Denials,
        *,
        lockout: Lockout,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._directory = directory
        self._people = people
        self._passwords = passwords
        self._denials = denials
        self._lockout = lockout
        self._now = now

    def check(self, username: str, password: str, meta: Metadata, client: str) -> Proven:
        """The account whose password this is; raises CredentialRefused for every other case alike.

        The lock is asked after the hash: of many guesses at once, no more than the threshold count as tries.
        """
        position = self._log.head()
        row = self._directory.user_by_username(username)
        state = Account() if row is None else self._people.load(row.id)[0]
        stored = self._people.password_hash(state)
        right = self._passwords.verify(stored, password)
        if row is None:
            self._denials.login_refused("unknown-user", None, client)
            raise CredentialRefused
        if stored is None:
            self._denials.login_refused("no-password", row.id, client)
            raise CredentialRefused
        if not self._settle(row, meta, client, right=right):
            raise CredentialRefused
        if state.deleted or not state.active:
            self._denials.login_refused("disabled", row.id, client)
            raise CredentialRefused
        return Proven(row, position)

    def _settle(self, row: UserRow, meta: Metadata, client: str, *, right: bool) -> bool:
        """Count or clear failures; whether the account may be entered."""
        stream = attempts_id(row.id)

        def decide() -> list[Change]:
            last = self._log.last(stream)
            state = attempts_after(last.event) if last else Attempts()
            version = last.originator_version if last else 0
            now = self._now()
            if is_locked(state, now):
                self._denials.login_refused("locked", row.id, client)
                raise CredentialRefused
            if right:
                return [Change(stream, version, clear_failures(state, row.id))]
            return [Change(stream, version, wrong_password(state, row.id, now, self._lockout))]

        try:
            self._log.execute(decide, meta)
        except LostRace:
            return False  # so many at once that nobody is believed
        return right
