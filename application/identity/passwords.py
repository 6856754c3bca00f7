"""Passwords as the application uses them: hashing behind a port, and the rules for new ones."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Container
from typing import Protocol

from domain.passwords import PasswordPolicy, PasswordRefused, faults

GENERATED_LENGTH = 20

_ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
_MARKS = "-_.+=!"
_CLASSES: tuple[Callable[[str], bool], ...] = (str.isupper, str.islower, str.isdigit, _MARKS.__contains__)


class Passwords(Protocol):
    """Slow hashes of passwords."""

    def hash(self, password: str) -> str:
        """The hash with its parameters and salt. Raises Unavailable when too many are waiting."""

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the hashed one. None takes as long as any other and is False: nobody learns from
        the time whether an account exists. Raises Unavailable when too many are waiting.
        """

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""


class PasswordRules:
    """The policy with what it is checked against. common: lower-case texts. strength: 0 to 4, given the names."""

    def __init__(
        self,
        policy: PasswordPolicy,
        common: Callable[[], Container[str]],
        strength: Callable[[str, tuple[str, ...]], int],
    ) -> None:
        self.policy = policy
        self._common = common
        self._strength = strength

    def check(self, password: str, names: tuple[str, ...]) -> None:
        """Raise PasswordRefused with everything that is wrong. names: what the account is called."""
        reasons = faults(self.policy, password, self._common(), names)
        if not reasons and self.policy.min_strength and self._strength(password, names) < self.policy.min_strength:
            reasons.append("is too easy to guess")
        if reasons:
            raise PasswordRefused(reasons)


def generate_password() -> str:
    """A random password of 20 characters, of every class that a policy may ask for, easy to read out."""
    while True:
        text = "".join(secrets.choice(_ALPHABET + _MARKS) for _ in range(GENERATED_LENGTH))
        if all(any(map(belongs, text)) for belongs in _CLASSES):
            return text
