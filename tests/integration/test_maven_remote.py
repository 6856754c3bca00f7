"""Artifacts of another Maven repository, and of several as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.integration.harness import Reply
from tests.integration.proxied import API, World, proxied
from tests.samples.maven import make

DEMO = "com/acme/demo"
JAR = f"{DEMO}/1.0.0/demo-1.0.0.jar"
METADATA = "maven-metadata.xml"
SNAPSHOT = f"{DEMO}/2.0-SNAPSHOT"
ALGORITHMS = ("md5", "sha1", "sha256", "sha512")

TWO_BUILDS = """<metadata modelVersion="1.1.0"><groupId>com.acme</groupId><artifactId>demo</artifactId>
<version>2.0-SNAPSHOT</version><versioning><snapshot><timestamp>20260304.080000</timestamp><buildNumber>2</buildNumber>
</snapshot><lastUpdated>20260304080000</lastUpdated><snapshotVersions>
<snapshotVersion><extension>jar</extension><value>2.0-20260304.080000-2</value><updated>20260304080000</updated>
</snapshotVersion><snapshotVersion><classifier>sources</classifier><extension>jar</extension>
<value>2.0-20260303.101500-1</value><updated>20260303101500</updated></snapshotVersion>
</snapshotVersions></versioning></metadata>"""


class Repositories(World):
    """A world whose upstream is a plain directory, checksums beside the files."""

    def offer(self, path: str, content: bytes, *, checksums: tuple[str, ...] = ("sha1", "md5")) -> bytes:
        self.upstream.put(f"/{path}", content)
        for algorithm in checksums:
            self.upstream.put(f"/{path}.{algorithm}", hashlib.new(algorithm, content).hexdigest().encode())
        return content

    def offer_versions(self, *versions: str, updated: str = "20200101000000", group: str = "com.acme") -> bytes:
        """The metadata of a demo, and its jars."""
        directory = f"{group.replace('.', '/')}/demo"
        for version in versions:
            self.offer(f"{directory}/{version}/demo-{version}.jar", make.jar({"mark.txt": f"upstream {version}"}))
        listed = "".join(f"<version>{version}</version>" for version in versions)
        text = (
            f"<metadata><groupId>{group}</groupId><artifactId>demo</artifactId><versioning><release>{versions[-1]}"
            f"</release><versions>{listed}</versions><lastUpdated>{updated}</lastUpdated></versioning></metadata>"
        )
        return self.offer(f"{directory}/{METADATA}", text.encode())

    def deploy(self, key: str, path: str, content: bytes = b"") -> bytes:
        content = content or make.jar({"mark.txt": f"{key} {path}"})
        reply = self.running.call("PUT", f"/maven/{key}/{path}", content, auth=self.running.admin)
        assert reply.status == 201, (reply.status, reply.body)
        return content

    def metadata(self, key: str, directory: str = DEMO) -> ET.Element:
        """The document, once its checksums were found to be its own."""
        reply = self.get(key, f"{directory}/{METADATA}")
        assert (reply.status, reply.header("content-type")) == (200, "application/xml"), reply.body
        self.require_checksums(key, f"{directory}/{METADATA}", reply.body)
        return ET.fromstring(reply.body)

    def versions(self, key: str, directory: str = DEMO) -> list[str]:
        return [one.text or "" for one in self.metadata(key, directory).iterfind("versioning/versions/version")]

    def require_checksums(self, key: str, path: str, content: bytes) -> None:
        for algorithm in ALGORITHMS:
            side = self.get(key, f"{path}.{algorithm}")
            assert side.body.decode() == hashlib.new(algorithm, content).hexdigest(), algorithm


def said(reply: Reply) -> str:
    return reply.body.decode()


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with proxied(postgres_dsn, tmp_path_factory.mktemp("maven-remote"), "maven") as world:
        yield world


@pytest.fixture
def world(shared: World) -> Repositories:
    shared.begin()
    return Repositories(shared.running, shared.upstream, shared.format)


# remote


def test_files_are_asked_for_once_and_checked_against_the_checksum_beside_them(world: Repositories) -> None:
    jar = world.offer(JAR, make.jar({"a": "b"}))
    key = world.remote()
    for _ in range(3):
        reply = world.get(key, JAR)
        assert (reply.status, reply.body) == (200, jar)
        assert reply.header("content-type") == "application/java-archive"
        assert reply.header("x-checksum-sha1") == hashlib.sha1(jar).hexdigest()
        world.require_checksums(key, JAR, jar)
    assert world.upstream.asked == {f"/{JAR}": 1, f"/{JAR}.sha1": 1}
    world.until_searchable()
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [(one["name"], one["version"]) for one in listed] == [("com.acme:demo", "1.0.0")]


def test_a_large_file_is_checked_before_its_last_piece_goes_out(world: Repositories) -> None:
    content = bytes(range(256)) * 12_000
    world.offer(JAR, content)
    key = world.remote()
    assert world.get(key, JAR).body == content
    world.require_checksums(key, JAR, content)
    world.upstream.put(f"/{JAR}.sha1", b"0" * 40)
    with world.running.serve() as url, pytest.raises((HTTPError, OSError)):
        urllib3.request("GET", f"{url}/maven/{world.remote()}/{JAR}", retries=False)
    assert world.upstream.asked[f"/{JAR}"] == 2


def test_a_checksum_may_be_asked_for_first_and_an_upstream_may_have_none(world: Repositories) -> None:
    jar = world.offer(JAR, make.jar(), checksums=())
    key = world.remote()
    world.require_checksums(key, JAR, jar)
    assert world.get(key, JAR).body == jar
    assert world.get(key, f"{DEMO}/9/demo-9.jar.sha1").status == 404


def test_metadata_is_the_upstreams_to_the_byte_with_checksums_of_one_fetch(world: Repositories) -> None:
    told = world.offer_versions("1.0.0")
    key = world.remote()
    assert world.get(key, f"{DEMO}/{METADATA}").body == told
    world.require_checksums(key, f"{DEMO}/{METADATA}", told)
    world.offer_versions("1.0.0", "1.1.0")
    world.require_checksums(key, f"{DEMO}/{METADATA}", told)
    assert world.versions(key) == ["1.0.0"]
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "1.1.0"]
    assert world.upstream.asked == {f"/{DEMO}/{METADATA}": 2}


def test_a_snapshot_without_a_timestamp_is_looked_up_again_and_a_build_is_not(world: Repositories) -> None:
    build, moving = f"{SNAPSHOT}/demo-2.0-20260303.101500-1.jar", f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar"
    for path in (build, moving):
        world.offer(path, make.jar({"mark.txt": "first"}))
    key = world.remote()
    first = world.get(key, build).body
    assert world.get(key, moving).body == first
    for path in (build, moving):
        world.offer(path, make.jar({"mark.txt": "second"}))
    world.expire(key)
    assert world.get(key, build).body == first
    assert world.get(key, moving).body == make.jar({"mark.txt": "second"})
    world.require_checksums(key, moving, make.jar({"mark.txt": "second"}))


def test_what_was_served_then_is_served_as_of_then_and_without_the_upstream(world: Repositories) -> None:
    world.offer_versions("1.0.0")
    key = world.remote()
    assert world.versions(key) == ["1.0.0"]
    first = world.running.head()
    world.offer_versions("1.0.0", "1.1.0")
    world.expire(key)
    assert world.versions(key) == ["1.0.0", "1.1.0"]
    jar = world.get(key, JAR).body
    world.upstream.away = True
    assert world.versions(f"{key}@{first}") == ["1.0.0"]
    then = world.get(f"{key}@{first}", JAR)
    assert (then.status, "had not been fetched" in said(then)) == (404, True)
    assert world.get(f"{key}@{world.running.head()}", JAR).body == jar
    world.expire(key)
    stale = world.get(key, f"{DEMO}/{METADATA}")
    assert (stale.status, "upstream-unavailable" in stale.header("cache-status")) == (200, True)
    assert world.get(key, JAR).body == jar
    assert world.get(key, f"{DEMO}/1.1.0/demo-1.1.0.jar").status == 502


def test_what_the_upstream_has_not_is_not_found_and_not_asked_for_again_at_once(world: Repositories) -> None:
    key = world.remote()
    for _ in range(3):
        for path in (JAR, f"{DEMO}/{METADATA}", f"{DEMO}/{METADATA}.sha1"):
            assert world.get(key, path).status == 404
    assert world.upstream.asked == {f"/{JAR}": 1, f"/{DEMO}/{METADATA}": 1}


@pytest.mark.parametrize(
    "path",
    [
        "archetype-catalog.xml", ".meta/prefixes.txt", f".index/{DEMO}/{METADATA}", f"../{METADATA}", METADATA,
        f"com/%2e%2e/{METADATA}", f"com/a%2Fb/{METADATA}", f"{DEMO}/1.0/other-1.0.jar", f"com/a b/{METADATA}",
    ],
)  # fmt: skip
def test_what_no_repository_has_is_not_asked_for(world: Repositories, path: str) -> None:
    assert world.get(world.remote(), path).status in {400, 404}
    assert not world.upstream.asked


def test_a_directory_lists_what_is_kept(world: Repositories) -> None:
    world.offer_versions("1.0.0")
    key = world.remote()
    world.get(key, JAR)
    assert world.versions(key) == ["1.0.0"]
    assert 'href="1.0.0/"' in said(world.get(key, f"{DEMO}/"))
    assert f'href="{METADATA}.sha1"' in said(world.get(key, f"{DEMO}/"))
    assert world.get(key, DEMO).status == 301
    assert ".index" not in said(world.get(key, ""))
    assert world.get(key, ".index/com/").status == 404


def test_nothing_passes_where_only_the_old_may_and_nobody_tells_how_old(world: Repositories) -> None:
    world.offer(JAR, make.jar())
    key = world.remote()
    world.running.done("PUT", f"{API}/repositories/{key}/age-gate", {"enabled": True, "min_age_days": 7})
    reply = world.get(key, JAR)
    assert (reply.status, "does not tell when" in said(reply)) == (503, True)


# upstreams that lie


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_a_file_with_another_checksum_beside_it_is_not_kept_and_it_is_recorded(
    world: Repositories, algorithm: str
) -> None:
    jar = world.offer(JAR, make.jar(), checksums=())
    world.upstream.put(f"/{JAR}.{algorithm}", hashlib.new(algorithm, b"other").hexdigest().encode())
    key = world.remote()
    reply = world.get(key, JAR)
    assert (reply.status, f"the {algorithm} checksum beside it is" in said(reply)) == (502, True), said(reply)
    assert world.rejections(key) == [JAR]
    assert world.get(key, f"{JAR}.sha256").status == 502
    world.offer(JAR, jar)
    assert world.get(key, JAR).body == jar


@pytest.mark.parametrize(
    ("path", "content"),
    [(JAR, b"<!DOCTYPE html><html>sign in</html>"), (JAR, b""), (JAR.replace("jar", "pom"), b" \n<HTML>no</HTML>")],
)
def test_a_page_in_place_of_a_file_is_not_kept(world: Repositories, path: str, content: bytes) -> None:
    world.offer(path, content)
    assert world.get(world.remote(), path).status == 502


@pytest.mark.parametrize("content", [*make.HOSTILE_XML.values(), b"<html/>", b"<metadata>"])
def test_metadata_that_is_none_is_a_bad_gateway(world: Repositories, content: bytes) -> None:
    world.upstream.put(f"/{DEMO}/{METADATA}", content)
    key = world.remote()
    assert world.get(key, f"{DEMO}/{METADATA}").status == 502
    assert world.get(key, f"{DEMO}/{METADATA}.sha1").status == 502


def test_a_checksum_that_is_a_page_or_is_far_too_long_is_no_checksum(world: Repositories) -> None:
    world.offer(JAR, make.jar(), checksums=())
    for text in (b"<html>what?</html>", b"0" * 100_000):
        world.upstream.put(f"/{JAR}.sha1", text)
        reply = world.get(world.remote(), JAR)
        assert (reply.status, "no sha1 digest" in said(reply)) == (502, True)


# virtual


def test_versions_of_all_members_are_one_document_with_checksums_of_its_own(world: Repositories) -> None:
    world.offer_versions("1.0.0", "3.0.0", updated="29990101000000")
    first, remote = world.local(), world.remote()
    world.deploy(first, f"{DEMO}/1.10.0/demo-1.10.0.jar")
    world.deploy(first, f"{DEMO}/3.1-SNAPSHOT/demo-3.1-SNAPSHOT.jar")
    virtual = world.virtual(first, remote, shared_names=["com.acme:*"])
    found = world.metadata(virtual)
    assert world.versions(virtual) == ["1.0.0", "1.10.0", "3.0.0", "3.1-SNAPSHOT"]
    assert found.findtext("versioning/latest") == "3.1-SNAPSHOT"
    assert found.findtext("versioning/release") == "3.0.0"
    assert found.findtext("versioning/lastUpdated") == "29990101000000"
    assert (found.findtext("groupId"), found.findtext("artifactId")) == ("com.acme", "demo")
    then = world.running.head()
    world.deploy(first, f"{DEMO}/4.0.0/demo-4.0.0.jar")
    assert world.versions(virtual)[-1] == "4.0.0"
    assert world.versions(f"{virtual}@{then}") == ["1.0.0", "1.10.0", "3.0.0", "3.1-SNAPSHOT"]


def test_the_newest_build_of_each_file_is_taken_from_whoever_has_it(world: Repositories) -> None:
    world.offer(f"{SNAPSHOT}/{METADATA}", TWO_BUILDS.encode())
    old = world.remote()
    local = world.local()
    world.deploy(local, f"{SNAPSHOT}/demo-2.0-20260305.120000-3.jar")
    virtual = world.virtual(old, local, shared_names=["*"])
    found = world.metadata(virtual, SNAPSHOT)
    assert found.findtext("versioning/snapshot/timestamp") == "20260305.120000"
    assert found.findtext("versioning/snapshot/buildNumber") == "3"
    files = {
        (one.findtext("classifier"), one.findtext("extension")): one.findtext("value")
        for one in found.iterfind("versioning/snapshotVersions/snapshotVersion")
    }
    assert files == {(None, "jar"): "2.0-20260305.120000-3", ("sources", "jar"): "2.0-20260303.101500-1"}


def test_a_prefix_of_plugins_is_the_first_members(world: Repositories) -> None:
    plugins = "".join(
        f"<plugin><name>x</name><prefix>{prefix}</prefix><artifactId>{artifact}</artifactId></plugin>"
        for prefix, artifact in (("hello", "evil-maven-plugin"), ("other", "other-maven-plugin"))
    )
    world.offer(f"com/acme/tools/{METADATA}", f"<metadata><plugins>{plugins}</plugins></metadata>".encode())
    local, remote = world.local(), world.remote()
    world.deploy(local, "com/acme/tools/hello-maven-plugin/1.0/hello-maven-plugin-1.0.jar", make.plugin_jar())
    found = world.metadata(world.virtual(local, remote), "com/acme/tools")
    prefixes = {one.findtext("prefix"): one.findtext("artifactId") for one in found.iterfind("plugins/plugin")}
    assert prefixes == {"hello": "hello-maven-plugin", "other": "other-maven-plugin"}


def test_the_first_member_wins_every_file_and_a_single_documents_bytes_are_kept(world: Repositories) -> None:
    told = world.offer_versions("1.0.0", group="org.other")
    first, second, remote = world.local(), world.local(), world.remote()
    ours = world.deploy(first, JAR)
    world.deploy(second, JAR)
    more = world.deploy(second, f"{DEMO}/1.1.0/demo-1.1.0.jar")
    virtual = world.virtual(first, second, remote)
    assert world.get(virtual, JAR).body == ours
    world.require_checksums(virtual, JAR, ours)
    assert world.get(virtual, f"{DEMO}/1.1.0/demo-1.1.0.jar").body == more
    assert world.versions(virtual) == ["1.0.0", "1.1.0"]
    theirs = "org/other/demo"
    assert world.get(virtual, f"{theirs}/{METADATA}").body == told
    world.require_checksums(virtual, f"{theirs}/{METADATA}", told)
    jar = world.get(virtual, f"{theirs}/1.0.0/demo-1.0.0.jar")
    assert jar.body == make.jar({"mark.txt": "upstream 1.0.0"})
    listing = said(world.get(virtual, f"{DEMO}/"))
    assert all(f'href="{name}"' in listing for name in ("1.0.0/", "1.1.0/", METADATA))
    assert 'href="org/"' in said(world.get(virtual, ""))
    assert world.get(virtual, f"{DEMO}/9/demo-9.jar").status == 404
    assert world.get(virtual, f"com/acme/none/{METADATA}").status == 404


def test_an_artifact_that_is_ours_is_not_taken_from_an_upstream(world: Repositories) -> None:
    world.offer_versions("9.0.0")
    world.offer_versions("9.0.0", group="org.other")
    local, remote = world.local(), world.remote()
    world.deploy(local, JAR)
    virtual = world.virtual(remote, local)
    assert world.versions(virtual) == ["1.0.0"]
    for name in ("demo-9.0.0.jar", "demo-9.0.0.jar.sha1"):
        assert world.get(virtual, f"{DEMO}/9.0.0/{name}").status == 404
    assert world.get(virtual, "org/other/demo/9.0.0/demo-9.0.0.jar").status == 200, "another group's"
    world.running.done("PATCH", f"{API}/repositories/{virtual}", {"shared_names": ["com.acme:demo"]})
    assert world.versions(virtual) == ["1.0.0", "9.0.0"]


def test_members_that_the_caller_may_not_read_are_not_there(world: Repositories) -> None:
    shown, hidden = world.local(), world.local(is_public=False)
    world.deploy(shown, JAR)
    secret = world.deploy(hidden, f"{DEMO}/1.1.0/demo-1.1.0.jar")
    virtual = world.virtual(hidden, shown)
    assert world.versions(virtual) == ["1.0.0"]
    assert world.get(virtual, f"{DEMO}/1.1.0/demo-1.1.0.jar").status == 404
    assert 'href="1.1.0/"' not in said(world.get(virtual, f"{DEMO}/"))
    admin = world.running.admin
    assert world.get(virtual, f"{DEMO}/1.1.0/demo-1.1.0.jar", auth=admin).body == secret
    assert b"<release>1.1.0</release>" in world.get(virtual, f"{DEMO}/{METADATA}", auth=admin).body


def test_what_is_deployed_to_a_virtual_repository_goes_where_it_says(world: Repositories) -> None:
    local = world.local()
    virtual = world.virtual(local, publish_to=local)
    jar = world.deploy(virtual, JAR)
    assert world.get(local, JAR).body == world.get(virtual, JAR).body == jar
    remote = world.remote()
    refused = world.running.call("PUT", f"/maven/{remote}/{JAR}", jar, auth=world.running.admin)
    assert refused.status == 405


# plugins, however they come and go


def _prefixes(world: Repositories, key: str, group: str = "com/acme/tools") -> set[str | None] | None:
    reply = world.get(key, f"{group}/{METADATA}")
    if reply.status == 404:
        return None
    return {one.findtext("prefix") for one in ET.fromstring(reply.body).iterfind("plugins/plugin")}


def test_a_prefix_goes_with_the_last_file_of_its_plugin_whoever_deletes_it(world: Repositories) -> None:
    local, base = world.local(), "com/acme/tools/hello-maven-plugin/1.0/hello-maven-plugin-1.0"
    world.deploy(local, f"{base}.jar", make.plugin_jar())
    world.deploy(local, f"{base}-sources.jar")
    for left, extension in (({"hello"}, ".jar"), (None, "-sources.jar")):
        assert _prefixes(world, local) == {"hello"}
        then = world.running.head()
        world.running.done("DELETE", f"{API}/repositories/{local}/artifacts/{base}{extension}")
        assert _prefixes(world, local) == left
        assert _prefixes(world, f"{local}@{then}") == {"hello"}


def test_a_prefix_goes_where_its_plugin_is_promoted(world: Repositories) -> None:
    staging, local = world.repository("staging"), world.local()
    base = "com/acme/tools/hello-maven-plugin/1.0/hello-maven-plugin-1.0"
    world.deploy(staging, f"{base}.jar", make.plugin_jar())
    (row,) = world.rows(staging)
    promote = f"{API}/promotion/repositories/{staging}/artifacts/{row.id}/promote"
    assert world.running.done("POST", promote, {"target_repository": local})["promoted"] is True
    assert _prefixes(world, local) == {"hello"}
