"""Events outlive the code that wrote them: every topic has stored samples, and each of them still means something.

`tests/golden/events/<topic>.v<N>.json` is one stored event, byte for byte, of the N-th shape under that topic; none is
ever edited. A new event, or a new field, needs a new sample whose every field has a value that is not its default.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from eventsourcing.persistence import JSONTranscoder

from application.log import Envelope, EventMapper
from domain import package
from domain.event import Event, Metadata, Unknown
from domain.topics import EVENTS, UPCASTS

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
_NAME = re.compile(r"(?P<topic>.+)\.v(?P<number>[0-9]+)\.json\Z")

KINDS = {kind.TOPIC: kind for kind in EVENTS}
mapper = EventMapper(JSONTranscoder())


def samples() -> list[tuple[str, int, Path]]:
    """Topic, number and file of every sample."""
    found = []
    for path in sorted(GOLDEN.iterdir()):
        matched = _NAME.match(path.name)
        assert matched is not None, f"{path.name} is not <topic>.v<N>.json"
        found.append((matched["topic"], int(matched["number"]), path))
    return found


def newest() -> dict[str, Path]:
    return {topic: path for topic, _, path in sorted(samples(), key=lambda sample: sample[1])}


def stored(path: Path) -> bytes:
    return path.read_bytes().removesuffix(b"\n")


def test_topics_are_explicit_and_unique() -> None:
    for kind in EVENTS:
        assert "TOPIC" in vars(kind), f"{kind.__name__} inherits its topic"
        assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*(?:\.v[0-9]+)?", kind.TOPIC), kind.TOPIC
    repeated = [topic for topic, count in Counter(kind.TOPIC for kind in EVENTS).items() if count > 1]
    assert repeated == []


def test_every_event_of_the_domain_is_in_the_table() -> None:
    def below(kind: type[Event]) -> set[type[Event]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert below(Event) - {Event, Unknown} == set(EVENTS)


def test_every_topic_has_samples_without_gaps() -> None:
    numbers: dict[str, list[int]] = {}
    for topic, number, _ in samples():
        numbers.setdefault(topic, []).append(number)
    assert set(numbers) == set(KINDS)
    for topic, found in numbers.items():
        assert sorted(found) == list(range(1, len(found) + 1)), topic


@pytest.mark.parametrize(("topic", "number", "path"), samples(), ids=lambda part: str(getattr(part, "name", "")))
def test_every_sample_is_still_read(topic: str, number: int, path: Path) -> None:
    event, meta = mapper.decode(topic, stored(path))
    assert isinstance(event, KINDS[topic] if topic not in UPCASTS else Event)
    assert not isinstance(event, Unknown)
    assert type(event) in EVENTS
    assert type(event).TOPIC not in UPCASTS, "lifted to a shape that is itself retired"
    assert isinstance(meta, Metadata)


@pytest.mark.parametrize("topic", sorted(KINDS))
def test_the_newest_sample_shows_every_field_and_is_what_we_would_store(topic: str) -> None:
    kind, state = KINDS[topic], stored(newest()[topic])
    envelope: Envelope[Event] = msgspec.json.decode(state, type=Envelope[kind])  # type: ignore[valid-type]
    shown = set(msgspec.json.decode(state)["data"])
    assert shown == set(kind.__struct_fields__), f"add {topic}.v<N+1>.json with {set(kind.__struct_fields__) - shown}"
    assert msgspec.json.Encoder().encode(envelope) == state


def test_a_retired_shape_is_lifted_to_the_one_in_use() -> None:
    event, _ = mapper.decode("package.version-yanked", stored(GOLDEN / "package.version-yanked.v1.json"))
    assert isinstance(event, package.VersionsYanked)
    old = msgspec.json.decode(stored(GOLDEN / "package.version-yanked.v1.json"))["data"]
    assert (event.versions, event.reason, event.package) == ((old["version"],), old["reason"], old["package"])


@pytest.mark.parametrize("topic", sorted(KINDS))
def test_unknown_fields_of_a_newer_release_are_passed_over(topic: str) -> None:
    body = msgspec.json.decode(stored(newest()[topic]))
    for part in (body, body["meta"], body["data"], body["meta"]["origin"], body["data"].get("settings", {})):
        part["invented-later"] = {"a": 1}
    assert mapper.decode(topic, msgspec.json.encode(body)) == mapper.decode(topic, stored(newest()[topic]))


def test_an_unknown_topic_is_carried() -> None:
    state = stored(newest()["repository.deleted"])
    event, meta = mapper.decode("planet.discovered", state)
    assert event == Unknown(topic="planet.discovered", raw=state)
    assert meta.by is not None
