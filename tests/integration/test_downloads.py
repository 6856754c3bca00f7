"""Downloads over the real gate: counted where they are shown, and in the log where a repository records access."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import downloads
from application.downloads import Download, DownloadRecorder
from application.resolving import Resolved
from domain.errors import Unavailable
from domain.event import Metadata
from domain.permissions import Principal
from tests.integration.product import Product, product

API = "/api/v1"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory, workers=2) as started:
        yield started


@pytest.fixture
def key(running: Product) -> str:
    """A repository that records access, with two files."""
    name = f"vault-{uuid4().hex[:8]}"
    running.repository(name, "generic", record_access=True, overwrite="allow")
    put(running, name, "a/small.txt", b"small")
    put(running, name, "a/large.bin", b"l" * 200_000)
    return name


def put(running: Product, key: str, path: str, body: bytes) -> None:
    reply = running.call("PUT", f"/general/{key}/{path}", body, auth=running.admin)
    assert reply.status in {200, 201}, reply.body


def get(running: Product, target: str, status: int = 200, **options: Any) -> Any:
    reply = running.call("GET", target, **options)
    assert reply.status == status, (reply.status, reply.body)
    return reply


def until(found: Callable[[], Any], expected: Callable[[Any], bool], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not expected(value := found()):
        assert time.monotonic() < deadline, value
        time.sleep(0.05)
    return value


def recorded(running: Product, key: str, number: int) -> list[dict[str, Any]]:
    """The downloads of a repository in the log, oldest first, once there are so many."""
    target = f"{API}/audit/events?repository={key}&action=ARTIFACT_DOWNLOADED&after=0"
    items: list[dict[str, Any]] = until(
        lambda: running.done("GET", target)["items"], lambda items: len(items) >= number
    )
    return items


def settled(running: Product) -> None:
    for worker in running.workers:
        assert worker.app.recorder.flush()
    assert running.workers[0].app.progress.reached(("audit",), running.head())


def test_every_access_is_an_event_that_says_who_took_what(running: Product, key: str) -> None:
    rita = running.person(f"rita-{key}")
    headers = {"user-agent": "pip/24", "x-correlation-id": "taken"}
    for _ in range(2):
        get(running, f"/general/{key}/a/small.txt", auth=rita, headers=headers)
    get(running, f"/general/{key}/a/large.bin")
    get(running, f"/general/{key}/a/large.bin", 206, headers={"range": "bytes=5-9"})
    items = recorded(running, key, 4)
    assert [item["path"] for item in items] == ["a/small.txt", "a/small.txt", "a/large.bin", "a/large.bin"]
    first = items[0]
    assert (first["actor_username"], first["actor_kind"], first["request_id"]) == (f"rita-{key}", "user", "taken")
    assert (first["ip_address"], first["user_agent"], first["outcome"]) == ("192.0.2.7", "pip/24", "success")
    assert first["resource_type"] == "artifact"
    published = running.done("GET", f"{API}/audit/events?repository={key}&action=ARTIFACT_UPLOADED&after=0")["items"]
    assert first["resource_id"] == published[0]["resource_id"]
    assert first["event"]["sha256"] == published[0]["event"]["sha256"]
    assert items[2]["actor_kind"] == "anonymous"
    assert [item["event"].get("range") for item in items] == [None, None, None, "bytes=5-9"]


def test_what_gives_no_bytes_is_no_access(running: Product, key: str) -> None:
    for path in ("a/small.txt", "a/large.bin"):
        etag = get(running, f"/general/{key}/{path}").header("etag")
        get(running, f"/general/{key}/{path}", 304, headers={"if-none-match": etag})
        assert running.call("HEAD", f"/general/{key}/{path}").status == 200
    get(running, f"/general/{key}/none.txt", 404)
    settled(running)
    assert len(recorded(running, key, 2)) == 2


def test_a_past_download_is_recorded_too_also_through_a_snapshot(running: Product, key: str) -> None:
    position = running.head()
    running.call("DELETE", f"/general/{key}/a/small.txt", auth=running.admin)
    running.done(
        "POST",
        f"{API}/repositories",
        {"key": f"{key}-then", "name": "then", "repo_type": "snapshot", "snapshot_of": key, "snapshot_at": position,
         "is_public": True},
    )  # fmt: skip
    get(running, f"/general/{key}@{position}/a/small.txt")
    get(running, f"/general/{key}-then/a/small.txt")
    items = recorded(running, key, 2)
    assert [item["path"] for item in items] == ["a/small.txt", "a/small.txt"]
    assert {item["repository_key"] for item in items} == {key}


def test_a_preview_is_recorded_and_only_a_whole_one_counts(running: Product, key: str) -> None:
    content = f"{API}/tree/content?repository_key={key}&path=a/large.bin"
    get(running, f"{content}&max_bytes=10")
    get(running, content, headers={"x-correlation-id": "whole"})
    items = recorded(running, key, 2)
    assert items[1]["request_id"] == "whole"
    artifact = UUID(items[0]["resource_id"])
    usage = running.workers[0].app.usage
    assert until(lambda: usage.downloads([artifact]), lambda found: found == {artifact: 1}) == {artifact: 1}


def test_a_repository_that_does_not_ask_for_it_records_nothing(running: Product) -> None:
    key = f"plain-{uuid4().hex[:8]}"
    running.repository(key, "generic")
    put(running, key, "a.txt", b"a")
    get(running, f"/general/{key}/a.txt")
    settled(running)
    target = f"{API}/audit/events?repository={key}&action=ARTIFACT_DOWNLOADED"
    assert running.done("GET", target)["items"] == []


def test_the_setting_takes_effect_on_every_worker_with_the_next_download(running: Product) -> None:
    key = f"later-{uuid4().hex[:8]}"
    running.repository(key, "generic")
    put(running, key, "a.txt", b"a")
    for worker in (0, 1):
        get(running, f"/general/{key}/a.txt", worker=worker)
        get(running, f"/general/{key}/a.txt", worker=worker)
    running.done("PATCH", f"{API}/repositories/{key}", {"record_access": True})
    for worker in (0, 1):
        get(running, f"/general/{key}/a.txt", worker=worker)
    assert len(recorded(running, key, 2)) == 2
    running.done("PATCH", f"{API}/repositories/{key}", {"record_access": False})
    for worker in (0, 1):
        get(running, f"/general/{key}/a.txt", worker=worker)
    settled(running)
    assert len(recorded(running, key, 2)) == 2


def test_single_downloads_are_listed_for_administrators(running: Product, key: str) -> None:
    rita = running.person(f"lister-{key}")
    get(running, f"/general/{key}/a/small.txt", auth=rita)
    get(running, f"/general/{key}/a/large.bin", auth=rita)
    items = recorded(running, key, 2)
    page = running.done("GET", f"{API}/admin/downloads/by-user/{running.user_id(rita)}")
    assert page["total"] == 2
    assert [one["artifact_id"] for one in page["downloads"]] == [item["resource_id"] for item in items[::-1]]
    assert page["downloads"][0]["username"] == f"lister-{key}"
    assert page["downloads"][0]["ip_address"] == "192.0.2.7"
    one = running.done("GET", f"{API}/admin/downloads?artifact_id={items[0]['resource_id']}&per_page=1")
    assert (one["total"], len(one["downloads"])) == (1, 1)
    assert running.done("GET", f"{API}/admin/downloads?from=2100-01-01")["total"] == 0
    assert running.call("GET", f"{API}/admin/downloads?from=x", auth=running.admin).status == 400


def test_the_life_of_an_artifact_is_not_made_longer_by_its_downloads(running: Product, key: str) -> None:
    for _ in range(3):
        get(running, f"/general/{key}/a/small.txt")
    recorded(running, key, 3)
    life = running.done("GET", f"{API}/repositories/{key}/history?path=a/small.txt")
    assert [step["action"] for step in life["steps"]] == ["ARTIFACT_UPLOADED"]


# counting


def test_downloads_are_counted_where_people_see_them(running: Product) -> None:
    key = f"counted-{uuid4().hex[:8]}"
    running.repository(key, "generic")
    put(running, key, "a.txt", b"a")
    before = running.done("GET", f"{API}/admin/stats")["total_downloads"]
    for worker in (0, 1, 0):
        get(running, f"/general/{key}/a.txt", worker=worker, headers={"user-agent": "curl/8"})
    etag = get(running, f"/general/{key}/a.txt", headers={"user-agent": "Wget/1"}).header("etag")
    get(running, f"/general/{key}/a.txt", 304, headers={"if-none-match": etag})
    running.call("HEAD", f"/general/{key}/a.txt")

    def trending() -> list[int]:
        found = running.done("GET", f"{API}/search/trending?limit=50")
        return [item["downloads"] for item in found if item["repository_key"] == key]

    assert until(trending, lambda found: found not in ([], [1], [2], [3])) == [4]
    assert running.done("GET", f"{API}/admin/stats")["total_downloads"] >= before + 4
    today = running.done("GET", f"{API}/admin/analytics/downloads/trend")[-1]
    assert today["download_count"] >= 4
    families = {
        one["client_family"]: one["download_count"]
        for one in running.done("GET", f"{API}/admin/analytics/downloads/clients")
    }
    assert families["curl"] >= 3
    assert families["wget"] >= 1


@pytest.mark.parametrize("query", ["from=x", "to=x", "from=2026-02-02&to=2026-02-01", "from=1900-01-01&to=2026-01-01"])
def test_a_trend_over_days_that_make_no_sense_is_refused(running: Product, query: str) -> None:
    for path in ("trend", "clients"):
        reply = running.call("GET", f"{API}/admin/analytics/downloads/{path}?{query}", auth=running.admin)
        assert (reply.status, reply.json()["code"]) == (400, "VALIDATION_ERROR")


# the recorder by itself


class Away:
    """A recorder whose log is away until told otherwise."""

    def __init__(self, running: Product, key: str) -> None:
        app = running.workers[0].app
        self.app = app
        self.away = True
        finder: Any = None
        self.recorder = DownloadRecorder(self, app.catalogue, finder, self._meta)  # type: ignore[arg-type]
        row = app.catalogue.repository(key)
        assert row is not None
        (self.artifact,) = app.catalogue.artifacts_below(row.id, "a/small.txt")
        self.resolved = Resolved(row, row.id, None)

    def download(self) -> Download:
        return Download(self.artifact.id, self.artifact.sha256, self.resolved, Principal(), "later", "", "")

    def append(self, changes: Any, **options: Any) -> Any:
        """The log's: what was stored, and whether it says so, are two things."""
        receipt = self.app.log.append(changes, **options)
        if self.away:
            raise Unavailable("nobody knows whether it was stored")
        return receipt

    @staticmethod
    def _meta(*_: Any) -> Metadata:
        return Metadata(kind="anonymous", request="later")


def test_what_was_not_known_to_be_stored_is_sent_again_and_stored_once(running: Product, key: str) -> None:
    away = Away(running, key)
    for _ in range(3):
        away.recorder.record(away.download())
    assert not away.recorder.flush()
    assert not away.recorder.flush()
    assert away.recorder.pending == 3
    away.away = False
    assert away.recorder.flush()
    assert away.recorder.pending == 0
    settled(running)
    assert [item["request_id"] for item in recorded(running, key, 3)] == ["later"] * 3


def test_a_download_that_cannot_be_recorded_is_refused(
    running: Product, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_PENDING", 0)
    for path in ("a/small.txt", "a/large.bin"):
        reply = get(running, f"/general/{key}/{path}", 503)
        assert reply.header("retry-after") == "1"
    monkeypatch.undo()
    get(running, f"/general/{key}/a/small.txt")
