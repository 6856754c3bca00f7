"""What the HTTP server loads in each worker process."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from typing import Any

from api.answers import Send
from api.asgi import Gate
from api.bodies import Receive
from api.composition.api import Api, compose_api

_log = logging.getLogger(__name__)

END_STREAMS = signal.SIGUSR1
"""Tells a worker that it will be stopped soon."""


class Server:
    """The ASGI callable with its lifespan: everything is wired at startup, in the worker, and closed at shutdown."""

    def __init__(self) -> None:
        self._api: Api | None = None
        self._gate: Gate | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve a request, or live."""
        if scope["type"] == "http":
            assert self._gate is not None  # noqa: S101 - nothing is accepted before startup
            await self._gate(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._api = await asyncio.to_thread(compose_api)
                    self._gate = self._api.gate
                    asyncio.get_running_loop().add_signal_handler(END_STREAMS, self._api.end_streams)
                    gc.collect()
                    gc.freeze()  # what was made so far lives as long as the process: never look through it again
                except Exception as error:  # noqa: BLE001 - a process edge
                    _log.exception("cannot start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._api is not None:
                    await asyncio.to_thread(self._api.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def create() -> Server:
    """The factory that the HTTP server calls in each worker."""
    return Server()
