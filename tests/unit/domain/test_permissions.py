"""The one rule: visibility, grants, scopes and confinement together."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from domain.errors import Invalid
from domain.permissions import (
    ACTIONS,
    ANONYMOUS_PRINCIPAL,
    SYSTEM_TARGET,
    Grant,
    GrantExists,
    GrantNotFound,
    GrantRevoked,
    Principal,
    checked_actions,
    evolve,
    give,
    may,
    may_administer,
    revoke,
)

LIBS, APPS = UUID(int=1), UUID(int=2)
USER = Principal(id=UUID(int=9), kind="user")
ADMIN = msgspec.structs.replace(USER, admin=True)


def granted(*actions: str, **more: object) -> Principal:
    return msgspec.structs.replace(USER, grants={LIBS: frozenset(actions)}, **more)


def allowed(principal: Principal, repository: UUID = LIBS, *, public: bool = False) -> set[str]:
    return {action for action in ACTIONS if may(principal, action, repository, public=public)}


def test_public_repositories_are_read_by_everybody_and_changed_by_nobody_without_a_grant() -> None:
    assert allowed(ANONYMOUS_PRINCIPAL, public=True) == {"read"}
    assert allowed(USER, public=True) == {"read"}
    assert allowed(ANONYMOUS_PRINCIPAL) == set()


def test_grants_count_for_their_repository_only() -> None:
    assert allowed(granted("read", "write")) == {"read", "write"}
    assert allowed(granted("read", "write"), APPS) == set()
    assert allowed(granted("write")) == {"write"}
    assert allowed(granted("admin")) == set(ACTIONS)


def test_grants_of_the_repository_go_before_what_holds_everywhere() -> None:
    everywhere = {"everywhere": frozenset({"read", "write"})}
    assert allowed(granted("read", **everywhere)) == {"read"}
    assert allowed(granted("read", **everywhere), APPS) == {"read", "write"}
    assert allowed(granted("read", everywhere=frozenset({"admin"}))) == set(ACTIONS)


def test_scopes_narrow_what_grants_allow() -> None:
    assert allowed(granted("admin", scopes=("read:artifacts",))) == {"read"}
    assert allowed(granted("admin", scopes=("read:artifacts",)), public=True) == {"read"}
    assert allowed(granted("read", scopes=("*",))) == {"read"}
    assert allowed(granted("admin", scopes=("write:users",)), public=True) == set()


def test_an_administrators_token_is_an_administrator_only_by_its_scope() -> None:
    narrow = msgspec.structs.replace(ADMIN, scopes=("read:artifacts", "write:artifacts"))
    assert not narrow.is_admin
    assert allowed(narrow) == set()
    for scope in ("admin", "*"):
        assert msgspec.structs.replace(ADMIN, scopes=(scope,)).is_admin
        assert not msgspec.structs.replace(USER, scopes=(scope,)).is_admin


def test_confinement_holds_for_administrators_too() -> None:
    confined = msgspec.structs.replace(ADMIN, scopes=("*",), repositories=frozenset({LIBS}))
    assert allowed(confined) == set(ACTIONS)
    assert allowed(confined, APPS, public=True) == set()
    assert not confined.is_admin
    assert not may_administer(confined)
    assert allowed(msgspec.structs.replace(ADMIN, repositories=frozenset())) == set()


def test_a_system_grant_creates_repositories_and_opens_none() -> None:
    creator = msgspec.structs.replace(USER, grants={SYSTEM_TARGET: frozenset({"admin"})})
    assert may_administer(creator)
    assert allowed(creator) == set()
    assert not may_administer(USER)
    assert may_administer(ADMIN)
    assert not may_administer(msgspec.structs.replace(creator, scopes=("read:repositories",)))


def test_one_grant_per_principal_and_target() -> None:
    state = Grant()
    first = give(state, UUID(int=5), "user", UUID(int=9), "repository", LIBS, ["write", "read", "read"])
    state = evolve(state, first[0])
    assert state.actions == ("read", "write")
    with pytest.raises(GrantExists):
        give(state, UUID(int=6), "user", UUID(int=9), "repository", LIBS, ["read"])
    assert give(state, UUID(int=5), "user", UUID(int=9), "repository", LIBS, ["read", "write"]) == []
    gone = revoke(state)
    assert gone == [GrantRevoked(grant=UUID(int=5), principal=UUID(int=9), target=LIBS)]
    state = evolve(state, gone[0])
    with pytest.raises(GrantNotFound):
        revoke(state)
    assert give(state, UUID(int=6), "user", UUID(int=9), "repository", LIBS, ["read"])


@pytest.mark.parametrize("actions", [[], ["own"], ["read", "own"]])
def test_unknown_actions_are_refused(actions: list[str]) -> None:
    with pytest.raises(Invalid):
        checked_actions(actions)
