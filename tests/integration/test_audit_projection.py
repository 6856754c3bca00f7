"""The audit trail over a real log: every event is there, every filter filters, pages meet without gap or overlap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest

from application.audit.entries import AuditQuery, Entry
from application.log import Change
from domain.account import UserCreated
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.event import Metadata, Origin
from domain.ids import artifact_id, package_id
from domain.package import TagSet
from domain.repository import RepositoryCreated
from domain.session import SessionStarted
from domain.sign_in import AccessDenied, LoginFailed
from projections.audit.fold import AuditProjection
from projections.audit.view import AuditView
from tests.integration.folding import Registry, registry

ALICE, BOB = uuid4(), uuid4()
LIBS, TOOLS = uuid4(), uuid4()
BEFORE = datetime.now(UTC) - timedelta(days=1)


class History(NamedTuple):
    registry: Registry
    view: AuditView
    middle: datetime


def _published(repository: UUID, path: str, package: str = "") -> ArtifactPublished:
    return ArtifactPublished(
        repository=repository, path=path, package=package, sha256="00" * 32, size_bytes=1, media_type="text/plain"
    )


def _by(person: UUID | None, request: str, **more: object) -> Metadata:
    return Metadata(by=person, kind="user" if person else "anonymous", request=request, client=b"sealed", **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def history(postgres_dsn: str) -> Iterator[History]:
    with registry(postgres_dsn) as opened:
        log = opened.log

        def add(stream: UUID, version: int, event: object, meta: Metadata, repository: UUID | None = None) -> None:
            log.append([Change(stream, version, [event], repository)], meta)  # type: ignore[list-item]

        add(ALICE, 0, UserCreated(user=ALICE, profile=b"sealed", password=b"hashed", admin=True), Metadata())
        add(
            LIBS,
            0,
            RepositoryCreated(repository=LIBS, key="libs", name="", format="pypi", kind="local"),
            _by(ALICE, "r1"),
            LIBS,
        )
        add(
            TOOLS,
            0,
            RepositoryCreated(repository=TOOLS, key="tools", name="", format="generic", kind="local"),
            _by(ALICE, "r2"),
            TOOLS,
        )
        for number in range(40):
            path = f"six/six-{number}.whl"
            add(
                artifact_id(LIBS, path),
                0,
                _published(LIBS, path, "six"),
                _by(BOB, f"up-{number}", via="password"),
                LIBS,
            )
        middle = log.read(log.head() - 1, 1)[0].at
        add(
            package_id(LIBS, "six"),
            0,
            TagSet(repository=LIBS, package="six", tag="latest", version="39"),
            _by(BOB, "tag"),
            LIBS,
        )
        deleted = ArtifactDeleted(repository=LIBS, path="six/six-7.whl", package="six", reason="broken")
        add(artifact_id(LIBS, "six/six-7.whl"), 1, deleted, _by(ALICE, "del", cause=10), LIBS)
        add(
            artifact_id(TOOLS, "run.sh"),
            0,
            _published(TOOLS, "run.sh"),
            _by(None, "tool", origin=Origin("elsewhere", 9)),
            TOOLS,
        )
        add(uuid4(), 0, AccessDenied(repository=LIBS, action="write", resource="libs"), _by(BOB, "denied"))
        add(uuid4(), 0, LoginFailed(user=ALICE, failures=1), _by(None, "login"))
        session = uuid4()
        add(session, 0, SessionStarted(session=session, user=ALICE, method="password"), _by(ALICE, "login-2"))
        opened.fold(AuditProjection(), batch=7)
        yield History(opened, AuditView(opened.connect, log.recorded), middle)


def _found(history: History, **asked: object) -> list[Entry]:
    page = history.view.oldest(AuditQuery(**asked), limit=1000)  # type: ignore[arg-type]
    assert not page.more
    return page.entries


def test_every_event_of_the_log_is_in_the_audit(history: History) -> None:
    assert [entry.position for entry in _found(history)] == list(range(1, history.registry.log.head() + 1))


@pytest.mark.parametrize(
    "asked",
    [
        {"actor": BOB},
        {"actor_kind": "anonymous"},
        {"actions": ("ARTIFACT_DELETED",)},
        {"actions": ("LOGIN", "LOGIN_FAILED")},
        {"topics": ("artifact.published",)},
        {"outcome": "denied"},
        {"outcome": "failure"},
        {"repository": LIBS},
        {"repository": LIBS, "package": "six"},
        {"package": "six", "actor": ALICE},
        {"path": "six/six-7.whl"},
        {"path": "six/six-7.whl", "repository": TOOLS},
        {"request": "up-3"},
        {"request": "nobody"},
        {"resource_type": "user"},
        {"resource_id": artifact_id(LIBS, "six/six-7.whl")},
        {"stream": artifact_id(LIBS, "six/six-7.whl")},
        {"first": 5, "last": 9},
        {"first": -(1 << 80), "last": 1 << 80},
        {"since": BEFORE, "until": datetime(2999, 1, 1, tzinfo=UTC)},
        {"until": BEFORE},
        {"since": datetime.min.replace(tzinfo=UTC), "until": datetime.max.replace(tzinfo=UTC)},
        {"actor": BOB, "actions": ("ARTIFACT_UPLOADED",), "first": 10, "repository": LIBS, "package": "six"},
    ],
)
def test_a_filter_finds_exactly_what_a_reading_of_the_whole_log_finds(
    history: History, asked: dict[str, object]
) -> None:
    expected = [entry for entry in _found(history) if AuditQuery(**asked).matches(entry)]  # type: ignore[arg-type]
    assert _found(history, **asked) == expected
    assert history.view.newest(AuditQuery(**asked), limit=1000).entries == expected[::-1]  # type: ignore[arg-type]
    numbered, total = history.view.numbered(AuditQuery(**asked), 1, 1000)  # type: ignore[arg-type]
    assert (numbered, total) == (expected[::-1], len(expected))


def test_each_filter_of_the_test_before_finds_something_and_not_everything(history: History) -> None:
    everything = history.registry.log.head()
    for asked in ({"actor": BOB}, {"outcome": "denied"}, {"request": "up-3"}, {"path": "six/six-7.whl"}):
        assert 0 < len(_found(history, **asked)) < everything


def test_times_divide_the_log_where_the_events_were_recorded(history: History) -> None:
    until, since = _found(history, until=history.middle), _found(history, since=history.middle)
    assert until[-1].at == since[0].at == history.middle
    assert until[-1] == since[0]
    assert len(until) + len(since) == history.registry.log.head() + 1


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_by_position_meet_without_gap_or_overlap(history: History, limit: int) -> None:
    query = AuditQuery(repository=LIBS)
    forward: list[int] = []
    while (page := history.view.oldest(query, after=forward[-1] if forward else 0, limit=limit)).entries:
        forward += [entry.position for entry in page.entries]
        if not page.more:
            break
    backward: list[int] = []
    while True:
        page = history.view.newest(query, before=backward[-1] if backward else None, limit=limit)
        backward += [entry.position for entry in page.entries]
        if not page.more:
            break
    assert forward == backward[::-1] == [entry.position for entry in _found(history, repository=LIBS)]


def test_numbered_pages_cover_the_whole_and_go_on_empty(history: History) -> None:
    for query in (AuditQuery(), AuditQuery(actor=BOB), AuditQuery(first=4, last=30)):
        total = history.view.numbered(query, 1, 9)[1]
        pages = [history.view.numbered(query, page, 9)[0] for page in range(1, total // 9 + 3)]
        listed = [entry.position for page in pages for entry in page]
        assert len(listed) == total
        assert listed == sorted(set(listed), reverse=True)
        assert history.view.numbered(query, 10**30, 100) == ([], total)


def test_an_entry_tells_who_what_where_and_why(history: History) -> None:
    (deleted,) = _found(history, actions=("ARTIFACT_DELETED",))
    assert (deleted.actor, deleted.request, deleted.cause, deleted.client) == (ALICE, "del", 10, b"sealed")
    assert (deleted.resource_type, deleted.resource_name) == ("artifact", "six/six-7.whl")
    assert deleted.resource_id == artifact_id(LIBS, "six/six-7.whl")
    assert msgspec.json.decode(deleted.body())["reason"] == "broken"
    (copied,) = _found(history, repository=TOOLS, topics=("artifact.published",))
    assert copied.origin == Origin("elsewhere", 9)
    (refused,) = _found(history, outcome="denied")
    assert (refused.action, refused.repository, refused.resource_name) == ("PERMISSION_DENIED", LIBS, "libs")


def test_what_is_sealed_or_hashed_is_not_shown(history: History) -> None:
    (created,) = _found(history, actions=("USER_CREATED",))
    body = msgspec.json.decode(created.body())
    assert body["profile"] == body["password"] == "[REDACTED]"
    assert body["user"] == str(ALICE)


def test_an_export_gives_everything_once_in_batches(history: History) -> None:
    batches = list(history.view.export(AuditQuery(package="six")))
    assert [entry for batch in batches for entry in batch] == _found(history, package="six")
    assert list(history.view.export(AuditQuery(actor=uuid4()))) == []


def test_an_export_ends_where_the_log_ended_when_it_began(history: History) -> None:
    opened = history.registry
    export = history.view.export(AuditQuery(first=opened.log.head()))
    stream = artifact_id(TOOLS, "late.txt")
    first = next(export)
    opened.log.append([Change(stream, 0, [_published(TOOLS, "late.txt")], TOOLS)])
    opened.fold(AuditProjection())
    assert [entry.position for entry in first] == [opened.log.head() - 1]
    assert list(export) == []


def test_the_rows_of_a_stream_come_in_order_with_their_positions(history: History) -> None:
    rows = list(history.view.stream(artifact_id(LIBS, "six/six-7.whl")))
    assert [(row.version, row.topic) for row in rows] == [(1, "artifact.published"), (2, "artifact.deleted")]
    assert rows[0].position < rows[1].position
    assert list(history.view.stream(uuid4())) == []


def test_the_stored_bytes_are_given_as_they_are(history: History) -> None:
    raw = history.registry.rows("SELECT notification_id, state FROM es_events ORDER BY 1 LIMIT 5")
    assert [(event.position, event.state) for event in history.view.events(0, 5)] == raw
