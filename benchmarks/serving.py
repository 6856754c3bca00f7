"""Reads over HTTP under load: an index page and small files, against nginx and against a callable that does nothing.

`python -m benchmarks serving`: one worker each, `wrk` with 32 connections; ours with a password on each request.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, microseconds, milliseconds, rate
from benchmarks.http_load import Rate, has_wrk, wrk
from benchmarks.ours import ADMIN, index_of
from benchmarks.packages import wheel
from benchmarks.processes import cpu_seconds
from benchmarks.rounds import alternate, ratio
from benchmarks.servers import Server, bare_callable, nginx, nginx_command
from tests.live import live

SECONDS = 2.0
ROUNDS = 5
KIB = 1 << 10
FILES = {20 * KIB: 0.2, 64 * KIB: 0.2, 256 * KIB: 0.25}
"""Size to the least share of nginx's rate."""


class Load(NamedTuple):
    """One round of wrk. cpu: seconds of the server's processor for a request."""

    rate: Rate
    cpu: float


def figures() -> Iterator[Figure]:
    """Index page: processor against the bare callable, rate against nginx. Small files: rate against nginx."""
    if not has_wrk() or nginx_command() is None:
        yield Figure("reads under load: wrk and nginx are needed", "-", "-", float("nan"))
        return
    with (
        tempfile.TemporaryDirectory(prefix="ak-") as name,
        live({"AK_API_WORKERS": "1"}) as running,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        assert running.process is not None
        ours = Server(running.port, running.children()["api"][0])
        page, _ = index_of(running, "bench")
        for directory in ("root", "nginx", "bare"):
            (folder / directory).mkdir()
        content = running.request("GET", page, headers={"accept-encoding": "identity"}).body
        (folder / "root/page").write_bytes(content)
        with nginx(folder / "root", folder / "nginx") as static, bare_callable(folder / "bare", len(content)) as bare:
            yield from index_figures(
                {"ours": (ours, page), "nginx": (static, "/page"), "bare": (bare, "/")},
            )
            for size, least in FILES.items():
                made = wheel(f"sized{size}", "1.0", size)
                path = f"/general/files/{made.filename}"
                if size == min(FILES):
                    running.repository("files", "generic")
                running.request("PUT", path, made.content, user=ADMIN.user)
                (folder / "root" / made.filename).write_bytes(made.content)
                yield from file_figures(size, least, {"ours": (ours, path), "nginx": (static, f"/{made.filename}")})


def index_figures(places: Mapping[str, tuple[Server, str]]) -> Iterator[Figure]:
    loads = measured(places)
    rates = {name: [load.rate.per_second for load in these] for name, these in loads.items()}
    costs = {name: [load.cpu for load in these] for name, these in loads.items()}
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, least in (("bare", 0.6), ("nginx", 0.2)):
        yield Figure(
            f"index page against {name}", rate(middle["ours"]), rate(middle[name]), ratio(rates["ours"], rates[name]),
            least=least,
        )  # fmt: skip
    yield Figure(
        "index page: processor, against bare", microseconds(statistics.median(costs["ours"])),
        microseconds(statistics.median(costs["bare"])), ratio(costs["ours"], costs["bare"]), most=1.5,
    )  # fmt: skip
    spreads = {
        name: statistics.median(load.rate.p99 / load.rate.p50 for load in these) for name, these in loads.items()
    }
    p50, p99 = (statistics.median(getattr(load.rate, name) for load in loads["ours"]) for name in ("p50", "p99"))
    yield Figure(
        "index page: p99 against median", milliseconds(p99), milliseconds(p50), spreads["ours"],
        most=round(max(3.0, spreads["bare"]), 1),  # where even a constant is sent unevenly, it is the machine
    )  # fmt: skip


def file_figures(size: int, least: float, places: Mapping[str, tuple[Server, str]]) -> Iterator[Figure]:
    rates = {name: [load.rate.per_second for load in these] for name, these in measured(places).items()}
    yield Figure(
        f"file of {size // KIB} KiB against nginx", rate(statistics.median(rates["ours"])),
        rate(statistics.median(rates["nginx"])), ratio(rates["ours"], rates["nginx"]), least=least,
    )  # fmt: skip


def measured(places: Mapping[str, tuple[Server, str]]) -> dict[str, list[Load]]:
    """Rounds of load in which all take turns, after one that does not count."""
    loads: dict[str, list[Load]] = {name: [] for name in places}
    works: dict[str, Callable[[], float]] = {}
    for name, (server, path) in places.items():
        headers = {"accept-encoding": "identity", **(ADMIN.header if name == "ours" else {})}

        def load(
            server: Server = server, path: str = path, headers: dict[str, str] = headers, name: str = name
        ) -> float:
            before = cpu_seconds(server.pid)
            done = wrk(f"http://127.0.0.1:{server.port}{path}", SECONDS, headers)
            loads[name].append(Load(done, (cpu_seconds(server.pid) - before) / done.requests))
            return done.per_second

        works[name] = load
    alternate(works, 1)
    for these in loads.values():
        these.clear()
    alternate(works, ROUNDS)
    return loads
