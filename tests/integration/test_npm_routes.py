"""The npm format over the real gate, log and catalogue."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from application.formats.npm import FORMAT
from application.formats.npm.index import ABBREVIATED_TYPE
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, registry
from tests.samples.npm import make

CORGI = {"accept": f"{ABBREVIATED_TYPE}; q=1.0, application/json; q=0.8, */*"}
BASE = "http://registry.example/npm"
_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("npm"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository of the running registry, as npm sees it."""

    def __init__(self, running: Registry, key: str, **options: Any) -> None:
        self.running, self.key = running, key
        self.row = running.repository(key, "npm", **options)

    def request(
        self, method: str, path: str, body: Any = b"", *, user: str | None = "admin", at: str = "", **headers: str
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/npm/{self.key}{at}/{path}", data, user=user, headers=sent)

    def get(self, path: str, *, at: str = "", **headers: str) -> Reply:
        return self.request("GET", path, user=None, at=at, **headers)

    def publish(
        self,
        name: str = "hello",
        version: str = "1.0.0",
        *,
        tag: str = "latest",
        user: str | None = "admin",
        **fields: Any,
    ) -> Reply:
        files = fields.pop("files", {"index.js": f"// {version}"})
        data = make.tarball(files, name=name, version=version, **fields)
        return self.request("PUT", quote(name, safe="@"), make.document(data, name, version, tag=tag), user=user)

    def packument(self, name: str = "hello", *, at: str = "", write: bool = False) -> dict[str, Any]:
        reply = self.get(quote(name, safe="@") + ("?write=true" if write else ""), at=at)
        assert reply.status == 200, reply.text
        document: dict[str, Any] = reply.json()
        return document

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def npm(running: Registry) -> Repository:
    return Repository(running, f"libs{next(_numbers)}")


def test_a_publish_is_in_the_packument_when_it_is_answered(npm: Repository) -> None:
    data = make.tarball()
    reply = npm.request("PUT", "ak-hello", make.document(data))
    assert reply.status == 201
    assert reply.json() | {"rev": ""} == {"ok": True, "id": "ak-hello", "rev": "", "success": True}
    document = npm.packument("ak-hello")
    assert document["dist-tags"] == {"latest": "1.0.0"}
    assert document["_rev"] == reply.json()["rev"]
    assert document["readme"] == make.README
    version = document["versions"]["1.0.0"]
    assert version["dist"]["integrity"] == make.integrity(data)
    assert version["dist"]["tarball"] == f"{BASE}/{npm.key}/ak-hello/-/ak-hello-1.0.0.tgz"
    assert set(document["time"]) == {"created", "modified", "1.0.0"}
    assert npm.get("ak-hello/-/ak-hello-1.0.0.tgz").body == data


@pytest.mark.parametrize("address", ["@acme/x", "@acme%2fx", "@acme%2Fx", "%40acme%2fx", "%40acme/x"])
def test_a_scoped_name_is_one_package_in_every_spelling(npm: Repository, address: str) -> None:
    data = make.tarball(name="@acme/x")
    assert npm.request("PUT", address, make.document(data, "@acme/x")).status == 201
    for spelling in ("@acme/x", "@acme%2fx", "@acme%2Fx"):
        assert npm.get(spelling).json()["name"] == "@acme/x"
        assert npm.get(f"{spelling}/1.0.0").json()["version"] == "1.0.0"
        assert npm.get(f"{spelling}/latest").json()["version"] == "1.0.0"
        assert npm.get(f"{spelling}/-/x-1.0.0.tgz").body == data
        assert npm.get(f"-/package/{spelling}/dist-tags").json() == {"latest": "1.0.0"}
    assert npm.packument("@acme/x")["versions"]["1.0.0"]["dist"]["tarball"] == f"{BASE}/{npm.key}/@acme/x/-/x-1.0.0.tgz"


def test_the_two_forms_of_a_packument_are_two_documents(npm: Repository) -> None:
    npm.publish(dependencies={"a": "1"}, scripts={"install": "x"})
    full, short = npm.get("hello"), npm.get("hello", **CORGI)
    assert full.header("content-type") == "application/json"
    assert short.header("content-type") == ABBREVIATED_TYPE
    assert "scripts" in full.json()["versions"]["1.0.0"]
    assert "scripts" not in short.json()["versions"]["1.0.0"]
    assert short.json()["versions"]["1.0.0"]["hasInstallScript"] is True
    assert set(short.json()) == {"name", "modified", "dist-tags", "versions"}
    for reply, accept in ((full, "*/*"), (short, CORGI["accept"])):
        assert "accept" in [value for name, value in reply.headers if name == "vary"]
        assert npm.get("hello", accept=accept, if_none_match=reply.header("etag")).status == 304
    assert npm.get("hello", if_none_match=short.header("etag")).status == 200


def test_a_changed_packument_has_another_etag(npm: Repository) -> None:
    npm.publish()
    before = npm.get("hello").header("etag")
    npm.publish(version="1.1.0")
    reply = npm.get("hello", if_none_match=before)
    assert (reply.status, list(reply.json()["versions"])) == (200, ["1.0.0", "1.1.0"])


def test_a_version_is_never_published_twice(npm: Repository) -> None:
    data = make.tarball()
    document = make.document(data)
    assert npm.request("PUT", "ak-hello", document).status == 201
    for again in (document, make.document(make.tarball({"index.js": "other"}))):
        reply = npm.request("PUT", "ak-hello", again)
        assert reply.status == 403
        assert reply.json()["error"] == "You cannot publish over the previously published versions: 1.0.0."
    assert npm.packument("ak-hello")["versions"]["1.0.0"]["dist"]["shasum"] == hashlib.sha1(data).hexdigest()


def test_a_second_publish_of_the_same_bytes_moves_no_tag(npm: Repository) -> None:
    data = make.tarball()
    npm.request("PUT", "ak-hello", make.document(data))
    assert npm.request("PUT", "ak-hello", make.document(data, tag="beta")).status == 403
    assert npm.packument("ak-hello")["dist-tags"] == {"latest": "1.0.0"}


def test_a_repository_may_allow_to_replace(running: Registry) -> None:
    npm = Repository(running, f"libs{next(_numbers)}", settings=Settings(overwrite="allow"))
    npm.publish()
    assert "immutable" not in npm.get("hello/-/hello-1.0.0.tgz").header("cache-control")


def test_tarballs_are_served_in_parts_and_kept_for_ever(npm: Repository) -> None:
    data = make.tarball(name="hello")
    npm.request("PUT", "hello", make.document(data, "hello"))
    whole = npm.get("hello/-/hello-1.0.0.tgz")
    assert whole.header("content-type") == "application/octet-stream"
    assert "immutable" in whole.header("cache-control")
    assert whole.header("content-encoding") == ""
    part = npm.get("hello/-/hello-1.0.0.tgz", range="bytes=10-19")
    assert (part.status, part.body) == (206, data[10:20])
    head = npm.request("HEAD", "hello/-/hello-1.0.0.tgz", user=None)
    assert (head.status, head.header("content-length"), head.body) == (200, str(len(data)), b"")


def test_downloads_are_counted_per_artifact(npm: Repository) -> None:
    npm.publish()
    before = len(npm.running.downloads)
    npm.get("hello/-/hello-1.0.0.tgz")
    npm.get("hello")
    assert len(npm.running.downloads) == before + 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("missing", 404),
        ("@acme/missing", 404),
        ("@acme", 404),
        ("hello/9.9.9", 404),
        ("hello/beta", 404),
        ("hello/1.0.0/x", 404),
        ("hello/-/hello-9.9.9.tgz", 404),
        ("hello/-/other-1.0.0.tgz", 404),
        (".hidden", 404),
        ("-", 404),
        ("-/", 404),
        ("-/org/acme/team", 404),
        ("-/v1/nothing", 404),
        ("-/package/missing/dist-tags", 404),
        ("-/package/missing/visibility", 404),
        ("-/npm/v1/attestations/hello@1.0.0", 404),
        ("-/npm/v1/attestations/hello", 404),
        ("-/npm/v1/attestations/@", 404),
    ],
)
def test_what_is_not_there_is_said_in_npms_words(npm: Repository, path: str, status: int) -> None:
    npm.publish()
    reply = npm.get(path)
    assert reply.status == status
    assert reply.header("content-type") == "application/json"
    assert reply.json()["error"] == reply.json()["reason"] != ""


def test_dashes_come_before_packages(npm: Repository) -> None:
    assert npm.get("-/ping").json() == {}
    assert npm.get("-/all").json() == {}
    assert "not offered" in npm.get("-/1.0.0").json()["error"]


def test_a_package_may_be_called_packages(npm: Repository) -> None:
    assert npm.publish("packages").status == 201
    assert npm.packument("packages")["name"] == "packages"


def test_whoami_names_the_caller_and_refuses_nobody(npm: Repository) -> None:
    assert npm.request("GET", "-/whoami").json() == {"username": "admin"}
    reply = npm.request("GET", "-/whoami", user=None)
    assert reply.status == 401
    assert reply.json()["error"]


def test_a_reader_publishes_nothing_and_a_writer_deletes_nothing(npm: Repository) -> None:
    key = npm.key.replace("-", "_")
    npm.running.person("rita", **{key: "read"})
    npm.running.person("wendy", **{key: "read write"})
    assert npm.publish(user="rita").status == 403
    assert npm.publish(user=None).status == 401
    assert npm.publish(user="wendy").status == 201
    revision = npm.packument()["_rev"]
    assert npm.request("DELETE", f"hello/-rev/{revision}", user="wendy").status == 403
    assert npm.request("DELETE", f"hello/-/hello-1.0.0.tgz/-rev/{revision}", user="wendy").status == 403
    assert npm.request("PUT", "-/package/hello/dist-tags/x", "1.0.0", user="rita").status == 403
    assert npm.request("DELETE", "-/package/hello/dist-tags/x", user="rita").status == 403


# what a publish refuses


@pytest.mark.parametrize(
    "attack", ["a symbolic link", "two package.json files", "a bomb", "a version that is none", "nothing at all"]
)
def test_a_hostile_tarball_is_refused_in_a_sentence(npm: Repository, attack: str) -> None:
    data = make.ATTACKS[attack]()
    reply = npm.request("PUT", "ak-hello", make.document(data))
    assert reply.status == 400, reply.text
    assert len(reply.json()["error"]) > 10
    assert npm.get("ak-hello").status == 404
    assert npm.running.spooled_files() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"{", b'{"_id":"ak-hello"}', b'{"_attachments":{}}', b'{"_attachments":{"x.tgz":{"data":"%"}}}', b'{"_attachments":{"x.tgz":{"data":""}}}',
     b'{"versions":{}}', b"\xff\xfe", b'{"_attachments":{"x.sigstore":{"data":"{}"}}}'],
)  # fmt: skip
def test_a_body_that_is_no_document_is_refused(npm: Repository, body: bytes) -> None:
    for path in ("ak-hello", "@acme%2fx"):
        reply = npm.request("PUT", path, body)
        assert reply.status == 400, reply.text
        assert reply.json()["error"]
    assert npm.running.spooled_files() == []


def test_a_document_for_another_address_is_refused(npm: Repository) -> None:
    reply = npm.request("PUT", "other", make.document(make.tarball()))
    assert reply.status == 400
    assert "mismatch" in reply.json()["error"]


@pytest.mark.parametrize("name", ["Hello", "node_modules", "favicon.ico", "a~b"])
def test_a_name_that_is_not_allowed_is_refused(npm: Repository, name: str) -> None:
    reply = npm.publish(name)
    assert reply.status in {400, 404}
    assert name in reply.json()["error"]


def test_a_publish_that_breaks_off_leaves_nothing(npm: Repository) -> None:
    body = json.dumps(make.document(make.tarball())).encode()
    reply = npm.running.request("PUT", f"/npm/{npm.key}/ak-hello", body[:-50], user="admin", truncated=True)
    assert reply.status == 400
    assert npm.running.spooled_files() == []
    assert npm.get("ak-hello").status == 404


def test_a_large_manifest_and_readme_are_kept_beside_the_tarball(npm: Repository) -> None:
    exports = {f"./{number}": f"./lib/{number}.js" for number in range(2000)}
    npm.publish(exports=exports, files={"README.md": "long " * 5000})
    document = npm.packument()
    assert document["versions"]["1.0.0"]["exports"] == exports
    assert document["readme"] == "long " * 5000
    assert npm.get("hello/1.0.0").json()["exports"] == exports
    assert "exports" not in npm.get("hello", **CORGI).text
    assert npm.running.spooled_files() == []


def test_dependencies_too_many_for_an_event_are_served_all_the_same(npm: Repository) -> None:
    dependencies = {f"package-number-{number}": "^1.0.0" for number in range(1000)}
    npm.publish(dependencies=dependencies)
    assert npm.packument()["versions"]["1.0.0"]["dependencies"] == dependencies
    assert npm.get("hello", **CORGI).json()["versions"]["1.0.0"]["dependencies"] == dependencies


def test_provenance_is_served_where_the_packument_says(npm: Repository) -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {"data": make.bundle(data)}
    assert npm.request("PUT", "ak-hello", document).status == 201
    attestations = npm.packument("ak-hello")["versions"]["1.0.0"]["dist"]["attestations"]
    assert attestations["provenance"] == {"predicateType": "https://slsa.dev/provenance/v1"}
    served = npm.get(attestations["url"].removeprefix(f"{BASE}/{npm.key}/")).json()
    assert served["attestations"][0]["bundle"] == json.loads(make.bundle(data))


# tags


def test_latest_is_the_highest_stable_version_until_somebody_says_otherwise(npm: Repository) -> None:
    npm.publish(version="2.0.0-rc.1", tag="beta")
    assert npm.packument()["dist-tags"] == {"latest": "2.0.0-rc.1", "beta": "2.0.0-rc.1"}
    npm.publish(version="1.10.0", tag="old")
    npm.publish(version="1.9.0", tag="older")
    assert npm.packument()["dist-tags"]["latest"] == "1.10.0"
    npm.publish(version="0.1.0")
    assert npm.packument()["dist-tags"]["latest"] == "0.1.0"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_tag_can_be_moved_and_removed(npm: Repository, method: str) -> None:
    npm.publish()
    npm.publish(version="1.1.0")
    assert npm.request(method, "-/package/hello/dist-tags/stable", "1.0.0").json() == {"ok": True}
    assert npm.get("-/package/hello/dist-tags").json() == {"latest": "1.1.0", "stable": "1.0.0"}
    assert npm.get("hello/stable").json()["version"] == "1.0.0"
    assert npm.request("DELETE", "-/package/hello/dist-tags/stable").json() == {"ok": True}
    assert npm.get("-/package/hello/dist-tags").json() == {"latest": "1.1.0"}


@pytest.mark.parametrize(
    ("method", "tag", "body", "status"),
    [
        ("PUT", "stable", "9.9.9", 404),
        ("PUT", "stable", "one", 400),
        ("PUT", "stable", ["1.0.0"], 400),
        ("PUT", "stable", b"", 400),
        ("PUT", "stable", b"\xff", 400),
        ("PUT", "1.x", "1.0.0", 400),
        ("PUT", "stable", "x" * 5000, 413),
        ("DELETE", "latest", b"", 400),
        ("DELETE", "nothing", b"", 404),
    ],
)
def test_a_tag_that_cannot_be_is_refused(npm: Repository, method: str, tag: str, body: Any, status: int) -> None:
    npm.publish()
    reply = npm.request(method, f"-/package/hello/dist-tags/{tag}", body)
    assert reply.status == status
    assert npm.get("-/package/hello/dist-tags").json() == {"latest": "1.0.0"}


# changes by sending the document back


def test_a_deprecation_is_sent_back_in_the_document_and_lifted_by_an_empty_one(npm: Repository) -> None:
    npm.publish()
    npm.publish(version="1.1.0")
    document = npm.packument(write=True)
    document["versions"]["1.0.0"]["deprecated"] = "too old"
    assert npm.request("PUT", "hello", document).status == 200
    versions = npm.get("hello", **CORGI).json()["versions"]
    assert versions["1.0.0"]["deprecated"] == "too old"
    assert "deprecated" not in versions["1.1.0"]
    assert npm.get("hello/1.0.0").json()["deprecated"] == "too old"
    document = npm.packument(write=True)
    document["versions"]["1.0.0"]["deprecated"] = ""
    npm.request("PUT", "hello", document)
    assert "deprecated" not in npm.get("hello").text


def test_sending_a_document_back_pins_no_latest_that_nobody_set(npm: Repository) -> None:
    npm.publish(version="1.0.0", tag="a")
    document = npm.packument(write=True)
    assert document["dist-tags"]["latest"] == "1.0.0"
    document["versions"]["1.0.0"]["deprecated"] = "old"
    npm.request("PUT", "hello", document)
    npm.publish(version="2.0.0", tag="b")
    assert npm.packument()["dist-tags"]["latest"] == "2.0.0"


def test_tags_changed_in_the_document_are_changed(npm: Repository) -> None:
    npm.publish()
    npm.publish(version="1.1.0", tag="beta")
    document = npm.packument(write=True)
    document["dist-tags"] = {"latest": "1.1.0", "stable": "1.0.0"}
    assert npm.request("PUT", f"hello/-rev/{document['_rev']}", document).status == 200
    assert npm.packument()["dist-tags"] == {"latest": "1.1.0", "stable": "1.0.0"}
    document = npm.packument(write=True)
    document["dist-tags"] = {"latest": "3.0.0"}
    assert npm.request("PUT", "hello", document).status == 404


def test_a_document_read_before_somebody_elses_change_is_refused(npm: Repository) -> None:
    npm.publish()
    document = npm.packument(write=True)
    npm.publish(version="1.1.0")
    for method, path, body in (
        ("PUT", "hello", document),
        ("PUT", f"hello/-rev/{document['_rev']}", document),
        ("DELETE", f"hello/-rev/{document['_rev']}", b""),
        ("DELETE", f"hello/-/hello-1.0.0.tgz/-rev/{document['_rev']}", b""),
        ("DELETE", "hello/-rev/undefined", b""),
    ):
        assert npm.request(method, path, body).status == 409
    assert list(npm.packument()["versions"]) == ["1.0.0", "1.1.0"]


def test_a_revision_to_write_with_is_always_fresh(npm: Repository) -> None:
    npm.publish()
    first = npm.get("hello?write=true", **CORGI).json()
    assert "_rev" in first
    npm.publish(version="1.1.0")
    assert npm.packument(write=True)["_rev"] != first["_rev"]


def test_stars_are_refused_rather_than_forgotten(npm: Repository) -> None:
    npm.publish()
    revision = npm.packument()["_rev"]
    body = {"_id": "hello", "_rev": revision, "users": {"ada": True}}
    for path in ("hello", f"hello/-rev/{revision}"):
        assert npm.request("PUT", path, body).status == 400


def test_a_change_takes_no_tarball(npm: Repository) -> None:
    npm.publish()
    document = npm.packument(write=True)
    document["_attachments"] = {"hello-2.0.0.tgz": {"data": base64.b64encode(b"x").decode()}}
    assert npm.request("PUT", f"hello/-rev/{document['_rev']}", document).status == 400


# names that would be mistaken


def test_a_name_that_would_be_mistaken_for_another_is_refused(npm: Repository) -> None:
    npm.running.person("writer", **{npm.key: "read write delete"})
    assert npm.publish("my-lib", user="writer").status == 201
    for name in ("mylib", "my.lib", "my_lib"):
        reply = npm.publish(name, user="writer")
        assert (reply.status, "too similar" in reply.json()["error"]) == (403, True), name
    assert npm.publish("my-lib", "1.1.0", user="writer").status == 201
    assert npm.publish("@acme/my-lib", user="writer").status == 201
    assert npm.publish("@acme/mylib", user="writer").status == 403
    revision = npm.packument("my-lib", write=True)["_rev"]
    assert npm.request("DELETE", f"my-lib/-rev/{revision}").status == 200
    assert npm.publish("mylib", user="writer").status == 403
    assert npm.publish("my-lib", "1.2.0", user="writer").status == 201


def test_whoever_administers_a_repository_may_give_similar_names(npm: Repository) -> None:
    npm.running.person("writer", **{npm.key: "read write"})
    npm.running.person("keeper", **{npm.key: "admin"})
    npm.publish("my-lib", user="writer")
    assert npm.publish("mylib", user="keeper").status == 201
    assert npm.publish("mylib", "1.1.0", user="writer").status == 201
    assert npm.publish("my_lib", user="writer").status == 403
    assert npm.get("mylib").json()["dist-tags"] == {"latest": "1.1.0"}


# unpublish


def unpublish(npm: Repository, version: str, name: str = "hello") -> Reply:
    """As npm does it: the document without the version, then the tarball."""
    document = npm.packument(name, write=True)
    del document["versions"][version]
    document["dist-tags"] = {tag: target for tag, target in document["dist-tags"].items() if target != version}
    assert npm.request("PUT", f"{name}/-rev/{document['_rev']}", document).status == 200
    revision = npm.packument(name, write=True)["_rev"]
    return npm.request("DELETE", f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz/-rev/{revision}")


def test_an_unpublished_version_is_gone_with_its_tags_and_its_number(npm: Repository) -> None:
    npm.publish()
    npm.publish(version="1.1.0")
    npm.publish(version="2.0.0-rc.1", tag="next")
    npm.request("PUT", "-/package/hello/dist-tags/stable", "1.1.0")
    published = npm.packument()["time"]
    before = npm.head()
    assert unpublish(npm, "1.1.0").status == 200
    document = npm.packument()
    times = document["time"]
    assert {version: times[version] for version in ("created", "1.0.0", "1.1.0")} == {
        version: published[version] for version in ("created", "1.0.0", "1.1.0")
    }
    assert npm.packument(at=before)["time"] == published
    assert list(document["versions"]) == ["1.0.0", "2.0.0-rc.1"]
    assert document["dist-tags"] == {"latest": "1.0.0", "next": "2.0.0-rc.1"}
    assert npm.get("hello/-/hello-1.1.0.tgz").status == 404
    reply = npm.publish(version="1.1.0", description="another one")
    assert (reply.status, reply.json()["error"]) == (
        403,
        "You cannot publish over the previously published versions: 1.1.0.",
    )


def test_an_unpublished_package_is_gone_whole(npm: Repository) -> None:
    npm.publish("@acme/x", version="1.0.0")
    npm.publish("@acme/x", version="1.1.0")
    revision = npm.packument("@acme/x", write=True)["_rev"]
    assert npm.request("DELETE", f"@acme%2fx/-rev/{revision}").status == 200
    assert npm.get("@acme/x").status == 404
    assert npm.get("@acme/x", **CORGI).status == 404
    assert npm.request("DELETE", f"@acme%2fx/-rev/{revision}").status == 404
    assert npm.publish("@acme/x", version="1.2.0").status == 201
    document = npm.packument("@acme/x")
    assert document["dist-tags"] == {"latest": "1.2.0"}
    assert set(document["time"]) == {"created", "modified", "1.0.0", "1.1.0", "1.2.0"}


def test_what_is_not_there_cannot_be_unpublished(npm: Repository) -> None:
    npm.publish()
    revision = npm.packument()["_rev"]
    assert npm.request("DELETE", f"hello/-/hello-2.0.0.tgz/-rev/{revision}").status == 404
    assert npm.request("DELETE", "missing/-rev/0").status == 404


# the past


def test_a_repository_can_be_read_as_it_was(npm: Repository) -> None:
    npm.publish()
    first = npm.head()
    npm.publish(version="1.1.0")
    document = npm.packument(write=True)
    document["versions"]["1.0.0"]["deprecated"] = "old"
    npm.request("PUT", "hello", document)
    second = npm.head()
    unpublish(npm, "1.0.0")
    then = npm.packument(at=first)
    assert list(then["versions"]) == ["1.0.0"]
    assert "deprecated" not in then["versions"]["1.0.0"]
    assert then["versions"]["1.0.0"]["dist"]["tarball"] == f"{BASE}/{npm.key}{first}/hello/-/hello-1.0.0.tgz"
    assert npm.get("hello/-/hello-1.0.0.tgz", at=first).status == 200
    assert npm.get("hello/-/hello-1.0.0.tgz").status == 404
    assert npm.get("hello", at=second, **CORGI).json()["versions"]["1.0.0"]["deprecated"] == "old"
    assert npm.get("-/package/hello/dist-tags", at=second).json() == {"latest": "1.1.0"}
    assert npm.get("hello/latest", at=first).json()["version"] == "1.0.0"


def test_the_past_is_not_written_to(npm: Repository) -> None:
    npm.publish()
    at = npm.head()
    document = make.document(make.tarball(name="hello", version="2.0.0"), "hello", "2.0.0")
    for method, path, body in (
        ("PUT", "hello", document),
        ("DELETE", "hello/-rev/1", b""),
        ("PUT", "-/package/hello/dist-tags/x", "1.0.0"),
    ):
        assert npm.request(method, path, body, at=at).status == 405


def test_a_refused_publish_is_answered_while_the_connection_stays_open(npm: Repository) -> None:
    body = json.dumps(make.document(make.tarball(name="other"))).encode()
    with npm.running.serve() as url, httpx.Client() as client:
        began = time.monotonic()
        for _ in range(2):
            reply = client.put(f"{url}/npm/{npm.key}/hello", content=body, headers={"authorization": "Bearer admin"})
            assert reply.status_code == 400
        assert time.monotonic() - began < 25  # not until a time-out


# what this registry does not have


@pytest.mark.parametrize("path", ["advisories/bulk", "audits/quick", "audits"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_audit_is_not_answered_as_if_something_had_been_checked(npm: Repository, path: str, packed: bool) -> None:
    body = json.dumps({"hello": ["1.0.0"]}).encode()
    headers = {"content_encoding": "gzip"} if packed else {}
    reply = npm.request(
        "POST", f"-/npm/v1/security/{path}", gzip.compress(body) if packed else body, user=None, **headers
    )
    assert reply.status == 404
    assert "no package was checked" in reply.json()["error"]


def test_a_registry_without_keys_says_so(npm: Repository) -> None:
    assert npm.get("-/npm/v1/keys").status == 404


def test_a_package_is_as_visible_as_its_repository(running: Registry, npm: Repository) -> None:
    npm.publish()
    assert npm.get("-/package/hello/visibility").json() == {"public": True}
    private = Repository(running, f"libs{next(_numbers)}", public=False)
    private.publish()
    assert private.request("GET", "-/package/hello/visibility").json() == {"public": False}
    assert private.get("hello").status == 401
    assert private.request("GET", "-/package/hello/access").json() == {"access": "restricted"}


def test_access_that_is_not_the_repositorys_is_refused(npm: Repository) -> None:
    npm.running.person("writer", **{npm.key: "read write delete"})
    npm.publish("@acme/x")
    where = "-/package/@acme%2fx/access"
    assert npm.request("POST", where, {"access": "public"}).status == 200
    reply = npm.request("POST", where, {"access": "restricted"})
    assert (reply.status, "every package of this repository is public" in reply.json()["error"]) == (400, True)
    assert npm.request("POST", where, {"publish_requires_tfa": True}).status == 400
    assert npm.request("POST", where, b"[").status == 400
    assert npm.request("POST", where, {"access": "public"}, user="writer").status == 403
    assert npm.request("GET", "-/package/@acme%2fx/collaborators", user="writer").status == 403
    assert npm.request("GET", "-/package/missing/collaborators").status == 404


@pytest.mark.parametrize("path", ["hello", "-/whoami", "-/package/hello/dist-tags", "hello/-/hello-1.0.0.tgz"])
def test_a_method_that_nothing_takes_is_refused_with_those_that_are(npm: Repository, path: str) -> None:
    reply = npm.request("PATCH", path, b"x")
    assert reply.status == 405
    assert "GET" in reply.header("allow")
