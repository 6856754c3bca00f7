"""Two API workers on one log: what one has acknowledged the other shows at once, and of two that race one wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.publishes import FORMATS, Publish, publish

PUBLISHES = 200
CLIENTS = 6
ROUNDS = 12


@pytest.fixture(scope="module")
def running(postgres_dsn: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("two"), workers=2, REDIS_URL=valkey_url) as started:
        for one in FORMATS:
            started.repository(f"{one}-libs", one, overwrite="once" if one == "generic" else "default")
        yield started
        assert [path for path in started.settings.upload_staging_dir.rglob("*") if path.is_file()] == []


def send(running: Product, one: Publish, worker: int) -> Reply:
    return running.call(one.method, one.target, one.body, headers=one.headers, auth=running.admin, worker=worker)


@pytest.mark.parametrize("format", FORMATS)
def test_what_one_worker_acknowledged_is_at_once_in_the_index_of_the_other(running: Product, format: str) -> None:
    """Several clients at once, on few packages, so that each page is in memory, in the cache, and being made anew."""

    def publish_and_look(number: int) -> None:
        one = publish(format, f"{format}-libs", f"demo{number % 8}", f"1.{number}.0")
        there, elsewhere = number % 2, 1 - number % 2
        assert running.call("GET", one.page, worker=elsewhere).status in {200, 404}
        reply = send(running, one, there)
        assert reply.status in {200, 201}, reply.text
        seen = running.call("GET", one.page, worker=elsewhere)
        assert one.told in seen.body, (number, seen.status, seen.text[:500])
        assert running.call("GET", one.file, worker=elsewhere).body == one.content
        asked_again = running.call("GET", one.page, worker=elsewhere, headers={"if-none-match": seen.header("etag")})
        assert asked_again.status in {200, 304}

    with ThreadPoolExecutor(CLIENTS) as clients:
        for done in [clients.submit(publish_and_look, number) for number in range(PUBLISHES)]:
            done.result()


@pytest.mark.parametrize("format", FORMATS)
def test_of_two_who_publish_the_same_version_at_once_exactly_one_wins(running: Product, format: str) -> None:
    conflict = {"pypi": 409, "npm": 403, "cargo": 409, "generic": 409}[format]
    together = threading.Barrier(2)
    for number in range(ROUNDS):
        made = [publish(format, f"{format}-libs", "race", f"2.{number}.0", mark) for mark in ("a", "b")]

        def race(worker: int, made: list[Publish] = made) -> Reply:
            together.wait(10)
            return send(running, made[worker], worker)

        with ThreadPoolExecutor(2) as clients:
            replies = list(clients.map(race, (0, 1)))
        assert sorted(reply.status for reply in replies) in ([200, conflict], [201, conflict]), replies
        winner = next(number for number, reply in enumerate(replies) if reply.status < 300)
        refused = replies[1 - winner]
        match format:
            case "npm":
                assert "cannot publish over the previously published versions" in refused.json()["error"]
            case "pypi":
                assert "already exists" in refused.text
            case "cargo":
                assert "was published before" in refused.json()["errors"][0]["detail"]
            case _:
                assert set(refused.json()) == {"code", "message"}
        for worker in (0, 1):
            assert running.call("GET", made[0].file, worker=worker).body == made[winner].content


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_publish_sent_twice_at_once_is_one(running: Product, format: str) -> None:
    """A client that tries again while its first attempt still runs: never two events, never a fault."""
    together = threading.Barrier(2)
    head = running.head()
    for number in range(ROUNDS // 2):
        one = publish(format, f"{format}-libs", "twice", f"3.{number}.0")

        def race(worker: int, one: Publish = one) -> Reply:
            together.wait(10)
            return send(running, one, worker)

        with ThreadPoolExecutor(2) as clients:
            replies = list(clients.map(race, (0, 1)))
        assert any(reply.status in {200, 201} for reply in replies), replies
        assert all(reply.status < 500 for reply in replies), replies
        assert running.call("GET", one.file).body == one.content
    events = running.done("GET", f"/api/v1/audit/events?topic=artifact.published&from_position={head + 1}&limit=100")
    assert len(events["items"]) == ROUNDS // 2


def test_deleting_and_publishing_at_once_ends_in_one_of_both(running: Product) -> None:
    running.repository("tug", "generic", overwrite="allow")
    target = "/generic/tug/a.txt"
    for _ in range(ROUNDS):
        running.done("PUT", target, b"first")
        together = threading.Barrier(2)

        def put(together: threading.Barrier = together) -> Reply:
            together.wait(10)
            return running.call("PUT", target, b"second", auth=running.admin, worker=0)

        def delete(together: threading.Barrier = together) -> Reply:
            together.wait(10)
            return running.call("DELETE", target, auth=running.admin, worker=1)

        with ThreadPoolExecutor(2) as clients:
            replies = [one.result() for one in (clients.submit(put), clients.submit(delete))]
        assert replies[0].status in {200, 201, 202}, replies  # 202: it was stored, and taken away before the answer
        assert replies[1].status in {200, 204}, replies
        seen = [running.call("GET", target, worker=worker) for worker in (0, 1)]
        assert seen[0].status == seen[1].status
        assert seen[0].status == 404 or {one.body for one in seen} == {b"second"}
