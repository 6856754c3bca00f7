"""People and service accounts: who they are, what they are allowed in general, and that they are gone.

Names, addresses and password hashes are sealed under a key per person that is kept outside the log; erasing the key
erases the person while every hash over the log stays valid.
"""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import Conflict, Invalid, NotFound
from domain.event import Event

AccountKind = Literal["user", "service"]

MAX_REMEMBERED_PASSWORDS = 24
MAX_EMAIL = 254
MAX_DISPLAY_NAME = 255
MAX_REASON = 1024

_USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,127}\Z")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\\[\]]{1,253}\Z")


class AccountNotFound(NotFound):
    """No such user."""

    template = "user {user} not found"

    def __init__(self, user: object) -> None:
        super().__init__(user=user)


class LastAdministrator(Conflict):
    """Nobody could administer the registry any more."""

    template = "this is the last active administrator; make another one first"

    def __init__(self) -> None:
        super().__init__()


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The personal part of an account; stored only sealed."""

    username: str
    email: str
    display_name: str | None = None


class UserCreated(Event, frozen=True, kw_only=True):
    """An account exists. profile: a sealed Profile. password: a sealed hash, empty when none is set.

    setup: the first administrator of an instance that stays locked until somebody chose this account's password.
    """

    TOPIC: ClassVar[str] = "user.created"
    user: UUID
    kind: AccountKind = "user"
    profile: bytes
    password: bytes = b""
    admin: bool = False
    must_change_password: bool = False
    provider: str = "local"
    setup: bool = False


class UserUpdated(Event, frozen=True, kw_only=True):
    """Some attributes changed; UNSET ones did not. Losing `active` or `admin` voids every earlier session."""

    TOPIC: ClassVar[str] = "user.updated"
    user: UUID
    profile: bytes | msgspec.UnsetType = msgspec.UNSET
    admin: bool | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    must_change_password: bool | msgspec.UnsetType = msgspec.UNSET


class PasswordChanged(Event, frozen=True, kw_only=True):
    """A new password; every earlier session of the user is void.

    must_change_password: somebody else chose it, and it opens nothing but the door to a new one.
    """

    TOPIC: ClassVar[str] = "user.password-changed"
    user: UUID
    password: bytes
    must_change_password: bool = False


class UserDeleted(Event, frozen=True, kw_only=True):
    """The account is gone; its id still names what it did."""

    TOPIC: ClassVar[str] = "user.deleted"
    user: UUID


class UserErased(Event, frozen=True, kw_only=True):
    """The key of this person is destroyed: nothing personal of theirs can be read any more, anywhere in the log."""

    TOPIC: ClassVar[str] = "user.erased"
    user: UUID
    reason: str = ""


class Account(msgspec.Struct, frozen=True):
    """What the next decision needs. passwords: sealed hashes, the one in use last.

    setup: still the provisional first administrator.
    """

    id: UUID | None = None
    kind: AccountKind = "user"
    profile: bytes = b""
    passwords: tuple[bytes, ...] = ()
    admin: bool = False
    active: bool = True
    must_change_password: bool = False
    provider: str = "local"
    setup: bool = False
    deleted: bool = False
    erased: bool = False

    @property
    def password(self) -> bytes:
        """The sealed hash in use; empty when there is none."""
        return self.passwords[-1] if self.passwords else b""


def evolve(state: Account, event: Event) -> Account:
    """Fold one event."""
    replace = msgspec.structs.replace
    match event:
        case UserCreated():
            return Account(
                id=event.user,
                kind=event.kind,
                profile=event.profile,
                passwords=(event.password,) if event.password else (),
                admin=event.admin,
                must_change_password=event.must_change_password,
                provider=event.provider,
                setup=event.setup,
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
                passwords=(*state.passwords, event.password)[-MAX_REMEMBERED_PASSWORDS:],
                must_change_password=event.must_change_password,
                setup=state.setup and event.must_change_password,
            )
        case UserDeleted():
            return replace(state, deleted=True, active=False, setup=False)
        case UserErased():
            return replace(state, erased=True, profile=b"", passwords=())
        case _:
            return state


def require_live(state: Account, user: UUID) -> Account:
    """The account, or AccountNotFound when it never was or no longer is."""
    if state.id is None or state.deleted:
        raise AccountNotFound(user)
    return state


def update(
    state: Account,
    *,
    profile: bytes | msgspec.UnsetType = msgspec.UNSET,
    admin: bool | msgspec.UnsetType = msgspec.UNSET,
    active: bool | msgspec.UnsetType = msgspec.UNSET,
    must_change_password: bool | msgspec.UnsetType = msgspec.UNSET,
) -> list[Event]:
    """Change attributes; nothing happens when all are as asked. profile: sealed, UNSET unless its content differs."""
    assert state.id is not None  # noqa: S101 - callers hold a live account
    wanted = {"admin": admin, "active": active, "must_change_password": must_change_password}
    changed = {
        name: value
        for name, value in wanted.items()
        if value is not msgspec.UNSET and value is not getattr(state, name)
    }
    if not changed and profile is msgspec.UNSET:
        return []
    return [UserUpdated(user=state.id, profile=profile, **changed)]


def checked_username(text: str) -> str:
    """A user name: 1 to 128 of letters, digits, `.`, `_`, `@`, `+`, `-`, beginning with a letter, a digit or `_`.

    No colon, so that it fits Basic credentials (RFC 7617 section 2).
    """
    if not _USERNAME.match(text):
        raise Invalid(
            "a username is 1 to 128 letters, digits or . _ @ + - and begins with a letter, a digit or an underscore"
        )
    return text


def checked_email(text: str) -> str:
    """An e-mail address as people have them: one `@`, no white space or quoting; at most 254 characters."""
    if len(text) > MAX_EMAIL or not _EMAIL.match(text) or not text.isprintable():
        raise Invalid("this is not an e-mail address that can be used here")
    return text


def checked_display_name(text: str | None) -> str | None:
    """A name to show; None and empty are no name."""
    if text and (len(text) > MAX_DISPLAY_NAME or not text.isprintable()):
        raise Invalid(f"a display name has at most {MAX_DISPLAY_NAME} characters and no control characters")
    return text or None


def checked_reason(text: str) -> str:
    """Why something was done, for whoever reads the audit."""
    if len(text) > MAX_REASON or not text.isprintable():
        raise Invalid(f"a reason has at most {MAX_REASON} characters and no control characters")
    return text


def name_key(text: str) -> str:
    """What two spellings of one user name or e-mail address have in common."""
    return unicodedata.normalize("NFKC", text).casefold()
