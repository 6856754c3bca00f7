"""The live feed over a real log: in order, without gaps, also while the database goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from uuid import uuid4

import pytest

from application.audit.streaming import Channel, Subscription
from application.log import Change, Recorded
from domain.repository import RepositoryCreated
from projections.catalogue.fold import CatalogueProjection
from projections.feed import Feed, reached
from projections.runner import Projector
from tests.integration.folding import Registry, registry


@pytest.fixture
def opened(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as running:
        yield running


def _append(opened: Registry, count: int = 1) -> None:
    for _ in range(count):
        repository = uuid4()
        event = RepositoryCreated(repository=repository, key=repository.hex, name="", format="pypi", kind="local")
        opened.log.append([Change(repository, 0, [event], repository)])


def _channel(opened: Registry, after: tuple[str, ...] = ()) -> Channel[Recorded]:
    def render(events: Sequence[Recorded]) -> Sequence[Recorded]:
        return events

    head: Callable[[], int] = partial(reached, opened.connect, after) if after else opened.log.head
    return Channel(render, opened.log.read, head, after)


class Listener:
    """Collects positions; waits for them."""

    def __init__(self, channel: Channel[Recorded]) -> None:
        self._news = threading.Event()
        self.subscription: Subscription[Recorded] = channel.subscribe(self._news.set)
        self.positions: list[int] = []

    def until(self, position: int, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while (not self.positions or self.positions[-1] < position) and time.monotonic() < deadline:
            self._news.wait(0.1)
            self._news.clear()
            self.positions += [item.position for item in self.subscription.take().items]


def test_listeners_get_every_event_once_and_in_order(opened: Registry) -> None:
    channel = _channel(opened)
    feed = Feed(opened.dsn, [channel], opened.log.recorded)
    feed.start()
    try:
        listeners = [Listener(channel) for _ in range(3)]
        start = opened.log.head()
        writers = [threading.Thread(target=_append, args=(opened, 40)) for _ in range(3)]
        for writer in writers:
            writer.start()
        for listener in listeners:
            listener.until(start + 120)
            assert listener.positions == list(range(start + 1, start + 121))
        for writer in writers:
            writer.join()
    finally:
        feed.stop()


def test_nothing_is_read_while_nobody_listens_and_the_next_one_begins_at_the_present(opened: Registry) -> None:
    channel = _channel(opened)
    feed = Feed(opened.dsn, [channel], opened.log.recorded)
    feed.start()
    try:
        Listener(channel).subscription.close()
        _append(opened, 5)
        listener = Listener(channel)
        head = opened.log.head()
        _append(opened)
        listener.until(head + 1)
        assert listener.positions == [head + 1]
    finally:
        feed.stop()


def test_the_feed_comes_back_after_its_connection_was_cut(opened: Registry) -> None:
    channel = _channel(opened)
    feed = Feed(opened.dsn, [channel], opened.log.recorded)
    feed.start()
    try:
        listener = Listener(channel)
        start = opened.log.head()
        _append(opened)
        listener.until(start + 1)
        cut = opened.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'artifact-keeper feed' "
            "AND datname = current_database()"
        )
        assert cut
        _append(opened, 3)
        listener.until(start + 4)
        assert listener.positions == [start + 1, start + 2, start + 3, start + 4]
    finally:
        feed.stop()


def test_what_is_not_visible_yet_is_not_announced(opened: Registry) -> None:
    channel = _channel(opened, after=("catalogue",))
    feed = Feed(opened.dsn, [channel], opened.log.recorded)
    projector = Projector(opened.dsn, [CatalogueProjection()], opened.log.recorded)
    feed.start()
    try:
        listener = Listener(channel)
        _append(opened, 2)
        head = opened.log.head()
        listener.until(head, seconds=0.6)
        assert listener.positions == []
        projector.start()
        listener.until(head)
        assert listener.positions[-1] == head
        assert listener.positions == sorted(set(listener.positions))
        assert reached(opened.connect, ("catalogue",)) == head
    finally:
        projector.stop()
        feed.stop()


def test_a_feed_that_stops_ends_its_subscriptions(opened: Registry) -> None:
    channel = _channel(opened)
    feed = Feed(opened.dsn, [channel], opened.log.recorded)
    feed.start()
    listener = Listener(channel)
    feed.stop()
    assert listener.subscription.ended


def test_projections_that_never_began_have_reached_nothing(opened: Registry) -> None:
    assert reached(opened.connect, ("catalogue", "nobody")) == 0
