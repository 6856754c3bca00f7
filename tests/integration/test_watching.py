"""Watching a registry that runs as its users run it: metrics of several workers on a port of their own, the audit on
standard output, live streams over sockets.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live import ADMIN_PASSWORD, Live, live

WAIT_SECONDS = 20.0
ADMIN = {"Authorization": "Basic " + b64encode(f"admin:{ADMIN_PASSWORD}".encode()).decode()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(metrics_port: int) -> Iterator[Live]:
    environ = {"AK_API_WORKERS": "2", "METRICS_PORT": str(metrics_port), "AUDIT_STREAM": "stdout"}
    with live(environ) as started:
        started.repository("files", "generic")
        assert started.request("PUT", "/general/files/a.txt", b"a", user="admin").status == 201
        yield started


def until(found: Callable[[], Any], expected: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not expected(value := found()):
        assert time.monotonic() < deadline, value
        time.sleep(0.1)
    return value


def scraped(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


DOWNLOADED = (
    "ak_http_requests_total",
    (("method", "GET"), ("path", "/general/{repository}/{path+}"), ("status", "200")),
)


# metrics


def test_the_port_tells_the_sum_over_all_workers_without_a_credential(running: Live, metrics_port: int) -> None:
    before = scraped(metrics_port).get(DOWNLOADED, 0)
    for _ in range(40):  # each on a connection of its own: both workers get some
        assert running.request("GET", "/general/files/a.txt").status == 200
    found = until(lambda: scraped(metrics_port), lambda found: found.get(DOWNLOADED, 0) - before >= 40)
    assert found[DOWNLOADED] - before == 40
    assert found["ak_artifact_downloads_total", ()] >= 40
    assert found["ak_http_request_duration_seconds_count", DOWNLOADED[1][:2]] >= 40
    assert found["ak_projection_lag_events", (("projection", "audit-stream"),)] >= 0
    assert found["ak_projection_failed_position", (("projection", "catalogue"),)] == 0
    assert found["ak_log_writer_events_total", ()] >= found["ak_log_writer_batches_total", ()] >= 2
    for _ in range(10):
        reply = running.request("GET", "/api/v1/admin/metrics", user="admin")
        assert f"ak_artifact_downloads_total {found['ak_artifact_downloads_total', ()]}" in reply.body.decode()


def test_there_is_nothing_else_on_that_port(running: Live, metrics_port: int) -> None:
    for path in ("/", "/api/v1/repositories", "/metrics/more"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}{path}", timeout=5)
        refused.value.close()
        assert refused.value.code == 404
    assert running.request("GET", "/metrics").status == 404


def test_counts_survive_the_worker_that_counted_and_the_port_its_owner(running: Live, metrics_port: int) -> None:
    before = until(lambda: scraped(metrics_port), lambda found: DOWNLOADED in found)[DOWNLOADED]
    time.sleep(1.5)  # what a worker counted in its last second dies with it
    workers = [pid for pid in running.children()["api"] if pid != running.children()["api"][0]]
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    running.wait_until_ready()
    found = until(lambda: scraped(metrics_port), lambda found: DOWNLOADED in found)
    assert found[DOWNLOADED] >= before
    running.request("GET", "/general/files/a.txt")
    until(lambda: scraped(metrics_port).get(DOWNLOADED, 0), lambda count: count >= before + 1)


# the audit on standard output


def lines(running: Live) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.output.read_text().splitlines()]


def test_every_event_is_one_line_of_json_and_nothing_else_is_there(running: Live) -> None:
    assert running.request("GET", "/api/v1/admin/stats").status == 401
    body: dict[str, Any] = {"username": "admin", "password": "not it"}
    assert running.request("POST", "/api/v1/auth/login", body).status == 401
    assert running.request("POST", "/api/v1/auth/login", {**body, "password": ADMIN_PASSWORD}).status == 200
    found = until(lambda: lines(running), lambda found: any(line["action"] == "LOGIN" for line in found))
    items = running.request("GET", "/api/v1/audit/events?after=0&limit=1000", user="admin").json()["items"]
    assert [line["event_id"] for line in found] == [item["id"] for item in items][: len(found)]
    for line, item in zip(found, items, strict=False):
        assert set(line) == {
            "schema_version", "category", "event_id", "position", "timestamp", "action", "outcome", "actor",
            "source_ip", "resource", "correlation_id", "details",
        }  # fmt: skip
        assert (line["schema_version"], line["category"]) == (1, "audit")
        assert (line["action"], line["details"]) == (item["action"], item["event"])
        assert line["actor"]["name"] == item["actor_username"]
        assert line["resource"]["name"] == item["resource_name"]
    by_action = {line["action"]: line for line in found}
    assert by_action["USER_CREATED"]["details"]["password"] == "[REDACTED]"
    assert by_action["USER_CREATED"]["resource"]["name"] == "admin"
    assert by_action["LOGIN_FAILED"]["outcome"] == "failure"
    assert by_action["ARTIFACT_UPLOADED"]["source_ip"] == "127.0.0.1"


def test_no_line_is_lost_when_the_process_that_prints_dies(running: Live) -> None:
    for number, victim in enumerate(running.children()["project"]):
        assert running.request("PUT", f"/general/files/before-{number}.txt", b"", user="admin").status == 201
        os.kill(victim, signal.SIGKILL)
        after = running.request("PUT", f"/general/files/after-{number}.txt", b"", user="admin")
        assert after.status in {201, 202}, "202 is stored, and shown by no index yet"
    head = running.request("GET", "/api/v1/audit/events?limit=1", user="admin").json()["items"][0]["position"]
    found = until(lambda: lines(running), lambda found: found[-1]["position"] >= head)
    positions = [line["position"] for line in found]
    assert set(positions) >= set(range(1, head + 1))
    assert len({line["event_id"] for line in found}) == max(positions)


# streams over sockets


class Browser:
    """An EventSource over a socket."""

    def __init__(self, running: Live, path: str, last_id: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", running.port, timeout=WAIT_SECONDS)
        self._connection.request("GET", path, headers={**ADMIN, **({"Last-Event-ID": last_id} if last_id else {})})
        self._answer: HTTPResponse = self._connection.getresponse()
        self.last_id = last_id

    def next(self) -> tuple[str, Any]:
        """The kind and the data of the next event."""
        kind, data = "message", ""
        while True:
            line = self._answer.readline().decode()
            if not line:
                raise EOFError
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif line == "\n" and data:
                return kind, json.loads(data)

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/audit/stream?action=ARTIFACT_UPLOADED"])
def test_a_browser_hears_what_happens_and_goes_on_where_it_was(running: Live, path: str) -> None:
    name = path.replace("/", "-").partition("?")[0]
    browser = Browser(running, path)
    if "audit" not in path:
        assert browser.next() == ("connected", {"status": "ok"})
    else:
        time.sleep(0.5)  # nothing says that it has begun
    assert running.request("PUT", f"/general/files/{name}/1.txt", b"1", user="admin").status == 201
    first = browser.next()[1]
    assert "artifact.uploaded" in first.values() or "ARTIFACT_UPLOADED" in first.values()
    browser.close()
    for number in (2, 3):
        assert running.request("PUT", f"/general/files/{name}/{number}.txt", b"1", user="admin").status == 201
    again = Browser(running, path, browser.last_id)
    heard = [again.next() for _ in range(2 if "audit" in path else 3)]
    again.close()
    assert len({json.dumps(data) for _, data in heard} | {json.dumps(first)}) == len(heard) + 1


def test_clients_that_vanish_are_forgotten(running: Live, metrics_port: int) -> None:
    in_flight = ("ak_http_requests_in_flight", ())
    until(lambda: scraped(metrics_port).get(in_flight, 99), lambda number: number <= 2)
    browsers = [Browser(running, "/api/v1/audit/stream") for _ in range(20)]
    until(lambda: scraped(metrics_port).get(in_flight, 0), lambda number: number >= 20)
    for browser in browsers:
        browser.close()
    until(lambda: scraped(metrics_port).get(in_flight, 99), lambda number: number <= 2)


def test_streams_end_when_the_server_is_told_to_stop(running: Live) -> None:
    browser = Browser(running, "/api/v1/events/stream")
    browser.next()
    started = time.monotonic()
    assert running.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 28
    with pytest.raises((EOFError, OSError)):
        browser.next()
    browser.close()
    running.start()
