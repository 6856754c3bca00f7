"""Load over HTTP: `wrk` where answers are small and many, bare sockets where they are large or are uploads."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CONNECTIONS = 32
BUFFER = 1 << 20


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def encoded(self, host: str) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {host}", "accept: */*"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method not in {"GET", "HEAD"}:
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Rate(NamedTuple):
    """latencies: seconds, sorted."""

    per_second: float
    p50: float
    p99: float
    requests: int


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def wrk(url: str, seconds: float, headers: Mapping[str, str] = {}, connections: int = CONNECTIONS) -> Rate:
    """Requests a second. Raises AssertionError when any answer is not a success."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Requests/sec" not in output:
        raise AssertionError(f"{url} is refused:\n{output}")
    per_second = float(_found(r"Requests/sec:\s+([\d.]+)", output))
    requests = int(_found(r"(\d+) requests in", output))
    return Rate(
        per_second, _seconds(_found(r"\n +50% +(\S+)", output)), _seconds(_found(r"\n +99% +(\S+)", output)), requests
    )


def _found(pattern: str, text: str) -> str:
    matched = re.search(pattern, text)
    assert matched is not None, text
    return matched[1]


def _seconds(text: str) -> float:
    matched = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert matched is not None, text
    return float(matched[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[matched[2]]


def once(port: int, request: Request, *, timeout: float = 300) -> tuple[int, int]:
    """One request over a connection of its own, its answer dropped: status, and bytes of the body."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(request.encoded(f"127.0.0.1:{port}"))
        if request.body:
            connection.sendall(request.body)
        buffer = memoryview(bytearray(BUFFER))
        head = b""
        while b"\r\n\r\n" not in head:
            got = connection.recv(65_536)
            if not got:
                raise AssertionError("the server closed the connection")
            head += got
        head, _, rest = head.partition(b"\r\n\r\n")
        length, size = _length(head), len(rest)
        while size < length:
            got_bytes = connection.recv_into(buffer)
            if not got_bytes:
                raise AssertionError(f"the body ended after {size} of {length} bytes")
            size += got_bytes
        return _status(head), size


def many(port: int, requests: Iterable[Request], connections: int = CONNECTIONS) -> Rate:
    """Send each request once, over connections that are kept. Raises AssertionError unless all succeed."""
    return asyncio.run(_many(port, list(requests), connections))


async def _many(port: int, requests: list[Request], connections: int) -> Rate:
    host = f"127.0.0.1:{port}"
    left = iter(requests)
    latencies: list[float] = []

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            for request in left:
                begun = time.perf_counter()
                writer.write(request.encoded(host) + request.body)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                latencies.append(time.perf_counter() - begun)
                if not 200 <= _status(head) < 300:
                    raise AssertionError(f"{request.method} {request.path}: {head.decode()}{body[:500].decode()}")
        finally:
            writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(connections)))
    seconds = time.perf_counter() - begun
    latencies.sort()
    count = len(latencies)
    return Rate(count / seconds, latencies[count // 2], latencies[min(count - 1, count * 99 // 100)], count)


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0
