"""Other servers on the same machine, to measure by: nginx, and a callable that does nothing in our HTTP server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 60.0


class Server(NamedTuple):
    """pid: the process at the top of its tree."""

    port: int
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def started(
    command: Sequence[str], port: int, folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run until the end of the block; begins when the port is open. Raises AssertionError when it does not come up."""
    log = folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environ or {})}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} does not listen:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


_NGINX = """
{user}daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  sendfile on; tcp_nopush on; keepalive_requests 1000000000; access_log off; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}
}}
"""


def nginx_command() -> str | None:
    """Where it is; it is often outside the path of users."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[Server]:
    """nginx with one worker, serving the files of `root`."""
    command, port = nginx_command(), free_port()
    assert command is not None
    user = "user root;\n" if os.geteuid() == 0 else ""
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(user=user, folder=folder, port=port, root=root))
    with started(
        [command, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(settings)], port, folder
    ) as one:
        yield one


@contextmanager
def bare_callable(folder: Path, size_bytes: int = 2_048) -> Iterator[Server]:
    """`benchmarks.bare` in the HTTP server that ours runs in, with one worker and the same settings."""
    port = free_port()
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or str(Path.cwd())}
    with started([sys.executable, "-m", "benchmarks.bare", str(port), str(size_bytes)], port, folder, environ) as one:
        yield one
