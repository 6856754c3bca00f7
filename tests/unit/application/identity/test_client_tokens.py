"""Tokens that package clients swap a credential for: of what they are made, what they open, when they end."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from application.identity.accounts import UserChange
from application.identity.client_tokens import ClientTokens
from application.identity.session_tokens import TokenExpired, TokenUnreadable
from application.identity.tokens import NewToken
from domain.errors import Unauthenticated
from domain.permissions import SYSTEM_TARGET, may
from domain.session import SessionOver
from domain.sign_in import CredentialRefused
from tests.fakes.accounts import CLIENT, Fixture, basic, bearer

LIBS = UUID(int=1)


class People(Fixture):
    """With an administrator `root` and a user `ann`."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = {"root": self.user("root", admin=True), "ann": self.user("ann")}
        self.client_tokens = ClientTokens(self.jwt, self.authenticator, self.log.head, self.progress, self.clock)

    def issue(self, headers: dict[str, str]) -> str:
        return self.client_tokens.issue(headers, CLIENT).secret


@pytest.fixture
def people() -> People:
    return People()


def test_a_password_becomes_a_token_for_packages(people: People) -> None:
    principal = people.authenticate(bearer(people.issue(basic("ann"))))
    assert (principal.id, principal.username) == (people.ids["ann"], "ann")
    assert may(principal, "read", LIBS, public=True)
    assert not may(principal, "write", LIBS, public=True)


def test_an_administrators_token_opens_packages_everywhere_and_administers_nothing(people: People) -> None:
    principal = people.authenticate(bearer(people.issue(basic("root"))))
    for action in ("read", "write", "delete"):
        assert may(principal, action, LIBS, public=False)
    assert not may(principal, "admin", LIBS, public=False)
    assert not may(principal, "admin", SYSTEM_TARGET, public=False)
    assert not principal.is_admin


def test_nobody_gets_a_token_of_nobody(people: People) -> None:
    principal = people.authenticate(bearer(people.issue({})))
    assert not principal.authenticated
    assert may(principal, "read", LIBS, public=True)
    assert not may(principal, "read", LIBS, public=False)


def test_what_can_be_revoked_is_given_back(people: People) -> None:
    caller = people.principal("ann")
    new = NewToken(name="ci", scopes=["read:artifacts"])
    secret = people.tokens.create(people.ids["ann"], new, caller, people.meta()).secret
    session = people.issue(basic("ann"))
    for headers in (bearer(secret), basic("any", secret), {"x-api-key": secret}):
        assert people.issue(headers) == secret
    assert people.issue(bearer(session)) == session


def test_a_cookie_is_not_turned_into_a_token(people: People) -> None:
    session = people.sessions.start("ann", "correct horse battery", people.meta(), CLIENT).access_token
    with pytest.raises(Unauthenticated):
        people.issue({"cookie": f"ak_access_token={session}"})


def test_a_credential_that_is_not_good_gets_none(people: People) -> None:
    with pytest.raises(CredentialRefused):
        people.issue(basic("ann", "wrong"))
    with pytest.raises(Unauthenticated):
        people.issue({"authorization": "Bearer nonsense"})


def test_a_token_ends_by_itself(people: People) -> None:
    issued = people.client_tokens.issue(basic("ann"), CLIENT)
    anonymous = people.issue({})
    assert issued.seconds >= 60
    people.clock.now += timedelta(seconds=issued.seconds + 1)
    people.monotonic += issued.seconds + 1
    for secret in (issued.secret, anonymous):
        with pytest.raises(TokenExpired):
            people.authenticate(bearer(secret))


def test_a_token_ends_with_its_account_and_its_password(people: People) -> None:
    secret = people.issue(basic("ann"))
    people.accounts.change_password(people.ids["ann"], "another good password", people.meta(), current=None)
    people.authenticator.access_changed()
    with pytest.raises(SessionOver):
        people.authenticate(bearer(secret))
    secret = people.issue(basic("ann", "another good password"))
    people.accounts.update(people.ids["ann"], UserChange(active=False), people.meta())
    people.authenticator.access_changed()
    with pytest.raises(SessionOver):
        people.authenticate(bearer(secret))


def test_tokens_of_one_kind_are_none_of_another(people: People) -> None:
    row = people.directory.user(people.ids["ann"])
    assert row is not None
    refresh = people.jwt.refresh(row, UUID(int=2), 5, 0)
    with pytest.raises(TokenUnreadable):
        people.authenticate(bearer(refresh))
    with pytest.raises(TokenUnreadable):
        people.jwt.read(people.jwt.client(people.ids["ann"], 5), "access")
