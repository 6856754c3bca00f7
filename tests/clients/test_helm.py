"""helm against the running registry: add, search, pull, install, depend; uploads by curl and as the plugin sends them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Registry, Repository
from tests.integration.harness import multipart
from tests.samples.helm import make

OLDEST_GO = (1, 24)
"""That builds helm."""

TAKEN = "file already exists: demo-1.0.0.tgz"


def require_helm() -> None:
    """Skip the test where there is no helm; in CI, fail it if there is a go that could have built it."""
    if (CLIENTS / "bin" / "helm").exists():
        return
    if os.environ.get("CI") and _go_version() >= OLDEST_GO:
        pytest.fail("helm was not built: make clients")
    pytest.skip("helm is not installed: make clients")


def _go_version() -> tuple[int, ...]:
    try:
        said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


@pytest.fixture
def charts(registry: Registry) -> Repository:
    """A repository with an owner `ada`, a writer `bob`, and a reader `rita`; for nobody else."""
    return registry.repository("helm", public=False, ada="read write delete", bob="read write", rita="read")


class Desk(Machine):
    """A machine with helm, which knows no repository yet."""

    def __init__(self, home: Path, charts: Repository) -> None:
        super().__init__(home)
        require_helm()
        self.require("curl")
        self.charts = charts
        self.url = charts.url().rstrip("/")

    def helm(self, *arguments: str, folder: Path | None = None, fails: bool = False) -> str:
        return self.run("helm", *arguments, folder=folder, fails=fails)

    def add(self, person: str = "rita", *, name: str = "ours", at: str = "") -> str:
        """Tell helm of the repository."""
        who = self.charts.registry.person(person)
        credentials = ("--username", who.name, "--password", who.token)
        return self.helm("repo", "add", name, self.charts.url(at).rstrip("/"), *credentials)

    def found(self, *arguments: str) -> list[tuple[str, str]]:
        """Name and version of what a search finds."""
        said = self.helm("search", "repo", "-o", "json", *arguments)
        return [(one["name"], one["version"]) for one in json.loads(said)]

    def sources(self, name: str = "demo", *, more: str = "") -> Path:
        """A chart with one template that says its version. more: of its Chart.yaml."""
        folder = self.folder(name) / name
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(
            f"apiVersion: v2\nname: {name}\nversion: 0.0.0\ndescription: Says hello\n{more}"
        )
        (folder / "values.yaml").write_text("greeting: hello\n")
        (folder / "templates" / "map.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Chart.Name }}-{{ .Release.Name }}}\n"
            "data: {said: {{ .Values.greeting }} {{ .Chart.Version }}}\n"
        )
        return folder

    def package(self, name: str = "demo", version: str = "1.0.0", *arguments: str, more: str = "") -> Path:
        """Such a chart, packed."""
        folder = self.sources(name, more=more)
        self.helm("package", folder.name, "--version", version, *arguments, folder=folder.parent)
        return folder.parent / f"{name}-{version}.tgz"

    def curl(self, path: str, *arguments: str, person: str = "ada", at: str = "") -> tuple[int, str]:
        """Status and body of a request to the API."""
        who = self.charts.registry.person(person)
        url = self.charts.url(at).rstrip("/") + path
        said = self.run("curl", "-sS", "-w", "\n%{http_code}", "-u", f"{who.name}:{who.password}", *arguments, url)
        body, _, status = said.rpartition("\n")
        return int(status), body

    def push(self, file: Path, person: str = "ada", *, query: str = "", at: str = "") -> tuple[int, str]:
        """Upload as people do that have no plugin."""
        return self.curl(f"/api/charts{query}", "--data-binary", f"@{file}", person=person, at=at)


@pytest.fixture
def desk(tmp_path: Path, charts: Repository) -> Desk:
    return Desk(tmp_path, charts)


SAVED = (201, '{"saved":true}')


def test_charts_are_added_searched_shown_pulled_and_installed(desk: Desk) -> None:
    for version in ("1.9.0", "1.10.0+build.1", "2.0.0-rc.1"):
        assert desk.push(desk.package(version=version, more='appVersion: "1.10"\n')) == SAVED
    assert '"ours" has been added' in desk.add()
    assert desk.found() == [("ours/demo", "1.10.0+build.1")]
    every = [("ours/demo", version) for version in ("2.0.0-rc.1", "1.10.0+build.1", "1.9.0")]
    assert desk.found("ours/", "--versions", "--devel") == every
    assert desk.found("--regexp", "[Ss]ays hello") == every[1:2]
    shown = desk.helm("show", "chart", "ours/demo")
    assert 'appVersion: "1.10"' in shown
    assert "greeting: hello" in desk.helm("show", "values", "ours/demo", "--version", "~1.9")
    folder = desk.folder("pulled")
    desk.helm("pull", "ours/demo", folder=folder)
    desk.helm("pull", "ours/demo", "--version", "^1.0, <1.10", "--untar", folder=folder)
    assert {path.name for path in folder.iterdir()} >= {"demo-1.10.0+build.1.tgz", "demo"}
    assert "hello 1.10.0+build.1" in desk.helm("template", "mine", "ours/demo")
    assert "hi 1.9.0" in desk.helm("template", "mine", "ours/demo", "--version", "1.9.0", "--set", "greeting=hi")


def test_an_update_shows_what_came_and_what_went(desk: Desk) -> None:
    desk.add()
    assert desk.found() == []
    desk.push(desk.package())
    assert desk.found() == []
    assert "Update Complete" in desk.helm("repo", "update")
    assert desk.found() == [("ours/demo", "1.0.0")]
    status, said = desk.curl("/api/charts/demo/1.0.0", "-X", "DELETE", person="bob")
    assert (status, "delete" in said) == (403, True)
    assert desk.curl("/api/charts/demo/1.0.0", "-X", "DELETE") == (200, '{"deleted":true}')
    desk.helm("repo", "update")
    assert desk.found() == []
    assert "not found" in desk.helm("pull", "ours/demo", fails=True)


def test_a_version_is_published_once(desk: Desk) -> None:
    file = desk.package()
    assert desk.push(file) == SAVED
    other = desk.package(more="icon: https://example.org/i.png\n")
    for query in ("", "?force"):
        status, said = desk.push(other, query=query)
        assert (status, json.loads(said)) == (409, {"error": TAKEN})
    assert desk.push(file) == SAVED
    desk.add()
    desk.helm("pull", "ours/demo")
    assert (desk.home / "demo-1.0.0.tgz").read_bytes() == file.read_bytes()


def test_only_who_may_reads_and_writes(desk: Desk) -> None:
    status, said = desk.push(desk.package(), person="rita")
    assert (status, "write access" in said) == (403, True)
    assert desk.push(desk.package(), person="bob") == SAVED
    said = desk.helm("repo", "add", "ours", desk.url, fails=True)
    assert "401" in said
    said = desk.helm("repo", "add", "ours", desk.url, "--username", "rita", "--password", "wrong", fails=True)
    assert "401" in said
    assert "has been added" in desk.add("rita")


def test_the_past_is_a_repository_like_any_other(desk: Desk) -> None:
    old = desk.package()
    desk.push(old)
    then = desk.charts.now()
    desk.push(desk.package(version="2.0.0"))
    desk.curl("/api/charts/demo/1.0.0", "-X", "DELETE")
    desk.add(name="now")
    desk.add(name="then", at=then)
    assert sorted(desk.found("--versions")) == [("now/demo", "2.0.0"), ("then/demo", "1.0.0")]
    assert "hello 1.0.0" in desk.helm("template", "mine", "then/demo")
    status, said = desk.push(old, at=then)
    assert (status, "past" in said) == (405, True)


def test_dependencies_come_from_the_repository(desk: Desk) -> None:
    for version in ("1.0.0", "1.2.0", "2.0.0"):
        desk.push(desk.package("base", version))
    desk.add()
    more = f"dependencies:\n- name: base\n  version: ^1.0\n  repository: {desk.url}\n"
    chart = desk.sources("app", more=more + "- name: base\n  alias: other\n  version: 2.x\n  repository: '@ours'\n")
    desk.helm("dependency", "update", chart.name, folder=chart.parent)
    assert {path.name for path in (chart / "charts").iterdir()} == {"base-1.2.0.tgz", "base-2.0.0.tgz"}
    desk.push(desk.package("base", "1.3.0"))
    desk.run("rm", "-r", chart / "charts")
    desk.helm("dependency", "build", chart.name, folder=chart.parent)
    assert {path.name for path in (chart / "charts").iterdir()} == {"base-1.2.0.tgz", "base-2.0.0.tgz"}, "as locked"
    said = desk.helm("template", "mine", chart.name, folder=chart.parent)
    assert "hello 1.2.0" in said


def test_signed_charts_are_verified_where_they_are_installed(desk: Desk) -> None:
    desk.require("gpg")
    ring, home = desk.home / "ring.gpg", desk.folder("gnupg")
    home.chmod(0o700)
    gpg = ("gpg", "--homedir", home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback", "--quiet")
    desk.run(*gpg, "--quick-gen-key", "Ada <ada@example.org>", "rsa2048", "sign", "never")
    desk.run(*gpg, "--output", ring, "--export-secret-keys")
    desk.run("gpgconf", "--homedir", home, "--kill", "all")
    file = desk.package("demo", "1.0.0", "--sign", "--key", "Ada", "--keyring", str(ring))
    status, said = desk.curl("/api/charts", "-F", f"prov=@{file}.prov", "-F", f"chart=@{file}")
    assert (status, said) == SAVED
    desk.add()
    assert "Signed by: Ada" in desk.helm("pull", "ours/demo", "--verify", "--keyring", str(ring))
    assert (desk.home / "demo-1.0.0.tgz.prov").read_bytes() == Path(f"{file}.prov").read_bytes()
    other = desk.package("demo", "2.0.0")
    status, said = desk.curl("/api/charts", "-F", f"chart=@{other}", "-F", f"prov=@{file}.prov")
    assert (status, "provenance" in said) == (400, True)


def test_the_plugin_that_pushes_is_understood(desk: Desk) -> None:
    """What cm-push sends: one field, the file's whole path, `/api` before the path of the repository, a bare flag."""
    data = make.chart()
    registry, key = desk.charts.registry, desk.charts.key
    body, content_type = multipart([], [("chart", "/home/ada/charts/demo-1.0.0.tgz", data)])
    for path, expected in (
        (f"/api/helm/{key}/charts", 201),
        (f"/helm/{key}/api/charts", 201),
        (f"/api/helm/{key}/charts?force", 201),
    ):
        reply = registry.call("POST", path, body, auth=registry.person("bob"), headers={"content-type": content_type})
        assert (reply.status, reply.json()) == (expected, {"saved": True})
    body, _ = multipart([], [("chart", "x", make.chart(description="other"))])
    reply = registry.call(
        "POST", f"/api/helm/{key}/charts", body, auth=registry.person("bob"), headers={"content-type": content_type}
    )
    assert (reply.status, reply.json()) == (409, {"error": TAKEN})
    desk.add()
    desk.helm("pull", "ours/demo")
    assert hashlib.sha256((desk.home / "demo-1.0.0.tgz").read_bytes()).digest() == hashlib.sha256(data).digest()


def test_charts_of_another_repository_come_through_ours(registry: Registry, tmp_path: Path) -> None:
    """A remote repository whose upstream is another one here, and a virtual one of it and a hosted one."""
    there = registry.repository("helm", ada="read write")
    settings = {"repo_type": "remote", "upstream_url": there.url().rstrip("/")}
    remote = registry.repository("helm", settings=settings)
    ours = registry.repository("helm", ada="read write")
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    both = registry.repository("helm", settings={"repo_type": "virtual", "member_repos": members})
    ada = registry.person("ada")
    for repository, name, version in ((there, "far", "1.0.0"), (there, "demo", "9.0.0"), (ours, "demo", "1.0.0")):
        reply = registry.call("POST", repository.path("api/charts"), make.chart(name, version), auth=ada)
        assert reply.status == 201, reply.body
    desk = Desk(tmp_path, both)
    desk.helm("repo", "add", "ours", desk.url)
    assert desk.found("--versions") == [("ours/demo", "1.0.0"), ("ours/far", "1.0.0")]
    desk.helm("pull", "ours/far")
    desk.helm("pull", "ours/demo")
    assert {path.name for path in desk.home.glob("*.tgz")} == {"demo-1.0.0.tgz", "far-1.0.0.tgz"}
    desk.helm("repo", "add", "there", remote.url().rstrip("/"))
    assert desk.found("there/demo") == [("there/demo", "9.0.0")]
    desk.helm("pull", "there/demo")
