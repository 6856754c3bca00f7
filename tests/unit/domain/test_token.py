"""API tokens: their form, their scopes, and who may hand out which."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from domain.errors import Invalid
from domain.token import (
    ADMIN_SCOPES,
    SCOPES,
    ScopeRefused,
    Token,
    TokenNotFound,
    TokenRevoked,
    check_delegation,
    checked_name,
    checked_scopes,
    format_secret,
    is_secret,
    revoke,
    scope_allows,
    secret_prefix,
)

TOKEN, USER = UUID(int=1), UUID(int=2)


def test_a_secret_is_eight_digits_an_underscore_and_thirty_two() -> None:
    secret = format_secret(bytes(range(20)))
    assert secret == "00010203_0405060708090a0b0c0d0e0f10111213"
    assert is_secret(secret)
    assert secret_prefix(secret) == "00010203"
    for wrong in ("", secret[:-1], secret + "0", secret.upper(), secret.replace("_", "-"), secret + "\n"):
        assert not is_secret(wrong)


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        (None, "delete:artifacts", True),
        (("*",), "write:users", True),
        (("admin",), "read:artifacts", True),
        (("read:artifacts",), "read:artifacts", True),
        (("read:artifacts",), "read:repositories", False),
        (("read:artifacts",), "read", False),
        (("write:artifacts",), "read:artifacts", False),
        (("read",), "read:artifacts", True),
        ((), "read:artifacts", False),
    ],
)
def test_scopes_allow_what_they_name(held: tuple[str, ...] | None, wanted: str, allowed: bool) -> None:
    assert scope_allows(held, wanted) is allowed


def test_unknown_missing_and_too_many_scopes_are_refused() -> None:
    assert checked_scopes(["*", "admin", "*"]) == ("*", "admin")
    for wrong in ([], ["read"], ["read:artifacts", "x" * 300], ["admin"] * 51):
        with pytest.raises(Invalid):
            checked_scopes(wrong)


def test_nobody_hands_out_a_scope_they_do_not_hold() -> None:
    for held, scope in itertools.product(sorted(SCOPES), sorted(SCOPES)):
        if scope_allows((held,), scope):
            check_delegation((scope,), held=(held,), admin=True)
        else:
            with pytest.raises(ScopeRefused):
                check_delegation((scope,), held=(held,), admin=True)


def test_only_administrators_hand_out_the_dangerous_scopes() -> None:
    for scope in sorted(SCOPES):
        if scope in ADMIN_SCOPES:
            with pytest.raises(ScopeRefused, match=scope.replace("*", r"\*")):
                check_delegation((scope,), held=None, admin=False)
        else:
            check_delegation((scope,), held=None, admin=False)
        check_delegation((scope,), held=None, admin=True)


def test_a_token_is_revoked_once() -> None:
    assert revoke(Token(user=USER), TOKEN) == [TokenRevoked(token=TOKEN, user=USER)]
    assert revoke(Token(user=USER, revoked=True), TOKEN) == []
    with pytest.raises(TokenNotFound):
        revoke(Token(), TOKEN)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 129])
def test_tokens_have_names_that_can_be_shown(name: str) -> None:
    with pytest.raises(Invalid):
        checked_name(name)
