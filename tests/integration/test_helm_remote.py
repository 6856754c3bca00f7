"""Charts of other repositories, and of several as one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.product import Product, product
from tests.samples.helm import make
from tests.servers.upstream import Upstream

API = "/api/v1"


class World:
    """One worker, an upstream, and repositories for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream
        self._count = int(time.monotonic() * 1000)
        self.entries: dict[str, list[dict[str, Any]]] = {}

    def make(self, kind: str, **fields: Any) -> str:
        """The key of a new repository."""
        self._count += 1
        key = f"{kind}{self._count}"
        body = {"key": key, "name": key, "format": "helm", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def remote(self, **fields: Any) -> str:
        return self.make("remote", upstream_url=f"{self.upstream.url}/charts", **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.make("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def offer(
        self, name: str = "demo", version: str = "1.0.0", *, url: str = "", mark: str = "", **entry: Any
    ) -> bytes:
        """Have the upstream list a chart, relative to its index unless it is said otherwise; its bytes."""
        data = make.chart(name, version, extra={"mark.txt": mark.encode()})
        place = url or f"files/{name}-{version}.tgz"
        self.upstream.put(f"/charts/{place}", data)
        told = {
            "apiVersion": "v2",
            "name": name,
            "version": version,
            "urls": [place],
            "created": "2020-01-01T00:00:00.123456789Z",
            "digest": hashlib.sha256(data).hexdigest(),
            **entry,
        }
        self.entries.setdefault(name, []).append({field: value for field, value in told.items() if value is not None})
        self.tell()
        return data

    def tell(self, *, as_yaml: bool = True) -> None:
        """Have the upstream tell of what was offered."""
        index = {"apiVersion": "v1", "entries": self.entries}
        body = yaml.safe_dump(index) if as_yaml else json.dumps(index)
        self.upstream.put("/charts/index.yaml", body.encode(), "text/yaml")

    def push(self, key: str, data: bytes) -> None:
        self.running.done("POST", f"/helm/{key}/api/charts", data)

    def index(self, key: str, **options: Any) -> dict[str, list[dict[str, Any]]]:
        reply = self.running.call("GET", f"/helm/{key}/index.yaml", **options)
        assert reply.status == 200, (reply.status, reply.body)
        entries: dict[str, list[dict[str, Any]]] = json.loads(reply.body)["entries"]
        return entries

    def versions(self, key: str, name: str = "demo", **options: Any) -> list[str]:
        return [entry["version"] for entry in self.index(key, **options).get(name, [])]

    def get(self, key: str, path: str, **options: Any) -> Any:
        return self.running.call("GET", f"/helm/{key}/{path}", **options)

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


@pytest.mark.parametrize("as_yaml", [True, False])
def test_an_index_and_a_chart_are_asked_for_once(world: World, as_yaml: bool) -> None:
    data = world.offer(appVersion="1.10", url="files/other-name.tgz")
    world.tell(as_yaml=as_yaml)
    key = world.remote()
    for _ in range(2):
        (entry,) = world.index(key)["demo"]
        assert (entry["urls"], entry["digest"]) == (["charts/demo-1.0.0.tgz"], hashlib.sha256(data).hexdigest())
        assert (entry["appVersion"], entry["created"]) == ("1.10", "2020-01-01T00:00:00.123456Z")
        reply = world.get(key, entry["urls"][0])
        assert (reply.status, reply.body) == (200, data)
    assert world.upstream.asked["/charts/index.yaml"] == 1
    assert sum(world.upstream.asked.values()) == 2
    assert world.get(key, "api/charts/demo/latest").status == 200
    assert world.get(key, "api/charts").status == 200
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [one["name"] for one in listed] == ["demo"]


def test_charts_may_lie_on_another_host(world: World) -> None:
    data = make.chart()
    world.upstream.put("/elsewhere/x.tgz", data)
    world.offer()
    world.entries["demo"][0] |= {"urls": [f"{world.upstream.url}/elsewhere/x.tgz"]}
    world.entries["demo"][0] |= {"digest": hashlib.sha256(data).hexdigest()}
    world.tell()
    assert world.get(world.remote(), "charts/demo-1.0.0.tgz").body == data


def test_what_helm_would_pass_over_is_passed_over(world: World) -> None:
    world.offer()
    world.entries["demo"] += [
        {"apiVersion": "v2", "name": "demo", "version": "not one", "urls": ["x.tgz"]},
        {"apiVersion": "v2", "name": "demo", "version": "2.0.0", "urls": []},
        {"apiVersion": "v2", "name": "demo", "version": "3.0.0", "urls": ["file:///etc/passwd"]},
        {"apiVersion": "v2", "name": "demo", "version": "4.0.0", "urls": ["oci://example.org/demo"]},
        {"apiVersion": "v2", "name": "../demo", "version": "5.0.0", "urls": ["x.tgz"]},
    ]
    world.tell()
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    for version in ("2.0.0", "3.0.0", "4.0.0"):
        assert world.get(key, f"charts/demo-{version}.tgz").status == 404


def test_bytes_that_are_not_what_the_index_says_are_not_kept(world: World) -> None:
    world.offer(digest="0" * 64)
    key = world.remote()
    assert world.get(key, "charts/demo-1.0.0.tgz").status == 502
    assert world.running.done("GET", f"{API}/packages?repository_key={key}")["items"] == []


def test_a_chart_without_a_digest_is_taken_as_it_comes(world: World) -> None:
    data = world.offer(digest=None)
    key = world.remote()
    assert "digest" not in world.index(key)["demo"][0]
    assert world.get(key, "charts/demo-1.0.0.tgz").body == data


def test_what_is_no_index_is_not_kept(world: World) -> None:
    world.offer()
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    for body in (b"<html>", b"entries: {}", b"{", b"- a"):
        world.upstream.put("/charts/index.yaml", body)
        world.expire(key)
        assert world.versions(key) == ["1.0.0"], "the last good one, until there is a better one"
    assert world.get(world.remote(), "index.yaml").status == 502


def test_an_upstream_that_is_away_is_answered_for(world: World) -> None:
    data = world.offer()
    key = world.remote()
    world.versions(key)
    world.get(key, "charts/demo-1.0.0.tgz")
    world.upstream.away = True
    world.expire(key)
    assert world.versions(key) == ["1.0.0"]
    assert world.get(key, "charts/demo-1.0.0.tgz").body == data
    assert world.get(key, "charts/demo-2.0.0.tgz").status == 404


def test_provenance_comes_along_if_it_is_of_the_chart(world: World) -> None:
    data = world.offer()
    key = world.remote()
    assert world.get(key, "charts/demo-1.0.0.tgz.prov").status == 404
    good, bad = make.provenance(data), make.provenance(b"other")
    world.upstream.put("/charts/files/demo-1.0.0.tgz.prov", bad)
    other = world.remote()
    assert world.get(other, "charts/demo-1.0.0.tgz.prov").status == 502
    world.upstream.put("/charts/files/demo-1.0.0.tgz.prov", good)
    third = world.remote()
    assert world.get(third, "charts/demo-1.0.0.tgz.prov").body == good


def test_the_past_has_what_was_fetched_by_then(world: World) -> None:
    world.offer()
    key = world.remote()
    world.versions(key)
    world.get(key, "charts/demo-1.0.0.tgz")
    then = world.running.head()
    world.offer(version="2.0.0")
    world.expire(key)
    assert world.versions(key) == ["2.0.0", "1.0.0"]
    assert world.versions(f"{key}@{then}") == ["1.0.0"]
    assert world.get(f"{key}@{then}", "charts/demo-1.0.0.tgz").status == 200
    assert world.get(f"{key}@{then}", "charts/demo-2.0.0.tgz").status == 404


# virtual


def test_members_are_one_index_and_the_first_that_has_a_version_wins(world: World) -> None:
    first, second = world.make("local"), world.make("local")
    ours, theirs = make.chart(description="ours"), make.chart(description="theirs")
    world.push(first, ours)
    world.push(second, theirs)
    world.push(second, make.chart(version="2.0.0"))
    far = world.offer("far", "3.0.0")
    key = world.virtual(first, second, world.remote())
    assert world.versions(key) == ["2.0.0", "1.0.0"]
    (entry,) = [one for one in world.index(key)["demo"] if one["version"] == "1.0.0"]
    assert entry["digest"] == hashlib.sha256(ours).hexdigest()
    assert world.get(key, "charts/demo-1.0.0.tgz").body == ours
    assert world.get(key, "charts/far-3.0.0.tgz").body == far
    assert world.get(key, "charts/demo-2.0.0.tgz").status == 200
    assert world.get(key, "charts/none-1.0.0.tgz").status == 404
    assert json.loads(world.get(key, "api/charts/demo/latest").body)["version"] == "2.0.0"
    assert list(json.loads(world.get(key, "api/charts").body)) == ["demo", "far"]
    assert world.get(key, "api/charts/demo/1.0.0/values").body == make.VALUES
    world.push(first, make.chart(version="1.5.0"))
    assert world.versions(key) == ["2.0.0", "1.5.0", "1.0.0"]


def test_no_upstream_adds_to_a_chart_of_ours(world: World) -> None:
    local = world.make("local")
    world.push(local, make.chart())
    world.offer(version="9.0.0")
    world.offer("other", "1.0.0")
    remote = world.remote()
    key = world.virtual(remote, local)
    assert (world.versions(key), world.versions(key, "other")) == (["1.0.0"], ["1.0.0"])
    assert world.get(key, "charts/demo-9.0.0.tgz").status == 404
    assert world.get(key, "charts/other-1.0.0.tgz").status == 200
    shared = world.virtual(remote, local, shared_names=["demo"])
    assert world.versions(shared) == ["9.0.0", "1.0.0"]
    assert world.get(shared, "charts/demo-9.0.0.tgz").status == 200


def test_a_hidden_member_is_not_shown_and_keeps_its_names(world: World) -> None:
    hidden = world.make("local", is_public=False)
    world.push(hidden, make.chart())
    world.offer(version="9.0.0")
    key = world.virtual(hidden, world.remote())
    assert world.versions(key) == []
    for version in ("1.0.0", "9.0.0"):
        assert world.get(key, f"charts/demo-{version}.tgz").status == 404
    assert world.versions(key, auth=world.running.admin) == ["1.0.0"]


def test_what_is_pushed_to_a_virtual_repository_goes_to_the_member_it_names(world: World) -> None:
    local = world.make("local")
    key = world.virtual(world.remote(), local, publish_to=local)
    world.push(key, make.chart())
    assert world.versions(local) == ["1.0.0"]
    assert (
        world.running.call("POST", f"/helm/{world.remote()}/api/charts", make.chart(), auth=world.running.admin).status
        == 405
    )


def test_the_past_of_a_virtual_repository_is_its_members(world: World) -> None:
    local = world.make("local")
    key = world.virtual(local)
    world.push(local, make.chart())
    then = world.running.head()
    world.push(local, make.chart(version="2.0.0"))
    assert world.versions(f"{key}@{then}") == ["1.0.0"]
    assert world.get(f"{key}@{then}", "charts/demo-2.0.0.tgz").status == 404
