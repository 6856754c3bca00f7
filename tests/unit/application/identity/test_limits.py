"""Buckets by caller, and who is exempt."""

from __future__ import annotations

from ipaddress import ip_network
from uuid import UUID

import pytest

from application.identity.limits import Bucket, Buckets, Exemptions, Limits
from domain.errors import TooMany
from domain.permissions import ANONYMOUS_PRINCIPAL, Principal
from tests.fakes.identity import CountingLimiter

ANN = Principal(id=UUID(int=2), kind="user", username="ann")
SMALL = Bucket("search", 2, 60)
CLIENT = "192.0.2.7"


def limits(**more: object) -> Limits:
    return Limits(CountingLimiter(), Buckets(search=SMALL), **more)  # type: ignore[arg-type]


def test_a_caller_is_refused_after_the_limit_and_told_when_to_return() -> None:
    applied = limits()
    first = applied.take(SMALL, ANN, CLIENT)
    assert first is not None
    assert (first.limit, first.remaining) == (2, 1)
    applied.take(SMALL, ANN, "192.0.2.8")
    with pytest.raises(TooMany) as caught:
        applied.take(SMALL, ANN, CLIENT)
    assert caught.value.fields["retry_after_seconds"] == 60


def test_users_count_for_themselves_and_the_anonymous_by_address() -> None:
    applied = limits()
    for principal, client in ((ANN, CLIENT), (ANONYMOUS_PRINCIPAL, CLIENT), (ANONYMOUS_PRINCIPAL, "192.0.2.8")):
        for _ in range(2):
            applied.take(SMALL, principal, client)


def test_exempt_callers_are_not_counted() -> None:
    exempt = Exemptions(frozenset({"ann"}), (ip_network("10.0.0.0/8"),))
    applied = limits(exemptions=exempt)
    for _ in range(5):
        assert applied.take(SMALL, ANN, CLIENT) is None
        assert applied.take(SMALL, ANONYMOUS_PRINCIPAL, "10.1.2.3") is None
    assert applied.exemption(ANN, CLIENT) == "true"
    assert applied.exemption(ANONYMOUS_PRINCIPAL, "10.1.2.3") == "trusted-cidr"
    assert applied.exemption(ANONYMOUS_PRINCIPAL, "not an address") is None


def test_limits_can_be_switched_off() -> None:
    applied = limits(enabled=False)
    for _ in range(20):
        assert applied.take(SMALL, ANN, CLIENT) is None
        applied.take_login("ann", CLIENT)
        applied.count_wrong_password("ann", CLIENT)
    assert not applied.guessing("ann", CLIENT)


def test_names_of_any_length_and_spelling_are_one_key() -> None:
    applied = limits()
    for number in range(10):
        applied.take_login("ANN" if number % 2 else "ann", CLIENT)
    with pytest.raises(TooMany):
        applied.take_login("Ann", CLIENT)
