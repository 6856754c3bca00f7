"""What a document that is in memory costs in the worker, without a socket: the callable, awaited with a `send` that drops.

`python -m benchmarks hot_path`: against a callable that does nothing but send a constant answer. Times are of the
processor, the least of many short rounds in which all take turns: what else runs on the machine can only add to them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from benchmarks.figures import Figure, microseconds
from benchmarks.ours import ADMIN, index_of, worker
from tests.live import live

CALLS = 500
ROUNDS = 60
BUDGET_US = 15.0
PATH = "/pypi/bench/simple/demo/"

App = Callable[[Any, Any, Any], Awaitable[None]]


def figures() -> Iterator[Figure]:
    """Anonymous and with a password, an index page and a small file."""
    with live({"AK_API_WORKERS": "1"}) as running:
        small = index_of(running, "bench").small
        with worker(running) as api:
            cases = {
                "index page": scope(PATH),
                "index page, Basic": scope(PATH, **ADMIN.header),
                "index page, not modified": scope(PATH, **{"if-none-match": "*"}),
                "file of 20 KiB": scope(small),
            }
            taken = asyncio.run(measure(api.gate, cases))
    for name in cases:
        seconds = taken[name]
        yield Figure(
            f"in process: {name}", microseconds(seconds), f"bare {microseconds(taken['bare'])}", seconds * 1e6, " us",
            most=BUDGET_US,
        )  # fmt: skip


async def measure(app: App, cases: Mapping[str, dict[str, Any]]) -> dict[str, float]:
    """Seconds of one call of each case and of the bare callable."""
    for asked in cases.values():
        await warm(app, asked)
    samples: dict[str, list[float]] = {name: [] for name in ("bare", *cases)}
    for _ in range(ROUNDS):
        samples["bare"].append(await one_round(bare, next(iter(cases.values()))))
        for name, asked in cases.items():
            samples[name].append(await one_round(app, asked))
    return {name: min(times) for name, times in samples.items()}


async def one_round(app: App, asked: dict[str, Any]) -> float:
    begun = time.thread_time()
    for _ in range(CALLS):
        await app(asked.copy(), no_body, drop)
    return (time.thread_time() - begun) / CALLS


async def warm(app: App, asked: dict[str, Any]) -> None:
    """Ask until it is answered from memory; says so when it is refused."""
    seen: list[int] = []

    async def take(message: dict[str, Any]) -> None:
        seen.append(message.get("status", 0))

    for _ in range(40):
        await app(asked.copy(), no_body, take)
        await asyncio.sleep(0.02)
    if seen[-2] not in {200, 304}:
        raise AssertionError(f"{asked['path']} is answered {seen[-2]}")


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least that any callable does."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def drop(message: dict[str, Any]) -> None:
    pass


def scope(path: str, **headers: str) -> dict[str, Any]:
    """A request as the server hands it over, with the headers that a package client sends."""
    sent = {
        "host": "127.0.0.1:8080", "user-agent": "pip/25.0", "accept-encoding": "gzip, deflate, br, zstd",
        "accept": "application/vnd.pypi.simple.v1+json", "connection": "keep-alive", **headers,
    }  # fmt: skip
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "server": ("127.0.0.1", "8080"), "client": ("127.0.0.1", "41000"), "scheme": "http", "method": "GET",
        "root_path": "", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "extensions": {"http.response.pathsend": {}}, "state": {},
    }  # fmt: skip
