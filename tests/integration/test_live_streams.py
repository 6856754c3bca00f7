"""The live streams over the real gate: what is sent to whom, where a client may go on, and what ends a stream."""

from __future__ import annotations

import gc
import json
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.listening import WAIT_SECONDS, Listening, Sent
from tests.integration.product import Product, bearer, product

API = "/api/v1"
CHANGES, AUDIT = f"{API}/events/stream", f"{API}/audit/stream"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory, workers=2) as started:
        started.repository("open", "generic", overwrite="allow")
        started.repository("closed", "generic", public=False, overwrite="allow")
        yield started


def put(running: Product, path: str, body: bytes = b"x", **options: Any) -> int:
    """Publish, and give the position of the event."""
    reply = running.call("PUT", f"/general/{path}", body, **{"auth": running.admin, **options})
    assert reply.status in {200, 201}, reply.body
    key, _, below = path.partition("/")
    query = f"repository={key}&artifact={below}&action=ARTIFACT_UPLOADED&limit=1"
    position: int = running.done("GET", f"{API}/audit/events?{query}")["items"][0]["position"]
    return position


def subscriptions(running: Product) -> int:
    app = running.workers[0].app
    return len(app.changes._subscriptions) + len(app.audit_lines._subscriptions)


# what everybody hears


def test_a_change_reaches_listeners_on_every_worker_once_its_page_would_show_it(running: Product) -> None:
    with (
        Listening(running, CHANGES, running.admin) as here,
        Listening(running, CHANGES, running.admin, worker=1) as there,
    ):
        assert (here.status, here.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert here.headers["cache-control"] == "no-store"
        assert here.next() == there.next() == Sent(None, "connected", {"status": "ok"})
        position = put(running, "open/a.txt")
        heard = here.next()
        assert heard == there.next()
        assert (heard.id, heard.event) == (position, "entity.changed")
        assert heard.data["type"] == "artifact.uploaded"
        assert heard.data["actor"] == "admin"
        assert set(heard.data) == {"type", "entity_id", "actor", "timestamp", "repository_id"}
        put(running, "open/a.txt", b"other")
        assert here.next().data["type"] == "artifact.updated"


def test_a_listener_hears_only_of_what_it_may_read(running: Product) -> None:
    rita = running.person("rita", closed="read")
    otto = running.person("otto")
    with Listening(running, CHANGES, rita) as reader, Listening(running, CHANGES, otto) as other:
        reader.next()
        other.next()
        put(running, "closed/secret.txt")
        running.person("somebody")
        position = put(running, "open/seen.txt")
        assert [one.data["type"] for one in reader.several(2)] == ["artifact.uploaded", "artifact.uploaded"]
        heard = other.next()
        assert heard.id == position
        assert "somebody" not in json.dumps(heard.data)


def test_a_client_that_comes_back_gets_what_it_missed(running: Product) -> None:
    first = put(running, "open/one.txt")
    second = put(running, "open/two.txt")
    third = put(running, "open/three.txt")
    with Listening(running, CHANGES, running.admin, last_id=str(first)) as listening:
        assert [one.id for one in listening.several(3)] == [None, second, third]
        fourth = put(running, "open/four.txt")
        assert listening.next().id == fourth
    with Listening(running, f"{CHANGES}?after={second}", running.admin, worker=1) as listening:
        assert [one.id for one in listening.several(3)] == [None, third, fourth]


@pytest.mark.parametrize("bad", ["x", "-1", "1" * 30])
def test_a_last_event_id_that_is_none_is_refused(running: Product, bad: str) -> None:
    with Listening(running, CHANGES, running.admin, last_id=bad) as listening:
        assert listening.status == 400


def test_nobody_listens_without_a_credential(running: Product) -> None:
    with Listening(running, CHANGES, None) as listening:
        assert listening.status == 401


# what auditors hear


def test_an_auditor_hears_every_event_as_it_is_recorded(running: Product) -> None:
    with Listening(running, f"{AUDIT}?actor=admin", running.admin) as listening:
        running.person("nina", open="read")
        heard = listening.several(4)
    assert [one.data["action"] for one in heard] == [
        "NAME_CLAIMED", "NAME_CLAIMED", "USER_CREATED", "REPOSITORY_PERMISSION_CHANGED",
    ]  # fmt: skip
    items = running.done("GET", f"{API}/audit/events?actor=admin&after={heard[0].id - 1}&limit=4")["items"]  # type: ignore[operator]
    assert [one.data for one in heard] == items
    assert [one.id for one in heard] == [item["position"] for item in items]


def test_an_auditor_hears_what_they_asked_for_and_may_go_on_behind_all_the_rest(running: Product) -> None:
    begun = running.head()
    with Listening(running, f"{AUDIT}?action=artifact_deleted&repository=open", running.admin) as listening:
        put(running, "open/short.txt")
        running.call("DELETE", "/general/open/short.txt", auth=running.admin)
        heard = listening.next()
        assert (heard.data["action"], heard.data["path"]) == ("ARTIFACT_DELETED", "short.txt")
        behind = put(running, "open/later.txt")
        deadline = time.monotonic() + WAIT_SECONDS
        while (listening.last or 0) < behind:
            assert time.monotonic() < deadline
            with pytest.raises(queue.Empty):
                listening.next(0.2)
    query = f"{AUDIT}?action=artifact_deleted&repository=open&after={begun}&to_position={behind}"
    with Listening(running, query, running.admin) as listening:
        assert [one.id for one in listening.rest()] == [heard.id]


def test_denied_attempts_and_sign_ins_are_heard(running: Product) -> None:
    wim = running.person("wim")
    with Listening(running, f"{AUDIT}?action=LOGIN,LOGIN_FAILED,PERMISSION_DENIED", running.admin) as listening:
        body = {"username": "wim", "password": "wim has chosen with care"}
        running.done("POST", f"{API}/auth/login", body, auth=None)
        assert running.call("POST", f"{API}/auth/login", {**body, "password": "no"}).status == 401
        assert running.call("PUT", "/general/open/no.txt", b"", auth=wim).status == 403
        assert running.call("GET", f"{API}/admin/stats", auth=wim).status == 403
        heard = listening.several(4)
    assert sorted(one.data["action"] for one in heard) == [
        "LOGIN", "LOGIN_FAILED", "PERMISSION_DENIED", "PERMISSION_DENIED",
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["from=never", "outcome=x", "from_position=3&to_position=1", "after=x"])
def test_a_bad_filter_is_refused_before_the_stream_begins(running: Product, query: str) -> None:
    with Listening(running, f"{AUDIT}?{query}", running.admin) as listening:
        assert (listening.status, listening.headers["content-type"]) == (400, "application/json")


# what ends a stream


@pytest.mark.parametrize("target", [CHANGES, AUDIT])
def test_a_revoked_token_hears_nothing_any_more(running: Product, target: str) -> None:
    made = running.done("POST", f"{API}/auth/tokens", {"name": "ears", "scopes": ["*"]})
    with Listening(running, target, bearer(made["token"])) as listening:
        assert listening.status == 200
        before = put(running, "open/heard.txt")
        assert running.call("DELETE", f"{API}/auth/tokens/{made['id']}", auth=running.admin).status == 200
        revoked = running.head()
        put(running, "open/unheard.txt")
        heard = [one.id for one in listening.rest() if one.id is not None]
    assert before in heard
    assert max(heard) <= revoked
    with Listening(running, target, bearer(made["token"])) as listening:
        assert listening.status == 401


def test_a_right_that_is_lost_ends_the_stream_before_anything_is_told(running: Product) -> None:
    lea = running.person("lea")
    grant = running.grant(running.user_id(lea), "closed", "read")
    with Listening(running, CHANGES, lea) as listening:
        listening.next()
        put(running, "closed/for-lea.txt")
        assert listening.next().data["type"] == "artifact.uploaded"
        running.call("DELETE", f"{API}/permissions/{grant}", auth=running.admin)
        put(running, "closed/not-for-lea.txt")
        assert listening.rest() == []


def test_a_disabled_account_hears_nothing_any_more(running: Product) -> None:
    dan = running.person("dan")
    with Listening(running, CHANGES, dan) as listening:
        listening.next()
        running.done("PATCH", f"{API}/users/{running.user_id(dan)}", {"is_active": False})
        put(running, "open/after-dan.txt")
        assert listening.rest() == []


def test_what_concerned_the_listener_long_ago_does_not_end_its_stream(running: Product) -> None:
    begun = running.head()
    max_ = running.person("max", open="read")
    running.done("PATCH", f"{API}/users/{running.user_id(max_)}", {"is_admin": True})
    last = put(running, "open/for-max.txt")
    with Listening(running, f"{AUDIT}?after={begun}", max_) as listening:
        heard = [one.id for one in listening.several(last - begun)]
        assert heard == list(range(begun + 1, last + 1))
        now = put(running, "open/now-for-max.txt")
        assert listening.next().id == now


def test_a_client_that_goes_away_leaves_nothing_behind(running: Product) -> None:
    before = subscriptions(running)
    clients = [Listening(running, target, running.admin) for target in (CHANGES, AUDIT) for _ in range(10)]
    deadline = time.monotonic() + WAIT_SECONDS
    while subscriptions(running) < before + 20:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for client in clients:
        client.go_away()
    deadline = time.monotonic() + WAIT_SECONDS
    while subscriptions(running) > before:
        gc.collect()
        assert time.monotonic() < deadline, subscriptions(running)
        time.sleep(0.05)


def test_a_ticket_opens_a_stream_once(running: Product) -> None:
    body = {"purpose": "stream", "resource_path": CHANGES}
    ticket = running.done("POST", f"{API}/auth/ticket", body)["ticket"]
    with Listening(running, f"{CHANGES}?ticket={ticket}", None) as listening:
        assert listening.next().event == "connected"
        position = put(running, "open/by-ticket.txt")
        assert listening.next().id == position
    with Listening(running, f"{CHANGES}?ticket={ticket}", None) as listening:
        assert listening.status == 401


# clients that are slow, and streams on which nothing happens


@pytest.fixture
def short_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.audit.streaming.MAX_QUEUED", 5)


@pytest.mark.usefixtures("short_queues")
def test_an_auditor_who_is_slow_misses_nothing(running: Product) -> None:
    with Listening(running, f"{AUDIT}?action=ARTIFACT_UPLOADED", running.admin) as listening:
        listening.stall()
        paths = [f"slow/{number}.txt" for number in range(20)]
        for path in paths:
            put(running, f"open/{path}")
        listening.go_on()
        put(running, "open/slow/after.txt")
        assert [one.data["path"] for one in listening.several(21)] == [*paths, "slow/after.txt"]


@pytest.mark.usefixtures("short_queues")
def test_a_screen_that_is_slow_is_told_how_much_it_missed(running: Product) -> None:
    with Listening(running, CHANGES, running.admin) as listening:
        assert listening.next().event == "connected"
        listening.stall()
        positions = [put(running, f"open/lagging/{number}.txt") for number in range(20)]
        deadline = time.monotonic() + WAIT_SECONDS
        while running.workers[0].app.changes.position < positions[-1]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        listening.go_on()
        heard: list[Sent] = []
        while not heard or heard[-1].event != "lagged":
            heard.append(listening.next())
        told = [one for one in heard if one.event == "entity.changed"]
        assert len(told) < 20
        assert heard[-1].data["missed"] >= 20 - len(told)
        last = put(running, "open/lagging/after.txt")
        assert listening.next().id == last


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.PING_SECONDS", 0.2)
    monkeypatch.setattr("api.http.events.PING_SECONDS", 0.2)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("target", [CHANGES, AUDIT])
def test_a_stream_on_which_nothing_happens_still_beats(running: Product, target: str) -> None:
    with Listening(running, target, running.admin) as listening:
        with pytest.raises(queue.Empty):
            listening.several(2, seconds=1.5)  # one of them may be its greeting
        assert listening.pings >= 4


@pytest.mark.usefixtures("short_pauses")
def test_a_stream_beats_too_while_only_that_happens_which_the_listener_may_not_know(running: Product) -> None:
    ivy = running.person("ivy")
    with Listening(running, CHANGES, ivy) as listening:
        assert listening.next().event == "connected"
        before, until = listening.pings, time.monotonic() + 2.0
        number = 0
        while time.monotonic() < until:
            put(running, f"closed/busy/{number}.txt")
            number += 1
        assert number > 10, "quicker than the pause between two beats"
        with pytest.raises(queue.Empty):
            listening.next(0.1)
        assert listening.pings - before >= 4


def test_a_stream_ends_after_a_while_so_that_its_client_is_asked_anew(
    running: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.LIFETIME_SECONDS", 0.5)
    monkeypatch.setattr("api.live.PING_SECONDS", 0.2)
    with Listening(running, AUDIT, running.admin) as listening:
        assert listening.rest() == []
