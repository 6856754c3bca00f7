"""An export of many events: at the client's pace, in bounded memory, and cut off rather than complete when it fails."""

from __future__ import annotations

import json
import queue
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from application.audit.entries import AuditPage, AuditTrail
from application.log import Change
from domain.errors import Unavailable
from domain.event import SYSTEM
from domain.package import TagSet
from tests.integration.listening import WAIT_SECONDS, Listening
from tests.integration.product import Product, product

EVENTS = 12_000
EXPORT = "/api/v1/audit/export"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory) as started:
        app = started.workers[0].app
        repository = uuid4()
        for _ in range(EVENTS // 500):
            events = [TagSet(repository=repository, package="p" * 200, tag="t" * 200, version="1") for _ in range(500)]
            receipt = app.log.append([Change(uuid4(), 0, events, repository)], SYSTEM)
        assert app.progress.reached(("audit",), receipt.position, timeout_seconds=60)
        yield started


@pytest.fixture
def pages(running: Product, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each page had that was read from the database so far."""
    trail: Any = running.workers[0].app.audit
    oldest = trail.oldest
    read: list[int] = []

    def counted(*arguments: Any, **options: Any) -> AuditPage:
        page: AuditPage = oldest(*arguments, **options)
        read.append(len(page.entries))
        return page

    monkeypatch.setattr(trail, "oldest", counted)
    return read


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def idle(running: Product) -> bool:
    """Whether no connection to the database is held by a request."""
    figures = running.workers[0].app.pool_figures()
    return figures["active_connections"] == 0


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_every_event_is_exported_once_and_in_order(running: Product, form: str) -> None:
    reply = running.call("GET", f"{EXPORT}?format={form}", auth=running.admin)
    lines = reply.body.splitlines()
    if form == "ndjson":
        positions = [json.loads(line)["position"] for line in lines]
    else:
        positions = [int(line.partition(b",")[0]) for line in lines[1:]]
    assert positions == list(range(1, running.head() + 1))


def test_nothing_is_read_ahead_of_a_client_that_stalls(running: Product, pages: list[int]) -> None:
    with Listening(running, EXPORT, running.admin, paced=True) as client:
        assert client.status == 200
        client.piece()
        time.sleep(0.5)
        assert sum(pages) < EVENTS / 3
        assert idle(running)
        while not client.ended:
            client.piece()
    assert sum(pages) == running.head()


def test_a_client_that_goes_away_frees_everything(running: Product, pages: list[int]) -> None:
    threads = threading.active_count()
    for _ in range(5):
        client = Listening(running, EXPORT, running.admin, paced=True)
        client.piece()
        client.go_away()
    time.sleep(0.3)
    read = len(pages)
    time.sleep(0.5)
    assert len(pages) == read
    until(lambda: idle(running))
    assert threading.active_count() <= threads + 10
    assert running.call("GET", "/api/v1/audit/events?limit=1", auth=running.admin).status == 200


def test_memory_goes_by_the_page_and_not_by_the_export(running: Product) -> None:
    with Listening(running, EXPORT, running.admin) as warm:
        warm.piece()
    tracemalloc.start()
    try:
        with Listening(running, EXPORT, running.admin, paced=True) as client:
            size = 0
            while not client.ended:
                size += len(client.piece())
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 10_000_000
    assert peak < size / 2


def test_an_export_that_fails_midway_is_cut_off_so_that_nobody_takes_it_for_whole(
    running: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail: AuditTrail = running.workers[0].app.audit
    export = trail.export

    def failing(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield next(export(*arguments, **options))
        raise Unavailable("the database is away")

    monkeypatch.setattr(trail, "export", failing)
    client = Listening(running, EXPORT, running.admin)
    assert client.piece()
    client.over()
    with pytest.raises(queue.Empty):
        client.piece(0.2)
    assert not client.ended, "no end was sent: the server closes the connection"


def test_an_export_ends_where_the_log_ended_when_it_began(running: Product) -> None:
    head = running.head()
    with Listening(running, EXPORT, running.admin, paced=True) as client:
        first = client.piece()
        running.repository(f"late-{uuid4().hex[:8]}", "generic")
        rest = b""
        while not client.ended:
            rest += client.piece()
    assert json.loads((first + rest).splitlines()[-1])["position"] == head
