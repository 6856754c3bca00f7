"""How hard a password is to guess, and the ones that everybody guesses first."""

from __future__ import annotations

from functools import cache

from domain.passwords import MAX_STRENGTH

COMMON = 10_000
_MAX_CHARACTERS = 72


@cache
def common_passwords() -> frozenset[str]:
    """The 10,000 most common passwords of public leaks, in lower case. Read at first use."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - 0.8 MB of words that most processes never need

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMON])


def strength(password: str, names: tuple[str, ...] = ()) -> int:
    """0 (a few guesses) to 4 (more than ten thousand million), by the model of zxcvbn. names: known to an attacker."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - see above

    # what is beyond that makes a password stronger, and the model's time grows with the square of the length
    estimate = zxcvbn(password[:_MAX_CHARACTERS], user_inputs=[name for name in names if name])
    return min(int(estimate["score"]), MAX_STRENGTH)
