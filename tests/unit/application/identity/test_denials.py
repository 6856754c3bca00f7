"""What was refused is in the log, once a window, and a flood of it is not."""

from __future__ import annotations

from uuid import UUID

import pytest

from application.identity.denials import MAX_DISTINCT
from domain.errors import Unavailable
from domain.permissions import ANONYMOUS_PRINCIPAL, Principal
from domain.sign_in import AccessDenied, LoginRefused
from tests.fakes.accounts import CLIENT, Fixture

LIBS = UUID(int=1)
ANN = Principal(id=UUID(int=2), kind="user", via="session")


@pytest.fixture
def people() -> Fixture:
    return Fixture()


def denied(people: Fixture, principal: Principal = ANN, resource: str = "libs", client: str = CLIENT) -> None:
    people.denials.record(principal, "write", resource, LIBS, client, agent="pip/25")


def test_a_denial_says_who_what_and_from_where(people: Fixture) -> None:
    denied(people)
    people.denials.flush()
    [recorded] = people.log.recordings()
    assert recorded.event == AccessDenied(repository=LIBS, action="write", resource="libs")
    assert recorded.repository == LIBS
    assert (recorded.meta.by, recorded.meta.kind, recorded.meta.via) == (ANN.id, "user", "session")
    client = people.seals.open(recorded.meta)
    assert client is not None
    assert (client.address, client.agent) == (CLIENT, "pip/25")


def test_equal_ones_are_counted_and_told_when_the_window_is_over(people: Fixture) -> None:
    for _ in range(100):
        denied(people)
    people.denials.flush()
    people.monotonic += 59
    denied(people)
    people.denials.flush()
    assert len(people.log.recordings()) == 1
    people.monotonic += 1
    people.denials.flush()
    assert people.log.happened()[-1] == AccessDenied(repository=LIBS, action="write", resource="libs", suppressed=100)
    denied(people)
    people.denials.flush()
    assert len(people.log.recordings()) == 3


def test_different_callers_resources_and_addresses_are_told_apart(people: Fixture) -> None:
    denied(people)
    denied(people, ANONYMOUS_PRINCIPAL)
    denied(people, resource="apps")
    denied(people, client="192.0.2.9")
    people.denials.login_refused("token", None, CLIENT)
    people.denials.login_refused("token", None, "192.0.2.9")
    people.denials.login_refused("locked", None, CLIENT)
    people.denials.flush()
    assert len(people.log.recordings()) == 7


def test_a_flood_of_different_ones_is_counted_under_one_name(people: Fixture) -> None:
    for number in range(5 * MAX_DISTINCT):
        denied(people, resource=f"guess-{number}")
        people.denials.login_refused("unknown-user", None, f"192.0.2.{number}")
    people.denials.flush()
    people.monotonic += 60
    people.denials.flush()
    assert len(people.log.recordings()) <= MAX_DISTINCT + 4
    counted = sum(event.suppressed for event in people.log.happened() if isinstance(event, AccessDenied | LoginRefused))
    told = sum(
        1 for event in people.log.happened() if isinstance(event, AccessDenied | LoginRefused) and not event.suppressed
    )
    assert counted + told == 10 * MAX_DISTINCT


def test_what_cannot_be_appended_is_kept_and_appended_once(people: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **options: object) -> None:
        raise Unavailable("the database is away")

    denied(people)
    denied(people, resource="apps")
    with monkeypatch.context() as outage:
        outage.setattr(people.log, "append", away)
        people.denials.flush()
        denied(people, resource="third")
        people.denials.flush()
    people.denials.flush()
    people.denials.flush()
    told = [event.resource for event in people.log.happened() if isinstance(event, AccessDenied)]
    assert told == ["libs", "apps", "third"]


def test_long_resources_are_cut(people: Fixture) -> None:
    denied(people, resource="x" * 5000)
    people.denials.flush()
    assert len(people.log.recordings()[0].state) < 1000


def test_the_thread_appends_and_the_rest_is_appended_at_the_end(people: Fixture) -> None:
    people.denials.start()
    denied(people)
    denied(people)
    people.denials.stop()
    assert [event.suppressed for event in people.log.happened() if isinstance(event, AccessDenied)] == [0, 1]
