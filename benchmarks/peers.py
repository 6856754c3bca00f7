"""Side by side with pypiserver, devpi and verdaccio: the index of a package, downloads and uploads of three sizes.

All run at the same time on this machine and take turns; ours with a password on every request, and its database.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, megabytes, rate
from benchmarks.http_load import Request, has_wrk, many, once, wrk
from benchmarks.ours import ADMIN, VERSIONS
from benchmarks.packages import SMALL, npm_tarball, wheel
from benchmarks.registries import CLIENTS, Registry, devpi, npm_publisher, pypiserver, python_publisher, verdaccio
from benchmarks.rounds import alternate, ratio
from benchmarks.servers import Server
from tests.live import Live, live

ROUNDS = 3
SECONDS = 2.0
MIB = 1 << 20
FILES = (("64 KiB", 64 << 10, 8), ("1 MiB", MIB, 4), ("100 MiB", 100 * MIB, 1))
"""Names, sizes, connections."""

UPLOADS = 24
"""In one round; fewer of larger files."""

READ = {"accept-encoding": "gzip", **ADMIN.header}


class Contest(NamedTuple):
    """Registries of one format, ours first. make: content of a package by name, version and size. lead: ours on the index."""

    format: str
    registries: Sequence[Registry]
    make: Callable[[str, str, int], bytes]
    ending: str
    lead: float


def figures() -> Iterator[Figure]:
    """All lines, of those that are installed."""
    python = [start for start in (pypiserver, devpi) if (CLIENTS / "peers/bin").is_dir()]
    npm = [verdaccio] if (CLIENTS / "verdaccio/node_modules").is_dir() else []
    if not has_wrk() or not (python or npm):
        yield Figure("side by side: wrk, .clients/peers and .clients/verdaccio are needed", "-", "-", float("nan"))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ak-")))
        running = stack.enter_context(live())
        for contest in (python_contest(running), npm_contest(running)):
            with ExitStack() as others:
                peers = [
                    others.enter_context(start(_empty(folder / f"{contest.format}{number}")))
                    for number, start in enumerate(python if contest.format == "python" else npm)
                ]
                yield from compare(contest._replace(registries=[*contest.registries, *peers]))


def python_contest(running: Live) -> Contest:
    running.repository("bench", "pypi")
    ours = Registry("ours", _server(running), "/pypi/bench/simple/demo/", python_publisher("/pypi/bench/", ADMIN))
    return Contest("python", [ours], lambda name, version, size: wheel(name, version, size).content, ".whl", 20)


def npm_contest(running: Live) -> Contest:
    running.repository("benchjs", "npm")
    ours = Registry("ours", _server(running), "/npm/benchjs/demo", npm_publisher("/npm/benchjs", ADMIN.header))
    return Contest("npm", [ours], npm_tarball, ".tgz", 10)


def compare(contest: Contest) -> Iterator[Figure]:
    """Fill all, then measure line by line."""
    if len(contest.registries) < 2:
        return
    for registry in contest.registries:
        for number in range(VERSIONS):
            version = f"1.{number}.0"
            content = contest.make("demo", version, SMALL)
            many(registry.server.port, [registry.upload("demo", version, content)], connections=1)
    index = {one.name: partial(read, one, one.page, 32) for one in contest.registries}
    yield from lines(f"{contest.format}: index of {VERSIONS} versions", index, rate, contest.lead)
    names = itertools.count()
    for title, size, connections in FILES:
        yield from transfers(contest, title, size, connections, names)


def transfers(contest: Contest, title: str, size: int, connections: int, names: Iterator[int]) -> Iterator[Figure]:
    count = max(1, min(UPLOADS, UPLOADS * MIB // (2 * size)))
    last: dict[str, str] = {}

    def upload(registry: Registry) -> float:
        made = []
        for _ in range(count):
            last[registry.name] = name = f"sized{next(names)}"
            made.append(registry.upload(name, "1.0.0", contest.make(name, "1.0.0", size)))
        return sent(registry.server.port, made, connections) * size

    uploads = {one.name: partial(upload, one) for one in contest.registries}
    yield from lines(f"{contest.format}: upload of {title}", uploads, megabytes, 1.0)
    downloads = {}
    for one in contest.registries:
        path = one._replace(page=one.page.replace("demo", last[one.name])).file(contest.ending)
        large = size > 10 * MIB
        downloads[one.name] = partial(fetch, one, path) if large else partial(read, one, path, connections, size)
    yield from lines(f"{contest.format}: download of {title}", downloads, megabytes, 1.0)


def lines(
    what: str, works: Mapping[str, Callable[[], float]], told: Callable[[float], str], least: float
) -> Iterator[Figure]:
    """One line for each of the others."""
    alternate(works, 1)
    samples = alternate(works, ROUNDS)
    for name, theirs in list(samples.items())[1:]:
        middle = statistics.median(samples["ours"]), statistics.median(theirs)
        yield Figure(
            f"{what}, {name}", told(middle[0]), told(middle[1]), ratio(samples["ours"], theirs), least=least
        )  # fmt: skip


def read(registry: Registry, path: str, connections: int, size: int = 1) -> float:
    """Answers a second, or their bytes."""
    headers = READ if registry.name == "ours" else {"accept-encoding": "gzip"}
    return wrk(f"http://127.0.0.1:{registry.server.port}{path}", SECONDS, headers, connections).per_second * size


def fetch(registry: Registry, path: str) -> float:
    """Bytes a second of one large download."""
    headers = ADMIN.header if registry.name == "ours" else {}
    begun = time.perf_counter()
    status, size = once(registry.server.port, Request("GET", path, headers))
    assert status == 200, (registry.name, path, status)
    return size / (time.perf_counter() - begun)


def sent(port: int, requests: list[Request], connections: int) -> float:
    """Uploads a second."""
    if len(requests) > 1:
        return many(port, requests, connections).per_second
    begun = time.perf_counter()
    status, _ = once(port, requests[0])
    assert 200 <= status < 300, status
    return 1 / (time.perf_counter() - begun)


def _server(running: Live) -> Server:
    assert running.process is not None
    return Server(running.port, running.process.pid)


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
