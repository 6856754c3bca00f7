"""npm packages of another registry, and of several as one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.npm import make
from tests.servers.upstream import Upstream

API = "/api/v1"
CORGI = {"accept": "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"}
OLD = "2020-01-01T00:00:00.000Z"
YOUNG = "2999-01-01T00:00:00.000Z"
SIGNATURE = {"keyid": "SHA256:upstream", "sig": "c2lnbmF0dXJl"}
HERE = "http://registry.example"

_numbers = count(1)


class World:
    """A registry, another one that it may ask, and repositories for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream

    def repository(self, kind: str, **fields: Any) -> str:
        """The key of a new repository."""
        key = f"{kind}{next(_numbers)}"
        body = {"key": key, "name": key, "format": "npm", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def remote(self, **fields: Any) -> str:
        """One that stands in for the upstream."""
        return self.repository("remote", upstream_url=self.upstream.url, **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        """One of these members."""
        return self.repository("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def local(self, *versions: str, name: str = "hello", **fields: Any) -> str:
        """A hosted one with these versions of a package."""
        key = self.repository("local", **fields)
        for version in versions:
            self.publish(key, name, version)
        return key

    def publish(self, key: str, name: str, version: str) -> None:
        """Publish a version as somebody who then owns the package."""
        data = tarball(name, version, says="ours")
        self.running.done("PUT", f"/npm/{key}/{quote(name, safe='@')}", make.document(data, name, version))

    def offer(self, *versions: str, name: str = "hello", time: str = OLD, **fields: Any) -> None:
        """Have the upstream tell of these versions besides those it told of; `latest` is the last."""
        address = f"/{quote(name, safe='@')}"
        known = self.upstream.files.get(address)
        told: dict[str, Any] = (
            json.loads(known[1]) if known else {"_id": name, "name": name, "versions": {}, "time": {}}
        )
        for version in versions:
            data = tarball(name, version)
            file = f"/files/{name}-{version}.tgz"
            self.upstream.put(file, data)
            told["versions"][version] = manifest(name, version, data, self.upstream.url + file, **fields)
            told["time"] |= {"created": OLD, "modified": time, version: time}
            told["dist-tags"] = {"latest": version}
        self.upstream.put(address, json.dumps(told, indent=1).encode(), "application/json")

    def get(self, key: str, path: str, **options: Any) -> Reply:
        """One request."""
        return self.running.call("GET", f"/npm/{key}/{path}", **options)

    def packument(self, key: str, name: str = "hello", **options: Any) -> Any:
        """A package document."""
        reply = self.get(key, name, **options)
        assert reply.status == 200, (reply.status, reply.body)
        return json.loads(reply.body)

    def versions(self, key: str, name: str = "hello", **options: Any) -> list[str]:
        """The versions in an abbreviated document."""
        return sorted(self.packument(key, name, headers=CORGI, **options)["versions"])

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


def tarball(name: str, version: str, says: str = "upstream") -> bytes:
    return make.tarball({"index.js": f"// {version} {says}"}, name=name, version=version)


def manifest(name: str, version: str, data: bytes, url: str, **fields: Any) -> dict[str, Any]:
    dist = {
        "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "tarball": url,
        "integrity": f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",
        "signatures": [SIGNATURE],
        "attestations": {"url": "https://elsewhere.example/-/npm/v1/attestations/x", "provenance": {"a": 1}},
    }
    return {"name": name, "version": version, "description": "from afar", "weird": 1.50, **fields, "dist": dist}


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory = tmp_path_factory.mktemp("npm-remote")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, workers=2, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    upstream.files.clear()
    upstream.special.clear()
    upstream.asked.clear()
    upstream.headers.clear()
    upstream.away = False
    return World(running, upstream)


# remote


def test_a_package_and_its_tarball_are_asked_for_once(world: World) -> None:
    world.offer("1.0.0")
    key = world.remote()
    for worker in (0, 1):
        short = world.packument(key, headers=CORGI, worker=worker)
        assert set(short) == {"name", "modified", "dist-tags", "versions"}
        assert world.packument(key, worker=worker)["_id"] == "hello"
        url = short["versions"]["1.0.0"]["dist"]["tarball"]
        assert url == f"{HERE}/npm/{key}/hello/-/hello-1.0.0.tgz"
        reply = world.running.call("GET", url.removeprefix(HERE), worker=worker)
        assert (reply.status, reply.body) == (200, tarball("hello", "1.0.0"))
        assert reply.header("content-type") == "application/octet-stream"
        assert reply.header("cache-control") == "public, max-age=31536000, immutable"
    assert world.upstream.asked == {"/hello": 1, "/files/hello-1.0.0.tgz": 1}
    (listed,) = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert (listed["name"], listed["version"]) == ("hello", "1.0.0")


def test_what_is_not_ours_stays_as_it_came(world: World) -> None:
    world.offer("1.0.0", scripts={"postinstall": "node x"}, deprecated="old", peerDependenciesMeta={"a": {"b": True}})
    key = world.remote()
    body = world.get(key, "hello").body
    assert b'"weird":1.5' in body
    whole = json.loads(body)
    version = whole["versions"]["1.0.0"]
    assert version["dist"]["signatures"] == [SIGNATURE]
    assert version["dist"]["attestations"] == {
        "url": f"{HERE}/npm/{key}/-/npm/v1/attestations/hello@1.0.0",
        "provenance": {"a": 1},
    }
    assert (whole["time"]["1.0.0"], whole["dist-tags"]) == (OLD, {"latest": "1.0.0"})
    short = world.packument(key, headers=CORGI)["versions"]["1.0.0"]
    assert short == {
        "name": "hello",
        "version": "1.0.0",
        "peerDependenciesMeta": {"a": {"b": True}},
        "hasInstallScript": True,
        "deprecated": "old",
        "dist": version["dist"],
    }
    for wanted in ("1.0.0", "latest"):
        assert world.get(key, f"hello/{wanted}").json() == version
    assert world.get(key, "hello/2.0.0").status == 404
    assert world.get(key, "-/package/hello/dist-tags").json() == {"latest": "1.0.0"}


def test_scoped_names_are_one_segment_at_the_upstream(world: World) -> None:
    world.offer("1.0.0", name="@acme/x")
    key = world.remote()
    for spelling in ("@acme/x", "@acme%2fx", "@acme%2Fx"):
        version = world.packument(key, spelling)["versions"]["1.0.0"]
        assert version["dist"]["tarball"] == f"{HERE}/npm/{key}/@acme/x/-/x-1.0.0.tgz"
        reply = world.get(key, f"{spelling}/-/x-1.0.0.tgz")
        assert (reply.status, reply.body) == (200, tarball("@acme/x", "1.0.0")), spelling
    assert world.upstream.asked == {"/@acme%2Fx": 1, "/files/@acme/x-1.0.0.tgz": 1}


def test_a_file_is_found_by_its_name_at_the_upstream_too(world: World) -> None:
    data = tarball("hello", "1.0.2-beta")
    world.upstream.put("/odd/hello-1.0.2beta.tgz", data)
    told = manifest("hello", "1.0.2-beta", data, "odd/hello-1.0.2beta.tgz")
    world.upstream.put("/hello", json.dumps({"name": "hello", "versions": {"1.0.2-beta": told}}).encode())
    key = world.remote()
    assert world.versions(key) == ["1.0.2-beta"]
    for file in ("hello-1.0.2beta.tgz", "hello-1.0.2-beta.tgz"):
        assert world.get(key, f"hello/-/{file}").body == data, file
    assert world.get(key, "hello/-/hello-1.0.0.tgz").status == 404
    assert world.upstream.asked["/odd/hello-1.0.2beta.tgz"] == 1


@pytest.mark.parametrize("kept", ["integrity", "shasum"])
def test_wrong_bytes_are_not_kept(world: World, kept: str) -> None:
    world.offer("1.0.0")
    told = json.loads(world.upstream.files["/hello"][1])
    told["versions"]["1.0.0"]["dist"].pop({"integrity": "shasum", "shasum": "integrity"}[kept])
    world.upstream.put("/hello", json.dumps(told).encode())
    world.upstream.put("/files/hello-1.0.0.tgz", tarball("hello", "1.0.0", says="evil"))
    key = world.remote()
    reply = world.get(key, "hello/-/hello-1.0.0.tgz")
    assert (reply.status, "digest" in reply.json()["error"]) == (502, True), reply.body
    (found,) = world.running.done("GET", f"{API}/audit/events?repository={key}&action=UPSTREAM_REJECTED")["items"]
    assert found["resource_name"] == "hello/-/hello-1.0.0.tgz"
    world.upstream.put("/files/hello-1.0.0.tgz", tarball("hello", "1.0.0"))
    assert world.get(key, "hello/-/hello-1.0.0.tgz").body == tarball("hello", "1.0.0")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"versions":3}', b'{"name":"other"}', b"[" * 100_000, b"\xff"])
def test_what_is_no_package_document_is_a_bad_gateway(world: World, body: bytes) -> None:
    world.upstream.put("/hello", body, "application/json")
    assert world.get(world.remote(), "hello").status == 502


@pytest.mark.parametrize("location", ["http://[", "http://127.0.0.1:99999/", "file:///etc/passwd"])
def test_an_upstream_that_sends_elsewhere_to_nowhere_is_a_bad_gateway(world: World, location: str) -> None:
    world.upstream.special["/hello"] = lambda ask: ask.give(302, b"", location=location)
    assert world.get(world.remote(), "hello").status == 502


def test_a_package_without_versions_is_none(world: World) -> None:
    world.upstream.put("/hello", b'{"name":"hello","time":{"unpublished":{}}}', "application/json")
    key = world.remote()
    for path in ("hello", "hello/1.0.0", "-/package/hello/dist-tags", "hello/-/hello-1.0.0.tgz"):
        assert world.get(key, path).status == 404, path


def test_while_the_upstream_is_away_what_is_kept_is_served(world: World) -> None:
    world.offer("1.0.0")
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    world.expire(key)
    world.upstream.away = True
    reply = world.get(key, "hello", headers=CORGI)
    assert (reply.status, "upstream-unavailable" in reply.header("cache-status")) == (200, True)
    assert world.get(key, "other").status == 502


def test_what_was_served_then_is_served_as_of_then(world: World) -> None:
    world.offer("1.0.0")
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    assert world.get(key, "hello/-/hello-1.0.0.tgz").status == 200
    then = world.running.head()
    world.offer("2.0.0")
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "2.0.0"]
    world.upstream.away = True
    assert world.versions(f"{key}@{then}") == ["1.0.0"]
    short = world.packument(f"{key}@{then}", headers=CORGI)
    assert short["versions"]["1.0.0"]["dist"]["tarball"] == f"{HERE}/npm/{key}@{then}/hello/-/hello-1.0.0.tgz"
    assert world.get(f"{key}@{then}", "hello/-/hello-1.0.0.tgz").body == tarball("hello", "1.0.0")
    missing = world.get(f"{key}@{then}", "hello/-/hello-2.0.0.tgz")
    assert missing.status == 404


def test_what_publishers_may_replace_says_nothing_of_an_upstream(world: World) -> None:
    world.offer("1.0.0")
    key = world.remote(overwrite="once")
    assert world.versions(key) == ["1.0.0"]
    world.offer("2.0.0")
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "2.0.0"]


def test_young_versions_are_held_back(world: World) -> None:
    world.offer("1.0.0", "1.1.0", "3.0.0")
    world.offer("1.2.0", time=YOUNG)
    key = world.remote()
    assert world.packument(key)["dist-tags"] == {"latest": "1.2.0"}
    world.running.done("PUT", f"{API}/repositories/{key}/age-gate", {"enabled": True, "min_age_days": 7})
    for headers in ({}, CORGI):
        shown = world.packument(key, headers=headers)
        assert sorted(shown["versions"]) == ["1.0.0", "1.1.0", "3.0.0"]
        assert shown["dist-tags"] == {"latest": "1.1.0"}
    assert "1.2.0" not in world.packument(key)["time"]
    assert world.get(key, "hello/1.2.0").status == 404
    assert world.get(key, "-/package/hello/dist-tags").json() == {"latest": "1.1.0"}
    held = world.get(key, "hello/-/hello-1.2.0.tgz")
    assert (held.status, "held back" in held.json()["error"]) == (451, True), held.body
    assert world.get(key, "hello/-/hello-1.1.0.tgz").status == 200
    world.offer("1.0.0", name="fresh", time=YOUNG)
    assert "held back" in world.get(key, "fresh").json()["error"]


def test_keys_and_attestations_are_passed_on(world: World) -> None:
    keys = b'{"keys":[{"expires":null,"keyid":"SHA256:upstream","keytype":"x","scheme":"x","key":"AAAA"}]}'
    bundles = b'{"attestations":[{"predicateType":"https://slsa.dev/provenance/v1","bundle":{}}]}'
    world.upstream.put("/-/npm/v1/keys", keys, "application/json")
    world.upstream.put("/-/npm/v1/attestations/@acme%2Fx@1.0.0", bundles, "application/json")
    key = world.remote()
    assert world.get(key, "-/npm/v1/keys").body == keys
    for spelling in ("@acme/x@1.0.0", "@acme%2fx@1.0.0"):
        assert world.get(key, f"-/npm/v1/attestations/{spelling}").body == bundles
    for missing in ("@acme/x@2.0.0", "hello@zero", "hello"):
        assert world.get(key, f"-/npm/v1/attestations/{missing}").status == 404, missing
    virtual = world.virtual(world.local(), key)
    found = [one["keyid"] for one in world.get(virtual, "-/npm/v1/keys").json()["keys"]]
    ours = [one["keyid"] for one in world.get(world.local(), "-/npm/v1/keys").json()["keys"]]
    assert sorted(found) == sorted([*ours, "SHA256:upstream"])
    world.upstream.put("/-/npm/v1/keys", b"<html>", "text/html")
    assert world.get(world.remote(), "-/npm/v1/keys").status == 502


def test_the_registry_answers_for_itself_in_every_kind(world: World) -> None:
    empty = world.repository("virtual")
    for key in (world.remote(), empty, world.virtual(world.remote())):
        assert world.get(key, "-/ping").json() == {}
        assert world.get(key, "-/whoami", auth=world.running.admin).json() == {"username": "admin"}
        reply = world.running.call("POST", f"/npm/{key}/-/npm/v1/security/advisories/bulk", {})
        assert "no package was checked" in reply.json()["error"]
    assert world.upstream.asked == {}


def test_a_search_asks_the_upstream(world: World) -> None:
    hits = [{"package": {"name": name, "version": "1.0.0"}, "score": {"final": 1}} for name in ("hello", "@evil/x")]
    body = json.dumps({"objects": hits, "total": 2, "time": "now"}).encode()
    world.upstream.put("/-/v1/search", body, "application/json")
    key = world.remote()
    assert world.get(key, "-/v1/search?text=x&size=9999").json()["objects"] == hits
    world.running.done("PUT", f"{API}/repositories/{key}/npm-scope-policy", {"allowed_scopes": [], **UNSCOPED})
    world.running.done("PATCH", f"{API}/repositories/{key}", {"npm_allowed_name_patterns": ["hel*"]})
    found = world.get(key, "-/v1/search?text=x").json()
    assert ([one["package"]["name"] for one in found["objects"]], found["total"]) == (["hello"], 1)
    virtual = world.virtual(key, world.remote())
    names = [one["package"]["name"] for one in world.get(virtual, "-/v1/search?text=x").json()["objects"]]
    assert names == ["hello", "@evil/x"]
    assert world.get(f"{key}@{world.running.head()}", "-/v1/search?text=x").status == 404
    assert world.get(f"{virtual}@{world.running.head()}", "-/v1/search?text=x").status == 404


# which names may come


UNSCOPED = {"allow_unscoped": False}


def test_only_chosen_scopes_come_from_upstreams(world: World) -> None:
    world.offer("1.0.0")
    world.offer("1.0.0", name="@acme/x")
    key = world.remote()
    outer = world.virtual(world.virtual(key), world.local("1.0.0", name="ours"))
    address = f"{API}/repositories/{key}/npm-scope-policy"
    assert world.running.done("GET", address) == {
        "repository_key": key, "allowed_scopes": [], "allow_unscoped": False, "active": False,
    }  # fmt: skip
    assert world.get(key, "hello/-/hello-1.0.0.tgz").status == 200
    told = world.running.done("PUT", address, {"allowed_scopes": ["acme"]})
    assert told == {"repository_key": key, "allowed_scopes": ["@acme"], "allow_unscoped": False, "active": True}
    for there in (key, outer):
        for path in ("hello", "hello/1.0.0", "hello/-/hello-1.0.0.tgz", "-/package/hello/dist-tags"):
            assert world.get(there, path).status == 404, path
        assert world.versions(there, "@acme/x") == ["1.0.0"]
    assert "policy for names" in world.get(key, "hello").json()["error"]
    assert world.versions(outer, "ours") == ["1.0.0"]
    world.running.done("PUT", address, {"allowed_scopes": ["@acme"], "allow_unscoped": True})
    assert world.versions(outer) == ["1.0.0"]


def test_a_virtual_repository_has_a_policy_for_its_remote_members(world: World) -> None:
    world.offer("1.0.0")
    world.offer("1.0.0", name="@acme/x")
    remote = world.remote()
    inner = world.virtual(remote, world.local("1.0.0", name="ours"), npm_allowed_scopes=["@acme"])
    shown = world.running.done("GET", f"{API}/repositories/{inner}")
    assert (shown["npm_allowed_scopes"], shown["npm_allow_unscoped"]) == (["@acme"], False)
    for virtual in (inner, world.virtual(inner)):
        assert world.get(virtual, "hello").status == 404
        assert world.versions(virtual, "@acme/x") == world.versions(virtual, "ours") == ["1.0.0"]
    assert world.versions(remote) == ["1.0.0"]


def test_a_policy_is_for_npm_repositories_that_hold_nothing_themselves(world: World) -> None:
    running, local = world.running, world.local()
    for method in ("GET", "PUT"):
        address = f"{API}/repositories/{local}/npm-scope-policy"
        assert running.call(method, address, {"allowed_scopes": []}, auth=running.admin).status == 400
    refused = running.call("PATCH", f"{API}/repositories/{local}", {"npm_allow_unscoped": True}, auth=running.admin)
    assert refused.status == 400
    key = world.remote()
    address = f"{API}/repositories/{key}/npm-scope-policy"
    assert running.call("PUT", address, {"allowed_scopes": ["no scope"]}, auth=running.admin).status == 400
    reader = running.person(f"reader-{key}", **{key: "read write"})
    assert running.call("PUT", address, {"allowed_scopes": ["@a"]}, auth=reader).status == 403
    assert running.call("GET", address, auth=reader).status == 200


# virtual


def test_a_name_that_is_ours_is_never_asked_of_an_upstream(world: World) -> None:
    world.offer("9.0.0")
    local = world.local("1.0.0", is_public=False)
    virtual = world.virtual(world.remote(), local)
    reader = world.running.person(f"reader-{virtual}", **{virtual: "read", local: "read"})
    assert world.versions(virtual, auth=reader) == ["1.0.0"]
    assert world.get(virtual, "hello/-/hello-1.0.0.tgz", auth=reader).body == tarball("hello", "1.0.0", says="ours")
    for path in ("hello", "hello/-/hello-9.0.0.tgz", "hello/9.0.0", "-/npm/v1/attestations/hello@9.0.0"):
        assert world.get(virtual, path).status == 404, path  # a hidden member has names, too
        assert world.get(virtual, path, auth=reader).status == (200 if path == "hello" else 404), path
    assert world.upstream.asked == {}


def test_versions_of_all_members_are_shown_and_the_first_wins(world: World) -> None:
    world.offer("1.0.0", "3.0.0", "4.0.0-rc.1")
    world.offer("1.0.0", name="theirs")
    local, remote = world.local("1.0.0", "2.0.0"), world.remote()
    virtual = world.virtual(local, remote, shared_names=["hello"])
    for headers in ({}, CORGI):
        shown = world.packument(virtual, headers=headers)
        assert list(shown["versions"]) == ["1.0.0", "2.0.0", "3.0.0", "4.0.0-rc.1"]
        assert shown["dist-tags"] == {"latest": "2.0.0"}
        for version, told in shown["versions"].items():
            file = f"{HERE}/npm/{virtual}/hello/-/hello-{version}.tgz"
            assert told["dist"]["tarball"] == file
            says = "ours" if version in {"1.0.0", "2.0.0"} else "upstream"
            data = world.running.call("GET", file.removeprefix(HERE)).body
            assert data == tarball("hello", version, says=says)
            sha512 = base64.b64encode(hashlib.sha512(data).digest()).decode()
            assert told["dist"]["integrity"] == f"sha512-{sha512}"
    assert {"1.0.0", "3.0.0", "created", "modified"} <= set(world.packument(virtual)["time"])
    assert world.packument(virtual)["_id"] == "hello"
    backwards = world.virtual(remote, local, shared_names=["hel*"])
    shown = world.packument(backwards)
    assert (sorted(shown["versions"]), shown["dist-tags"]) == (
        ["1.0.0", "2.0.0", "3.0.0", "4.0.0-rc.1"],
        {"latest": "4.0.0-rc.1"},
    )
    assert world.get(backwards, "hello/-/hello-1.0.0.tgz").body == tarball("hello", "1.0.0")
    assert world.versions(virtual, "theirs") == ["1.0.0"]


def test_a_publish_to_a_virtual_repository_goes_to_its_member(world: World) -> None:
    local = world.local()
    virtual = world.virtual(local, world.remote(), publish_to=local)
    world.publish(virtual, "mine", "1.0.0")
    assert world.versions(local, "mine") == world.versions(virtual, "mine") == ["1.0.0"]


def test_the_past_of_a_virtual_repository_is_that_of_its_members(world: World) -> None:
    world.offer("1.0.0", name="theirs")
    local, remote = world.local("1.0.0"), world.remote()
    virtual = world.virtual(local, remote)
    assert (world.versions(virtual), world.versions(virtual, "theirs")) == (["1.0.0"], ["1.0.0"])
    then = world.running.head()
    world.publish(local, "hello", "2.0.0")
    world.offer("2.0.0", name="theirs")
    world.expire(remote)
    for name in ("hello", "theirs"):
        assert world.versions(virtual, name) == ["1.0.0", "2.0.0"]
        assert world.versions(f"{virtual}@{then}", name) == ["1.0.0"]
