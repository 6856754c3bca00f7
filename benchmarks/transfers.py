"""Large files: uploads against what receiving, hashing and writing cost apart, downloads against nginx.

`python -m benchmarks transfers`: one worker each. The ceiling of an upload is one thread that receives, hashes and writes
in turn: 1 / (1 / receive-and-drop + 1 / hash-and-write), both measured in the same rounds.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, megabytes
from benchmarks.http_load import Request, once
from benchmarks.ours import ADMIN
from benchmarks.rounds import alternate, ratio
from benchmarks.servers import bare_callable, nginx, nginx_command
from tests.live import Live, live

MIB = 1 << 20
UPLOAD = 100 * MIB
DOWNLOADS = {"1 MiB": (MIB, 30, None), "100 MiB": (100 * MIB, 3, 0.8), "1 GiB": (1024 * MIB, 1, 0.8)}
"""Size, how many a round, and the least share of nginx's speed."""

ROUNDS = 5


def figures() -> Iterator[Figure]:
    """Uploads, then downloads."""
    with tempfile.TemporaryDirectory(prefix="ak-") as name, live({"AK_API_WORKERS": "1"}) as running:
        folder = Path(name)
        folder.chmod(0o755)
        running.repository("files", "generic")
        yield from uploads(running, folder)
        if nginx_command() is not None:
            yield from downloads(running, folder)


def uploads(running: Live, folder: Path) -> Iterator[Figure]:
    numbers, content = itertools.count(), os.urandom(UPLOAD)

    def send(port: int, path: str) -> float:
        begun = time.perf_counter()
        # a few bytes differ each time, or it would be the same blob
        body = next(numbers).to_bytes(8) + content[8:]
        status, _ = once(port, Request("PUT", path, ADMIN.header, body))
        assert 200 <= status < 300, status
        return UPLOAD / (time.perf_counter() - begun)

    with bare_callable(folder) as bare:
        samples = alternate(
            {
                "ours": lambda: send(running.port, f"/general/files/up/{next(numbers)}.bin"),
                "receive": lambda: send(bare.port, "/"),
                "write": lambda: hash_and_write(running.folder / "by-hand", content),
            },
            ROUNDS,
        )
    ceiling = [
        1 / (1 / receive + 1 / write) for receive, write in zip(samples["receive"], samples["write"], strict=True)
    ]
    yield Figure(
        "upload of 100 MiB against receiving, hashing, writing", megabytes(statistics.median(samples["ours"])),
        megabytes(statistics.median(ceiling)), ratio(samples["ours"], ceiling), least=0.65,
    )  # fmt: skip


def fetch(port: int, path: str, size: int, count: int) -> float:
    """Bytes a second of so many downloads, one after the other."""
    begun = time.perf_counter()
    for _ in range(count):
        assert once(port, Request("GET", path, ADMIN.header)) == (200, size)
    return size * count / (time.perf_counter() - begun)


def hash_and_write(path: Path, content: bytes) -> float:
    """Bytes a second, durable at the end."""
    begun, view, hashed = time.perf_counter(), memoryview(content), hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(view), MIB):
            hashed.update(view[start : start + MIB])
            file.write(view[start : start + MIB])
        os.fsync(file.fileno())
    path.unlink()
    return len(content) / (time.perf_counter() - begun)


def downloads(running: Live, folder: Path) -> Iterator[Figure]:
    with nginx(folder, folder) as static:
        for title, (size, count, least) in DOWNLOADS.items():
            content = os.urandom(MIB) * (size // MIB)
            (folder / "file").write_bytes(content)
            path = f"/general/files/down/{size}.bin"
            once(running.port, Request("PUT", path, ADMIN.header, content))
            del content

            works = {
                "ours": partial(fetch, running.port, path, size, count),
                "nginx": partial(fetch, static.port, "/file", size, count),
            }
            alternate(works, 1)
            samples = alternate(works, ROUNDS)
            yield Figure(
                f"download of {title} against nginx", megabytes(statistics.median(samples["ours"])),
                megabytes(statistics.median(samples["nginx"])), ratio(samples["ours"], samples["nginx"]), least=least,
            )  # fmt: skip
