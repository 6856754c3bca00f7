"""Everything about accounts wired over memory, and the few things that tests do with it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from uuid import UUID

from application.identity.accounts import Accounts, NewUser
from application.identity.authentication import Authenticator
from application.identity.clients import ClientSeals
from application.identity.denials import Denials
from application.identity.limits import Limits
from application.identity.passwords import PasswordRules
from application.identity.people import People
from application.identity.remembering import Remembered
from application.identity.sessions import Sessions
from application.identity.setup import Setup, SetupChoices, SetupLock
from application.identity.sign_ins import SignIns
from application.identity.tokens import Tokens
from domain.event import Metadata
from domain.passwords import PasswordPolicy
from domain.permissions import Principal
from domain.sign_in import Lockout
from infrastructure.auth.jwt import JwtTokens
from tests.fakes.identity import (
    CountingLimiter,
    FoldedDirectory,
    MemoryPasswordFile,
    MemoryPersonal,
    MemoryTickets,
    NoWaiting,
    PlainPasswords,
)
from tests.fakes.log import MemoryLog

PASSWORD = "correct horse battery"
CLIENT = "192.0.2.7"
SECRET = "0123456789abcdef0123456789abcdef"


class Fixture:
    """A registry's people, in one process. monotonic: seconds, moved by the test."""

    def __init__(self, policy: PasswordPolicy | None = None, lockout: Lockout | None = None) -> None:
        self.log = MemoryLog()
        self.clock = self.log.clock
        self.monotonic = 1000.0
        self.fresh = True
        self.used: list[UUID] = []
        self.personal = MemoryPersonal()
        self.directory = FoldedDirectory(self.log, self.personal)
        self.passwords = PlainPasswords()
        self.progress = NoWaiting()
        self.limiter = CountingLimiter()
        self.limits = Limits(self.limiter)
        self.tickets = MemoryTickets()
        self.password_file = MemoryPasswordFile()
        self.people = People(self.log, self.personal)
        self.seals = ClientSeals(self.personal)
        self.denials = Denials(self.log, self.seals, clock=lambda: self.monotonic)
        self.rules = PasswordRules(policy or PasswordPolicy(), lambda: {"password1", "12345678"}, lambda *_: 2)
        self.accounts = Accounts(self.log, self.directory, self.people, self.passwords, self.rules, self.progress)
        self.sign_ins = SignIns(
            self.log,
            self.directory,
            self.people,
            self.passwords,
            self.denials,
            lockout=lockout or Lockout(),
            now=self.clock,
        )
        self.jwt = JwtTokens(SECRET, now=lambda: self.clock().timestamp())
        self.sessions = Sessions(
            self.log,
            self.directory,
            self.jwt,
            self.sign_ins,
            self.limits,
            self.seals,
            self.progress,
            now=self.clock,
        )
        self.tokens = Tokens(self.log, self.progress, now=self.clock)
        self.authenticator = Authenticator(
            self.directory,
            self.sign_ins,
            self.jwt,
            self.tickets,
            self.limits,
            self.denials,
            self.seals,
            Remembered(lambda: self.fresh, lambda: self.monotonic),
            token_used=self.used.append,
            now=self.clock,
        )
        self.lock = SetupLock(self.log, self.people, self.password_file)

    def setup(self, choices: SetupChoices | None = None) -> Setup:
        return Setup(
            self.log, self.directory, self.accounts, self.people, self.password_file, choices or SetupChoices()
        )

    def user(self, name: str, password: str = PASSWORD, *, admin: bool = False) -> UUID:
        new = NewUser(username=name, email=f"{name}@example.org", password=password, admin=admin)
        return self.accounts.create(new, Metadata())[0].id

    def principal(self, name: str) -> Principal:
        """As whom a sign-in with the password would act."""
        return self.authenticator.authenticate(basic(name), CLIENT)

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        return self.authenticator.authenticate(headers, CLIENT)

    def meta(self) -> Metadata:
        """Of an anonymous request from CLIENT."""
        return Metadata(kind="anonymous", request="r-1", client=self.seals(None, CLIENT, "curl/8"))


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}
