"""Publishing of small files over HTTP, durable and visible when it is answered; and how soon a commit is visible.

`python -m benchmarks publishing`: raw files and wheels of 20 KiB, by 1, 8 and 64 callers, each a new path.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from uuid import uuid4

from application.log import Change, EventLog
from application.publishing import Progress
from benchmarks.figures import Figure, milliseconds, rate
from benchmarks.http_load import Rate, Request, many
from benchmarks.ours import ADMIN, worker
from benchmarks.packages import SMALL, python_upload, wheel
from benchmarks.processes import cpu_seconds
from domain.artifact import ArtifactPublished
from domain.ids import artifact_id
from tests.live import Live, live

CALLERS = {1: 60, 8: 400, 64: 1200}
"""And how many files they publish."""

SUSTAINED = 400.0
VISIBLE_MS = 20.0
COMMITS = 400


def figures() -> Iterator[Figure]:
    """Rates, latencies, the processor's time of one publish, and commit to visible."""
    with live() as running:
        running.repository("files", "generic")
        running.repository("bench", "pypi")
        numbers = itertools.count()
        for kind in ("raw file", "wheel"):
            publish(running, requests(kind, numbers, 40), 4)
            for callers, count in CALLERS.items():
                done, cpu = publish(running, requests(kind, numbers, count), callers)
                yield Figure(
                    f"publish {kind}s of 20 KiB, {callers} callers", rate(done.per_second),
                    f"p50 {milliseconds(done.p50)}", done.per_second, "/s",
                    least=SUSTAINED if callers == 64 and kind == "raw file" else None,
                )  # fmt: skip
                yield Figure(f"  p99, and processor of one ({callers} callers)", milliseconds(done.p99),
                             milliseconds(cpu), done.p99 * 1e3, " ms")  # fmt: skip
        with worker(running) as api:
            taken = sorted(commits(api.app.log, api.app.progress))
        p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
        yield Figure(
            "commit to visible in every process: p99", milliseconds(p99), f"p50 {milliseconds(p50)}", p99 * 1e3, " ms",
            most=VISIBLE_MS,
        )  # fmt: skip


def publish(running: Live, made: list[Request], callers: int) -> tuple[Rate, float]:
    """The rate, and the processor's time of one."""
    assert running.process is not None
    before = cpu_seconds(running.process.pid)
    done = many(running.port, made, connections=callers)
    return done, (cpu_seconds(running.process.pid) - before) / done.requests


def requests(kind: str, numbers: Iterator[int], count: int) -> list[Request]:
    if kind == "wheel":
        made = [wheel(f"small{number % 100}", f"1.{number}", SMALL) for number in itertools.islice(numbers, count)]
        return [python_upload("/pypi/bench/", one, ADMIN) for one in made]
    return [
        Request("PUT", f"/general/files/{number % 100}/{number}.bin", ADMIN.header, os.urandom(SMALL))
        for number in itertools.islice(numbers, count)
    ]


def commits(log: EventLog, progress: Progress) -> Iterator[float]:
    """Seconds from a commit until this process and all others show it."""
    for number in range(COMMITS):
        event = ArtifactPublished(
            repository=uuid4(), path=f"{number}.bin", sha256="0" * 64, size_bytes=1, media_type="application/octet-stream"
        )  # fmt: skip
        receipt = log.append([Change(artifact_id(event.repository, event.path), 0, [event], event.repository)])
        begun = time.perf_counter()
        assert progress.reached(("catalogue",), receipt.position)
        yield time.perf_counter() - begun
