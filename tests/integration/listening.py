"""A client of a long answer of the product in this process: takes it piece by piece, stalls, goes away."""

from __future__ import annotations

import asyncio
import json
import queue
import time
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from tests.integration.product import Product

WAIT_SECONDS = 10.0


class Sent(msgspec.Struct, frozen=True):
    """One server-sent event, as a browser would read it."""

    id: int | None
    event: str
    data: Any


class Listening:
    """A client that may go away at any moment. paced: it takes no part of the body before it asks for it by `piece`."""

    def __init__(
        self,
        running: Product,
        target: str,
        auth: Mapping[str, str] | None,
        *,
        worker: int = 0,
        last_id: str = "",
        paced: bool = False,
    ) -> None:
        path, _, query = target.partition("?")
        headers = {"host": "registry.example", **(auth or {}), **({"last-event-id": last_id} if last_id else {})}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.7", "50000"),
            "server": ("registry.example", 80),
            "extensions": {},
        }
        self._gate: Any = running.workers[worker].gate
        self._loop = running.loops[worker]
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._text = ""
        self.pings = 0
        self.last: int | None = None
        self.ended = False
        self._gone = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._asked = False
        self._permits = asyncio.Semaphore(0) if paced else None
        self._done = asyncio.run_coroutine_threadsafe(self._gate(self._scope, self._receive, self._send), self._loop)
        start = self._messages.get(timeout=WAIT_SECONDS)
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.go_away()

    def go_away(self) -> None:
        self._loop.call_soon_threadsafe(self._gone.set)
        self._done.result(WAIT_SECONDS)

    def stall(self) -> None:
        """Take nothing more off the line."""
        asyncio.run_coroutine_threadsafe(self._set(reading=False), self._loop).result(WAIT_SECONDS)

    def go_on(self) -> None:
        asyncio.run_coroutine_threadsafe(self._set(reading=True), self._loop).result(WAIT_SECONDS)

    async def _set(self, *, reading: bool) -> None:
        (self._reading.set if reading else self._reading.clear)()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reading.wait()
        if self._permits is not None and message["type"] == "http.response.body":
            await self._permits.acquire()
        self._messages.put(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()

    def piece(self, seconds: float = WAIT_SECONDS) -> bytes:
        """The next part of the body, whatever is in it; empty at its end."""
        if self._permits is not None:
            self._loop.call_soon_threadsafe(self._permits.release)
        message = self._messages.get(timeout=seconds)
        self.ended = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    def over(self) -> None:
        """Wait until the server is done with it."""
        self._done.result(WAIT_SECONDS)

    def next(self, seconds: float = WAIT_SECONDS) -> Sent:
        """The next event with data; raises EOFError when the stream ends before one comes."""
        deadline = time.monotonic() + seconds
        while True:
            while "\n\n" in self._text:
                block, _, self._text = self._text.partition("\n\n")
                found = self._read(block)
                if found is not None:
                    return found
            if self.ended:
                raise EOFError
            message = self._messages.get(timeout=max(0.01, deadline - time.monotonic()))
            self._text += message.get("body", b"").decode()
            self.ended = not message.get("more_body", False)

    def several(self, number: int, seconds: float = WAIT_SECONDS) -> list[Sent]:
        return [self.next(seconds) for _ in range(number)]

    def rest(self) -> list[Sent]:
        """Everything until the stream ends by itself."""
        found = []
        try:
            while True:
                found.append(self.next())
        except EOFError:
            return found

    def _read(self, block: str) -> Sent | None:
        number, event, data = None, "message", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            match name:
                case "":
                    self.pings += 1
                case "id":
                    number = self.last = int(value)
                case "event":
                    event = value.strip()
                case "data":
                    data.append(value.strip())
        return Sent(number, event, json.loads("\n".join(data))) if data else None
