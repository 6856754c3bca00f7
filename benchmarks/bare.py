"""The least that a callable can do: answer a GET with a constant, take a body and drop it.

`python -m benchmarks.bare PORT SIZE`, the latter of the constant.
"""

from __future__ import annotations

import sys
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from api.composition.http_server import BACKLOG, BUFFER_BYTES, IDLE_MILLISECONDS

BODY = b"x" * int(sys.argv[2])
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())]


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The callable."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] != "GET":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    MPServer(
        "benchmarks.bare:bare",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        task_impl=TaskImpl.asyncio,
        http=HTTPModes.auto,
        websockets=False,
        runtime_mode=RuntimeModes.mt,
        runtime_threads=2,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MILLISECONDS, max_buffer_size=BUFFER_BYTES),
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main()
