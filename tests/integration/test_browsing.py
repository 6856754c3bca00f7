"""Packages, trees and search over the real gate: now, as of every kind of moment, and never what is not the caller's."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.integration.product import Product, product
from tests.publishes import publish

API = "/api/v1"


class World:
    """Repositories with a past. then: selectors that all mean the moment after the first publishes."""

    def __init__(self, running: Product) -> None:
        self.running = running
        running.repository("py", "pypi")
        running.repository("js", "npm")
        running.repository("files", "generic", overwrite="allow")
        running.repository("closed", "npm", public=False)
        self.rita = running.person("rita", closed="read")
        self.otto = running.person("otto")
        self.put("py", "pypi", "demo-tool", "1.0.0")
        self.put("py", "pypi", "demo-tool", "1.9.0")
        self.put("js", "npm", "demo-widget", "1.0.0")
        self.put("files", "generic", "reports", "2020")
        self.put("files", "generic", "reports", "2021")
        self.put("closed", "npm", "demo-secret", "1.0.0")
        self.position = running.head()
        time.sleep(0.01)
        moment = datetime.now(UTC)
        time.sleep(0.01)
        running.done("POST", f"{API}/checkpoints", {"name": "release-1"})
        for key in ("py", "files"):
            running.done(
                "POST",
                f"{API}/repositories",
                {"key": f"{key}-frozen", "name": key, "repo_type": "snapshot", "snapshot_of": key,
                 "snapshot_at": self.position, "is_public": True},
            )  # fmt: skip
        self.then = [str(self.position), "release-1", moment.isoformat().replace("+00:00", "Z")]
        self.put("py", "pypi", "demo-tool", "2.0.0")
        self.put("py", "pypi", "later-tool", "1.0.0")
        self.put("js", "npm", "demo-widget", "1.10.0")
        running.call("DELETE", "/generic/files/reports/2020.txt", auth=running.admin)
        self.put("files", "generic", "reports", "2022")
        self.put("closed", "npm", "demo-secret", "2.0.0")
        assert running.workers[0].app.progress.reached(("search",), running.head())

    def put(self, key: str, format: str, name: str, version: str) -> None:
        sent = publish(format, key, name, version)
        reply = self.running.call(
            sent.method, sent.target, sent.body, auth=self.running.admin, headers=dict(sent.headers)
        )
        assert reply.status < 300, reply.body

    def get(self, read: str, auth: Any = None, /, **query: Any) -> Any:
        return self.running.done("GET", f"{API}{read}?{urlencode(query)}", auth=auth)

    def status(self, read: str, auth: Any = None, /, **query: Any) -> int:
        reply = self.running.call("GET", f"{API}{read}?{urlencode(query)}", auth=auth)
        if reply.status >= 400:
            assert set(reply.json()) == {"code", "message"}
        return reply.status

    def names(self, auth: Any = None, /, **query: Any) -> list[str]:
        return [one["name"] for one in self.get("/packages", auth, **query)["items"]]

    def paths(self, auth: Any = None, /, **query: Any) -> list[str]:
        return sorted(one["path"] for one in self.get("/search/advanced", auth, **query)["items"])


@pytest.fixture(scope="module")
def world(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory) as running:
        yield World(running)


FUTURE = ["999999999", "2999-01-01", "2999-01-01T00:00:00Z", "no-such-checkpoint"]
PAST_READS = ("/packages", "/tree", "/search/advanced")


# packages


def test_packages_are_listed_by_name_with_what_is_newest(world: World) -> None:
    page = world.get("/packages")
    assert [item["name"] for item in page["items"]] == ["demo-tool", "demo-widget", "later-tool"]
    assert page["pagination"] == {"page": 1, "per_page": 24, "total": 3, "total_pages": 1}
    tool, widget, _ = page["items"]
    assert (tool["repository_key"], tool["format"], tool["version"]) == ("py", "pypi", "2.0.0")
    assert (widget["repository_key"], widget["format"], widget["version"]) == ("js", "npm", "1.10.0")
    assert tool["metadata"]
    assert world.get(f"/packages/{tool['id']}") == tool
    versions = world.get(f"/packages/{tool['id']}/versions")["versions"]
    assert [one["version"] for one in versions] == ["2.0.0", "1.9.0", "1.0.0"]
    assert sum(one["size_bytes"] for one in versions) == tool["size_bytes"]
    assert all(len(one["checksum_sha256"]) == 64 for one in versions)


def test_packages_can_be_narrowed_and_paged(world: World) -> None:
    assert world.names(search="TOOL") == world.names(q="tool") == ["demo-tool", "later-tool"]
    assert world.names(format="npm") == ["demo-widget"]
    assert world.names(repository_key="py") == ["demo-tool", "later-tool"]
    assert world.names(repository_key="none") == world.names(format="none") == []
    assert world.names(per_page=1, page=2) == ["demo-widget"]
    assert world.names(page=10**30) == []
    assert world.status("/packages", page="x") == 400
    assert world.status("/packages/not-an-id") == 404
    assert world.status("/packages/00000000-0000-0000-0000-000000000001") == 404


def test_packages_are_listed_as_they_were(world: World) -> None:
    now = world.get("/packages", repository_key="py")["items"]
    for key in [*(f"py@{when}" for when in world.then), "py-frozen"]:
        page = world.get("/packages", repository_key=key)
        assert page["pagination"]["total"] == 1
        (tool,) = page["items"]
        assert (tool["name"], tool["version"], tool["id"]) == ("demo-tool", "1.9.0", now[0]["id"])
        assert tool["size_bytes"] < now[0]["size_bytes"]
        assert (tool["metadata"]["kind"], tool["description"]) == ("wheel", "The demo-tool sample")
        assert world.get(f"/packages/{tool['id']}", repository_key=key) == tool
        versions = world.get(f"/packages/{tool['id']}/versions", repository_key=key)["versions"]
        assert [one["version"] for one in versions] == ["1.9.0", "1.0.0"]
        assert world.status(f"/packages/{now[1]['id']}", repository_key=key) == 404
        assert world.status(f"/packages/{now[1]['id']}/versions", repository_key=key) == 404
        assert world.names(repository_key=key, search="tool") == ["demo-tool"]
        assert world.names(repository_key=key, search="later") == []
        assert world.names(repository_key=key, format="npm") == []
        assert world.names(repository_key=key, page=2) == []


# trees


def test_a_tree_is_what_is_there_and_what_was(world: World) -> None:
    def names(key: str, path: str = "reports") -> list[str]:
        return [node["name"] for node in world.get("/tree", repository_key=key, path=path)["nodes"]]

    assert names("files") == ["2021.txt", "2022.txt"]
    for key in [*(f"files@{when}" for when in world.then), "files-frozen"]:
        assert names(key) == ["2020.txt", "2021.txt"]
        content = world.running.call("GET", f"{API}/tree/content?repository_key={key}&path=reports/2020.txt")
        assert content.text.startswith("reports 2020")
    (folder,) = world.get("/tree", repository_key="files", include_metadata=True)["nodes"]
    assert folder == {
        "id": "folder:files/reports", "name": "reports", "path": "files/reports", "type": "folder",
        "has_children": True, "repository_key": "files", "children_count": 2,
    }  # fmt: skip
    assert names("files", "files/reports") == names("files", "/reports/") == ["2021.txt", "2022.txt"]
    page = world.get("/tree", repository_key="files", path="reports", limit=1)
    assert page["more"] is True
    onward = world.get("/tree", repository_key="files", path="reports", after=page["nodes"][-1]["name"])
    assert [node["name"] for node in onward["nodes"]] == ["2022.txt"]
    assert onward["more"] is False


def test_a_preview_cannot_act_in_a_browser(world: World) -> None:
    running = world.running
    running.repository("pages", "generic", public=False)
    sent = running.call(
        "PUT", "/generic/pages/page.html", b"<script>", auth=running.admin, headers={"content-type": "text/html"}
    )
    assert sent.status == 201
    content = f"{API}/tree/content?repository_key=pages&path=page.html"
    reply = running.call("GET", f"{content}&max_bytes=4", auth=running.admin)
    assert (reply.body, reply.header("content-length")) == (b"<scr", "4")
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("content-security-policy").startswith("sandbox")
    reply = running.call("HEAD", content, auth=running.admin)
    assert (reply.status, reply.body, reply.header("content-length")) == (200, b"", "8")


def test_a_tree_needs_to_be_told_of_what(world: World) -> None:
    assert world.status("/tree") == 400
    assert world.status("/tree/content", repository_key="files") == 400
    assert world.status("/tree/content", repository_key="files", path="none") == 404
    assert world.status("/tree", world.otto, repository_key="none") == 404
    assert world.status("/tree", repository_key="files", limit="x") == 400
    assert world.status("/tree", repository_key="files", path="a\0b", after="\0") == 200


# search


def test_quick_finds_by_the_beginnings_of_words_and_by_likeness(world: World) -> None:
    def found(**query: Any) -> set[str]:
        return {one["name"] for one in world.get("/search/quick", **query)["results"]}

    assert found(q="demo") == {"demo-tool", "demo-widget"}
    assert found(q="widg") == {"demo-widget"}
    assert found(q="demo-wigdet") == {"demo-widget"}
    assert found(q="") == found(q="demo", limit=0) == found(q="demo", types="repository") == set()
    assert len(world.get("/search/quick", q="demo", limit=1)["results"]) == 1
    assert found(q="demo", types="artifacts") == {"demo-tool", "demo-widget"}


@pytest.mark.parametrize("text", ["' & | ! :*", "a\0b", "\u202e", "((((", "%", "x" * 5_000, "🦀", "\\", "<script>"])
def test_no_text_makes_a_search_fail(world: World, text: str) -> None:
    for path, name in (("/search/quick", "q"), ("/search/advanced", "query"), ("/search/suggest", "prefix")):
        assert world.status(path, **{name: text}) == 200
        assert world.status(path, repository_key=f"files@{world.position}", **{name: text}) == 200
    for name in ("name", "path", "version"):
        assert world.status("/search/advanced", **{name: text}) == 200
        assert world.status("/search/advanced", repository_key=f"files@{world.position}", **{name: text}) == 200
    assert world.status("/packages", search=text) == 200
    assert world.status("/packages", search=text, repository_key=f"py@{world.position}") == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"query": "reports"}, {"reports/2021.txt", "reports/2022.txt"}),
        ({"query": "reports", "path": "2021"}, {"reports/2021.txt"}),
        ({"path": "reports/*1.txt"}, {"reports/2021.txt"}),
        ({"repository_key": "files"}, {"reports/2021.txt", "reports/2022.txt"}),
        ({"format": "generic"}, {"reports/2021.txt", "reports/2022.txt"}),
        ({"repository_key": "files", "min_size": 10**9}, set()),
        ({"repository_key": "files", "max_size": 1}, set()),
        ({"repository_key": "files", "min_size": 1, "max_size": 10**9}, {"reports/2021.txt", "reports/2022.txt"}),
        ({"repository_key": "files", "created_after": "2100-01-01"}, set()),
        ({"repository_key": "files", "created_before": "2000-01-01"}, set()),
        ({"repository_key": "files", "created_after": "2000-01-01"}, {"reports/2021.txt", "reports/2022.txt"}),
        ({"name": "demo-*", "version": "2.*"}, {"demo-tool-2.0.0-py3-none-any.whl"}),
        ({"name": "DEMO_TOOL", "version": "1.9.0"}, {"demo-tool-1.9.0-py3-none-any.whl"}),
    ],
)
def test_every_filter_of_a_search_filters(world: World, query: dict[str, Any], expected: set[str]) -> None:
    found = {path if "reports" in path else path.rpartition("/")[2].replace("_", "-") for path in world.paths(**query)}
    assert found == expected


def test_a_search_says_how_much_there_is_of_what(world: World) -> None:
    body = world.get("/search/advanced", query="demo", per_page=0)
    assert body["items"] == []
    assert body["pagination"]["total"] == 5
    assert body["exact"] is True
    facets = body["facets"]
    assert facets["formats"] == [{"value": "pypi", "count": 3}, {"value": "npm", "count": 2}]
    assert facets["repositories"] == [{"value": "py", "count": 3}, {"value": "js", "count": 2}]
    assert sum(one["count"] for one in facets["content_types"]) == 5


def test_a_search_is_ordered_as_asked_and_paged(world: World) -> None:
    def versions(**query: Any) -> list[str]:
        items = world.get("/search/advanced", repository_key="py", name="demo-tool", **query)["items"]
        return [item["version"] for item in items]

    assert versions(sort_by="created_at") == ["2.0.0", "1.9.0", "1.0.0"]
    assert versions(sort_by="created_at", sort_order="asc") == ["1.0.0", "1.9.0", "2.0.0"]
    assert versions(sort_by="created_at", per_page=1, page=2) == ["1.9.0"]
    sizes = [item["size_bytes"] for item in world.get("/search/advanced", sort_by="size_bytes")["items"]]
    assert sizes == sorted(sizes, reverse=True)
    names = [item["name"] for item in world.get("/search/advanced", sort_by="name")["items"]]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "query",
    [
        {"sort_by": "colour"}, {"sort_order": "up"}, {"min_size": "big"}, {"page": "one"},
        {"created_after": "soon"}, {"created_before": "2026-99-99"},
    ],
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused(world: World, query: dict[str, str]) -> None:
    assert world.status("/search/advanced", **query) == 400
    assert world.status("/search/advanced", repository_key=f"py@{world.position}", **query) == 400


def test_a_repository_is_searched_as_it_was(world: World) -> None:
    for key in [*(f"files@{when}" for when in world.then), "files-frozen"]:

        def paths(**query: Any) -> list[str]:
            return world.paths(repository_key=key, **query)  # noqa: B023 - used at once

        assert paths() == paths(query="report") == paths(path="REPORTS/") == ["reports/2020.txt", "reports/2021.txt"]
        assert paths(query="2020") == paths(path="*/2020.*") == paths(name="2020.txt") == ["reports/2020.txt"]
        assert paths(query="2022") == paths(min_size=10**9) == paths(format="npm") == paths(version="9") == []
        assert paths(format="generic", max_size=10**30, min_size=-(10**30)) == paths()
        assert paths(created_before="2000-01-01") == paths(created_after="2100-01-01") == []
        body = world.get("/search/advanced", repository_key=key, per_page=0)
        assert (body["items"], body["pagination"]["total"]) == ([], 2)
        assert body["facets"]["repositories"] == [{"value": key.partition("@")[0], "count": 2}]
    items = world.get("/search/advanced", repository_key=f"py@{world.position}", sort_by="created_at")["items"]
    assert [(item["name"], item["version"]) for item in items] == [("demo-tool", "1.9.0"), ("demo-tool", "1.0.0")]
    assert items == world.get("/search/advanced", repository_key=f"py@{world.position}", query="tool")["items"]
    one = world.get("/search/advanced", repository_key=f"py@{world.position}", per_page=1, page=2)
    assert (len(one["items"]), one["pagination"]["total"]) == (1, 2)


def test_artifacts_are_found_by_any_checksum_they_were_published_with(world: World) -> None:
    data = publish("generic", "files", "reports", "2021").content
    for algorithm in ("sha256", "sha1", "md5"):
        digest = hashlib.new(algorithm, data).hexdigest()
        (found,) = world.get("/search/checksum", checksum=digest.upper(), algorithm=algorithm)["artifacts"]
        assert (found["repository_key"], found["path"]) == ("files", "reports/2021.txt")
        assert found["checksum_sha256"] == hashlib.sha256(data).hexdigest()
    assert world.get("/search/checksum", checksum="0" * 64)["artifacts"] == []
    for query in ({"checksum": "xyz"}, {"checksum": "0" * 64, "algorithm": "crc32"}, {}):
        assert world.status("/search/checksum", **query) == 400


def test_suggestions_and_what_is_new(world: World) -> None:
    assert world.get("/search/suggest", prefix="demo")["suggestions"] == ["demo-tool", "demo-widget"]
    assert world.get("/search/suggest", prefix="demo", limit=1)["suggestions"] == ["demo-tool"]
    assert world.status("/search/suggest") == 400
    recent = world.get("/search/recent", limit=2)
    assert [item["repository_key"] for item in recent] == ["files", "js"]
    assert world.status("/search/trending", days=10**30, limit=10**30) == 200


# moments that were not


@pytest.mark.parametrize("when", FUTURE)
@pytest.mark.parametrize("path", PAST_READS)
def test_a_moment_that_was_not_is_refused_clearly(world: World, path: str, when: str) -> None:
    reply = world.running.call("GET", f"{API}{path}?repository_key={quote('py@' + when)}")
    assert reply.status in {400, 404}
    assert reply.json()["code"] in {"VALIDATION_ERROR", "NOT_FOUND"}
    assert when[:4] in reply.json()["message"] or "checkpoint" in reply.json()["message"]


@pytest.mark.parametrize("path", PAST_READS)
def test_before_a_repository_there_was_none(world: World, path: str) -> None:
    assert world.status(path, repository_key="py@1") == 404


# whose is what


def test_nothing_of_a_private_repository_is_told_to_others(world: World) -> None:
    secret = hashlib.sha256(publish("npm", "closed", "demo-secret", "1.0.0").content).hexdigest()
    (package,) = world.get("/packages", world.rita, repository_key="closed")["items"]
    reads = [
        "/packages", "/packages?search=secret", "/packages?repository_key=closed",
        f"/packages?repository_key=closed@{world.position}", "/packages?repository_key=closed@2999-01-01",
        f"/packages/{package['id']}", f"/packages/{package['id']}/versions",
        f"/packages/{package['id']}?repository_key=closed@{world.position}",
        f"/packages/{package['id']}/versions?repository_key=closed@{world.position}",
        "/search/quick?q=demo", "/search/quick?q=demo-secret", "/search/quick?q=demo-sekret",
        "/search/advanced", "/search/advanced?query=secret", "/search/advanced?repository_key=closed",
        f"/search/advanced?repository_key=closed@{world.position}",
        "/search/advanced?repository_key=closed@999999999", "/search/advanced?query=demo&per_page=0",
        "/search/advanced?name=demo-s*", f"/search/checksum?checksum={secret}", "/search/suggest?prefix=demo",
        "/search/trending?days=100", "/search/recent?limit=50", "/tree?repository_key=closed",
        f"/tree?repository_key=closed@{world.position}", "/tree?repository_key=closed@2999-01-01",
        "/tree/content?repository_key=closed&path=x", "/repositories", "/repositories/closed",
        "/repositories/closed/diff?from=0", "/repositories/closed/storage",
        f"/repositories/closed@{world.position}/diff?from=0",
    ]  # fmt: skip
    for caller in (None, world.otto):
        for read in reads:
            reply = world.running.call("GET", f"{API}{read}", auth=caller)
            assert reply.status in {200, 401, 404}, (read, reply.status)
            assert "demo-secret" not in reply.text, read
            if reply.status == 200:
                assert "closed" not in reply.text, read
    absent = [
        (read, world.running.call("GET", f"{API}{read.replace('closed', 'absent')}", auth=world.otto))
        for read in reads
        if "closed" in read
    ]
    for read, reply in absent:
        hidden = world.running.call("GET", f"{API}{read}", auth=world.otto)
        assert (hidden.status, hidden.text.replace("closed", "absent")) == (reply.status, reply.text), read


def test_counts_tell_each_caller_only_of_what_is_theirs(world: World) -> None:
    def totals(auth: Any) -> tuple[int, int, int]:
        return (
            world.get("/search/advanced", auth, per_page=0)["pagination"]["total"],
            world.get("/search/advanced", auth, query="demo", per_page=0)["pagination"]["total"],
            world.get("/packages", auth)["pagination"]["total"],
        )

    mine, others = totals(world.rita), totals(world.otto)
    assert [one - other for one, other in zip(mine, others, strict=True)] == [2, 2, 1]
    assert totals(None) == others
    assert totals(world.running.admin)[1:] == mine[1:]
    assert world.get("/search/suggest", world.rita, prefix="demo-s")["suggestions"] == ["demo-secret"]
    assert world.paths(world.rita, query="secret", repository_key=f"closed@{world.position}") != []
    facets = world.get("/search/advanced", world.rita, query="demo")["facets"]["repositories"]
    assert {"value": "closed", "count": 2} in facets


def test_a_token_confined_to_one_repository_finds_only_there(world: World) -> None:
    target = world.running.done("GET", f"{API}/repositories/js")["id"]
    body = {"name": "narrow", "scopes": ["read:artifacts"], "repository_ids": [target]}
    made = world.running.call(
        "POST", f"{API}/repositories/js/tokens", {**body, "expires_in_days": 5}, auth=world.running.admin
    )
    assert made.status < 300, made.body
    token = {"authorization": f"Bearer {made.json()['token']}"}
    assert world.names(token) == ["demo-widget"]
    assert {item["repository_key"] for item in world.get("/search/advanced", token)["items"]} == {"js"}
    assert world.names(token, repository_key=f"py@{world.position}") == []


def test_a_repository_that_becomes_private_is_gone_at_once(world: World) -> None:
    world.running.repository("turning", "generic")
    world.put("turning", "generic", "turned", "1")
    assert world.running.workers[0].app.progress.reached(("search",), world.running.head())
    assert world.paths(query="turned") == ["turned/1.txt"]
    before = world.running.head()
    world.running.done("PATCH", f"{API}/repositories/turning", {"is_public": False})
    assert world.paths(query="turned") == []
    assert world.paths(repository_key=f"turning@{before}") == []
    assert "turned" not in json.dumps(world.get("/search/recent", limit=50))
    assert world.paths(world.running.admin, query="turned") == ["turned/1.txt"]


# building the index anew


def test_the_index_can_be_built_anew_while_it_answers(world: World) -> None:
    running = world.running
    assert running.call("POST", f"{API}/admin/search/reindex", auth=world.otto).status == 403
    body = running.done("POST", f"{API}/admin/search/reindex")
    assert body["status"] in {"started", "running"}
    assert world.paths(query="reports") == ["reports/2021.txt", "reports/2022.txt"]
    body = running.done("POST", f"{API}/admin/reindex")
    assert body["artifacts_indexed"] >= 8
    assert world.paths(query="reports") == ["reports/2021.txt", "reports/2022.txt"]
