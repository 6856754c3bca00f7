"""Go modules of another proxy, and of several as one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from application.catalogue import ArtifactRow
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.go import make
from tests.servers.upstream import Upstream

API = "/api/v1"
DEMO, KIT = make.MODULE, "example.com/Acme/Kit"
SUMS = "sumdb/sum.example.org"

_numbers = count(1)


class World:
    """A registry, a module proxy that it may ask, and repositories for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream

    def repository(self, kind: str, **fields: Any) -> str:
        """The key of a new repository."""
        key = f"{kind}{next(_numbers)}"
        body = {"key": key, "name": key, "format": "go", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def remote(self, **fields: Any) -> str:
        """One that stands in for the upstream."""
        return self.repository("remote", upstream_url=self.upstream.url, **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        """One of these members."""
        return self.repository("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def offer(self, module: str, *versions: str, time: str = "2020-01-01T00:00:00Z", says: str = "upstream") -> None:
        """Have the upstream tell of these versions, the last of them as its latest."""
        folder = f"/{make.escaped(module)}"
        for version in versions:
            base = f"{folder}/@v/{make.escaped(version)}"
            info = json.dumps({"Version": version, "Time": time, "Origin": {"VCS": "git"}}).encode()
            self.upstream.put(f"{base}.info", info, "application/json")
            self.upstream.put(f"{base}.mod", make.go_mod(module), "text/plain")
            self.upstream.put(f"{base}.zip", make.module(module, version, says=says), "application/zip")
            self.upstream.put(f"{folder}/@latest", info, "application/json")
        known = self.upstream.files.get(f"{folder}/@v/list", ("", b""))[1].decode().split()
        self.upstream.put(f"{folder}/@v/list", "\n".join([*known, *versions]).encode(), "text/plain")

    def get(self, key: str, path: str, **options: Any) -> Reply:
        """One request."""
        return self.running.call("GET", f"/go/{key}/{path}", **options)

    def versions(self, key: str, module: str = DEMO, **options: Any) -> list[str]:
        """What is listed."""
        reply = self.get(key, f"{make.escaped(module)}/@v/list", **options)
        assert reply.status == 200, reply.body
        return reply.body.decode().split()

    def publish(self, key: str, version: str, module: str = DEMO, says: str = "ours") -> None:
        """Publish a version as administrator."""
        path = f"/go/{key}/{make.escaped(module)}/@v/{make.escaped(version)}.zip"
        reply = self.running.call("PUT", path, make.module(module, version, says=says), auth=self.running.admin)
        assert reply.status == 201, reply.body

    def rows(self, key: str) -> list[ArtifactRow]:
        """What is kept."""
        catalogue = self.running.workers[0].app.catalogue
        repository = catalogue.repository(key)
        assert repository is not None
        return catalogue.artifacts_below(repository.id, "")

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    with (
        Upstream() as upstream,
        product(
            postgres_dsn, tmp_path_factory.mktemp("go-remote"), AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8"
        ) as running,
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


def test_a_version_is_asked_for_once_and_kept_as_it_is(world: World) -> None:
    world.offer(KIT, "v1.0.0", "v1.1.0-RC1")
    key = world.remote()
    for _ in range(2):
        assert world.versions(key, KIT) == ["v1.0.0", "v1.1.0-RC1"]
        for name in ("v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "v1.1.0-!r!c1.info"):
            path = f"example.com/!acme/!kit/@v/{name}"
            reply = world.get(key, path)
            assert (reply.status, reply.body) == (200, world.upstream.files[f"/{path}"][1]), path
            assert reply.header("cache-control") == "public, max-age=31536000, immutable"
        assert world.get(key, "example.com/!acme/!kit/@latest").json()["Version"] == "v1.1.0-RC1"
    assert set(world.upstream.asked.values()) == {1}
    kept = {row.path for row in world.rows(key)}
    assert kept == {
        *(f"example.com/!acme/!kit/@v/{name}" for name in ("v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip")),
        "example.com/!acme/!kit/@v/v1.1.0-!r!c1.info",
        *(f".index/example.com/!acme/!kit/{name}" for name in ("@v/list", "@latest")),
    }
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [(one["name"], one["version"]) for one in listed] == [(KIT, "v1.0.0")]


def test_branches_are_resolved_by_the_upstream_and_asked_for_again(world: World) -> None:
    info = b'{"Version":"v0.0.0-20200101000000-abcdefabcdef","Time":"2020-01-01T00:00:00Z"}'
    world.upstream.put(f"/{DEMO}/@v/main.info", info, "application/json")
    key = world.remote()
    assert world.get(key, f"{DEMO}/@v/main.info").body == info
    newer = info.replace(b"2020", b"2021")
    world.upstream.put(f"/{DEMO}/@v/main.info", newer, "application/json")
    world.expire(key)
    assert world.get(key, f"{DEMO}/@v/main.info").body == newer
    for name in ("main.zip", "main.mod", "a b.info", "!.info", "v1.0.0.exe"):
        assert world.get(key, f"{DEMO}/@v/{name.replace(' ', '%20')}").status == 404, name


def test_what_the_upstream_has_not_is_404_and_a_fault_of_its_is_not(world: World) -> None:
    key = world.remote()
    reply = world.get(key, f"{DEMO}/@v/list")
    assert (reply.status, reply.header("content-type")) == (404, "text/plain; charset=utf-8")
    world.upstream.away = True
    assert world.get(key, "example.com/other/@v/list").status == 502
    assert world.get(key, "example.com/Other/@v/list").status == 404, "no module has such an address"
    assert world.get(key, f"{DEMO}/@v/v1.0.0.ziphash").status == 404


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("list", b"<!doctype html>\n<title>Sign in</title>"),
        ("v1.0.0.info", b"<!doctype html>"),
        ("v1.0.0.info", b'{"Version":"v1.0.1","Time":"2020-01-01T00:00:00Z"}'),
        ("v1.0.0.zip", b"<!doctype html>"),
        ("v1.0.0.zip", make.module(version="v1.0.1")),
        ("main.info", b'{"Version":"main"}'),
    ],
)
def test_what_is_not_what_it_should_be_is_not_kept(world: World, name: str, body: bytes) -> None:
    world.offer(DEMO, "v1.0.0")
    good = world.upstream.files.get(f"/{DEMO}/@v/{name}")
    world.upstream.put(f"/{DEMO}/@v/{name}", body)
    key = world.remote()
    assert world.get(key, f"{DEMO}/@v/{name}").status == 502
    if good is not None:
        world.upstream.put(f"/{DEMO}/@v/{name}", good[1])
        assert world.get(key, f"{DEMO}/@v/{name}").status == 200


def test_what_was_seen_then_is_seen_as_of_then(world: World) -> None:
    world.offer(DEMO, "v1.0.0")
    key = world.remote()
    for path in ("@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"):
        assert world.get(key, f"{DEMO}/{path}").status == 200
    then = f"{key}@{world.running.head()}"
    world.offer(DEMO, "v2.0.0+incompatible", "v1.1.0")
    world.expire(key)
    assert world.versions(key) == ["v1.0.0", "v1.1.0", "v2.0.0+incompatible"]
    world.upstream.away = True
    assert world.versions(then) == ["v1.0.0"]
    assert world.get(then, f"{DEMO}/@latest").json()["Version"] == "v1.0.0"
    assert world.get(then, f"{DEMO}/@v/v1.0.0.zip").status == 200
    assert world.get(then, f"{DEMO}/@v/v1.1.0.info").status == 404


def test_while_the_upstream_is_away_what_is_kept_is_served(world: World) -> None:
    world.offer(DEMO, "v1.0.0")
    key = world.remote()
    assert world.versions(key) == ["v1.0.0"]
    assert world.get(key, f"{DEMO}/@v/v1.0.0.zip").status == 200
    world.expire(key)
    world.upstream.away = True
    reply = world.get(key, f"{DEMO}/@v/list")
    assert (reply.status, reply.body) == (200, b"v1.0.0\n")
    assert "upstream-unavailable" in reply.header("cache-status")
    assert world.get(key, f"{DEMO}/@v/v1.0.0.zip").status == 200


def test_nobody_publishes_to_a_remote_repository(world: World) -> None:
    key = world.remote()
    path = f"/go/{key}/{DEMO}/@v/v1.0.0.zip"
    reply = world.running.call("PUT", path, make.module(), auth=world.running.admin)
    assert (reply.status, b"filled from its upstream" in reply.body) == (405, True)


def test_young_versions_are_held_back(world: World) -> None:
    world.offer(DEMO, "v1.0.0", "v1.1.0")
    world.offer(DEMO, "v1.2.0", "v1.3.0", time="2999-01-01T00:00:00Z")
    del world.upstream.files[f"/{DEMO}/@v/v1.2.0.info"]
    key = world.remote()
    assert world.versions(key) == ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]
    world.running.done("PUT", f"{API}/repositories/{key}/age-gate", {"enabled": True, "min_age_days": 7})
    assert world.versions(key) == ["v1.0.0", "v1.1.0"]
    assert world.get(key, f"{DEMO}/@latest").json()["Version"] == "v1.1.0"
    local = world.repository("local")
    world.publish(local, "v1.0.1", KIT)
    every = world.virtual(local, key)
    assert world.get(every, f"{DEMO}/@latest").json()["Version"] == "v1.1.0"
    assert world.versions(every) == ["v1.0.0", "v1.1.0"]
    assert f"/{DEMO}/@v/v1.0.0.info" not in world.upstream.asked, "what is below an old one is not looked at"
    for extension in ("info", "mod", "zip"):
        reply = world.get(key, f"{DEMO}/@v/v1.3.0.{extension}")
        assert (reply.status, b"is held back until" in reply.body) == (451, True), reply.body
        assert world.get(key, f"{DEMO}/@v/v1.1.0.{extension}").status == 200


# checksum databases


def test_a_checksum_database_is_passed_through(world: World) -> None:
    given = {
        f"{SUMS}/supported": b"",
        f"{SUMS}/latest": b"go.sum database tree\n1\nhash\n",
        f"{SUMS}/lookup/example.com/!acme/!kit@v1.0.0": b"1\nexample.com/Acme/Kit v1.0.0 h1:x\n",
        f"{SUMS}/tile/8/0/x001/234": b"full",
        f"{SUMS}/tile/8/0/000.p/17": b"partial",
        f"{SUMS}/tile/8/data/000": b"data",
    }
    key = world.remote()
    for path, body in given.items():
        world.upstream.put(f"/{path}", body)
        for _ in range(2):
            reply = world.get(key, path)
            assert (reply.status, reply.body) == (200, body), path
        assert ("immutable" in reply.header("cache-control")) == (path[-4:] in {"/234", "/000"})
    assert set(world.upstream.asked.values()) == {1}


def test_addresses_that_no_checksum_database_has_are_not_asked_for(world: World) -> None:
    key = world.remote()
    for path in (
        "sumdb/nowhere/supported",
        "sumdb/UP.example.org/supported",
        f"{SUMS}/other",
        f"{SUMS}/lookup/example.com/Acme@v1.0.0",
        f"{SUMS}/lookup/example.com/demo",
        f"{SUMS}/tile/8/0/0",
        f"{SUMS}/tile/9/0/000",
        f"{SUMS}/tile/8/0/000.p/0",
        f"{SUMS}/tile/8/0/%2e%2e%2f000",
    ):
        assert world.get(key, path).status in {400, 404}, path
    assert not world.upstream.asked
    assert world.get(key, f"{SUMS}/supported").status == 404
    assert world.get(world.repository("local"), f"{SUMS}/supported").status == 404


# virtual


def test_several_are_read_as_one(world: World) -> None:
    local, other = world.repository("local"), world.repository("local")
    world.publish(local, "v1.0.0", KIT)
    world.publish(other, "v1.2.0", KIT)
    world.offer("example.com/theirs", "v0.1.0", "v0.2.0")
    key = world.virtual(local, other, world.remote())
    assert world.versions(key, KIT) == ["v1.0.0", "v1.2.0"]
    assert world.get(key, "example.com/!acme/!kit/@latest").json()["Version"] == "v1.2.0"
    for version in ("v1.0.0", "v1.2.0"):
        for extension in ("info", "mod", "zip", "ziphash"):
            assert world.get(key, f"example.com/!acme/!kit/@v/{version}.{extension}").status == 200
    assert world.versions(key, "example.com/theirs") == ["v0.1.0", "v0.2.0"]
    assert world.get(key, "example.com/theirs/@latest").json()["Version"] == "v0.2.0"
    assert world.get(key, "example.com/theirs/@v/v0.2.0.zip").status == 200
    assert world.get(key, "example.com/absent/@v/list").status == 404
    world.publish(other, "v1.3.0", KIT)
    assert world.versions(key, KIT) == ["v1.0.0", "v1.2.0", "v1.3.0"]


def test_the_first_member_speaks_for_a_version(world: World) -> None:
    one, two = world.repository("local"), world.repository("local")
    world.publish(one, "v1.0.0", says="one")
    world.publish(two, "v1.0.0", says="two")
    assert world.get(world.virtual(one, two), f"{DEMO}/@v/v1.0.0.zip").body == make.module(says="one")
    assert world.get(world.virtual(two, one), f"{DEMO}/@v/v1.0.0.zip").body == make.module(says="two")


def test_a_module_of_ours_is_never_asked_of_others(world: World) -> None:
    local = world.repository("local")
    world.publish(local, "v1.0.0")
    world.offer(DEMO, "v9.9.9")
    world.upstream.put(f"/{SUMS}/lookup/{DEMO}@v1.0.0", b"1\n")
    world.upstream.put(f"/{SUMS}/supported", b"")
    key = world.virtual(world.remote(), local)
    assert world.versions(key) == ["v1.0.0"]
    assert world.get(key, f"{DEMO}/@latest").json()["Version"] == "v1.0.0"
    assert world.get(key, f"{DEMO}/@v/v9.9.9.info").status == 404
    assert world.get(key, f"{SUMS}/lookup/{DEMO}@v1.0.0").status == 404
    assert not world.upstream.asked
    assert world.get(key, f"{SUMS}/supported").status == 200


def test_what_is_below_a_module_of_ours_is_ours_too_unless_somebody_says_otherwise(world: World) -> None:
    """The go command asks for every part of what is imported: names of ours would be told to others."""
    local = world.repository("local")
    world.publish(local, "v1.0.0")
    world.offer(f"{DEMO}/sub", "v1.0.0")
    world.offer(f"{DEMO}/v2", "v2.0.0")
    remote = world.remote()
    key = world.virtual(local, remote)
    for path in ("sub/@v/list", "sub/secret/@v/list", "v2/@v/list", "v2/@v/v2.0.0.zip"):
        assert world.get(key, f"{DEMO}/{path}").status == 404, path
    assert world.get(key, f"{SUMS}/lookup/{DEMO}/v2@v2.0.0").status == 404
    assert not world.upstream.asked
    shared = world.virtual(local, remote, shared_names=[f"{DEMO}/*"])
    assert world.versions(shared, f"{DEMO}/sub") == ["v1.0.0"]
    assert world.versions(shared) == ["v1.0.0"]


def test_a_hidden_member_is_not_seen_and_keeps_its_names(world: World) -> None:
    hidden = world.repository("local", is_public=False)
    world.publish(hidden, "v1.0.0")
    world.offer(DEMO, "v9.9.9")
    key = world.virtual(hidden, world.remote())
    assert world.get(key, f"{DEMO}/@v/list").status == 404
    assert world.get(key, f"{DEMO}/@v/v1.0.0.zip").status == 404
    assert world.get(key, f"{DEMO}/@v/v9.9.9.zip").status == 404
    assert world.versions(key, auth=world.running.admin) == ["v1.0.0"]
    assert not world.upstream.asked


def test_a_member_that_is_away_makes_nothing_missing(world: World) -> None:
    """After a 404 the go command would ask elsewhere."""
    key = world.virtual(world.repository("local"), world.remote())
    world.upstream.away = True
    assert world.get(key, f"{DEMO}/@v/list").status == 502
    assert world.get(key, f"{DEMO}/@v/v1.0.0.info").status == 502


def test_what_is_published_to_a_virtual_repository_goes_to_its_member(world: World) -> None:
    local = world.repository("local")
    key = world.virtual(local, world.remote(), publish_to=local)
    world.publish(key, "v1.0.0")
    assert world.versions(local) == world.versions(key) == ["v1.0.0"]
