"""Passwords: equal work for every outcome, counting, locking, and what the log says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from application.identity.accounts import UserChange
from domain.errors import Unauthenticated
from domain.event import Metadata
from domain.sign_in import CredentialRefused, FailuresCleared, Lockout, LoginFailed, LoginRefused
from tests.fakes.accounts import CLIENT, PASSWORD, Fixture

WRONG = "wrong horse battery"


@pytest.fixture
def people() -> Fixture:
    fixture = Fixture(lockout=Lockout(threshold=3, duration=timedelta(minutes=30)))
    fixture.user("root", admin=True)
    fixture.user("ann")
    return fixture


def check(people: Fixture, name: str, password: str) -> bool:
    try:
        people.sign_ins.check(name, password, people.meta(), CLIENT)
    except CredentialRefused:
        return False
    return True


def refused(people: Fixture) -> list[str]:
    people.denials.flush(everything=True)
    return [event.reason for event in people.log.happened(LoginRefused) if isinstance(event, LoginRefused)]


def test_names_are_found_in_any_spelling() -> None:
    people = Fixture()
    people.user("Ann")
    assert check(people, "aNN", PASSWORD)


def test_the_account_locks_at_the_threshold_and_refuses_the_right_password_too(people: Fixture) -> None:
    assert [check(people, "ann", WRONG) for _ in range(3)] == [False] * 3
    assert not check(people, "ann", PASSWORD)
    assert refused(people) == ["locked"]
    assert [event.failures for event in people.log.happened(LoginFailed) if isinstance(event, LoginFailed)] == [1, 2, 3]

    people.clock.move(minutes=30)
    assert check(people, "ann", PASSWORD)
    assert people.log.happened(FailuresCleared)


def test_failures_count_only_in_a_row(people: Fixture) -> None:
    for _ in range(3):
        assert not check(people, "ann", WRONG)
        assert not check(people, "ann", WRONG)
        assert check(people, "ann", PASSWORD)


def test_a_lock_is_not_prolonged_by_trying(people: Fixture) -> None:
    for _ in range(3):
        check(people, "ann", WRONG)
    people.clock.move(minutes=29)
    check(people, "ann", WRONG)
    people.clock.move(minutes=1)
    assert check(people, "ann", PASSWORD)


def test_every_outcome_costs_one_hash(people: Fixture) -> None:
    disabled = people.user("eve")
    people.accounts.update(disabled, UserChange(active=False), Metadata())
    for _ in range(3):
        check(people, "ann", WRONG)

    for name, password in (("nobody", WRONG), ("ann", PASSWORD), ("ann", WRONG), ("eve", PASSWORD), ("eve", WRONG)):
        before = len(people.passwords.verified)
        assert not check(people, name, password)
        assert len(people.passwords.verified) == before + 1


def test_what_was_refused_without_a_count_is_told_without_the_name(people: Fixture) -> None:
    assert not check(people, "s3cret-typed-into-the-wrong-field", WRONG)
    assert refused(people) == ["unknown-user"]
    assert not any(b"s3cret" in item.state for item in people.log.recordings())


def test_a_disabled_account_is_refused_with_the_right_password(people: Fixture) -> None:
    people.accounts.update(people.user("eve"), UserChange(active=False), Metadata())
    assert not check(people, "eve", PASSWORD)
    assert refused(people) == ["disabled"]


def test_of_many_guesses_at_once_no_more_than_the_threshold_are_tries(people: Fixture) -> None:
    """The right password among them does not help once the others have locked the account."""
    barrier = Barrier(4)
    verify = people.passwords.verify

    def all_hash_before_any_counts(stored: str | None, password: str) -> bool:
        right = verify(stored, password)
        barrier.wait(5)
        if right:
            for thread in guesses[:3]:
                thread.join(5)
        return right

    people.passwords.verify = all_hash_before_any_counts  # type: ignore[method-assign]
    outcomes: list[bool] = []

    def guess(password: str) -> Callable[[], None]:
        return lambda: outcomes.append(check(people, "ann", password))

    guesses = [Thread(target=guess(f"{WRONG} {number}")) for number in range(3)] + [Thread(target=guess(PASSWORD))]
    for thread in guesses:
        thread.start()
    for thread in guesses:
        thread.join(10)
    assert outcomes == [False] * 4


def test_an_event_of_a_failed_sign_in_does_not_claim_to_be_the_account(people: Fixture) -> None:
    check(people, "ann", WRONG)
    recorded = people.log.recordings()[-1]
    assert recorded.meta.by is None
    client = people.seals.open(recorded.meta)
    assert client is not None
    assert client.address == CLIENT
    with pytest.raises(Unauthenticated):
        people.sign_ins.check("ann", WRONG, people.meta(), CLIENT)
