"""A stream's life step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from application.audit.replaying import FACTS, KINDS, kind_of, replay
from application.log import Envelope, Recorded
from domain.account import UserCreated
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.event import Event, Metadata, Unknown
from domain.sign_in import FailuresCleared, LoginFailed
from domain.topics import EVENTS


def stream(*events: Event) -> list[Recorded]:
    meta = Metadata(request="r")
    identifier = uuid4()
    return [
        Recorded(
            10 * version, datetime.now(UTC), identifier, version, event.TOPIC or "later.topic", None, event, meta,
            msgspec.json.encode(Envelope(meta=meta, data=event)),
        )
        for version, event in enumerate(events, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.TOPIC)
def test_streams_of_every_event_can_be_replayed(kind: type[Event]) -> None:
    assert kind.TOPIC.partition(".")[0] in KINDS


def test_each_step_shows_the_state_after_its_event() -> None:
    repository = uuid4()
    published = ArtifactPublished(repository=repository, path="a", sha256="0f", size_bytes=1, media_type="x")
    deleted = ArtifactDeleted(repository=repository, path="a")
    again = msgspec.structs.replace(published, sha256="1f", revision=2)
    steps = list(replay(stream(published, deleted, again)))
    assert [step.version for step in steps] == [1, 2, 3]
    assert [step.position for step in steps] == [10, 20, 30]
    assert [step.action for step in steps] == ["ARTIFACT_UPLOADED", "ARTIFACT_DELETED", "ARTIFACT_UPLOADED"]
    states = [msgspec.json.decode(step.state) for step in steps]
    assert [state["sha256"] for state in states] == ["0f", None, "1f"]
    assert [state["revision"] for state in states] == [1, 1, 2]


def test_no_step_shows_what_is_sealed() -> None:
    user = uuid4()
    events = stream(UserCreated(user=user, profile=b"sealed", password=b"hashed"))
    for step in replay(events):
        shown = bytes(step.state) + bytes(step.event)
        assert b"c2VhbGVk" not in shown
        assert b"aGFzaGVk" not in shown
        assert msgspec.json.decode(step.state)["passwords"] == ["[REDACTED]"]


def test_an_event_of_another_release_changes_nothing_and_stops_nothing() -> None:
    user = uuid4()
    raw = b'{"meta":{},"data":{}}'
    first, second = stream(UserCreated(user=user, profile=b"sealed"), Unknown(topic="user.renamed", raw=raw))
    second = msgspec.structs.replace(second, topic="user.renamed", state=raw)
    steps = list(replay([first, second]))
    assert steps[0].state == steps[1].state
    assert kind_of("later.topic") is FACTS


def test_a_stream_without_events_has_no_steps() -> None:
    assert list(replay([])) == []


def test_failed_sign_ins_are_a_stream_of_their_own_kind() -> None:
    user = uuid4()
    steps = list(replay(stream(LoginFailed(user=user, failures=2), FailuresCleared(user=user))))
    assert [msgspec.json.decode(step.state)["failures"] for step in steps] == [2, 0]
