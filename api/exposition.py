"""Metrics in the text form of Prometheus: figures of the workers, and what the database knows of the whole."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.metrics import Metrics, gauge
from application.health import State
from application.jobs import JobState
from domain.errors import RegistryError

_log = logging.getLogger(__name__)

MEDIA_TYPE = "text/plain; version=0.0.4"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=utf-8"
REMEMBER_SECONDS = 5.0
REMEMBER_BLOBS_SECONDS = 300.0
"""Adding up every distinct blob takes a second for each million of them."""

BIND_SECONDS = 2.0


class Whole(Collector):
    """Families of what is so for all processes together; asked at most every REMEMBER_SECONDS."""

    def __init__(
        self,
        state: State,
        downloads: Callable[[], int],
        jobs: Callable[[], Sequence[JobState]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._jobs = jobs
        self._blobs = (0, 0)
        self._blobs_until = float("-inf")
        self._downloads = downloads
        self._clock = clock
        self._lock = threading.Lock()
        self._known: list[Metric] = []
        self._until = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """While the database is away, only that it is."""
        with self._lock:
            if self._clock() >= self._until:
                self._known = self._ask()
                self._until = self._clock() + REMEMBER_SECONDS
            return iter(self._known)

    def _ask(self) -> list[Metric]:
        try:
            return [*self._found(), gauge("ak_database_up", "Whether the database answers.", [((), 1)])]
        except RegistryError as error:
            _log.warning("metrics of the database are missing: %s", error)
            return [gauge("ak_database_up", "Whether the database answers.", [((), 0)])]

    def _found(self) -> Iterator[Metric]:
        totals, states = self._state.totals(), self._state.projections()
        yield gauge("ak_artifacts_total", "Artifacts there are.", [((), totals.artifacts)])
        yield gauge("ak_packages_total", "Packages there are.", [((), totals.packages)])
        yield gauge("ak_repositories_total", "Repositories there are.", [((), totals.repositories)])
        yield gauge("ak_users_total", "Accounts there are.", [((), totals.users)])
        yield gauge(
            "ak_storage_used_bytes", "Bytes of all artifacts, shared ones for each.", [((), totals.storage_bytes)]
        )
        blobs, blob_bytes = self._stored()
        yield gauge("ak_storage_blobs", "Distinct blobs that artifacts need; minutes old.", [((), blobs)])
        yield gauge("ak_storage_blob_bytes", "Bytes of these blobs.", [((), blob_bytes)])
        yield gauge("ak_downloads_recorded_total", "Downloads ever counted.", [((), self._downloads())])
        yield gauge("ak_log_head_position", "Position of the last event.", [((), self._state.head())])
        for name, text, field in _PROJECTION_GAUGES:
            values = [((state.name,), float(getattr(state, field) or 0)) for state in states]
            yield gauge(name, text, values, ("projection",))
        yield from _job_gauges(self._jobs())

    def _stored(self) -> tuple[int, int]:
        if self._clock() >= self._blobs_until:
            self._blobs = self._state.blobs()
            self._blobs_until = self._clock() + REMEMBER_BLOBS_SECONDS
        return self._blobs


_PROJECTION_GAUGES = (
    ("ak_projection_position", "How far a read model is.", "position"),
    ("ak_projection_lag_events", "Events that a read model has not seen yet.", "lag"),
    ("ak_projection_lag_seconds", "How long the first of them has been waiting.", "lag_seconds"),
    ("ak_projection_failed_position", "The event at which a read model halted; 0 while it goes on.", "failed_at"),
    ("ak_projection_skipped_events", "Events that a read model left out because it could not take them.", "skipped"),
)


def _job_gauges(states: Sequence[JobState]) -> Iterator[Metric]:
    done = [((state.name,), state.done_at.timestamp() if state.done_at else 0.0) for state in states]
    yield gauge("ak_job_done_timestamp_seconds", "When a recurring job was done last; 0 for never.", done, ("job",))
    failures = [((state.name,), float(state.failures)) for state in states]
    yield gauge("ak_job_failures", "How often in a row a recurring job failed.", failures, ("job",))
    running = [((state.name,), float(state.running)) for state in states]
    yield gauge("ak_job_running", "Whether a recurring job is under way.", running, ("job",))


class Exposition:
    """Renders everything, for the management route and for the listener."""

    def __init__(self, metrics: Metrics, whole: Whole) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(whole)
        self._registry.register(_Workers(metrics))

    def render(self) -> bytes:
        """The text."""
        return generate_latest(self._registry)


class _Workers(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()


class MetricsListener:
    """`/metrics` without credentials on a port of its own. Of several workers one has the port, others wait for it."""

    def __init__(self, host: str, port: int, render: Callable[[], bytes]) -> None:
        self._address = (host, port)
        self._render = render
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread = threading.Thread(target=self._run, name="metrics-listener", daemon=True)

    def start(self) -> None:
        """Listen, as soon as the port is free."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
        self._thread.join(timeout=5)

    @property
    def port(self) -> int | None:
        """The port while this process has it."""
        return self._server.server_address[1] if self._server is not None else None

    def _run(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                server = _Server(self._address, _handler(self._render))
            except OSError as error:
                if not told:
                    _log.info("metrics port %d is taken, perhaps by another worker: %s", self._address[1], error)
                    told = True
                self._stopping.wait(BIND_SECONDS)
                continue
            with server:
                self._server = server
                if not self._stopping.is_set():
                    server.serve_forever(poll_interval=0.2)
                self._server = None
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = False


def _handler(render: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "artifact-keeper"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = render()
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    return Handler
