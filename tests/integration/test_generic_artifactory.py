"""The protocol of Artifactory over the whole product: what its clients send, and what they look for in answers."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.pypi.make import wheel

_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("artifactory")) as started:
        yield started


class Store:
    """A repository seen through the protocol, as administrator."""

    def __init__(self, running: Product, format_: str = "generic", **more: Any) -> None:
        self.running, self.key = running, f"store{next(_numbers)}"
        running.repository(self.key, format_, **more)

    def __call__(self, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        """path: `{}` stands for the key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        target = "/artifactory" + path.replace("{}", self.key)
        return self.running.call(method, target, body, auth=self.running.admin, headers=sent)

    def put(self, path: str, body: bytes = b"content", **headers: str) -> Any:
        reply = self("PUT", "/{}/" + path, body, **headers)
        assert reply.status == 201, reply.text
        return reply.json()

    def info(self, path: str, at: str = "") -> Any:
        reply = self("GET", f"/api/storage/{{}}{at}/{path}")
        assert reply.status == 200, reply.text
        return reply.json()

    def query(self, text: str) -> list[dict[str, Any]]:
        reply = self("POST", "/api/search/aql", text.replace("{}", self.key).encode())
        assert reply.status == 200, reply.text
        found: list[dict[str, Any]] = reply.json()["results"]
        return found

    def uris(self, target: str, **headers: str) -> list[str]:
        reply = self("GET", target, **headers)
        assert reply.status == 200, reply.text
        prefix = f"http://registry.example/artifactory/api/storage/{self.key}/"
        return [item["uri"].removeprefix(prefix) for item in reply.json()["results"]]


@pytest.fixture
def store(running: Product) -> Store:
    return Store(running)


def of(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def test_a_deployed_file_is_told_of_as_clients_expect(store: Store) -> None:
    data = b"hello"
    sums = {name: of(name, data) for name in ("sha256", "sha1", "md5")}
    announced = {f"x_checksum_{name}": digest for name, digest in sums.items()}
    told = store.put("a/b.txt;stage=live;owner=me,you", data, content_type="text/x-note", **announced)
    assert told == store.info("a/b.txt")
    base = "http://registry.example/artifactory"
    assert told | {"created": "", "lastModified": "", "lastUpdated": ""} == {
        "repo": store.key,
        "path": "/a/b.txt",
        "created": "",
        "createdBy": "admin",
        "lastModified": "",
        "modifiedBy": "admin",
        "lastUpdated": "",
        "downloadUri": f"{base}/{store.key}/a/b.txt",
        "mimeType": "text/x-note",
        "size": "5",
        "checksums": sums,
        "originalChecksums": sums,
        "uri": f"{base}/api/storage/{store.key}/a/b.txt",
    }
    shown = store("GET", "/api/storage/{}/a/b.txt?properties").json()
    assert shown["properties"] == {"stage": ["live"], "owner": ["me", "you"]}
    assert store("GET", "/{}/a/b.txt").body == data
    assert store("HEAD", "/{}/a/b.txt").header("x-checksum-sha1") == sums["sha1"]
    again = store.put("a/b.txt", b"second")
    assert (again["created"], again["size"]) == (told["created"], "6")
    assert again["lastModified"] >= told["lastModified"]


def test_announced_digests_are_verified(store: Store) -> None:
    reply = store("PUT", "/{}/a", b"data", x_checksum_sha256=of("sha256", b"other"))
    assert reply.status == 400
    assert reply.json()["errors"][0]["status"] == 400
    assert store("GET", "/api/storage/{}/a").status == 404


def test_a_directory_lists_what_is_in_it(store: Store) -> None:
    for path in ("top.txt", "d/one", "d/two", "d/e/three"):
        store.put(path, path.encode())
    assert store.info("d")["children"] == [
        {"uri": "/e", "folder": True},
        {"uri": "/one", "folder": False},
        {"uri": "/two", "folder": False},
    ]
    assert [child["uri"] for child in store.info("")["children"]] == ["/d", "/top.txt"]
    assert store.info("d")["path"] == "/d"

    def listed(query: str) -> list[tuple[str, int]]:
        return [
            (file["uri"], file["size"]) for file in store("GET", f"/api/storage/{{}}/d?list{query}").json()["files"]
        ]

    assert listed("") == [("/one", 5), ("/two", 5)]
    assert listed("&deep=1") == [("/e/three", 9), ("/one", 5), ("/two", 5)]
    assert listed("&deep=1&depth=1") == [("/one", 5), ("/two", 5)]
    newest = store("GET", "/api/storage/{}/d?lastModified").json()
    assert newest["uri"].endswith(f"/{store.key}/d/e/three")


def test_long_directories_are_told_whole(store: Store) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(1_203):
            packed.writestr(f"{number:05}", b"x")
    reply = store("PUT", "/{}/many/archive.zip", archive.getvalue(), x_explode_archive="true")
    assert (reply.status, len(reply.json()["items"])) == (201, 1_203)
    assert [child["uri"] for child in store.info("many")["children"]] == [f"/{number:05}" for number in range(1_203)]
    assert len(store("GET", "/api/storage/{}/many?list").json()["files"]) == 1_203


def test_what_is_not_there_is_named_in_the_words_that_clients_look_for(store: Store) -> None:
    store.put("d/file")
    for path in ("missing", "missing?properties", "missing?stats", "missing?list", "missing?lastModified"):
        reply = store("GET", f"/api/storage/{{}}/{path}")
        assert reply.status == 404
        assert "Unable to find item" in reply.json()["errors"][0]["message"]
    for path in ("d/file", "d", ""):
        reply = store("GET", f"/api/storage/{{}}/{path}?properties")
        assert reply.status == 404
        assert reply.json()["errors"][0]["message"].startswith("No properties could be found")


def test_properties_are_set_changed_and_removed(store: Store) -> None:
    store.put("d/one")
    store.put("d/two")

    def held(path: str) -> Any:
        return store("GET", f"/api/storage/{{}}/{path}?properties").json().get("properties", {})

    assert store("PUT", "/api/storage/{}/d/one?properties=a=1;b=2,3").status == 204
    assert held("d/one") == {"a": ["1"], "b": ["2", "3"]}
    assert store("PUT", "/api/storage/{}/d?properties=all=yes").status == 204
    assert held("d/two") == {"all": ["yes"]}
    assert store("PUT", "/api/storage/{}/d?properties=all=no&recursive=0").status == 400
    assert store("PATCH", "/api/metadata/{}/d/one", {"props": {"a": "9", "b": None, "c": ["x", "y"]}}).status == 204
    assert held("d/one") == {"a": ["9"], "all": ["yes"], "c": ["x", "y"]}
    assert store("DELETE", "/api/storage/{}/d/one?properties=a,all").status == 204
    assert held("d/one") == {"c": ["x", "y"]}
    for body in (b"", b"[]", b'{"props": 1}', b'{"props": {"a": 1}}', b"{" * 2_000, b"\xff"):
        assert store("PATCH", "/api/metadata/{}/d/one", body).status == 400
    for query in ("", "?properties=", "?properties=%20=x"):
        assert store("PUT", f"/api/storage/{{}}/d/one{query}").status == 400


def test_files_and_directories_are_deleted(store: Store) -> None:
    for path in ("a", "d/one", "d/e/two"):
        store.put(path)
    assert store("DELETE", "/{}/a").status == 204
    assert store("DELETE", "/{}/a").status == 404
    assert store("DELETE", "/{}/d/").status == 204
    assert store("GET", "/api/storage/{}/d").status == 404
    assert store("DELETE", "/{}/").status == 405


def test_directories_are_made_without_being_kept(store: Store) -> None:
    made = store("PUT", "/{}/new/dir/")
    assert (made.status, made.json()["children"]) == (201, [])
    store.put("file")
    assert store("PUT", "/{}/file/").status == 409
    assert store("PUT", "/{}/file/below/").status == 409


def test_files_are_copied_and_moved_between_repositories(running: Product, store: Store) -> None:
    other = Store(running)
    store.put("a/one;k=v", b"1")
    assert store("POST", f"/api/copy/{{}}/a/one?to=/{other.key}/b/one&dry=1").status == 200
    assert other("GET", "/{}/b/one").status == 404
    done = store("POST", f"/api/copy/{{}}/a/one?to=/{other.key}/b/one&dry=0").json()
    assert done["messages"][0]["level"] == "INFO"
    assert other("GET", "/{}/b/one").body == b"1"
    assert store("POST", f"/api/copy/{{}}/a?to=/{other.key}/b").status == 200  # into it, because it is there
    assert other("GET", "/{}/b/a/one").body == b"1"
    assert store("POST", f"/api/move/{{}}/a/one?to=/{other.key}/c/one").status == 200
    assert store("GET", "/{}/a/one").status == 404
    assert other("GET", "/api/storage/{}/c/one?properties").json()["properties"] == {"k": ["v"]}
    assert store("POST", "/api/copy/{}/a/one").status == 400
    packages = Store(running, "pypi")
    assert other("POST", f"/api/copy/{{}}/c/one?to=/{packages.key}/one").status == 405


def test_bytes_are_deployed_by_their_checksum_to_those_who_may_read_them(running: Product, store: Store) -> None:
    data = b"known bytes"
    store.put("a", data)
    by_sum = {"x_checksum_deploy": "true", "x_checksum_sha256": of("sha256", data)}
    assert store("PUT", "/{}/b", **by_sum).status == 201
    assert store("GET", "/{}/b").body == data
    assert store("PUT", "/{}/c", x_checksum_deploy="true", x_checksum=of("sha256", data)).status == 201
    assert store("PUT", "/{}/c", x_checksum_deploy="true", x_checksum_sha1=of("sha1", data)).status == 404
    hidden, own = Store(running, public=False), Store(running, public=False)
    hidden.put("secret", b"hidden bytes")
    writer = running.person(f"writer{own.key}", **{own.key: "read write"})
    headers = {"x-checksum-deploy": "true", "x-checksum-sha256": of("sha256", b"hidden bytes")}
    assert running.call("PUT", f"/artifactory/{own.key}/x", auth=writer, headers=headers).status == 404


def test_downloads_are_told(running: Product, store: Store) -> None:
    store.put("a")
    stats = store("GET", "/api/storage/{}/a?stats").json()
    assert (stats["downloadCount"], stats["lastDownloaded"]) == (0, 0)


def test_searches_find_by_name_property_and_checksum(store: Store) -> None:
    store.put("lib/tool-1.jar;kind=jar;os=linux", b"one")
    store.put("lib/tool-2.jar;kind=jar", b"two")
    store.put("doc/tool.txt", b"three")
    assert store.uris("/api/search/artifact?name=tool*.jar&repos={}") == ["lib/tool-1.jar", "lib/tool-2.jar"]
    assert store.uris("/api/search/artifact?name=ool&repos={}") == ["doc/tool.txt", "lib/tool-1.jar", "lib/tool-2.jar"]
    assert store.uris("/api/search/prop?kind=jar&os=*&repos={}") == ["lib/tool-1.jar"]
    for algorithm in ("sha256", "sha1", "md5"):
        assert store.uris(f"/api/search/checksum?{algorithm}={of(algorithm, b'two')}&repos={{}}") == ["lib/tool-2.jar"]
    detailed = store("GET", f"/api/search/artifact?name=tool.txt&repos={store.key}", x_result_detail="info").json()
    assert detailed["results"][0]["checksums"]["sha1"] == of("sha1", b"three")
    for target in ("artifact", "prop", "checksum", "checksum?sha256=zz", "artifact?name=%00"):
        assert store("GET", f"/api/search/{target}").status == 400


def test_queries_narrow_sort_and_page(store: Store) -> None:
    for path, size in (("a/one.bin", 1), ("a/two.bin", 200), ("b/three.txt", 30)):
        store.put(f"{path};n={size}", b"x" * size)
    everything = '{"repo":"{}"}'
    names = [item["name"] for item in store.query(f"items.find({everything})")]
    assert names == ["one.bin", "two.bin", "three.txt"]
    largest = store.query(f'items.find({everything}).sort({{"$desc":["size"]}}).limit(1)')
    assert [(item["path"], item["name"], item["size"], item["type"]) for item in largest] == [
        ("a", "two.bin", 200, "file")
    ]
    second = store.query(f'items.find({everything}).sort({{"$asc":["size"]}}).offset(1).limit(1)')
    assert [item["name"] for item in second] == ["three.txt"]
    assert [item["name"] for item in store.query(f"items.find({everything}).offset(1).limit(1)")] == ["two.bin"]
    matched = store.query('items.find({"repo":"{}","$or":[{"name":{"$match":"*.txt"}},{"size":{"$gt":100}}]})')
    assert {item["name"] for item in matched} == {"two.bin", "three.txt"}
    shown = store.query('items.find({"repo":"{}","@n":"200"}).include("name","actual_sha1","property.*")')
    assert shown == [
        {"name": "two.bin", "actual_sha1": of("sha1", b"x" * 200), "properties": [{"key": "n", "value": "200"}]}
    ]
    assert store.query('items.find({"repo":"nowhere"})') == []
    for text in ("", "builds.find({})", "items.find({", 'items.find({"x":1})', "items.find().limit(-1)"):
        assert store("POST", "/api/search/aql", text.encode()).status == 400


def test_nothing_is_told_of_what_the_caller_may_not_read(running: Product) -> None:
    hidden = Store(running, public=False)
    hidden.put("secret.txt;told=never", b"secret")
    query = f'items.find({{"repo":"{hidden.key}"}})'.encode()
    stranger = running.person(f"stranger{hidden.key}")
    for auth in (None, stranger):

        def call(method: str, target: str, body: bytes = b"", auth: dict[str, str] | None = auth) -> Reply:
            return running.call(method, f"/artifactory{target}", body, auth=auth)

        refused = 401 if auth is None else 404
        assert call("GET", f"/{hidden.key}/secret.txt").status == refused
        assert call("GET", f"/api/storage/{hidden.key}/secret.txt").status == refused
        assert call("PUT", f"/{hidden.key}/new", b"x").status == refused
        assert call("POST", "/api/search/aql", query).json()["results"] == []
        for search in ("artifact?name=secret", "prop?told=never", f"checksum?sha256={of('sha256', b'secret')}"):
            assert call("GET", f"/api/search/{search}").json()["results"] == []
        assert hidden.key not in call("GET", "/api/repositories").text
        assert call("GET", f"/api/repositories/{hidden.key}").status == 404


def test_the_server_introduces_itself(running: Product, store: Store) -> None:
    assert store("GET", "/api/system/ping").body == b"OK"
    assert store("GET", "/api/system/version").json()["version"].split(".")[0] == "7"
    assert store("GET", "/api/security/encryptedPassword").status == 404
    shown = store("GET", "/api/repositories/{}").json()
    assert (shown["key"], shown["rclass"], shown["packageType"]) == (store.key, "local", "generic")
    assert store.key in [row["key"] for row in store("GET", "/api/repositories").json()]


def test_a_repository_is_told_of_as_it_was(running: Product, store: Store) -> None:
    store.put("d/a;k=old", b"old")
    then = f"@{running.head()}"
    store.put("d/a;k=new", b"newer")
    store.put("d/b")
    assert store("DELETE", "/{}/d/a").status == 204
    assert store("GET", f"/{{}}{then}/d/a").body == b"old"
    told = store.info("d/a", then)
    assert (told["size"], told["repo"]) == ("3", store.key)
    assert told["downloadUri"] == f"http://registry.example/artifactory/{store.key}{then}/d/a"
    assert [child["uri"] for child in store.info("d", then)["children"]] == ["/a"]
    assert store("GET", f"/api/storage/{{}}{then}/d/a?properties").json()["properties"] == {"k": ["old"]}
    for method, target in (
        ("PUT", f"/{{}}{then}/d/a"),
        ("DELETE", f"/{{}}{then}/d/a"),
        ("PUT", f"/api/storage/{{}}{then}/d/a?properties=k=v"),
        ("POST", f"/api/move/{{}}{then}/d/a?to=/{store.key}/d/c"),
        ("POST", f"/api/copy/{{}}/d/b?to=/{store.key}{then}/d/c"),
    ):
        assert store(method, target).status == 405, target
    assert store("POST", f"/api/copy/{{}}{then}/d/a?to=/{store.key}/d/restored").status == 200
    assert store("GET", "/{}/d/restored").body == b"old"


def test_packages_deployed_here_are_read_as_their_own_format_reads_them(running: Product) -> None:
    packages = Store(running, "pypi")
    sample = wheel("demo", "1.0")
    told = packages.put(f"anywhere/{sample.filename};k=v", sample.content)
    assert told["path"] == f"/demo/{sample.filename}"
    page = running.call("GET", f"/pypi/{packages.key}/simple/demo/")
    assert sample.filename in page.text
    assert packages("PUT", "/{}/junk.whl", b"junk").status == 400
    assert packages("PUT", "/{}/a.zip", b"junk", x_explode_archive="true").status == 405
    assert packages("GET", "/api/storage/{}/demo").json()["children"][0]["uri"] == f"/{sample.filename}"


def test_a_token_may_come_in_the_header_of_these_clients(running: Product, store: Store) -> None:
    token = running.done("POST", "/api/v1/auth/tokens", {"name": "ci", "scopes": ["write:artifacts", "read:artifacts"]})
    headers = {"x-jfrog-art-api": token["token"]}
    assert running.call("PUT", f"/artifactory/{store.key}/x", b"1", headers=headers).status == 201
    assert running.call("PUT", f"/artifactory/{store.key}/x", b"1", headers={"x-jfrog-art-api": "bad"}).status == 401
