"""Memory of each process: at rest, and what 2 GiB up and down and readers that stall add to it; and the start.

`python -m benchmarks memory`: the most that was private to a process while the bytes went through, less what it had.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from benchmarks.figures import Figure, mebibytes
from benchmarks.http_load import Request, once
from benchmarks.ours import ADMIN, index_of
from benchmarks.processes import private_bytes, resident_bytes, tree
from tests.live import Live, live

MIB = 1 << 20
LARGE = 2048 * MIB
STALLED = 20
START_SECONDS = 10.0


class Grown(NamedTuple):
    """The process that grew most, and by how much."""

    pid: int
    bytes: int


def figures() -> Iterator[Figure]:
    """All lines."""
    with live() as running:
        index_of(running, "bench")
        running.repository("files", "generic")
        yield from resting(running)
        path = "/general/files/large.bin"
        for what, work, most in (
            ("2 GiB upload", lambda: upload(running.port, path), 64),
            ("2 GiB upload, chunked", lambda: upload(running.port, f"{path}.2", chunked=True), 64),
            ("2 GiB download", lambda: _whole(running.port, path, {}), 64),
            ("2 GiB download, as a range", lambda: _whole(running.port, path, {"range": "bytes=1-"}), 64),
            (f"{STALLED} readers that stall", lambda: stall(running.port, path), 20),
        ):
            grown = growth(running, work)
            yield Figure(f"memory that any process gains: {what}", f"pid {grown.pid}", "", grown.bytes / MIB, " MiB",
                         most=most)  # fmt: skip
        assert running.stop() == 0
        begun = time.perf_counter()
        running.start()
        yield Figure("start with data that is there, to the first answer", "", "", time.perf_counter() - begun, " s",
                     most=START_SECONDS)  # fmt: skip


def resting(running: Live) -> Iterator[Figure]:
    """Memory of each kind of process."""
    for name, pids in sorted(running.children().items()):
        if name in {"api", "project", "work", "valkey-server"}:
            most = max(map(resident_bytes, pids))
            limit = 200 if name == "api" else None
            yield Figure(f"memory at rest: {name}, the largest of {len(pids)}", mebibytes(most), "", most / MIB, " MiB",
                         most=limit)  # fmt: skip


def growth(running: Live, work: Callable[[], None]) -> Grown:
    """What the work adds to the process to which it adds most."""
    assert running.process is not None
    pids = [pid for pid in tree(running.process.pid) if pid != running.process.pid]
    before = _private(pids)
    with watching(pids) as peak:
        work()
    grown = {pid: peak[pid] - size for pid, size in before.items() if pid in peak}
    pid = max(grown, key=lambda one: grown[one])
    return Grown(pid, grown[pid])


@contextmanager
def watching(pids: list[int]) -> Iterator[Mapping[int, int]]:
    """The most that each process had, filled in while the block runs."""
    peak: dict[int, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            for pid, size in _private(pids).items():
                peak[pid] = max(peak.get(pid, 0), size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _private(pids: list[int]) -> dict[int, int]:
    sizes = {}
    for pid in pids:
        with suppress(OSError):
            sizes[pid] = private_bytes(pid)
    return sizes


def upload(port: int, path: str, *, chunked: bool = False) -> None:
    """Send LARGE bytes without having them."""
    part = bytes(MIB)
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {LARGE}"
    authorization = ADMIN.header["authorization"]
    head = f"PUT {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {authorization}\r\n{framing}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(head.encode())
        for _ in range(LARGE // MIB):
            connection.sendall(f"{MIB:x}\r\n".encode() + part + b"\r\n" if chunked else part)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(65_536)
    assert answer.split(b" ", 2)[1] in {b"200", b"201"}, answer


def stall(port: int, path: str) -> None:
    """Ask for the large file many times over, and read nothing."""
    request = Request("GET", path, ADMIN.header).encoded("127.0.0.1")
    with ExitStack() as stack:
        for _ in range(STALLED):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
        time.sleep(5)


def _whole(port: int, path: str, headers: Mapping[str, str]) -> None:
    status, size = once(port, Request("GET", path, {**headers, **ADMIN.header}))
    assert status in {200, 206}, status
    assert size >= LARGE - 1, size
