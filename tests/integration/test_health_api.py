"""Probes and metrics over the real gate: while all is well, while a read model halts, while the database is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from application.log import Change
from domain.event import SYSTEM
from domain.package import TagSet
from tests.integration.product import Product, product

API = "/api/v1"
WAIT_SECONDS = 15.0


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory) as started:
        started.repository("libs", "generic")
        for name in ("a.txt", "copy-of-a.txt"):
            assert started.call("PUT", f"/general/libs/{name}", b"a" * 10, auth=started.admin).status == 201
        yield started


def samples(running: Product) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Everything that a scraper would read: name and labels to value."""
    reply = running.call("GET", f"{API}/admin/metrics", auth=running.admin)
    assert reply.status == 200
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_all_is_well(running: Product) -> None:
    for path in ("/health", "/healthz"):
        reply = running.call("GET", path)
        body = reply.json()
        assert (reply.status, body["status"], body["demo_mode"]) == (200, "healthy", False)
        assert body["checks"] == {
            name: {"status": "healthy"} for name in ("database", "storage", "projections", "jobs")
        }
        assert set(body) == {"status", "version", "demo_mode", "checks"}
        assert reply.header("cache-control") == "no-store"
    for path in ("/ready", "/readyz"):
        reply = running.call("GET", path)
        assert (reply.status, reply.json()["status"]) == (200, "ready")
        checks = {name: check["status"] for name, check in reply.json()["checks"].items()}
        assert checks == {
            "database": "healthy", "migrations": "healthy", "projections": "healthy", "setup_complete": "complete",
        }  # fmt: skip
    reply = running.call("GET", "/livez")
    assert (reply.status, reply.json()) == (200, {"status": "ok"})


def test_probes_ask_for_no_credential_and_mind_no_bad_one(running: Product) -> None:
    for path in ("/health", "/readyz", "/livez"):
        assert running.call("GET", path, headers={"authorization": "Bearer nonsense"}).status == 200


def test_there_are_no_metrics_without_a_credential(running: Product) -> None:
    assert running.call("GET", "/metrics").status == 404
    assert running.call("GET", f"{API}/admin/metrics").status == 401


def test_figures_are_told_only_where_that_was_chosen(postgres_dsn: str, tmp_path: Path) -> None:
    with product(postgres_dsn, tmp_path, EXPOSE_DETAILED_HEALTH="true") as detailed:
        pool = detailed.call("GET", "/health").json()["db_pool"]
    assert set(pool) == {"max_connections", "idle_connections", "active_connections", "size"}
    assert pool["max_connections"] == 10


def test_metrics_tell_of_the_whole_registry(running: Product) -> None:
    found = samples(running)

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert value("ak_repositories_total") >= 1
    assert value("ak_artifacts_total") == 2
    assert value("ak_storage_used_bytes") == 20
    assert (value("ak_storage_blobs"), value("ak_storage_blob_bytes")) == (1, 10)
    assert value("ak_users_total") >= 1
    assert value("ak_database_up") == 1
    assert value("ak_log_head_position") == running.head()
    for name in ("access", "audit", "catalogue", "search", "transparency"):
        assert value("ak_projection_lag_events", projection=name) >= 0
        assert value("ak_projection_lag_seconds", projection=name) >= 0
        assert value("ak_projection_failed_position", projection=name) == 0
    assert value("ak_db_pool_connections_max") == 10
    events, commands = value("ak_log_writer_events_total"), value("ak_log_writer_commands_total")
    assert events >= commands >= value("ak_log_writer_batches_total") >= 3
    assert value("ak_log_writer_queue") == 0


def test_requests_are_measured_by_their_route_and_never_by_their_address(running: Product) -> None:
    secret = uuid4().hex
    before = samples(running)
    for _ in range(3):
        running.call("GET", "/general/libs/a.txt")
    running.call("GET", f"/general/libs/{secret}")
    running.call("GET", f"/{secret}")
    running.call("GET", f"{API}/repositories/{secret}", auth=running.admin)
    running.call("GET", f"{API}/packages/{uuid4()}")
    running.call(secret.upper(), "/")
    found = samples(running)
    assert secret not in str(found).lower()
    labels = {"method": "GET", "path": "/general/{repository}/{path+}", "status": "200"}
    key = ("ak_http_requests_total", tuple(sorted(labels.items())))
    assert found[key] - before.get(key, 0) == 3
    timed = ("ak_http_request_duration_seconds_count", (("method", "GET"), ("path", "/general/{repository}/{path+}")))
    assert found[timed] - before.get(timed, 0) == 4
    paths = {dict(labels)["path"] for name, labels in found if name == "ak_http_requests_total"}
    assert f"{API}/repositories/{{key}}" in paths
    assert f"{API}/packages/{{package_id}}" in paths
    assert found["ak_http_responses_total", (("status", "2xx"),)] > 0


def test_uploads_and_downloads_are_measured(running: Product) -> None:
    before = samples(running)
    running.call("PUT", "/general/libs/measured.txt", b"m" * 5_000, auth=running.admin)
    running.call("GET", "/general/libs/measured.txt")
    found = samples(running)
    for name, more in (
        ("ak_artifact_uploads_total", 1),
        ("ak_artifact_downloads_total", 1),
        ("ak_artifact_upload_size_bytes_sum", 5_000),
    ):
        assert found[name, ()] - before[name, ()] == more


@contextmanager
def poisoned(running: Product, projection: str) -> Iterator[int]:
    """While a read model cannot take an event; gives its position. The event itself is good, its place is taken."""
    with psycopg.connect(running.workers[0].app.settings.database_url or "", autocommit=True) as database:
        table = {"catalogue": "view_mark", "audit": "view_audit"}[projection]
        database.execute(f"ALTER TABLE {table} ADD CONSTRAINT refuses CHECK (false) NOT VALID")
        app = running.workers[0].app
        row = app.catalogue.repository("libs")
        assert row is not None
        event = TagSet(repository=row.id, package="poison", tag="latest", version="1")
        receipt = app.log.append([Change(uuid4(), 0, [event], row.id)], SYSTEM)
        try:
            yield receipt.position
        finally:
            database.execute(f"ALTER TABLE {table} DROP CONSTRAINT refuses")


def halted(running: Product, projection: str) -> dict[str, str]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        check: dict[str, str] = running.call("GET", "/health").json()["checks"]["projections"]
        if check["status"] == "unhealthy":
            return check
        assert time.monotonic() < deadline, projection
        time.sleep(0.1)


def test_a_halted_catalogue_is_seen_everywhere_and_makes_the_registry_not_ready(running: Product) -> None:
    with poisoned(running, "catalogue") as position:
        check = halted(running, "catalogue")
        assert check["message"] == f"the read model catalogue halted at event {position}"
        assert running.call("GET", "/health").status == 200
        deadline = time.monotonic() + WAIT_SECONDS
        while (reply := running.call("GET", "/readyz")).status != 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert reply.json()["status"] == "not_ready"
        assert reply.json()["checks"]["projections"]["message"] == check["message"]
        while (found := samples(running))["ak_projection_failed_position", (("projection", "catalogue"),)] != position:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert found["ak_projection_lag_events", (("projection", "catalogue"),)] >= 1
        assert found["ak_projection_lag_seconds", (("projection", "catalogue"),)] > 0
        assert found["ak_projection_failed_position", (("projection", "audit"),)] == 0
        assert running.call("GET", "/general/libs/a.txt").status == 200
    deadline = time.monotonic() + WAIT_SECONDS
    while running.call("GET", "/readyz").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_halted_audit_is_seen_and_takes_nothing_else_down(running: Product) -> None:
    with poisoned(running, "audit"):
        assert "audit" in halted(running, "audit")["message"]
        assert running.call("GET", "/readyz").status == 200
        reply = running.call("PUT", f"/general/libs/{uuid4()}.txt", b"still", auth=running.admin)
        assert reply.status == 201
