"""The database, the object store or the cache away for a while: who asks is told when to return, nothing is half
written, and all goes on without a restart.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import psycopg
import pytest

from domain.permissions import Principal
from infrastructure.postgres import patience, writer
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.publishes import FORMATS, Publish, publish
from tests.servers.relay import Relay
from tests.servers.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server

GIVE_UP_SECONDS = 1.0
"""How long the pool and the log wait for a database here; longer in production."""

SILENCE_SECONDS = 3.0
"""How long they wait for a server that says nothing."""

ANSWER_SECONDS = 20.0

RECOVER_SECONDS = 30.0
JSON = {"content-type": "application/json"}


Asked = tuple[str, str, bytes, dict[str, str]]
"""Method, target, body, headers."""


class Outages:
    """The product, and the cables to its three servers."""

    def __init__(self, running: Product, database: Relay, cache: Relay, store: Relay) -> None:
        self.running, self.database, self.cache, self.store = running, database, cache, store

    def send(self, one: Publish, *, worker: int = 0) -> Reply:
        return self.running.call(
            one.method, one.target, one.body, headers=one.headers, auth=self.running.admin, worker=worker
        )

    def get(self, target: str, *, worker: int = 0) -> Reply:
        return self.running.call("GET", target, auth=self.running.admin, worker=worker)

    def published(self, format: str, name: str, version: str = "1.0.0") -> Publish:
        one = publish(format, f"{format}-libs", name, version)
        reply = self.send(one)
        assert reply.status in {200, 201}, reply.text
        return one

    def seen(self, one: Publish, *, worker: int = 0) -> None:
        """The index tells of it and the file has its bytes."""
        index = self.get(one.page, worker=worker)
        assert one.told in index.body, (one.page, index.status, index.body)
        assert self.get(one.file, worker=worker).body == one.content

    def recover(self, one: Publish) -> None:
        """Publish as soon as the server takes it."""
        deadline = time.monotonic() + RECOVER_SECONDS
        while (reply := self.send(one)).status not in {200, 201}:
            assert time.monotonic() < deadline, (one.target, reply.status, reply.text)
            refused(reply, one.target)
            time.sleep(0.1)


@pytest.fixture(scope="module")
def outages(
    postgres_dsn: str, valkey_url: str, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outages]:
    parts = urlsplit(postgres_dsn)
    sockets = unquote(parse_qs(parts.query)["host"][0])
    with ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(writer, "GIVE_UP_SECONDS", GIVE_UP_SECONDS)
        patched.setattr(writer, "SILENCE_SECONDS", SILENCE_SECONDS)
        patched.setattr(patience, "SILENCE_SECONDS", SILENCE_SECONDS)
        database = stack.enter_context(Relay(Path(sockets) / ".s.PGSQL.5432"))
        cache = stack.enter_context(Relay(Path(unquote(urlsplit(valkey_url).path))))
        store = stack.enter_context(Relay(urlsplit(s3_server.endpoint).port or 0))
        running = stack.enter_context(
            product(
                f"postgresql://{parts.username}@127.0.0.1:{database.port}{parts.path}",
                tmp_path_factory.mktemp("outages"),
                workers=2,
                REDIS_URL=f"redis://127.0.0.1:{cache.port}",
                STORAGE_BACKEND="s3",
                S3_ENDPOINT=f"http://127.0.0.1:{store.port}",
                S3_REGION=REGION,
                S3_BUCKET=BUCKET,
                S3_PREFIX=s3_server.new_prefix(),
                S3_ACCESS_KEY_ID=ACCESS_KEY,
                S3_SECRET_ACCESS_KEY=SECRET_KEY,
                DATABASE_ACQUIRE_TIMEOUT_SECS="1",
            )
        )
        for one_format in FORMATS:
            running.repository(f"{one_format}-libs", one_format)
        yield Outages(running, database, cache, store)
        assert [path for path in running.settings.upload_staging_dir.rglob("*") if path.is_file()] == []


@pytest.fixture(autouse=True)
def mended(outages: Outages) -> Iterator[None]:
    yield
    for cable in (outages.database, outages.cache, outages.store):
        cable.mend()
    _ready(outages)


def refused(reply: Reply, target: str) -> None:
    """503, when to return, and a sentence in the dialect of whoever asked."""
    assert reply.status == 503, (target, reply.status, reply.text)
    assert int(reply.header("retry-after")) > 0
    assert reply.header("cache-control") in {"no-store", ""}
    match target.split("/")[1]:
        case "pypi":
            assert reply.header("content-type").startswith("text/plain")
            assert reply.text.strip()
        case "npm":
            assert set(reply.json()) == {"error", "reason"}
        case "cargo":
            assert set(reply.json()) == {"errors"}
        case _:
            assert set(reply.json()) == {"code", "message"}


def all_at_once(outages: Outages, asked: list[Asked]) -> list[Reply]:
    def ask(one: Asked) -> Reply:
        method, target, body, headers = one
        started = time.monotonic()
        reply = outages.running.call(method, target, body, headers=headers, auth=outages.running.admin)
        assert time.monotonic() - started < ANSWER_SECONDS, target
        return reply

    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(ask, asked))


def test_without_the_database_everybody_is_told_to_return_and_all_recovers(outages: Outages) -> None:
    running = outages.running
    position = running.head()
    before = [outages.published(one_format, "before") for one_format in FORMATS]
    cached = {one.page: outages.get(one.page).body for one in before}
    file = {one.file: outages.get(one.file).body for one in before}

    outages.database.cut()
    lost = [publish(one_format, f"{one_format}-libs", "lost", "1.0.0") for one_format in FORMATS]
    for target, body in {**cached, **file}.items():  # what is remembered may still be told, and nothing else
        reply = outages.get(target)
        if reply.status == 200:
            assert reply.body == body
        else:
            refused(reply, target)
    changes = [(one.method, one.target, one.body, dict(one.headers)) for one in lost]
    changes += [
        ("POST", "/api/v1/repositories", b'{"key":"n","name":"n","format":"npm","repo_type":"local"}', JSON),
        ("DELETE", before[2].target, b"", {}),
        ("PUT", "/pypi/pypi-libs/pypi/before/1.0.0/yank", b"broken", {}),
        ("PUT", "/npm/npm-libs/-/package/before/dist-tags/next", b'"1.0.0"', JSON),
        ("POST", "/api/v1/auth/tokens", b'{"name":"t","scopes":["read:artifacts"]}', JSON),
    ]
    reads: list[Asked] = [
        ("GET", "/pypi/pypi-libs/simple/never-asked/", b"", {}),
        ("GET", "/npm/npm-libs/never-asked", b"", {}),
        ("GET", "/generic/generic-libs/never/asked.txt", b"", {}),
        ("GET", "/api/v1/repositories/generic-libs", b"", {}),
        ("GET", "/api/v1/search/quick?q=before", b"", {}),
        ("GET", "/api/v1/audit/events", b"", {}),
        ("GET", f"/generic/generic-libs@{position}/before/", b"", {}),
    ]
    asked = changes + reads
    for (_, target, _, _), reply in zip(asked, all_at_once(outages, asked), strict=True):
        refused(reply, target)
    assert running.call("GET", "/livez").status == 200
    assert running.call("GET", "/readyz").status == 503

    outages.database.mend()
    mended = time.monotonic()
    for one in lost:
        outages.recover(one)
        outages.seen(one)
    assert time.monotonic() - mended < RECOVER_SECONDS
    assert outages.get("/api/v1/repositories/n").status == 404
    _ready(outages)
    for one in before + lost:
        outages.seen(one, worker=1)
    tags = outages.get("/npm/npm-libs/-/package/before/dist-tags").json()
    assert tags == {"latest": "1.0.0"}
    _read_models_agree(outages)


def test_a_database_that_hangs_holds_nobody_for_ever(outages: Outages) -> None:
    """Connections stay, and nothing comes: as bad as none, and all recovers when it goes on."""
    before = [outages.published(one_format, "hanging") for one_format in FORMATS]
    outages.database.hold()
    lost = [publish(one_format, f"{one_format}-libs", "hanging", "2.0.0") for one_format in FORMATS]
    asked: list[Asked] = [(one.method, one.target, one.body, dict(one.headers)) for one in lost]
    asked += [("GET", f"/generic/generic-libs/none/{number}.txt", b"", {}) for number in range(30)]
    asked += [("GET", "/api/v1/repositories", b"", {})]
    for (_, target, _, _), reply in zip(asked, all_at_once(outages, asked), strict=True):
        refused(reply, target)
    outages.database.mend()
    for one in lost:
        outages.recover(one)
        outages.seen(one)
    _ready(outages)
    for one in before + lost:
        outages.seen(one, worker=1)
    _read_models_agree(outages)


def test_what_watches_goes_on_after_the_database_was_away(outages: Outages) -> None:
    """Counts, refusals and the search index: kept by threads of their own, which must survive it too."""
    running = outages.running
    one = outages.published("generic", "watched")
    stranger = {"authorization": "Bearer 12345678_" + "0" * 32}
    answers = [running.call("GET", one.target).status for _ in range(2)]
    outages.database.cut()  # before they are written
    while answers[-1] == 200:
        answers.append(running.call("GET", one.target).status)
    refused(running.call("GET", one.target), one.target)
    outages.database.mend()
    _ready(outages)
    answers += [running.call("GET", one.target).status for _ in range(3)]
    assert running.call("GET", "/api/v1/users/me", auth=stranger).status == 401

    def told() -> bool:
        sha256 = hashlib.sha256(one.content).hexdigest()
        found = running.done("GET", f"/api/v1/search/checksum?checksum={sha256}")
        refusals = running.done("GET", "/api/v1/audit/events?topic=access.login-refused")
        return [item["download_count"] for item in found["artifacts"]] == [answers.count(200)] and bool(
            refusals["items"]
        )

    _eventually(told)


def test_what_was_refused_as_the_database_went_away_is_in_the_log_later(outages: Outages) -> None:
    running = outages.running
    nosy = UUID(running.user_id(running.person("nosy")))
    outages.database.cut()
    principal = Principal(id=nosy, kind="user", username="nosy", via="password")
    running.workers[0].app.access.denied(principal, "write", "generic-libs", None, "192.0.2.9")
    time.sleep(GIVE_UP_SECONDS + 1)
    outages.database.mend()

    def told() -> bool:
        return bool(running.done("GET", f"/api/v1/audit/events?topic=access.denied&actor={nosy}")["items"])

    _ready(outages)
    _eventually(told)


def test_without_the_object_store_files_wait_and_indexes_do_not(outages: Outages) -> None:
    before = [outages.published(one_format, "stored") for one_format in FORMATS]
    seen = {one.page: outages.get(one.page).body for one in before}
    lost = [publish(one_format, f"{one_format}-libs", "unstored", "1.0.0") for one_format in FORMATS]
    head = outages.running.head()

    outages.store.cut()
    asked = [(one.method, one.target, one.body, dict(one.headers)) for one in lost]
    asked += [("GET", one.file, b"", {}) for one in before]
    for (_, target, _, _), reply in zip(asked, all_at_once(outages, asked), strict=True):
        refused(reply, target)
    for target, body in seen.items():
        assert outages.get(target).body == body
    assert outages.running.head() == head
    assert outages.running.call("GET", "/health").status == 503

    outages.store.mend()
    for one in lost:
        outages.recover(one)
        outages.seen(one)
    for one in before:
        outages.seen(one, worker=1)


def test_without_the_cache_nothing_is_missed(outages: Outages) -> None:
    outages.cache.cut()
    started = time.monotonic()
    made = [outages.published(one_format, "uncached") for one_format in FORMATS]
    for one in made:
        outages.seen(one)
        outages.seen(one, worker=1)
    assert time.monotonic() - started < ANSWER_SECONDS
    outages.cache.mend()
    time.sleep(2.1)  # for that long nobody asks it
    for one in [outages.published(one_format, "uncached", "1.1.0") for one_format in FORMATS]:
        outages.seen(one)
        outages.seen(one, worker=1)


def test_a_flickering_database_loses_nothing_that_was_acknowledged(outages: Outages) -> None:
    """Connections break in the middle of whatever they carry; what was answered 201 stands, and once."""
    acknowledged: list[Publish] = []
    stop = threading.Event()

    def write(number: int) -> None:
        count = 0
        while not stop.is_set():
            one = publish("generic", "generic-libs", f"flicker{number}", str(count))
            reply = outages.send(one, worker=number % 2)
            if reply.status in {200, 201}:  # 200 when an earlier attempt was stored and not answered
                acknowledged.append(one)
                count += 1
            else:
                assert reply.status == 503, reply.text
                time.sleep(0.02)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, number) for number in range(4)]
        try:
            for _ in range(5):
                time.sleep(0.4)
                outages.database.cut()
                time.sleep(0.05)
                outages.database.mend()
            reached = len(acknowledged)
            _eventually(lambda: len(acknowledged) > reached + 4)
        finally:
            stop.set()
        for one_writer in writers:
            one_writer.result()
    for one in acknowledged:
        assert outages.get(one.file).body == one.content
    _read_models_agree(outages)


def _ready(outages: Outages) -> None:
    for worker in (0, 1):
        _eventually(lambda: outages.running.call("GET", "/readyz", worker=worker).status == 200)  # noqa: B023


def _eventually(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + RECOVER_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _read_models_agree(outages: Outages) -> None:
    """Every projection has passed every event, and none stands still."""
    app = outages.running.workers[0].app
    head = outages.running.head()
    assert app.progress.reached(("catalogue", "access", "audit", "search", "transparency"), head, RECOVER_SECONDS)
    with psycopg.connect(app.settings.database_url) as own:
        assert own.execute("SELECT projection FROM es_tracking WHERE failed_at IS NOT NULL").fetchall() == []


def test_more_at_once_than_a_worker_may_have_are_sent_away(
    fresh_postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    with product(fresh_postgres_dsn, tmp_path, GLOBAL_MAX_CONCURRENCY="3", AK_API_THREADS="4") as running:
        running.repository("files", "generic")
        running.done("PUT", "/generic/files/a.txt", b"a")
        catalogue = running.workers[0].app.catalogue
        found = catalogue.artifact

        def slow(*arguments: object, **options: object) -> object:
            release.wait(20)
            return found(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(catalogue, "artifact", slow)
        with ThreadPoolExecutor(6) as threads:
            asked = [
                threads.submit(running.call, "GET", f"/generic/files/{number}.txt", auth=running.admin)
                for number in range(6)
            ]
            _eventually(lambda: sum(one.done() for one in asked) == 3)
            release.set()
            replies = [one.result() for one in asked]
        assert sorted(reply.status for reply in replies) == [404, 404, 404, 503, 503, 503]
        for reply in replies:
            if reply.status == 503:
                refused(reply, "/generic/")
