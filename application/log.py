"""The one log: events in, events out. The library's Application with our encoding; nothing here knows a database.

A command's events — of one stream or of several — are appended together or not at all. Positions, times and the order
of commits are the recorder's to give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID, uuid4

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    JSONTranscoder,
    Mapper,
    StoredEvent,
    Transcoder,
)

from domain.errors import Conflict, NotFound
from domain.event import SYSTEM, Event, Metadata, Unknown
from domain.topics import EVENTS, UPCASTS

S = TypeVar("S")
E = TypeVar("E", bound=Event)

MAX_ATTEMPTS = 40
"""How often a command is decided anew when another one was faster, before it answers Conflict. More than the requests
that run at once: each attempt is lost to one that succeeds.
"""


class LostRace(Conflict):
    """Others kept changing the same thing; trying again later may succeed."""

    template = "the same thing was changed by another request at the same time; please try again"

    def __init__(self) -> None:
        super().__init__()


class Envelope(msgspec.Struct, Generic[E], frozen=True):
    """What is stored in one row: who and how, then the fact itself."""

    meta: Metadata
    data: E


class Appended(msgspec.Struct, frozen=True):
    """An event at its place in a stream, as the library wants to see it."""

    originator_id: UUID
    originator_version: int
    event: Event
    meta: Metadata = SYSTEM


class Recorded(msgspec.Struct, frozen=True):
    """An event as the log holds it. state: the stored bytes, exactly; they are what the Merkle tree covers."""

    position: int
    at: datetime
    stream: UUID
    version: int
    topic: str
    repository: UUID | None
    event: Event
    meta: Metadata
    state: bytes


class Guard(msgspec.Struct, frozen=True):
    """A change of a bounded sum that must hold for the command to be stored."""

    key: str
    delta: int


class Change(msgspec.Struct, frozen=True):
    """New events of one stream, decided on the state after `version` events. meta: None for the command's."""

    stream: UUID
    version: int
    events: Sequence[Event]
    repository: UUID | None = None
    meta: Metadata | None = None


class Receipt(msgspec.Struct, frozen=True):
    """Where a command's events went. position: of its last event; 0 when it changed nothing."""

    position: int = 0


class EventMapper(Mapper[UUID]):
    """Events to stored rows and back, by the topic table and never by importing what a topic names."""

    def __init__(self, transcoder: Transcoder) -> None:
        super().__init__(transcoder)
        self._encoder = msgspec.json.Encoder()
        self._decoders: dict[str, msgspec.json.Decoder[Envelope[Any]]] = {
            kind.TOPIC: msgspec.json.Decoder(Envelope[kind])  # type: ignore[valid-type]
            for kind in EVENTS
        }
        self._unknown = msgspec.json.Decoder(Envelope[Event])

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Encode; the topic is the event's own."""
        assert isinstance(domain_event, Appended)  # noqa: S101 - nothing else is ever saved
        event = domain_event.event
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=event.TOPIC,
            state=self._encoder.encode(Envelope(meta=domain_event.meta, data=event)),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """Decode and lift to the shape in use now."""
        event, meta = self.decode(stored_event.topic, stored_event.state)
        stream = stored_event.originator_id
        assert isinstance(stream, UUID)  # noqa: S101 - the column is one
        return Appended(stream, stored_event.originator_version, event, meta)

    def decode(self, topic: str, state: bytes) -> tuple[Event, Metadata]:
        """The fact and its metadata; Unknown for a topic of another release."""
        decoder = self._decoders.get(topic)
        if decoder is None:
            return Unknown(topic=topic, raw=state), self._unknown.decode(state).meta
        envelope = decoder.decode(state)
        upcast = UPCASTS.get(topic)
        return (upcast(envelope.data) if upcast else envelope.data), envelope.meta


class _Command:
    """Several streams' events under one roof, so that the library collects them without inspecting each."""

    def __init__(self, command_id: UUID, events: Sequence[Any]) -> None:
        self.id = command_id
        self._events = events

    def collect_events(self) -> Sequence[Any]:
        return self._events


class LogRecorder(Protocol):
    """What the log needs of a recorder beyond the library's interface."""

    def read(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        """Rows (position, at, stream, version, topic, repository, state) after a position, in order."""

    def head(self) -> int:
        """The last position; 0 while nothing is stored."""

    def position_at(self, moment: datetime) -> int:
        """The last position recorded at or before the moment; 0 when there is none."""


class EventLog(Application[UUID]):
    """Load a stream, append a command, read the whole in order."""

    env = {"PERSISTENCE_MODULE": "eventsourcing.popo"}  # our recorder is handed in; the factory builds nothing else

    def __init__(self, recorder: ApplicationRecorder) -> None:
        self._given_recorder = recorder
        super().__init__()

    def construct_recorder(self) -> ApplicationRecorder:
        """The recorder that was handed in."""
        return self._given_recorder

    def construct_transcoder(self) -> Transcoder:
        """Unused: the mapper encodes whole structs."""
        return JSONTranscoder()

    def construct_mapper(self) -> Mapper[UUID]:
        """Ours."""
        return EventMapper(self.construct_transcoder())

    def load(self, stream: UUID, initial: S, evolve: Callable[[S, Event], S]) -> tuple[S, int]:
        """The state of a stream and how many events it has; the initial state and 0 when there are none."""
        state, version = initial, 0
        for appended in self.events.get(stream):
            assert isinstance(appended, Appended)  # noqa: S101 - what our mapper makes
            state = evolve(state, appended.event)
            version = appended.originator_version
        return state, version

    def history(self, stream: UUID) -> Iterator[Appended]:
        """Every event of one stream, in order."""
        for appended in self.events.get(stream):
            assert isinstance(appended, Appended)  # noqa: S101 - what our mapper makes
            yield appended

    def last(self, stream: UUID) -> Appended | None:
        """The newest event of a stream, for those whose last event tells all of the state."""
        for appended in self.events.get(stream, desc=True, limit=1):
            assert isinstance(appended, Appended)  # noqa: S101 - what our mapper makes
            return appended
        return None

    def append(
        self,
        changes: Iterable[Change],
        meta: Metadata = SYSTEM,
        *,
        guards: Sequence[Guard] = (),
        command_id: UUID | None = None,
    ) -> Receipt:
        """Append all changes as one command; durable when it returns.

        Raises the library's IntegrityError when a stream has moved on, domain QuotaExceeded when a guard fails,
        Unavailable when the database is away. A command_id that is in the log already appends nothing.
        """
        events: list[Any] = []
        repositories: list[UUID | None] = []
        for change in changes:
            for offset, event in enumerate(change.events, 1):
                events.append(Appended(change.stream, change.version + offset, event, change.meta or meta))
                repositories.append(change.repository)
        if not events:
            return Receipt()
        command = _Command(command_id or uuid4(), events)
        recordings = self.save(command, repositories=repositories, guards=guards, command_id=command.id)  # type: ignore[arg-type]
        return Receipt(position=recordings[-1].notification.id)

    def execute(
        self,
        decide: Callable[[], Iterable[Change]],
        meta: Metadata = SYSTEM,
        *,
        guards: Sequence[Guard] = (),
        command_id: UUID | None = None,
    ) -> Receipt:
        """Decide and append; decide anew when another command was faster. Raises LostRace after MAX_ATTEMPTS."""
        for _ in range(MAX_ATTEMPTS):
            try:
                return self.append(list(decide()), meta, guards=guards, command_id=command_id)
            except IntegrityError:
                continue
        raise LostRace

    def read(self, after: int, limit: int) -> list[Recorded]:
        """Events after a position, in order, at most `limit`."""
        return [self.recorded(row) for row in self._log_recorder.read(after, limit)]

    def recorded(self, row: tuple[Any, ...]) -> Recorded:
        """Decode a row (position, at, stream, version, topic, repository, state)."""
        position, at, stream, version, topic, repository, state = row
        event, meta = self._event_mapper.decode(topic, state)
        return Recorded(position, at, stream, version, topic, repository, event, meta, state)

    def head(self) -> int:
        """The position of the last event."""
        return self._log_recorder.head()

    def position_at(self, moment: datetime) -> int:
        """The last position recorded at or before the moment."""
        return self._log_recorder.position_at(moment)

    def recorded_at(self, position: int) -> datetime:
        """When the event at a position was recorded. Raises NotFound where the log has none yet."""
        for _, at, *_ in self._log_recorder.read(position - 1, 1):
            return at  # type: ignore[no-any-return]
        raise NotFound(f"position {position} is not in the log yet")

    @property
    def _log_recorder(self) -> LogRecorder:
        return self._given_recorder  # type: ignore[return-value]

    @property
    def _event_mapper(self) -> EventMapper:
        assert isinstance(self.mapper, EventMapper)  # noqa: S101 - constructed above
        return self.mapper
