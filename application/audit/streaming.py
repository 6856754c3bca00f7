"""The log as it grows, to whoever listens: one reading of each event for all, bounded queues, and a way back in.

A channel turns each page of events into items once. A subscriber takes items from its own queue; one whose queue
overflows is told so, and reads the pages it missed from the log until it meets the channel again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from application.audit.entries import Entry, entry_of
from application.audit.lines import Describer, json_line
from application.catalogue import RepositoryRow
from application.log import Recorded
from domain import account, artifact, package, permissions, repository, session, token
from domain.event import Event
from domain.permissions import Principal, may

MAX_QUEUED = 2_000
PAGE = 500


class Positioned(Protocol):
    """What a channel carries."""

    @property
    def position(self) -> int:
        """Of the event."""


I = TypeVar("I", bound=Positioned)  # noqa: E741 - an item
Render = Callable[[Sequence[Recorded]], Sequence[I]]


class Taken(msgspec.Struct, Generic[I], frozen=True):
    """What a subscriber took. missed: events that did not fit into its queue; then items are empty."""

    items: list[I]
    missed: int = 0


class Subscription(Generic[I]):
    """One listener. start: it gets what comes after this position; what was before it reads for itself."""

    def __init__(self, channel: Channel[I], wake: Callable[[], None], start: int) -> None:
        self.start = start
        self._channel = channel
        self._wake = wake
        self._queue: list[I] = []
        self._missed = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether nothing will come any more."""
        return self._ended

    def take(self) -> Taken[I]:
        """Everything that is waiting; never waits itself."""
        with self._channel.lock:
            queue, self._queue = self._queue, []
            missed, self._missed = self._missed, 0
            if missed:
                self.start = self._channel.position
            return Taken(queue, missed)

    def close(self) -> None:
        """Listen no more."""
        self._channel.leave(self)

    def offer(self, items: Sequence[I]) -> None:
        """For the channel, under its lock: queue items and wake the listener."""
        if self._missed or len(self._queue) + len(items) > MAX_QUEUED:
            self._missed += len(self._queue) + len(items)
            self._queue = []
        else:
            self._queue += items
        self._wake()

    def end(self) -> None:
        """For the channel: nothing comes any more."""
        self._ended = True
        self._wake()


class Channel(Generic[I]):
    """Pages of the log in, items out.

    render: gives the items of a page, called once for each page while anybody listens. read: events after a position,
    at most so many. head: the position of the last event that this channel may show. after: names of the projections
    that must have passed an event before it is shown. patience_seconds: how long it waits for them; None is for ever.
    """

    def __init__(
        self,
        render: Render[I],
        read: Callable[[int, int], Sequence[Recorded]],
        head: Callable[[], int],
        after: tuple[str, ...] = (),
        patience_seconds: float | None = None,
    ) -> None:
        self.after = after
        self.patience_seconds = patience_seconds
        self.lock = threading.Lock()
        self.position = 0
        self._render = render
        self._read = read
        self._head = head
        self._subscriptions: set[Subscription[I]] = set()
        self._closed = False

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    def subscribe(self, wake: Callable[[], None]) -> Subscription[I]:
        """Begin to listen, from now on. wake: called, from any thread, whenever there is something to take."""
        now = self._head()
        with self.lock:
            if not self._subscriptions:
                self.position = max(self.position, now)
            subscription = Subscription(self, wake, self.position)
            if self._closed:
                subscription.end()
            self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription[I]) -> None:
        """Listen no more."""
        with self.lock:
            self._subscriptions.discard(subscription)

    def publish(self, events: Sequence[Recorded]) -> None:
        """Give a page to everybody; for the one reader of the process, in order."""
        items = self._render(events)
        with self.lock:
            self.position = events[-1].position
            for subscription in self._subscriptions:
                subscription.offer(items)

    def page(self, after: int, upto: int) -> tuple[Sequence[I], int]:
        """Items of a page after a position and not beyond another, and how far it reaches."""
        events = [event for event in self._read(after, PAGE) if event.position <= upto]
        if not events:
            return [], upto
        return self._render(events), events[-1].position

    def close(self) -> None:
        """End every subscription: the process stops."""
        with self.lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.end()


# What auditors hear


class AuditLine(msgspec.Struct, frozen=True):
    """An entry, and its item as a line of JSON. concerns: whose rights have changed, if anybody's."""

    position: int
    entry: Entry
    line: bytes
    concerns: UUID | None = None


def audit_lines(describer: Describer) -> Render[AuditLine]:
    """Renders pages for auditors."""

    def render(events: Sequence[Recorded]) -> list[AuditLine]:
        entries = [entry_of(event) for event in events]
        items = describer.items(entries)
        return [
            AuditLine(entry.position, entry, json_line(item).rstrip(), concerned(event.event))
            for event, entry, item in zip(events, entries, items, strict=True)
        ]

    return render


# What everybody hears


class Change(msgspec.Struct, frozen=True):
    """Something that a page on a screen may show has changed.

    data: JSON `{type, entity_id, repository_id?, actor, timestamp}`; empty for events that nobody is shown. repository:
    whose readers may know; None is for administrators. concerns: whose rights have changed, if anybody's.
    """

    position: int
    data: bytes
    repository: UUID | None = None
    public: bool = False
    concerns: UUID | None = None

    def shown_to(self, principal: Principal) -> bool:
        """Whether the principal may know."""
        if not self.data:
            return False
        if self.repository is None:
            return principal.is_admin
        return may(principal, "read", self.repository, public=self.public)


class _Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    entity_id: UUID
    actor: str | None
    timestamp: datetime
    repository_id: UUID | msgspec.UnsetType | None = msgspec.UNSET


class Kind(msgspec.Struct, frozen=True):
    """What an event is called for screens. id: its field that names the thing; empty when the stream does."""

    type: str
    id: str = ""


KINDS: dict[type[Event], Kind | Callable[..., Kind]] = {
    repository.RepositoryCreated: Kind("repository.created", "repository"),
    repository.RepositoryUpdated: Kind("repository.updated", "repository"),
    repository.RepositoryDeleted: Kind("repository.deleted", "repository"),
    artifact.ArtifactPublished: lambda event: Kind("artifact.uploaded" if event.revision == 1 else "artifact.updated"),
    artifact.ArtifactPropertiesSet: Kind("artifact.updated"),
    artifact.ArtifactLabelsSet: Kind("artifact.updated"),
    artifact.ArtifactDeleted: Kind("artifact.deleted"),
    package.TagSet: Kind("package.updated"),
    package.TagRemoved: Kind("package.updated"),
    package.VersionsYanked: Kind("package.updated"),
    package.VersionsUnyanked: Kind("package.updated"),
    package.VersionsDeprecated: Kind("package.updated"),
    package.OwnersSet: Kind("package.updated"),
    package.StatusSet: Kind("package.updated"),
    package.LocationsSet: Kind("package.updated"),
    account.UserCreated: lambda event: Kind(
        "service_account.created" if event.kind == "service" else "user.created", "user"
    ),
    account.UserUpdated: Kind("user.updated", "user"),
    account.UserDeleted: Kind("user.deleted", "user"),
    account.UserErased: Kind("user.deleted", "user"),
    account.PasswordChanged: lambda event: Kind(
        "user.force_password_change" if event.must_change_password else "user.updated", "user"
    ),
    permissions.GrantGiven: Kind("permission.created", "grant"),
    permissions.GrantRevoked: Kind("permission.deleted", "grant"),
}
"""Events that change what screens show. All others are passed over."""

RIGHTS: dict[type[Event], str] = {
    account.UserUpdated: "user",
    account.UserDeleted: "user",
    account.UserErased: "user",
    account.PasswordChanged: "user",
    session.SessionEnded: "user",
    token.TokenRevoked: "user",
    permissions.GrantGiven: "principal",
    permissions.GrantRevoked: "principal",
}
"""Events after which somebody may do more or less than before, and the field that says who."""


def concerned(event: Event) -> UUID | None:
    """Whose rights the event changes."""
    field = RIGHTS.get(type(event))
    return getattr(event, field) if field else None


def entity_changes(
    usernames: Callable[[Collection[UUID]], dict[UUID, str]],
    repository_at: Callable[[UUID, int | None], RepositoryRow | None],
) -> Render[Change]:
    """Renders pages for screens. repository_at: the row of a repository, now or as of a position."""

    def render(events: Sequence[Recorded]) -> list[Change]:
        shown = [event for event in events if type(event.event) in KINDS]
        names = usernames({event.meta.by for event in shown if event.meta.by is not None}) if shown else {}
        public: dict[UUID, bool] = {}
        for event in shown:
            where = _repository(event)
            if where is not None and where not in public:
                row = repository_at(where, None) or repository_at(where, event.position - 1)  # as it was when deleted
                public[where] = row is not None and row.public
        return [_change(event, names, public) for event in events]

    return render


def _repository(recorded: Recorded) -> UUID | None:
    """Whose readers may know of it; permissions on a repository are none of theirs."""
    if isinstance(recorded.event, permissions.GrantGiven | permissions.GrantRevoked):
        return None
    return recorded.repository or getattr(recorded.event, "repository", None)


def _change(recorded: Recorded, names: dict[UUID, str], public: dict[UUID, bool]) -> Change:
    event = recorded.event
    kind = KINDS.get(type(event))
    concerns = concerned(event)
    if kind is None:
        return Change(recorded.position, b"", concerns=concerns)
    kind = kind if isinstance(kind, Kind) else kind(event)
    where = _repository(recorded)
    by = recorded.meta.by
    entity = _Entity(
        type=kind.type,
        entity_id=getattr(event, kind.id) if kind.id else recorded.stream,
        actor=names.get(by, str(by)) if by is not None else None,
        timestamp=recorded.at,
        repository_id=where if where is not None else msgspec.UNSET,
    )
    data = msgspec.json.encode(entity)
    return Change(recorded.position, data, where, public.get(where, False) if where else False, concerns)
