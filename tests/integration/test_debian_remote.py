"""Other archives as remote repositories, and several archives as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.debian import make
from tests.servers.upstream import Upstream

POOL = "pool/main/h/hello"
HELLO = f"{POOL}/hello_1.0-1_amd64.deb"
_numbers = count(1)


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory = tmp_path_factory.mktemp("debian-remote")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


class World:
    """Repositories of the running product, and an upstream that serves whatever a hosted one shows."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream

    def create(self, **fields: Any) -> str:
        key = f"apt{next(_numbers)}"
        self.running.repository(key, "debian", **fields)
        return key

    def hosted(self, *packages: tuple[str, bytes], suites: str = "stable", **fields: Any) -> str:
        key = self.create(**fields)
        for path, data in packages:
            target = f"/debian/{key}/{path}?distribution={suites}"
            assert self.running.call("PUT", target, data, auth=self.running.admin).status == 201
        return key

    def remote(self, **fields: Any) -> str:
        return self.create(repo_type="remote", upstream_url=self.upstream.url, **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.create(repo_type="virtual", member_repos=[{"repo_key": key} for key in members], **fields)

    def publish(self, source: str, suite: str = "stable", *, by_hash: bool = True) -> dict[str, bytes]:
        """Have the upstream serve a suite of a hosted repository, and all it names."""
        shown: dict[str, bytes] = {}
        for name in ("InRelease", "Release", "Release.gpg"):
            shown[f"dists/{suite}/{name}"] = self.get(source, f"dists/{suite}/{name}").body
        for path, digest in indexes(shown[f"dists/{suite}/Release"]).items():
            reply = self.get(source, f"dists/{suite}/{path}")
            if reply.status == 200:
                shown[f"dists/{suite}/{path}"] = reply.body
                if by_hash:
                    shown[f"dists/{suite}/{path.rpartition('/')[0]}/by-hash/SHA256/{digest}"] = reply.body
        for path in self.names(source, suite):
            shown[path] = self.get(source, path).body
        for path, body in shown.items():
            self.upstream.put(f"/{path}", body)
        return shown

    def get(self, key: str, path: str, **options: Any) -> Reply:
        return self.running.call("GET", f"/debian/{key}/{path}", **options)

    def names(self, key: str, suite: str = "stable", arch: str = "amd64", at: str = "") -> list[str]:
        """The paths that an index tells."""
        reply = self.get(f"{key}{at}", f"dists/{suite}/main/binary-{arch}/Packages")
        assert reply.status == 200, (reply.status, reply.body)
        return [line.split()[1] for line in reply.text.splitlines() if line.startswith("Filename: ")]

    def expire(self, key: str) -> None:
        self.running.done("POST", f"/api/v1/repositories/{key}/cache/invalidate")


def indexes(release: bytes) -> dict[str, str]:
    """Path to SHA-256 of the indexes that a Release file names."""
    lines = release.decode().partition("\nSHA256:\n")[2].splitlines()
    return {line.split()[2]: line.split()[0] for line in lines if line.startswith(" ")}


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    upstream.files.clear()
    upstream.special.clear()
    upstream.asked.clear()
    upstream.away = False
    return World(running, upstream)


# remote


def test_signed_files_pass_unchanged_and_everything_is_asked_for_once(world: World) -> None:
    shown = world.publish(world.hosted((HELLO, make.deb())))
    key = world.remote()
    for _ in range(2):
        for path, body in shown.items():
            reply = world.get(key, path)
            assert (reply.status, reply.body) == (200, body), path
    assert set(world.upstream.asked.values()) == {1}
    packages = world.get(key, "dists/stable/main/binary-amd64/Packages.xz")
    assert "immutable" in packages.header("cache-control")


def test_an_archive_without_digests_in_addresses_is_read_by_names(world: World) -> None:
    shown = world.publish(world.hosted((HELLO, make.deb())), by_hash=False)
    release = shown["dists/stable/Release"].replace(b"Acquire-By-Hash: yes\n", b"")
    del world.upstream.files["/dists/stable/InRelease"]
    world.upstream.put("/dists/stable/Release", release)
    key = world.remote()
    assert world.names(key) == [HELLO]
    assert world.get(key, HELLO).body == make.deb()
    assert world.get(key, "dists/stable/InRelease").status == 404
    assert world.get(key, "dists/stable/main/binary-amd64/Packages.bz2").status == 404


def test_an_index_or_a_package_with_another_digest_is_never_kept(world: World) -> None:
    shown = world.publish(world.hosted((HELLO, make.deb())))
    world.upstream.put(f"/{HELLO}", make.deb(mark="other"))
    digest = indexes(shown["dists/stable/Release"])["main/binary-amd64/Packages.gz"]
    address = f"dists/stable/main/binary-amd64/by-hash/SHA256/{digest}"
    world.upstream.put(f"/{address}", b"something else")
    key = world.remote()
    assert world.names(key) == [HELLO]
    assert world.get(key, HELLO).status == 502
    assert world.get(key, address).status == 502
    assert world.get(key, "dists/stable/main/binary-amd64/Packages.gz").status == 502
    world.publish(world.hosted((HELLO, make.deb())))
    world.upstream.put(f"/{address}", shown["dists/stable/main/binary-amd64/Packages.gz"])
    assert world.get(key, address).status == 200
    assert world.get(key, HELLO).body == make.deb()


def test_what_no_index_names_must_at_least_be_a_package(world: World) -> None:
    world.upstream.put(f"/{HELLO}", b"<html>not found, said with 200</html>")
    world.upstream.put("/pool/main/h/hello/hello_2.0-1_amd64.deb", make.deb(version="2.0-1"))
    key = world.remote()
    assert world.get(key, HELLO).status == 502
    assert world.get(key, "pool/main/h/hello/hello_2.0-1_amd64.deb").body == make.deb(version="2.0-1")
    assert world.get(key, "pool/main/h/hello/readme.txt").status == 404
    world.upstream.put("/dists/stable/InRelease", b"<html>")
    assert world.get(key, "dists/stable/InRelease").status == 502


def test_sources_are_vouched_for_too(world: World) -> None:
    source = make.source()
    shown = world.publish(world.hosted(*((f"{POOL}/{name}", data) for name, data in source.items())))
    for name, data in source.items():
        world.upstream.put(f"/{POOL}/{name}", data)
    key = world.remote()
    told = world.get(key, "dists/stable/main/source/Sources")
    assert (told.status, told.body) == (200, shown["dists/stable/main/source/Sources"])
    for name, data in source.items():
        assert world.get(key, f"{POOL}/{name}").body == data
    world.upstream.put(f"/{POOL}/hello_1.0.orig.tar.gz", b"other")
    other = world.remote()
    world.get(other, "dists/stable/main/source/Sources.xz")
    assert world.get(other, f"{POOL}/hello_1.0.orig.tar.gz").status == 502


def test_an_upstream_that_is_away_is_stood_in_for_and_moves_on(world: World) -> None:
    world.publish(world.hosted((HELLO, make.deb())))
    key = world.remote()
    before = world.get(key, "dists/stable/InRelease").body
    assert world.names(key) == [HELLO]
    assert world.get(key, HELLO).status == 200
    then = f"@{world.running.head()}"
    world.expire(key)
    world.upstream.away = True
    assert world.get(key, "dists/stable/InRelease").body == before
    assert world.names(key) == [HELLO]
    world.upstream.away = False
    later = f"{POOL}/hello_2.0-1_amd64.deb"
    world.publish(world.hosted((HELLO, make.deb()), (later, make.deb(version="2.0-1"))))
    fresh = world.remote()
    assert world.names(fresh) == [HELLO, later]
    assert world.names(key, at=then) == [HELLO]
    assert world.get(f"{key}{then}", HELLO).body == make.deb()
    assert world.get(f"{key}{then}", later).status == 404


def test_nobody_publishes_to_another_archive(world: World) -> None:
    key = world.remote()
    reply = world.running.call("PUT", f"/debian/{key}/{HELLO}", make.deb(), auth=world.running.admin)
    assert reply.status == 405


# virtual


def test_archives_are_joined_and_signed_as_one(world: World) -> None:
    other = f"{POOL}/other_1.0-1_amd64.deb"
    world.publish(world.hosted((other, make.deb("other"))))
    own = world.hosted((HELLO, make.deb()))
    key = world.virtual(own, world.remote())
    assert world.names(key) == [HELLO, other]
    assert world.get(key, HELLO).body == make.deb()
    assert world.get(key, other).body == make.deb("other")
    release = world.get(key, "dists/stable/Release")
    for path, digest in indexes(release.body).items():
        reply = world.get(key, f"dists/stable/{path}")
        assert hashlib.sha256(reply.body).hexdigest() == digest, path
        directory = path.rpartition("/")[0]
        assert world.get(key, f"dists/stable/{directory}/by-hash/SHA256/{digest}").body == reply.body
    signed = world.get(key, "dists/stable/InRelease")
    assert release.body.rstrip(b"\n") in signed.body
    assert world.get(key, "gpg-key.asc").body != world.get(own, "gpg-key.asc").body
    assert world.get(key, "dists/none/Release").status == 404


def test_a_publish_to_a_member_is_seen_and_the_past_stays(world: World) -> None:
    one, two = world.hosted((HELLO, make.deb())), world.hosted()
    key = world.virtual(one, two, publish_to=two)
    assert world.names(key) == [HELLO]
    then = f"@{world.running.head()}"
    target = f"/debian/{key}/pool/main/n/new/new_1.0-1_amd64.deb"
    assert world.running.call("PUT", target, make.deb("new"), auth=world.running.admin).status == 201
    assert world.names(key) == [HELLO, "pool/main/n/new/new_1.0-1_amd64.deb"]
    assert world.names(key, at=then) == [HELLO]


def test_of_one_version_the_first_member_counts(world: World) -> None:
    one, two = world.hosted((HELLO, make.deb(mark="one"))), world.hosted((HELLO, make.deb(mark="two")))
    for members in ((one, two), (two, one)):
        key = world.virtual(*members)
        assert world.names(key) == [HELLO]
        data = make.deb(mark="one" if members[0] == one else "two")
        packages = world.get(key, "dists/stable/main/binary-amd64/Packages").text
        assert hashlib.sha256(data).hexdigest() in packages
        assert world.get(key, HELLO).body == data


def test_a_name_of_ours_is_taken_from_no_other_archive(world: World) -> None:
    higher = f"{POOL}/hello_9.0-1_amd64.deb"
    world.publish(world.hosted((higher, make.deb(version="9.0-1"))))
    own, remote = world.hosted((HELLO, make.deb()), suites="testing"), world.remote()
    world.running.done("PATCH", f"/api/v1/repositories/{own}", {"is_public": False})
    key = world.virtual(remote, own)
    assert world.names(key) == []
    assert world.get(key, higher).status == 404
    assert world.get(key, higher, auth=world.running.admin).status == 404
    sharing = world.virtual(remote, own, shared_names=["hel*"])
    assert world.names(sharing) == [higher]
    assert world.get(sharing, higher).body == make.deb(version="9.0-1")


def test_hidden_members_are_not_joined(world: World) -> None:
    own = world.hosted((HELLO, make.deb()), public=False)
    key = world.virtual(own, world.hosted())
    assert world.names(key) == []
    reply = world.get(key, "dists/stable/main/binary-amd64/Packages", auth=world.running.admin)
    assert HELLO in reply.text
