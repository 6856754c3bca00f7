"""Crates of another registry, and of several as one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.integration.harness import Reply
from tests.integration.proxied import API, World, proxied
from tests.samples.cargo import make

CRATES = "api/v1/crates"
OLD = "2020-01-01T00:00:00Z"
KEPT = "demo/1.0.0/demo-1.0.0.crate"


class Crates(World):
    """A world with a sparse index; crates are at another place than the index."""

    def offer(self, name: str, *versions: str, dl: str = "", **fields: Any) -> None:
        """Have the upstream tell of these versions too. fields: of their lines."""
        self.configure(dl or f"{self.upstream.url}/crates")
        place = f"/{_place(name)}"
        lines = self.upstream.files.get(place, ("", b""))[1]
        for version in versions:
            content = _content(name, version)
            self.upstream.put(f"/crates/{name}/{version}/download", content)
            lines += _line(name, version, content, **fields)
        self.upstream.put(place, lines, "text/plain")

    def configure(self, dl: str, **fields: Any) -> None:
        config = {"dl": dl, "api": self.upstream.url, **fields}
        self.upstream.put("/config.json", json.dumps(config).encode(), "application/json")

    def publish(self, key: str, name: str, version: str = "1.0.0") -> Reply:
        body = make.publish(name, version, "ours")[0]
        return self.running.call("PUT", f"/cargo/{key}/{CRATES}/new", body, auth=self.running.admin)

    def lines(self, key: str, name: str = "demo", **options: Any) -> list[dict[str, Any]]:
        reply = self.get(key, _place(name), **options)
        assert reply.status == 200, (reply.status, reply.body)
        return [json.loads(line) for line in reply.body.splitlines()]

    def versions(self, key: str, name: str = "demo", **options: Any) -> list[str]:
        return [line["vers"] for line in self.lines(key, name, **options)]

    def crate(self, key: str, name: str = "demo", version: str = "1.0.0", **options: Any) -> Reply:
        return self.get(key, f"{CRATES}/{name}/{version}/download", **options)

    def found(self, key: str, query: str) -> tuple[dict[str, str], int]:
        """Names with their highest versions, and how many there are."""
        answer = json.loads(self.get(key, f"{CRATES}?{query}").body)
        return {crate["name"]: crate["max_version"] for crate in answer["crates"]}, answer["meta"]["total"]


def _place(name: str) -> str:
    folder = f"{name[:2]}/{name[2:4]}" if len(name) > 3 else f"3/{name[0]}" if len(name) == 3 else str(len(name))
    return f"{folder}/{name}".lower()


def _content(name: str, version: str) -> bytes:
    return make.crate(name, version, extra={"mark.txt": b"upstream"})


def _line(name: str, version: str, content: bytes, **fields: Any) -> bytes:
    line = {
        "name": name, "vers": version, "deps": [], "cksum": hashlib.sha256(content).hexdigest(), "features": {},
        "yanked": False, "pubtime": OLD, **fields,
    }  # fmt: skip
    return json.dumps(line).encode() + b"\n"


def _detail(reply: Reply) -> str:
    found: str = json.loads(reply.body)["errors"][0]["detail"]
    return found


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with proxied(postgres_dsn, tmp_path_factory.mktemp("cargo-remote"), "cargo") as world:
        yield world


@pytest.fixture
def world(shared: World) -> Crates:
    shared.begin()
    return Crates(shared.running, shared.upstream, shared.format)


# remote


def test_an_index_file_and_a_crate_are_asked_for_once_and_passed_on_unchanged(world: Crates) -> None:
    dependency = {
        "name": "other", "req": "^1", "features": [], "optional": False, "default_features": True, "target": None,
        "kind": "normal", "registry": None, "package": None, "unheard": [1, 2],
    }  # fmt: skip
    world.offer("demo", "1.0.0", deps=[dependency], surprise={"of": "tomorrow"})
    key = world.remote()
    for folder in ("", "index/", ""):
        reply = world.get(key, f"{folder}de/mo/demo")
        assert (reply.status, reply.body) == (200, world.upstream.files["/de/mo/demo"][1])
        assert reply.header("content-type") == "text/plain; charset=utf-8"
        crate = world.crate(key)
        assert (crate.status, crate.body) == (200, _content("demo", "1.0.0"))
        assert crate.header("cache-control") == "public, max-age=31536000, immutable"
    assert world.upstream.asked == {"/de/mo/demo": 1, "/config.json": 1, "/crates/demo/1.0.0/download": 1}
    again = world.get(key, "de/mo/demo", headers={"if-none-match": reply.header("etag")})
    assert again.status == 304
    assert {row.path for row in world.rows(key)} == {".index/config.json", ".index/de/mo/demo", KEPT}
    world.until_searchable()
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [(one["name"], one["version"]) for one in listed] == [("demo", "1.0.0")]


def test_the_configuration_is_ours_and_not_the_upstreams(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    world.configure("http://elsewhere.example/dl", **{"auth-required": True})
    key = world.remote()
    ours = {"dl": f"http://registry.example/cargo/{key}/{CRATES}", "api": f"http://registry.example/cargo/{key}"}
    assert json.loads(world.get(key, "config.json").body) == ours
    hidden = world.remote(is_public=False)
    shown = json.loads(world.get(hidden, "config.json", auth=world.running.admin).body)
    assert shown["auth-required"] is True


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/dl", "/dl/Demo_One/1.0.0+x/download"),
        ("/dl/{crate}/{crate}-{version}.crate", "/dl/Demo_One/Demo_One-1.0.0+x.crate"),
        ("/dl/{prefix}/{lowerprefix}/{sha256-checksum}", "/dl/De/mo/de/mo/{sha256}"),
    ],
)
def test_crates_are_where_the_template_of_the_index_says(world: Crates, template: str, path: str) -> None:
    world.offer("Demo_One", "1.0.0+x")
    world.configure(f"{world.upstream.url}{template}")
    content = _content("Demo_One", "1.0.0+x")
    world.upstream.put(path.format(sha256=hashlib.sha256(content).hexdigest()), content)
    assert world.crate(world.remote(), "demo_one", "1.0.0+x").body == content


def test_the_index_may_be_at_another_address_and_a_token_goes_to_both_as_cargo_sends_it(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    for path in ("/config.json", "/de/mo/demo"):
        world.upstream.files[f"/index{path}"] = world.upstream.files.pop(path)
    world.upstream.authorization = "a token"
    key = world.remote(index_upstream_url=f"{world.upstream.url}/index")
    assert world.get(key, "de/mo/demo").status == 502
    world.running.done("PUT", f"{API}/repositories/{key}/upstream-auth", {"auth_type": "bearer", "password": "a token"})
    assert world.versions(key) == ["1.0.0"]
    assert world.crate(key).status == 200


def test_what_was_served_then_is_served_as_of_then_and_without_the_upstream(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    first = world.running.head()
    world.offer("demo", "1.1.0")
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "1.1.0"]
    assert world.crate(key).status == 200
    world.upstream.away = True
    assert world.versions(f"{key}@{first}") == ["1.0.0"]
    assert "had not been fetched" in _detail(world.crate(f"{key}@{first}"))
    assert world.crate(f"{key}@{world.running.head()}").body == _content("demo", "1.0.0")
    world.expire(key)
    stale = world.get(key, "de/mo/demo")
    assert (stale.status, "upstream-unavailable" in stale.header("cache-status")) == (200, True)
    assert world.crate(key, version="1.1.0").status == 502


def test_what_the_upstream_has_not_is_not_found_and_not_asked_for_again_at_once(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    key = world.remote()
    for _ in range(3):
        assert world.get(key, "no/ne/none").status == 404
        assert _detail(world.crate(key, version="9.0.0")) == "crate `demo` does not have a version `9.0.0`"
    assert (world.upstream.asked["/no/ne/none"], world.upstream.asked["/de/mo/demo"]) == (1, 1)
    for path in (f"{CRATES}/demo/latest/download", f"{CRATES}/dé/1.0.0/download", "de/mo/other", ".index/config.json"):
        assert world.get(key, path).status == 404, path


def test_a_yanked_version_says_so_and_is_still_to_be_had(world: Crates) -> None:
    world.offer("demo", "1.0.0", yanked=True)
    key = world.remote()
    assert [line["yanked"] for line in world.lines(key)] == [True]
    assert world.crate(key).status == 200


def test_young_versions_are_held_back_and_so_are_those_of_unknown_age(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    world.offer("demo", "1.1.0", pubtime="2999-01-01T00:00:00Z")
    world.offer("demo", "1.2.0", pubtime=None)
    key = world.remote()
    assert world.versions(key) == ["1.0.0", "1.1.0", "1.2.0"]
    world.running.done("PUT", f"{API}/repositories/{key}/age-gate", {"enabled": True, "min_age_days": 7})
    assert world.versions(key) == ["1.0.0"]
    assert (world.crate(key).status, world.crate(key, version="1.1.0").status) == (200, 451)
    assert world.crate(key, version="1.2.0").status == 503


def test_nobody_publishes_or_yanks_at_an_upstream(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    key = world.remote()
    assert "filled from its upstream" in _detail(world.publish(key, "demo"))
    reply = world.running.call("DELETE", f"/cargo/{key}/{CRATES}/demo/1.0.0/yank", auth=world.running.admin)
    assert reply.status == 405


def test_a_search_is_the_upstreams_where_it_has_one(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    found = {"crates": [{"name": "demo", "max_version": "3.0.0", "description": None, "x": 1}], "meta": {"total": 7}}
    world.upstream.put(f"/{CRATES}", json.dumps(found).encode(), "application/json")
    key = world.remote()
    assert world.found(key, "q=dem&per_page=5") == ({"demo": "3.0.0"}, 7)
    assert world.crate(key).status == 200
    then = world.running.head()
    world.until_searchable()
    assert world.found(f"{key}@{then}", "q=demo") == ({"demo": "1.0.0"}, 1), "what was kept then"
    assert {row.path for row in world.rows(key)} == {".index/config.json", ".index/de/mo/demo", KEPT}
    world.upstream.put(f"/{CRATES}", b"<html>", "text/html")
    assert world.get(key, f"{CRATES}?q=dem").status == 502
    world.configure(f"{world.upstream.url}/crates", api=None)
    world.expire(key)
    assert world.found(key, "q=demo") == ({"demo": "1.0.0"}, 1)


# upstreams that lie


def test_a_crate_that_is_not_what_the_index_says_is_not_kept_and_it_is_recorded(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    key = world.remote()
    world.upstream.put("/crates/demo/1.0.0/download", _content("demo", "6.6.6"))
    reply = world.crate(key)
    assert (reply.status, "sha256 digest" in _detail(reply)) == (502, True)
    assert world.rejections(key) == [KEPT]
    world.upstream.put("/crates/demo/1.0.0/download", _content("demo", "1.0.0"))
    assert world.crate(key).body == _content("demo", "1.0.0")


def test_lines_that_do_not_belong_there_are_left_out(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    good = world.upstream.files["/de/mo/demo"][1]
    alien = (
        _line("evil", "1.0.0", b"x") + _line("demo", "not a version", b"x") + _line("demo", "2.0.0", b"", cksum="no")
    )
    world.upstream.put("/de/mo/demo", b"{\n\n[]\n" + alien + good + b'{"name":"demo"}\n', "text/plain")
    assert world.get(world.remote(), "de/mo/demo").body == good


@pytest.mark.parametrize("body", [b"", b"<html>not here</html>", b"[" * 100_000, b"\xff\xfe\n", b"{}\n"])
def test_an_index_file_that_is_none_is_a_bad_gateway(world: Crates, body: bytes) -> None:
    world.offer("demo", "1.0.0")
    world.upstream.put("/de/mo/demo", body, "text/plain")
    key = world.remote()
    assert world.get(key, "de/mo/demo").status == 502
    assert world.rejections(key) == [".index/de/mo/demo"]


@pytest.mark.parametrize(
    "config", [b"", b"{}", b'{"dl": "file:///etc/passwd"}', b'{"dl": "//x"}', b'{"dl": "http://x/ y"}', b'{"dl": 3}']
)
def test_a_configuration_that_is_none_is_a_bad_gateway(world: Crates, config: bytes) -> None:
    world.offer("demo", "1.0.0")
    world.upstream.put("/config.json", config, "application/json")
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    assert world.crate(key).status == 502


def test_nobody_is_led_to_an_address_inside(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    world.configure("http://169.254.169.254/latest")
    key = world.remote()
    assert "does not go" in _detail(world.crate(key))
    assert world.rejections(key) == [KEPT]


# virtual


def test_members_are_one_index_in_which_the_first_one_wins_every_version(world: Crates) -> None:
    world.offer("demo", "1.0.0", "2.0.0")
    first, second, remote = world.local(), world.local(), world.remote()
    for key, version in ((first, "1.0.0"), (first, "1.1.0+b"), (second, "1.1.0+a"), (second, "1.2.0")):
        assert world.publish(key, "mine", version).status == 200
    virtual = world.virtual(first, second, remote)
    assert world.versions(virtual, "mine") == ["1.0.0", "1.1.0+b", "1.2.0"]
    assert world.versions(virtual) == ["1.0.0", "2.0.0"]
    assert world.crate(virtual, "mine", "1.2.0").body == make.publish("mine", "1.2.0", "ours")[1]
    assert world.crate(virtual, version="2.0.0").body == _content("demo", "2.0.0")
    assert world.get(virtual, "no/ne/none").status == 404
    config = json.loads(world.get(virtual, "config.json").body)
    assert config["api"] == f"http://registry.example/cargo/{virtual}"
    then = world.running.head()
    assert world.publish(second, "mine", "1.3.0").status == 200
    assert world.versions(virtual, "mine") == ["1.0.0", "1.1.0+b", "1.2.0", "1.3.0"]
    assert world.versions(f"{virtual}@{then}", "mine") == ["1.0.0", "1.1.0+b", "1.2.0"]


def test_a_name_that_is_ours_in_whatever_spelling_is_not_taken_from_an_upstream(world: Crates) -> None:
    world.offer("my-demo", "9.0.0")
    world.offer("my_demo", "9.0.0")
    local, remote = world.local(), world.remote()
    assert world.publish(local, "My_demo").status == 200
    virtual = world.virtual(remote, local)
    assert world.versions(virtual, "my_demo") == ["1.0.0"]
    assert world.get(virtual, _place("my-demo")).status == 404
    for name in ("my-demo", "my_demo"):
        assert world.crate(virtual, name, "9.0.0").status == 404
    hidden = world.virtual(remote, world.local(is_public=False))
    assert world.versions(hidden, "my-demo") == ["9.0.0"]
    world.running.done("PATCH", f"{API}/repositories/{virtual}", {"shared_names": ["my?demo"]})
    assert world.versions(virtual, "my_demo") == ["9.0.0", "1.0.0"]


def test_members_that_the_caller_may_not_read_are_not_there(world: Crates) -> None:
    shown, hidden = world.local(), world.local(is_public=False)
    for key, version in ((shown, "1.0.0"), (hidden, "2.0.0")):
        assert world.publish(key, "mine", version).status == 200
    virtual = world.virtual(hidden, shown)
    assert world.versions(virtual, "mine") == ["1.0.0"]
    assert world.versions(virtual, "mine", auth=world.running.admin) == ["2.0.0", "1.0.0"]
    assert world.crate(virtual, "mine", "2.0.0").status == 404
    only = world.virtual(hidden)
    assert "auth-required" not in json.loads(world.get(only, "config.json").body), "it is the virtual one's to say"
    private = world.virtual(shown, is_public=False)
    config: Mapping[str, Any] = json.loads(world.get(private, "config.json", auth=world.running.admin).body)
    assert config["auth-required"] is True


def test_a_search_is_that_of_all_members_each_name_once(world: Crates) -> None:
    world.offer("demo", "1.0.0")
    crates = [{"name": name, "max_version": "9.0.0", "description": "x"} for name in ("Ours-here", "demo", "more")]
    found = {"crates": crates, "meta": {"total": 3}}
    world.upstream.put(f"/{CRATES}", json.dumps(found).encode(), "application/json")
    local = world.local()
    assert world.publish(local, "ours_here").status == 200
    virtual = world.virtual(local, world.remote())
    world.until_searchable()
    assert world.found(virtual, "q=ours") == ({"ours_here": "1.0.0", "demo": "9.0.0", "more": "9.0.0"}, 3)
    assert world.found(virtual, "q=ours&per_page=1&page=2") == ({"demo": "9.0.0"}, 3)
    world.upstream.away = True
    assert world.found(virtual, "q=ours") == ({"ours_here": "1.0.0"}, 1)


def test_what_is_published_to_a_virtual_repository_goes_where_it_says(world: Crates) -> None:
    local = world.local()
    virtual = world.virtual(local)
    assert world.publish(virtual, "mine").status == 405
    world.running.done("PATCH", f"{API}/repositories/{virtual}", {"publish_to": local})
    assert world.publish(virtual, "mine").status == 200
    assert world.versions(local, "mine") == world.versions(virtual, "mine") == ["1.0.0"]
    yanked = world.running.call("DELETE", f"/cargo/{virtual}/{CRATES}/mine/1.0.0/yank", auth=world.running.admin)
    assert yanked.status == 200
    assert [line["yanked"] for line in world.lines(virtual, "mine")] == [True]
