"""Search over a real database: everything declared filters, and no text breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.log import Change
from application.searching import SearchQuery, Sort
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.event import Event
from domain.ids import artifact_id, package_id
from domain.repository import RepositoryDeleted
from projections.search.fold import SearchProjection
from projections.search.view import SearchView
from tests.integration.folding import Registry, registry

LIBS, TOOLS, SECRET = uuid4(), uuid4(), uuid4()
VISIBLE = frozenset({LIBS, TOOLS})


def publish(
    opened: Registry, repository: UUID, path: str, package: str = "", version: str = "", **more: object
) -> None:
    stream = artifact_id(repository, path)
    known = sum(1 for _ in opened.log.history(stream))
    metadata = msgspec.Raw(msgspec.json.encode(more.pop("metadata", {})))
    digest = uuid4().hex * 2
    event = ArtifactPublished(
        **{
            "repository": repository, "path": path, "package": package, "version": version, "sha256": digest,
            "size_bytes": len(path), "media_type": "application/octet-stream", "metadata": metadata, **more,
        }  # type: ignore[arg-type]
    )  # fmt: skip
    add(opened, stream, known, event, repository)


def add(opened: Registry, stream: UUID, version: int, event: Event, repository: UUID) -> None:
    opened.log.append([Change(stream, version, [event], repository)])


@pytest.fixture(scope="module")
def opened(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as running:
        http = {"summary": "Talks to the web for you", "keywords": ["network", "client"]}
        publish(running, LIBS, "requests/requests-2.0.whl", "requests", "2.0", name="Requests", metadata=http)
        publish(
            running,
            LIBS,
            "requests/requests-2.1.whl",
            "requests",
            "2.1",
            name="Requests",
            metadata=http,
            size_bytes=9000,
        )
        publish(running, LIBS, "requests-mock/requests_mock-1.0.whl", "requests-mock", "1.0", name="requests_mock")
        publish(running, TOOLS, "bin/Deploy.sh", media_type="text/x-sh", digests={"sha1": "a1" * 20, "md5": "b2" * 16})
        publish(running, TOOLS, "bin/deploy-old.sh", media_type="text/x-sh", sha256="cd" * 32)
        publish(running, SECRET, "requests/requests-9.whl", "requests", "9", name="Requests", sha256="cd" * 32)
        running.fold(SearchProjection(), batch=2)
        yield running


@pytest.fixture(scope="module")
def view(opened: Registry) -> SearchView:
    return SearchView(opened.connect)


def _paths(view: SearchView, **asked: object) -> list[str]:
    return [hit.path for hit in view.search(SearchQuery(**{"repositories": VISIBLE, **asked})).hits]  # type: ignore[arg-type]


def test_the_name_that_was_typed_comes_first(view: SearchView) -> None:
    hits = view.quick("requests", VISIBLE, 10)
    assert [hit.path for hit in hits] == [
        "requests/requests-2.1.whl",
        "requests/requests-2.0.whl",
        "requests-mock/requests_mock-1.0.whl",
    ]


@pytest.mark.parametrize("text", ["req", "REQUESTS_mo", "networ", "talks web", "2.1 requests", "whl mock"])
def test_words_are_found_by_their_beginning_wherever_they_stand(view: SearchView, text: str) -> None:
    assert view.quick(text, VISIBLE, 10)


def test_all_words_must_be_there(view: SearchView) -> None:
    assert _paths(view, text="requests deploy") == []


def test_what_the_caller_may_not_read_is_not_found(view: SearchView) -> None:
    assert {hit.repository for hit in view.quick("requests", VISIBLE, 50)} == {LIBS}
    assert {hit.repository for hit in view.quick("requests", None, 50)} == {LIBS, SECRET}
    assert view.quick("requests", frozenset(), 50) == []
    assert view.suggest("req", frozenset({TOOLS}), 10) == []
    assert {hit.repository for hit in view.by_checksum("sha256", "cd" * 32, VISIBLE)} == {TOOLS}
    assert {hit.repository for hit in view.recent(VISIBLE, 50)} == {LIBS, TOOLS}
    assert {found.repository for found in view.packages("", VISIBLE, limit=50, offset=0)[0]} == {LIBS}


def test_a_name_that_was_mistyped_is_guessed(view: SearchView) -> None:
    assert view.quick("reqeusts", VISIBLE, 10)[0].package == "requests"


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        ({"repositories": frozenset({TOOLS})}, {"bin/Deploy.sh", "bin/deploy-old.sh"}),
        ({"name": "requests"}, {"requests/requests-2.0.whl", "requests/requests-2.1.whl"}),
        ({"name": "Requests.Mock"}, {"requests-mock/requests_mock-1.0.whl"}),
        ({"name": "*mock"}, {"requests-mock/requests_mock-1.0.whl"}),
        ({"name": "deploy*"}, {"bin/Deploy.sh", "bin/deploy-old.sh"}),
        ({"name": "%"}, set()),
        ({"path": "BIN/dep"}, {"bin/Deploy.sh", "bin/deploy-old.sh"}),
        ({"path": "*.sh"}, {"bin/Deploy.sh", "bin/deploy-old.sh"}),
        ({"path": "*old*"}, {"bin/deploy-old.sh"}),
        ({"path": "requests_mock"}, {"requests-mock/requests_mock-1.0.whl"}),
        ({"path": "requests%mock"}, set()),
        ({"version": "2.1"}, {"requests/requests-2.1.whl"}),
        ({"version": "2.*"}, {"requests/requests-2.0.whl", "requests/requests-2.1.whl"}),
        ({"min_size": 9000}, {"requests/requests-2.1.whl"}),
        ({"max_size": len("bin/Deploy.sh")}, {"bin/Deploy.sh"}),
        ({"min_size": 1 << 90}, set()),
        ({"created_before": datetime(2001, 1, 1, tzinfo=UTC)}, set()),
        ({"created_after": datetime.now(UTC) + timedelta(days=1)}, set()),
        ({"text": "requests", "version": "2.0", "path": "*.whl"}, {"requests/requests-2.0.whl"}),
    ],
)
def test_every_filter_filters(view: SearchView, asked: dict[str, object], paths: set[str]) -> None:
    assert set(_paths(view, **asked)) == paths
    query = SearchQuery(**{"repositories": VISIBLE, **asked, "limit": 0})  # type: ignore[arg-type]
    result = view.search(query)
    assert (result.hits, result.total, result.exact) == ([], len(paths), True)


def test_moments_divide_what_was_published(opened: Registry, view: SearchView) -> None:
    (moment,) = opened.rows("SELECT published_at FROM view_search WHERE path = 'bin/Deploy.sh'")[0]
    earlier = set(_paths(view, created_before=moment))
    assert earlier & set(_paths(view, created_after=moment)) == {"bin/Deploy.sh"}
    assert len(earlier) == 4


@pytest.mark.parametrize("sort", ["name", "created_at", "size_bytes"])
def test_orders_order_and_pages_meet(view: SearchView, sort: Sort) -> None:
    upwards = _paths(view, sort=sort, descending=False)
    assert len(upwards) == 5
    assert _paths(view, sort=sort) == upwards[::-1]
    pages = [_paths(view, sort=sort, descending=False, limit=2, offset=start) for start in (0, 2, 4, 6)]
    assert [path for page in pages for path in page] == upwards
    assert _paths(view, offset=1 << 90) == []


def test_facets_count_every_match_and_not_just_the_page(view: SearchView) -> None:
    result = view.search(SearchQuery(repositories=VISIBLE, limit=1))
    assert (len(result.hits), result.total) == (1, 5)
    assert result.repositories == {LIBS: 3, TOOLS: 2}
    assert result.media_types == {"application/octet-stream": 3, "text/x-sh": 2}
    assert view.search(SearchQuery(text="deploy", limit=0)).repositories == {TOOLS: 2}


def test_suggestions_are_names_each_once_in_order(view: SearchView) -> None:
    assert view.suggest("re", None, 10) == ["Requests", "requests_mock"]
    assert view.suggest("RE", None, 1) == ["Requests"]
    assert view.suggest("zzz", None, 10) == view.suggest("", None, 10) == []


def test_checksums_find_artifacts(view: SearchView) -> None:
    assert [hit.path for hit in view.by_checksum("sha1", "a1" * 20, None)] == ["bin/Deploy.sh"]
    assert [hit.path for hit in view.by_checksum("md5", "b2" * 16, VISIBLE)] == ["bin/Deploy.sh"]
    assert [hit.path for hit in view.by_checksum("sha256", "cd" * 32, None)] == [
        "bin/deploy-old.sh",
        "requests/requests-9.whl",
    ]
    assert view.by_checksum("sha256", "00" * 32, None) == []


def test_the_newest_come_first_in_recent_ones(view: SearchView) -> None:
    assert [hit.path for hit in view.recent(VISIBLE, 2)] == ["bin/deploy-old.sh", "bin/Deploy.sh"]


def test_artifacts_are_given_in_the_asked_order(view: SearchView) -> None:
    asked = [artifact_id(TOOLS, "bin/Deploy.sh"), uuid4(), artifact_id(LIBS, "requests/requests-2.0.whl")]
    assert [hit.artifact for hit in view.artifacts(asked)] == [asked[0], asked[2]]


def test_packages_are_listed_with_what_they_hold(view: SearchView) -> None:
    found, total = view.packages("", VISIBLE, limit=1, offset=0)
    assert (total, found[0].name, found[0].artifacts) == (2, "Requests", 2)
    assert found[0].size_bytes == 9000 + len("requests/requests-2.0.whl")
    assert found[0].description == "Talks to the web for you"
    assert view.package(package_id(LIBS, "requests")) == found[0]
    assert view.package(uuid4()) is None
    assert [one.package for one in view.packages("S_M", None, limit=9, offset=0)[0]] == ["requests-mock"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=80)
    | st.sampled_from(["'", "\\", "a:*&!|()<->'\"", "\x00", "\ud800", "a\x00b", "%_*", "--", "$1", "(" * 500, "'a':*"]),
    number=st.integers(),
)
def test_no_text_makes_a_search_fail(view: SearchView, text: str, number: int) -> None:
    view.quick(text, VISIBLE, 5)
    view.suggest(text, VISIBLE, 5)
    view.packages(text, VISIBLE, limit=5, offset=abs(number))
    for sort in ("relevance", "name"):
        asked: Sort = sort
        view.search(
            SearchQuery(text=text, name=text, path=text, version=text, min_size=number, max_size=number,
                        offset=abs(number), sort=asked)
        )  # fmt: skip


def test_what_is_replaced_or_deleted_is_found_no_more_whatever_the_batches(opened: Registry, view: SearchView) -> None:
    scratch = uuid4()
    publish(opened, scratch, "one-1.whl", "one", "1", name="One", size_bytes=5)
    publish(opened, scratch, "one-2.whl", "one", "2", name="One", size_bytes=7, media_type="a/b")
    publish(
        opened, scratch, "one-1.whl", "one", "1b", name="ONE", size_bytes=6, revision=2, metadata={"summary": "new"}
    )
    publish(opened, scratch, "other.txt", size_bytes=1)
    deleted = ArtifactDeleted(repository=scratch, path="one-2.whl", package="one", version="2")
    add(opened, artifact_id(scratch, "one-2.whl"), 1, deleted, scratch)
    publish(opened, scratch, "two-1.whl", "two", "1")
    gone = ArtifactDeleted(repository=scratch, path="two-1.whl", package="two", version="1")
    add(opened, artifact_id(scratch, "two-1.whl"), 1, gone, scratch)
    publish(opened, scratch, "two-1.whl", "two", "1", size_bytes=3)

    for batch in (1, 3, 5_000):
        opened.rows("WITH a AS (DELETE FROM view_search), b AS (DELETE FROM view_search_package), "
                    "c AS (DELETE FROM view_search_count) SELECT 1")  # fmt: skip
        opened.forget("search")
        opened.fold(SearchProjection(), batch=batch)
        only = frozenset({scratch})
        assert sorted(hit.version for hit in view.recent(only, 10)) == ["", "1", "1b"]
        one, two = view.packages("", only, limit=10, offset=0)[0]
        assert (one.name, one.artifacts, one.size_bytes, one.description) == ("ONE", 1, 6, "new")
        assert (two.artifacts, two.size_bytes) == (1, 3)
        assert two.created_at == two.updated_at
        assert view.search(SearchQuery(repositories=only)).media_types == {"application/octet-stream": 3}

    add(opened, scratch, 0, RepositoryDeleted(repository=scratch, key="scratch"), scratch)
    opened.fold(SearchProjection())
    assert view.recent(frozenset({scratch}), 10) == []
    assert view.packages("", frozenset({scratch}), limit=10, offset=0) == ([], 0)
    assert view.search(SearchQuery(repositories=frozenset({scratch}))).total == 0
