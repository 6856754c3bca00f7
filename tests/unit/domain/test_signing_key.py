"""The life of a signing key: given to repositories, rotated, retired, revoked; and who can no longer be given it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from domain import signing_key
from domain.errors import Invalid
from domain.event import Event
from domain.signing_key import (
    RepositorySigning,
    RepositorySigningChanged,
    SigningKey,
    SigningKeyAssigned,
    SigningKeyCreated,
    SigningKeyDeleted,
    SigningKeyInactive,
    SigningKeyNotFound,
    SigningKeyReleased,
    SigningKeyRetired,
    SigningKeyRevoked,
    SigningKeyRotated,
    assign,
    change_signing,
    checked_algorithm,
    checked_key_name,
    delete,
    evolve,
    evolve_signing,
    release,
    retire,
    revoke,
    rotate,
    user_id_of,
)

KEY, NEXT, LIBS, APPS = (UUID(int=number) for number in range(1, 5))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ENDS = NOW + timedelta(days=30)


def created(owner: UUID | None = None) -> SigningKeyCreated:
    return SigningKeyCreated(
        key=KEY, name="libs", key_type="gpg", algorithm="rsa3072", made_at=NOW, public_key="", fingerprint="",
        key_id="", sealed=b"", repository=owner,
    )  # fmt: skip


def after(*events: Event, owner: UUID | None = None) -> SigningKey:
    state = SigningKey()
    for event in (created(owner), *events):
        state = evolve(state, event)
    return state


def then(state: SigningKey, events: Iterable[Event]) -> SigningKey:
    for event in events:
        state = evolve(state, event)
    return state


ASSIGNED = SigningKeyAssigned(key=KEY, repository=LIBS)
ROTATED = SigningKeyRotated(key=KEY, successor=NEXT, overlap_ends_at=ENDS)


def test_a_key_is_given_to_a_repository_once() -> None:
    assert assign(after(), LIBS) == [ASSIGNED]
    assert assign(after(ASSIGNED), LIBS) == []
    assert after(ASSIGNED, SigningKeyAssigned(key=KEY, repository=APPS)).repositories == (LIBS, APPS)


def test_a_repositorys_own_key_is_given_to_no_other() -> None:
    assert assign(after(owner=LIBS), LIBS) == [ASSIGNED]
    with pytest.raises(Invalid, match="another repository"):
        assign(after(owner=LIBS), APPS)


def test_what_is_let_go_can_be_given_again() -> None:
    assert release(after(), LIBS) == []
    events = release(after(ASSIGNED), LIBS)
    assert events == [SigningKeyReleased(key=KEY, repository=LIBS)]
    assert assign(after(ASSIGNED, *events), LIBS) == [ASSIGNED]


def test_a_rotated_key_signs_on_until_its_overlap_ends() -> None:
    assert rotate(after(ASSIGNED), NEXT, ENDS) == [ROTATED]
    state = after(ASSIGNED, ROTATED)
    assert (state.state, state.repositories) == ("overlapping", (LIBS,))
    assert retire(state, ENDS - timedelta(microseconds=1)) == []
    events = retire(state, ENDS)
    assert events == [SigningKeyReleased(key=KEY, repository=LIBS), SigningKeyRetired(key=KEY)]
    ended = then(state, events)
    assert (ended.state, ended.repositories) == ("retired", ())
    assert retire(ended, ENDS) == []
    assert retire(after(ASSIGNED), ENDS) == []


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (ROTATED, "overlapping"),
        (SigningKeyRetired(key=KEY), "retired"),
        (SigningKeyRevoked(key=KEY, public_key=""), "revoked"),
    ],
)
def test_only_an_active_key_is_given_or_rotated(last: Event, state: str) -> None:
    with pytest.raises(SigningKeyInactive, match=state):
        assign(after(last), LIBS)
    with pytest.raises(SigningKeyInactive, match=state):
        rotate(after(last), NEXT, ENDS)


def test_revoking_lets_go_of_every_repository_and_is_done_once() -> None:
    state = after(ASSIGNED, SigningKeyAssigned(key=KEY, repository=APPS))
    events = revoke(state, "revoked")
    assert [type(event) for event in events] == [SigningKeyReleased, SigningKeyReleased, SigningKeyRevoked]
    assert revoke(then(state, events), "again") == []


def test_a_deleted_key_is_as_if_it_had_never_been() -> None:
    events = delete(after(ASSIGNED))
    assert [type(event) for event in events] == [SigningKeyReleased, SigningKeyDeleted]
    for state in (then(after(ASSIGNED), events), SigningKey()):
        attempts: list[Callable[[], object]] = [
            partial(assign, state, LIBS),
            partial(rotate, state, NEXT, ENDS),
            partial(revoke, state, ""),
            partial(delete, state),
        ]
        for attempt in attempts:
            with pytest.raises(SigningKeyNotFound):
                attempt()
        assert retire(state, ENDS) == []
        assert release(state, LIBS) == []


def test_a_choice_that_changes_nothing_is_no_event() -> None:
    chosen = RepositorySigning(keys=(KEY,), sign_packages=True)
    events = change_signing(RepositorySigning(), LIBS, chosen)
    assert events == [RepositorySigningChanged(repository=LIBS, keys=(KEY,), sign_packages=True)]
    assert evolve_signing(RepositorySigning(), events[0]) == chosen
    assert change_signing(chosen, LIBS, chosen) == []
    assert evolve_signing(chosen, ASSIGNED) == chosen


def test_events_of_others_change_no_key() -> None:
    state = after(ASSIGNED)
    assert evolve(state, RepositorySigningChanged(repository=LIBS)) == state


@pytest.mark.parametrize(
    ("key_type", "given", "found"),
    [
        ("gpg", None, "rsa4096"),
        ("gpg", "ed25519", "ed25519"),
        ("rsa", None, "rsa4096"),
        ("rsa", "rsa2048", "rsa2048"),
        ("ed25519", None, "ed25519"),
    ],
)
def test_each_type_has_its_algorithms(key_type: str, given: str | None, found: str) -> None:
    assert checked_algorithm(key_type, given) == (key_type, found)


@pytest.mark.parametrize(
    ("key_type", "given"), [("rsa", "ed25519"), ("ed25519", "rsa4096"), ("gpg", ""), ("dsa", None)]
)
def test_other_algorithms_are_refused(key_type: str, given: str | None) -> None:
    with pytest.raises(Invalid):
        checked_algorithm(key_type, given)


def test_a_user_id_is_a_name_and_maybe_an_address() -> None:
    assert user_id_of(" Build ", None) == "Build"
    assert user_id_of("Build", "build@registry.example") == "Build <build@registry.example>"
    assert len(user_id_of("x" * 200, None)) == 200


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("", None), ("  ", None), ("a<b", None), ("a>", None), ("a\nb", None), ("a\0", None), ("x" * 201, None),
        ("é" * 101, None), ("a", "nobody"), ("a", "a b@c"), ("a", "a@b>"), ("a", "a@"), ("a", "a@b\n"),
    ],
)  # fmt: skip
def test_what_is_no_user_id_is_refused(name: str, email: str | None) -> None:
    with pytest.raises(Invalid):
        user_id_of(name, email)


@pytest.mark.parametrize("name", ["", " ", "x" * 129, "a\tb"])
def test_a_key_has_a_printable_name(name: str) -> None:
    with pytest.raises(Invalid):
        checked_key_name(name)


def test_names_of_keys_are_kept_as_they_are() -> None:
    assert checked_key_name("Déjà vu 2") == "Déjà vu 2"
    assert signing_key.DEFAULT_ALGORITHM.keys() == signing_key.ALGORITHMS.keys()
