"""NuGet's own clients against the running registry: 5.8 by the third protocol, 2.8 by the second, both on Mono."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Registry, Repository
from tests.samples.nuget import make

NEW = CLIENTS / "nuget" / "node_modules" / "nuget-exe" / "nuget-5.8.0.exe"

_CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<configuration><packageSources><clear /></packageSources></configuration>
"""


@pytest.fixture
def feed(registry: Registry) -> Repository:
    """A repository with an owner `ada` and a reader `rita`, which everybody may read."""
    return registry.repository("nuget", ada="read write delete", rita="read")


class Desk(Machine):
    """A machine with both clients; they know no source but what they are told. new: which of the two it uses."""

    def __init__(self, home: Path, feed: Repository, *, new: bool) -> None:
        super().__init__(home, {"MONO_REGISTRY_PATH": str(home / ".mono")})
        self.require("mono", "nuget")
        if not NEW.exists():
            (pytest.fail if os.environ.get("CI") else pytest.skip)("NuGet 5.8 is not installed: make clients")
        self.feed, self.new = feed, new
        config = self.home / ".config" / "NuGet"
        config.mkdir(parents=True)
        (config / "NuGet.Config").write_text(_CONFIG)

    def source(self, at: str = "") -> str:
        """What the client is told of the repository."""
        return self.feed.url(at) + ("v3/index.json" if self.new else "v2/")

    def nuget(self, *arguments: str | Path, folder: Path | None = None, fails: bool = False) -> str:
        command = ("mono", NEW) if self.new else ("nuget",)
        return self.run(*command, *arguments, "-NonInteractive", folder=folder, fails=fails)

    def package(self, version: str = "1.0.0", name: str = "Demo.Pkg") -> Path:
        """A package with one file in it."""
        file = self.folder("built") / f"{name}.{version}.nupkg"
        extra = {"content/said.txt": f"{name} {version}\n".encode()}
        file.write_bytes(make.package(name, version, extra=extra))
        return file

    def put(self, *versions: str, name: str = "Demo.Pkg") -> None:
        """Have versions in the repository without asking the client."""
        for version in versions:
            ada, body = self.feed.registry.person("ada"), self.package(version, name).read_bytes()
            reply = self.feed.registry.call("PUT", self.feed.path("api/v2/package"), body, auth=ada)
            assert reply.status == 201, reply.body

    def push(self, file: Path, person: str = "ada", *more: str, fails: bool = False, at: str = "") -> str:
        """Push with the token of somebody as key; only the newer client: the older one's forms end without CRLF here."""
        token = self.feed.registry.person(person).token
        wanted = ("push", file.name, token, "-Source", self.source(at), *more)
        return self.nuget(*wanted, folder=file.parent, fails=fails)

    def installed(self, name: str = "Demo.Pkg", *more: str, at: str = "", source: str = "") -> dict[str, str]:
        """Which versions are installed for somebody who wants a package."""
        folder = self.folder("installed")
        once = ("-NoCache", "-DirectDownload") if self.new else ("-NoCache",)
        wanted = (name, "-Source", source or self.source(at), "-OutputDirectory", folder)
        self.nuget("install", *wanted, *once, *more)
        found = (re.match(r"([A-Za-z.]+?)\.(\d.*)", path.name) for path in folder.iterdir() if path.is_dir())
        return {one[1]: one[2] for one in found if one is not None}

    def listed(self, *more: str) -> list[str]:
        """What the newer client lists, each as `Id version`; the older one wants a terminal for that."""
        said = self.nuget("list", *more, "-Source", self.source())
        return [line for line in said.splitlines() if re.match(r"[\w.-]+ \d", line)]


@pytest.fixture(params=[True, False], ids=["third protocol", "second protocol"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, feed: Repository) -> Desk:
    return Desk(tmp_path, feed, new=request.param)


def test_packages_are_packed_pushed_listed_and_installed_with_what_they_need(feed: Repository, tmp_path: Path) -> None:
    desk = Desk(tmp_path, feed, new=True)
    desk.put("1.0.0", "1.5.0", name="Base.Pkg")
    sources = desk.folder("sources")
    (sources / "said.txt").write_text("hello\n")
    files = '<files><file src="said.txt" target="content" /></files></package>'
    manifest = make.nuspec("Demo.Pkg", "2.1.0", body=make.dependencies(("Base.Pkg", "[1.0,2.0)"))).decode()
    (sources / "demo.nuspec").write_text(manifest.replace("</package>", files))
    desk.nuget("pack", "demo.nuspec", folder=sources)
    assert "pushed" in desk.push(sources / "Demo.Pkg.2.1.0.nupkg")
    assert desk.listed() == ["Base.Pkg 1.5.0", "Demo.Pkg 2.1.0"]
    for new in (True, False):
        desk.new = new
        assert desk.installed() == {"Base.Pkg": "1.0.0", "Demo.Pkg": "2.1.0"}


def test_pre_releases_come_only_when_they_are_asked_for(desk: Desk) -> None:
    desk.put("1.9.0", "1.10.0", "2.0.0-rc1")
    if desk.new:
        assert desk.listed("demo") == ["Demo.Pkg 1.10.0"]
        assert {"Demo.Pkg 1.9.0", "Demo.Pkg 1.10.0"} <= set(desk.listed("-AllVersions"))
    assert desk.installed() == {"Demo.Pkg": "1.10.0"}
    assert desk.installed("Demo.Pkg", "-PreRelease") == {"Demo.Pkg": "2.0.0-rc1"}


def test_a_version_is_pushed_once_and_only_by_who_may(feed: Repository, tmp_path: Path) -> None:
    desk = Desk(tmp_path, feed, new=True)
    file = desk.package()
    assert "403" in desk.push(file, "rita", fails=True)
    desk.push(file)
    assert "409" in desk.push(file, fails=True)
    assert "already exists" in desk.push(file, "ada", "-SkipDuplicate")
    then = feed.now()
    assert "405" in desk.push(desk.package("3.0.0"), at=then, fails=True)


def test_what_is_deleted_is_off_the_lists_and_still_installed_by_its_version(desk: Desk) -> None:
    desk.put("1.0.0", "2.0.0")
    token = desk.feed.registry.person("ada").token
    desk.nuget("delete", "Demo.Pkg", "2.0.0", token, "-Source", desk.source())
    if desk.new:
        assert desk.listed() == ["Demo.Pkg 1.0.0"]
    assert desk.installed("demo.pkg", "-Version", "2.0.0") == {"Demo.Pkg": "2.0.0"}


def test_the_past_is_a_source_like_any_other(desk: Desk) -> None:
    desk.put("1.0.0")
    then = desk.feed.now()
    desk.put("2.0.0")
    assert desk.installed(at=then) == {"Demo.Pkg": "1.0.0"}


def test_a_private_feed_takes_what_the_configuration_says(registry: Registry, tmp_path: Path) -> None:
    secret = registry.repository("nuget", public=False, ada="read write", rita="read")
    desk, rita = Desk(tmp_path, secret, new=True), registry.person("rita")
    desk.put("1.0.0")
    said = desk.nuget("install", "Demo.Pkg", "-Source", desk.source(), "-NoCache", "-DirectDownload", fails=True)
    assert "401" in said
    credentials = ("-Username", rita.name, "-Password", rita.token, "-StorePasswordInClearText")
    desk.nuget("sources", "add", "-Name", "ours", "-Source", desk.source(), *credentials)
    assert desk.installed(source="ours") == {"Demo.Pkg": "1.0.0"}


def test_packages_of_another_feed_come_through_ours(registry: Registry, tmp_path: Path) -> None:
    """A remote repository whose upstream is another one here, and a virtual one of it and a hosted one."""
    there = registry.repository("nuget", ada="read write")
    settings = {"repo_type": "remote", "upstream_url": there.url() + "v3/index.json"}
    remote = registry.repository("nuget", settings=settings)
    ours = registry.repository("nuget", ada="read write")
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    both = registry.repository("nuget", settings={"repo_type": "virtual", "member_repos": members})
    ada = registry.person("ada")
    needs = make.dependencies(("Base.Pkg", "1.0"))
    for repository, file in (
        (there, make.package("Base.Pkg", "1.0.0", extra={"content/said.txt": b"base"})),
        (there, make.package("Demo.Pkg", "9.0.0", extra={"content/said.txt": b"theirs"})),
        (ours, make.package("Demo.Pkg", "1.0.0", body=needs, extra={"content/said.txt": b"ours"})),
    ):
        reply = registry.call("PUT", repository.path("api/v2/package"), file, auth=ada)
        assert reply.status == 201, reply.body
    desk = Desk(tmp_path, both, new=True)
    assert desk.installed() == {"Base.Pkg": "1.0.0", "Demo.Pkg": "1.0.0"}
    desk.new = False
    assert desk.installed("Base.Pkg") == {"Base.Pkg": "1.0.0"}
