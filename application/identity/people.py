"""The personal half of accounts: profiles and password hashes under seal, and who holds which name."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from application.log import Change, EventLog
from application.ports import PersonalData
from domain import account, claim
from domain.account import Account, AccountNotFound, Profile, require_live
from domain.claim import Claim
from domain.ids import claim_id

_profile = msgspec.json.Decoder(Profile)


class People:
    """Loads accounts, opens and seals what is theirs, moves their names."""

    def __init__(self, log: EventLog, personal: PersonalData) -> None:
        self._log = log
        self._personal = personal

    def load(self, user: UUID) -> tuple[Account, int]:
        """The account and its version, whatever became of it; the initial state and 0 when there never was one."""
        return self._log.load(user, Account(), account.evolve)

    def load_live(self, user: UUID) -> tuple[Account, int]:
        """The account and its version; raises AccountNotFound for one that is gone."""
        state, version = self.load(user)
        return require_live(state, user), version

    def profile(self, state: Account) -> Profile:
        """Name and addresses; raises AccountNotFound for a person that was erased."""
        opened = self._opened(state, state.profile)
        if opened is None:
            raise AccountNotFound(state.id)
        return _profile.decode(opened)

    def password_hashes(self, state: Account) -> Sequence[str]:
        """The hashes that the account had, the one in use last; empty for one without a password."""
        opened = [self._opened(state, sealed) for sealed in state.passwords]
        return [hashed.decode() for hashed in opened if hashed is not None]

    def password_hash(self, state: Account) -> str | None:
        """The hash in use."""
        opened = self._opened(state, state.password)
        return None if opened is None else opened.decode()

    def sealed_profile(self, user: UUID, profile: Profile) -> bytes:
        """A profile as events carry it."""
        return self._personal.seal(user, msgspec.json.encode(profile))

    def sealed_hash(self, user: UUID, hashed: str) -> bytes:
        """A password hash as events carry it."""
        return self._personal.seal(user, hashed.encode())

    def erase(self, user: UUID) -> None:
        """Destroy the key: nothing of the above can be opened any more."""
        self._personal.erase(user)

    def take_names(self, profile: Profile, user: UUID) -> list[Change]:
        """Claim user name and e-mail address; raises NameTaken."""
        return [self._take("username", profile.username, user), self._take("email", profile.email, user)]

    def free_names(self, profile: Profile, user: UUID) -> list[Change]:
        """Give user name and e-mail address up."""
        return [*self._free("username", profile.username, user), *self._free("email", profile.email, user)]

    def change_email(self, old: str, new: str, user: UUID) -> list[Change]:
        """Take one address and give the other up; raises NameTaken. Two spellings of one address are one claim."""
        if self._personal.name_digest("email", old) == self._personal.name_digest("email", new):
            return []
        return [self._take("email", new, user), *self._free("email", old, user)]

    def _take(self, kind: str, name: str, user: UUID) -> Change:
        stream, state, version = self._claim(kind, name)
        return Change(stream, version, claim.take(state, kind, name, user))

    def _free(self, kind: str, name: str, user: UUID) -> list[Change]:
        stream, state, version = self._claim(kind, name)
        return [Change(stream, version, claim.release(state, kind))] if state.holder == user else []

    def _claim(self, kind: str, name: str) -> tuple[UUID, Claim, int]:
        stream = claim_id(kind, self._personal.name_digest(kind, name))
        return stream, *self._log.load(stream, Claim(), claim.evolve)

    def _opened(self, state: Account, sealed: bytes) -> bytes | None:
        return self._personal.open(state.id, sealed) if state.id is not None and sealed else None
