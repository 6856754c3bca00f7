"""Signing in over a real log, hash and database: several processes at once, and what each sees of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.identity.accounts import Accounts, NewUser
from application.identity.authentication import Authenticator
from application.identity.clients import ClientSeals
from application.identity.denials import Denials
from application.identity.limits import Limits
from application.identity.passwords import PasswordRules
from application.identity.people import People
from application.identity.remembering import Remembered
from application.identity.sessions import Sessions, SignedIn
from application.identity.setup import Setup, SetupChoices, SetupLock
from application.identity.sign_ins import SignIns
from application.identity.tokens import NewToken, Tokens
from domain.account import UserCreated
from domain.errors import RegistryError, Unauthenticated
from domain.event import SYSTEM, Metadata
from domain.passwords import PasswordPolicy
from domain.session import SessionOver, SessionRefreshed
from domain.sign_in import CredentialRefused, Lockout, LoginFailed
from infrastructure.auth.jwt import JwtTokens
from infrastructure.auth.passwords import Argon2Passwords
from infrastructure.auth.tickets import StoredTickets
from infrastructure.personal import PersonKeys
from infrastructure.rate_limits import MemoryLimiter
from projections.access import AccessChanges, AccessProjection, AccessView
from projections.progress import Progress
from projections.runner import Projector
from tests.fakes.accounts import basic, bearer
from tests.fakes.identity import MemoryPasswordFile
from tests.integration.folding import Registry, registry

SECRET = "0123456789abcdef" * 4
PASSWORD = "correct horse battery"
CLIENT = "192.0.2.7"


class Process:
    """One process's view of the people in a database."""

    def __init__(self, running: Registry) -> None:
        self.log = running.log
        self.view = AccessView(running.connect)
        self.keys = PersonKeys(running.connect, SECRET)
        self.seals = ClientSeals(self.keys)
        self.people = People(self.log, self.keys)
        self.memory = Remembered(lambda: self.progress.fresh)
        self.changes = AccessChanges(self.view, [self.memory.forget, self.keys.forget])
        self.progress = Progress(running.dsn, {"access": self.changes.advance}, self.changes.reset)
        passwords = Argon2Passwords(memory_kib=64, iterations=1)
        rules = PasswordRules(PasswordPolicy(), frozenset, lambda *_: 4)
        denials = Denials(self.log, self.seals)
        limits = Limits(MemoryLimiter(), enabled=False)
        self.accounts = Accounts(self.log, self.view, self.people, passwords, rules, self.progress)
        self.sign_ins = SignIns(
            self.log, self.view, self.people, passwords, denials, lockout=Lockout(5, timedelta(minutes=30)), now=_now
        )
        jwt = JwtTokens(SECRET)
        self.sessions = Sessions(self.log, self.view, jwt, self.sign_ins, limits, self.seals, self.progress, now=_now)
        self.tokens = Tokens(self.log, self.progress, now=_now)
        self.authenticator = Authenticator(
            self.view,
            self.sign_ins,
            jwt,
            StoredTickets(running.connect),
            limits,
            denials,
            self.seals,
            self.memory,
            token_used=lambda _: None,
            now=_now,
        )

    def meta(self) -> Metadata:
        return Metadata(kind="anonymous", client=self.seals(None, CLIENT, "curl/8"))

    def sign_in(self, name: str = "ann", password: str = PASSWORD) -> SignedIn:
        return self.sessions.start(name, password, self.meta(), CLIENT)

    def works(self, headers: dict[str, str]) -> bool:
        try:
            self.authenticator.authenticate(headers, CLIENT)
        except Unauthenticated:
            return False
        return True


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def pair(fresh_postgres_dsn: str) -> Iterator[tuple[Process, Process]]:
    with registry(fresh_postgres_dsn) as first, registry(fresh_postgres_dsn) as second:
        processes = Process(first), Process(second)
        projector = Projector(
            fresh_postgres_dsn, [AccessProjection(PersonKeys(first.connect, SECRET))], first.log.recorded
        )
        projector.start()
        for process in processes:
            process.progress.start()
        _until(lambda: all(process.progress.fresh for process in processes))
        try:
            yield processes
        finally:
            for process in processes:
                process.progress.stop()
            projector.stop()


@pytest.fixture
def ann(pair: tuple[Process, Process]) -> UUID:
    new = NewUser(username="ann", email="ann@example.org", password=PASSWORD)
    return pair[0].accounts.create(new, SYSTEM)[0].id


def _until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if true():
            return
        waiting.wait(0.02)
    raise TimeoutError


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each gave or raised."""
    barrier = threading.Barrier(len(actions))
    outcomes: list[object] = []

    def run(action: Callable[[], object]) -> None:
        barrier.wait(5)
        try:
            outcomes.append(action())
        except RegistryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return outcomes


def test_what_one_process_revokes_no_other_accepts_when_the_command_has_answered(
    pair: tuple[Process, Process], ann: UUID
) -> None:
    here, there = pair
    principal = there.authenticator.authenticate(basic("ann"), CLIENT)
    secret = here.tokens.create(ann, NewToken(name="ci", scopes=["read:artifacts"]), principal, SYSTEM)
    session = here.sign_in()
    shown = (bearer(secret.secret), basic("ann"), bearer(session.access_token))
    for headers in shown:
        assert there.works(headers)
        assert there.authenticator.remembered(headers) is not None

    here.tokens.revoke(secret.id, SYSTEM)
    assert not there.works(shown[0])
    here.sessions.end(here.sessions.family_of(session.refresh_token), SYSTEM)
    assert not there.works(shown[2])
    here.accounts.change_password(ann, "another good one", SYSTEM)
    assert not there.works(shown[1])
    assert there.works(basic("ann", "another good one"))


def test_traffic_of_others_lets_nobody_be_forgotten(pair: tuple[Process, Process], ann: UUID) -> None:
    here, there = pair
    there.authenticator.authenticate(basic("ann"), CLIENT)
    for _ in range(5):
        here.sign_in()
    here.progress.reached(("access",), here.log.head())
    assert there.authenticator.remembered(basic("ann")) is not None


def test_one_refresh_token_used_in_two_processes_at_once_gives_one_successor(
    pair: tuple[Process, Process], ann: UUID
) -> None:
    here = pair[0]

    def refresh(process: Process, token: str) -> Callable[[], object]:
        return lambda: process.sessions.refresh(token, process.meta())

    for _ in range(5):
        session = here.sign_in()
        outcomes = at_once(*(refresh(process, session.refresh_token) for process in pair))
        assert all(isinstance(outcome, SignedIn) for outcome in outcomes)
        numbers = [
            appended.event.number
            for appended in here.log.history(here.sessions.family_of(session.refresh_token))
            if isinstance(appended.event, SessionRefreshed)
        ]
        assert numbers == [0]


def test_failures_in_two_processes_count_together(pair: tuple[Process, Process], ann: UUID) -> None:
    here = pair[0]

    def guess(process: Process, number: int) -> Callable[[], object]:
        return lambda: process.sign_ins.check("ann", f"guess {number}", process.meta(), CLIENT)

    outcomes = at_once(*(guess(process, number) for number in range(4) for process in pair))
    assert all(isinstance(outcome, CredentialRefused) for outcome in outcomes)
    failed = [item.event for item in here.log.read(0, 1000) if isinstance(item.event, LoginFailed)]
    assert [event.failures for event in failed] == [1, 2, 3, 4, 5][: len(failed)]
    assert len(failed) <= 5
    for process in pair:
        while len([None for item in here.log.read(0, 1000) if isinstance(item.event, LoginFailed)]) < 5:
            with pytest.raises(CredentialRefused):
                here.sign_ins.check("ann", "wrong", here.meta(), CLIENT)
        with pytest.raises(CredentialRefused):
            process.sign_in()


def test_a_locked_account_stops_a_remembered_password_too(pair: tuple[Process, Process], ann: UUID) -> None:
    here, there = pair
    assert there.works(basic("ann"))
    for _ in range(5):
        with pytest.raises(CredentialRefused):
            here.sign_in(password="wrong")
    here.progress.reached(("access",), here.log.head())
    assert there.authenticator.remembered(basic("ann")) is None
    assert not there.works(basic("ann"))


def test_sessions_are_over_everywhere_when_the_password_changes(pair: tuple[Process, Process], ann: UUID) -> None:
    here, there = pair
    session = there.sign_in()
    here.accounts.reset_password(ann, SYSTEM)
    assert not there.works(bearer(session.access_token))
    with pytest.raises(SessionOver):
        there.sessions.refresh(session.refresh_token, there.meta())


def test_processes_that_start_together_make_one_administrator(pair: tuple[Process, Process]) -> None:
    file = MemoryPasswordFile()

    def start(process: Process) -> Callable[[], object]:
        return lambda: Setup(
            process.log, process.view, process.accounts, process.people, file, SetupChoices()
        ).ensure_administrator()

    assert at_once(*map(start, pair)) == [None, None]
    assert sum(isinstance(item.event, UserCreated) for item in pair[0].log.read(0, 100)) == 1
    for process in pair:
        assert process.sign_in("admin", file.text or "").user.must_change_password
        lock = SetupLock(process.log, process.people, file)
        lock.refresh()
        assert lock.locked
