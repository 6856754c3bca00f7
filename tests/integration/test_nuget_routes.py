"""The NuGet format over the real gate, log and catalogue: both protocols."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from application.formats.nuget import FORMAT
from application.publishing import Target
from domain.event import SYSTEM
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.nuget import make

_numbers = count(1)
ATOM = "{http://www.w3.org/2005/Atom}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
META = DATA[:-1] + "/metadata}"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("nuget"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Feed:
    """One repository of the running registry, as its clients see it."""

    def __init__(self, running: Registry, **options: Any) -> None:
        self.running, self.key = running, f"feed{next(_numbers)}"
        self.row = running.repository(self.key, options.pop("format", "nuget"), **options)
        self.base = f"http://registry.example/nuget/{self.key}"

    def request(
        self, method: str, path: str, body: bytes = b"", *, user: str | None = "admin", at: str = "", **headers: str
    ) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/nuget/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, user=None, **options)

    def json(self, path: str, **options: Any) -> Any:
        reply = self.get(path, **options)
        assert (reply.status, reply.header("content-type")) == (200, "application/json"), reply.text
        return reply.json()

    def follow(self, url: str) -> Reply:
        """What is at an address that a document told."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == "http://registry.example"
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return self.running.request("GET", target)

    def push(
        self,
        id: str = "Demo.Pkg",
        version: str = "1.0.0",
        *,
        user: str = "admin",
        path: str = "api/v2/package/",
        **more: Any,
    ) -> Reply:
        return self.push_bytes(make.package(id, version, **more), user=user, path=path)

    def push_bytes(self, data: bytes, *, user: str = "admin", path: str = "api/v2/package/") -> Reply:
        """As nuget.exe 5.8 sends it: in chunks, the names of the only part without quotes."""
        body = (
            b"--b1f\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Disposition: form-data; name=package; filename=package.nupkg\r\n\r\n" + data + b"\r\n--b1f--\r\n"
        )
        headers = {"content-type": "multipart/form-data; boundary=b1f"}
        chunks = [body[:100], body[100:]]
        return self.running.request("PUT", f"/nuget/{self.key}/{path}", chunks, user=user, headers=headers)

    def feed(self, path: str, at: str = "") -> list[dict[str, str | None]]:
        """The properties of the versions in a feed."""
        reply = self.get(path, at=at)
        assert reply.status == 200, reply.text
        assert reply.header("content-type").startswith("application/atom+xml")
        return [self._properties(entry) for entry in ET.fromstring(reply.body).iter(f"{ATOM}entry")]

    def _properties(self, entry: ET.Element) -> dict[str, str | None]:
        content = entry.find(f"{ATOM}content")
        assert content is not None
        told = {one.tag.removeprefix(DATA): one.text for one in entry.findall(f"{META}properties/*")}
        return {**told, "src": content.get("src")}

    def versions(self, path: str, at: str = "") -> list[str | None]:
        return [one["Version"] for one in self.feed(path, at)]

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def libs(running: Registry) -> Feed:
    return Feed(running)


def warning(reply: Reply) -> str:
    """The sentence that clients print."""
    assert reply.header("content-type") == "application/problem+json"
    assert reply.json()["status"] == reply.status
    return reply.header("x-nuget-warning")


# pushing


@pytest.mark.parametrize(
    "path", ["api/v2/package", "api/v2/package/", "v2/package", "v2/package/", "v2/", "v2", "api/v2/"]
)
def test_a_package_is_pushed_to_every_address_that_clients_make(libs: Feed, path: str) -> None:
    assert libs.push(path=path).status == 201
    assert libs.json("v3/flatcontainer/demo.pkg/index.json") == {"versions": ["1.0.0"]}


def test_a_bare_body_is_a_package_too(libs: Feed) -> None:
    data = make.package()
    assert libs.request("PUT", "api/v2/package", data).status == 201
    file = libs.get("v3/flatcontainer/demo.pkg/1.0.0/demo.pkg.1.0.0.nupkg")
    assert (file.status, file.body) == (200, data)
    assert "immutable" in file.header("cache-control")
    part = libs.get("v3/flatcontainer/demo.pkg/1.0.0/demo.pkg.1.0.0.nupkg", range="bytes=0-3")
    assert (part.status, part.body) == (206, data[:4])


def test_a_version_is_given_once_however_it_is_written(libs: Feed) -> None:
    assert libs.push(version="1.0.0").status == 201
    for name, version in (
        ("Demo.Pkg", "1.0.0"),
        ("demo.PKG", "1.0"),
        ("Demo.Pkg", "1.00.0.0"),
        ("Demo.Pkg", "1.0.0+build"),
    ):
        reply = libs.push(name, version)
        assert reply.status == 409
        assert warning(reply).endswith("was published before; a version is never given twice")
    assert libs.push(version="1.0.0-Beta").status == 201
    assert libs.push(version="1.0.0-BETA").status == 409
    target = Target(libs.row.id, libs.row.settings, SYSTEM)
    libs.running.publishing.delete_version(target, "demo.pkg", "1.0.0")
    assert libs.push(version="1.0.0").status == 409, "and never again"
    assert libs.json("v3/flatcontainer/demo.pkg/index.json") == {"versions": ["1.0.0-beta"]}


@pytest.mark.parametrize(
    "what", ["nothing", "no archive", "two manifests", "an entity", "a version of one number", "symbols"]
)
def test_what_is_no_package_is_refused_with_a_reason(libs: Feed, what: str) -> None:
    reply = libs.push_bytes(make.REFUSED[what])
    assert reply.status == 400
    assert warning(reply)


def test_a_form_without_a_file_is_refused(libs: Feed) -> None:
    body, content_type = multipart([("package", "x")], [])
    assert libs.request("PUT", "api/v2/package", body, content_type=content_type).status == 400
    reply = libs.request("PUT", "api/v2/symbolpackage/", b"x")
    assert (reply.status, "NoSymbols" in warning(reply)) == (400, True)


# the third protocol


def test_every_address_that_documents_tell_is_there(libs: Feed) -> None:
    body = '<readme>README.md</readme><icon>i.png</icon><license type="file">LICENSE</license>'
    shown = {"README.md": b"# Hi", "i.png": make.PNG, "LICENSE": b"MIT"}
    libs.push(version="1.0.0-Beta.1+x", body=body + make.dependencies(("A", "1.0")), extra=shown)
    seen = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                linked = name in {
                    "@id",
                    "packageContent",
                    "registration",
                    "catalogEntry",
                    "parent",
                    "iconUrl",
                    "licenseUrl",
                    "readmeUrl",
                }
                if linked and isinstance(inner, str) and "{" not in inner:
                    seen.add(inner.partition("#")[0])
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    services = libs.json("v3/index.json")
    by_type = {one["@type"]: one["@id"] for one in services["resources"]}
    index = libs.follow(by_type["RegistrationsBaseUrl/3.6.0"] + "demo.pkg/index.json").json()
    walk(index)
    walk(libs.follow(index["items"][0]["items"][0]["@id"]).json())
    walk(libs.follow(by_type["SearchQueryService"] + "?prerelease=true&semVerLevel=2.0.0").json())
    assert len(seen) >= 7
    for address in seen:
        assert libs.follow(address).status == 200, address
    versions = libs.follow(by_type["PackageBaseAddress/3.0.0"] + "demo.pkg/index.json").json()
    assert versions == {"versions": ["1.0.0-beta.1"]}


def test_files_that_a_package_shows_are_harmless(libs: Feed) -> None:
    body = '<readme>README.md</readme><icon>i.svg</icon><license type="file">LICENSE</license>'
    extra = {"README.md": b"<script>", "i.svg": b"<svg/>", "LICENSE": b"<script>"}
    libs.push(body=body, extra=extra)
    root = "v3/flatcontainer/Demo.Pkg/1.0/"
    for role, type_ in (
        ("readme", "text/plain; charset=utf-8"),
        ("icon", "application/octet-stream"),
        ("license", "text/plain; charset=utf-8"),
    ):
        reply = libs.get(root + role)
        assert (reply.status, reply.header("content-type")) == (200, type_)
        assert reply.header("x-content-type-options") == "nosniff"
        assert "sandbox" in reply.header("content-security-policy")
    manifest = libs.get(root + "demo.pkg.nuspec")
    assert (manifest.status, b"<id>Demo.Pkg</id>" in manifest.body) == (200, True)
    libs.push(version="2.0.0")
    for path in ("2.0.0/readme", "2.0.0/icon", "2.0.0/other.nupkg", "3.0.0/demo.pkg.3.0.0.nupkg", "x/demo.pkg.x.nupkg"):
        assert libs.get(f"v3/flatcontainer/demo.pkg/{path}").status == 404


def test_packages_are_found_in_any_case_and_form(libs: Feed) -> None:
    libs.push(version="1.0.0-Beta")
    for name, version in (("DEMO.pkg", "1.0.0-BETA"), ("demo.pkg", "1.0-beta"), ("Demo.Pkg", "1.0.0.0-beta")):
        assert libs.get(f"v3/flatcontainer/{name}/{version}/demo.pkg.1.0.0-beta.nupkg").status == 200
        assert libs.get(f"v3/registration/{name}/{version}.json").status == 200
        assert libs.get(f"v2/package/{name}/{version}").status == 200
    for path in (
        "v3/flatcontainer/none/index.json",
        "v3/registration/none/index.json",
        "v3/flatcontainer/a..b/index.json",
    ):
        reply = libs.get(path)
        assert (reply.status, warning(reply).endswith("not found")) == (404, True)


def test_what_old_clients_cannot_read_is_kept_from_them(libs: Feed) -> None:
    libs.push(version="1.0.0")
    libs.push(version="2.0.0-a.b")
    for hive, versions in (("registration", ["1.0.0"]), ("registration-semver2", ["1.0.0", "2.0.0-a.b"])):
        page = libs.json(f"v3/{hive}/demo.pkg/index.json")["items"][0]
        assert [one["catalogEntry"]["version"] for one in page["items"]] == versions
    assert libs.get("v3/registration/demo.pkg/2.0.0-a.b.json").status == 404
    assert libs.get("v3/registration-semver2/demo.pkg/2.0.0-a.b.json").status == 200
    assert libs.json("v3/search?q=demo&prerelease=true")["data"][0]["version"] == "1.0.0"
    assert libs.json("v3/search?q=demo&prerelease=true&semVerLevel=2.0.0")["data"][0]["version"] == "2.0.0-a.b"


def test_many_versions_are_on_pages(libs: Feed) -> None:
    for number in range(130):
        assert libs.push(version=f"1.0.{number}").status == 201
    index = libs.json("v3/registration-semver2/demo.pkg/index.json")
    assert [page["count"] for page in index["items"]] == [64, 64, 2]
    page = libs.follow(index["items"][1]["@id"]).json()
    assert (page["lower"], page["upper"], len(page["items"])) == ("1.0.64", "1.0.127", 64)
    assert libs.get("v3/registration-semver2/demo.pkg/page/1.0.1/1.0.2.json").status == 404
    first = libs.get("v2/FindPackagesById()?id='Demo.Pkg'")
    (following,) = [
        link.get("href") for link in ET.fromstring(first.body).findall(f"{ATOM}link") if link.get("rel") == "next"
    ]
    rest = ET.fromstring(libs.follow(following or "").body)
    assert len(list(rest.iter(f"{ATOM}entry"))) == 30
    assert not [link for link in rest.findall(f"{ATOM}link") if link.get("rel") == "next"]


def test_searches_find_by_words_and_by_fields(libs: Feed) -> None:
    for name, tags in (("Acme.Json", "json parser"), ("Json.Acme", "tool"), ("Other", "misc")):
        libs.push(name, tags=tags, description=f"{name} reads documents")
    libs.push("Acme.Json", "2.0.0-rc", tags="json")

    def ids(query: str) -> list[str]:
        return [one["id"] for one in libs.json(f"v3/search?{query}")["data"]]

    assert ids("q=") == ["Acme.Json", "Json.Acme", "Other"]
    assert ids("q=json") == ["Json.Acme", "Acme.Json"], "who begins so comes first"
    assert ids("q=acme+JSON") == ["Acme.Json", "Json.Acme"]
    assert ids("q=documents&take=2") == ["Acme.Json", "Json.Acme"]
    assert ids("q=packageid:json.acme") == ["Json.Acme"]
    assert ids("q=tags:tool") == ["Json.Acme"]
    assert ids("q=nothing") == ids("q=packageid:none") == ids("packageType=DotnetTool") == []
    assert ids("q=&skip=1&take=1") == ["Json.Acme"]
    assert libs.json("v3/search?take=1")["totalHits"] == 3
    assert libs.json("v3/search?q=acme.json")["data"][0]["version"] == "1.0.0"
    assert libs.json("v3/search?q=acme.json&prerelease=true")["data"][0]["version"] == "2.0.0-rc"
    assert libs.json("v3/autocomplete?q=acme") == {"totalHits": 2, "data": ["Acme.Json", "Json.Acme"]}
    assert libs.json("v3/autocomplete?id=acme.json&prerelease=true")["data"] == ["1.0.0", "2.0.0-rc"]
    assert libs.json("v3/autocomplete?id=none")["data"] == []
    for query in ("skip=x", "take=-1"):
        assert libs.get(f"v3/search?{query}").status == 400


def test_documents_are_validated_and_change_with_every_fact(libs: Feed) -> None:
    libs.push()
    seen = set()
    for change in (
        lambda: None,
        lambda: libs.push(version="1.1.0"),
        lambda: libs.request("DELETE", "api/v2/package/Demo.Pkg/1.0.0"),
    ):
        change()
        reply = libs.get("v3/registration/demo.pkg/index.json")
        tag = reply.header("etag")
        assert libs.get("v3/registration/demo.pkg/index.json", if_none_match=tag).status == 304
        seen.add(tag)
    assert len(seen) == 3


# taking off the lists


def test_what_is_unlisted_is_found_by_no_search_and_still_restored(libs: Feed) -> None:
    libs.push(version="1.0.0")
    libs.push(version="2.0.0")
    assert libs.request("DELETE", "api/v2/package/Demo.Pkg/2.0").status == 204
    assert libs.json("v3/search?q=demo")["data"][0]["version"] == "1.0.0"
    assert libs.json("v3/autocomplete?id=demo.pkg")["data"] == ["1.0.0"]
    assert libs.json("v3/flatcontainer/demo.pkg/index.json")["versions"] == ["1.0.0", "2.0.0"]
    told = libs.json("v3/registration/demo.pkg/2.0.0.json")
    assert (told["listed"], told["published"]) == (False, "1900-01-01T00:00:00Z")
    assert libs.follow(told["packageContent"]).status == 200
    assert libs.versions("v2/FindPackagesById()?id='demo.pkg'&$filter=IsLatestVersion") == ["1.0.0"]
    assert libs.versions("v2/Search()?searchTerm='demo'") == ["1.0.0"]
    assert libs.request("POST", "api/v2/package/Demo.Pkg/2.0.0").status == 200
    assert libs.json("v3/search?q=demo")["data"][0]["version"] == "2.0.0"
    for method in ("DELETE", "POST"):
        assert libs.request(method, "api/v2/package/Demo.Pkg/9.0.0").status == 404
    assert libs.request("DELETE", "v2/Demo.Pkg/1.0.0").status == 204


# the second protocol


def test_the_feed_tells_versions_as_old_clients_ask(libs: Feed) -> None:
    data = make.package("Demo.Pkg", "1.0.0", body=make.dependencies(("A", "1.0")), tags="x PSModule")
    libs.push_bytes(data)
    libs.push(version="1.1.0")
    libs.push(version="2.0.0-rc")
    libs.push("Other.Pkg", "3.0.0")
    for root in ("v2", "api/v2"):
        assert libs.versions(f"{root}/FindPackagesById()?id='demo.pkg'") == ["1.0.0", "1.1.0", "2.0.0-rc"]
        assert libs.versions(
            f"{root}/FindPackagesById()?$filter=IsLatestVersion&$orderby=Version%20desc&$top=1&id='Demo.Pkg'"
        ) == ["1.1.0"]
        assert libs.versions(f"{root}/Packages()?$filter=IsAbsoluteLatestVersion&$orderby=Id") == ["2.0.0-rc", "3.0.0"]
        assert libs.get(f"{root}/$metadata").header("content-type").startswith("application/xml")
        assert b"Packages" in libs.get(f"{root}/").body
    (told,) = libs.feed("v2/Packages(Id='Demo.Pkg',Version='1.0')")
    assert told["PackageHash"] == base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert (told["Dependencies"], told["Tags"], told["PackageSize"]) == ("A:[1.0.0, )", "x PSModule", str(len(data)))
    assert libs.follow(told["src"] or "").body == data
    assert libs.get("v2/Packages(Id='Demo.Pkg',Version='9.0')").status == 404
    latest = libs.get("v2/package/demo.pkg")
    assert (latest.status, libs.follow(latest.header("location")).status) == (302, 200)


def test_the_feed_is_searched_filtered_ordered_counted_and_cut(libs: Feed) -> None:
    for name in ("alpha", "beta", "gamma"):
        for version in ("1.0.0", "1.10.0", "1.9.0"):
            libs.push(name, version, tags="tool" if name == "beta" else "PSModule")

    def ask(**query: str) -> str:
        return "&".join(f"{name.replace('_', '$')}={quote(value)}" for name, value in query.items())

    observed = ask(
        _filter="IsLatestVersion",
        _orderby="Id",
        _skip="0",
        _top="30",
        searchTerm="'a'",
        targetFramework="''",
        includePrerelease="false",
        semVerLevel="2.0.0",
    )
    assert libs.versions(f"v2/Search()?{observed}") == ["1.10.0"] * 3
    choco = ask(
        _filter="(((Id ne null) and substringof('bet',tolower(Id))) or ((Title ne null) and substringof('bet',tolower(Title)))) and IsLatestVersion"
    )
    assert [one["Id"] for one in libs.feed(f"api/v2/Packages()?{choco}")] == ["beta"]
    found = libs.feed("v2/Packages()?" + ask(_filter="tolower(Id) eq 'gamma'", _orderby="Version desc", _top="2"))
    assert [(one["Id"], one["Version"]) for one in found] == [("gamma", "1.10.0"), ("gamma", "1.9.0")]
    assert [one["Id"] for one in libs.feed("v2/Search()?searchTerm='tag:tool'&$filter=IsLatestVersion")] == ["beta"]
    assert libs.get("v2/Packages()/$count").text == "9"
    assert libs.get("v2/Search()/$count?$filter=IsLatestVersion").text == "3"
    counted = ET.fromstring(libs.get("v2/Packages()?$inlinecount=allpages&$top=1").body)
    assert counted.findtext(f"{META}count") == "9"
    updates = ask(
        packageIds="'alpha|beta|none'",
        versions="'1.9.0|1.10.0|1.0'",
        includePrerelease="false",
        includeAllVersions="false",
    )
    assert [(one["Id"], one["Version"]) for one in libs.feed(f"v2/GetUpdates()?{updates}")] == [("alpha", "1.10.0")]
    for path in (
        "v2/Packages()?$filter=Nothing%20eq%201",
        "v2/Packages()?$orderby=x",
        "v2/Packages()?$top=x",
        "v2/GetUpdates()?packageIds='a'&versions='1|2'",
    ):
        assert libs.get(path).status == 400, path
    for path in ("v2/Nothing()", "v2/Nothing()/$count", "v2/Packages(Id='x')/$count"):
        assert libs.get(path).status == 404, path


# time, rights, kinds


def test_the_past_is_read_in_both_protocols(libs: Feed) -> None:
    libs.push(version="1.0.0")
    then = libs.head()
    libs.push(version="2.0.0")
    libs.request("DELETE", "api/v2/package/Demo.Pkg/1.0.0")
    assert libs.json("v3/flatcontainer/demo.pkg/index.json", at=then) == {"versions": ["1.0.0"]}
    assert libs.json("v3/registration/demo.pkg/1.0.0.json", at=then)["listed"]
    assert libs.json("v3/search?q=demo", at=then)["data"][0]["version"] == "1.0.0"
    assert libs.versions("v2/Packages()?$filter=IsLatestVersion", at=then) == ["1.0.0"]
    address = libs.json("v3/index.json", at=then)["resources"][0]["@id"]
    assert address.startswith(f"{libs.base}{then}/")
    reply = libs.request("PUT", "api/v2/package", make.package(version="3.0.0"), at=then)
    assert (reply.status, "past" in warning(reply)) == (405, True)


def test_each_needs_its_right(running: Registry) -> None:
    secret = Feed(running, public=False)
    secret.push()
    running.person("rita", **{secret.key: "read"})
    reply = secret.get("v3/index.json")
    assert (reply.status, reply.header("www-authenticate")) == (401, 'Basic realm="NuGet"')
    assert secret.request("GET", "v3/index.json", user="rita").status == 200
    assert secret.push(version="2.0.0", user="rita").status == 403
    assert secret.request("DELETE", "api/v2/package/Demo.Pkg/1.0.0", user="rita").status == 403


@pytest.mark.parametrize("format", ["chocolatey", "powershell"])
def test_other_tools_have_the_same_feeds(running: Registry, format: str) -> None:
    tools = Feed(running, format=format)
    assert tools.push("tool", body="<projectSourceUrl>https://example.org</projectSourceUrl>").status == 201
    assert tools.versions("api/v2/Packages()?$filter=Id%20eq%20'tool'") == ["1.0.0"]


def test_errors_are_problems_on_any_address(libs: Feed) -> None:
    for method, path in (("GET", "nothing"), ("PUT", "v3/index.json"), ("GET", "v3/registration/x/index.json")):
        reply = libs.request(method, path)
        assert reply.status in {404, 405}
        assert json.loads(reply.body)["title"] == warning(reply)


def test_no_name_in_an_address_makes_the_server_fail(libs: Feed) -> None:
    for name in ("a%00b", "%ff", "%F0%9F%92%A9", "..", "%2e%2e", "a%2Fb", "a" * 3000):
        for path in (
            f"v3/flatcontainer/{name}/index.json",
            f"v3/flatcontainer/x/{name}/x.1.0.0.nupkg",
            f"v3/registration/x/page/{name}/{name}",
            f"v3/registration/x/{name}.json",
            f"v2/package/{name}",
            f"v2/{name}",
            f"v2/Packages(Id='{name}',Version='{name}')",
        ):
            assert libs.get(path).status in {400, 404}, path
        for query in (f"v3/search?q={name}", f"v2/FindPackagesById()?id='{name}'", f"v2/Search()?searchTerm='{name}'"):
            assert libs.get(query).status in {200, 400}, query
        assert libs.get(f"v2/Packages()?$filter=Id%20eq%20'{name}'").status in {200, 400}
