"""What every event is called in an audit, and what of it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from application.audit.entries import (
    ACTOR_KINDS,
    OUTCOMES,
    REDACTED,
    RULES,
    AuditQuery,
    actions_of,
    checked_actor_kind,
    checked_outcome,
    entry_of,
    rule_of,
    secret_fields,
)
from application.log import Envelope, Recorded
from domain.account import PasswordChanged, UserCreated, UserUpdated
from domain.artifact import ArtifactPublished
from domain.errors import Invalid
from domain.event import Event, Metadata, Unknown
from domain.permissions import SYSTEM_TARGET, GrantGiven, GrantRevoked
from domain.repository import RepositoryUpdated
from domain.session import SessionEnded
from domain.token import TokenCreated
from domain.topics import EVENTS

CONTRACT = frozenset(
    [
        "LOGIN",
        "LOGOUT",
        "LOGIN_FAILED",
        "PASSWORD_CHANGED",
        "SESSIONS_INVALIDATED",
        "API_TOKEN_CREATED",
        "API_TOKEN_REVOKED",
        "PERMISSION_DENIED",
        "USER_CREATED",
        "USER_UPDATED",
        "USER_DELETED",
        "USER_DISABLED",
        "ROLE_ASSIGNED",
        "ROLE_REVOKED",
        "REPOSITORY_CREATED",
        "REPOSITORY_UPDATED",
        "REPOSITORY_DELETED",
        "REPOSITORY_PERMISSION_CHANGED",
        "ARTIFACT_UPLOADED",
        "ARTIFACT_DOWNLOADED",
        "ARTIFACT_DELETED",
        "ARTIFACT_METADATA_UPDATED",
    ]
)


def recorded(event: Event, meta: Metadata | None = None, topic: str = "", stored: bytes | None = None) -> Recorded:
    meta = meta or Metadata()
    state = stored or msgspec.json.encode(Envelope(meta=meta, data=event))
    return Recorded(7, datetime.now(UTC), uuid4(), 1, topic or event.TOPIC, None, event, meta, state)


def example(kind: type[Event]) -> Event:
    """An event of the class with something in every required field."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            values[field.name] = _VALUES.get(field.type, "text")
    return kind(**values)


_VALUES: dict[object, object] = {
    UUID: uuid4(),
    bytes: b"sealed",
    int: 3,
    bool: True,
    dict[str, tuple[str, ...]]: {},
    datetime: datetime.now(UTC),
}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.TOPIC)
def test_every_event_has_a_rule_that_reads_it(kind: type[Event]) -> None:
    assert kind in RULES
    entry = entry_of(recorded(example(kind)))
    assert entry.action == entry.action.upper()
    assert entry.resource_type == entry.resource_type.lower()
    assert entry.outcome in OUTCOMES
    assert msgspec.json.decode(entry.body()) is not None


def test_no_rule_is_left_over() -> None:
    assert set(RULES) == set(EVENTS)


def test_every_action_of_the_contract_that_can_happen_yet_has_its_name() -> None:
    fixed = {rule_of(example(kind), kind.TOPIC).action for kind in EVENTS}
    variants: list[Event] = [
        SessionEnded(session=uuid4(), user=uuid4(), reason="logout"),
        UserUpdated(user=uuid4(), active=False),
        UserUpdated(user=uuid4(), admin=True),
        UserUpdated(user=uuid4(), admin=False),
    ]
    assert fixed | {rule_of(event, event.TOPIC).action for event in variants} >= CONTRACT


def test_an_event_of_another_release_is_called_by_its_topic() -> None:
    stored = b'{"meta":{},"data":{"policy":"x","api_token":"abc","nested":[{"password":"p","kept":1}]}}'
    entry = entry_of(recorded(Unknown(topic="policy.limits-set", raw=stored), topic="policy.limits-set", stored=stored))
    assert (entry.action, entry.resource_type, entry.resource_id) == ("POLICY_LIMITS_SET", "policy", entry.stream)
    shown = msgspec.json.decode(entry.body())
    assert shown == {"policy": "x", "api_token": REDACTED, "nested": [{"password": REDACTED, "kept": 1}]}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.TOPIC)
def test_the_actions_of_a_topic_are_those_that_its_events_get(kind: type[Event]) -> None:
    assert rule_of(example(kind), kind.TOPIC).action in actions_of(kind.TOPIC)


def test_the_actions_of_a_topic_name_every_variant() -> None:
    assert set(actions_of("user.updated")) == {"USER_UPDATED", "USER_DISABLED", "ROLE_ASSIGNED", "ROLE_REVOKED"}
    assert actions_of("policy.limits-set") == ("POLICY_LIMITS_SET",)


def test_grants_on_a_repository_and_on_the_system_are_told_apart() -> None:
    target, person = uuid4(), uuid4()
    given = GrantGiven(
        grant=uuid4(),
        principal_type="user",
        principal=person,
        target_type="repository",
        target=target,
        actions=("read",),
    )
    entry = entry_of(recorded(given))
    assert (entry.action, entry.resource_id, entry.repository) == ("REPOSITORY_PERMISSION_CHANGED", target, target)
    entry = entry_of(recorded(GrantRevoked(grant=uuid4(), principal=person, target=SYSTEM_TARGET)))
    assert (entry.action, entry.resource_type, entry.resource_id) == ("ROLE_REVOKED", "role", person)


@pytest.mark.parametrize(
    ("event", "hidden"),
    [
        (UserCreated(user=uuid4(), profile=b"p", password=b"q"), {"profile", "password"}),
        (UserUpdated(user=uuid4(), profile=b"p"), {"profile"}),
        (PasswordChanged(user=uuid4(), password=b"p"), {"password"}),
        (TokenCreated(token=uuid4(), user=uuid4(), name="ci", prefix="abcd", hash="ff", scopes=("*",)), {"hash"}),
    ],
)
def test_secrets_are_left_out_and_the_rest_is_shown(event: Event, hidden: set[str]) -> None:
    shown = msgspec.json.decode(entry_of(recorded(event)).body())
    assert {name for name, value in shown.items() if value == REDACTED} == hidden
    assert set(shown) > hidden


def test_bytes_are_taken_for_secrets_whatever_they_are_called() -> None:
    class Sealed(Event, frozen=True, kw_only=True):
        TOPIC = "test.sealed"
        anything: bytes | msgspec.UnsetType = msgspec.UNSET
        api_token: str | None = None
        token: UUID
        plain: str

    assert secret_fields(Sealed) == {"anything", "api_token"}


def test_the_body_of_an_event_is_exactly_what_was_stored() -> None:
    event = ArtifactPublished(
        repository=uuid4(), path="a", sha256="00", size_bytes=1, media_type="x", metadata=msgspec.Raw(b'{"b":1,"a":[]}')
    )
    assert bytes(entry_of(recorded(event)).body()) == msgspec.json.encode(event)


def test_an_update_without_a_key_has_no_name() -> None:
    assert entry_of(recorded(RepositoryUpdated(repository=uuid4(), name="New"))).resource_name is None


def test_an_event_keeps_its_name_wherever_it_is_read() -> None:
    first = recorded(UserUpdated(user=uuid4()))
    elsewhere = msgspec.structs.replace(first, position=first.position + 50)
    assert entry_of(first).id == entry_of(elsewhere).id
    assert entry_of(first).id != entry_of(msgspec.structs.replace(first, version=2)).id


def test_a_query_that_asks_nothing_matches_everything_and_each_member_can_refuse() -> None:
    entry = entry_of(recorded(example(ArtifactPublished), Metadata(by=uuid4(), kind="user", request="r")))
    assert AuditQuery().matches(entry)
    refusing: list[dict[str, Any]] = [
        {"actor": uuid4()}, {"actor_kind": "system"}, {"actions": ("X",)}, {"topics": ("x",)}, {"outcome": "denied"},
        {"repository": uuid4()}, {"package": "x"}, {"path": "x"}, {"request": "x"}, {"resource_type": "x"},
        {"resource_id": uuid4()}, {"stream": uuid4()}, {"since": datetime.max.replace(tzinfo=UTC)},
        {"until": datetime(2000, 1, 1, tzinfo=UTC)}, {"first": 8}, {"last": 6},
    ]  # fmt: skip
    assert {name for asked in refusing for name in asked} == set(AuditQuery.__struct_fields__)
    for asked in refusing:
        assert not AuditQuery(**asked).matches(entry), asked


def test_an_unknown_outcome_is_refused() -> None:
    assert [checked_outcome(text) for text in OUTCOMES] == list(OUTCOMES)
    with pytest.raises(Invalid):
        checked_outcome("maybe")


def test_an_unknown_kind_of_actor_is_refused() -> None:
    assert [checked_actor_kind(text) for text in ACTOR_KINDS] == list(ACTOR_KINDS)
    with pytest.raises(Invalid):
        checked_actor_kind("robot")


@pytest.mark.parametrize(
    "asked",
    [
        {"since": datetime(2026, 2, 2, tzinfo=UTC), "until": datetime(2026, 2, 1, tzinfo=UTC)},
        {"first": 2, "last": 1},
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        AuditQuery(**asked).checked()


def test_a_range_of_one_moment_or_one_position_is_none_of_these() -> None:
    moment = datetime(2026, 2, 2, tzinfo=UTC)
    query = AuditQuery(since=moment, until=moment, first=7, last=7)
    assert query.checked() is query
