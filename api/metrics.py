"""Figures of a process, gathered for next to nothing, and added up over all worker processes when somebody asks.

A request costs one append to a queue. Once a second a thread folds the queue and writes the sums into a file of its
own; whoever is asked for metrics adds up the files of all workers. Counts of a worker that died stay in its file.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

_log = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "_AK_METRICS_DIR"
"""Where the workers of one server leave their figures; set by the process that starts them."""

FOLD_SECONDS = 1.0
ALIVE_SECONDS = 10.0
"""How old the figures of a worker may be until its gauges count no more."""

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BUCKETS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10)
MAX_LABELS = 2_000
"""Combinations of labels that are told apart; all further ones are counted together."""

Labels: TypeAlias = tuple[str, ...]
Gauges: TypeAlias = Callable[[], Mapping[str, float]]
Counters: TypeAlias = Callable[[], Mapping[str, int]]


class Histogram(msgspec.Struct):
    """Counts by bucket, the last one for what is beyond all bounds, and the sum of what was observed."""

    counts: list[int]
    total: float = 0.0

    def add(self, other: Histogram) -> None:
        """Add what another one observed."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class Figures(msgspec.Struct):
    """What a process has counted so far. Keys of counters and histograms: label values joined by line breaks.

    at: when, in seconds since 1970. counters: by name, without `_total`. gauges: what is so at the moment.
    """

    pid: int = 0
    at: float = 0.0
    requests: dict[str, int] = {}
    seconds: dict[str, Histogram] = {}
    uploads: int = 0
    upload_bytes: Histogram = msgspec.field(default_factory=lambda: Histogram([0] * (len(SIZE_BUCKETS) + 1)))
    downloads: int = 0
    counters: dict[str, int] = {}
    gauges: dict[str, float] = {}

    def add(self, other: Figures, *, alive: bool) -> None:
        """Add those of another process. alive: whether what is so there at the moment still is."""
        for key, count in other.requests.items():
            self.requests[key] = self.requests.get(key, 0) + count
        for key, histogram in other.seconds.items():
            self.seconds.setdefault(key, Histogram([0] * len(histogram.counts))).add(histogram)
        self.uploads += other.uploads
        self.upload_bytes.add(other.upload_bytes)
        self.downloads += other.downloads
        for name, number in other.counters.items():
            self.counters[name] = self.counters.get(name, 0) + number
        if alive:
            for name, value in other.gauges.items():
                self.gauges[name] = self.gauges.get(name, 0.0) + value


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Figures).decode


def share_metrics() -> None:
    """Give the workers that this process will start an empty place for their figures; it goes with the process.

    Where there is no room for one, each worker tells its own figures only.
    """
    try:
        directory = tempfile.mkdtemp(prefix="ak-metrics-")
    except OSError as error:
        _log.warning("workers cannot share their metrics: %s", error)
        return
    os.environ[DIRECTORY_VARIABLE] = directory
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)


class Metrics:
    """The figures of this process; keeps the gate's port Observer.

    directory: shared with the other workers of this server; None when there are none. gauges, counters: asked once a
    second.
    """

    def __init__(self, directory: Path | None, gauges: Gauges = dict, counters: Counters = dict) -> None:
        self._directory = directory
        self._gauges = gauges
        self._counters = counters
        self._samples: deque[tuple[str, str, int, float]] = deque()
        self._sizes: deque[int] = deque()
        self._downloads: deque[None] = deque()
        self._in_flight = 0
        self._figures = Figures(pid=os.getpid())
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    # called from the event loop, or from threads

    def begin(self) -> None:
        """A request has come."""
        self._in_flight += 1

    def request(self, method: str, template: str, status: int, seconds: float) -> None:
        """A request was answered. template: its route, never its address."""
        self._in_flight -= 1
        self._samples.append((method, template, status, seconds))

    def upload(self, size_bytes: int) -> None:
        """An artifact was published."""
        self._sizes.append(size_bytes)

    def download(self) -> None:
        """An artifact was downloaded."""
        self._downloads.append(None)

    # the rest is done off the requests

    def start(self) -> None:
        """Begin to fold once a second."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the last figures behind."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.fold()

    def fold(self) -> None:
        """Fold what was observed, and write it down for the other workers."""
        with self._lock:
            figures = self._figures
            while self._samples:
                self._count(*self._samples.popleft())
            while self._sizes:
                figures.uploads += 1
                _observe(figures.upload_bytes, SIZE_BUCKETS, self._sizes.popleft())
            while self._downloads:
                self._downloads.popleft()
                figures.downloads += 1
            figures.gauges = {"ak_http_requests_in_flight": float(max(self._in_flight, 0)), **self._gauges()}
            figures.counters = dict(self._counters())
            figures.at = time.time()
            if self._directory is not None:
                _replace(self._directory / f"{figures.pid}.json", _encode(figures))

    def total(self) -> Figures:
        """The figures of all workers of this server."""
        self.fold()
        with self._lock:
            total = _decode(_encode(self._figures))
        now = time.time()
        for figures in _others(self._directory, total.pid):
            total.add(figures, alive=now - figures.at < ALIVE_SECONDS)
        return total

    def collect(self) -> Iterator[Metric]:
        """The figures of all workers as Prometheus families."""
        return families(self.total())

    def _count(self, method: str, template: str, status: int, seconds: float) -> None:
        figures = self._figures
        method, template = method if method in _METHODS else "other", template or "(none)"
        key = f"{method}\n{template}\n{status}"
        if key not in figures.requests and len(figures.requests) >= MAX_LABELS:
            key, template = f"{method}\n(others)\n{status}", "(others)"
        figures.requests[key] = figures.requests.get(key, 0) + 1
        timed = f"{method}\n{template}"
        histogram = figures.seconds.get(timed)
        if histogram is None:
            histogram = figures.seconds[timed] = Histogram([0] * (len(SECONDS_BUCKETS) + 1))
        _observe(histogram, SECONDS_BUCKETS, seconds)

    def _run(self) -> None:
        while not self._stopping.wait(FOLD_SECONDS):
            try:
                self.fold()
            except Exception:  # noqa: BLE001 - figures are not worth a worker
                _log.exception("metrics were not folded")


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _observe(histogram: Histogram, bounds: tuple[float, ...], value: float) -> None:
    histogram.counts[bisect_left(bounds, value)] += 1
    histogram.total += value


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(path)


def _others(directory: Path | None, own: int) -> Iterator[Figures]:
    for path in directory.glob("*.json") if directory is not None else ():
        if path.stem == str(own):
            continue
        try:
            yield _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue  # of another version, or going away


def families(figures: Figures) -> Iterator[Metric]:
    """Prometheus families of some figures."""
    requests = CounterMetricFamily("ak_http_requests", "Requests answered.", labels=("method", "path", "status"))
    responses: dict[str, int] = {}
    for key, count in figures.requests.items():
        method, template, status = key.split("\n")
        requests.add_metric((method, template, status), count)
        responses[f"{status[:1]}xx"] = responses.get(f"{status[:1]}xx", 0) + count
    yield requests
    by_class = CounterMetricFamily("ak_http_responses", "Answers by class of status.", labels=("status",))
    for kind, count in sorted(responses.items()):
        by_class.add_metric((kind,), count)
    yield by_class
    seconds = HistogramMetricFamily(
        "ak_http_request_duration_seconds", "From the request to the end of its answer.", labels=("method", "path")
    )
    for key, histogram in figures.seconds.items():
        seconds.add_metric(key.split("\n"), _buckets(histogram, SECONDS_BUCKETS), histogram.total)
    yield seconds
    yield CounterMetricFamily("ak_artifact_uploads", "Artifacts published.", value=figures.uploads)
    yield CounterMetricFamily("ak_artifact_downloads", "Artifacts downloaded.", value=figures.downloads)
    sizes = HistogramMetricFamily("ak_artifact_upload_size_bytes", "Sizes of published artifacts.", labels=())
    sizes.add_metric((), _buckets(figures.upload_bytes, SIZE_BUCKETS), figures.upload_bytes.total)
    yield sizes
    for name, number in sorted(figures.counters.items()):
        yield CounterMetricFamily(name, _HELP.get(name, "Summed over the worker processes."), value=number)
    for name, value in sorted(figures.gauges.items()):
        yield GaugeMetricFamily(name, _HELP.get(name, "Summed over the worker processes."), value=value)


_HELP = {
    "ak_http_requests_in_flight": "Requests being answered.",
    "ak_log_writer_queue": "Commands waiting to be appended to the log.",
    "ak_log_writer_batches": "Transactions that appended to the log.",
    "ak_log_writer_commands": "Commands that these transactions appended.",
    "ak_log_writer_events": "Events that these transactions appended.",
    "ak_visibility_timeouts": "Answers given before the read models were known to have caught up.",
    "ak_document_cache_hits": "Documents answered from memory.",
    "ak_document_cache_misses": "Documents that were not in memory.",
    "ak_document_cache_bytes": "Bytes of documents held in memory.",
    "ak_search_engine_away": "Worker processes that the search engine did not answer a moment ago.",
    "ak_search_fallbacks": "Searches that PostgreSQL answered because the search engine was away or behind.",
    "ak_downloads_unwritten": "Downloads counted in memory and not written yet.",
    "ak_downloads_unrecorded": "Downloads of repositories that record access that are not in the log yet.",
}


def _buckets(histogram: Histogram, bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    found, running = [], 0
    for bound, count in zip((*map(_bound, bounds), "+Inf"), histogram.counts, strict=True):
        running += count
        found.append((bound, float(running)))
    return found


def _bound(value: float) -> str:
    return repr(float(value))


def gauge(name: str, text: str, values: Iterable[tuple[Labels, float]], labels: Labels = ()) -> Metric:
    """A family of gauges."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for own, value in values:
        family.add_metric(own, value)
    return family
