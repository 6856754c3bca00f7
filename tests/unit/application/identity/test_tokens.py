"""API tokens: what they may, for how long, and that only a hash is kept."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from application.identity.tokens import NewToken
from domain.errors import Invalid
from domain.permissions import Principal
from domain.token import ScopeRefused, TokenCreated, TokenNotFound
from tests.fakes.accounts import Fixture, bearer

LIBS, APPS = UUID(int=1), UUID(int=2)


@pytest.fixture
def people() -> Fixture:
    fixture = Fixture()
    fixture.user("root", admin=True)
    fixture.user("ann")
    return fixture


def created(people: Fixture) -> TokenCreated:
    event = people.log.happened(TokenCreated)[-1]
    assert isinstance(event, TokenCreated)
    return event


def make(people: Fixture, caller: Principal, *scopes: str, days: int | None = None) -> str:
    assert caller.id is not None
    new = NewToken(name="ci", scopes=list(scopes), expires_in_days=days)
    return people.tokens.create(caller.id, new, caller, people.meta()).secret


def make_for(people: Fixture, caller: Principal, *scopes: str, public: bool = False) -> str:
    new = NewToken(name="ci", scopes=list(scopes))
    return people.tokens.create_for_repository(LIBS, new, caller, people.meta(), public=public).secret


def granted(principal: Principal, *actions: str) -> Principal:
    return msgspec.structs.replace(principal, grants={LIBS: frozenset(actions)})


def test_the_secret_is_shown_once_and_stored_nowhere(people: Fixture) -> None:
    secret = make(people, people.principal("ann"), "read:artifacts")
    assert not any(
        secret.encode() in item.state or secret[9:].encode() in item.state for item in people.log.recordings()
    )
    assert created(people).prefix == secret[:8]


def test_a_token_acts_with_its_scopes(people: Fixture) -> None:
    principal = people.authenticate(bearer(make(people, people.principal("root"), "read:artifacts")))
    assert (principal.username, principal.scopes) == ("root", ("read:artifacts",))
    assert not principal.is_admin
    assert principal.via == f"token:{created(people).token}"


def test_days_are_clamped(people: Fixture) -> None:
    ann = people.principal("ann")
    for days, expected in ((None, None), (0, 1), (-5, 1), (30, 30), (99999, 3650)):
        make(people, ann, "read:artifacts", days=days)
        expires = created(people).expires_at
        assert expires == (None if expected is None else people.clock() + timedelta(days=expected))


def test_nobody_passes_on_more_than_they_hold(people: Fixture) -> None:
    with pytest.raises(ScopeRefused):
        make(people, people.principal("ann"), "delete:artifacts")
    narrow = people.authenticate(bearer(make(people, people.principal("root"), "read:artifacts")))
    with pytest.raises(ScopeRefused):
        make(people, narrow, "write:artifacts")
    with pytest.raises(ScopeRefused):
        make(people, narrow, "admin")
    assert make(people, narrow, "read:artifacts")


def test_a_confined_token_begets_confined_tokens(people: Fixture) -> None:
    confined = people.authenticate(bearer(make_for(people, granted(people.principal("ann"), "read"), "read:artifacts")))
    assert confined.repositories == frozenset({LIBS})
    child = people.authenticate(bearer(make(people, confined, "read:artifacts")))
    assert child.repositories == frozenset({LIBS})


@pytest.mark.parametrize(
    ("actions", "scope", "allowed"),
    [
        ((), "read:artifacts", False),
        (("read",), "read:artifacts", True),
        (("read",), "write:artifacts", False),
        (("write",), "write:artifacts", True),
        (("write",), "delete:artifacts", False),
        (("write",), "admin", False),
        (("admin",), "admin", True),
        (("admin",), "delete:artifacts", True),
    ],
)
def test_a_repository_token_changes_what_its_maker_may(
    people: Fixture, actions: tuple[str, ...], scope: str, allowed: bool
) -> None:
    caller = granted(people.principal("ann"), *actions)
    if allowed:
        assert make_for(people, caller, scope)
        assert created(people).repositories == (LIBS,)
    else:
        with pytest.raises(ScopeRefused):
            make_for(people, caller, scope)


def test_a_public_repository_needs_no_grant_for_a_reading_token(people: Fixture) -> None:
    assert make_for(people, people.principal("ann"), "read:artifacts", public=True)


@pytest.mark.parametrize("days", [0, 366])
def test_repository_tokens_live_a_year_at_most(people: Fixture, days: int) -> None:
    new = NewToken(name="ci", scopes=["read:artifacts"], expires_in_days=days)
    with pytest.raises(Invalid):
        people.tokens.create_for_repository(LIBS, new, people.principal("root"), people.meta(), public=False)


def test_a_revoked_token_is_revoked_once(people: Fixture) -> None:
    make(people, people.principal("ann"), "read:artifacts")
    people.tokens.revoke(created(people).token, people.meta())
    head = people.log.head()
    people.tokens.revoke(created(people).token, people.meta())
    assert people.log.head() == head
    with pytest.raises(TokenNotFound):
        people.tokens.revoke(APPS, people.meta())
