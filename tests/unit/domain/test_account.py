"""Accounts: folding, changing, names."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from domain.account import (
    MAX_REMEMBERED_PASSWORDS,
    Account,
    AccountNotFound,
    PasswordChanged,
    UserCreated,
    UserDeleted,
    UserErased,
    UserUpdated,
    checked_display_name,
    checked_email,
    checked_username,
    evolve,
    name_key,
    require_live,
    update,
)
from domain.errors import Invalid
from domain.event import Event

USER = UUID(int=7)
CREATED = UserCreated(user=USER, profile=b"p", password=b"h0", admin=True, must_change_password=True, setup=True)


def folded(*events: Event) -> Account:
    state = Account()
    for event in (CREATED, *events):
        state = evolve(state, event)
    return state


def test_a_password_of_ones_own_choice_ends_the_setup_and_one_of_anothers_does_not() -> None:
    assert folded(PasswordChanged(user=USER, password=b"h1", must_change_password=True)).setup
    chosen = folded(PasswordChanged(user=USER, password=b"h1"))
    assert not chosen.setup
    assert not chosen.must_change_password
    assert chosen.passwords == (b"h0", b"h1")
    assert chosen.password == b"h1"


def test_only_so_many_former_passwords_are_kept() -> None:
    changes = [PasswordChanged(user=USER, password=b"%d" % number) for number in range(30)]
    assert len(folded(*changes).passwords) == MAX_REMEMBERED_PASSWORDS
    assert folded(*changes).password == b"29"


def test_an_erased_account_holds_nothing_of_the_person() -> None:
    state = folded(UserDeleted(user=USER), UserErased(user=USER))
    assert (state.profile, state.passwords) == (b"", ())
    with pytest.raises(AccountNotFound):
        require_live(state, USER)


def test_an_update_says_only_what_differs() -> None:
    state = folded()
    assert update(state, admin=True, active=True) == []
    assert update(state, admin=False, active=True) == [UserUpdated(user=USER, admin=False)]
    assert update(state, profile=b"q") == [UserUpdated(user=USER, profile=b"q")]
    assert b"active" not in msgspec.json.encode(update(state, admin=False)[0])


@pytest.mark.parametrize("name", ["a", "svc-build", "_x", "Jo.Doe+1@corp", "0", "a" * 128])
def test_usual_user_names_are_taken(name: str) -> None:
    assert checked_username(name) == name


@pytest.mark.parametrize("name", ["", " a", "a b", "a:b", "-a", ".a", "a/b", "é", "a\n", "a" * 129])
def test_names_that_break_credentials_or_paths_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        checked_username(name)


@pytest.mark.parametrize("address", ["a@b", "jo.doe+x@example.org", "admin@localhost", "ü@exämple.org"])
def test_usual_addresses_are_taken(address: str) -> None:
    assert checked_email(address) == address


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b", "a@b@c", "a b@c", "<a@b>", "a@b\n", "a\x00@b", "x" * 250 + "@b.org"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        checked_email(address)


def test_display_names_are_printable_and_short() -> None:
    assert checked_display_name("") is None
    assert checked_display_name("Ann Ö. Doe") == "Ann Ö. Doe"
    for name in ("a\nb", "x" * 256):
        with pytest.raises(Invalid):
            checked_display_name(name)


def test_spellings_of_one_name_have_one_key() -> None:
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("ﬁ") == name_key("FI")
    assert name_key("ann") != name_key("anna")
