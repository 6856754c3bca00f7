"""Grants: one per principal and target, moved, revoked, and given with a new repository."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest

from application.catalogue import Catalogue
from application.identity.grants import Grants, NewGrant
from domain.errors import Invalid
from domain.event import SYSTEM, Metadata
from domain.permissions import ACTIONS, SYSTEM_TARGET, GrantExists, GrantGiven, GrantNotFound, GrantRevoked
from tests.fakes.accounts import Fixture

LIBS, APPS = UUID(int=1), UUID(int=2)


class Setting:
    def __init__(self) -> None:
        self.people = Fixture()
        self.ann = self.people.user("ann")
        known = {LIBS: "libs", APPS: "apps"}
        catalogue = cast(Catalogue, SimpleNamespace(repository_by_id=known.get))
        self.grants = Grants(self.people.log, self.people.directory, catalogue, self.people.progress)

    def new(self, **more: Any) -> NewGrant:
        fields = {
            "principal_type": "user",
            "principal": self.ann,
            "target_type": "repository",
            "target": LIBS,
            "actions": ["read"],
        }
        return NewGrant(**{**fields, **more})


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_second_grant_on_one_target_is_a_conflict_until_the_first_is_revoked(setting: Setting) -> None:
    row = setting.grants.give(setting.new(), SYSTEM)
    with pytest.raises(GrantExists):
        setting.grants.give(setting.new(actions=["write"]), SYSTEM)
    setting.grants.revoke(row.id, SYSTEM)
    with pytest.raises(GrantNotFound):
        setting.grants.revoke(row.id, SYSTEM)
    assert setting.grants.give(setting.new(actions=["write"]), SYSTEM).actions == ("write",)


def test_a_grant_keeps_its_id_when_it_changes_or_moves(setting: Setting) -> None:
    row = setting.grants.give(setting.new(), SYSTEM)
    assert setting.grants.change(row.id, setting.new(actions=["write", "read"]), SYSTEM).actions == ("read", "write")
    moved = setting.grants.change(row.id, setting.new(target=APPS), SYSTEM)
    assert (moved.id, moved.target) == (row.id, APPS)
    directory = setting.people.directory
    assert directory.grants_of(setting.ann) == {APPS: frozenset({"read"})}
    setting.grants.give(setting.new(), SYSTEM)
    with pytest.raises(GrantExists):
        setting.grants.change(row.id, setting.new(target=LIBS), SYSTEM)
    assert len(setting.people.log.happened(GrantRevoked)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"principal": UUID(int=99)},
        {"principal_type": "service_account"},
        {"principal_type": "robot"},
        {"target": UUID(int=99)},
        {"target_type": "planet"},
        {"target_type": "system"},
        {"target": SYSTEM_TARGET},
        {"actions": []},
        {"actions": ["own"]},
    ],
)
def test_what_is_not_known_is_refused(setting: Setting, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        setting.grants.give(setting.new(**wrong), SYSTEM)


def test_a_system_grant_names_the_nil_target(setting: Setting) -> None:
    row = setting.grants.give(setting.new(target_type="system", target=SYSTEM_TARGET, actions=["admin"]), SYSTEM)
    assert row.target == SYSTEM_TARGET


def test_the_creator_of_a_repository_owns_it(setting: Setting) -> None:
    meta = Metadata(by=setting.ann, kind="user")
    [change] = Grants.owner_grants(LIBS, meta)
    [given] = change.events
    assert isinstance(given, GrantGiven)
    assert (given.principal, given.principal_type, given.actions) == (setting.ann, "user", ACTIONS)
    setting.people.log.append([change], meta)
    with pytest.raises(GrantExists):
        setting.grants.give(setting.new(), SYSTEM)
    assert Grants.owner_grants(LIBS, SYSTEM) == []
    service = msgspec.structs.replace(meta, by=uuid4(), kind="service")
    [given] = Grants.owner_grants(LIBS, service)[0].events
    assert isinstance(given, GrantGiven)
    assert given.principal_type == "service_account"
