"""Search by Meilisearch: fed from the log, asked with permissions as filters, and done without when it is away.

With MEILISEARCH_BINARY, or `meilisearch` on the PATH, against the real server; else against a small one of its API.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from application.searching import SearchQuery
from domain.artifact import ArtifactDeleted
from domain.errors import Invalid
from domain.ids import artifact_id
from domain.repository import RepositoryDeleted
from infrastructure.settings import load_settings
from projections.rebuild import Rebuild
from projections.runner import Projector
from projections.search.engine import Engine, EngineAway, EngineRefuses
from projections.search.engine_documents import are
from projections.search.engine_fold import EngineProjection
from projections.search.engine_view import EngineView, Freshness
from projections.search.fold import SearchProjection
from projections.search.view import SearchView
from tests.integration.folding import Registry, registry
from tests.integration.product import Product, product
from tests.integration.test_search import LIBS, SECRET, TOOLS, VISIBLE, add, publish
from tests.servers.meilisearch import KEY, SearchServer, search_server

INDEX = "artifact-keeper"


@pytest.fixture(scope="module")
def server(servers_directory: Path) -> Iterator[SearchServer]:
    started = search_server(servers_directory / "meilisearch")
    started.start()
    try:
        yield started
    finally:
        started.kill()


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Fed:
    """A log, both read models following it, and the view that chooses between them."""

    def __init__(self, running: Registry, server: SearchServer, index: str = INDEX) -> None:
        self.running, self.index = running, index
        self.engine = Engine(server.url, KEY)
        self.tables = SearchView(running.connect)
        self.view = EngineView(self.engine, index, self.tables, Freshness(running.connect))
        self.start()

    def start(self) -> None:
        followed = [SearchProjection(), EngineProjection(self.engine, self.index)]
        self.projector = Projector(self.running.dsn, followed, self.running.log.recorded)
        self.projector.start()

    def state(self) -> tuple[int, str | None]:
        rows = self.running.rows("SELECT position, error FROM es_tracking WHERE projection = 'meilisearch'")
        return (rows[0][0], rows[0][1]) if rows else (-1, None)

    def caught_up(self) -> None:
        eventually(lambda: self.state() == (self.running.log.head(), None))

    def by_engine(self, **asked: Any) -> list[str]:
        """Paths that the engine itself found; fails when PostgreSQL had to."""
        before = self.view.fallbacks
        found = self.view.search(SearchQuery(**{"repositories": VISIBLE, **asked}))
        assert self.view.fallbacks == before
        return [hit.path for hit in found.hits]


@pytest.fixture(scope="module")
def opened(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as running:
        http = {"summary": "Talks to the web for you", "keywords": ["network", "client"]}
        for version, size in (("2.0", 500), ("2.1", 9000)):
            path = f"requests/requests-{version}.whl"
            publish(running, LIBS, path, "requests", version, name="Requests", metadata=http, size_bytes=size)
        publish(running, LIBS, "requests-mock/requests_mock-1.0.whl", "requests-mock", "1.0", name="requests_mock")
        publish(running, TOOLS, "bin/Deploy.sh", media_type="text/x-sh")
        publish(running, TOOLS, "lib/HttpParser2.jar", media_type="application/java-archive")
        publish(running, SECRET, "requests/requests-9.whl", "requests", "9", name="Requests")
        yield running


@pytest.fixture(scope="module")
def fed(opened: Registry, server: SearchServer) -> Iterator[Fed]:
    following = Fed(opened, server)
    try:
        following.caught_up()
        yield following
    finally:
        following.projector.stop()


def test_words_find_names_descriptions_keywords_and_beginnings(fed: Fed) -> None:
    both = ["requests/requests-2.1.whl", "requests/requests-2.0.whl"]
    assert fed.by_engine(text="web network") == both
    assert fed.by_engine(text="requests")[:2] == both
    assert fed.by_engine(text="parser") == ["lib/HttpParser2.jar"]
    assert fed.by_engine(text="depl") == ["bin/Deploy.sh"]
    assert fed.by_engine(text="reqeusts 2.1")[:1] == ["requests/requests-2.1.whl"] or fed.by_engine(text="requsts")
    assert fed.by_engine(text="requests nothing-has-this") == []


def test_a_repository_that_may_not_be_read_is_not_searched(fed: Fed) -> None:
    everything = fed.view.search(SearchQuery(text="requests"))
    assert {hit.repository for hit in everything.hits} == {LIBS, SECRET}
    seen = fed.view.search(SearchQuery(text="requests", repositories=VISIBLE))
    assert {hit.repository for hit in seen.hits} == {LIBS}
    assert SECRET not in seen.repositories
    assert fed.view.search(SearchQuery(text="requests", repositories=frozenset())).total == 0
    assert fed.view.quick("requests", frozenset(), 5) == []
    assert [hit.repository for hit in fed.view.quick("requests", frozenset({SECRET}), 5)] == [SECRET]


def test_every_declared_filter_filters(fed: Fed) -> None:
    assert fed.by_engine(name="requests") == ["requests/requests-2.1.whl", "requests/requests-2.0.whl"]
    assert fed.by_engine(name="REQUESTS-mock") == ["requests-mock/requests_mock-1.0.whl"]
    assert fed.by_engine(version="2.0") == ["requests/requests-2.0.whl"]
    assert fed.by_engine(min_size=501) == ["requests/requests-2.1.whl"]
    assert fed.by_engine(name="requests", max_size=500) == ["requests/requests-2.0.whl"]
    hit = fed.view.search(SearchQuery(version="2.0", repositories=VISIBLE)).hits[0]
    exactly = {"created_after": hit.published_at, "created_before": hit.published_at}
    assert "requests/requests-2.0.whl" in fed.by_engine(**exactly)
    assert hit == fed.tables.search(SearchQuery(version="2.0", repositories=VISIBLE)).hits[0]


def test_orders_pages_and_counts_are_those_of_the_tables(fed: Fed) -> None:
    for sort in ("name", "created_at", "size_bytes"):
        for descending in (True, False):
            query = SearchQuery(repositories=VISIBLE, sort=sort, descending=descending)
            found, known = fed.view.search(query), fed.tables.search(query)
            assert [hit.path for hit in found.hits] == [hit.path for hit in known.hits]
            assert (found.total, found.repositories, found.media_types) == (
                known.total,
                known.repositories,
                known.media_types,
            )
    pages = [fed.by_engine(sort="created_at", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [path for page in pages for path in page] == fed.by_engine(sort="created_at")
    counted = fed.view.search(SearchQuery(repositories=VISIBLE, limit=0))
    assert (counted.hits, counted.total) == ([], 5)


def test_patterns_and_parts_of_paths_are_asked_of_the_tables(fed: Fed) -> None:
    for asked in ({"name": "req*"}, {"version": "2.*"}, {"path": "requests/"}):
        query = SearchQuery(repositories=VISIBLE, **asked)  # type: ignore[arg-type]
        assert fed.view.search(query) == fed.tables.search(query)
    assert fed.view.suggest("req", VISIBLE, 5) == fed.tables.suggest("req", VISIBLE, 5)
    assert fed.view.search(SearchQuery(text="!!!", repositories=VISIBLE)).total == 0


def test_no_text_is_taken_for_a_filter(fed: Fed) -> None:
    for text in ('" OR repository EXISTS', "'] OR size_bytes > 0", "\\", "a\x00b", "\U0001d518\U0001d52b", "x" * 5_000):
        for asked in ({"text": text}, {"name": text}, {"version": text}):
            query = SearchQuery(repositories=frozenset({TOOLS}), **asked)  # type: ignore[arg-type]
            assert {hit.repository for hit in fed.view.search(query).hits} <= {TOOLS}
    assert not fed.view.away


def test_what_is_deleted_is_found_no_longer(fed: Fed) -> None:
    gone, kept = uuid4(), uuid4()
    for repository in (gone, kept):
        for number in range(3):
            publish(fed.running, repository, f"passing/{number}.bin")
    fed.caught_up()
    both = frozenset({gone, kept})
    assert len(fed.by_engine(text="passing", repositories=both)) == 6
    deleted = ArtifactDeleted(repository=kept, path="passing/1.bin")
    add(fed.running, artifact_id(kept, "passing/1.bin"), 1, deleted, kept)
    add(fed.running, gone, 0, RepositoryDeleted(repository=gone, key="gone"), gone)
    fed.caught_up()
    assert sorted(fed.by_engine(text="passing", repositories=both)) == ["passing/0.bin", "passing/2.bin"]


def test_a_rebuild_fills_another_index_and_swaps_it_in_while_the_old_one_answers(fed: Fed) -> None:
    fed.engine.remove(INDEX, are([str(artifact_id(LIBS, "requests/requests-2.1.whl"))]))
    assert fed.by_engine(version="2.1") == []
    found_meanwhile: list[list[str]] = []

    def report(name: str, position: int, head: int) -> None:
        found_meanwhile.append(fed.by_engine(version="2.0"))

    with Rebuild(fed.running.dsn, EngineProjection(fed.engine, INDEX), fed.running.log.recorded, report) as shadow:
        assert shadow.swap() == fed.running.log.head()
    assert found_meanwhile
    assert all(found == ["requests/requests-2.0.whl"] for found in found_meanwhile)
    assert fed.by_engine(version="2.1") == ["requests/requests-2.1.whl"]
    assert fed.engine.created_at(f"{INDEX}-next") is None
    publish(fed.running, LIBS, "after/the-swap.bin")
    fed.caught_up()
    assert fed.by_engine(text="swap") == ["after/the-swap.bin"]


def test_it_is_rebuilt_and_not_compared(fed: Fed) -> None:
    with (
        Rebuild(fed.running.dsn, EngineProjection(fed.engine, INDEX), fed.running.log.recorded) as shadow,
        pytest.raises(Invalid, match="rebuild it instead"),
    ):
        shadow.verify()


def test_an_index_that_was_lost_is_filled_again_from_the_beginning(fed: Fed, server: SearchServer) -> None:
    server.lose_everything()
    eventually(lambda: "Requests" in {hit.name for hit in fed.view.quick("requests", VISIBLE, 5)})
    publish(fed.running, LIBS, "after/the-loss.bin")
    fed.caught_up()
    eventually(lambda: not fed.view.away)
    assert "requests/requests-2.0.whl" in fed.by_engine(text="requests")
    assert fed.by_engine(text="loss") == ["after/the-loss.bin"]


def test_while_it_is_away_the_tables_answer_and_nothing_is_lost(fed: Fed, server: SearchServer) -> None:
    server.kill()
    try:
        before = fed.view.fallbacks
        publish(fed.running, LIBS, "during/the-outage.bin")
        position = fed.running.log.head()
        eventually(
            lambda: fed.running.rows("SELECT position FROM es_tracking WHERE projection = 'search'") == [(position,)]
        )
        assert [hit.path for hit in fed.view.quick("outage", VISIBLE, 5)] == ["during/the-outage.bin"]
        assert fed.view.fallbacks == before + 1
        assert fed.view.away
        started = time.monotonic()
        assert fed.view.search(SearchQuery(text="outage", repositories=VISIBLE)).total == 1
        assert time.monotonic() - started < 10  # nobody waits before a dead server
        eventually(lambda: "search engine" in (fed.state()[1] or ""))
        assert not fed.running.rows("SELECT 1 FROM es_skipped WHERE projection = 'meilisearch'")
    finally:
        server.start()
    fed.caught_up()
    eventually(lambda: not fed.view.away)
    assert fed.by_engine(text="outage") == ["during/the-outage.bin"]


def test_while_it_is_behind_the_tables_answer(fed: Fed) -> None:
    clock = 0.0
    freshness = Freshness(fed.running.connect, lambda: clock)
    fed.caught_up()
    assert freshness()
    fed.projector.stop()
    following = Projector(fed.running.dsn, [SearchProjection()], fed.running.log.recorded)
    following.start()
    try:
        publish(fed.running, LIBS, "left/behind.bin")
        head = fed.running.log.head()
        eventually(
            lambda: fed.running.rows("SELECT position FROM es_tracking WHERE projection = 'search'") == [(head,)]
        )
        clock += 2
        assert freshness()  # a moment is allowed
        clock += 4
        assert freshness()
        clock += 5
        assert not freshness()
    finally:
        following.stop()
        fed.start()
    fed.caught_up()
    clock += 2
    assert freshness()


def test_a_wrong_key_is_told_from_an_absent_server(server: SearchServer) -> None:
    Engine(server.url, KEY).check()
    with pytest.raises(EngineRefuses):
        Engine(server.url, "not the key").check()
    with pytest.raises(EngineAway):
        Engine("http://127.0.0.1:9", KEY).check()


@pytest.fixture(scope="module")
def running(
    postgres_server: Any, migrated_template: str, server: SearchServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    from tests.integration.conftest import _database  # noqa: PLC0415 - a second database in this module

    settings: dict[str, Any] = {
        "MEILISEARCH_URL": server.url,
        "MEILISEARCH_API_KEY": KEY,
        "AK_MEILISEARCH_INDEX": "whole",
    }
    with (
        _database(postgres_server, migrated_template) as dsn,
        product(dsn, tmp_path_factory.mktemp("engine"), **settings) as started,
    ):
        yield started


def test_the_api_searches_with_it_and_says_so(running: Product) -> None:
    running.repository("open", "generic")
    running.repository("shut", "generic", public=False)
    for key in ("open", "shut"):
        put = running.call("PUT", f"/general/{key}/builds/1.0/widget.zip", b"x" * 10, auth=running.admin)
        assert put.status == 201

    def found(**options: Any) -> list[str]:
        reply = running.call("GET", "/api/v1/search/advanced?query=widgt", **options)
        return [item["repository_key"] for item in reply.json()["items"]]

    eventually(lambda: found(auth=running.admin) in (["open", "shut"], ["shut", "open"]))  # mistyped, and found
    assert found() == ["open"]
    config = running.done("GET", "/api/v1/system/config")
    assert config["search_engine"] == "meilisearch"
    metrics = running.call("GET", "/api/v1/admin/metrics", auth=running.admin).body.decode()
    assert 'ak_projection_lag_events{projection="meilisearch"}' in metrics
    assert "ak_search_fallbacks_total" in metrics


def test_reindexing_by_the_api_rebuilds_it(running: Product) -> None:
    engine = Engine(running.settings.meilisearch_url or "", KEY)
    made = engine.created_at("whole")
    assert running.call("POST", "/api/v1/admin/reindex", auth=running.admin).status in {200, 202}
    eventually(lambda: engine.created_at("whole") not in {made, None})


def test_an_index_name_that_it_would_not_take_is_a_fault_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="AK_MEILISEARCH_INDEX"):
        load_settings({"AK_DATA_DIR": str(tmp_path), "AK_MEILISEARCH_INDEX": "my index"})
