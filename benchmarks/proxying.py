"""Remote repositories: what standing between a client and an upstream costs.

`python -m benchmarks proxying`: an upstream in this process, at the speed of loopback and at that of a line of 100 Mbit/s.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.figures import Figure, mebibytes, milliseconds, rate
from benchmarks.http_load import Request, many, once
from benchmarks.ours import ADMIN, index_of
from benchmarks.rounds import alternate, ratio
from tests.live import Live, live
from tests.servers.upstream import Handler, Upstream

MIB = 1 << 20
LINE_BYTES_PER_SECOND = 12_500_000
CLIENTS = 200
ROUNDS = 5
HITS = 2_000


def figures() -> Iterator[Figure]:
    """Cold files, many at once, warm pages."""
    with Upstream() as upstream, live({"AK_API_WORKERS": "2"}) as running:
        body = {
            "key": "mirror", "name": "mirror", "format": "pypi", "repo_type": "remote", "upstream_url": upstream.url,
        }  # fmt: skip
        assert running.request("POST", "/api/v1/repositories", body, user="admin").status < 300
        yield cold(running, upstream, "loopback", 100 * MIB, None)
        yield cold(running, upstream, "a line of 100 Mbit/s", 20 * MIB, 1.1)
        yield crowd(running, upstream)
        yield warm(running, upstream)


def offer(upstream: Upstream, name: str, content: bytes, *, slow: bool = False) -> str:
    """Have the upstream list one file; its path below the simple index of both."""
    file = f"{name}-1.0.tar.gz"
    listed = {"filename": file, "url": f"../../files/{file}", "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
    page = json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": [listed]}).encode()
    upstream.put(f"/simple/{name}/", page, "application/vnd.pypi.simple.v1+json")
    upstream.put(f"/files/{file}", content)
    if slow:
        upstream.special[f"/files/{file}"] = partial(trickle, content)
    return f"/simple/{name}/{file}"


def trickle(content: bytes, ask: Handler) -> None:
    """The bytes at the speed of a line."""
    ask.send_response(200)
    ask.send_header("content-length", str(len(content)))
    ask.end_headers()
    begun = time.perf_counter()
    for start in range(0, len(content), 64 * 1024):
        ask.wfile.write(content[start : start + 64 * 1024])
        time.sleep(max(0.0, start / LINE_BYTES_PER_SECOND - (time.perf_counter() - begun)))


def timed(get: Callable[[], tuple[int, int]], size: int) -> float:
    begun = time.perf_counter()
    answer = get()
    assert answer == (200, size), answer
    return time.perf_counter() - begun


def cold(running: Live, upstream: Upstream, title: str, size: int, most: float | None) -> Figure:
    """Seconds for a file that was never asked for, through us and from the upstream itself."""
    numbers, content = itertools.count(), os.urandom(size)
    port = int(upstream.url.rpartition(":")[2])

    def through() -> float:
        name = f"cold{size}x{next(numbers)}"
        path = offer(upstream, name, next(numbers).to_bytes(8) + content[8:], slow=most is not None)
        once(running.port, Request("GET", f"/pypi/mirror/simple/{name}/", ADMIN.header))
        return timed(lambda: once(running.port, Request("GET", f"/pypi/mirror{path}", ADMIN.header)), size)

    def directly() -> float:
        offer(upstream, "direct", content, slow=most is not None)
        return timed(lambda: once(port, Request("GET", "/files/direct-1.0.tar.gz", {})), size)

    samples = alternate({"ours": through, "direct": directly}, ROUNDS if most is None else 3)
    return Figure(
        f"first download of {mebibytes(size)} over {title} against none between",
        milliseconds(statistics.median(samples["ours"])),
        milliseconds(statistics.median(samples["direct"])),
        ratio(samples["ours"], samples["direct"]),
        most=most,
    )


def crowd(running: Live, upstream: Upstream) -> Figure:
    """How often the upstream is asked when many want the same at once."""
    path = offer(upstream, "crowd", os.urandom(20 * MIB), slow=True)
    once(running.port, Request("GET", "/pypi/mirror/simple/crowd/", ADMIN.header))
    request = Request("GET", f"/pypi/mirror{path}", ADMIN.header)
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(lambda _: once(running.port, request), range(CLIENTS)))
    seconds = time.perf_counter() - begun
    assert answers == [(200, 20 * MIB)] * CLIENTS
    asked = upstream.asked["/files/crowd-1.0.tar.gz"]
    what = f"requests to the upstream for {CLIENTS} at once over two workers"
    return Figure(what, f"{asked}", f"{seconds:.1f} s in all", float(asked), unit="", most=1)


def warm(running: Live, upstream: Upstream) -> Figure:
    """Pages a second that are in memory, remote against local."""
    index = index_of(running, "local")
    page = once_body(running, index.page)
    upstream.put("/simple/demo/", page, "application/vnd.pypi.simple.v1+json")
    works = {
        "remote": partial(rate_of, running, "/pypi/mirror/simple/demo/"),
        "local": partial(rate_of, running, index.page),
    }
    alternate(works, 1)
    samples = alternate(works, ROUNDS)
    return Figure(
        "a page of a remote repository that is fresh, against a local one",
        rate(statistics.median(samples["remote"])),
        rate(statistics.median(samples["local"])),
        ratio(samples["remote"], samples["local"]),
        least=0.9,
    )


def once_body(running: Live, path: str) -> bytes:
    headers = {"accept": "application/vnd.pypi.simple.v1+json"}
    return running.request("GET", path, user="admin", headers=headers).body


def rate_of(running: Live, path: str) -> float:
    begun = time.perf_counter()
    many(running.port, [Request("GET", path, ADMIN.header)] * HITS, connections=4)
    return HITS / (time.perf_counter() - begun)
