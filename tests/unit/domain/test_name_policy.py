"""Which packages may come from an upstream, by their names."""

from __future__ import annotations

import pytest

from domain.errors import Invalid
from domain.name_policy import NamePolicy, checked_patterns, checked_scopes


@pytest.mark.parametrize("name", ["left-pad", "@acme/x", "@other/x"])
def test_without_scopes_and_patterns_everything_may_come(name: str) -> None:
    assert NamePolicy().admits(name)
    assert NamePolicy(allow_unscoped=True).admits(name)


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("@acme/x", True),
        ("@acme-evil/x", False),
        ("@Acme/x", False),
        ("@other/x", False),
        ("@other/left-pad", True),
        ("left-pad", True),
        ("leftpad", False),
        ("@acme", False),
    ],
)
def test_only_what_is_named_may_come(name: str, may: bool) -> None:
    policy = NamePolicy(allowed_scopes=("@acme",), allowed_patterns=("left-*", "@other/left-*"))
    assert policy.admits(name) is may


def test_names_without_a_scope_may_come_when_they_are_let() -> None:
    policy = NamePolicy(allowed_scopes=("@acme",), allow_unscoped=True)
    assert policy.admits("anything")
    assert not policy.admits("@other/anything")


def test_scopes_have_one_spelling() -> None:
    assert checked_scopes(["acme", "@acme", " @other "]) == ("@acme", "@other")
    assert checked_patterns(["a*", "a*", "@b/*"]) == ("a*", "@b/*")


@pytest.mark.parametrize("text", ["", "@", "@a/b", "a b", "@.hidden", "@" + "x" * 300])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        checked_scopes([text])


@pytest.mark.parametrize("text", ["", "a b", "a\n", "x" * 300])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        checked_patterns([text])


def test_there_are_not_too_many() -> None:
    with pytest.raises(Invalid):
        checked_scopes(["x"] * 1001)
    with pytest.raises(Invalid):
        checked_patterns(["x"] * 1001)
