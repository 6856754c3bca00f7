"""The OCI format over the real gate, log and catalogue: what the distribution specification asks of a registry."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from application.collecting import Collector
from application.format import Deposit
from application.formats import generic, oci
from application.formats.oci.metadata import ManifestInvalid
from application.formats.oci.publishing import deposit
from application.publishing import Target
from domain.errors import DigestMismatch, Invalid
from domain.event import SYSTEM
from domain.repository import Settings
from infrastructure.postgres.pool import connection
from projections.catalogue.references import CatalogueReferences
from tests.integration.harness import Registry, Reply, registry
from tests.samples.oci import make

_numbers = count(1)

MISSING = make.digest(b"nowhere")
ALGORITHMS = ("sha256", "sha512")


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("oci"), [oci.FORMAT, generic.FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Images:
    """One repository, as its owner sees it. Calls are below the repository; the image `img` unless another is named."""

    def __init__(self, running: Registry, **more: Any) -> None:
        self.running, self.key = running, f"libs{next(_numbers)}"
        self.row = running.repository(self.key, more.pop("format", "oci"), **more)

    def __call__(self, method: str, path: str, body: Any = b"", *, at: str = "", **headers: str) -> Reply:
        user = headers.pop("user", "admin") or None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/v2/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **headers: str) -> Reply:
        return self("GET", path, user="", **headers)

    def follow(self, method: str, reply: Reply, body: bytes = b"", *, query: str = "", **headers: str) -> Reply:
        """Send something to the address that an answer told."""
        target = reply.header("location").removeprefix("http://registry.example")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, target + query, body, user="admin", headers=sent)

    def blob(self, data: bytes, image: str = "img", algorithm: str = "sha256") -> str:
        digest = make.digest(data, algorithm)
        reply = self("POST", f"{image}/blobs/uploads/?digest={digest}", data)
        assert reply.status == 201, reply.text
        assert reply.header("docker-content-digest") == digest
        return digest

    def manifest(self, data: bytes, reference: str, image: str = "img", status: int = 201) -> Reply:
        reply = self("PUT", f"{image}/manifests/{reference}", data, content_type=json.loads(data)["mediaType"])
        assert reply.status == status, reply.text
        return reply

    def push(self, sample: make.Image, reference: str = "", image: str = "img") -> str:
        for data in sample.blobs:
            self.blob(data, image)
        self.manifest(sample.manifest, reference or sample.digest, image)
        return sample.digest

    def tags(self, image: str = "img", *, at: str = "", query: str = "") -> list[str]:
        reply = self("GET", f"{image}/tags/list{query}", at=at)
        assert reply.status == 200, reply.text
        listed: list[str] = reply.json()["tags"]
        return listed

    def referrers(self, digest: str, image: str = "img", *, query: str = "") -> list[dict[str, Any]]:
        reply = self.get(f"{image}/referrers/{digest}{query}")
        assert (reply.status, reply.header("content-type")) == (200, make.OCI_INDEX), reply.text
        listed: list[dict[str, Any]] = reply.json()["manifests"]
        return listed

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def libs(running: Registry) -> Images:
    return Images(running)


def code(reply: Reply) -> tuple[int, str]:
    """The status, and the name of the first error."""
    return reply.status, reply.json()["errors"][0]["code"]


# pushing blobs


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_is_pushed_in_one_request(libs: Images, algorithm: str) -> None:
    digest = libs.blob(b"one request", algorithm=algorithm)
    reply = libs.get(f"img/blobs/{digest}")
    assert (reply.status, reply.body) == (200, b"one request")
    assert reply.header("docker-content-digest") == digest
    assert reply.header("content-type") == "application/octet-stream"
    head = libs("HEAD", f"img/blobs/{digest}")
    assert (head.status, head.header("content-length"), head.body) == (200, "11", b"")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("slash", ["/", ""])
def test_a_blob_is_pushed_in_two_requests(libs: Images, algorithm: str, slash: str) -> None:
    data = b"two requests"
    started = libs("POST", f"img/blobs/uploads{slash}")
    assert (started.status, started.header("range")) == (202, "0-0")
    digest = make.digest(data, algorithm)
    done = libs.follow("PUT", started, data, query=f"?digest={digest}")
    assert (done.status, done.header("docker-content-digest")) == (201, digest)
    assert libs.follow("GET", done).body == data
    assert code(libs.follow("GET", started)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_is_pushed_in_pieces(libs: Images, algorithm: str) -> None:
    pieces = [b"first ", b"second ", b"third"]
    reply, offset = libs("POST", "img/blobs/uploads/"), 0
    for piece in pieces[:2]:
        reply = libs.follow("PATCH", reply, piece, content_range=f"{offset}-{offset + len(piece) - 1}")
        offset += len(piece)
        assert (reply.status, reply.header("range")) == (202, f"0-{offset - 1}"), reply.text
    status = libs.follow("GET", reply)
    assert (status.status, status.header("range"), status.body) == (204, f"0-{offset - 1}", b"")
    digest = make.digest(b"".join(pieces), algorithm)
    last = libs.follow(
        "PUT", reply, pieces[2], query=f"?digest={digest}", content_range=f"{offset}-{offset + len(pieces[2]) - 1}"
    )
    assert last.status == 201, last.text
    assert libs.get(f"img/blobs/{digest}").body == b"".join(pieces)


def test_a_blob_is_streamed_without_saying_how_long_it_is(libs: Images, running: Registry) -> None:
    data = bytes(range(256)) * 20_000
    started = libs("POST", "img/blobs/uploads/")
    target = started.header("location").removeprefix("http://registry.example")
    chunks = [data[at : at + 300_000] for at in range(0, len(data), 300_000)]
    reply = running.request("PATCH", target, chunks, user="admin")
    assert (reply.status, reply.header("range")) == (202, f"0-{len(data) - 1}")
    digest = make.digest(data)
    assert libs.follow("PUT", reply, query=f"?digest={digest}").status == 201
    assert libs.get(f"img/blobs/{digest}").body == data


def test_an_empty_blob_is_one(libs: Images) -> None:
    digest = make.digest(b"")
    assert libs.follow("PUT", libs("POST", "img/blobs/uploads/"), query=f"?digest={digest}").status == 201
    assert libs.get(f"img/blobs/{digest}").body == b""


@pytest.mark.parametrize("content_range", ["1-3", "10-12", "3-1", "what", "0-"])
def test_a_piece_out_of_order_is_refused(libs: Images, content_range: str) -> None:
    reply = libs.follow("PATCH", libs("POST", "img/blobs/uploads/"), b"abcde", content_range="0-4")
    refused = libs.follow("PATCH", reply, b"xyz", content_range=content_range)
    assert code(refused) == (416 if content_range[:2] in ("1-", "10") else 400, "BLOB_UPLOAD_INVALID")
    assert libs.follow("GET", reply).header("range") == "0-4"
    again = libs.follow("PATCH", reply, b"fgh", content_range="5-7")
    assert libs.follow("PUT", again, query=f"?digest={make.digest(b'abcdefgh')}").status == 201


def test_the_last_piece_must_be_the_next_one_too(libs: Images) -> None:
    reply = libs.follow("PATCH", libs("POST", "img/blobs/uploads/"), b"abcde")
    refused = libs.follow("PUT", reply, b"fgh", query=f"?digest={make.digest(b'abcdefgh')}", content_range="0-2")
    assert code(refused) == (416, "BLOB_UPLOAD_INVALID")
    assert refused.header("range") == "0-4"


def test_a_piece_of_another_length_than_its_range_is_refused(libs: Images) -> None:
    reply = libs("POST", "img/blobs/uploads/")
    for body in (b"abc", b"abcdef"):
        assert code(libs.follow("PATCH", reply, body, content_range="0-4")) == (400, "SIZE_INVALID")
    assert libs.follow("PATCH", reply, b"abcde", content_range="0-4").status == 202


def test_what_broke_off_is_sent_again(libs: Images, running: Registry) -> None:
    started = libs("POST", "img/blobs/uploads/")
    target = started.header("location").removeprefix("http://registry.example")
    long = b"x" * 3_000_000
    running.request("PATCH", target, [long[:2_000_000]], user="admin", truncated=True)
    assert libs.follow("GET", started).header("range") == "0-0"
    reply = libs.follow("PATCH", started, b"short")
    assert libs.follow("PUT", reply, query=f"?digest={make.digest(b'short')}").status == 201


def test_a_push_is_given_up(libs: Images) -> None:
    reply = libs.follow("PATCH", libs("POST", "img/blobs/uploads/"), b"abc")
    assert libs.follow("DELETE", reply).status == 204
    for method in ("GET", "DELETE", "PATCH"):
        assert code(libs.follow(method, reply)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_is_its_owners_and_its_images_alone(libs: Images, running: Registry) -> None:
    running.person("wendy", **{libs.key: "read write"})
    reply = libs("POST", "img/blobs/uploads/")
    path = reply.header("location").partition(f"/{libs.key}/")[2]
    assert code(libs("GET", path, user="wendy")) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert code(libs("GET", path.replace("img", "other"))) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert code(libs("GET", "img/blobs/uploads/none")) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("way", ["one request", "two requests", "pieces"])
def test_bytes_of_another_digest_are_refused(libs: Images, way: str) -> None:
    digest = make.digest(b"what was meant")
    if way == "one request":
        reply = libs("POST", f"img/blobs/uploads/?digest={digest}", b"what came")
    else:
        started = libs("POST", "img/blobs/uploads/")
        if way == "pieces":
            started = libs.follow("PATCH", started, b"what ")
        reply = libs.follow("PUT", started, b"came", query=f"?digest={digest}")
    assert code(reply) == (400, "DIGEST_INVALID")
    assert code(libs.get(f"img/blobs/{digest}")) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("digest", ["", "sha256:00", "md5:" + "0" * 32, "sha256:" + "A" * 64, "what"])
def test_what_is_no_digest_is_refused_before_the_bytes(libs: Images, digest: str) -> None:
    started = libs("POST", "img/blobs/uploads/")
    assert code(libs.follow("PUT", started, b"abc", query=f"?digest={digest}")) == (400, "DIGEST_INVALID")
    if digest:
        assert code(libs("POST", f"img/blobs/uploads/?digest={digest}", b"abc")) == (400, "DIGEST_INVALID")
        assert code(libs.get(f"img/blobs/{digest}")) == (400, "DIGEST_INVALID")
        assert code(libs.get(f"img/referrers/{digest}")) == (400, "DIGEST_INVALID")


def test_an_unknown_algorithm_is_refused(libs: Images) -> None:
    assert code(libs("POST", "img/blobs/uploads/?digest-algorithm=md5")) == (400, "UNSUPPORTED")
    assert libs("POST", "img/blobs/uploads/?digest-algorithm=sha512").status == 202


# mounting


@pytest.mark.parametrize(("algorithm", "named"), [("sha256", True), ("sha256", False), ("sha512", True)])
def test_a_blob_of_another_image_is_mounted(running: Registry, libs: Images, algorithm: str, *, named: bool) -> None:
    other = Images(running, public=False)
    data = f"mounted {algorithm} {named}".encode()
    digest = other.blob(data, "a/b", algorithm)
    source = f"&from={other.key}/a/b" if named else ""
    reply = libs("POST", f"img/blobs/uploads/?mount={digest}{source}")
    assert (reply.status, reply.header("docker-content-digest")) == (201, digest)
    assert libs.follow("GET", reply).body == data


@pytest.mark.parametrize("named", [True, False])
def test_a_blob_that_the_caller_may_not_read_is_not_mounted(running: Registry, libs: Images, *, named: bool) -> None:
    running.person("wendy", **{libs.key: "read write"})
    hidden = Images(running, public=False)
    digest = hidden.blob(f"hidden {named}".encode())
    source = f"&from={hidden.key}/img" if named else ""
    reply = libs("POST", f"img/blobs/uploads/?mount={digest}{source}", user="wendy")
    assert (reply.status, reply.header("range")) == (202, "0-0")
    assert code(libs.get(f"img/blobs/{digest}")) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("source", ["libs-none/img", "LIBS//x", "@", "a" * 500])
def test_a_mount_from_nowhere_begins_a_push(libs: Images, source: str) -> None:
    reply = libs("POST", f"img/blobs/uploads/?mount={make.digest(b'x')}&from={source}")
    assert reply.status == 202
    assert libs("POST", f"img/blobs/uploads/?mount={MISSING}").status == 202


def test_a_blob_is_in_its_own_image_only(libs: Images) -> None:
    digest = libs.blob(b"of img")
    for path in (f"other/blobs/{digest}", f"blobs/{digest}", f"img/img/blobs/{digest}"):
        assert code(libs.get(path)) == (404, "BLOB_UNKNOWN")


# pulling blobs


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [("bytes=0-3", 206, b"0123"), ("bytes=-2", 206, b"89"), ("bytes=5-", 206, b"56789"), ("bytes=50-60", 416, b"")],
)
def test_a_part_of_a_blob_is_pulled(libs: Images, asked: str, status: int, body: bytes) -> None:
    digest = libs.blob(b"0123456789")
    reply = libs.get(f"img/blobs/{digest}", range=asked)
    assert (reply.status, reply.body) == (status, body)


def test_a_blob_that_the_client_has_is_not_sent(libs: Images) -> None:
    digest = libs.blob(b"has it")
    etag = libs.get(f"img/blobs/{digest}").header("etag")
    assert libs.get(f"img/blobs/{digest}", if_none_match=etag).status == 304
    assert "immutable" in libs.get(f"img/blobs/{digest}").header("cache-control")


# manifests


def test_an_image_is_pulled_by_tag_and_by_digest(libs: Images) -> None:
    sample = make.image("pulled")
    digest = libs.push(sample, "1.0")
    for reference in ("1.0", digest):
        reply = libs.get(f"img/manifests/{reference}", accept="application/json")
        assert (reply.status, reply.body) == (200, sample.manifest)
        assert reply.header("content-type") == make.OCI_MANIFEST
        assert reply.header("docker-content-digest") == digest
        head = libs("HEAD", f"img/manifests/{reference}")
        assert (head.status, head.body) == (200, b"")
        assert head.header("content-length") == str(len(sample.manifest))
        assert head.header("docker-content-digest") == digest
    etag = libs.get("img/manifests/1.0").header("etag")
    assert libs.get("img/manifests/1.0", if_none_match=etag).status == 304


def test_a_tag_moves_with_the_next_push(libs: Images) -> None:
    first, second = make.image("first"), make.image("second")
    libs.push(first, "latest")
    libs.push(second, "latest")
    assert libs.get("img/manifests/latest").body == second.manifest
    assert libs.get(f"img/manifests/{first.digest}").body == first.manifest
    assert libs.tags() == ["latest"]


def test_a_tag_does_not_move_where_the_repository_says_so(running: Registry) -> None:
    libs = Images(running, settings=Settings(overwrite="once"))
    first, second = make.image("first"), make.image("second")
    libs.push(first, "1.0")
    libs.push(first, "1.0")
    for data in second.blobs:
        libs.blob(data)
    assert code(libs.manifest(second.manifest, "1.0", status=409)) == (409, "DENIED")
    assert libs.get("img/manifests/1.0").body == first.manifest


def test_a_manifest_is_pushed_with_several_tags(libs: Images) -> None:
    sample = make.image("tags")
    for data in sample.blobs:
        libs.blob(data)
    reply = libs.manifest(sample.manifest, f"{sample.digest}?tag=a&tag=b&tag=a")
    assert [value for name, value in reply.headers if name == "oci-tag"] == ["a", "b", "a"]
    assert libs.tags() == ["a", "b"]


def test_a_manifest_is_known_by_its_sha512(libs: Images) -> None:
    sample = make.image("long digest", algorithm="sha512")
    for data in sample.blobs:
        libs.blob(data, algorithm="sha512")
    digest = make.digest(sample.manifest, "sha512")
    reply = libs.manifest(sample.manifest, f"{digest}?tag=long")
    assert reply.header("docker-content-digest") == digest
    assert libs.get("img/manifests/long").header("docker-content-digest") == digest
    assert code(libs.manifest(sample.manifest, f"sha512:{'0' * 128}", status=400)) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("missing", ["config", "layer"])
def test_a_manifest_without_its_blobs_is_refused(libs: Images, missing: str) -> None:
    sample = make.image(f"without {missing}")
    libs.blob(sample.blobs[missing == "config"])
    assert code(libs.manifest(sample.manifest, "1", status=400))[1] == "MANIFEST_BLOB_UNKNOWN"
    assert code(libs.get("img/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    assert code(libs.get("img/tags/list")) == (404, "NAME_UNKNOWN")


def test_an_index_without_its_manifests_is_refused(libs: Images) -> None:
    sample = make.image("of an index")
    index = make.index(sample.manifest)
    assert code(libs.manifest(index, "1", status=400))[1] == "MANIFEST_BLOB_UNKNOWN"
    libs.push(sample)
    libs.manifest(index, "1")
    assert libs.get("img/manifests/1").header("content-type") == make.OCI_INDEX


def test_layers_that_may_not_be_distributed_need_not_be_here(libs: Images) -> None:
    foreign = make.descriptor(b"elsewhere", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    sample = make.image("foreign", layers=[make.layer({"a": "b"})])
    document = json.loads(sample.manifest)
    document["layers"].append(foreign)
    for data in sample.blobs:
        libs.blob(data)
    libs.manifest(json.dumps(document).encode(), "windows")


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"\xff\xfe", b'{"schemaVersion":1}', b"[" * 10_000])
def test_what_is_no_manifest_is_refused(libs: Images, body: bytes) -> None:
    reply = libs("PUT", "img/manifests/1", body, content_type=make.OCI_MANIFEST)
    assert code(reply) == (400, "MANIFEST_INVALID")


def test_a_manifest_that_is_too_large_is_refused(libs: Images) -> None:
    reply = libs("PUT", "img/manifests/1", b" " * (9 << 20), content_type=make.OCI_MANIFEST)
    assert code(reply) == (413, "SIZE_INVALID")


def test_what_is_not_there_is_said_so(libs: Images) -> None:
    assert code(libs.get("img/manifests/latest")) == (404, "MANIFEST_UNKNOWN")
    assert code(libs.get(f"img/manifests/{MISSING}")) == (404, "MANIFEST_UNKNOWN")
    assert code(libs.get("img/manifests/.what")) == (404, "MANIFEST_UNKNOWN")
    assert code(libs.get(f"img/blobs/{MISSING}")) == (404, "BLOB_UNKNOWN")
    assert code(libs.get("img/tags/list")) == (404, "NAME_UNKNOWN")
    assert code(libs.get("IMG/tags/list")) == (400, "NAME_INVALID")
    assert code(libs.get("what")) == (404, "NAME_UNKNOWN")
    assert code(libs("PUT", "img/tags/list")) == (405, "UNSUPPORTED")
    assert code(libs("PUT", "img/manifests/.what", b"{}")) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("image", ["", "a/b/c", "blobs/uploads", "manifests", "tags/list", "referrers"])
def test_images_are_called_as_they_like(libs: Images, image: str) -> None:
    sample = make.image(f"called {image}")
    prefix = f"{image}/" if image else ""
    for data in sample.blobs:
        reply = libs("POST", f"{prefix}blobs/uploads/?digest={make.digest(data)}", data)
        assert reply.status == 201, reply.text
        assert libs.follow("GET", reply).body == data
    reply = libs("PUT", f"{prefix}manifests/1", sample.manifest, content_type=make.OCI_MANIFEST)
    assert reply.status == 201, reply.text
    assert libs.follow("GET", reply).body == sample.manifest
    listed = libs.get(f"{prefix}tags/list").json()
    assert listed == {"name": f"{libs.key}/{image}".rstrip("/"), "tags": ["1"]}


@pytest.mark.parametrize("format", ["docker", "podman", "buildx", "oras", "wasmoci", "helmoci"])
def test_every_alias_is_served(running: Registry, format: str) -> None:
    libs = Images(running, format=format)
    libs.push(make.image(format), "1")
    assert libs.tags() == ["1"]


def test_a_repository_of_another_format_has_no_images(running: Registry) -> None:
    other = Images(running, format="generic")
    assert code(other("GET", "img/tags/list")) == (404, "NAME_UNKNOWN")


# lists


def test_tags_are_listed_in_pages(libs: Images) -> None:
    sample = make.image("paged")
    libs.push(sample)
    for tag in ("b", "a", "B", "1.10", "1.9"):
        libs.manifest(sample.manifest, tag)
    assert libs.tags() == ["1.10", "1.9", "B", "a", "b"]
    found: list[list[str]] = []
    path = "img/tags/list?n=2"
    while path:
        reply = libs.get(path)
        found.append(reply.json()["tags"])
        path = reply.header("link").partition(f"/{libs.key}/")[2].partition(">")[0]
    assert found == [["1.10", "1.9"], ["B", "a"], ["b"]]
    assert libs.tags(query="?last=1.95") == ["B", "a", "b"]
    assert (libs.tags(query="?n=0"), libs.get("img/tags/list?n=0").header("link")) == ([], "")
    assert libs.get("img/tags/list?n=many").status == 400


def test_images_are_listed_for_those_who_may_read_them(running: Registry) -> None:
    shown, hidden = Images(running), Images(running, public=False)
    for libs in (shown, hidden):
        libs.push(make.image("listed"), "1", "b/c")
        libs.push(make.image("listed"), "1", "a")
    running.person("nora")
    names = [f"{libs.key}/{image}" for libs in (shown, hidden) for image in ("a", "b/c")]
    for user, expected in (("admin", names), ("nora", names[:2]), ("", names[:2])):
        reply = running.request("GET", "/v2/_catalog", user=user or None)
        listed = [name for name in reply.json()["repositories"] if name in names]
        assert sorted(listed) == sorted(expected)
    found: list[str] = []
    path = f"/v2/_catalog?n=1&last={names[0]}"
    while path and len(found) < 3:
        reply = running.request("GET", path, user="admin")
        found += reply.json()["repositories"]
        path = reply.header("link").partition("<")[2].partition(">")[0]
    assert found[0] == names[1]


# referrers


def test_referrers_are_found_by_their_subject(libs: Images) -> None:
    subject = make.image("subject")
    assert libs.referrers(subject.digest) == []
    signature = make.artifact("application/x.signature", subject.manifest, "s", annotations={"by": "ada"})
    for data in signature.blobs:
        libs.blob(data)
    reply = libs.manifest(signature.manifest, signature.digest)
    assert reply.header("oci-subject") == subject.digest
    libs.push(make.artifact("application/x.sbom", subject.manifest, "b"), "sbom")
    assert {one["artifactType"] for one in libs.referrers(subject.digest)} == {
        "application/x.signature",
        "application/x.sbom",
    }
    only = libs.get(f"img/referrers/{subject.digest}?artifactType=application/x.signature")
    assert only.header("oci-filters-applied") == "artifactType"
    assert only.json()["manifests"] == [
        {
            "mediaType": make.OCI_MANIFEST,
            "digest": signature.digest,
            "size": len(signature.manifest),
            "artifactType": "application/x.signature",
            "annotations": {"by": "ada"},
        }
    ]
    assert libs.referrers(subject.digest, query="?artifactType=application/x.none") == []
    assert libs.referrers(subject.digest, "other") == []


def test_an_index_refers_too_and_a_config_says_the_type(libs: Images) -> None:
    subject = make.image("subject")
    libs.push(subject)
    described = json.loads(subject.manifest)
    plain = make.image("plain", subject=make.descriptor(subject.manifest, make.OCI_MANIFEST))
    libs.push(plain)
    index = make.index(subject.manifest, subject=make.descriptor(subject.manifest, make.OCI_MANIFEST))
    libs.manifest(index, make.digest(index))
    types = {one["digest"]: one.get("artifactType") for one in libs.referrers(subject.digest)}
    assert types == {plain.digest: described["config"]["mediaType"], make.digest(index): None}


def test_a_referrer_that_was_deleted_refers_no_more(libs: Images) -> None:
    subject = make.image("subject")
    libs.push(subject)
    digest = libs.push(make.artifact("application/x", subject.manifest, "gone"))
    assert libs("DELETE", f"img/manifests/{subject.digest}").status == 202
    assert len(libs.referrers(subject.digest)) == 1
    assert libs("DELETE", f"img/manifests/{digest}").status == 202
    assert libs.referrers(subject.digest) == []


def test_referrers_that_were_listed_under_a_tag_are_found_too(libs: Images) -> None:
    subject = make.image("subject")
    libs.push(subject)
    tagged = make.artifact("application/x.tagged", text="tagged")
    libs.push(tagged)
    libs.push(make.artifact("application/x.marked", subject.manifest, "marked"))
    listed = make.descriptor(tagged.manifest, make.OCI_MANIFEST, artifactType="application/x.tagged")
    index = {"schemaVersion": 2, "mediaType": make.OCI_INDEX, "manifests": [listed]}
    libs.manifest(json.dumps(index).encode(), subject.digest.replace(":", "-"))
    types = {one["artifactType"] for one in libs.referrers(subject.digest)}
    assert types == {"application/x.tagged", "application/x.marked"}


# deleting


def test_a_tag_is_deleted_alone(libs: Images) -> None:
    sample = make.image("tagged")
    libs.push(sample, "a")
    libs.manifest(sample.manifest, "b")
    assert libs("DELETE", "img/manifests/a").status == 202
    assert libs.tags() == ["b"]
    assert code(libs.get("img/manifests/a")) == (404, "MANIFEST_UNKNOWN")
    assert libs.get(f"img/manifests/{sample.digest}").status == 200
    assert code(libs("DELETE", "img/manifests/a")) == (404, "MANIFEST_UNKNOWN")


def test_a_manifest_is_deleted_with_its_tags(libs: Images) -> None:
    sample, other = make.image("deleted"), make.image("kept")
    libs.push(sample, "a")
    libs.manifest(sample.manifest, "b")
    libs.push(other, "c")
    assert libs("DELETE", f"img/manifests/{sample.digest}").status == 202
    assert libs.tags() == ["c"]
    for reference in ("a", "b", sample.digest):
        assert code(libs.get(f"img/manifests/{reference}")) == (404, "MANIFEST_UNKNOWN")
    assert code(libs("DELETE", f"img/manifests/{sample.digest}")) == (404, "MANIFEST_UNKNOWN")
    libs.push(sample, "a")
    assert libs.tags() == ["a", "c"]


def test_a_blob_is_deleted_after_the_manifest_that_needs_it(libs: Images) -> None:
    sample = make.image("blobs")
    libs.push(sample)
    layer = make.digest(sample.blobs[1])
    assert code(libs("DELETE", f"img/blobs/{layer}")) == (409, "DENIED")
    libs("DELETE", f"img/manifests/{sample.digest}")
    assert libs("DELETE", f"img/blobs/{layer}").status == 202
    assert code(libs.get(f"img/blobs/{layer}")) == (404, "BLOB_UNKNOWN")
    assert code(libs("DELETE", f"img/blobs/{layer}")) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_manifest_keeps_its_blobs_whatever_becomes_of_their_entries(
    running: Registry, libs: Images, algorithm: str
) -> None:
    sample = make.image("kept", [make.layer({"kept": algorithm})], algorithm)
    for data in sample.blobs:
        libs.blob(data, algorithm=algorithm)
    libs.manifest(sample.manifest, "1")
    layer = make.digest(sample.blobs[1], algorithm)
    running.publishing.delete(Target(libs.row.id, libs.row.settings, SYSTEM), [f"img/blobs/{layer}"])
    reply = libs.get(f"img/blobs/{layer}")
    assert (reply.status, reply.body) == (200, sample.blobs[1])
    assert libs("HEAD", f"img/blobs/{layer}").header("docker-content-digest") == layer


def test_a_manifest_that_races_the_deletion_of_its_blob_keeps_it_or_is_refused(libs: Images) -> None:
    for number in range(8):
        sample = make.image(f"raced {number}")
        for data in sample.blobs:
            libs.blob(data)
        layer = make.digest(sample.blobs[1])
        together = threading.Barrier(2)

        def pushed(sample: make.Image = sample, together: threading.Barrier = together) -> int:
            together.wait()
            return libs("PUT", "img/manifests/raced", sample.manifest, content_type=make.OCI_MANIFEST).status

        def deleted(layer: str = layer, together: threading.Barrier = together) -> int:
            together.wait()
            return libs("DELETE", f"img/blobs/{layer}").status

        with ThreadPoolExecutor(2) as pool:
            outcomes = pool.submit(pushed), pool.submit(deleted)
            status, removed = (outcome.result() for outcome in outcomes)
        assert status in (201, 400)
        assert removed in (202, 409)
        there = libs("HEAD", f"img/blobs/{layer}").status == 200
        assert there == (status == 201)


def test_a_manifest_whose_bytes_were_collected_meanwhile_is_refused(running: Registry, libs: Images) -> None:
    sample = make.image("collected meanwhile")
    for data in sample.blobs:
        libs.blob(data)
    running.blobs.delete(make.digest(sample.blobs[1]).removeprefix("sha256:"))
    assert code(libs.manifest(sample.manifest, "1", status=400))[1] == "MANIFEST_BLOB_UNKNOWN"
    libs.push(sample, "1")


def test_the_collector_leaves_blobs_that_no_manifest_needs_yet(running: Registry, libs: Images) -> None:
    early = libs.blob(b"pushed before its manifest")
    sample = make.image("collected")
    libs.push(sample, "1")
    libs("DELETE", f"img/manifests/{sample.digest}")
    gone = make.digest(b"published by nobody")
    with running.spool.create() as writer:
        writer.write(b"published by nobody")
        spooled = writer.finish()
    running.blobs.keep(spooled)
    collector = Collector(
        running.blobs,
        CatalogueReferences(lambda: connection(running.db), 1),
        running.leases,
        running.log,
        running.progress,
    )
    assert collector.collect(grace_seconds=0).storage_keys_deleted >= 1
    assert not running.blobs.exists(gone.removeprefix("sha256:"))
    assert libs.get(f"img/blobs/{early}").body == b"pushed before its manifest"
    assert libs.get(f"img/blobs/{make.digest(sample.blobs[1])}").body == sample.blobs[1]


# who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "img/blobs/uploads/"),
        ("PATCH", "img/blobs/uploads/5f1b0c7e-2a9d-4b6b-9a6e-000000000000"),
        ("PUT", "img/blobs/uploads/5f1b0c7e-2a9d-4b6b-9a6e-000000000000"),
        ("PUT", "img/manifests/1"),
        ("DELETE", "img/manifests/1"),
        ("DELETE", f"img/blobs/{MISSING}"),
    ],
)
def test_only_those_change_images_who_may(running: Registry, libs: Images, method: str, path: str) -> None:
    running.person("rita", **{libs.key: "read"})
    anonymous = libs(method, path, b"{}", user="")
    assert code(anonymous) == (401, "UNAUTHORIZED")
    scope = "delete" if method == "DELETE" else "pull,push"
    challenges = [value for name, value in anonymous.headers if name == "www-authenticate"]
    realm = 'Bearer realm="http://registry.example/v2/token",service="registry.example"'
    assert challenges == [f'{realm},scope="repository:{libs.key}/img:{scope}"']
    assert code(libs(method, path, b"{}", user="rita")) == (403, "DENIED")


def test_a_private_repository_is_not_there_for_others(running: Registry) -> None:
    libs = Images(running, public=False)
    libs.push(make.image("private"), "1")
    running.person("nora")
    assert code(libs("GET", "img/manifests/1", user="")) == (401, "UNAUTHORIZED")
    assert code(libs("GET", "img/manifests/1", user="nora")) == (404, "NAME_UNKNOWN")
    absent = running.request("GET", "/v2/none/img/manifests/1", user="nora")
    assert code(absent) == (404, "NAME_UNKNOWN")


def test_a_ping_asks_who_is_there(running: Registry) -> None:
    for path in ("/v2/", "/v2"):
        reply = running.request("GET", path)
        assert code(reply) == (401, "UNAUTHORIZED")
        assert reply.header("www-authenticate").startswith('Bearer realm="http://registry.example/v2/token"')
        assert reply.header("docker-distribution-api-version") == "registry/2.0"
        assert running.request("GET", path, user="admin").json() == {}


# the past


def test_the_past_is_read_by_position_and_in_a_snapshot(running: Registry, libs: Images) -> None:
    first, second = make.image("first"), make.image("second")
    libs.push(first, "latest")
    then = running.log.head()
    libs.push(second, "latest")
    libs.push(second, "more")
    libs("DELETE", f"img/manifests/{first.digest}")
    libs("DELETE", f"img/blobs/{make.digest(first.blobs[1])}")
    snapshot = f"{libs.key}-then"
    running.repository(snapshot, "oci", kind="snapshot", source=libs.row.id, source_position=then)
    for root in (f"/v2/{libs.key}@{then}/img", f"/v2/{snapshot}/img"):
        assert running.request("GET", f"{root}/manifests/latest").body == first.manifest
        assert running.request("GET", f"{root}/tags/list").json()["tags"] == ["latest"]
        blob = running.request("GET", f"{root}/blobs/{make.digest(first.blobs[1])}")
        assert (blob.status, blob.body) == (200, first.blobs[1])
        refused = running.request("POST", f"{root}/blobs/uploads/", user="admin")
        assert code(refused) == (405, "UNSUPPORTED")
    listed = running.request("GET", "/v2/_catalog").json()["repositories"]
    assert f"{snapshot}/img" in listed


# other ways in


def test_files_with_nothing_but_a_path_are_images_too(running: Registry, libs: Images) -> None:
    sample = make.image("deposited")

    def give(path: str, data: bytes) -> str:
        with running.spool.create() as writer:
            writer.write(data)
            spooled = writer.finish()
        target = Target(libs.row.id, libs.row.settings, SYSTEM)
        try:
            return deposit(Deposit(path=path, spooled=spooled, services=running.services, target=target))
        finally:
            running.spool.discard(spooled)

    for data in sample.blobs:
        give(f"img/blobs/{make.digest(data)}", data)
    long = make.digest(b"long digest", "sha512")
    assert give(f"img/blobs/{long}", b"long digest") == f"img/blobs/{long}"
    assert libs.get(f"img/blobs/{long}").body == b"long digest"
    assert give("img/manifests/1.0", sample.manifest) == f"img/manifests/{sample.digest}"
    assert libs.get("img/manifests/1.0").body == sample.manifest
    with pytest.raises(DigestMismatch):
        give(f"img/blobs/{MISSING}", b"other bytes")
    with pytest.raises(ManifestInvalid):
        give("img/manifests/2.0", b"{}")
    with pytest.raises(Invalid):
        give("img/notes.txt", b"notes")


def test_two_processes_continue_one_upload(postgres_dsn: str, running: Registry, libs: Images) -> None:
    """The record is in the database and the bytes on a disk that both see: nothing of an upload is in a process."""
    with registry(postgres_dsn, running.spool_directory.parent, [oci.FORMAT, generic.FORMAT]) as second:
        both, reply = (running, second), libs("POST", "img/blobs/uploads/")
        for number in range(4):
            target = reply.header("location").removeprefix("http://registry.example")
            reply = both[number % 2].request("PATCH", target, f"piece {number};".encode(), user="admin")
            assert reply.status == 202, reply.text
        data = b"piece 0;piece 1;piece 2;piece 3;"
        target = reply.header("location").removeprefix("http://registry.example")
        done = second.request("PUT", f"{target}?digest={make.digest(data)}", user="admin")
        assert done.status == 201, done.text
        assert libs.get(f"img/blobs/{make.digest(data)}").body == data


def test_of_two_pieces_at_one_place_one_counts(libs: Images) -> None:
    reply = libs("POST", "img/blobs/uploads/")
    together = threading.Barrier(4)

    def send(_: int) -> int:
        together.wait()
        return libs.follow("PATCH", reply, b"same bytes", content_range="0-9").status

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(send, range(4)))
    assert statuses.count(202) == 1
    assert set(statuses) <= {202, 409, 416}
    assert libs.follow("PUT", reply, query=f"?digest={make.digest(b'same bytes')}").status == 201
