"""Fan-out of the log: everybody gets each event once and in order, or is told that some were missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from application.audit.streaming import KINDS, MAX_QUEUED, PAGE, Change, Channel, entity_changes
from application.catalogue import RepositoryRow
from application.log import Envelope, Recorded
from domain.account import PasswordChanged, UserCreated
from domain.artifact import ArtifactPublished
from domain.event import Event, Metadata
from domain.ids import artifact_id
from domain.package import TagSet
from domain.permissions import GrantGiven, Principal
from domain.repository import RepositoryCreated, RepositoryDeleted, Settings
from domain.session import SessionEnded, SessionStarted

NOW = datetime.now(UTC)


def recorded(position: int, event: Event | None = None, **more: object) -> Recorded:
    event = event or SessionStarted(session=uuid4(), user=uuid4(), method="password")
    meta = Metadata()
    state = msgspec.json.encode(Envelope(meta=meta, data=event))
    values = {"position": position, "at": NOW, "stream": uuid4(), "version": 1, "topic": event.TOPIC, **more}
    return Recorded(**{"repository": None, "event": event, "meta": meta, "state": state, **values})  # type: ignore[arg-type]


class Log:
    """A log that grows, and a channel over it that carries the events themselves."""

    def __init__(self, size: int) -> None:
        self.events = [recorded(position) for position in range(1, size + 1)]
        self.rendered: list[int] = []
        self.channel: Channel[Recorded] = Channel(self._render, self._read, lambda: len(self.events))

    def grow(self, number: int) -> None:
        page = [recorded(len(self.events) + step) for step in range(1, number + 1)]
        self.events += page
        self.channel.publish(page)

    def _read(self, after: int, limit: int) -> Sequence[Recorded]:
        return self.events[after : after + limit]

    def _render(self, events: Sequence[Recorded]) -> Sequence[Recorded]:
        self.rendered += [event.position for event in events]
        return events


def test_a_listener_gets_what_comes_after_it_began() -> None:
    log = Log(10)
    woken: list[int] = []
    subscription = log.channel.subscribe(lambda: woken.append(1))
    log.grow(3)
    log.grow(2)
    assert subscription.start == 10
    assert [item.position for item in subscription.take().items] == [11, 12, 13, 14, 15]
    assert subscription.take().items == []
    assert woken == [1, 1]


def test_a_page_is_rendered_once_however_many_listen() -> None:
    log = Log(0)
    subscriptions = [log.channel.subscribe(lambda: None) for _ in range(20)]
    log.grow(5)
    assert log.rendered == [1, 2, 3, 4, 5]
    assert all(len(subscription.take().items) == 5 for subscription in subscriptions)


def test_who_reads_the_past_first_meets_the_channel_without_gap_or_overlap() -> None:
    log = Log(3 * PAGE)
    subscription = log.channel.subscribe(lambda: None)
    log.grow(7)
    seen: list[int] = []
    position = 5
    while position < subscription.start:
        items, position = log.channel.page(position, subscription.start)
        seen += [item.position for item in items]
    seen += [item.position for item in subscription.take().items]
    assert seen == list(range(6, 3 * PAGE + 8))


def test_a_slow_listener_is_told_how_much_it_missed_and_can_read_it() -> None:
    log = Log(0)
    slow = log.channel.subscribe(lambda: None)
    quick = log.channel.subscribe(lambda: None)
    for _ in range(MAX_QUEUED // 100 + 3):
        log.grow(100)
        assert len(quick.take().items) == 100
    taken = slow.take()
    assert (taken.items, taken.missed) == ([], MAX_QUEUED + 300)
    assert slow.start == MAX_QUEUED + 300
    log.grow(1)
    assert [item.position for item in slow.take().items] == [MAX_QUEUED + 301]


def test_nobody_hears_anything_after_leaving() -> None:
    log = Log(0)
    subscription = log.channel.subscribe(lambda: None)
    assert log.channel.active
    subscription.close()
    subscription.close()
    assert not log.channel.active
    log.grow(1)
    assert subscription.take().items == []


def test_the_next_listener_after_a_silence_begins_at_the_present() -> None:
    log = Log(5)
    log.channel.subscribe(lambda: None).close()
    log.events += [recorded(position) for position in range(6, 10)]
    assert log.channel.subscribe(lambda: None).start == 9


def test_a_process_that_stops_ends_all_subscriptions_and_takes_no_new_ones() -> None:
    log = Log(0)
    woken: list[int] = []
    subscription = log.channel.subscribe(lambda: woken.append(1))
    log.channel.close()
    assert subscription.ended
    assert woken
    assert log.channel.subscribe(lambda: None).ended


LIBS = uuid4()
ALICE = uuid4()


def _row(public: bool) -> RepositoryRow:
    return RepositoryRow(LIBS, "libs", "", None, "pypi", "local", public, Settings(), None, None, NOW, None, NOW, 1)


def changes(*events: Event, public: bool = False, by: UUID | None = None) -> list[Change]:
    meta = Metadata(by=by, kind="user" if by else "system")
    page = [recorded(number, event, meta=meta, repository=getattr(event, "repository", None)) for number, event in enumerate(events, 1)]  # fmt: skip
    render = entity_changes(lambda ids: {ALICE: "alice"} if ALICE in ids else {}, lambda *_: _row(public))
    return list(render(page))


def _artifact(revision: int = 1) -> ArtifactPublished:
    return ArtifactPublished(repository=LIBS, path="a", sha256="00", size_bytes=1, media_type="x", revision=revision)


def _grant() -> GrantGiven:
    return GrantGiven(grant=uuid4(), principal_type="user", principal=ALICE, target_type="repository", target=LIBS, actions=("read",))  # fmt: skip


def test_a_change_says_what_and_who() -> None:
    (change,) = changes(_artifact(), by=ALICE)
    told = msgspec.json.decode(change.data)
    assert (told["type"], told["repository_id"], told["actor"]) == ("artifact.uploaded", str(LIBS), "alice")
    assert set(told) == {"type", "entity_id", "repository_id", "actor", "timestamp"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (_artifact(2), "artifact.updated"),
        (RepositoryDeleted(repository=LIBS, key="libs"), "repository.deleted"),
        (UserCreated(user=ALICE, profile=b"", kind="service"), "service_account.created"),
        (PasswordChanged(user=ALICE, password=b"", must_change_password=True), "user.force_password_change"),
        (_grant(), "permission.created"),
        (TagSet(repository=LIBS, package="six", tag="latest", version="1"), "package.updated"),
    ],
)
def test_events_have_the_names_of_the_contract(event: Event, kind: str) -> None:
    (change,) = changes(event)
    assert msgspec.json.decode(change.data)["type"] == kind


def test_changes_of_a_repository_are_for_its_readers_and_all_others_for_administrators() -> None:
    stranger, admin = Principal(id=uuid4(), kind="user"), Principal(id=uuid4(), kind="user", admin=True)
    reader = Principal(id=uuid4(), kind="user", grants={LIBS: frozenset({"read"})})
    private, user, grant = changes(_artifact(), UserCreated(user=ALICE, profile=b""), _grant())
    assert [private.shown_to(one) for one in (stranger, reader, admin)] == [False, True, True]
    assert [user.shown_to(one) for one in (stranger, reader, admin)] == [False, False, True]
    assert [grant.shown_to(one) for one in (stranger, reader, admin)] == [False, False, True]
    (public,) = changes(
        RepositoryCreated(repository=LIBS, key="libs", name="", format="pypi", kind="local"), public=True
    )
    assert public.shown_to(stranger)


def test_what_changes_nothing_on_a_screen_is_shown_to_nobody() -> None:
    (change,) = changes(SessionStarted(session=uuid4(), user=ALICE, method="password"))
    assert not change.shown_to(Principal(id=uuid4(), kind="user", admin=True))


def test_changes_of_rights_name_whose() -> None:
    assert [change.concerns for change in changes(_grant(), SessionEnded(session=uuid4(), user=ALICE, reason="logout"))] == [ALICE, ALICE]  # fmt: skip
    assert changes(SessionStarted(session=uuid4(), user=ALICE, method="password"))[0].concerns is None


def test_every_change_names_a_thing_that_its_event_has() -> None:
    for kind, named in KINDS.items():
        if not callable(named) and named.id:
            assert named.id in kind.__struct_fields__
    assert artifact_id(LIBS, "a")
