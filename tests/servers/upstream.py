"""Somebody else's server, for tests of remote repositories: it counts, validates, and misbehaves when it is told to."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Give = Callable[["Handler"], None]


class Upstream:
    """Serves `files` by path. Use as a context manager.

    asked: how often each path was asked for; bodies: how often its bytes went out. special: paths with manners of their
    own. away: every answer is 503. delay_seconds: before each answer. authorization: what clients must show.
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.special: dict[str, Give] = {}
        self.asked: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.away = False
        self.delay_seconds = 0.0
        self.authorization = ""
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.upstream = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="upstream", daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, path: str, body: bytes, media_type: str = "application/octet-stream") -> None:
        """Serve these bytes from now on."""
        self.files[path] = (media_type, body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    upstream: Upstream
    daemon_threads = False
    request_queue_size = 256


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _Server

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Answer."""
        upstream = self.server.upstream
        path = self.path.partition("?")[0]
        with upstream.lock:
            upstream.asked[path] += 1
            upstream.headers.append({name.lower(): value for name, value in self.headers.items()})
        if upstream.delay_seconds:
            time.sleep(upstream.delay_seconds)
        if upstream.away:
            return self.give(503, b"away")
        if upstream.authorization and self.headers.get("authorization") != upstream.authorization:
            return self.give(401, b"who are you")
        if path in upstream.special:
            return upstream.special[path](self)
        if path not in upstream.files:
            return self.give(404, b"no such thing")
        media_type, body = upstream.files[path]
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("if-none-match") == etag:
            return self.give(304, b"", etag=etag)
        with upstream.lock:
            upstream.bodies[path] += 1
        return self.give(200, body, media_type, etag=etag)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def give(self, status: int, body: bytes, media_type: str = "text/plain", **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("content-type", media_type)
        if status != 304:
            self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)
