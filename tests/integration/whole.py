"""A whole worker process with its projector, wired by the composition root, spoken to over ASGI without a socket.

with whole(dsn, tmp_path, ADMIN_PASSWORD="chosen with care") as running:
    answer = running.call("GET", "/api/v1/users", auth=("admin", "chosen with care"))
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.composition.api import Api, wire_api
from api.composition.core import open_core
from api.composition.projector import compose_projector
from infrastructure.settings import load_settings
from tests.integration.harness import Reply, _exchange

JWT_SECRET = "9f1b7c0d5e3a48627d0f6c1e8b5a3947"


class Whole:
    """One process of the API and one projector on a database."""

    def __init__(self, dsn: str, directory: Path, **environ: str) -> None:
        settings = load_settings(
            {
                "DATABASE_URL": dsn,
                "AK_DATA_DIR": str(directory),
                "JWT_SECRET": JWT_SECRET,
                "AK_INSTANCE_KEY": JWT_SECRET[::-1],
                "SKIP_ADMIN_PROVISIONING": "true",
                **environ,
            }
        )
        self._projector_core = open_core(settings, max_connections=4)
        self._projector = compose_projector(self._projector_core)
        self._projector.start()
        self.api: Api = wire_api(open_core(settings, max_connections=8))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asgi", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()
        self.api.close()
        self._projector.stop()
        self._projector_core.close()

    def call(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        auth: tuple[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        client: str = "192.0.2.7",
    ) -> Reply:
        """One request. body: bytes, or what becomes JSON. auth: name and password, or a bearer token."""
        path, _, query = target.partition("?")
        sent = {"host": "registry.example", **(headers or {})}
        if isinstance(auth, str):
            sent["authorization"] = f"Bearer {auth}"
        elif auth is not None:
            sent["authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data:
            sent.setdefault("content-type", "application/json")
            sent["content-length"] = str(len(data))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": (client, "50000"),
            "server": ("registry.example", 80),
            "extensions": {},
        }
        chunks: list[bytes] = [data]
        gate: Any = self.api.gate
        return asyncio.run_coroutine_threadsafe(_exchange(gate, scope, chunks, False), self._loop).result(30)


@contextmanager
def whole(dsn: str, directory: Path, **environ: str) -> Iterator[Whole]:
    """A running worker; ended with the block."""
    running = Whole(dsn, directory, **environ)
    try:
        yield running
    finally:
        running.close()
