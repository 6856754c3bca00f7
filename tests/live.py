"""The registry as a user runs it: `artifact-keeper serve` in processes of its own, on a loopback port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import Any

ADMIN_PASSWORD = "a-Password-for-tests-7"
START_SECONDS = 90.0


class Reply:
    """An HTTP answer. headers: names in lower case."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class Live:
    """A running registry. `folder` is its data directory; `url` its address; `log` and `output` what it writes."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AK_")},
            "AK_DATA_DIR": str(folder),
            "BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "RATE_LIMIT_ENABLED": "false",
            "AK_SSRF_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
            **(environ or {}),
        }
        self.log = folder / "serve.log"
        self.output = folder / "serve.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log, self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve"],
                env=self.environ,
                stdout=output,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            with suppress(urllib.error.URLError, OSError):
                if self.request("GET", "/api/v1/repositories", user="admin", timeout=5).status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the server does not answer:\n{self.log.read_text()[-4000:]}")

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 30) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def command(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Another artifact-keeper command beside the running server."""
        return subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def children(self) -> dict[str, list[int]]:
        """Process ids below the server by what they run: `api`, `project`, `work`, `postgres`, `valkey-server`."""
        assert self.process is not None
        found: dict[str, list[int]] = {}
        for pid, command in _descendants(self.process.pid):
            name = command[-1] if command[1:3] == ["-m", "api"] else Path(command[0].split()[0].rstrip(":")).name
            found.setdefault(name, []).append(pid)
        return found

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        user: str = "",
        password: str = ADMIN_PASSWORD,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Reply:
        sent = dict(headers or {})
        if user:
            sent["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def repository(self, key: str, format: str, **more: Any) -> dict[str, Any]:
        body = {"key": key, "name": key, "format": format, "is_public": True, **more}
        answer = self.request("POST", "/api/v1/repositories", body, user="admin")
        assert answer.status == 200, answer.body
        created: dict[str, Any] = answer.json()
        return created


@contextmanager
def live(environ: Mapping[str, str] | None = None) -> Iterator[Live]:
    """Start a registry with fresh data; everything is ended and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ak-live-"))
    folder.chmod(0o711)
    running = Live(folder, environ)
    try:
        running.start()
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _descendants(root: int) -> list[tuple[int, list[str]]]:
    parents: dict[int, tuple[int, list[str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                parents[int(entry.name)] = (parent, [part.decode() for part in command])
    found: list[tuple[int, list[str]]] = []
    level = {root}
    while level:
        below = {pid for pid, (parent, _) in parents.items() if parent in level}
        found += [(pid, parents[pid][1]) for pid in sorted(below) if parents[pid][1]]
        level = below
    return found
