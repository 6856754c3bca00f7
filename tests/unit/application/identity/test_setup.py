"""The first administrator: every row of the first-boot table."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from application.identity.setup import WELL_KNOWN_PASSWORDS, SetupChoices, SetupLock
from domain.account import UserCreated
from domain.event import Metadata
from domain.sign_in import CredentialRefused
from tests.fakes.accounts import CLIENT, Fixture

META = Metadata()


@pytest.fixture
def people() -> Fixture:
    return Fixture()


def start(people: Fixture, choices: SetupChoices | None = None) -> None:
    people.setup(choices).ensure_administrator()
    people.lock.refresh()


def admin_password_is(people: Fixture, password: str) -> bool:
    try:
        return people.sign_ins.check("admin", password, META, CLIENT).user.admin
    except CredentialRefused:
        return False


def test_without_a_password_one_is_made_and_the_instance_is_locked_until_it_is_changed(people: Fixture) -> None:
    start(people)
    password = people.password_file.text
    assert password is not None
    assert len(password) == 20
    assert people.lock.locked
    assert admin_password_is(people, password)

    user = people.directory.user_by_username("admin")
    assert user is not None
    assert (user.email, user.must_change_password) == ("admin@localhost", True)
    people.accounts.change_password(user.id, "a password of my own", META, current=password)
    people.lock.refresh(frozenset({user.id}))

    assert not people.lock.locked
    assert people.password_file.text is None


def test_a_chosen_password_is_good_at_once(people: Fixture) -> None:
    start(people, SetupChoices(password="chosen with care"))
    assert not people.lock.locked
    assert people.password_file.text is None
    assert admin_password_is(people, "chosen with care")


@pytest.mark.parametrize("password", [*sorted(WELL_KNOWN_PASSWORDS), "Password1"])
def test_a_well_known_password_is_taken_and_locks(people: Fixture, password: str) -> None:
    start(people, SetupChoices(password=password))
    assert people.lock.locked
    assert people.password_file.text is None
    assert admin_password_is(people, password)


def test_a_demonstration_may_have_a_well_known_password(people: Fixture) -> None:
    start(people, SetupChoices(password="admin", demo=True))
    assert not people.lock.locked


def test_no_administrator_is_made_where_none_is_wanted(people: Fixture) -> None:
    start(people, SetupChoices(skip=True))
    assert people.log.head() == 0
    assert not SetupLock(people.log, people.people, people.password_file, skip=True).locked


def test_a_process_is_locked_until_the_log_shows_an_administrator(people: Fixture) -> None:
    people.lock.refresh()
    assert people.lock.locked
    people.setup(SetupChoices(password="chosen with care")).ensure_administrator()
    people.lock.refresh(frozenset({people.user("other")}))
    assert people.lock.locked
    people.lock.refresh(frozenset({user_admin(people)}))
    assert not people.lock.locked


def test_an_account_of_that_name_that_came_another_way_is_the_administrator(people: Fixture) -> None:
    people.user("admin", admin=True)
    start(people)
    assert not people.lock.locked
    assert len(people.log.happened(UserCreated)) == 1


def user_admin(people: Fixture) -> UUID:
    row = people.directory.user_by_username("admin")
    assert row is not None
    return row.id


def test_a_restart_changes_nothing_while_the_file_is_there(people: Fixture) -> None:
    start(people)
    password, head = people.password_file.text, people.log.head()
    start(people)
    assert (people.password_file.text, people.log.head()) == (password, head)
    assert people.lock.locked


def test_a_restart_makes_a_new_password_when_the_file_is_lost(people: Fixture) -> None:
    start(people)
    lost = people.password_file.text
    people.password_file.text = None
    start(people)
    assert people.password_file.text not in (None, lost)
    assert admin_password_is(people, people.password_file.text or "")
    assert people.lock.locked


def test_a_restart_respects_what_administrators_did(people: Fixture) -> None:
    start(people, SetupChoices(password="chosen with care"))
    people.user("other", admin=True)
    user = people.directory.user_by_username("admin")
    assert user is not None
    people.accounts.delete(user.id, META)
    start(people, SetupChoices(password="chosen with care"))
    start(people)
    assert people.directory.user_by_username("admin") is None
    assert not people.lock.locked


def test_two_processes_make_one_administrator(people: Fixture) -> None:
    """The slower one has decided on what it saw before the faster one stored anything."""
    add = people.accounts.add

    def overtaken(*arguments: Any, **named: Any) -> UUID:
        people.accounts.add = add  # type: ignore[method-assign]
        people.setup().ensure_administrator()
        return add(*arguments, **named)

    people.accounts.add = overtaken  # type: ignore[method-assign]
    start(people)
    assert len(people.log.happened(UserCreated)) == 1
    assert admin_password_is(people, people.password_file.text or "")
    assert people.lock.locked
