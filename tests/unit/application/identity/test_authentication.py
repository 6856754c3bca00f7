"""Credentials to principals: every kind, what is remembered, and that changes are seen at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import pytest

from application.identity.accounts import UserChange
from application.identity.authentication import TokenRefused
from application.identity.tickets import TicketHolder, TicketRefused
from application.identity.tokens import NewToken
from application.log import Change
from domain.errors import Unauthenticated
from domain.event import Metadata
from domain.permissions import GrantGiven, may
from domain.sign_in import CredentialRefused, LoginRefused
from tests.fakes.accounts import CLIENT, PASSWORD, Fixture, basic, bearer

LIBS = UUID(int=1)


@pytest.fixture
def people() -> Fixture:
    fixture = Fixture()
    fixture.user("root", admin=True)
    fixture.user("ann")
    return fixture


def user_id(people: Fixture, name: str) -> UUID:
    row = people.directory.user_by_username(name)
    assert row is not None
    return row.id


def token(people: Fixture, name: str = "ann", *scopes: str, days: int | None = None) -> str:
    caller = people.principal(name)
    assert caller.id is not None
    new = NewToken(name="ci", scopes=list(scopes or ("read:artifacts",)), expires_in_days=days)
    return people.tokens.create(caller.id, new, caller, people.meta()).secret


def session(people: Fixture, name: str = "ann") -> str:
    return people.sessions.start(name, PASSWORD, people.meta(), CLIENT).access_token


def refusals(people: Fixture) -> list[str]:
    people.denials.flush(everything=True)
    return [event.reason for event in people.log.happened(LoginRefused) if isinstance(event, LoginRefused)]


def test_who_shows_nothing_is_anonymous(people: Fixture) -> None:
    assert people.authenticate({"user-agent": "pip"}).id is None
    remembered = people.authenticator.remembered({})
    assert remembered is not None
    assert not remembered.authenticated


@pytest.mark.parametrize("form", ["bearer", "token", "apikey", "bare", "x-api-key", "basic", "basic any name"])
def test_a_token_works_in_every_form(people: Fixture, form: str) -> None:
    secret = token(people)
    headers: Mapping[str, str] = {
        "bearer": bearer(secret),
        "token": {"authorization": f"Token {secret}"},
        "apikey": {"authorization": f"ApiKey {secret}"},
        "bare": {"authorization": secret},
        "x-api-key": {"x-api-key": secret},
        "basic": basic("ann", secret),
        "basic any name": basic("__token__", secret),
    }[form]
    principal = people.authenticate(headers)
    assert (principal.username, principal.scopes) == ("ann", ("read:artifacts",))


@pytest.mark.parametrize("form", ["bearer", "basic", "cookie"])
def test_a_session_works_in_every_form(people: Fixture, form: str) -> None:
    access = session(people)
    headers: Mapping[str, str] = {
        "bearer": bearer(access),
        "basic": basic("any", access),
        "cookie": {"cookie": f"theme=dark; ak_access_token={access}"},
    }[form]
    principal = people.authenticate(headers)
    assert (principal.username, principal.scopes) == ("ann", None)
    assert principal.via == ("cookie" if form == "cookie" else "session")
    assert principal.session is not None


@pytest.mark.parametrize(
    "headers",
    [
        basic("ann", "wrong"),
        basic("nobody"),
        bearer("00112233_00112233445566778899aabbccddeeff"),
        bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."),
        bearer("anything"),
        {"authorization": "Negotiate abc"},
        {"authorization": ""},
        {"x-api-key": ""},
        {"cookie": "ak_access_token=x"},
    ],
)
def test_what_is_shown_and_not_good_is_refused_and_never_anonymous(people: Fixture, headers: Mapping[str, str]) -> None:
    assert people.authenticator.remembered(headers) is None
    with pytest.raises(Unauthenticated):
        people.authenticate(headers)


def test_a_bad_credential_is_not_saved_by_a_good_one_behind_it(people: Fixture) -> None:
    with pytest.raises(Unauthenticated):
        people.authenticate({**bearer("bad"), "x-api-key": token(people)})


def test_a_verified_password_costs_its_hash_once(people: Fixture) -> None:
    for _ in range(5):
        people.authenticate(basic("ann"))
    assert len(people.passwords.verified) == 1
    remembered = people.authenticator.remembered(basic("ann"))
    assert remembered is not None
    assert remembered.via == "password"
    people.monotonic += 301
    assert people.authenticator.remembered(basic("ann")) is None


def test_a_process_that_hears_nothing_remembers_nothing(people: Fixture) -> None:
    people.authenticate(basic("ann"))
    people.fresh = False
    assert people.authenticator.remembered(basic("ann")) is None
    people.directory.asked.clear()
    people.authenticate(basic("ann"))
    assert people.directory.asked["user"] == 1


def test_a_change_of_access_is_seen_with_the_next_request(people: Fixture) -> None:
    secret, headers = token(people), basic("ann")
    people.authenticate(headers)
    people.authenticate(bearer(secret))
    people.authenticate(basic("root"))
    ann = user_id(people, "ann")
    grant = GrantGiven(
        grant=uuid4(), principal_type="user", principal=ann, target_type="repository", target=LIBS, actions=("read",)
    )
    people.log.append([Change(uuid4(), 0, [grant])])
    people.authenticator.access_changed(frozenset({ann}))

    assert people.authenticator.remembered(headers) is None
    assert people.authenticator.remembered(bearer(secret)) is None
    assert people.authenticator.remembered(basic("root")) is not None
    assert may(people.authenticate(headers), "read", LIBS, public=False)
    people.authenticator.access_changed()
    assert people.authenticator.remembered(basic("root")) is None


@pytest.mark.parametrize("what", ["revoked", "expired", "inactive", "deleted"])
def test_a_token_ends_with_itself_and_with_its_owner(people: Fixture, what: str) -> None:
    secret = token(people, days=1)
    people.authenticate(bearer(secret))
    ann = user_id(people, "ann")
    match what:
        case "revoked":
            people.tokens.revoke(people.directory.tokens_of(ann)[0].id, Metadata())
        case "expired":
            people.clock.move(days=1)
        case "inactive":
            people.accounts.update(ann, UserChange(active=False), Metadata())
        case _:
            people.accounts.delete(ann, Metadata())
    people.authenticator.access_changed(frozenset({ann}))
    with pytest.raises(TokenRefused):
        people.authenticate(bearer(secret))
    assert refusals(people)[-1] == "token"


def test_nothing_is_remembered_beyond_its_own_end(people: Fixture) -> None:
    secret = token(people, days=1)
    people.clock.move(hours=23, minutes=59, seconds=30)
    people.authenticate(bearer(secret))
    people.monotonic += 29
    assert people.authenticator.remembered(bearer(secret)) is not None
    people.monotonic += 1
    assert people.authenticator.remembered(bearer(secret)) is None


def test_uses_of_tokens_are_noted_also_when_they_are_remembered(people: Fixture) -> None:
    secret = token(people)
    people.authenticate(bearer(secret))
    people.authenticator.remembered(bearer(secret))
    assert people.used == [people.directory.tokens_of(user_id(people, "ann"))[0].id] * 2


def test_a_verification_that_overlaps_a_change_is_not_remembered(people: Fixture) -> None:
    overlap(people, lambda: people.authenticator.access_changed(frozenset({user_id(people, "ann")})))
    assert people.authenticate(basic("ann")).username == "ann"
    assert people.authenticator.remembered(basic("ann")) is not None
    people.authenticator.access_changed()
    overlap(people, people.authenticator.access_changed)
    people.authenticate(basic("ann"))
    assert len(people.passwords.verified) == 4


def overlap(people: Fixture, change: Callable[[], None]) -> None:
    """Authenticate ann while access changes between the check of her password and the end."""
    verify = people.passwords.verify

    def changing(stored: str | None, password: str) -> bool:
        people.passwords.verify = verify  # type: ignore[method-assign]
        right = verify(stored, password)
        change()
        return right

    people.passwords.verify = changing  # type: ignore[method-assign]
    people.authenticate(basic("ann"))
    assert people.authenticator.remembered(basic("ann")) is None


def test_many_requests_with_one_credential_hash_it_once(people: Fixture) -> None:
    started, go = threading.Event(), threading.Event()
    verify = people.passwords.verify

    def slow(stored: str | None, password: str) -> bool:
        started.set()
        go.wait(5)
        return verify(stored, password)

    people.passwords.verify = slow  # type: ignore[method-assign]
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(people.authenticate(basic("ann")).username)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert names == ["ann"] * 8
    assert len(people.passwords.verified) == 1


def test_a_request_after_a_change_does_not_join_a_verification_from_before(people: Fixture) -> None:
    """The password was right when the first request checked it, and is not any more."""
    ann = user_id(people, "ann")
    second: list[type[Exception]] = []
    verify = people.passwords.verify

    def changing(stored: str | None, password: str) -> bool:
        people.passwords.verify = verify  # type: ignore[method-assign]
        right = verify(stored, password)
        people.accounts.set_password(ann, "another good one", Metadata(), must_change_password=False)
        people.authenticator.access_changed(frozenset({ann}))
        late = threading.Thread(target=attempt)
        late.start()
        late.join(5)
        return right

    def attempt() -> None:
        try:
            people.authenticate(basic("ann"))
        except CredentialRefused as error:
            second.append(type(error))

    people.passwords.verify = changing  # type: ignore[method-assign]
    people.authenticate(basic("ann"))
    assert second == [CredentialRefused]


def test_guessing_with_requests_is_stopped_before_the_hash(people: Fixture) -> None:
    for number in range(12):
        with pytest.raises(CredentialRefused):
            people.authenticate(basic("nobody", f"guess {number}"))
    assert len(people.passwords.verified) == 10
    people.authenticator.authenticate(basic("ann"), CLIENT)


def test_a_password_that_looks_like_a_token_still_signs_in(people: Fixture) -> None:
    odd = "00112233_00112233445566778899aabbccddeeff"
    people.user("odd", odd)
    assert people.authenticate(basic("odd", odd)).via == "password"


def test_who_must_change_the_password_is_known_as_such(people: Fixture) -> None:
    ann = user_id(people, "ann")
    people.authenticate(basic("ann"))
    people.accounts.require_password_change(ann, Metadata())
    people.authenticator.access_changed(frozenset({ann}))
    assert people.authenticate(basic("ann")).must_change_password


def test_a_ticket_reads_once_and_never_administers(people: Fixture) -> None:
    root = user_id(people, "root")
    ticket = people.tickets.issue(TicketHolder(root, all_repositories=True), "/x")
    with pytest.raises(TicketRefused):
        people.authenticator.redeem(ticket, "/y", CLIENT)
    principal = people.authenticator.redeem(ticket, "/x", CLIENT)
    assert (principal.username, principal.admin, principal.is_admin) == ("root", False, False)
    assert may(principal, "read", LIBS, public=False)
    assert not may(principal, "write", LIBS, public=False)
    with pytest.raises(TicketRefused):
        people.authenticator.redeem(ticket, "/x", CLIENT)
    assert set(refusals(people)) == {"ticket"}


def test_a_ticket_of_a_confined_credential_is_as_confined(people: Fixture) -> None:
    holder = TicketHolder(user_id(people, "root"), repositories=(LIBS,), all_repositories=True)
    principal = people.authenticator.redeem(people.tickets.issue(holder, None), "/any", CLIENT)
    assert may(principal, "read", LIBS, public=False)
    assert not may(principal, "read", UUID(int=2), public=True)


def test_a_ticket_ends_with_its_holder(people: Fixture) -> None:
    ann = user_id(people, "ann")
    ticket = people.tickets.issue(TicketHolder(ann), None)
    people.accounts.delete(ann, Metadata())
    people.authenticator.access_changed()
    with pytest.raises(TicketRefused):
        people.authenticator.redeem(ticket, "/x", CLIENT)
