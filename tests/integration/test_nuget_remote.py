"""Packages of other feeds, and of several as one."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from application.formats.nuget.addresses import Addresses
from application.formats.nuget.index import Entry, render_page, render_registration, render_search, render_services
from application.formats.nuget.metadata import read_package
from tests.integration.product import Product, product
from tests.samples.nuget import make
from tests.servers.upstream import Upstream

API = "/api/v1"
THEN = datetime(2020, 1, 1, tzinfo=UTC)


class World:
    """One worker, an upstream, and repositories for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream
        self._count = int(time.monotonic() * 1000)
        self.there = Addresses(f"{upstream.url}/feed")
        self.entries: dict[str, list[Entry]] = {}
        upstream.put("/feed/v3/index.json", render_services(self.there))

    def make(self, kind: str, **fields: Any) -> str:
        """The key of a new repository."""
        self._count += 1
        key = f"{kind}{self._count}"
        body = {"key": key, "name": key, "format": "nuget", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def remote(self, path: str = "", **fields: Any) -> str:
        return self.make("remote", upstream_url=f"{self.upstream.url}/feed{path}", **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.make("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def offer(
        self, name: str = "Demo.Pkg", version: str = "1.0.0", *, listed: bool = True, content: bytes = b""
    ) -> bytes:
        """Have the upstream tell of a package; its bytes. content: others than it tells of."""
        data = make.package(name, version, body=make.dependencies(("A", "1.0")))
        nuspec = read_package(io.BytesIO(data)).nuspec
        entry = Entry(
            nuspec=nuspec,
            normalized=nuspec.parsed_version.normalized,
            sha512="",
            size_bytes=len(data),
            published_at=THEN,
            semver2=nuspec.is_semver2,
            listed=listed,
        )
        entries = self.entries.setdefault(entry.key, [])
        entries.append(entry)
        registration = render_registration(self.there, entries, semver2=True)
        self.upstream.put(f"/feed/v3/registration-semver2/{entry.key}/index.json", registration or b"")
        self.upstream.put(
            f"/feed/v3/flatcontainer/{entry.key}/{entry.lower}/{entry.key}.{entry.lower}.nupkg", content or data
        )
        manifest = make.nuspec(name, version)
        self.upstream.put(f"/feed/v3/flatcontainer/{entry.key}/{entry.lower}/{entry.key}.nuspec", manifest)
        found = [[one for one in versions if one.listed] for versions in self.entries.values()]
        results = render_search(self.there, [versions for versions in found if versions], len(found), semver2=True)
        self.upstream.put("/feed/v3/search", results)
        return data

    def push(self, key: str, version: str = "1.0.0", name: str = "Demo.Pkg") -> bytes:
        data = make.package(name, version)
        self.running.done("PUT", f"/nuget/{key}/api/v2/package", data)
        return data

    def get(self, key: str, path: str, **options: Any) -> Any:
        return self.running.call("GET", f"/nuget/{key}/{path}", **options)

    def json(self, key: str, path: str, **options: Any) -> Any:
        reply = self.get(key, path, **options)
        assert reply.status == 200, (reply.status, reply.body)
        return json.loads(reply.body)

    def versions(self, key: str, name: str = "demo.pkg", **options: Any) -> list[str]:
        reply = self.get(key, f"v3/flatcontainer/{name}/index.json", **options)
        found: list[str] = json.loads(reply.body)["versions"] if reply.status == 200 else []
        return found

    def archive(self, key: str, version: str = "1.0.0", name: str = "demo.pkg", **options: Any) -> Any:
        return self.get(key, f"v3/flatcontainer/{name}/{version}/{name}.{version}.nupkg", **options)

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory: Path = tmp_path_factory.mktemp("data")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    upstream.files.clear()
    upstream.special.clear()
    upstream.asked.clear()
    upstream.away = False
    return World(running, upstream)


# remote


@pytest.mark.parametrize("path", ["", "/v3/index.json"])
def test_a_package_is_told_at_our_addresses_and_fetched_once(world: World, path: str) -> None:
    data = world.offer()
    key = world.remote(path)
    base = f"http://registry.example/nuget/{key}"
    for _ in range(2):
        registration = world.json(key, "v3/registration-semver2/demo.pkg/index.json")
        (leaf,) = registration["items"][0]["items"]
        assert leaf["packageContent"].startswith(f"{base}/v3/flatcontainer/")
        assert leaf["catalogEntry"]["dependencyGroups"][0]["dependencies"][0]["range"] == "[1.0.0, )"
        assert world.upstream.url not in json.dumps(registration)
        assert world.versions(key) == ["1.0.0"]
        reply = world.archive(key)
        assert (reply.status, reply.body) == (200, data)
    assert b"<id>Demo.Pkg</id>" in world.get(key, "v3/flatcontainer/demo.pkg/1.0.0/demo.pkg.nuspec").body
    assert max(world.upstream.asked.values()) == 1
    assert world.json(key, "v3/registration/demo.pkg/1.0.0.json")["listed"]
    assert world.get(key, "v2/package/Demo.Pkg/1.0.0").body == data
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [one["name"] for one in listed] == ["Demo.Pkg"]


def test_pages_elsewhere_are_followed(world: World) -> None:
    for number in range(130):
        world.offer(version=f"1.0.{number}")
    entries = world.entries["demo.pkg"]
    for low, high in ((0, 63), (64, 127), (128, 129)):
        body = render_page(world.there, entries, (f"1.0.{low}", f"1.0.{high}"), semver2=True)
        world.upstream.put(f"/feed/v3/registration-semver2/demo.pkg/page/1.0.{low}/1.0.{high}.json", body or b"")
    key = world.remote()
    assert world.versions(key) == [f"1.0.{number}" for number in range(130)]
    index = world.json(key, "v3/registration-semver2/demo.pkg/index.json")
    assert [page["count"] for page in index["items"]] == [64, 64, 2]


def test_an_upstream_is_searched_and_its_findings_told_as_ours(world: World) -> None:
    world.offer()
    world.offer("Other.Pkg", "2.0.0")
    world.offer("Other.Pkg", "3.0.0", listed=False)
    key = world.remote()
    found = world.json(key, "v3/search?q=pkg&semVerLevel=2.0.0")
    assert [(hit["id"], hit["version"]) for hit in found["data"]] == [("Demo.Pkg", "1.0.0"), ("Other.Pkg", "2.0.0")]
    assert world.upstream.url not in json.dumps(found)
    assert world.json(key, "v3/autocomplete?q=pkg")["data"] == ["Demo.Pkg", "Other.Pkg"]
    assert b"<d:Version>2.0.0</d:Version>" in world.get(key, "v2/FindPackagesById()?id='other.pkg'").body
    assert world.get(key, "v2/Search()/$count?searchTerm='pkg'&$filter=IsLatestVersion").body == b"2"


def test_an_archive_of_another_package_is_not_kept(world: World) -> None:
    world.offer(content=make.package("Evil.Pkg"))
    world.offer(version="2.0.0", content=make.package(version="3.0.0"))
    world.offer(version="4.0.0", content=b"hello")
    key = world.remote()
    for version in ("1.0.0", "2.0.0", "4.0.0"):
        assert world.archive(key, version).status == 502
    assert world.archive(key, "9.0.0").status == 404
    assert world.running.done("GET", f"{API}/packages?repository_key={key}")["items"] == []


def test_what_is_no_feed_is_not_kept(world: World) -> None:
    for body in (
        b"<html>",
        b"[]",
        b'{"resources": []}',
        b'{"resources": [{"@type": "PackageBaseAddress/3.0.0", "@id": "file:///x"}]}',
    ):
        world.upstream.put("/feed/v3/index.json", body)
        assert world.get(world.remote(), "v3/registration/demo.pkg/index.json").status == 502
    world.upstream.put("/feed/v3/index.json", render_services(world.there))
    key = world.remote()
    assert world.get(key, "v3/registration/demo.pkg/index.json").status == 404
    world.upstream.put("/feed/v3/registration-semver2/bad.pkg/index.json", b'{"items": 5}')
    assert world.get(key, "v3/registration/bad.pkg/index.json").status == 502


def test_an_upstream_that_is_away_is_answered_for(world: World) -> None:
    data = world.offer()
    key = world.remote()
    world.versions(key)
    world.archive(key)
    world.upstream.away = True
    world.expire(key)
    assert world.versions(key) == ["1.0.0"]
    assert world.archive(key).body == data


def test_the_past_has_what_was_fetched_by_then(world: World) -> None:
    world.offer()
    key = world.remote()
    world.versions(key)
    world.archive(key)
    then = world.running.head()
    world.offer(version="2.0.0")
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "2.0.0"]
    assert world.versions(f"{key}@{then}") == ["1.0.0"]
    assert world.archive(f"{key}@{then}").status == 200
    assert world.archive(f"{key}@{then}", "2.0.0").status == 404


# virtual


def test_members_are_one_feed(world: World) -> None:
    first, second = world.make("local"), world.make("local")
    ours = world.push(first, "1.0.0")
    world.push(second, "1.0")
    world.push(second, "2.0.0")
    world.offer("Far.Pkg", "3.0.0")
    key = world.virtual(first, second, world.remote())
    assert world.versions(key) == ["1.0.0", "2.0.0"]
    assert world.archive(key).body == ours
    assert world.archive(key, "2.0.0").status == 200
    assert world.versions(key, "far.pkg") == ["3.0.0"]
    assert world.archive(key, "3.0.0", "far.pkg").status == 200
    page = world.json(key, "v3/registration/demo.pkg/index.json")["items"][0]
    assert [one["catalogEntry"]["version"] for one in page["items"]] == ["1.0.0", "2.0.0"]
    assert page["items"][0]["packageContent"].startswith(f"http://registry.example/nuget/{key}/")
    found = world.json(key, "v3/search?q=pkg")
    assert {hit["id"]: hit["version"] for hit in found["data"]} == {"Demo.Pkg": "2.0.0", "Far.Pkg": "3.0.0"}
    assert found["totalHits"] == 2
    world.push(first, "1.5.0")
    assert world.versions(key) == ["1.0.0", "1.5.0", "2.0.0"]
    assert world.versions(key, "none") == []
    assert world.json(key, "v3/index.json")["version"] == "3.0.0"


def test_no_upstream_adds_to_a_package_of_ours(world: World) -> None:
    local = world.make("local")
    world.push(local)
    world.offer(version="9.0.0")
    remote = world.remote()
    key = world.virtual(remote, local)
    assert world.versions(key) == ["1.0.0"]
    assert world.archive(key, "9.0.0").status == 404
    assert world.json(key, "v3/search?q=demo")["data"][0]["version"] == "1.0.0"
    assert b"9.0.0" not in world.get(key, "v2/FindPackagesById()?id='Demo.Pkg'").body
    shared = world.virtual(remote, local, shared_names=["demo.*"])
    assert world.versions(shared) == ["1.0.0", "9.0.0"]
    assert world.archive(shared, "9.0.0").status == 200


def test_a_hidden_member_is_not_shown_and_keeps_its_names(world: World) -> None:
    hidden = world.make("local", is_public=False)
    world.push(hidden)
    world.offer(version="9.0.0")
    key = world.virtual(hidden, world.remote())
    assert world.versions(key) == []
    for version in ("1.0.0", "9.0.0"):
        assert world.archive(key, version).status == 404
    assert world.json(key, "v3/search?q=demo")["data"] == []
    assert world.versions(key, auth=world.running.admin) == ["1.0.0"]


def test_what_is_pushed_goes_to_the_member_that_is_named(world: World) -> None:
    local, remote = world.make("local"), world.remote()
    key = world.virtual(remote, local, publish_to=local)
    world.push(key)
    assert world.versions(local) == ["1.0.0"]
    reply = world.running.call("PUT", f"/nuget/{remote}/api/v2/package", make.package(), auth=world.running.admin)
    assert reply.status == 405
