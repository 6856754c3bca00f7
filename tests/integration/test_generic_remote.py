"""Files of another server, and of several repositories as one."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.servers.upstream import Handler, Upstream

API = "/api/v1"
HERE = "http://registry.example"
JSON = {"accept": "application/json"}

_numbers = count(1)


class World:
    """A registry, a server that it may ask, and repositories for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream

    def repository(self, kind: str, **fields: Any) -> str:
        """The key of a new repository."""
        key = f"{kind}{next(_numbers)}"
        body = {"key": key, "name": key, "format": "generic", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def remote(self, below: str = "", **fields: Any) -> str:
        """One that stands in for what is below an address of the upstream."""
        return self.repository("remote", upstream_url=self.upstream.url + below, **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        """One of these members."""
        return self.repository("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def local(self, files: dict[str, bytes], **fields: Any) -> str:
        """A hosted one with these files."""
        key = self.repository("local", **fields)
        for path, content in files.items():
            self.running.done("PUT", f"/general/{key}/{path}", content)
        return key

    def get(self, key: str, path: str, method: str = "GET", **options: Any) -> Reply:
        """One request."""
        return self.running.call(method, f"/general/{key}/{path}", **options)

    def names(self, key: str, path: str = "", **options: Any) -> list[str]:
        """The entries of a directory, as JSON tells of them."""
        reply = self.get(key, path, headers=JSON, **options)
        assert reply.status == 200, (reply.status, reply.body)
        return [child["name"] + ("/" if child["folder"] else "") for child in reply.json()["children"]]

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory = tmp_path_factory.mktemp("generic-remote")
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
    upstream.bodies.clear()
    upstream.away = False
    return World(running, upstream)


# remote


def test_a_file_is_asked_for_once_and_served_in_parts(world: World) -> None:
    world.upstream.put("/pub/a/tool-1.2.0.bin", b"0123456789", "application/x-tool")
    key = world.remote("/pub")
    first = world.get(key, "a/tool-1.2.0.bin")
    assert (first.status, first.body, first.header("content-type")) == (200, b"0123456789", "application/x-tool")
    assert first.header("x-checksum-sha256") == hashlib.sha256(b"0123456789").hexdigest()
    assert first.header("x-checksum-md5") == hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest()
    part = world.get(key, "a/tool-1.2.0.bin", headers={"range": "bytes=2-4"})
    assert (part.status, part.body) == (206, b"234")
    head = world.get(key, "a/tool-1.2.0.bin", "HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "10")
    again = world.get(key, "a/tool-1.2.0.bin", headers={"if-none-match": first.header("etag")})
    assert again.status == 304
    assert world.get(key, "a/tool-1.2.0.bin.sha512").body == hashlib.sha512(b"0123456789").hexdigest().encode()
    assert world.upstream.asked["/pub/a/tool-1.2.0.bin"] == 1


def test_names_reach_the_upstream_as_they_are_written(world: World) -> None:
    world.upstream.put("/a%20b/%C3%BC%3F%23%25%3Ahttp.txt", b"odd", "text/plain")
    key = world.remote()
    assert world.get(key, "a%20b/u%CC%88%3F%23%25%3Ahttp.txt").body == b"odd"
    for path in ("http://127.0.0.1/x", "a//b", "../x", "%2e%2e/x", "a/%00"):
        assert world.get(key, path).status in {400, 404}, path
    assert sum(world.upstream.asked.values()) == 1


def test_a_file_that_changes_is_seen_to_change(world: World) -> None:
    world.upstream.put("/latest.txt", b"one", "text/plain")
    key, once = world.remote(), world.remote(overwrite="once")
    for there in (key, once):
        assert world.get(there, "latest.txt").body == b"one"
    then = world.running.head()
    world.expire(key)
    assert world.get(key, "latest.txt").body == b"one"
    assert world.upstream.bodies["/latest.txt"] == 2  # once for each: what has not changed is not sent again
    world.upstream.put("/latest.txt", b"two", "text/plain")
    for there in (key, once):
        world.expire(there)
    assert world.get(key, "latest.txt").body == b"two"
    kept = world.get(once, "latest.txt")
    assert (kept.body, "immutable" in kept.header("cache-control")) == (b"one", True)
    world.upstream.away = True
    assert world.get(f"{key}@{then}", "latest.txt").body == b"one"
    assert world.get(key, "latest.txt?revision=1").body == b"one"
    world.expire(key)
    stale = world.get(key, "latest.txt")
    assert (stale.body, "upstream-unavailable" in stale.header("cache-status")) == (b"two", True)
    assert world.get(key, "other.txt").status == 502


def test_what_is_not_there_is_not_asked_for_again_at_once(world: World) -> None:
    key = world.remote()
    for _ in range(3):
        assert world.get(key, "none.txt").status == 404
    assert world.upstream.asked["/none.txt"] == 1


def test_listings_tell_of_what_was_kept(world: World) -> None:
    world.upstream.put("/a/one.txt", b"1")
    world.upstream.put("/a/two.txt", b"2")
    world.upstream.put("/a", b"<html><a href='one.txt'>", "text/html; charset=utf-8")
    key = world.remote()
    assert world.names(key) == []
    assert world.get(key, "a").status == 404
    assert world.get(key, "a/one.txt").status == 200
    assert (world.names(key), world.names(key, "a/")) == (["a/"], ["one.txt"])
    moved = world.get(key, "a")
    assert (moved.status, moved.header("location")) == (301, f"{HERE}/general/{key}/a/")
    assert b'<a href="one.txt">one.txt</a>' in world.get(key, "a/").body
    then = world.running.head()
    assert world.get(key, "a/two.txt").status == 200
    assert (world.names(key, "a/"), world.names(f"{key}@{then}", "a/")) == (["one.txt", "two.txt"], ["one.txt"])
    assert world.running.call("PROPFIND", f"/general/{key}/a/", headers={"depth": "1"}).status == 207
    assert world.running.call("GET", f"/artifactory/{key}/a/two.txt").body == b"2"
    found = world.running.call("GET", f"/artifactory/api/storage/{key}/a/two.txt")
    assert found.json()["checksums"]["sha256"] == hashlib.sha256(b"2").hexdigest()


def test_a_page_in_place_of_a_file_is_not_kept(world: World) -> None:
    page = b"<html>sign in</html>"
    for path in ("/a.zip", "/a.html"):
        world.upstream.put(path, page, "text/html; charset=utf-8")
    key = world.remote()
    refused = world.get(key, "a.zip")
    assert (refused.status, "page of HTML" in refused.json()["message"]) == (502, True)
    shown = world.get(key, "a.html")
    assert (shown.body, shown.header("content-security-policy")) == (page, "sandbox")
    assert world.names(key) == ["a.html"]


def _large_page(ask: Handler) -> None:
    ask.give(200, b"<p>" * 1_000_000, "text/html")


def test_a_large_page_is_as_harmless_while_it_comes(world: World) -> None:
    world.upstream.special["/large.html"] = _large_page
    key = world.remote()
    for _ in range(2):
        reply = world.get(key, "large.html")
        assert (reply.status, len(reply.body), reply.header("content-security-policy")) == (200, 3_000_000, "sandbox")


def test_a_file_of_an_archive_is_read_from_it(world: World) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside/note.txt", "found")
    world.upstream.put("/a.zip", packed.getvalue(), "application/zip")
    key = world.remote()
    assert world.get(key, "a.zip!/inside/note.txt").body == b"found"
    assert world.get(key, "none.zip!/inside/note.txt").status == 404


def test_files_of_other_formats_do_not_come_this_way(world: World) -> None:
    world.upstream.put("/simple/demo/", b"{}", "application/json")
    key = world.remote(format="pypi")
    for path in (".index/simple/demo.json", "demo/demo-1.0-py3-none-any.whl", ""):
        assert world.get(key, path).status == 404, path
    assert world.upstream.asked == {}


def test_nobody_puts_files_into_a_remote_repository(world: World) -> None:
    reply = world.running.call("PUT", f"/general/{world.remote()}/a.txt", b"x", auth=world.running.admin)
    assert reply.status == 405


# virtual


def test_the_first_member_that_has_a_file_gives_it(world: World) -> None:
    world.upstream.put("/both.txt", b"upstream")
    world.upstream.put("/theirs.txt", b"theirs")
    local, remote = world.local({"both.txt": b"local", "ours.txt": b"ours"}), world.remote()
    virtual, backwards = world.virtual(local, remote), world.virtual(remote, local)
    assert [world.get(virtual, f"{name}.txt").body for name in ("both", "ours", "theirs")] == [
        b"local",
        b"ours",
        b"theirs",
    ]
    assert world.upstream.asked["/both.txt"] == 0
    assert world.get(backwards, "both.txt").body == b"upstream"
    part = world.get(virtual, "ours.txt", headers={"range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"ur")
    assert world.get(virtual, "none.txt").status == 404
    world.upstream.away = True
    assert world.get(virtual, "ours.txt").body == b"ours"


def test_directories_of_all_members_are_shown_as_one(world: World) -> None:
    world.upstream.put("/a/theirs.txt", b"theirs")
    world.upstream.put("/a/both.txt", b"upstream")
    local = world.local({"a/ours.txt": b"ours", "a/both.txt": b"local", "b/c.txt": b"c"})
    hidden = world.local({"a/secret.txt": b"secret"}, is_public=False)
    remote = world.remote()
    virtual = world.virtual(local, hidden, remote)
    assert world.get(virtual, "a/theirs.txt").status == 200
    assert world.get(remote, "a/both.txt").status == 200
    assert (world.names(virtual), world.names(virtual, "b/")) == (["a/", "b/"], ["c.txt"])
    listed = world.get(virtual, "a/?format=json").json()
    assert [(one["name"], one["size"]) for one in listed["children"]] == [
        ("both.txt", 5),
        ("ours.txt", 4),
        ("theirs.txt", 6),
    ]
    page = world.get(virtual, "a/").body.decode()
    assert re.findall(r'<a href="(\w+\.txt)">', page) == ["both.txt", "ours.txt", "theirs.txt"]
    assert re.search(r"both\.txt</a> +\d{4}-\d\d-\d\d \d\d:\d\d +5\n", page)
    everything = world.names(virtual, "?list&deep=1")
    assert everything == ["a/both.txt", "a/ours.txt", "a/theirs.txt", "b/c.txt"]
    assert "secret.txt" in world.names(virtual, "a/", auth=world.running.admin)
    for path in ("", "/a"):
        moved = world.running.call("GET", f"/general/{virtual}{path}")
        assert (moved.status, moved.header("location")) == (301, f"{HERE}/general/{virtual}{path}/")
    assert world.get(virtual, "none/").status == 404


def test_webdav_sees_the_directories_of_all_members(world: World) -> None:
    world.upstream.put("/a/theirs.txt", b"theirs")
    local, remote = world.local({"a/ours.txt": b"ours", "b.txt": b"four"}), world.remote()
    virtual = world.virtual(world.local({"b.txt": b"first"}), local, remote)
    assert world.get(virtual, "a/theirs.txt").status == 200

    def entries(path: str, depth: str = "1") -> list[tuple[str, str]]:
        reply = world.running.call("PROPFIND", f"/general/{virtual}/{path}", headers={"depth": depth})
        assert reply.status == 207, reply.body
        told = ET.fromstring(reply.body).iter("{DAV:}response")
        return [(one.findtext("{DAV:}href") or "", one.findtext(".//{DAV:}getcontentlength") or "") for one in told]

    there = f"/general/{virtual}"
    assert entries("") == [(f"{there}/", ""), (f"{there}/a/", ""), (f"{there}/b.txt", "5")]
    assert entries("a/") == [(f"{there}/a/", ""), (f"{there}/a/ours.txt", "4"), (f"{there}/a/theirs.txt", "6")]
    assert entries("a/theirs.txt") == entries("a/theirs.txt", "0") == [(f"{there}/a/theirs.txt", "6")]
    assert world.running.call("PROPFIND", f"{there}/none/", headers={"depth": "1"}).status == 404
    assert world.running.call("OPTIONS", f"{there}/").status == 204


def test_directories_of_several_are_gone_through_page_by_page(world: World) -> None:
    one = world.local({f"{number:02}.txt": b"1" for number in range(0, 12, 2)})
    two = world.local({f"{number:02}.txt": b"2" for number in range(1, 5, 2)})
    virtual = world.virtual(one, two)
    found: list[str] = []
    query = "?format=json&limit=3"
    for _ in range(4):
        page = world.get(virtual, query).json()
        found += [child["name"] for child in page["children"]]
        if "next_cursor" not in page:
            break
        query = f"?format=json&limit=3&cursor={page['next_cursor']}"
    assert found == ["00.txt", "01.txt", "02.txt", "03.txt", "04.txt", "06.txt", "08.txt", "10.txt"]


def test_the_past_of_a_virtual_repository_is_that_of_its_members(world: World) -> None:
    world.upstream.put("/theirs.txt", b"one")
    local, remote = world.local({"ours.txt": b"one"}), world.remote()
    virtual = world.virtual(local, remote)
    assert world.get(virtual, "theirs.txt").body == b"one"
    then = world.running.head()
    world.running.done("PUT", f"/general/{local}/ours.txt", b"two")
    world.running.done("PUT", f"/general/{local}/new.txt", b"two")
    world.upstream.put("/theirs.txt", b"two")
    world.expire(remote)
    for key, content in ((virtual, b"two"), (f"{virtual}@{then}", b"one")):
        assert world.get(key, "ours.txt").body == world.get(key, "theirs.txt").body == content
    assert world.names(f"{virtual}@{then}") == ["ours.txt", "theirs.txt"]
    assert world.names(virtual) == ["new.txt", "ours.txt", "theirs.txt"]


def test_what_is_put_into_a_virtual_repository_goes_to_its_member(world: World) -> None:
    local = world.local({})
    virtual = world.virtual(local, world.remote(), publish_to=local)
    world.running.done("PUT", f"/general/{virtual}/a.txt", b"ours")
    assert world.get(local, "a.txt").body == world.get(virtual, "a.txt").body == b"ours"
