"""Sign-in, refresh with rotation, sign-out, and what voids sessions."""

from __future__ import annotations

import pytest

from application.identity.accounts import UserChange
from application.identity.session_tokens import TokenExpired, TokenUnreadable
from application.identity.sessions import SignedIn
from domain.errors import TooMany, Unauthenticated
from domain.event import Metadata
from domain.session import SessionEnded, SessionOver, SessionRefreshed, SessionStarted
from domain.sign_in import CredentialRefused
from tests.fakes.accounts import CLIENT, PASSWORD, Fixture, bearer


@pytest.fixture
def people() -> Fixture:
    fixture = Fixture()
    fixture.user("root", admin=True)
    fixture.user("ann")
    return fixture


def sign_in(people: Fixture, name: str = "ann") -> SignedIn:
    return people.sessions.start(name, PASSWORD, people.meta(), CLIENT)


def refresh(people: Fixture, token: str) -> SignedIn:
    return people.sessions.refresh(token, people.meta())


def works(people: Fixture, signed_in: SignedIn) -> bool:
    people.authenticator.access_changed()  # as the projection's notification does
    try:
        return people.authenticate(bearer(signed_in.access_token)).username == "ann"
    except SessionOver:
        return False


def test_a_sign_in_is_an_event_of_the_person_and_opens_the_api(people: Fixture) -> None:
    signed_in = sign_in(people)

    recorded = people.log.recordings()[-1]
    assert isinstance(recorded.event, SessionStarted)
    assert (recorded.meta.by, recorded.meta.via, recorded.meta.request) == (signed_in.user.id, "password", "r-1")
    client = people.seals.open(recorded.meta)
    assert client is not None
    assert (client.address, client.agent) == (CLIENT, "curl/8")
    principal = people.authenticate(bearer(signed_in.access_token))
    assert (principal.username, principal.via, principal.scopes) == ("ann", "session", None)


def test_refreshing_rotates_and_a_lost_answer_can_be_asked_again(people: Fixture) -> None:
    first = sign_in(people)
    second = refresh(people, first.refresh_token)
    people.clock.move(seconds=20)
    again = refresh(people, first.refresh_token)

    assert len(people.log.happened(SessionRefreshed)) == 1
    third = refresh(people, again.refresh_token)
    assert refresh(people, second.refresh_token).user.username == "ann"
    assert works(people, third)


def test_a_replay_after_the_grace_ends_the_whole_family(people: Fixture) -> None:
    first = sign_in(people)
    second = refresh(people, first.refresh_token)
    other = sign_in(people)
    people.clock.move(seconds=31)

    with pytest.raises(SessionOver):
        refresh(people, first.refresh_token)

    with pytest.raises(SessionOver):
        refresh(people, second.refresh_token)
    assert not works(people, second)
    assert works(people, other)
    position = next(item.position for item in people.log.recordings() if isinstance(item.event, SessionEnded))
    assert (("access",), position) in people.progress.waited


def test_a_lost_race_for_a_refresh_token_gives_what_the_winner_got(people: Fixture) -> None:
    first = sign_in(people)
    last = people.log.last
    raced = False

    def slow_last(stream: object) -> object:
        nonlocal raced
        found = last(stream)  # type: ignore[arg-type]
        if not raced:
            raced = True
            refresh(people, first.refresh_token)
        return found

    people.log.last = slow_last  # type: ignore[method-assign,assignment]
    second = refresh(people, first.refresh_token)

    people.log.last = last  # type: ignore[method-assign]
    assert len(people.log.happened(SessionRefreshed)) == 1
    assert refresh(people, second.refresh_token)
    assert len(people.log.happened(SessionRefreshed)) == 2


def test_tokens_are_not_taken_for_each_other(people: Fixture) -> None:
    signed_in = sign_in(people)
    with pytest.raises(TokenUnreadable):
        refresh(people, signed_in.access_token)
    with pytest.raises(TokenUnreadable):
        people.authenticate(bearer(signed_in.refresh_token))


def test_tokens_end_in_time(people: Fixture) -> None:
    signed_in = sign_in(people)
    people.clock.move(minutes=30)
    with pytest.raises(TokenExpired):
        people.authenticate(bearer(signed_in.access_token))
    people.clock.move(days=7)
    with pytest.raises(TokenExpired):
        refresh(people, signed_in.refresh_token)


def test_signing_out_ends_the_session_everywhere(people: Fixture) -> None:
    signed_in = sign_in(people)
    family = people.sessions.family_of(signed_in.refresh_token)
    people.sessions.end(family, people.meta())
    people.sessions.end(family, people.meta())

    assert len(people.log.happened(SessionEnded)) == 1
    assert not works(people, signed_in)
    with pytest.raises(SessionOver):
        refresh(people, signed_in.refresh_token)


@pytest.mark.parametrize("what", ["password", "inactive", "demoted", "deleted"])
def test_what_changes_a_person_voids_their_sessions(people: Fixture, what: str) -> None:
    user = people.user("bob", admin=True)
    signed_in = sign_in(people, "bob")
    match what:
        case "password":
            people.accounts.change_password(user, "another good one", Metadata())
        case "inactive":
            people.accounts.update(user, UserChange(active=False), Metadata())
        case "demoted":
            people.accounts.update(user, UserChange(admin=False), Metadata())
        case _:
            people.accounts.delete(user, Metadata())

    with pytest.raises(SessionOver):
        refresh(people, signed_in.refresh_token)
    people.authenticator.access_changed()
    with pytest.raises(Unauthenticated):
        people.authenticate(bearer(signed_in.access_token))


def test_a_password_changed_during_a_sign_in_voids_that_sign_in(people: Fixture) -> None:
    verify = people.passwords.verify
    user = people.directory.user_by_username("ann")
    assert user is not None

    def changed_meanwhile(stored: str | None, password: str) -> bool:
        right = verify(stored, password)
        people.accounts.set_password(user.id, "another good one", Metadata(), must_change_password=False)
        return right

    people.passwords.verify = changed_meanwhile  # type: ignore[method-assign]
    signed_in = sign_in(people)
    assert not works(people, signed_in)


def test_a_sign_in_right_after_a_password_change_is_good(people: Fixture) -> None:
    user = people.user("bob")
    people.accounts.change_password(user, "another good one", Metadata())
    signed_in = people.sessions.start("bob", "another good one", people.meta(), CLIENT)
    assert people.authenticate(bearer(signed_in.access_token)).username == "bob"


def test_sign_ins_are_counted_by_name_and_address(people: Fixture) -> None:
    for _ in range(10):
        with pytest.raises(CredentialRefused):
            people.sessions.start("nobody", PASSWORD, people.meta(), CLIENT)
    with pytest.raises(TooMany) as caught:
        people.sessions.start("NOBODY", PASSWORD, people.meta(), CLIENT)
    assert caught.value.fields["retry_after_seconds"] == 900
    assert people.sessions.start("ann", PASSWORD, people.meta(), CLIENT)
    with pytest.raises(CredentialRefused):
        people.sessions.start("nobody", PASSWORD, people.meta(), "192.0.2.8")
