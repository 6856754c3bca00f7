"""Following a channel of the live log from a coroutine, and server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

import msgspec

from application.audit.streaming import Channel, Positioned, Subscription

PING_SECONDS = 15.0
PING = b": ping\n\n"
LIFETIME_SECONDS = 900.0
"""How long one answer lasts. Clients come back by themselves, where they were, and are authenticated anew."""

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""For proxies that would collect a stream before they pass it on."""

I = TypeVar("I", bound=Positioned)  # noqa: E741 - an item


class Batch(msgspec.Struct, Generic[I], frozen=True):
    """What came; nothing did when it is empty. missed: events that were dropped before it.

    replayed: they were there before the listener was.
    """

    items: list[I]
    missed: int = 0
    replayed: bool = False


Batches: TypeAlias = AsyncGenerator[Batch[I], None]


async def follow(channel: Channel[I], after: int | None, pool: Executor, *, lossless: bool) -> Batches[I]:
    """Items after a position, without end but for LIFETIME_SECONDS and the end of the process; None is from now on.

    The first batch is empty and says that nothing is missed from here on; further empty ones come when nothing else did
    for PING_SECONDS. lossless: who is too slow reads on from the log at its own pace; otherwise it is told how many it
    missed.
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop ends before the subscription when the process stops
            loop.call_soon_threadsafe(news.set)

    subscribing = loop.run_in_executor(pool, channel.subscribe, wake)
    try:
        subscription = await asyncio.shield(subscribing)
    except asyncio.CancelledError:
        subscribing.add_done_callback(_close)  # the thread subscribes all the same
        raise
    try:
        begun = subscription.start
        position = begun if after is None else min(after, begun)
        ends = loop.time() + LIFETIME_SECONDS
        yield Batch([])
        while not subscription.ended and loop.time() < ends:
            if position < subscription.start:
                items, position = await loop.run_in_executor(pool, channel.page, position, subscription.start)
                if items:
                    yield Batch(list(items), replayed=position <= begun)
                continue
            news.clear()
            taken = subscription.take()
            if taken.missed:
                if not lossless:
                    position = subscription.start
                    yield Batch([], taken.missed)
                continue
            fresh = [item for item in taken.items if item.position > position]
            if fresh:
                position = fresh[-1].position
                yield Batch(fresh)
            elif not taken.items and not await _heard(news):
                yield Batch([])
    finally:
        subscription.close()


def _close(subscribing: asyncio.Future[Subscription[I]]) -> None:
    if not subscribing.cancelled() and subscribing.exception() is None:
        subscribing.result().close()


async def _heard(news: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await news.wait()
    except TimeoutError:
        return False
    return True


def server_sent(data: bytes, event: str = "", position: int | None = None) -> bytes:
    """One event of a text/event-stream. data: without line breaks, as JSON is."""
    head = (f"id: {position}\n" if position is not None else "") + (f"event: {event}\n" if event else "")
    return head.encode() + b"data: " + data + b"\n\n"
