"""Artifacts through the management API, over the whole product: repositories of every format, now and as they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.harness import Reply, multipart
from tests.integration.product import Product, product
from tests.samples.cargo import make as cargo_make
from tests.samples.npm import make
from tests.samples.pypi.make import wheel

_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("artifacts")) as started:
        yield started


class Shelf:
    """A repository through the management API, as administrator."""

    def __init__(self, running: Product, format_: str = "generic", **more: Any) -> None:
        self.running, self.key = running, f"shelf{next(_numbers)}"
        running.repository(self.key, format_, **more)

    def __call__(self, method: str, below: str, body: object = b"", *, at: str = "", **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        target = f"/api/v1/repositories/{self.key}{at}/{below}"
        return self.running.call(method, target, body, auth=self.running.admin, headers=sent)

    def put(self, path: str, body: bytes = b"content", **headers: str) -> Any:
        reply = self("PUT", f"artifacts/{path}", body, **headers)
        assert reply.status == 201, reply.text
        return reply.json()

    def paths(self, query: str = "", at: str = "") -> list[str]:
        reply = self("GET", f"artifacts?{query}", at=at)
        assert reply.status == 200, reply.text
        return [item["path"] for item in reply.json()["items"]]


@pytest.fixture
def shelf(running: Product) -> Shelf:
    return Shelf(running)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_artifact_is_told_of_in_full(running: Product, shelf: Shelf) -> None:
    data = b"\x00\x01 bytes"
    stored = shelf.put("tools/1.2.3/tool.bin", data, content_type="application/x-tool")
    assert stored | {"id": "", "created_at": ""} == {
        "id": "",
        "repository_key": shelf.key,
        "path": "tools/1.2.3/tool.bin",
        "name": "tools",
        "version": "1.2.3",
        "size_bytes": len(data),
        "checksum_sha256": sha256(data),
        "content_type": "application/x-tool",
        "download_count": 0,
        "created_at": "",
        "uploaded_by": running.user_id(running.admin),
        "uploaded_by_username": "admin",
        "metadata": None,
        "analyzable": True,
        "revision": 1,
        "version_label": "1.2.3",
        "quarantine_status": "not_quarantined",
    }
    assert shelf("GET", "artifacts/tools/1.2.3/tool.bin").json() == stored
    assert running.call("GET", f"/api/v1/artifacts/{stored['id']}").json() == stored
    head = shelf("HEAD", "artifacts/tools/1.2.3/tool.bin")
    assert (head.status, head.body) == (200, b"")
    assert shelf("GET", "artifacts/tools/missing").status == 404


def test_bytes_are_downloaded_whole_in_part_and_on_condition(running: Product, shelf: Shelf) -> None:
    for data in (b"0123456789", b"0123456789" * 30_000):
        shelf.put("d/f.bin", data)
        whole = shelf("GET", "download/d/f.bin")
        assert (whole.status, whole.body) == (200, data)
        assert whole.header("content-disposition") == 'attachment; filename="f.bin"'
        assert whole.header("x-checksum-sha256") == sha256(data)
        assert whole.header("x-artifact-storage") == "proxy"
        assert whole.header("accept-ranges") == "bytes"
        assert whole.header("cache-control") == "private, no-cache"
        assert whole.header("vary") == "authorization"
        assert whole.header("x-correlation-id")
        head = shelf("HEAD", "download/d/f.bin")
        assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(data)))
        part = shelf("GET", "download/d/f.bin", range="bytes=2-4")
        assert (part.status, part.body, part.header("content-range")) == (206, b"234", f"bytes 2-4/{len(data)}")
        beyond = shelf("GET", "download/d/f.bin", range="bytes=9999999-")
        assert (beyond.status, beyond.header("content-range")) == (416, f"bytes */{len(data)}")
        assert shelf("GET", "download/d/f.bin", if_none_match=whole.header("etag")).status == 304
    anonymous = running.call("GET", f"/api/v1/repositories/{shelf.key}/download/d/f.bin")
    assert anonymous.header("cache-control") == "public, no-cache"
    assert shelf("GET", "download/d").status == 404


def test_downloads_are_counted_once(running: Product, shelf: Shelf) -> None:
    stored = shelf.put("f", b"0123456789")
    shelf("GET", "download/f")
    shelf("HEAD", "download/f")
    shelf("GET", "download/f", range="bytes=5-")
    downloads: Any = running.workers[0].app.downloads  # writes what it counted once a second, or when told to
    downloads.flush()
    stats = running.done("GET", f"/api/v1/artifacts/{stored['id']}/stats")
    assert stats["download_count"] == 1
    assert stats["first_downloaded"] == stats["last_downloaded"] is not None
    assert shelf("GET", "artifacts/f").json()["download_count"] == 1


def test_a_ticket_opens_one_download(running: Product) -> None:
    private = Shelf(running, public=False)
    private.put("f", b"secret")
    path = f"/api/v1/repositories/{private.key}/download/f"
    assert running.call("GET", path).status == 401
    ticket = running.done("POST", "/api/v1/auth/ticket", {"purpose": "download", "resource_path": path})["ticket"]
    assert running.call("GET", f"{path}?ticket={ticket}").body == b"secret"
    assert running.call("GET", f"{path}?ticket={ticket}").status == 401


def test_announced_digests_are_verified(shelf: Shelf) -> None:
    right = {"x_checksum_sha256": sha256(b"data"), "x_checksum_md5": hashlib.md5(b"data").hexdigest()}
    shelf.put("good", b"data", **right)
    assert shelf("PUT", "artifacts/bad", b"other", **right).status == 400
    assert shelf("PUT", "artifacts/bad", b"data", x_checksum_sha1="zz").status == 400
    assert shelf("GET", "artifacts/bad").status == 404


def test_files_of_forms_are_stored_where_the_form_or_the_address_says(shelf: Shelf) -> None:
    def post(below: str, *files: tuple[str, str, bytes], path: str | None = None) -> Reply:
        body, media_type = multipart([] if path is None else [("path", path)], files)
        return shelf("POST", below, body, content_type=media_type)

    one = ("file", "one.txt", b"1")
    assert post("artifacts", one).json()["path"] == "one.txt"
    assert post("artifacts", one, path="d/").json()["path"] == "d/one.txt"
    assert post("artifacts", one, path="/d/two.txt").json()["path"] == "d/two.txt"
    assert post("artifacts/e/three.txt", one).json()["path"] == "e/three.txt"
    assert shelf("GET", "download/e/three.txt").body == b"1"
    for reply in (
        post("artifacts"),
        post("artifacts", one, ("other", "b", b"2")),
        post("artifacts", one, path="../x"),
        shelf("POST", "artifacts", b"not a form", content_type="multipart/form-data"),
        shelf("POST", "artifacts", b"{}", content_type="application/json"),
    ):
        assert (reply.status, reply.json()["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "path", ["a%2F..%2Fb", "a//b", "a/./b", "a/b/", "a%00b", "a%0Ab", "a%5Cb", "%FF", "x" * 256, "a/" * 1_100 + "b"]
)
def test_paths_that_could_mean_something_else_are_refused(shelf: Shelf, path: str) -> None:
    for method, below in (("PUT", "artifacts"), ("GET", "artifacts"), ("GET", "download"), ("GET", "versions")):
        reply = shelf(method, f"{below}/{path}")
        assert reply.status in ({400} if method == "PUT" else {400, 404}), reply.text
        assert reply.json()["code"] in {"VALIDATION_ERROR", "PATH_TOO_LONG", "NOT_FOUND"}


@pytest.mark.parametrize("name", ["a b.txt", "a%25b", "%3Fq%23.txt", "caf%C3%A9", "cafe%CC%81", "a;b=c", "a+b&c", "@x"])
def test_odd_names_survive(shelf: Shelf, name: str) -> None:
    stored = shelf.put(f"d/{name}", name.encode())
    for below in ("artifacts", "versions"):
        assert shelf("GET", f"{below}/d/{name}").json()["path"] == stored["path"]
    assert shelf("GET", f"download/d/{name}").body == name.encode()
    assert shelf("DELETE", f"artifacts/d/{name}").status == 200
    assert shelf.paths() == []


def test_artifacts_are_listed_by_path_in_pages(shelf: Shelf) -> None:
    every = sorted(["a/one.txt", "a/two.bin", "b/one.txt", "b/c/three.txt", "top_1.txt"])
    for path in every:
        shelf.put(path)
    assert shelf.paths() == every
    assert shelf.paths("q=ONE") == ["a/one.txt", "b/one.txt"]
    assert shelf.paths("q=p_1") == ["top_1.txt"]
    assert shelf.paths("q=%25") == []
    assert shelf.paths("path_prefix=b/") == ["b/c/three.txt", "b/one.txt"]
    assert shelf.paths("path_prefix=b/&q=three") == ["b/c/three.txt"]
    assert shelf.paths("page=2&per_page=2") == every[2:4]
    first = shelf("GET", "artifacts?per_page=2").json()
    assert (first["has_more"], first["pagination"]["total"]) == (True, 3)
    exact = shelf("GET", "artifacts?per_page=2&count=exact").json()
    assert exact["pagination"] == {"page": 1, "per_page": 2, "total": 5, "total_pages": 3}
    seen, cursor = [], ""
    while True:
        page = shelf("GET", f"artifacts?per_page=2&cursor={cursor}").json()
        seen += [item["path"] for item in page["items"]]
        if not page["has_more"]:
            assert "next_cursor" not in page
            break
        cursor = page["next_cursor"]
    assert seen == every
    for query in ("page=0&per_page=0", "page=99999999999", "cursor=%00", "q=%ED%A0%80", "path_prefix=%00"):
        assert shelf("GET", f"artifacts?{query}").status == 200
    assert shelf("GET", "artifacts?page=x").status == 400


def test_every_publish_is_kept_as_a_revision(shelf: Shelf) -> None:
    for number in (1, 2, 3):
        shelf.put("tool", f"v{number}".encode(), x_artifact_version=f"1.{number}")
    told = shelf("GET", "versions/tool").json()
    assert (told["repository_key"], told["path"]) == (shelf.key, "tool")
    assert [(item["revision"], item["version_label"], item["size_bytes"]) for item in told["items"]] == [
        (3, "1.3", 2),
        (2, "1.2", 2),
        (1, "1.1", 2),
    ]
    assert shelf("GET", "download/tool?version=1").body == b"v1"
    assert shelf("GET", "download/tool?version=1.2").body == b"v2"
    assert shelf("GET", "download/tool?version=latest").body == b"v3"
    assert shelf("GET", "artifacts/tool?version=2").json()["checksum_sha256"] == sha256(b"v2")
    assert shelf("GET", "artifacts/tool?version=9").status == 404
    assert shelf("GET", "versions/other").status == 404


def test_what_may_not_change_does_not(running: Product) -> None:
    once = Shelf(running, overwrite="once")
    once.put("f", b"first")
    refused = once("PUT", "artifacts/f", b"second")
    assert (refused.status, refused.json()["code"]) == (409, "CONFLICT")
    assert "already exists" in refused.json()["message"]


def test_a_package_is_read_as_its_own_format_reads_it(running: Product) -> None:
    packages = Shelf(running, "pypi")
    sample = wheel("demo", "1.0")
    stored = packages.put(f"anywhere/{sample.filename}", sample.content)
    assert (stored["path"], stored["name"], stored["version"]) == (f"demo/{sample.filename}", "demo", "1.0")
    assert stored["metadata"]
    page = running.call("GET", f"/pypi/{packages.key}/simple/demo/")
    assert (page.status, sample.filename in page.text) == (200, True)
    assert packages("PUT", "artifacts/junk.whl", b"junk").status == 400
    assert packages("DELETE", f"artifacts/demo/{sample.filename}").status == 200
    assert running.call("GET", f"/pypi/{packages.key}/simple/demo/").status == 404
    again = packages("PUT", f"artifacts/{sample.filename}", sample.content)
    assert again.status == 409  # this format never gives a name twice


def test_a_tarball_is_read_as_npm_reads_it(running: Product) -> None:
    packages = Shelf(running, "npm")
    content = make.tarball(name="@acme/widget", version="1.2.0", description="A widget")
    stored = packages.put("anywhere/x.tgz", content)
    assert (stored["path"], stored["name"], stored["version"]) == (
        "@acme/widget/-/widget-1.2.0.tgz",
        "@acme/widget",
        "1.2.0",
    )
    assert packages.put("again.tgz", content)["id"] == stored["id"]
    told = running.call("GET", f"/npm/{packages.key}/@acme%2fwidget").json()
    assert told["dist-tags"] == {"latest": "1.2.0"}
    assert told["versions"]["1.2.0"]["description"] == "A widget"
    assert told["versions"]["1.2.0"]["dist"]["integrity"] == make.integrity(content)
    assert packages("GET", "download/@acme/widget/-/widget-1.2.0.tgz").body == content
    other = make.tarball(name="@acme/widget", version="1.2.0", description="Another")
    assert packages("PUT", "artifacts/x.tgz", other).status == 403
    for junk in (b"junk", make.tarball(name="../x", version="1.0.0"), make.tarball(name="x", version="one")):
        assert packages("PUT", "artifacts/x/-/x-1.0.0.tgz", junk).status == 400


def test_a_crate_is_read_as_cargo_reads_it(running: Product) -> None:
    packages = Shelf(running, "cargo")
    content = cargo_make.crate("Demo", "1.0.0+x")
    stored = packages.put("anywhere/x.crate", content)
    assert (stored["path"], stored["name"], stored["version"]) == ("demo/1.0.0/demo-1.0.0.crate", "Demo", "1.0.0+x")
    assert packages.put("again.crate", content)["id"] == stored["id"]
    line = running.call("GET", f"/cargo/{packages.key}/de/mo/demo").json()
    assert (line["name"], line["vers"], line["cksum"]) == ("Demo", "1.0.0+x", sha256(content))
    assert packages("GET", "download/demo/1.0.0/demo-1.0.0.crate").body == content
    for other in (cargo_make.crate("Demo", "1.0.0"), cargo_make.crate("demo", "2.0.0")):
        assert packages("PUT", "artifacts/x.crate", other).status == 409
    for junk in (b"junk", cargo_make.crate("Demo", "2.0.0", toml=cargo_make.manifest("Demo", "3.0.0"))):
        assert packages("PUT", "artifacts/demo/2.0.0/demo-2.0.0.crate", junk).status == 400


def test_ids_lead_to_artifacts_and_what_is_known_of_them(running: Product, shelf: Shelf) -> None:
    body = {"properties": {"k": ["v"]}}
    stored = shelf.put("f")
    running.call("PUT", f"/general/{shelf.key}/f?properties=k=v", auth=running.admin)
    told = running.done("GET", f"/api/v1/artifacts/{stored['id']}/metadata")
    assert told == {"artifact_id": stored["id"], "format": "generic", "metadata": {}, **body}
    assert running.done("GET", f"/api/v1/artifacts/{stored['id']}/stats") == {
        "artifact_id": stored["id"],
        "download_count": 0,
        "first_downloaded": None,
        "last_downloaded": None,
    }
    for below in ("", "/metadata", "/stats"):
        assert running.call("GET", f"/api/v1/artifacts/{uuid4()}{below}").status == 404
        assert running.call("GET", f"/api/v1/artifacts/nonsense{below}").status in {400, 404}


def test_labels_are_set_replaced_and_removed(running: Product, shelf: Shelf) -> None:
    stored = shelf.put("f")
    base = f"/api/v1/artifacts/{stored['id']}/labels"

    def held() -> dict[str, str]:
        told = running.done("GET", base)
        assert told["total"] == len(told["items"])
        assert {item["artifact_id"] for item in told["items"]} <= {stored["id"]}
        return {item["key"]: item["value"] for item in told["items"]}

    assert held() == {}
    first = running.done("PUT", base, {"labels": [{"key": "team", "value": "core"}, {"key": "pinned"}]})
    assert [(item["key"], item["value"]) for item in first["items"]] == [("pinned", ""), ("team", "core")]
    one = running.done("POST", f"{base}/team", {"value": "edge"})
    assert (one["key"], one["value"], one["id"]) == ("team", "edge", first["items"][1]["id"])
    assert one["created_at"] > first["items"][1]["created_at"]
    shelf.put("f", b"other bytes")
    assert held() == {"pinned": "", "team": "edge"}
    assert running.done("GET", base)["items"][0] == first["items"][0]
    assert running.call("DELETE", f"{base}/pinned", auth=running.admin).status == 204
    assert running.call("DELETE", f"{base}/pinned", auth=running.admin).status == 204
    assert held() == {"team": "edge"}
    running.done("PUT", base, {"labels": []})
    assert held() == {}
    for body in (
        {"labels": [{"key": "a b"}]},
        {"labels": [{"key": ""}]},
        {"labels": [{"key": "a", "value": "x\n"}]},
        {"labels": [{"key": "a"}, {"key": "a"}]},
        {"labels": [{"key": f"k{number}"} for number in range(101)]},
        {"labels": "a"},
        {},
    ):
        assert running.call("PUT", base, body, auth=running.admin).status == 400
    assert running.call("PUT", base, b"{", auth=running.admin).status == 400
    running.done("PUT", base, {"labels": [{"key": "k"}]})
    shelf("DELETE", "artifacts/f")
    assert running.call("GET", base, auth=running.admin).status == 404
    shelf.put("f")
    assert held() == {}


def test_labels_are_for_those_who_may_write(running: Product) -> None:
    hidden = Shelf(running, public=False)
    base = f"/api/v1/artifacts/{hidden.put('f')['id']}/labels"
    stranger = running.person(f"stranger-{hidden.key}")
    reader = running.person(f"reader-{hidden.key}", **{hidden.key: "read"})
    writer = running.person(f"writer-{hidden.key}", **{hidden.key: "read write"})
    for method, target, body in (
        ("PUT", base, {"labels": []}),
        ("POST", f"{base}/k", {}),
        ("DELETE", f"{base}/k", b""),
    ):
        assert running.call(method, target, body).status == 401
        assert running.call(method, target, body, auth=stranger).status == 404
        assert running.call(method, target, body, auth=reader).status == 403
        assert running.call(method, target, body, auth=writer).status in {200, 204}
    assert running.call("GET", base).status == 401
    assert running.call("GET", base, auth=reader).status == 200


def test_a_repository_is_read_as_it_was_and_cannot_be_written_to_then(running: Product, shelf: Shelf) -> None:
    shelf.put("d/a", b"old")
    shelf.put("d/gone", b"gone")
    then = f"@{running.head()}"
    shelf.put("d/a", b"newer")
    shelf.put("d/b")
    assert shelf("DELETE", "artifacts/d/gone").status == 200
    assert shelf.paths() == ["d/a", "d/b"]
    assert shelf.paths(at=then) == ["d/a", "d/gone"]
    assert shelf.paths("q=GONE", at=then) == ["d/gone"]
    assert shelf("GET", "artifacts?count=exact", at=then).json()["pagination"]["total"] == 2
    assert shelf("GET", "artifacts/d/a", at=then).json()["size_bytes"] == 3
    assert shelf("GET", "download/d/a", at=then).body == b"old"
    assert shelf("GET", "download/d/gone", at=then).body == b"gone"
    assert shelf("GET", "download/d/gone").status == 404
    assert [item["revision"] for item in shelf("GET", "versions/d/a", at=then).json()["items"]] == [1]
    assert shelf("GET", "artifacts/d/b", at=then).status == 404
    body, media_type = multipart([], [("file", "f", b"1")])
    for method, below in (("PUT", "artifacts/d/a"), ("POST", "artifacts/x"), ("DELETE", "artifacts/d/a")):
        refused = shelf(method, below, body, at=then, content_type=media_type)
        assert (refused.status, refused.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert shelf("GET", "artifacts", at="@999999999").status == 404


def test_everybody_gets_what_they_may(running: Product) -> None:
    hidden = Shelf(running, public=False)
    stored = hidden.put("f", b"secret")
    base = f"/api/v1/repositories/{hidden.key}"
    reads = ["/artifacts", "/artifacts/f", "/download/f", "/versions/f"]
    writes = [("PUT", "/artifacts/new"), ("POST", "/artifacts"), ("POST", "/artifacts/new"), ("DELETE", "/artifacts/f")]
    stranger = running.person(f"stranger-{hidden.key}")
    reader = running.person(f"reader-{hidden.key}", **{hidden.key: "read"})
    for target in reads:
        assert running.call("GET", base + target).status == 401
        assert running.call("GET", base + target, auth=stranger).status == 404
        assert running.call("GET", base + target, auth=reader).status == 200
    for method, target in writes:
        assert running.call(method, base + target).status == 401
        assert running.call(method, base + target, auth=stranger).status == 404
        assert running.call(method, base + target, auth=reader).status == 403
    for below in ("", "/metadata", "/stats"):
        target = f"/api/v1/artifacts/{stored['id']}{below}"
        assert running.call("GET", target).status == 404
        assert running.call("GET", target, auth=stranger).status == 404
        assert running.call("GET", target, auth=reader).status == 200
    writer = running.person(f"writer-{hidden.key}", **{hidden.key: "read write"})
    assert running.call("PUT", f"{base}/artifacts/new", b"1", auth=writer).status == 201
    assert running.call("DELETE", f"{base}/artifacts/new", auth=writer).status == 403


def test_a_body_that_breaks_off_leaves_nothing(running: Product, shelf: Shelf) -> None:
    path = f"/api/v1/repositories/{shelf.key}/artifacts/f".encode()
    headers = [(b"host", b"registry.example"), (b"content-length", b"100"), *_pairs(running.admin)]
    running.raw("PUT", path, b"", headers, [b"half"], truncated=True)
    assert shelf.paths() == []


def test_every_route_is_described(running: Product) -> None:
    paths = json.loads(running.call("GET", "/api/v1/openapi.json").body)["paths"]
    described = {path: sorted(set(item) - {"parameters"}) for path, item in paths.items() if "rtifact" in path}
    base = "/api/v1/repositories/{key}"
    assert described[f"{base}/artifacts"] == ["get", "post"]
    assert described[f"{base}/artifacts/{{artifact_path}}"] == ["delete", "get", "post", "put"]
    for path, item in paths.items():
        for operation in item.values():
            named = {found["name"] for found in operation.get("parameters", []) if found["in"] == "path"}
            assert named == {part.strip("{}") for part in path.split("/") if part.startswith("{")}, path


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
