"""The helm format over the real gate, log and catalogue."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from application.formats.helm import FORMAT
from application.publishing import Target
from domain.event import SYSTEM
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.helm import make

_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("helm"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository of the running registry, as chart clients see it."""

    def __init__(self, running: Registry, **options: Any) -> None:
        self.running, self.key = running, f"charts{next(_numbers)}"
        self.row = running.repository(self.key, "helm", **options)

    def request(
        self, method: str, path: str, body: bytes = b"", *, user: str | None = "admin", at: str = "", **headers: str
    ) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/helm/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, user=None, **options)

    def push(self, data: bytes, query: str = "", *, user: str = "admin") -> Reply:
        return self.request("POST", f"api/charts{query}", data, user=user)

    def form(self, *files: tuple[str, str, bytes], path: str = "api/charts") -> Reply:
        body, content_type = multipart([], files)
        return self.request("POST", path, body, content_type=content_type)

    def index(self, at: str = "") -> dict[str, list[dict[str, Any]]]:
        reply = self.get("index.yaml", at=at)
        assert reply.status == 200, reply.text
        entries: dict[str, list[dict[str, Any]]] = reply.json()["entries"]
        return entries

    def versions(self, name: str = "demo", at: str = "") -> list[str]:
        return [entry["version"] for entry in self.index(at).get(name, [])]

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def charts(running: Registry) -> Repository:
    return Repository(running)


@pytest.fixture
def forgiving(running: Registry) -> Repository:
    """A repository in which charts may be replaced."""
    return Repository(running, settings=Settings(overwrite="allow"))


def error(reply: Reply) -> str:
    """The sentence that clients print."""
    assert reply.header("content-type") == "application/json; charset=utf-8"
    (sentence,) = reply.json().values()
    return str(sentence)


# the index


def test_a_chart_is_in_the_index_when_its_upload_is_answered(charts: Repository) -> None:
    data = make.chart(appVersion="1.10", description="Says hello", annotations={"a": "b"})
    reply = charts.push(data)
    assert (reply.status, reply.json()) == (201, {"saved": True})
    (entry,) = charts.index()["demo"]
    assert (entry["version"], entry["appVersion"], entry["annotations"]) == ("1.0.0", "1.10", {"a": "b"})
    assert (entry["urls"], entry["digest"]) == (["charts/demo-1.0.0.tgz"], hashlib.sha256(data).hexdigest())
    assert entry["created"].endswith("Z")
    file = charts.get(entry["urls"][0])
    assert (file.status, file.body, file.header("content-type")) == (200, data, "application/gzip")
    part = charts.get(entry["urls"][0], range="bytes=0-9")
    assert (part.status, part.body) == (206, data[:10])


def test_an_empty_repository_has_an_index_without_entries(charts: Repository) -> None:
    reply = charts.get("index.yaml")
    assert (reply.status, reply.header("content-type")) == (200, "application/yaml")
    assert reply.json()["apiVersion"] == "v1"
    assert reply.json()["entries"] == {}


def test_the_index_changes_with_every_fact_and_not_without_one(charts: Repository) -> None:
    tags = [charts.get("index.yaml").header("etag")]
    for version in ("1.0.0", "1.1.0"):
        charts.push(make.chart(version=version))
        reply = charts.get("index.yaml")
        tags.append(reply.header("etag"))
        assert charts.get("index.yaml", if_none_match=tags[-1]).status == 304
    assert len(set(tags)) == 3
    charts.push(make.chart(version="1.1.0"))
    assert charts.get("index.yaml").header("etag") == tags[-1], "the same bytes again are nothing new"


def test_versions_are_told_newest_first(charts: Repository) -> None:
    for version in ("1.9.0", "1.10.0", "2.0.0-rc.1", "1.10.0-beta", "v1.9.1"):
        assert charts.push(make.chart(version=version)).status == 201
    assert charts.versions() == ["2.0.0-rc.1", "1.10.0", "1.10.0-beta", "v1.9.1", "1.9.0"]


def test_build_metadata_survives_in_addresses(charts: Repository) -> None:
    data = make.chart(version="1.0.0+one.2")
    charts.push(data)
    (entry,) = charts.index()["demo"]
    assert entry["urls"] == ["charts/demo-1.0.0%2Bone.2.tgz"]
    for path in ("charts/demo-1.0.0%2Bone.2.tgz", "charts/demo-1.0.0+one.2.tgz"):
        assert charts.get(path).body == data
    assert charts.get("api/charts/demo/1.0.0+one.2").status == 200


def test_a_chart_with_more_metadata_than_an_event_holds_is_indexed_all_the_same(charts: Repository) -> None:
    annotations = {f"key-{number}": "x" * 100 for number in range(300)}
    assert charts.push(make.chart(annotations=annotations)).status == 201
    assert charts.index()["demo"][0]["annotations"] == annotations


def test_the_past_is_read_at_every_address(charts: Repository) -> None:
    charts.push(make.chart())
    then = charts.head()
    charts.push(make.chart(version="2.0.0"))
    charts.request("DELETE", "api/charts/demo/1.0.0")
    assert charts.versions() == ["2.0.0"]
    assert charts.versions(at=then) == ["1.0.0"]
    assert charts.get("charts/demo-1.0.0.tgz").status == 404
    assert charts.get("charts/demo-1.0.0.tgz", at=then).status == 200
    assert charts.get("api/charts/demo/latest", at=then).json()["version"] == "1.0.0"
    assert charts.get("api/charts", at=then).json().keys() == {"demo"}
    assert charts.get("index.yaml", at=then).json()["generated"] < charts.get("index.yaml").json()["generated"]
    reply = charts.request("POST", "api/charts", make.chart(version="3.0.0"), at=then)
    assert (reply.status, "past" in error(reply)) == (405, True)


# uploads


def test_the_plugin_that_pushes_reaches_the_repository_in_its_own_address(
    running: Registry, charts: Repository
) -> None:
    body, content_type = multipart([], [("chart", "/home/ada/some where/x.tgz", make.chart())])
    running.person("rita", **{charts.key: "read"})
    path, headers = f"/api/helm/{charts.key}/charts", {"content-type": content_type}
    refused = running.request("POST", path, body, user="rita", headers=headers)
    assert (refused.status, "write" in error(refused)) == (403, True)
    reply = running.request("POST", path, body, user="admin", headers=headers)
    assert (reply.status, reply.json()) == (201, {"saved": True})
    assert running.request("GET", f"{path}/demo").json()[0]["version"] == "1.0.0"
    assert running.request("GET", f"{path}/demo-1.0.0.tgz").status == 200
    assert running.request("GET", f"/api/helm/{charts.key}/index.yaml").json()["entries"].keys() == {"demo"}
    assert running.request("DELETE", f"{path}/demo/1.0.0", user="admin").json() == {"deleted": True}


def test_a_version_is_not_given_again_while_it_is_there(charts: Repository) -> None:
    charts.push(make.chart())
    other = make.chart(description="other")
    for query in ("", "?force", "?force=true"):
        reply = charts.push(other, query)
        assert (reply.status, error(reply)) == (409, "file already exists: demo-1.0.0.tgz")
    assert charts.push(make.chart()).status == 201, "the same bytes"
    charts.request("DELETE", "api/charts/demo/1.0.0")
    assert charts.push(other).status == 201
    assert charts.index()["demo"][0]["description"] == "other"


def test_who_may_replace_charts_says_that_they_want_to(forgiving: Repository) -> None:
    forgiving.push(make.chart())
    other = make.chart(description="other")
    assert forgiving.push(other).status == 409
    assert forgiving.push(other, "?force").status == 201
    assert forgiving.index()["demo"][0]["digest"] == hashlib.sha256(other).hexdigest()
    assert forgiving.get("charts/demo-1.0.0.tgz").body == other


def test_two_charts_may_not_share_the_name_of_a_file(charts: Repository) -> None:
    assert charts.push(make.chart("a-1", "2.0.0")).status == 201
    assert charts.push(make.chart("a", "1-2.0.0")).status == 409
    assert charts.index().keys() == {"a-1"}


@pytest.mark.parametrize(
    "what", ["nothing", "no archive", "another folder", "two of them", "a version of four numbers"]
)
def test_what_is_no_chart_is_refused_with_a_reason(charts: Repository, what: str) -> None:
    reply = charts.push(make.REFUSED[what])
    assert reply.status == 400
    assert error(reply)
    assert charts.index() == {}


def test_a_form_without_a_chart_is_refused(charts: Repository) -> None:
    for path in ("api/charts", "api/prov"):
        assert charts.form(("other", "x.tgz", make.chart()), path=path).status == 400
    assert charts.request("POST", "api/charts", b"x", content_type="multipart/form-data").status == 400


# provenance


@pytest.mark.parametrize("turned", [False, True])
def test_a_chart_and_its_provenance_come_in_one_form_in_any_order(charts: Repository, turned: bool) -> None:
    data = make.chart(description="Says hello")
    prov = make.provenance(data, description="Says hello")
    files = [("chart", "demo.tgz", data), ("prov", "demo.tgz.prov", prov)]
    assert charts.form(*(files[::-1] if turned else files)).status == 201
    reply = charts.get("charts/demo-1.0.0.tgz.prov")
    assert (reply.status, reply.body, reply.header("content-type")) == (200, prov, "application/pgp-signature")
    assert len(charts.index()["demo"]) == 1
    assert charts.request("DELETE", "api/charts/demo/1.0.0").status == 200
    for path in ("charts/demo-1.0.0.tgz", "charts/demo-1.0.0.tgz.prov"):
        assert charts.get(path).status == 404


def test_provenance_follows_its_chart(charts: Repository) -> None:
    data = make.chart()
    prov = make.provenance(data)
    assert charts.request("POST", "api/prov", prov).status == 404
    charts.push(data)
    assert charts.request("POST", "api/prov", prov).json() == {"saved": True}
    assert charts.form(("prov", "x", prov), path="api/prov").status == 201, "the same bytes"
    assert charts.form(("prov", "x", prov)).status == 201
    other = prov.replace(b"wsBcBAEBCgAQBQJd", b"wsBcBAEBCgAQBQJe")
    assert charts.request("POST", "api/prov", other).status == 409
    assert charts.get("charts/demo-1.0.0.tgz.prov").body == prov


def test_provenance_of_other_bytes_is_refused_and_so_is_the_chart(charts: Repository) -> None:
    data = make.chart()
    for prov in (make.provenance(b"other"), make.provenance(data, version="2.0.0"), b"hello"):
        reply = charts.form(("chart", "x", data), ("prov", "y", prov))
        assert reply.status == 400
        assert error(reply).startswith("provenance: ")
    assert charts.index() == {}
    charts.push(data)
    assert charts.request("POST", "api/prov", make.provenance(b"other")).status == 400


def test_another_archive_takes_the_provenance_of_the_old_one_away(forgiving: Repository) -> None:
    data, other = make.chart(), make.chart(description="other")
    forgiving.form(("chart", "x", data), ("prov", "y", make.provenance(data)))
    assert forgiving.push(other, "?force").status == 201
    assert forgiving.get("charts/demo-1.0.0.tgz.prov").status == 404
    signed = make.provenance(other, description="other")
    assert forgiving.request("POST", "api/prov?force", signed).status == 201
    assert forgiving.get("charts/demo-1.0.0.tgz.prov").body == signed


# the API


def test_the_api_lists_charts_versions_and_one_of_them(charts: Repository) -> None:
    for name, version in (("b", "1.0.0"), ("demo", "1.0.0"), ("demo", "1.1.0"), ("demo", "2.0.0-rc.1")):
        charts.push(make.chart(name, version))
    assert list(charts.get("api/charts").json()) == ["b", "demo"]
    assert list(charts.get("api/charts?offset=1&limit=1").json()) == ["demo"]
    every = charts.get("api/charts/demo").json()
    assert [one["version"] for one in every] == ["2.0.0-rc.1", "1.1.0", "1.0.0"]
    assert every == charts.index()["demo"]
    for wanted, version in (("1.0.0", "1.0.0"), ("latest", "1.1.0"), ("%5E1", "1.1.0"), ("~1.0.0", "1.0.0")):
        assert charts.get(f"api/charts/demo/{wanted}").json()["version"] == version
    assert charts.request("HEAD", "api/charts/demo").status == 200
    assert charts.request("HEAD", "api/charts/demo/1.0.0").status == 200
    for path in ("api/charts/none", "api/charts/demo/9.9.9", "api/charts/a%2Fb", "api/charts/demo/%3E5"):
        reply = charts.get(path)
        assert (reply.status, error(reply)) == (404, "chart not found")
        assert charts.request("HEAD", path).status == 404
    for query in ("offset=x", "offset=-1", "limit=0", "limit=", "limit=99999999999"):
        assert charts.get(f"api/charts?{query}").status == 400
    assert charts.get("api/charts/demo/~~1").status == 400
    reply = charts.request("DELETE", "api/charts/demo/latest")
    assert (reply.status, error(reply)) == (404, "chart not found")


def test_the_api_gives_what_is_in_a_chart(charts: Repository) -> None:
    charts.push(make.chart())
    values = charts.get("api/charts/demo/1.0.0/values")
    assert (values.status, values.body, values.header("content-type")) == (200, make.VALUES, "application/yaml")
    told = charts.get("api/charts/demo/1.0.0/templates").json()
    assert told["values"] == {"replicas": 1, "image": {"tag": "1.10"}}
    assert [(one["name"], b64decode(one["data"])) for one in told["templates"]] == [
        ("templates/map.yaml", make.TEMPLATE)
    ]
    charts.push(make.pack({"bare/Chart.yaml": make.chart_yaml("bare")}))
    assert charts.get("api/charts/bare/1.0.0/values").status == 404
    assert charts.get("api/charts/bare/1.0.0/templates").json() == {"templates": [], "values": {}}


def test_scripts_learn_that_the_api_is_there(charts: Repository) -> None:
    assert charts.get("health").json() == {"healthy": True}
    assert charts.get("info").json()["version"].startswith("v0.")


# who may


def test_each_needs_its_right(running: Registry) -> None:
    secret = Repository(running, public=False)
    secret.push(make.chart())
    running.person("rita", **{secret.key: "read"})
    running.person("walt", **{secret.key: "read write"})
    reply = secret.get("index.yaml")
    assert (reply.status, reply.header("www-authenticate")) == (401, 'Basic realm="helm"')
    assert secret.request("GET", "index.yaml", user="rita").status == 200
    assert secret.push(make.chart(version="2.0.0"), user="rita").status == 403
    assert secret.push(make.chart(version="2.0.0"), user="walt").status == 201
    assert secret.request("DELETE", "api/charts/demo/2.0.0", user="walt").status == 403


# other ways in


def test_whole_versions_can_be_taken_away_by_the_registry(charts: Repository) -> None:
    data = make.chart()
    charts.form(("chart", "x", data), ("prov", "y", make.provenance(data)))
    target = Target(charts.row.id, charts.row.settings, SYSTEM)
    charts.running.publishing.delete_version(target, "demo", "1.0.0")
    assert charts.index() == {}
    assert charts.get("charts/demo-1.0.0.tgz.prov").status == 404


def test_a_download_is_counted(running: Registry, charts: Repository) -> None:
    charts.push(make.chart())
    before = len(running.downloads)
    charts.get("charts/demo-1.0.0.tgz")
    assert len(running.downloads) == before + 1


def test_errors_are_json_on_any_address(charts: Repository) -> None:
    for method, path in (
        ("GET", "nothing"),
        ("PUT", "index.yaml"),
        ("GET", "charts/x-1.0.0.tgz"),
        ("GET", "artifacthub-repo.yml"),
    ):
        reply = charts.request(method, path)
        assert reply.status in {404, 405}
        assert json.loads(reply.body)["error"]


def test_no_name_in_an_address_makes_the_server_fail(charts: Repository) -> None:
    for name in ("a%00b", "%ff", "%F0%9F%92%A9", "..", "%2e%2e", "a%2Fb", "a" * 3000):
        for path in (f"charts/{name}.tgz", f"charts/{name}.tgz.prov", f"api/charts/{name}", f"api/charts/x/{name}"):
            assert charts.get(path).status in {400, 404}, path
            assert charts.request("DELETE", f"api/charts/x/{name}").status in {400, 404}
