"""The first administrator, and the lock on an instance whose administrator nobody has taken over yet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import msgspec

from application.identity.accounts import Accounts, NewUser
from application.identity.directory import Directory
from application.identity.passwords import generate_password
from application.identity.people import People
from application.log import Change, EventLog
from domain import claim
from domain.claim import Claim, NameTaken
from domain.event import SYSTEM, Metadata
from domain.ids import claim_id

_log = logging.getLogger(__name__)

ADMIN_USERNAME = "admin"
ADMIN_EMAIL = "admin@localhost"
WELL_KNOWN_PASSWORDS = frozenset(
    {
        "admin",
        "password",
        "changeme",
        "admin123",
        "password1",
        "letmein",
        "welcome",
        "123456",
        "admin1234",
        "default",
    }
)
"""In lower case. They open nothing but the door to a better one."""

_CLAIM = "setup"
_STREAM = claim_id(_CLAIM, "administrator")


class PasswordFile(Protocol):
    """Where the first administrator's password waits to be read, by whoever may read our files."""

    def exists(self) -> bool:
        """Whether it is there."""

    def keep(self, password: str) -> str:
        """Put the password there as the first line, for the owner's eyes only, unless there is one; give what is there.

        Of several processes that do so at once one wins, and all get its password.
        """

    def remove(self) -> None:
        """Take it away; never raises for a missing file."""


class SetupChoices(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator said about the first administrator. password: None to have one made."""

    password: str | None = None
    skip: bool = False
    demo: bool = False


class SetupLock:
    """Whether the instance waits for its administrator; a look at it costs nothing.

    Locked until the log shows otherwise, however late the read models are, and open for ever from then on. `refresh`
    reads the log: for start-up, and for the thread that hears of access changes.
    """

    def __init__(self, log: EventLog, people: People, password_file: PasswordFile, *, skip: bool = False) -> None:
        """skip: no administrator is provisioned here, so nobody is waited for."""
        self._log = log
        self._people = people
        self._password_file = password_file
        self._open = skip

    @property
    def locked(self) -> bool:
        """Whether everything but health, setup and sign-in is to be refused."""
        return not self._open

    def refresh(self, principals: frozenset[UUID] | None = None) -> None:
        """Look again, if there is still something to see. principals: whose access changed, None is everybody's."""
        if self._open:
            return
        administrator = first_administrator(self._log)
        if administrator is None or (principals is not None and administrator not in principals):
            return
        if not self._people.load(administrator)[0].setup:
            self._open = True
            self._password_file.remove()


def first_administrator(log: EventLog) -> UUID | None:
    """The account that was provisioned at first boot, whatever became of it."""
    return log.load(_STREAM, Claim(), claim.evolve)[0].holder


class Setup:
    """Provisions the first administrator at start. Any number of processes may: one does, the others see it done."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        accounts: Accounts,
        people: People,
        password_file: PasswordFile,
        choices: SetupChoices,
        generate: Callable[[], str] = generate_password,
    ) -> None:
        self._log = log
        self._directory = directory
        self._accounts = accounts
        self._people = people
        self._password_file = password_file
        self._choices = choices
        self._generate = generate

    def ensure_administrator(self, meta: Metadata = SYSTEM) -> None:
        """See to it that there was an administrator at least once; a later deletion is respected."""
        if self._choices.skip:
            return
        administrator = first_administrator(self._log)
        if administrator is None:
            self._provision(meta)
        elif self._choices.password is None:
            self._restore_file(administrator, meta)

    def _provision(self, meta: Metadata) -> None:
        chosen = self._choices.password
        # the file comes first: nobody ever finds the administrator there and the file missing
        password = chosen or self._password_file.keep(self._generate())
        provisional = chosen is None or (chosen.casefold() in WELL_KNOWN_PASSWORDS and not self._choices.demo)
        new = NewUser(username=ADMIN_USERNAME, email=ADMIN_EMAIL, admin=True)
        try:
            self._accounts.add(
                new, password, meta, must_change_password=provisional, setup=provisional, along=self._claimed_by
            )
        except NameTaken:
            self._accept_existing(meta)
            return
        _log.info("created the administrator %r", ADMIN_USERNAME)

    def _accept_existing(self, meta: Metadata) -> None:
        """The name is taken: by another process that was faster, or by an account that came another way."""
        row = self._directory.user_by_username(ADMIN_USERNAME)
        if row is not None and first_administrator(self._log) is None:
            self._log.execute(lambda: self._claimed_by(row.id), meta)

    def _claimed_by(self, user: UUID) -> list[Change]:
        state, version = self._log.load(_STREAM, Claim(), claim.evolve)
        return [Change(_STREAM, version, claim.take(state, _CLAIM, "administrator", user))]

    def _restore_file(self, administrator: UUID, meta: Metadata) -> None:
        """A password that nobody can know any more is replaced."""
        state, _ = self._people.load(administrator)
        if not state.setup or self._password_file.exists():
            return
        password = self._password_file.keep(self._generate())
        self._accounts.set_password(administrator, password, meta, must_change_password=True)
        _log.warning("the first administrator's password file was missing: a new password was made")
