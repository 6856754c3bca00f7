"""Accounts: creating, changing, deleting and erasing people, and their passwords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import msgspec

from application.identity.directory import Directory, UserRow
from application.identity.passwords import PasswordRules, Passwords, generate_password
from application.identity.people import People
from application.log import Change, EventLog, Receipt
from application.publishing import Progress
from domain import account
from domain.account import (
    Account,
    AccountNotFound,
    LastAdministrator,
    PasswordChanged,
    Profile,
    UserCreated,
    UserDeleted,
    UserErased,
    checked_display_name,
    checked_email,
    checked_reason,
    checked_username,
)
from domain.claim import NameTaken
from domain.errors import Invalid, Unavailable
from domain.event import Metadata
from domain.ids import attempts_id
from domain.passwords import PasswordRefused
from domain.sign_in import CredentialRefused, attempts_after, clear_failures

Along = Callable[[UUID], Sequence[Change]]
"""From the id of a new user to what else is stored with it, or nothing is."""


class CurrentPasswordWrong(CredentialRefused):
    """Whoever changes a password must know the one in use."""

    template = "the current password is wrong"


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to create. password: None to have one made, which must then be changed."""

    username: str
    email: str
    password: str | None = None
    display_name: str | None = None
    admin: bool = False


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change; UNSET leaves as it is."""

    email: str | msgspec.UnsetType = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    admin: bool | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET


class Accounts:
    """The commands on accounts. Each returns when every process knows what it changed."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        people: People,
        passwords: Passwords,
        rules: PasswordRules,
        progress: Progress,
    ) -> None:
        self._log = log
        self._directory = directory
        self._people = people
        self._passwords = passwords
        self._rules = rules
        self._progress = progress

    def create(self, new: NewUser, meta: Metadata) -> tuple[UserRow, str | None]:
        """Create a user; also gives the password when it was made here. Raises NameTaken, PasswordRefused, Invalid."""
        password = new.password
        if password is not None:
            self._rules.check(password, (new.username, new.email))
        generated = generate_password() if password is None else None
        user = self.add(new, password or generated or "", meta, must_change_password=generated is not None)
        return self._shown(user), generated

    def add(
        self,
        new: NewUser,
        password: str,
        meta: Metadata,
        *,
        must_change_password: bool = False,
        setup: bool = False,
        along: Along | None = None,
    ) -> UUID:
        """Create a user with a password that is not judged."""
        user = uuid4()
        profile = _checked(new)
        self._refuse_taken(profile)
        created = UserCreated(
            user=user,
            profile=self._people.sealed_profile(user, profile),
            password=self._people.sealed_hash(user, self._passwords.hash(password)),
            admin=new.admin,
            must_change_password=must_change_password,
            setup=setup,
        )

        def decide() -> list[Change]:
            further = along(user) if along else ()
            return [*further, *self._people.take_names(profile, user), Change(user, 0, [created])]

        self._finish(self._log.execute(decide, meta))
        return user

    def update(self, user: UUID, change: UserChange, meta: Metadata) -> UserRow:
        """Change attributes. Raises NameTaken, LastAdministrator, AccountNotFound."""

        def decide() -> list[Change]:
            state, version = self._people.load_live(user)
            if change.admin is False or change.active is False:
                self._keep_an_administrator(state)
            old = self._people.profile(state)
            new = _merged(old, change)
            events = account.update(
                state,
                profile=msgspec.UNSET if new == old else self._people.sealed_profile(user, new),
                admin=change.admin,
                active=change.active,
            )
            return [*self._people.change_email(old.email, new.email, user), Change(user, version, events)]

        self._finish(self._log.execute(decide, meta))
        return self._shown(user)

    def delete(self, user: UUID, meta: Metadata) -> None:
        """Delete; user name and e-mail address are free again. Raises LastAdministrator, AccountNotFound."""

        def decide() -> list[Change]:
            state, version = self._people.load_live(user)
            return [*self._names_freed(state), Change(user, version, [UserDeleted(user=user)])]

        self._finish(self._log.execute(decide, meta))

    def erase(self, user: UUID, reason: str, meta: Metadata) -> None:
        """Make unreadable for ever what the log knows of this person, deleting the account first where it lives."""
        checked_reason(reason)

        def decide() -> list[Change]:
            state, version = self._people.load(user)
            if state.id is None:
                raise AccountNotFound(user)
            if state.erased:
                return []
            erased = UserErased(user=user, reason=reason)
            if state.deleted:
                return [Change(user, version, [erased])]
            return [*self._names_freed(state), Change(user, version, [UserDeleted(user=user), erased])]

        receipt = self._log.execute(decide, meta)
        self._people.erase(user)
        self._finish(receipt)

    # passwords

    def change_password(self, user: UUID, new: str, meta: Metadata, *, current: str | None = None) -> None:
        """Give a new password, and end all sessions.

        current: the one in use, where its knowledge must be shown. Raises CurrentPasswordWrong, PasswordRefused,
        Invalid for an account whose password is kept elsewhere.
        """
        state, _ = self._people.load_live(user)
        _require_local(state)
        if current is not None and not self._passwords.verify(self._people.password_hash(state), current):
            raise CurrentPasswordWrong
        profile = self._people.profile(state)
        self._rules.check(new, (profile.username, profile.email))
        self._refuse_former(state, new)
        self.set_password(user, new, meta, must_change_password=False)

    def reset_password(self, user: UUID, meta: Metadata) -> str:
        """A random password that must be changed at the next sign-in; all sessions end."""
        _require_local(self._people.load_live(user)[0])
        password = generate_password()
        self.set_password(user, password, meta, must_change_password=True)
        return password

    def set_password(self, user: UUID, password: str, meta: Metadata, *, must_change_password: bool) -> None:
        """Set a password that is not judged; failures and locks are forgotten."""
        sealed = self._people.sealed_hash(user, self._passwords.hash(password))
        changed = PasswordChanged(user=user, password=sealed, must_change_password=must_change_password)

        def decide() -> list[Change]:
            _, version = self._people.load_live(user)
            last = self._log.last(attempts_id(user))
            cleared = clear_failures(attempts_after(last.event), user) if last else []
            tries = last.originator_version if last else 0
            return [Change(user, version, [changed]), Change(attempts_id(user), tries, cleared)]

        self._finish(self._log.execute(decide, meta))

    def require_password_change(self, user: UUID, meta: Metadata) -> None:
        """Let the user do nothing before a new password is chosen."""

        def decide() -> list[Change]:
            state, version = self._people.load_live(user)
            _require_local(state)
            return [Change(user, version, account.update(state, must_change_password=True))]

        self._finish(self._log.execute(decide, meta))

    # rules

    def _names_freed(self, state: Account) -> list[Change]:
        self._keep_an_administrator(state)
        assert state.id is not None  # noqa: S101 - callers hold a live account
        return self._people.free_names(self._people.profile(state), state.id)

    def _keep_an_administrator(self, leaving: Account) -> None:
        if leaving.admin and leaving.active and self._directory.administrators() <= 1:
            raise LastAdministrator

    def _refuse_former(self, state: Account, password: str) -> None:
        kept = self._rules.policy.history
        former = self._people.password_hashes(state)[-kept:] if kept else ()
        if any(self._passwords.verify(hashed, password) for hashed in former):
            raise PasswordRefused([f"is one of the last {kept}"])

    def _refuse_taken(self, profile: Profile) -> None:
        """Refuse before a key is made for somebody who will not be; the claims decide."""
        if self._directory.user_by_username(profile.username):
            raise NameTaken("username", profile.username)
        if self._directory.user_by_email(profile.email):
            raise NameTaken("email", profile.email)

    def _finish(self, receipt: Receipt) -> None:
        self._progress.reached(("access",), receipt.position)

    def _shown(self, user: UUID) -> UserRow:
        row = self._directory.user(user)
        if row is None:
            raise Unavailable("the account is stored and not visible yet; please look again in a moment")
        return row


def _require_local(state: Account) -> None:
    if state.provider != "local":
        raise Invalid("the password of this account is kept by its identity provider")


def _checked(new: NewUser) -> Profile:
    return Profile(
        username=checked_username(new.username),
        email=checked_email(new.email),
        display_name=checked_display_name(new.display_name),
    )


def _merged(old: Profile, change: UserChange) -> Profile:
    new = old
    if change.email is not msgspec.UNSET and change.email != old.email:
        new = msgspec.structs.replace(new, email=checked_email(change.email))
    if change.display_name is not msgspec.UNSET:
        new = msgspec.structs.replace(new, display_name=checked_display_name(change.display_name))
    return new
