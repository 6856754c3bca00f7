"""Which passwords are good enough."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

import msgspec

from domain.errors import Invalid

MAX_STRENGTH = 4


class PasswordRefused(Invalid):
    """The password does not meet the policy; the message says in what way, never what it was."""

    template = "the password {reasons}"

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(reasons=" and ".join(reasons))
        self.reasons = tuple(reasons)


class PasswordPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a password. min_strength: 0 (none) to 4. history: how many former ones are refused."""

    min_length: int = 8
    max_length: int = 128
    uppercase: bool = False
    lowercase: bool = False
    digit: bool = False
    special: bool = False
    min_strength: int = 0
    history: int = 0


def normalised(password: str) -> str:
    """The form in which a password is hashed: two keyboards may send one character differently (RFC 8265 4.2)."""
    return unicodedata.normalize("NFC", password)


def faults(policy: PasswordPolicy, password: str, common: Container[str], names: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a password, as ends of sentences; empty when nothing is.

    common: very common passwords in lower case. names: what the account is called; a password is none of them.
    """
    folded = password.casefold()
    checks = (
        (len(password) < policy.min_length, f"must have at least {policy.min_length} characters"),
        (len(password) > policy.max_length, f"must have at most {policy.max_length} characters"),
        (policy.uppercase and not any(map(str.isupper, password)), "needs an upper-case letter"),
        (policy.lowercase and not any(map(str.islower, password)), "needs a lower-case letter"),
        (policy.digit and not any(map(str.isdigit, password)), "needs a digit"),
        (policy.special and all(map(str.isalnum, password)), "needs a character that is neither letter nor digit"),
        (folded in common, "is one of the most common ones"),
        (any(folded == name.casefold() for name in names if name), "must not be the name of its owner"),
    )
    return [reason for wrong, reason in checks if wrong]
