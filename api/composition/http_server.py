"""The HTTP server itself: worker processes and their edges. Each setting was measured or seen to be needed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from api.metrics import share_metrics
from api.server import END_STREAMS
from infrastructure.settings import Settings

BACKLOG = 4096
IDLE_MILLISECONDS = 60_000
"""How long a kept-alive connection may be silent: clients that pool connections keep them for a minute or more."""

BUFFER_BYTES = 417_792

_LOGS: dict[str, Any] = {"handlers": {}, "loggers": {"_granian": {"propagate": True}}}
"""The server's own messages go where ours go; by itself it writes to standard output, which is not for logs."""


class HttpServer(MPServer):
    """Ends live streams before it waits for workers to finish what they answer: a stream never finishes by itself."""

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers in good order."""
        for worker in self.wrks:
            with suppress(ProcessLookupError, AttributeError):
                os.kill(worker.inner.pid, END_STREAMS)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def http_server(settings: Settings) -> HttpServer:
    """The server, not yet listening."""
    workers = settings.api_workers
    share_metrics()
    return HttpServer(
        "api.server:create",
        factory=True,
        address=settings.bind_address.host,
        port=settings.bind_address.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        task_impl=TaskImpl.asyncio,  # the other one never fires timeouts
        http=HTTPModes.auto,
        websockets=False,
        workers=workers,
        runtime_mode=RuntimeModes.st if workers > 1 else RuntimeModes.mt,
        runtime_threads=1 if workers > 1 else 2,  # one worker: big files must not delay indexes
        backlog=BACKLOG,
        backpressure=BACKLOG,  # counts connections, idle ones too
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MILLISECONDS, max_buffer_size=BUFFER_BYTES),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=60,
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=_LOGS,
    )
