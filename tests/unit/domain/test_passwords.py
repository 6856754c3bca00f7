"""The password policy."""

from __future__ import annotations

import pytest

from domain.passwords import PasswordPolicy, PasswordRefused, faults, normalised

COMMON = {"password1"}
STRICT = PasswordPolicy(min_length=10, max_length=20, uppercase=True, lowercase=True, digit=True, special=True)


@pytest.mark.parametrize(
    ("password", "policy", "fault"),
    [
        ("short", PasswordPolicy(), "at least 8"),
        ("x" * 129, PasswordPolicy(), "at most 128"),
        ("PassWord1", PasswordPolicy(), "most common"),
        ("Jane.Doe", PasswordPolicy(), "name of its owner"),
        ("lower-case-1", STRICT, "upper-case"),
        ("UPPER-CASE-1", STRICT, "lower-case letter"),
        ("No-Digits-Here", STRICT, "digit"),
        ("NoMarks12345", STRICT, "neither letter nor digit"),
    ],
)
def test_each_rule_refuses_what_breaks_it(password: str, policy: PasswordPolicy, fault: str) -> None:
    found = faults(policy, password, COMMON, ("jane.doe", "jane@example.org"))
    assert len(found) == 1
    assert fault in found[0]


def test_what_breaks_no_rule_is_taken() -> None:
    assert faults(PasswordPolicy(), "correct horse", COMMON) == []
    assert faults(STRICT, "Correct-Horse-1", COMMON) == []


def test_all_reasons_are_told_at_once_and_the_password_never() -> None:
    error = PasswordRefused(faults(STRICT, "abc", COMMON))
    assert str(error).count(" and ") == 3
    assert "abc" not in str(error)


def test_two_ways_to_type_a_letter_are_one_password() -> None:
    assert normalised("u\u0308ber") == normalised("über")
