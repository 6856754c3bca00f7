"""Raw files over the real gate, log and catalogue."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import msgspec
import pytest

from application.format import Format
from application.formats import generic, pypi
from application.identity.credentials import COOKIE_VIA
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.pypi.make import wheel

_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    formats: list[Format] = [generic.FORMAT, pypi.FORMAT]
    with registry(postgres_dsn, tmp_path_factory.mktemp("generic"), formats) as started:
        yield started
        assert started.spooled_files() == []


class Files:
    """One repository, as its owner sees it."""

    def __init__(self, running: Registry, **more: Any) -> None:
        self.running, self.key = running, f"files{next(_numbers)}"
        self.row = running.repository(self.key, "generic", **more)

    def url(self, path: str, at: str = "") -> str:
        return f"/general/{self.key}{at}/{path}"

    def __call__(self, method: str, path: str = "", body: Any = b"", *, at: str = "", **headers: str) -> Reply:
        user = headers.pop("user", "admin") or None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, self.url(path, at), body, user=user, headers=sent)

    def put(self, path: str, body: bytes = b"content", **headers: str) -> Reply:
        reply = self("PUT", path, body, **headers)
        assert reply.status in {200, 201}, reply.text
        return reply

    def get(self, path: str = "", **headers: str) -> Reply:
        return self("GET", path, **headers)

    def names(self, path: str = "") -> list[str]:
        return [child["name"] for child in self.get(f"{path}?format=json").json()["children"]]


@pytest.fixture
def files(running: Registry) -> Files:
    return Files(running)


def hex_of(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def b64_of(algorithm: str, data: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


# one file


def test_a_file_comes_back_with_everything_that_is_known_of_it(files: Files) -> None:
    data = b"\x00\x01raw" * 1000
    stored = files.put("a/tool-1.2.3.bin", data, content_type="application/x-tool")
    assert stored.status == 201
    assert stored.header("location") == f"http://registry.example/general/{files.key}/a/tool-1.2.3.bin"
    assert stored.json() | {"modified": ""} == {
        "uri": stored.header("location"),
        "path": "a/tool-1.2.3.bin",
        "name": "tool",
        "version": "1.2.3",
        "size": len(data),
        "content_type": "application/x-tool",
        "revision": 1,
        "modified": "",
        "checksums": {name: hex_of(name, data) for name in ("sha256", "md5", "sha1")},
        "properties": {},
    }
    for size in (data, data * 40):  # held in memory, and read from the store
        files.put("a/tool-1.2.3.bin", size, content_type="application/x-tool")
        answer = files.get("a/tool-1.2.3.bin", user="")
        assert (answer.status, answer.body) == (200, size)
        assert answer.header("content-length") == str(len(size))
        assert answer.header("content-type") == "application/x-tool"
        assert answer.header("etag") == f'"{hex_of("sha256", size)}"'
        for name in ("sha256", "md5", "sha1"):
            assert answer.header(f"x-checksum-{name}") == hex_of(name, size)
        assert answer.header("repr-digest") == f"sha-256=:{b64_of('sha256', size)}:"
        assert answer.header("accept-ranges") == "bytes"
        assert answer.header("content-disposition") == 'attachment; filename="tool-1.2.3.bin"'
        assert answer.header("content-security-policy") == "sandbox"
        assert answer.header("x-content-type-options") == "nosniff"
        assert parsedate_to_datetime(answer.header("last-modified"))
        head = files("HEAD", "a/tool-1.2.3.bin", user="")
        assert (head.status, head.body) == (200, b"")
        ignored = {"x-correlation-id", "x-artifact-revision"}
        assert [pair for pair in head.headers if pair[0] not in ignored] == [
            pair for pair in answer.headers if pair[0] not in ignored
        ]
    assert files.get("a/tool-1.2.3.bin").header("x-artifact-revision") == "3"


def test_both_prefixes_lead_to_the_same_files(files: Files) -> None:
    files.put("x", b"1")
    assert files.running.request("GET", f"/generic/{files.key}/x").body == b"1"
    assert files.running.request("GET", f"/generic/{files.key}").header("location") == (
        f"http://registry.example/generic/{files.key}/"
    )


def test_an_empty_file_is_a_file(files: Files) -> None:
    files.put("empty", b"")
    answer = files.get("empty", range="bytes=0-")
    assert (answer.status, answer.header("content-range")) == (416, "bytes */0")
    assert (files.get("empty").status, files.get("empty").header("content-length")) == (200, "0")


def test_types_are_stored_or_guessed_and_never_turned_into_an_encoding(files: Files) -> None:
    packed = gzip.compress(b"text")
    for name, content_type in (
        ("a.tar.gz", "application/gzip"),
        ("b.json", "application/json"),
        ("c", "application/octet-stream"),
    ):
        files.put(name, packed)
        answer = files.get(name, accept_encoding="gzip")
        assert answer.header("content-type") == content_type
        assert answer.header("content-encoding") == ""
        assert answer.body == packed
    files.put("d.json", b"{}", content_type="text/x-odd; charset=latin-1")
    assert files.get("d.json").header("content-type") == "text/x-odd; charset=latin-1"
    files.put("e.json", b"{}", content_type="bad\x00type")
    assert files.get("e.json").header("content-type") == "application/json"


def test_a_web_page_is_never_shown_as_one_of_ours(files: Files) -> None:
    files.put("x.html", b"<script>alert(1)</script>", content_type="text/html")
    answer = files.get("x.html")
    assert answer.header("content-security-policy") == "sandbox"
    assert answer.header("content-disposition").startswith("attachment")


@pytest.mark.parametrize(
    "name",
    ["a b.txt", "a?b", "a#b", "a%b", "<b>&'\".txt", "ü/ö.txt", "a+b", "~x", "!x", "a;b", "日本.bin", "a:b", "\u0130"],
)
def test_odd_names_survive_upload_listing_and_download(running: Registry, name: str) -> None:
    files = Files(running)
    files.put(quote(f"d/{name}"), b"odd")
    assert files.get(quote(f"d/{name}")).body == b"odd"
    directory, _, last = f"d/{name}".rpartition("/")
    assert last in files.names(quote(f"{directory}/"))
    page = files.get(quote(f"{directory}/"), accept="text/html").text
    links = [link for link in re.findall(r'<a href="([^"]*)"', page) if link != "../"]
    assert files.get(quote(f"{directory}/") + links[0]).body == b"odd"
    assert "<b>" not in page


def test_names_are_one_whatever_way_their_letters_are_composed(files: Files) -> None:
    files.put(quote("u\u0308.txt"), b"1")
    assert files.get(quote("\u00fc.txt")).body == b"1"
    assert files.get(quote("u\u0308.txt")).body == b"1"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../b",
        "a/%2e%2e/b",
        "a//b",
        "a%00b",
        "a%0ab",
        "a%5cb",
        "%ff",
        "a/%20",
        "%20a",
        "x" * 256,
        "a/" * 600 + "b",
        "./a",
        "a/.",
        "%2F",
        "a%2F%2Fb",
        "a%2F..%2Fb",
        "%ed%a0%80",
    ],
)
def test_paths_that_could_mean_something_else_are_refused(files: Files, path: str) -> None:
    for method in ("PUT", "GET", "DELETE", "PROPFIND", "MKCOL"):
        assert files(method, path, b"x" if method == "PUT" else b"", depth="0").status == 400, method


def test_a_file_cannot_be_a_directory(files: Files) -> None:
    files.put("a/b")
    for path in ("a", "a/b/c", "a/b/c/d"):
        answer = files("PUT", path, b"x")
        assert (answer.status, answer.json()["code"]) == (409, "CONFLICT")
    files.put("a/b.c")
    files.put("a0")
    assert files("PUT", "a/b/c", b"x" * 2_000_000).status == 409


# ranges and conditions


@pytest.mark.parametrize("size", [100, 300_000])
def test_parts_of_a_file(running: Registry, size: int) -> None:
    files = Files(running)
    data = bytes(number % 251 for number in range(size))
    files.put("f", data)
    for asked, start, end in (
        ("0-9", 0, 10),
        ("-5", size - 5, size),
        ("50-", 50, size),
        ("90-99999999", 90, size),
        ("0-", 0, size),
    ):
        answer = files.get("f", range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, data[start:end])
        assert answer.header("content-range") == f"bytes {start}-{end - 1}/{size}"
    several = files.get("f", range="bytes=0-1,5-6")
    assert several.status == 206
    assert several.header("content-type").startswith("multipart/byteranges; boundary=")
    assert data[0:2] in several.body
    assert f"Content-Range: bytes 5-6/{size}".encode() in several.body
    assert files.get("f", range=f"bytes={size}-").status == 416
    for whole in ("bytes=5-2", "items=0-1", "bytes=0-9,5-20", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 40, 2))):
        assert files.get("f", range=whole).status == 200
    tag = files.get("f").header("etag")
    assert files.get("f", range="bytes=0-9", if_range=tag).status == 206
    assert files.get("f", range="bytes=0-9", if_range=f"W/{tag}").status == 200
    assert files.get("f", range="bytes=0-9", if_range='"other"').status == 200
    assert files("HEAD", "f", range="bytes=0-9").header("content-length") == str(size)


@pytest.mark.parametrize("size", [100, 300_000])
def test_conditions_of_a_read(running: Registry, size: int) -> None:
    files = Files(running)
    files.put("f", b"x" * size)
    first = files.get("f")
    tag, modified = first.header("etag"), first.header("last-modified")
    for headers in (
        {"if_none_match": tag},
        {"if_none_match": f'"a", W/{tag}'},
        {"if_none_match": "*"},
        {"if_modified_since": modified},
        {"if_match": tag, "if_none_match": tag},
    ):
        answer = files.get("f", **headers)
        assert (answer.status, answer.body, answer.header("etag")) == (304, b"", tag), headers
        assert answer.header("content-length") == ""
    for headers in (
        {"if_match": '"other"'},
        {"if_match": f"W/{tag}"},
        {"if_unmodified_since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    ):
        assert files.get("f", **headers).status == 412, headers
    for headers in (
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": modified},
        {"if_modified_since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"if_match": "*"},
        {"if_match": f'"a", {tag}'},
        {"if_unmodified_since": modified},
        {"if_modified_since": "no date"},
    ):
        assert files.get("f", **headers).status == 200, headers


def test_conditions_of_a_write(files: Files) -> None:
    assert files("PUT", "f", b"1", if_match="*").status == 412
    assert files("PUT", "f", b"1", if_none_match="*").status == 201
    assert files("PUT", "f", b"2", if_none_match="*").status == 412
    tag = files.get("f").header("etag")
    assert files("PUT", "f", b"2", if_match='"other"').status == 412
    assert files("PUT", "f", b"2", if_match=f"W/{tag}").status == 412
    assert files("PUT", "f", b"2", if_match=tag).status == 200
    assert files("PUT", "f", b"3", if_match=tag).status == 412
    assert files("PUT", "f", b"3" * 2_000_000, if_match=tag).status == 412
    assert files("PUT", "f", b"3", if_none_match=tag).status == 200
    assert files("DELETE", "f", if_match=tag).status == 412
    assert files("DELETE", "f", if_match=files.get("f").header("etag")).status == 204


def test_of_many_who_want_to_be_first_one_is(files: Files) -> None:
    with ThreadPoolExecutor(8) as people:
        statuses = list(
            people.map(lambda number: files("PUT", "f", str(number).encode(), if_none_match="*").status, range(8))
        )
    assert sorted(statuses) == [201] + [412] * 7


def test_parallel_replacements_are_all_kept_as_revisions(files: Files) -> None:
    bodies = [str(number).encode() * 50_000 for number in range(6)]
    with ThreadPoolExecutor(6) as people:
        assert all(people.map(lambda body: files("PUT", "f", body).status in {200, 201}, bodies))
    found = {files.get(f"f?revision={number}").body for number in range(1, 7)}
    assert found == set(bodies)
    assert files.get("f").body == files.get("f?revision=6").body


# uploads


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *((f"X-Checksum-{name}", hex_of(name.lower(), b"data")) for name in ("Md5", "Sha1", "Sha256", "Sha512")),
        ("Content-MD5", b64_of("md5", b"data")),
        ("Content-Digest", f"sha-512=:{b64_of('sha512', b'data')}:, sha-256=:{b64_of('sha256', b'data')}:"),
        ("Repr-Digest", f"sha-256=:{b64_of('sha256', b'data')}:"),
        ("Digest", f"SHA-256={b64_of('sha256', b'data')},MD5={b64_of('md5', b'data')}"),
        ("Digest", f"unixsum=30637, SHA={b64_of('sha1', b'data')}"),
        ("Content-Digest", "crc32c=:AAAAAA==:"),
    ],
)
def test_announced_digests_are_verified(running: Registry, header: str, value: str) -> None:
    files = Files(running)
    assert files("PUT", "f", b"data", **{header: value}).status == 201
    if "crc32c" not in value:
        wrong = files("PUT", "g", b"date", **{header: value})
        assert (wrong.status, wrong.json()["code"]) == (422, "VALIDATION_ERROR")
        assert files.get("g").status == 404


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Checksum-Sha256", "abc"),
        ("Content-MD5", "not base64!"),
        ("Content-Digest", "sha-256=abc"),
        ("Digest", "sha-256=!"),
        ("X-Checksum-Md5", hex_of("sha1", b"data")),
    ],
)
def test_digests_that_are_none_are_refused(files: Files, header: str, value: str) -> None:
    assert files("PUT", "f", b"data", **{header: value}).status == 400


def test_an_interrupted_or_refused_upload_leaves_nothing(files: Files) -> None:
    url = files.url("f")
    for body in (b"x" * 10, b"x" * 3_000_000):
        answer = files.running.request("PUT", url, body, user="admin", truncated=True)
        assert answer.status == 400
    assert files.running.request("PUT", url, b"x", user="admin", headers={"content-length": "5"}).status == 400
    assert files("PUT", "f", b"x", content_range="bytes 0-0/5").status == 400
    assert files.get("f").status == 404
    assert files.names() == []
    assert files.running.spooled_files() == []


def test_bodies_without_a_length_are_taken(files: Files) -> None:
    assert files("PUT", "f", [b"a" * 700_000, b"", b"b" * 700_000]).status == 201
    assert files.get("f").header("content-length") == "1400000"


def test_a_repository_may_refuse_second_publishes(running: Registry) -> None:
    files = Files(running, settings=Settings(overwrite="once"))
    files.put("f", b"1")
    assert files("PUT", "f", b"1").status == 200
    assert files("PUT", "f", b"2").status == 409
    assert files.get("f").body == b"1"


def test_a_form_uploads_many_files_at_once(files: Files) -> None:
    body, content_type = multipart([], [("a", "one.txt", b"1"), ("b", "C:\\fakepath\\two.txt", b"2")])
    answer = files("POST", "d/", body, content_type=content_type)
    assert answer.status == 201
    assert answer.json()["items"] == [
        {"path": "d/one.txt", "size": 1, "sha256": hex_of("sha256", b"1")},
        {"path": "d/two.txt", "size": 1, "sha256": hex_of("sha256", b"2")},
    ]
    assert files.names("d/") == ["one.txt", "two.txt"]
    for path, expected in (("x/y.bin", "y.bin"), ("x/z/", "one.txt")):
        body, content_type = multipart([("path", path)], [("file", "one.txt", b"1")])
        assert files("POST", "", body, content_type=content_type).status == 201
        assert expected in files.names(path if path.endswith("/") else "x/")
    body, content_type = multipart([], [("a", "one.txt", b"1"), ("b", "one.txt", b"2")])
    assert files("POST", "e/", body, content_type=content_type).status == 409
    body, content_type = multipart([("path", "../../x")], [("a", "one.txt", b"1")])
    assert files("POST", "e/", body, content_type=content_type).status == 400
    body, content_type = multipart([("x", "y")], [])
    assert files("POST", "e/", body, content_type=content_type).status == 400
    assert files.get("e/").status == 404


# revisions and the past


def test_older_revisions_stay_readable(files: Files) -> None:
    for number in (1, 2, 3):
        files.put("f", f"r{number}".encode())
    assert [files.get(f"f?revision={number}").text for number in (1, 2, 3)] == ["r1", "r2", "r3"]
    assert files.get("f?revision=latest").text == "r3"
    assert files.get("f?revision=1").header("x-artifact-revision") == "1"
    assert files.get("f?revision=4").status == 404
    assert files.get("f?revision=x").status == 404
    files("DELETE", "f")
    assert files.get("f").status == 404
    assert files.get("f?revision=2").text == "r2"
    files.put("f", b"r4")
    assert files.get("f").header("x-artifact-revision") == "4"


def test_a_repository_is_read_as_it_was_and_cannot_be_written_to_then(files: Files) -> None:
    files.put("d/f", b"old")
    then = f"@{files.running.log.head()}"
    files.put("d/f", b"new")
    files.put("d/g", b"new")
    files("DELETE", "d/f")
    assert files("GET", "d/f", at=then).body == b"old"
    assert files("GET", "d/g", at=then).status == 404
    assert [child["name"] for child in files("GET", "d/?format=json", at=then).json()["children"]] == ["f"]
    assert files("GET", "d/f?revision=2", at=then).status == 404
    assert b"/d/f</D:href>" in files("PROPFIND", "d/", at=then, depth="1").body
    for method in ("PUT", "DELETE", "PATCH", "MKCOL", "MOVE", "POST"):
        assert files(method, "d/f", b"x", at=then).status == 405, method
    restored = files("COPY", "d/f", at=then, destination=files.url("d/f"))
    assert restored.status == 201
    assert files.get("d/f").body == b"old"


# directories


def test_directories_redirect_list_and_vanish(files: Files) -> None:
    files.put("a/b/1.txt", b"1")
    files.put("a/2.txt", b"22")
    redirect = files.get("a?x=1")
    assert (redirect.status, redirect.header("location")) == (301, f"http://registry.example{files.url('a/?x=1')}")
    page = files.get("a/", accept="text/html")
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert re.findall(r'<a href="([^"]*)">([^<]*)</a>', page.text) == [("../", "../"), ("2.txt", "2.txt"), ("b/", "b/")]
    listing = files.get("a/", accept="application/json").json()
    assert listing["path"] == "a"
    assert listing["children"][0] | {"modified": ""} == {
        "name": "2.txt",
        "folder": False,
        "size": 2,
        "sha256": hex_of("sha256", b"22"),
        "modified": "",
        "content_type": "text/plain",
    }
    assert listing["children"][1] == {"name": "b", "folder": True}
    assert files.get("a/index.json").json() == listing
    assert files.get("a/SHA256SUMS").text == f"{hex_of('sha256', b'22')}  2.txt\n"
    assert [child["name"] for child in files.get("?list&deep=1").json()["children"]] == ["a/2.txt", "a/b/1.txt"]
    assert [child["name"] for child in files.get("a/?list&deep=1&depth=1").json()["children"]] == ["2.txt"]
    assert (files.get().status, files.get("nothing/").status, files.get("a/2.txt/").status) == (200, 404, 404)
    files("DELETE", "a/b/1.txt")
    assert files.names("a/") == ["2.txt"]


def test_listings_are_paged(files: Files) -> None:
    body, content_type = multipart([], [("f", f"f{number:03}", b"x") for number in range(30)])
    files("POST", "d/", body, content_type=content_type)
    files.put("d/a/x")
    found: list[str] = []
    cursor = ""
    while True:
        page = files.get(f"d/?format=json&limit=7&cursor={quote(cursor)}").json()
        found += [child["name"] for child in page["children"]]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert found == ["a", *(f"f{number:03}" for number in range(30))]
    first = files.get("d/?limit=7", accept="text/html").text
    more = re.findall(r'<a href="(\?[^"]*)" rel="next"', first)[0].replace("&amp;", "&")
    assert ">f006</a>" in files.get(f"d/{more}", accept="text/html").text
    deep = files.get("?list&deep=1&limit=20").json()
    rest = files.get(f"?list&deep=1&limit=20&cursor={quote(deep['next_cursor'])}").json()
    assert len(deep["children"]) + len(rest["children"]) == 31
    assert files.get("d/?limit=x").status == 400


def test_a_listing_shows_a_change_at_once(files: Files) -> None:
    for number in range(5):
        files.put(f"d/{number}")
        assert files.names("d/") == [str(known) for known in range(number + 1)]


def test_deleting_directories_is_asked_for(files: Files) -> None:
    for path in ("d/1", "d/e/2", "d.x", "e"):
        files.put(path)
    for path in ("d/", "d"):
        answer = files("DELETE", path)
        assert (answer.status, answer.json()["code"]) == (409, "CONFLICT")
    assert files("DELETE", "d/?recursive=true").status == 204
    assert files.names() == ["d.x", "e"]
    assert files("DELETE", "d/?recursive=true").status == 404
    assert files("DELETE", "nothing").status == 404
    assert files("DELETE", "?recursive=1").status == 204
    assert files.names() == []


# properties


def test_properties_are_set_with_the_file_and_changed_without_it(files: Files) -> None:
    files.put("f;stage=test;owner=me,you;odd=a%3Bb%2Cc")
    tag = files.get("f").header("etag")
    held = files.get("f?properties").json()
    assert held == {
        "uri": f"http://registry.example{files.url('f')}",
        "properties": {"stage": ["test"], "owner": ["me", "you"], "odd": ["a;b,c"]},
    }
    assert files.get("f;stage=other").body == b"content"
    assert files("PUT", "f?properties=stage=live;new=x").status == 204
    assert files.get("f?properties=stage,new").json()["properties"] == {"stage": ["live"], "new": ["x"]}
    assert files("PATCH", "f?properties", b'{"new": null, "owner": ["us"], "more": "1"}').status == 204
    assert files.get("f?properties").json()["properties"] == {
        "stage": ["live"],
        "owner": ["us"],
        "odd": ["a;b,c"],
        "more": ["1"],
    }
    assert files("DELETE", "f?properties=odd,owner,more").status == 204
    assert files.get("f?properties").json()["properties"] == {"stage": ["live"]}
    assert files("DELETE", "f?properties").status == 204
    assert files.get("f?properties").status == 404
    assert files.get("f").header("etag") == tag
    assert files.get("f").header("x-artifact-revision") == "1"


def test_properties_reach_all_below_a_directory_when_told_to(files: Files) -> None:
    for path in ("d/1", "d/e/2", "x"):
        files.put(path)
    assert files("PUT", "d/?properties=k=v").status == 400
    assert files("PUT", "d/?properties=k=v&recursive=1").status == 204
    assert files("PUT", "d?properties=l=w&recursive=1").status == 204
    for path in ("d/1", "d/e/2"):
        assert files.get(f"{path}?properties").json()["properties"] == {"k": ["v"], "l": ["w"]}
    assert files.get("x?properties").status == 404
    assert files("PUT", "nothing?properties=k=v").status == 404


@pytest.mark.parametrize(
    "query", ["properties=", "properties=a%20b=c", "properties=k=%00", "properties=" + "k" * 256 + "=v"]
)
def test_properties_that_are_none_are_refused(files: Files, query: str) -> None:
    files.put("f")
    assert files("PUT", f"f?{query}").status == 400


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"k": 1}', b'{"k": ["a", 1]}', b'{"a b": "c"}', b"\xff"])
def test_property_documents_that_are_none_are_refused(files: Files, body: bytes) -> None:
    files.put("f")
    assert files("PATCH", "f?properties", body).status == 400


def test_name_and_version_follow_the_properties(files: Files) -> None:
    answer = files.put("odd.bin;name=tool;version=7").json()
    assert (answer["name"], answer["version"]) == ("tool", "7")


def test_deprecation_is_a_property_that_readers_are_told_of(files: Files) -> None:
    files.put("f;deprecated=true")
    assert files.get("f").header("deprecation") == "true"


# checksums


def test_digest_files_are_computed_unless_stored(files: Files) -> None:
    files.put("d/f", b"data")
    for name in ("md5", "sha1", "sha256", "sha512"):
        answer = files.get(f"d/f.{name}")
        assert (answer.status, answer.text, answer.header("content-type")) == (200, hex_of(name, b"data"), "text/plain")
    files.put("d/f.sha1", b"my own")
    assert files.get("d/f.sha1").body == b"my own"
    assert files.get("d/g.sha256").status == 404


def test_bytes_are_deployed_by_checksum_only_to_those_who_may_read_them(running: Registry) -> None:
    secret, own = Files(running, public=False), Files(running, public=False)
    running.person("mallory", **{own.key: "read write"})
    running.person("wendy", **{own.key: "read write", secret.key: "read"})
    data = b"top secret"
    secret.put("f", data)
    wanted = {"x_checksum_deploy": "true", "x_checksum_sha256": hex_of("sha256", data)}
    assert own("PUT", "stolen", user="mallory", **wanted).status == 404
    assert own.get("stolen").status == 404
    assert own("PUT", "copied;k=v", user="wendy", **wanted).status == 201
    answer = own.get("copied")
    assert (answer.body, answer.header("x-checksum-md5")) == (data, hex_of("md5", data))
    assert own("PUT", "again", user="mallory", **wanted).status == 201
    for headers in ({"x_checksum_sha1": hex_of("sha1", data)}, {"x_checksum_sha256": "0" * 64}, {}):
        assert own("PUT", "other", user="wendy", x_checksum_deploy="true", **headers).status == 404


# archives


def zip_of(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


MEMBERS = (("a.txt", b"A"), ("d/b.txt", b"B" * 100_000), ("d/" + "long" * 40 + "/ü.txt", b""))


@pytest.mark.parametrize(
    "archive", [zip_of(*MEMBERS), tar_of(*MEMBERS), tar_of(*MEMBERS, mode="w:gz")], ids=["zip", "tar", "tgz"]
)
def test_archives_are_taken_apart_whole(running: Registry, archive: bytes) -> None:
    files = Files(running)
    answer = files("PUT", "x/;k=v", archive, x_explode_archive="true")
    assert answer.status == 201
    assert [item["path"] for item in answer.json()["items"]] == [f"x/{name}" for name, _ in MEMBERS]
    for name, content in MEMBERS:
        assert files.get(f"x/{quote(name)}").body == content
        assert files.get(f"x/{quote(name)}?properties").json()["properties"] == {"k": ["v"]}
    files.put("kept", archive)
    for name, content in MEMBERS:
        entry = files.get(f"kept!/{quote(name)}")
        assert (entry.status, entry.body) == (200, content)
        assert entry.header("content-security-policy") == "sandbox"
        head = files("HEAD", f"kept!/{quote(name)}")
        assert (head.status, head.header("content-length")) == (200, str(len(content)))
    assert files.get("kept!/a.txt").header("content-type") == "text/plain"
    assert files.get("kept!/nothing").status == 404
    assert files.get("nothing!/a.txt").status == 404


def _linked() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    return buffer.getvalue()


def _linked_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        zip_of(("good", b"1"), ("../up", b"2")),
        zip_of(("good", b"1"), ("/root", b"2")),
        zip_of(("good", b"1"), ("a\\b", b"2")),
        tar_of(("good", b"1"), ("../up", b"2")),
        tar_of(("good", b"1"), ("/root", b"2"), mode="w:gz"),
        zip_of(("a", b"1"), ("a/b", b"2")),
        _linked(),
        _linked_zip(),
        zip_of(("good", b"1"), ("bomb", bytes(70 << 20))),
        tar_of(("good", b"1"), ("bomb", bytes(70 << 20)), mode="w:gz"),
        zip_of(("good", b"1" * 1000))[:-10],
        tar_of(("good", b"1" * 5000))[:3000],
        tar_of(("good", b"1" * 5000), mode="w:gz")[:-20],
        b"PK\x03\x04 no",
        b"no archive at all",
        b"",
        zip_of(),
    ],
    ids=lambda archive: f"{len(archive)} bytes",
)
def test_hostile_and_broken_archives_leave_nothing(running: Registry, archive: bytes) -> None:
    files = Files(running)
    answer = files("PUT", "x/", archive, x_explode_archive="true")
    assert answer.status in {400, 409}, answer.text
    assert files.names() == []
    assert running.spooled_files() == []


# copying


def test_files_and_directories_are_copied_and_moved_with_their_properties(running: Registry) -> None:
    one, two = Files(running), Files(running)
    one.put("d/a.txt;k=v", b"A", content_type="text/x-a")
    one.put("d/e/b.txt", b"B")
    answer = one("COPY", "d/a.txt", destination=f"http://registry.example{two.url('x/c.txt')}")
    assert answer.status == 201
    copied = two.get("x/c.txt")
    assert (copied.body, copied.header("content-type"), copied.header("x-checksum-sha1")) == (
        b"A",
        "text/x-a",
        hex_of("sha1", b"A"),
    )
    assert two.get("x/c.txt?properties").json()["properties"] == {"k": ["v"]}
    assert one("COPY", "d/a.txt", destination=two.url("x/c.txt"), overwrite="F").status == 412
    assert one("COPY", "d/a.txt", destination=two.url("x/c.txt")).status == 204
    assert two("POST", "y", x_copy_source=one.url("d/a.txt")).status == 201
    assert one("MOVE", "d", destination=two.url("moved")).status == 201
    assert one.names() == []
    assert [child["name"] for child in two.get("?list&deep=1").json()["children"]] == [
        "moved/a.txt",
        "moved/e/b.txt",
        "x/c.txt",
        "y",
    ]
    assert two("MOVE", "moved/a.txt", destination=two.url("moved/")).status == 403
    assert two("MOVE", "moved/", destination=two.url("moved/deeper")).status == 201
    assert two("COPY", "y", destination="/pypi/x/y").status == 400
    assert two("COPY", "y", destination="").status == 400
    assert two("COPY", "nothing", destination=two.url("z")).status == 404
    assert two("COPY", "y", destination=two.url("x")).status == 409
    assert two("POST", "q").status == 405


def test_copying_needs_rights_at_both_ends(running: Registry) -> None:
    one, two = Files(running, public=False), Files(running, public=False)
    one.put("f")
    two.put("g")
    running.person("reader", **{one.key: "read"})
    running.person("writer", **{two.key: "read write"})
    running.person("both", **{one.key: "read", two.key: "read write"})
    assert one("COPY", "f", destination=two.url("x"), user="reader").status == 404
    assert two("POST", "x", x_copy_source=one.url("f"), user="writer").status == 404
    assert one("COPY", "f", destination=two.url("x"), user="both").status == 201
    assert one("MOVE", "f", destination=two.url("y"), user="both").status == 403
    assert two("MOVE", "g", destination=one.url("y"), user="both").status == 403
    assert one("COPY", "f", destination=two.url("x"), user="").status == 401
    written = running.log.read(running.log.head() - 1, 1)[0]
    assert written.meta.by == running.people.known["both"].id


# WebDAV


def test_webdav_tells_of_files_and_one_level_of_directories(files: Files) -> None:
    files.put("d/a%20b.txt", b"12345", content_type="text/x-odd")
    files.put("d/e/f")
    names = {"D": "DAV:"}

    def ask(path: str, depth: str) -> list[ET.Element]:
        answer = files("PROPFIND", path, b"<ignored/>", depth=depth)
        assert (answer.status, answer.header("content-type")) == (207, "application/xml; charset=utf-8")
        return ET.fromstring(answer.body).findall("D:response", names)

    responses = ask("d/", "1")
    assert [response.findtext("D:href", namespaces=names) for response in responses] == [
        files.url("d/"),
        files.url("d/a%20b.txt"),
        files.url("d/e/"),
    ]
    file = responses[1].find("D:propstat/D:prop", names)
    assert file is not None
    assert file.findtext("D:getcontentlength", namespaces=names) == "5"
    assert file.findtext("D:getetag", namespaces=names) == f'"{hex_of("sha256", b"12345")}"'
    assert parsedate_to_datetime(file.findtext("D:getlastmodified", namespaces=names) or "")
    assert len(ask("d", "0")) == 1
    assert len(ask("d/a%20b.txt", "1")) == 1
    assert len(ask("", "1")) == 2
    assert files("PROPFIND", "d/", depth="infinity").status == 403
    assert files("PROPFIND", "nothing", depth="0").status == 404
    assert files("MKCOL", "new/").status == 201
    assert files("MKCOL", "d/").status == 405
    assert files("MKCOL", "d/e/f").status == 405
    assert files("MKCOL", "d/e/f/g").status == 409


def test_options_tell_what_can_be_done(files: Files) -> None:
    answer = files("OPTIONS", "x")
    assert answer.status == 204
    assert "PROPFIND" in answer.header("allow")
    assert answer.header("dav") == "1"
    assert files("TRACE", "x").status == 405


# who may


def test_nothing_is_told_to_those_who_may_not_read(running: Registry) -> None:
    hidden = Files(running, public=False)
    hidden.put("f;k=v", zip_of(("a", b"1")))
    running.person("nobody")
    for method, path in (
        ("GET", "f"),
        ("HEAD", "f"),
        ("GET", ""),
        ("GET", "?list&deep=1"),
        ("GET", "f?properties"),
        ("GET", "f?revision=1"),
        ("GET", "f.sha256"),
        ("GET", "f!/a"),
        ("GET", "SHA256SUMS"),
        ("PROPFIND", ""),
        ("OPTIONS", "f"),
        ("PUT", "g"),
        ("DELETE", "f"),
        ("MKCOL", "d"),
    ):
        anonymous = hidden(method, path, user="", depth="1")
        assert (anonymous.status, bool(anonymous.header("www-authenticate"))) == (401, True), (method, path)
        assert hidden(method, path, user="nobody", depth="1").status == 404, (method, path)


def test_readers_read_and_writers_write(running: Registry) -> None:
    files = Files(running)
    files.put("f")
    running.person("rita", **{files.key: "read"})
    running.person("wanda", **{files.key: "read write"})
    for method, path in (
        ("PUT", "g"),
        ("POST", "g"),
        ("PATCH", "f"),
        ("MKCOL", "d"),
        ("DELETE", "f"),
        ("MOVE", "f"),
        ("PUT", "f?properties=k=v"),
    ):
        assert files(method, path, user="rita").status == 403, method
    assert files("PUT", "g", user="wanda").status == 201
    for method in ("DELETE", "MOVE"):
        assert files(method, "g", user="wanda", destination=files.url("h")).status == 403


def test_a_browser_session_cannot_be_made_to_write(files: Files) -> None:
    people = files.running.people.known
    people["browser"] = msgspec.structs.replace(people["admin"], via=COOKIE_VIA)
    forged = {"x_as": "browser", "sec_fetch_site": "cross-site"}
    assert files("PUT", "f", b"x", user="", **forged).status == 403
    assert files("PUT", "f", b"x", user="", x_requested_with="fetch", **forged).status == 201
    assert files("GET", "f", user="", **forged).status == 200


# other formats


def test_every_format_can_be_read_as_files_and_none_written(running: Registry) -> None:
    row = running.repository(f"wheels{next(_numbers)}", "pypi")
    sample = wheel("ak-hello", "1.0")
    fields = [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("name", "ak-hello"),
        ("version", "1.0"),
        ("filetype", "bdist_wheel"),
    ]
    body, content_type = multipart(fields, [("content", sample.filename, sample.content)])
    uploaded = running.request("POST", f"/pypi/{row.key}/", body, user="admin", headers={"content-type": content_type})
    assert uploaded.status == 200, uploaded.text
    path = f"/general/{row.key}/ak-hello/{sample.filename}"
    for _ in range(2):
        assert running.request("GET", path).body == sample.content
    assert running.request("GET", f"{path}.sha256").text == hex_of("sha256", sample.content)
    assert running.request("GET", f"/general/{row.key}/?format=json").json()["children"] == [
        {"name": "ak-hello", "folder": True}
    ]
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "PATCH", "POST"):
        assert running.request(method, path, b"x", user="admin").status == 404, method
    assert running.request("DELETE", f"/pypi/{row.key}/simple/ak-hello/{sample.filename}", user="admin").status < 300
    assert running.request("GET", path).status == 404


def test_downloads_are_counted_once(files: Files) -> None:
    files.put("f", b"x" * 200)
    files.running.downloads.clear()
    files.get("f")
    files("HEAD", "f")
    files.get("f", range="bytes=0-9")
    files.get("f", range="bytes=10-19")
    files.get("")
    assert len(files.running.downloads) == 2
