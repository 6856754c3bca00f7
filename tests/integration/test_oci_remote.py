"""Images through remote and virtual repositories: from an upstream with a token service, and from one that lies."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.oci import make
from tests.servers.upstream import Handler, Upstream

_numbers = count(1)

TOKEN = "good-for-a-while"
SECRET = "Basic " + b64encode(b"robot:secret").decode()


class Hub:
    """An upstream that gives images to those who show a token of its token service; `robot` may have one, or all."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.asked_for_tokens: list[dict[str, list[str]]] = []
        self.credentials: list[str] = []
        self.needs_token = True
        self.needs_robot = False
        self.good = TOKEN

    def gives(self, sample: make.Image, *references: str, image: str = "tools/hello") -> None:
        for data in sample.blobs:
            self.put(f"/v2/{image}/blobs/{make.digest(data)}", data, "application/octet-stream")
        for reference in (*references, sample.digest):
            self.put(f"/v2/{image}/manifests/{reference}", sample.manifest, make.OCI_MANIFEST)
        self.put(f"/v2/{image}/tags/list", json.dumps({"name": image, "tags": list(references)}).encode())

    def put(self, path: str, body: bytes, media_type: str = "application/json") -> None:
        """Serve this to those who show the token."""

        def give(handler: Handler) -> None:
            shown = handler.headers.get("authorization", "")
            if self.needs_token and shown != f"Bearer {self.good}":
                scope = f"repository:{path.split('/manifests/', maxsplit=1)[0].removeprefix('/v2/')}:pull"
                challenge = f'Bearer realm="{self.upstream.url}/token",service="hub",scope="{scope}"'
                handler.give(401, b"{}", **{"www-authenticate": challenge})
            else:
                with self.upstream.lock:
                    self.upstream.bodies[path] += 1
                handler.give(200, body, media_type)

        self.upstream.special[path] = give

    def token(self, handler: Handler) -> None:
        self.asked_for_tokens.append(parse_qs(urlsplit(handler.path).query))
        self.credentials.append(handler.headers.get("authorization", ""))
        if self.needs_robot and self.credentials[-1] != SECRET:
            handler.give(401, b"{}")
        else:
            handler.give(200, json.dumps({"token": self.good, "expires_in": 300}).encode(), "application/json")


class World:
    """A product, and what its administrator makes for a test."""

    def __init__(self, running: Product, hub: Hub) -> None:
        self.running, self.hub = running, hub

    def create(self, repo_type: str, **fields: Any) -> str:
        key = f"{repo_type}{next(_numbers)}"
        body = {"key": key, "name": key, "format": "docker", "repo_type": repo_type, "is_public": True, **fields}
        self.running.done("POST", "/api/v1/repositories", body)
        return key

    def remote(self, **fields: Any) -> str:
        return self.create("remote", **{"upstream_url": self.hub.upstream.url, **fields})

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.create("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def get(self, path: str, **options: Any) -> Reply:
        return self.running.call(options.pop("method", "GET"), f"/v2/{path}", **options)

    def push(self, key: str, sample: make.Image, reference: str, image: str = "tools/hello") -> None:
        for data in sample.blobs:
            self.running.done("POST", f"/v2/{key}/{image}/blobs/uploads/?digest={make.digest(data)}", data)
        headers = {"content-type": make.OCI_MANIFEST}
        self.running.done("PUT", f"/v2/{key}/{image}/manifests/{reference}", sample.manifest, headers=headers)

    def tags(self, key: str, image: str = "tools/hello") -> list[str]:
        reply = self.get(f"{key}/{image}/tags/list")
        assert reply.status == 200, reply.body
        listed: list[str] = reply.json()["tags"]
        return listed

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"/api/v1/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory = tmp_path_factory.mktemp("oci-remote")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    for kept in (upstream.files, upstream.special, upstream.asked, upstream.bodies):
        kept.clear()
    upstream.away, upstream.delay_seconds = False, 0.0
    hub = Hub(upstream)
    upstream.special["/token"] = hub.token
    return World(running, hub)


def code(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.json()["errors"][0]["code"]


# remote


def test_an_image_is_pulled_through_and_asked_for_once(world: World) -> None:
    sample = make.image("through")
    world.hub.gives(sample, "1", "latest")
    key = world.remote()
    for _ in range(2):
        for reference in ("1", sample.digest):
            reply = world.get(f"{key}/tools/hello/manifests/{reference}")
            assert (reply.status, reply.body) == (200, sample.manifest)
            assert reply.header("content-type") == make.OCI_MANIFEST
            assert reply.header("docker-content-digest") == sample.digest
        for data in sample.blobs:
            reply = world.get(f"{key}/tools/hello/blobs/{make.digest(data)}")
            assert (reply.status, reply.body) == (200, data)
            assert reply.header("docker-content-digest") == make.digest(data)
        assert world.tags(key) == ["1", "latest"]
    assert set(world.hub.upstream.bodies.values()) == {1}
    assert f"/v2/tools/hello/manifests/{sample.digest}" not in world.hub.upstream.bodies
    (asked,) = world.hub.asked_for_tokens
    assert asked == {"service": ["hub"], "scope": ["repository:tools/hello:pull"]}
    assert world.hub.credentials == [""]


def test_the_credential_buys_a_token(world: World) -> None:
    world.hub.needs_robot = True
    sample = make.image("bought")
    world.hub.gives(sample, "1")
    poor = world.remote()
    assert world.get(f"{poor}/tools/hello/manifests/1").status in {404, 502}
    auth = {"upstream_auth_type": "basic", "upstream_username": "robot", "upstream_password": "secret"}
    rich = world.remote(**auth)
    assert world.get(f"{rich}/tools/hello/manifests/1").body == sample.manifest
    assert world.hub.credentials[-1] == SECRET


def test_a_token_that_is_no_longer_good_is_replaced(world: World) -> None:
    first, second = make.image("first"), make.image("second")
    world.hub.gives(first, "1")
    key = world.remote()
    assert world.get(f"{key}/tools/hello/manifests/1").body == first.manifest
    world.hub.good = "another"
    world.hub.gives(second, "1")
    world.expire(key)
    assert world.get(f"{key}/tools/hello/manifests/1").body == second.manifest
    assert len(world.hub.asked_for_tokens) == 2


def test_a_credential_is_not_shown_to_strangers(world: World) -> None:
    with Upstream() as stranger:
        shown: list[str] = []

        def greedy(handler: Handler) -> None:
            shown.append(handler.headers.get("authorization", ""))
            handler.give(200, b'{"token":"x"}', "application/json")

        stranger.special["/token"] = greedy

        def challenge(handler: Handler) -> None:
            handler.give(401, b"{}", **{"www-authenticate": f'Bearer realm="{stranger.url}/token",service="s"'})

        world.hub.upstream.special["/v2/img/manifests/1"] = challenge
        auth = {"upstream_auth_type": "basic", "upstream_username": "robot", "upstream_password": "secret"}
        key = world.remote(**auth)
        assert world.get(f"{key}/img/manifests/1").status == 404
    assert shown == [""]


def test_bytes_of_another_digest_are_not_kept(world: World) -> None:
    sample = make.image("lies")
    world.hub.gives(sample, "1")
    layer = make.digest(sample.blobs[1])
    world.hub.put(f"/v2/tools/hello/blobs/{layer}", b"other bytes", "application/octet-stream")
    world.hub.put(f"/v2/tools/hello/manifests/{sample.digest}", make.image("other").manifest, make.OCI_MANIFEST)
    world.hub.put("/v2/tools/hello/manifests/page", b"<html>", "text/html")
    key = world.remote()
    for path in (f"blobs/{layer}", f"manifests/{sample.digest}", "manifests/page"):
        assert world.get(f"{key}/tools/hello/{path}").status == 502
    world.hub.gives(sample, "1")
    assert world.get(f"{key}/tools/hello/blobs/{layer}").body == sample.blobs[1]


def test_what_is_kept_is_served_while_the_upstream_is_away(world: World) -> None:
    sample = make.image("away")
    world.hub.gives(sample, "1")
    key = world.remote()
    assert world.get(f"{key}/tools/hello/manifests/1").status == 200
    assert world.tags(key) == ["1"]
    assert world.get(f"{key}/tools/hello/blobs/{make.digest(sample.blobs[0])}").status == 200
    world.hub.upstream.away = True
    world.expire(key)
    assert world.get(f"{key}/tools/hello/manifests/1").body == sample.manifest
    assert world.get(f"{key}/tools/hello/manifests/{sample.digest}").body == sample.manifest
    assert world.get(f"{key}/tools/hello/blobs/{make.digest(sample.blobs[0])}").body == sample.blobs[0]
    assert world.tags(key) == ["1"]


def test_what_the_upstream_has_not_is_not_there(world: World) -> None:
    key = world.remote()
    assert code(world.get(f"{key}/none/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    assert code(world.get(f"{key}/none/manifests/.what")) == (404, "MANIFEST_UNKNOWN")
    assert code(world.get(f"{key}/none/blobs/{make.digest(b'x')}")) == (404, "BLOB_UNKNOWN")
    assert code(world.get(f"{key}/none/tags/list")) == (404, "NAME_UNKNOWN")
    assert code(world.get(f"{key}/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    assert code(world.get(f"{key}/none/blobs/uploads/", method="POST", auth=world.running.admin)) == (
        405,
        "UNSUPPORTED",
    )


@pytest.mark.parametrize("path", ["/tools", "/v2/tools", "/sub/v2/tools"])
def test_a_path_in_the_address_is_a_part_of_the_names(world: World, path: str) -> None:
    world.hub.needs_token = False
    sample = make.image("below")
    world.hub.gives(sample, "1")
    world.hub.put("/sub/v2/tools/hello/manifests/1", sample.manifest, make.OCI_MANIFEST)
    key = world.remote(upstream_url=world.hub.upstream.url + path)
    assert world.get(f"{key}/hello/manifests/1").body == sample.manifest


def test_long_lists_are_read_to_their_end(world: World) -> None:
    every = [f"v{number:04}" for number in range(120)]

    def give(handler: Handler) -> None:
        after = parse_qs(urlsplit(handler.path).query).get("last", [""])[0]
        part = [tag for tag in every if tag > after][:50]
        handler.give(200, json.dumps({"name": "many", "tags": part}).encode(), "application/json")

    world.hub.upstream.special["/v2/many/tags/list"] = give
    key = world.remote()
    assert world.tags(key, "many") == every
    assert world.get(f"{key}/many/tags/list?n=2&last=v0117").json()["tags"] == ["v0118", "v0119"]


def test_referrers_come_from_the_upstream_or_from_what_was_tagged_instead(world: World) -> None:
    world.hub.needs_token = False
    subject = make.image("subject")
    referrer = make.artifact("application/x", subject.manifest)
    told = make.descriptor(referrer.manifest, make.OCI_MANIFEST, artifactType="application/x")
    index = json.dumps({"schemaVersion": 2, "mediaType": make.OCI_INDEX, "manifests": [told]}).encode()
    world.hub.put(f"/v2/new/referrers/{subject.digest}", index, make.OCI_INDEX)
    world.hub.put(f"/v2/old/manifests/{subject.digest.replace(':', '-')}", index, make.OCI_INDEX)
    key = world.remote()
    for image in ("new", "old"):
        reply = world.get(f"{key}/{image}/referrers/{subject.digest}")
        assert (reply.header("content-type"), reply.json()["manifests"]) == (make.OCI_INDEX, [told])
        assert world.get(f"{key}/{image}/referrers/{subject.digest}?artifactType=x").json()["manifests"] == []
    assert world.get(f"{key}/none/referrers/{subject.digest}").json()["manifests"] == []


def test_the_past_of_an_upstream_is_pulled(world: World) -> None:
    first, second = make.image("first"), make.image("second")
    world.hub.gives(first, "1")
    key = world.remote()
    assert world.get(f"{key}/tools/hello/manifests/1").body == first.manifest
    then = world.running.head()
    world.hub.gives(second, "1")
    world.expire(key)
    assert world.get(f"{key}/tools/hello/manifests/1").body == second.manifest
    assert world.get(f"{key}@{then}/tools/hello/manifests/1").body == first.manifest
    assert code(world.get(f"{key}@{then}/tools/hello/blobs/{make.digest(first.blobs[0])}")) == (404, "BLOB_UNKNOWN")


# virtual


def test_members_are_read_as_one_registry(world: World) -> None:
    ours, theirs = make.image("ours"), make.image("theirs")
    local = world.create("local")
    world.push(local, ours, "1", "own/img")
    world.hub.gives(theirs, "1", "2")
    key = world.virtual(local, world.remote())
    assert world.get(f"{key}/own/img/manifests/1").body == ours.manifest
    assert world.get(f"{key}/own/img/blobs/{make.digest(ours.blobs[1])}").body == ours.blobs[1]
    assert world.get(f"{key}/tools/hello/manifests/2").body == theirs.manifest
    assert world.get(f"{key}/tools/hello/blobs/{make.digest(theirs.blobs[1])}").body == theirs.blobs[1]
    assert world.tags(key) == ["1", "2"]
    assert world.tags(key, "own/img") == ["1"]
    assert code(world.get(f"{key}/none/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    listed = world.get("_catalog").json()["repositories"]
    assert f"{key}/own/img" in listed


def test_lists_of_hosted_members_are_joined_and_paged(world: World) -> None:
    subject = make.image("subject")
    first, second = world.create("local"), world.create("local")
    world.push(first, subject, "b")
    world.push(second, subject, "a")
    world.push(second, subject, "b")
    signatures = [make.artifact(f"application/{name}", subject.manifest, name) for name in ("one", "two")]
    for key, signature in zip((first, second), signatures, strict=True):
        world.push(key, signature, signature.digest)
    key = world.virtual(first, second)
    assert world.tags(key) == ["a", "b"]
    paged = world.get(f"{key}/tools/hello/tags/list?n=1")
    assert paged.json()["tags"] == ["a"]
    assert f"/v2/{key}/tools/hello/tags/list?n=1&last=a" in paged.header("link")
    referrers = world.get(f"{key}/tools/hello/referrers/{subject.digest}").json()["manifests"]
    assert {one["digest"] for one in referrers} == {signature.digest for signature in signatures}
    only = world.get(f"{key}/tools/hello/referrers/{subject.digest}?artifactType=application/two")
    assert [one["artifactType"] for one in only.json()["manifests"]] == ["application/two"]
    assert only.header("oci-filters-applied") == "artifactType"
    world.running.done("DELETE", f"/v2/{first}/tools/hello/manifests/{signatures[0].digest}")
    referrers = world.get(f"{key}/tools/hello/referrers/{subject.digest}").json()["manifests"]
    assert [one["digest"] for one in referrers] == [signatures[1].digest]


def test_nobody_else_speaks_for_an_image_that_is_hosted(world: World) -> None:
    ours, theirs = make.image("ours"), make.image("theirs")
    local = world.create("local")
    world.push(local, ours, "1")
    world.hub.gives(theirs, "1", "2")
    key = world.virtual(world.remote(), local)
    assert world.get(f"{key}/tools/hello/manifests/1").body == ours.manifest
    assert world.get(f"{key}/tools/hello/manifests/2").status == 404
    assert world.tags(key) == ["1"]
    assert not world.hub.upstream.bodies


def test_a_member_that_is_hidden_from_the_caller_is_not_read(world: World) -> None:
    sample = make.image("hidden")
    hidden = world.create("local", is_public=False)
    world.push(hidden, sample, "1")
    key = world.virtual(hidden)
    assert world.get(f"{key}/tools/hello/manifests/1").status == 404
    assert world.get(f"{key}/tools/hello/blobs/{make.digest(sample.blobs[0])}").status == 404
    assert world.get(f"{key}/tools/hello/manifests/1", auth=world.running.admin).status == 200
    assert f"{key}/tools/hello" not in world.get("_catalog").json()["repositories"]


def test_what_is_pushed_to_a_virtual_repository_goes_to_its_member(world: World) -> None:
    local = world.create("local")
    key = world.virtual(local, publish_to=local)
    sample = make.image("pushed")
    world.push(key, sample, "1")
    assert world.get(f"{local}/tools/hello/manifests/1").body == sample.manifest
    assert world.tags(key) == ["1"]
