"""Creating, changing, deleting and erasing people; their passwords."""

from __future__ import annotations

from uuid import uuid4

import pytest

from application.identity.accounts import CurrentPasswordWrong, NewUser, UserChange
from domain.account import AccountNotFound, LastAdministrator, PasswordChanged, UserUpdated
from domain.claim import NameTaken
from domain.errors import Invalid
from domain.event import Metadata
from domain.passwords import PasswordPolicy, PasswordRefused
from tests.fakes.accounts import CLIENT, PASSWORD, Fixture

META = Metadata()


@pytest.fixture
def people() -> Fixture:
    fixture = Fixture()
    fixture.user("root", admin=True)
    return fixture


def test_nothing_personal_is_readable_in_the_log(people: Fixture) -> None:
    people.accounts.create(
        NewUser(username="ann.doe", email="ann@example.org", display_name="Ann Doe", password=PASSWORD), META
    )
    for item in people.log.recordings():
        for text in (b"ann.doe", b"example.org", b"Ann Doe", b"hash of"):
            assert text not in item.state


def test_a_generated_password_works_and_must_be_changed(people: Fixture) -> None:
    row, generated = people.accounts.create(NewUser(username="ann", email="ann@example.org"), META)
    assert generated is not None
    assert len(generated) == 20
    assert row.must_change_password
    people.sign_ins.check("ann", generated, META, CLIENT)
    assert people.accounts.create(NewUser(username="b", email="b@c", password=PASSWORD), META)[1] is None


@pytest.mark.parametrize(
    ("username", "email"), [("ROOT", "x@example.org"), ("x", "Root@Example.org")], ids=["username", "email"]
)
def test_names_and_addresses_are_taken_in_any_spelling(people: Fixture, username: str, email: str) -> None:
    head = people.log.head()
    with pytest.raises(NameTaken, match="already exists"):
        people.accounts.create(NewUser(username=username, email=email, password=PASSWORD), META)
    assert people.log.head() == head


def test_two_who_want_one_name_at_once_do_not_both_get_it(people: Fixture) -> None:
    people.directory.user_by_username = lambda _: None  # type: ignore[method-assign,assignment]
    people.directory.user_by_email = lambda _: None  # type: ignore[method-assign,assignment]
    with pytest.raises(NameTaken):
        people.accounts.create(NewUser(username="root", email="y@example.org", password=PASSWORD), META)


def test_a_bad_password_creates_nobody(people: Fixture) -> None:
    head = people.log.head()
    for password in ("short", "Password1", "ann@example.org", "x" * 200):
        with pytest.raises(PasswordRefused):
            people.accounts.create(NewUser(username="ann", email="ann@example.org", password=password), META)
    assert people.log.head() == head


def test_changing_to_the_same_changes_nothing(people: Fixture) -> None:
    user = people.user("ann")
    head = people.log.head()
    people.accounts.update(user, UserChange(email="ann@example.org", active=True, admin=False), META)
    assert people.log.head() == head


def test_a_new_address_frees_the_old_one(people: Fixture) -> None:
    user = people.user("ann")
    row = people.accounts.update(user, UserChange(email="doe@example.org", display_name="Ann"), META)
    assert (row.email, row.display_name, row.username) == ("doe@example.org", "Ann", "ann")
    other = people.user("bob")
    assert people.accounts.update(other, UserChange(email="ann@example.org"), META).email == "ann@example.org"
    with pytest.raises(NameTaken):
        people.accounts.update(other, UserChange(email="doe@example.org"), META)


def test_an_address_may_change_its_spelling(people: Fixture) -> None:
    user = people.user("ann")
    assert people.accounts.update(user, UserChange(email="Ann@example.org"), META).email == "Ann@example.org"
    with pytest.raises(NameTaken):
        people.accounts.create(NewUser(username="x", email="ann@example.org", password=PASSWORD), META)


def test_the_last_administrator_stays(people: Fixture) -> None:
    root = people.directory.user_by_username("root")
    assert root is not None
    for change in (UserChange(admin=False), UserChange(active=False)):
        with pytest.raises(LastAdministrator):
            people.accounts.update(root.id, change, META)
    with pytest.raises(LastAdministrator):
        people.accounts.delete(root.id, META)
    people.user("second", admin=True)
    people.accounts.delete(root.id, META)


def test_a_deleted_account_frees_its_names_and_keeps_its_own(people: Fixture) -> None:
    user = people.user("ann")
    people.accounts.delete(user, META)
    with pytest.raises(AccountNotFound):
        people.accounts.delete(user, META)
    assert people.user("ann") != user
    assert people.directory.usernames([user]) == {user: "ann"}


def test_an_erased_person_is_gone_from_every_event(people: Fixture) -> None:
    user = people.user("ann")
    before = [item.state for item in people.log.recordings()]
    people.accounts.erase(user, "request 7", META)

    state, _ = people.people.load(user)
    assert state.erased
    assert state.deleted
    assert people.people.password_hashes(state) == []
    assert people.directory.usernames([user]) == {}
    assert [item.state for item in people.log.recordings()][: len(before)] == before
    head = people.log.head()
    people.accounts.erase(user, "again", META)
    assert people.log.head() == head
    with pytest.raises(AccountNotFound):
        people.accounts.erase(uuid4(), "nobody", META)


def test_a_deleted_account_can_be_erased_later(people: Fixture) -> None:
    user = people.user("ann")
    people.accounts.delete(user, META)
    people.accounts.erase(user, "", META)
    assert people.people.load(user)[0].erased


def test_whoever_changes_a_password_knows_the_old_one(people: Fixture) -> None:
    user = people.user("ann")
    with pytest.raises(CurrentPasswordWrong):
        people.accounts.change_password(user, "another good one", META, current="not this")
    people.accounts.change_password(user, "another good one", META, current=PASSWORD)
    people.sign_ins.check("ann", "another good one", META, CLIENT)


def test_a_new_password_clears_failures_and_locks() -> None:
    people = Fixture()
    user = people.user("ann")
    for _ in range(5):
        with pytest.raises(Exception, match="invalid username"):
            people.sign_ins.check("ann", "wrong", META, CLIENT)
    password = people.accounts.reset_password(user, META)
    proven = people.sign_ins.check("ann", password, META, CLIENT)
    assert proven.user.must_change_password


def test_former_passwords_are_refused_as_far_back_as_the_policy_says() -> None:
    people = Fixture(PasswordPolicy(history=2))
    user = people.user("ann", "password no 0")
    people.accounts.change_password(user, "password no 1", META)
    for former in ("password no 0", "password no 1"):
        with pytest.raises(PasswordRefused, match="last 2"):
            people.accounts.change_password(user, former, META)
    people.accounts.change_password(user, "password no 2", META)
    people.accounts.change_password(user, "password no 0", META)
    assert len(people.log.happened(PasswordChanged)) == 3


def test_strength_counts_where_it_is_asked_for() -> None:
    people = Fixture(PasswordPolicy(min_strength=3))
    with pytest.raises(PasswordRefused, match="easy to guess"):
        people.user("ann")


def test_a_change_can_be_forced_once(people: Fixture) -> None:
    user = people.user("ann")
    people.accounts.require_password_change(user, META)
    people.accounts.require_password_change(user, META)
    assert people.log.happened(UserUpdated) == [UserUpdated(user=user, must_change_password=True)]
    people.accounts.change_password(user, "another good one", META)
    row = people.directory.user(user)
    assert row is not None
    assert not row.must_change_password


@pytest.mark.parametrize("new", [{"username": "a b"}, {"email": "nobody"}, {"display_name": "a\nb"}])
def test_malformed_names_are_refused(people: Fixture, new: dict[str, str]) -> None:
    fields = {"username": "ann", "email": "ann@example.org", **new}
    with pytest.raises(Invalid):
        people.accounts.create(NewUser(password=PASSWORD, **fields), META)  # type: ignore[arg-type]


def test_every_command_waits_until_access_is_known_everywhere(people: Fixture) -> None:
    people.progress.waited.clear()
    user = people.user("ann")
    people.accounts.update(user, UserChange(display_name="Ann"), META)
    people.accounts.change_password(user, "another good one", META)
    people.accounts.delete(user, META)
    positions = [position for names, position in people.progress.waited if names == ("access",)]
    assert len(positions) == 4
    assert positions[-1] == people.log.head()
