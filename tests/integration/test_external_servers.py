"""A registry on servers that others run: PostgreSQL, Valkey and an object store, as one tree and as separate processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml

from tests.integration.harness import multipart
from tests.live import ADMIN_PASSWORD, Live, live
from tests.samples.pypi.make import wheel
from tests.servers.meilisearch import KEY, SearchServer, search_server
from tests.servers.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server

LARGE = os.urandom(9 * 1024 * 1024)
COMPOSE = Path(__file__).parents[2] / "compose.yaml"
SECRETS = {
    "JWT_SECRET": "9f1b7c0d5e3a48627d0f6c1e8b5a3947",
    "AK_INSTANCE_KEY": "7493a5b8e1c6f0d72684a3e5d0c7b1f9",
    "ADMIN_PASSWORD": ADMIN_PASSWORD,
}


@pytest.fixture
def elsewhere(empty_postgres_dsn: str, valkey_url: str, s3_server: S3Server) -> dict[str, str]:
    return {
        "DATABASE_URL": empty_postgres_dsn,
        "REDIS_URL": valkey_url,
        "STORAGE_BACKEND": "s3",
        "S3_ENDPOINT": s3_server.endpoint,
        "S3_REGION": REGION,
        "S3_BUCKET": BUCKET,
        "S3_PREFIX": s3_server.new_prefix(),
        "S3_ACCESS_KEY_ID": ACCESS_KEY,
        "S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }


@pytest.fixture
def search(servers_directory: Path) -> Iterator[SearchServer]:
    started = search_server(servers_directory / "external-search")
    started.start()
    yield started
    started.kill()


def publish_and_read_back(running: Live) -> None:
    running.repository("files", "generic")
    running.repository("python", "pypi")
    assert running.request("PUT", "/general/files/large.bin", LARGE, user="admin").status == 201
    assert running.request("GET", "/general/files/large.bin").body == LARGE
    part = running.request("GET", "/general/files/large.bin", headers={"Range": f"bytes={len(LARGE) - 5}-"})
    assert (part.status, part.body) == (206, LARGE[-5:])
    sample = wheel("demo")
    form = [(":action", "file_upload"), ("filetype", "bdist_wheel"), ("name", "demo"), ("version", "1.0")]
    form.append(("metadata_version", "2.4"))
    body, media_type = multipart(form, [("content", sample.filename, sample.content)])
    sent = running.request("POST", "/pypi/python/", body, user="admin", headers={"Content-Type": media_type})
    assert sent.status == 200, sent.body
    assert sample.filename.encode() in running.request("GET", "/pypi/python/simple/demo/").body
    assert running.request("GET", f"/pypi/python/simple/demo/{sample.filename}").body == sample.content


def test_one_tree_uses_the_servers_that_it_is_given_and_starts_none_of_its_own(
    elsewhere: dict[str, str], s3_server: S3Server
) -> None:
    with live(elsewhere) as running:
        assert {"postgres", "valkey-server"}.isdisjoint(running.children())
        publish_and_read_back(running)
        stored = list(s3_server.client().list_objects(BUCKET, elsewhere["S3_PREFIX"] + "/", recursive=True))
        assert len(LARGE) in {item.size for item in stored}
        with psycopg.connect(elsewhere["DATABASE_URL"]) as connection:
            found = connection.execute("SELECT count(*) FROM es_events WHERE topic = 'artifact.published'").fetchone()
        assert found == (2,)
        with redis.Redis.from_url(elsewhere["REDIS_URL"]) as client:
            assert client.dbsize() > 0
        assert not (running.folder / "postgres").exists()
        redirecting = {"PRESIGNED_DOWNLOADS_ENABLED": "true"}
        assert running.stop() == 0
        running.environ |= redirecting
        running.start()
        assert running.request("GET", "/general/files/large.bin").body == LARGE  # urllib follows


def composed() -> dict[str, dict[str, str]]:
    """The variables of each service of ours in compose.yaml, its own secrets put in."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    ours = {
        name: service for name, service in loaded["services"].items() if name in {"api", "project", "work", "migrate"}
    }
    return {name: dict(service["environment"]) for name, service in ours.items()}


@contextmanager
def started(name: str, environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", name], env=environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_separate_processes_with_the_variables_of_the_compose_file_serve_together(
    elsewhere: dict[str, str], search: SearchServer, tmp_path: Path
) -> None:
    running = Live(tmp_path)
    beside = {name: value for name, value in os.environ.items() if not name.startswith("AK_")}

    def environment(name: str) -> dict[str, str]:
        variables = {key: value for key, value in composed()[name].items() if not value.startswith("${")}
        assert variables["ENVIRONMENT"] == "production"
        variables |= {"MEILISEARCH_URL": search.url, "MEILISEARCH_API_KEY": KEY}
        own = {
            "AK_DATA_DIR": str(tmp_path / "data"),
            "BIND_ADDRESS": f"127.0.0.1:{running.port}",
            "AK_API_WORKERS": "2",
        }
        return {**beside, **variables, **elsewhere, **SECRETS, **own, "RATE_LIMIT_ENABLED": "false"}

    command = [sys.executable, "-m", "api"]
    for expected in ("applied 0001", ""):
        migrated = subprocess.run(
            [*command, "migrate"], env=environment("migrate"), capture_output=True, text=True, check=True, timeout=60
        )
        assert migrated.stdout.startswith(expected)
    assert migrated.stdout == ""
    with (
        started("project", environment("project"), tmp_path / "project.log") as projecting,
        started("work", environment("work"), tmp_path / "work.log") as working,
        started("api", environment("api"), tmp_path / "api.log") as answering,
    ):
        running.process, running.log = answering, tmp_path / "api.log"
        running.wait_until_ready()
        publish_and_read_back(running)
        assert running.request("GET", "/readyz").status == 200
        _wait_for_a_done_job(elsewhere["DATABASE_URL"])
        _wait_for_a_mistyped_word(running)
        # a second projector stands by and takes over from one that is killed
        with started("project", environment("project"), tmp_path / "second.log"):
            projecting.kill()
            assert running.request("PUT", "/general/files/after.txt", b"after", user="admin").status == 201
            assert running.request("GET", "/general/files/after.txt").body == b"after"
        assert working.poll() is None
    assert (answering.returncode, working.returncode) == (0, 0)


def _wait_for_a_mistyped_word(running: Live) -> None:
    """Which PostgreSQL would not find."""
    deadline = time.monotonic() + 30
    while not running.request("GET", "/api/v1/search/advanced?query=lerge").json()["items"]:
        assert time.monotonic() < deadline, "the search engine does not answer"
        time.sleep(0.2)


def _wait_for_a_done_job(dsn: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM job_schedule WHERE done_at IS NOT NULL").fetchone():
            assert time.monotonic() < deadline, "the worker did no job"
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("command", "changes", "status", "named"),
    [
        ("serve", {"S3_BUCKET": "no-such-bucket"}, 2, "S3_BUCKET"),
        ("api", {"S3_BUCKET": "no-such-bucket"}, 2, "S3_BUCKET"),
        ("serve", {"S3_SECRET_ACCESS_KEY": "not-the-secret-of-this-server"}, 2, "S3_SECRET_ACCESS_KEY"),
        ("serve", {"S3_ENDPOINT": "http://127.0.0.1:9/with/a/path"}, 2, "S3_ENDPOINT"),
        ("work", {"S3_CA_CERT_PATH": "/nonexistent/ca.pem"}, 2, "S3_CA_CERT_PATH"),
        ("serve", {"STORAGE_BACKEND": "tape"}, 2, "STORAGE_BACKEND"),
        ("api", {"AK_LOG_SIGNING_KEY": "-----NOT A KEY-----"}, 2, "AK_LOG_SIGNING_KEY"),
        ("project", {"JWT_SECRET": "much-too-brief"}, 2, "JWT_SECRET"),
        ("migrate", {"DATABASE_URL": "mysql://elsewhere"}, 2, "DATABASE_URL"),
        ("serve", {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, 3, "DATABASE_URL"),
        ("work", {"REDIS_URL": "http://elsewhere"}, 2, "REDIS_URL"),
        ("project", {"MEILISEARCH_URL": "elsewhere"}, 2, "MEILISEARCH_URL"),
        ("serve", {"BIND_ADDRESS": "nowhere"}, 2, "BIND_ADDRESS"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(
    elsewhere: dict[str, str], tmp_path: Path, command: str, changes: dict[str, str], status: int, named: str
) -> None:
    found = Live(tmp_path, {**elsewhere, **changes}).command(command)
    assert found.returncode == status, found.stderr
    assert named in found.stderr
    assert "Traceback" not in found.stderr
    if named in {"JWT_SECRET", "S3_SECRET_ACCESS_KEY", "AK_LOG_SIGNING_KEY"}:
        assert changes[named] not in found.stderr


@pytest.mark.parametrize("command", ["serve", "api"])
def test_an_address_that_somebody_else_listens_on_stops_the_start(
    elsewhere: dict[str, str], tmp_path: Path, command: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = Live(tmp_path, {**elsewhere, "BIND_ADDRESS": address}).command(command)
    assert found.returncode == 2, found.stderr
    assert f"BIND_ADDRESS must be an address to listen on, not {address}" in found.stderr


def test_a_key_that_the_search_engine_does_not_take_stops_the_start(
    elsewhere: dict[str, str], search: SearchServer, tmp_path: Path
) -> None:
    wrong = {"MEILISEARCH_URL": search.url, "MEILISEARCH_API_KEY": "a-key-of-another-server"}
    found = Live(tmp_path, {**elsewhere, **wrong}).command("serve")
    assert found.returncode == 2, found.stderr
    assert "MEILISEARCH_API_KEY" in found.stderr
    assert wrong["MEILISEARCH_API_KEY"] not in found.stderr
