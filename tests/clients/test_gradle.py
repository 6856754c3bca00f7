"""Gradle against the running registry: fixed, dynamic and changing versions, who may, and the past."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Person, Registry, Repository
from tests.samples.maven import make

BUILD = """
repositories {{ maven {{ url '{url}'{credentials} }} }}
configurations.all {{
    resolutionStrategy.cacheDynamicVersionsFor 0, 'seconds'
    resolutionStrategy.cacheChangingModulesFor 0, 'seconds'
}}
task fetch {{}}
"""
FETCH = """
configurations {{ wanted{number} }}
dependencies {{ wanted{number} 'com.acme:demo:{version}' }}
task fetch{number}(type: Copy) {{ from configurations.wanted{number}; into 'fetched/{number}' }}
fetch.dependsOn fetch{number}
"""
CREDENTIALS = "; credentials {{ username '{}'; password '{}' }}"
FIRST, SECOND = "20260303.101500-1", "20260304.080000-2"


class Desk(Machine):
    """A machine with Gradle."""

    def __init__(self, home: Path) -> None:
        self.said = ""
        super().__init__(home, {"GRADLE_USER_HOME": str(home / ".gradle"), "JAVA_OPTS": f"-Duser.home={home}"})
        self.require("gradle", "java")

    def run_build(self, url: str, versions: tuple[str, ...], who: tuple[str, str], *, fails: bool = False) -> Path:
        """A project that takes these versions; what Gradle says is in `said`."""
        folder = self.folder("project")
        parts = [BUILD.format(url=url, credentials=CREDENTIALS.format(*who))]
        parts += [FETCH.format(number=number, version=version) for number, version in enumerate(versions)]
        (folder / "settings.gradle").write_text("rootProject.name = 'app'\n")
        (folder / "build.gradle").write_text("".join(parts))
        self.said = self.run("gradle", "--no-daemon", "-q", "fetch", folder=folder, fails=fails)
        return folder / "fetched"

    def fetch(self, url: str, *versions: str, who: tuple[str, str]) -> list[bytes]:
        """The jar that a project gets for each version."""
        fetched = self.run_build(url, versions, who)
        return [next((fetched / str(number)).iterdir()).read_bytes() for number in range(len(versions))]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def libs(registry: Registry) -> Repository:
    return registry.repository("gradle", "maven", public=False, ada="read write delete", rita="read")


@pytest.fixture
def rita(registry: Registry) -> Person:
    return registry.person("rita")


def deploy(libs: Repository, version: str, build: str = "", mark: str = "") -> None:
    """A jar and its POM, as clients send them. build: of a snapshot, its timestamp and number."""
    file_version = version.replace("SNAPSHOT", build) if build else version
    base = f"com/acme/demo/{version}/demo-{file_version}"
    ada = libs.registry.person("ada")
    for extension, data in (("jar", make.jar({"mark.txt": mark or version})), ("pom", make.pom(version=version))):
        assert libs.registry.call("PUT", libs.path(f"{base}.{extension}"), data, auth=ada).status == 201


def jar(mark: str) -> bytes:
    return make.jar({"mark.txt": mark})


def test_fixed_and_dynamic_versions_are_resolved_now_and_in_the_past(
    desk: Desk, libs: Repository, rita: Person
) -> None:
    who = (rita.name, rita.token)
    deploy(libs, "1.9.0")
    then = libs.now()
    deploy(libs, "1.10.0")
    deploy(libs, "2.0.0")
    found = desk.fetch(libs.url(), "1.9.0", "1.+", "latest.release", who=who)
    assert found == [jar("1.9.0"), jar("1.10.0"), jar("2.0.0")]
    assert desk.fetch(libs.url(then), "1.+", who=who) == [jar("1.9.0")]


def test_the_newest_build_of_a_snapshot_is_resolved(desk: Desk, libs: Repository, rita: Person) -> None:
    who = (rita.name, rita.token)
    deploy(libs, "2.0-SNAPSHOT", FIRST, "first")
    then = libs.now()
    assert desk.fetch(libs.url(), "2.0-SNAPSHOT", who=who) == [jar("first")]
    deploy(libs, "2.0-SNAPSHOT", SECOND, "second")
    assert desk.fetch(libs.url(), "2.0-SNAPSHOT", who=who) == [jar("second")]
    assert desk.fetch(libs.url(then), "2.0-SNAPSHOT", who=who) == [jar("first")]


def test_who_may_not_read_is_told_so(desk: Desk, libs: Repository, rita: Person) -> None:
    deploy(libs, "1.0.0")
    desk.run_build(libs.url(), ("1.0.0",), (rita.name, "wrong"), fails=True)
    assert "401" in desk.said


def test_versions_of_another_repository_are_resolved_now_and_in_the_past(
    desk: Desk, registry: Registry, rita: Person
) -> None:
    who = (rita.name, rita.token)
    theirs = registry.repository("maven", ada="read write")
    fields = {"repo_type": "remote", "upstream_url": theirs.url().rstrip("/")}
    remote = registry.repository("maven", settings=fields)
    every = registry.repository("maven", settings={"repo_type": "virtual", "member_repos": [{"repo_key": remote.key}]})
    deploy(theirs, "1.9.0")
    for path in ("maven-metadata.xml", "1.9.0/demo-1.9.0.pom", "1.9.0/demo-1.9.0.jar"):
        assert registry.call("GET", every.path(f"com/acme/demo/{path}")).status == 200
    then = every.now()
    deploy(theirs, "1.10.0")
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    assert desk.fetch(every.url(), "latest.release", "1.9.0", who=who) == [jar("1.10.0"), jar("1.9.0")]
    assert desk.fetch(every.url(then), "1.+", who=who) == [jar("1.9.0")]
