"""The first administrator: every row of the first-boot table."""

from __future__ import annotations

import pytest

from application.setup import WELL_KNOWN_PASSWORDS, SetupChoices
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
    assert not people.lock.locked


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
    """The slower one decided on what it saw before the faster one stored anything."""
    first, second = people.setup(), people.setup()
    first._first_administrator = lambda: second.ensure_administrator() or None  # type: ignore[method-assign,func-returns-value]
    first.ensure_administrator()
    assert len(people.log.happened(UserCreated)) == 1
    assert admin_password_is(people, people.password_file.text or "")


def test_the_lock_opens_health_setup_and_sign_in_only(people: Fixture) -> None:
    start(people)
    for path in (b"/livez", b"/readyz", b"/metrics", b"/api/v1/auth/login", b"/api/v1/users/me/password"):
        assert people.lock.refusal(path) is None
    for path in (b"/", b"/pypi/libs/simple/", b"/api/v1/users", b"/api/v1/users/a/b/password", b"/api/v1/authors"):
        assert people.lock.refusal(path) is not None
