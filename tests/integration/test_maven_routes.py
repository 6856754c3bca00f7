"""The Maven format over the real gate, log and catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from application.format import Deposit
from application.formats import maven
from application.formats.maven.publishing import NoCoordinates, deposit
from application.publishing import Target
from domain.errors import Invalid
from domain.event import SYSTEM
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, registry
from tests.samples.maven import make

_numbers = count(1)

RELEASE = "com/acme/demo/1.0.0/demo-1.0.0"
SNAPSHOT = "com/acme/demo/2.0-SNAPSHOT"
FIRST, SECOND = f"{SNAPSHOT}/demo-2.0-20260303.101500-1", f"{SNAPSHOT}/demo-2.0-20260304.080000-2"
ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("maven"), [maven.FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository, as its owner sees it."""

    def __init__(self, running: Registry, **more: Any) -> None:
        self.running, self.key = running, f"libs{next(_numbers)}"
        self.row = running.repository(self.key, more.pop("format", "maven"), **more)

    def __call__(self, method: str, path: str = "", body: Any = b"", *, at: str = "", **headers: str) -> Reply:
        user = headers.pop("user", "admin") or None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/maven/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **headers: str) -> Reply:
        return self("GET", path, user="", **headers)

    def put(self, path: str, body: bytes, status: int = 201) -> Reply:
        reply = self("PUT", path, body)
        assert reply.status == status, reply.text
        return reply

    def release(self, version: str = "1.0.0", artifact: str = "demo", group: str = "com.acme") -> None:
        base = f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}"
        self.put(f"{base}.jar", make.jar({"version": version}))
        self.put(f"{base}.pom", make.pom(group, artifact, version))

    def metadata(self, directory: str = "com/acme/demo", *, at: str = "") -> ET.Element:
        """The document, once its checksums were found to be its own."""
        reply = self.get(f"{directory}/maven-metadata.xml", at=at)
        assert reply.status == 200, reply.text
        assert reply.header("content-type") == "application/xml"
        for algorithm in ALGORITHMS:
            side = self.get(f"{directory}/maven-metadata.xml.{algorithm}", at=at)
            assert side.text == hashlib.new(algorithm, reply.body).hexdigest()
        return ET.fromstring(reply.body)

    def versions(self, *, at: str = "") -> list[str | None]:
        return [one.text for one in self.metadata(at=at).iterfind("versioning/versions/version")]

    def prefixes(self, group: str = "com/acme/tools") -> dict[str | None, str | None]:
        plugins = self.metadata(group).iterfind("plugins/plugin")
        return {one.findtext("prefix"): one.findtext("artifactId") for one in plugins}

    def head(self) -> str:
        return f"@{self.running.log.head()}"

    def deposit(self, path: str, data: bytes) -> str:
        """As the management API hands a file over."""
        services = self.running.services
        with services.spool.create(maven.FORMAT.digests) as writer:
            writer.write(data)
            spooled = writer.finish()
        target = Target(self.row.id, self.row.settings, SYSTEM)
        try:
            return deposit(Deposit(path=path, spooled=spooled, services=services, target=target))
        finally:
            services.spool.discard(spooled)


@pytest.fixture
def libs(running: Registry) -> Repository:
    return Repository(running)


# files and checksums


def test_a_file_comes_back_with_its_digests(libs: Repository) -> None:
    data = make.jar()
    libs.put(f"{RELEASE}.jar", data)
    reply = libs.get(f"{RELEASE}.jar")
    assert (reply.status, reply.body) == (200, data)
    assert reply.header("content-type") == "application/java-archive"
    assert reply.header("accept-ranges") == "bytes"
    assert reply.header("last-modified")
    for algorithm in ALGORITHMS:
        digest = hashlib.new(algorithm, data).hexdigest()
        assert reply.header(f"x-checksum-{algorithm}") == digest
        side = libs.get(f"{RELEASE}.jar.{algorithm}")
        assert (side.status, side.text, side.header("content-type")) == (200, digest, "text/plain")
    head = libs("HEAD", f"{RELEASE}.jar")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(data)))
    assert libs.get(f"{RELEASE}.jar", if_none_match=reply.header("etag")).status == 304
    part = libs.get(f"{RELEASE}.jar", range="bytes=0-3")
    assert (part.status, part.body) == (206, b"PK\x03\x04")


def test_signatures_and_module_metadata_are_kept_as_they_are(libs: Repository) -> None:
    libs.release()
    for extension, data in (("jar.asc", b"-----BEGIN PGP SIGNATURE-----\n"), ("module", b'{"formatVersion": "1.1"}')):
        libs.put(f"{RELEASE}.{extension}", data)
        assert libs.get(f"{RELEASE}.{extension}").body == data
        assert libs.get(f"{RELEASE}.{extension}.sha1").text == hashlib.sha1(data).hexdigest()


def test_a_checksum_that_agrees_is_accepted_and_one_that_does_not_is_refused(libs: Repository) -> None:
    data = make.jar()
    libs.put(f"{RELEASE}.jar", data)
    for algorithm in ALGORITHMS:
        digest = hashlib.new(algorithm, data).hexdigest()
        libs.put(f"{RELEASE}.jar.{algorithm}", digest.encode())
        libs.put(f"{RELEASE}.jar.{algorithm}", f"{digest.upper()}  demo-1.0.0.jar\n".encode())
        wrong = hashlib.new(algorithm, b"other").hexdigest()
        refused = libs("PUT", f"{RELEASE}.jar.{algorithm}", wrong.encode())
        assert refused.status == 400
        assert f"the uploaded {algorithm} checksum is {wrong}, the file's is {digest}" in refused.text
        assert libs.get(f"{RELEASE}.jar.{algorithm}").text == digest
    assert libs("PUT", f"{RELEASE}.jar.sha1", b"no digest at all").status == 400


def test_a_checksum_that_comes_before_its_file_waits_for_it(libs: Repository) -> None:
    data = make.jar()
    libs.put(f"{RELEASE}.jar.sha1", hashlib.sha1(data).hexdigest().encode())
    assert libs.get(f"{RELEASE}.jar.sha1").status == 404
    libs.put(f"{RELEASE}.jar", data)
    paths = [row.path for row in libs.running.catalogue.artifacts_below(libs.row.id, "")]
    assert paths == [f"{RELEASE}.jar"]


def test_a_file_that_is_not_what_was_announced_is_refused_until_it_is(libs: Repository) -> None:
    data = make.jar()
    libs.put(f"{RELEASE}.jar.md5", hashlib.md5(b"other").hexdigest().encode())
    refused = libs("PUT", f"{RELEASE}.jar", data)
    assert (refused.status, "md5 checksum" in refused.text) == (400, True)
    assert libs.get(f"{RELEASE}.jar").status == 404
    libs.put(f"{RELEASE}.jar", data)


def test_checksums_in_headers_are_compared_too(libs: Repository) -> None:
    reply = libs("PUT", f"{RELEASE}.jar", make.jar(), x_checksum_sha1=hashlib.sha1(b"other").hexdigest())
    assert (reply.status, libs.get(f"{RELEASE}.jar").status) == (400, 404)


def test_parallel_uploads_of_one_version_are_all_there(libs: Repository) -> None:
    files = {f"{RELEASE}-part{number}.jar": make.jar({"n": str(number)}) for number in range(12)}
    uploads = [*files.items()]
    uploads += [(f"{path}.sha1", hashlib.sha1(data).hexdigest().encode()) for path, data in files.items()]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda upload: libs("PUT", *upload), uploads))
    assert {reply.status for reply in replies} == {201}
    assert {libs.get(path).body == data for path, data in files.items()} == {True}
    stored = libs.running.catalogue.artifacts_below(libs.row.id, "")
    assert [row.path for row in stored] == sorted(files)


# what may be published again


def test_a_release_never_changes(libs: Repository) -> None:
    libs.release()
    libs.put(f"{RELEASE}.jar", make.jar({"version": "1.0.0"}), status=200)
    refused = libs("PUT", f"{RELEASE}.jar", make.jar({"version": "other"}))
    assert refused.status == 409
    assert refused.text == f"{RELEASE}.jar is released already with other content; deploy a new version\n"


def test_a_repository_may_let_releases_be_replaced(running: Registry) -> None:
    libs = Repository(running, settings=Settings(overwrite="allow"))
    libs.release()
    before = libs.head()
    libs.put(f"{RELEASE}.jar", make.jar({"version": "other"}), status=200)
    assert libs.get(f"{RELEASE}.jar").body == make.jar({"version": "other"})
    assert libs.get(f"{RELEASE}.jar", at=before).body == make.jar({"version": "1.0.0"})


def test_a_build_of_a_snapshot_never_changes_and_a_file_without_timestamp_may(running: Registry) -> None:
    libs = Repository(running)
    libs.put(f"{FIRST}.jar", b"1")
    assert libs("PUT", f"{FIRST}.jar", b"2").status == 409
    libs.put(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar", b"1")
    libs.put(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar", b"2", status=200)
    assert libs.get(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar").body == b"2"
    assert libs.get(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar.sha1").text == hashlib.sha1(b"2").hexdigest()
    strict = Repository(running, settings=Settings(overwrite="once"))
    strict.put(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar", b"1")
    assert strict("PUT", f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar", b"2").status == 409


# metadata


def test_versions_are_derived_from_what_is_stored(libs: Repository) -> None:
    assert libs.get("com/acme/demo/maven-metadata.xml").status == 404
    for version in ("1.10", "1.9", "2.0-SNAPSHOT", "2.0-alpha-1"):
        libs.release(version)
    document = libs.metadata()
    assert libs.versions() == ["1.9", "1.10", "2.0-alpha-1", "2.0-SNAPSHOT"]
    assert document.findtext("versioning/latest") == "2.0-SNAPSHOT"
    assert document.findtext("versioning/release") == "2.0-alpha-1"
    assert (document.findtext("groupId"), document.findtext("artifactId")) == ("com.acme", "demo")


def test_metadata_that_is_uploaded_is_accepted_and_not_believed(libs: Repository) -> None:
    lie = b"<metadata><versioning><release>9</release><versions><version>9</version></versions></versioning></metadata>"
    for directory in ("com/acme", "com/acme/demo", SNAPSHOT):
        libs.put(f"{directory}/maven-metadata.xml", lie)
        libs.put(f"{directory}/maven-metadata.xml.sha1", hashlib.sha1(lie).hexdigest().encode())
        assert libs.get(f"{directory}/maven-metadata.xml").status == 404
    libs.release()
    libs.put("com/acme/demo/maven-metadata.xml", lie)
    assert libs.versions() == ["1.0.0"]


def test_a_snapshot_tells_of_the_newest_build_of_each_file(libs: Repository) -> None:
    libs.put(f"{FIRST}.jar", b"1")
    libs.put(f"{FIRST}-sources.jar", b"1s")
    first = libs.head()
    libs.put(f"{SECOND}.jar", b"2")
    found = libs.metadata(SNAPSHOT).iterfind("versioning/snapshotVersions/snapshotVersion")
    values = {(one.findtext("classifier"), one.findtext("extension")): one.findtext("value") for one in found}
    assert values == {(None, "jar"): "2.0-20260304.080000-2", ("sources", "jar"): "2.0-20260303.101500-1"}
    assert libs.metadata(SNAPSHOT).findtext("versioning/snapshot/buildNumber") == "2"
    assert libs.metadata(SNAPSHOT, at=first).findtext("versioning/snapshot/buildNumber") == "1"
    assert libs.versions() == ["2.0-SNAPSHOT"]


def test_a_snapshot_can_be_asked_for_without_a_timestamp(libs: Repository) -> None:
    libs.put(f"{FIRST}.jar", b"1")
    libs.put(f"{FIRST}-sources.jar", b"1s")
    libs.put(f"{SECOND}.jar", b"2")
    bare = f"{SNAPSHOT}/demo-2.0-SNAPSHOT"
    assert libs.get(f"{bare}.jar").body == b"2"
    assert libs.get(f"{bare}.jar.md5").text == hashlib.md5(b"2").hexdigest()
    assert libs.get(f"{bare}-sources.jar").body == b"1s"
    assert libs.get(f"{bare}.pom").status == 404


def test_prefixes_come_from_the_jars_of_plugins(libs: Repository) -> None:
    tools = "com/acme/tools"
    assert libs.get(f"{tools}/maven-metadata.xml").status == 404
    libs.put(f"{tools}/hello-maven-plugin/1.0/hello-maven-plugin-1.0.jar", make.plugin_jar())
    bye = make.plugin_jar(artifact="bye-maven-plugin", prefix="bye")
    libs.put(f"{tools}/bye-maven-plugin/1.0/bye-maven-plugin-1.0.jar", bye)
    libs.put(f"{tools}/shaded/1.0/shaded-1.0.jar", make.plugin_jar(prefix="stolen"))
    libs.put(f"{tools}/bye-maven-plugin/1.0/bye-maven-plugin-1.0-tests.jar", make.plugin_jar(prefix="tests"))
    assert libs.prefixes() == {"bye": "bye-maven-plugin", "hello": "hello-maven-plugin"}
    assert libs("DELETE", f"{tools}/bye-maven-plugin/1.0/bye-maven-plugin-1.0.jar").status == 204
    assert libs.prefixes() == {"bye": "bye-maven-plugin", "hello": "hello-maven-plugin"}
    assert libs("DELETE", f"{tools}/bye-maven-plugin/").status == 204
    assert libs.prefixes() == {"hello": "hello-maven-plugin"}
    assert libs("DELETE", tools).status == 204
    assert libs.get(f"{tools}/maven-metadata.xml").status == 404


def test_an_artifact_and_a_group_of_plugins_can_share_their_metadata(libs: Repository) -> None:
    libs.release("3", artifact="tools")
    libs.put("com/acme/tools/hello-maven-plugin/1.0/hello-maven-plugin-1.0.jar", make.plugin_jar())
    assert libs.metadata("com/acme/tools").findtext("versioning/release") == "3"
    assert libs.prefixes() == {"hello": "hello-maven-plugin"}


def test_a_group_of_one_name_has_prefixes_too(libs: Repository) -> None:
    jar = make.plugin_jar(group="acme", artifact="x-maven-plugin", prefix="x")
    libs.put("acme/x-maven-plugin/1.0/x-maven-plugin-1.0.jar", jar)
    assert libs.prefixes("acme") == {"x": "x-maven-plugin"}


# POMs and paths


def test_a_pom_that_belongs_elsewhere_is_refused(libs: Repository) -> None:
    refused = libs("PUT", f"{RELEASE}.pom", make.pom(group="org.evil"))
    assert (refused.status, refused.header("content-type")) == (400, "text/plain; charset=utf-8")
    assert refused.text == f"{RELEASE}.pom: the POM says groupId org.evil, the path says com.acme\n"


@pytest.mark.parametrize("data", make.HOSTILE_XML.values(), ids=make.HOSTILE_XML)
def test_a_hostile_pom_is_refused(libs: Repository, data: bytes) -> None:
    assert libs("PUT", f"{RELEASE}.pom", data).status == 400
    assert libs.get(f"{RELEASE}.pom").status == 404


def test_what_a_pom_says_is_found_by_search(libs: Repository) -> None:
    libs.put(f"{RELEASE}.pom", make.pom(body="<description>says hello</description>"))
    row = libs.running.catalogue.artifact(libs.row.id, f"{RELEASE}.pom")
    assert row is not None
    assert (row.package, row.name, row.version) == ("com.acme:demo", "com.acme:demo", "1.0.0")
    assert msgspec.json.decode(row.metadata)["description"] == "says hello"


@pytest.mark.parametrize(
    "path",
    [
        "demo.jar",
        "com/acme/demo/1.0.0/other-1.0.0.jar",
        "com/acme/demo/1.0.0/demo-2.0.0.jar",
        "com%2Facme/demo/1.0.0/demo-1.0.0.jar",
        "com.acme/demo/1.0.0/demo-1.0.0.jar",
        "com/acme/demo/1.0.0/demo-1.0.0.jar.sha1.md5",
        "com/acme/%2e%2e/1.0.0/..-1.0.0.jar",
        "com/acme/demo/1.0.0/demo-1.0.0%5c.jar",
    ],
)
def test_a_path_outside_the_layout_is_refused(libs: Repository, path: str) -> None:
    assert libs("PUT", path, b"x").status == 400
    assert libs.get(path).status in {400, 404}


def test_the_address_of_a_repository_alone_takes_no_file(libs: Repository) -> None:
    assert libs("PUT", "", b"x").status == 405
    assert libs("PUT", "com/acme/", b"x").status == 405


# listings


def test_directories_are_listed_with_relative_links(libs: Repository) -> None:
    libs.release()
    libs.release("1.1.0")
    libs.put("com/acme/demo/1.2.0/demo-1.2.0.jar.sha1", hashlib.sha1(b"late").hexdigest().encode())
    moved = libs.get("com/acme/demo")
    assert moved.status == 301
    assert moved.header("location") == f"http://registry.example/maven/{libs.key}/com/acme/demo/"
    listing = libs.get("com/acme/demo/")
    assert listing.header("content-type") == "text/html; charset=utf-8"
    for link in ("1.0.0/", "1.1.0/", "maven-metadata.xml", "maven-metadata.xml.sha1", "../"):
        assert f'<a href="{link}">' in listing.text
    assert '<a href="demo-1.0.0.jar">' in libs.get("com/acme/demo/1.0.0/").text
    assert ".sha1" not in libs.get("com/acme/demo/1.2.0/").text
    assert '<a href="com/">' in libs.get("").text
    assert libs.running.request("GET", f"/maven/{libs.key}").status == 301
    assert libs.get("org/").status == libs.get("org").status == 404
    assert libs("HEAD", "com/acme/demo/").status == 200


def test_long_listings_come_in_pages(libs: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.formats.maven.listing.MAX_ENTRIES", 2)
    for version in ("1", "2", "3"):
        libs.release(version)
    first = libs.get("com/acme/demo/").text
    assert 'href="?cursor=2%2F"' in first
    assert '<a href="3/">' not in first
    assert '<a href="3/">' in libs.get("com/acme/demo/?cursor=2%2F").text


def test_an_empty_repository_has_an_empty_listing(libs: Repository) -> None:
    assert libs.get("").status == 200


# deleting


def test_a_deleted_version_is_gone_at_all_levels_and_still_in_the_past(libs: Repository) -> None:
    libs.release("1.0.0")
    libs.release("1.1.0")
    libs.put(f"{FIRST}.jar", b"1")
    before = libs.head()
    assert libs("DELETE", "com/acme/demo/1.1.0/").status == 204
    assert libs("DELETE", SNAPSHOT).status == 204
    assert libs.versions() == ["1.0.0"]
    assert libs.get(f"{SNAPSHOT}/maven-metadata.xml").status == 404
    assert libs.get("com/acme/demo/1.1.0/demo-1.1.0.jar").status == 404
    assert libs.versions(at=before) == ["1.0.0", "1.1.0", "2.0-SNAPSHOT"]
    assert libs.get("com/acme/demo/1.1.0/demo-1.1.0.jar", at=before).status == 200
    assert libs.get(f"{SNAPSHOT}/demo-2.0-SNAPSHOT.jar", at=before).body == b"1"
    assert libs("DELETE", "com/acme/demo/1.0.0").status == 204
    assert libs.get("com/acme/demo/maven-metadata.xml").status == 404


def test_a_single_file_can_be_deleted_and_what_is_generated_cannot(libs: Repository) -> None:
    libs.release()
    assert libs("DELETE", f"{RELEASE}.jar").status == 204
    assert libs("DELETE", f"{RELEASE}.jar").status == 404
    for derived in ("com/acme/demo/maven-metadata.xml", f"{RELEASE}.pom.sha1"):
        assert libs("DELETE", derived).status == 405
    assert libs("DELETE", "").status in {404, 405}
    assert libs.versions() == ["1.0.0"]


def test_a_directory_is_deleted_and_none_whose_name_is_like_its_own(libs: Repository) -> None:
    for artifact in ("de_mo", "dexmo", "de_mo-extra"):
        libs.release(artifact=artifact)
    assert libs("DELETE", "com/acme/de_mo").status == 204
    assert libs.get("com/acme/de_mo/").status == 404
    assert [libs.get(f"com/acme/{artifact}/").status for artifact in ("dexmo", "de_mo-extra")] == [200, 200]


def test_the_past_cannot_be_written_to(libs: Repository) -> None:
    libs.release()
    assert libs("PUT", f"{RELEASE}-sources.jar", b"x", at=libs.head()).status == 405
    assert libs("DELETE", RELEASE + ".jar", at=libs.head()).status == 405


# who may


def test_people_do_what_they_may(running: Registry) -> None:
    libs = Repository(running, public=False)
    libs.release()
    running.person("rita", **{libs.key: "read"})
    running.person("wendy", **{libs.key: "read write"})
    running.person("nobody")
    assert libs("GET", f"{RELEASE}.jar", user="").status == 401
    assert libs("GET", f"{RELEASE}.jar", user="").header("www-authenticate").startswith("Basic ")
    assert libs("GET", f"{RELEASE}.jar", user="nobody").status == 404
    assert libs("GET", f"{RELEASE}.jar", user="rita").status == 200
    assert libs("PUT", f"{RELEASE}-a.jar", b"x", user="rita").status == 403
    assert libs("PUT", f"{RELEASE}-a.jar", b"x", user="").status == 401
    assert libs("PUT", f"{RELEASE}-a.jar", b"x", user="wendy").status == 201
    assert libs("DELETE", f"{RELEASE}-a.jar", user="wendy").status == 403


def test_repositories_of_gradle_are_served_alike(running: Registry) -> None:
    libs = Repository(running, format="gradle")
    libs.release()
    assert libs.versions() == ["1.0.0"]


# files that come without the protocol


def test_a_deposited_file_is_published_as_if_it_were_put(libs: Repository) -> None:
    assert libs.deposit(f"{RELEASE}.jar", make.jar()) == f"{RELEASE}.jar"
    assert libs.get(f"{RELEASE}.jar.sha512").text == hashlib.sha512(make.jar()).hexdigest()
    assert libs.versions() == ["1.0.0"]


def test_a_deposited_pom_or_jar_may_say_itself_where_it_belongs(libs: Repository) -> None:
    assert libs.deposit("demo.jar", make.built_jar()) == f"{RELEASE}.jar"
    assert libs.deposit("uploads/pom.xml", make.pom()) == f"{RELEASE}.pom"
    assert libs.versions() == ["1.0.0"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("demo.jar", make.jar()),
        ("demo.zip", b"x"),
        ("pom.xml", make.pom(version="${revision}")),
        ("pom.xml", b"<project/>"),
        (f"{RELEASE}.jar.sha1", b"x"),
        ("com/acme/demo/maven-metadata.xml", b"<metadata/>"),
        (f"{RELEASE}.pom", make.pom(version="2.0")),
    ],
)
def test_a_deposited_file_without_a_place_is_refused(libs: Repository, path: str, data: bytes) -> None:
    with pytest.raises(Invalid):
        libs.deposit(path, data)


def test_a_refused_deposit_tells_what_is_missing(libs: Repository) -> None:
    with pytest.raises(NoCoordinates, match=r"demo\.zip: give the path \{group\}/\{artifact\}"):
        libs.deposit("demo.zip", b"x")
