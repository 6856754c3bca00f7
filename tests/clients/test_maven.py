"""Maven against the running registry: deploy, resolve, refuse, read the past."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Registry, Repository
from tests.samples.maven import make

PLUGINS = "org.apache.maven.plugins:maven"
DEPLOY = f"{PLUGINS}-deploy-plugin:3.1.4"
DEPENDENCY = f"{PLUGINS}-dependency-plugin:3.8.1"
LIFECYCLE = {
    "resources": "3.3.1",
    "compiler": "3.14.0",
    "surefire": "3.5.3",
    "jar": "3.4.2",
    "source": "3.3.1",
    "install": "3.1.4",
}
WARM = CLIENTS / "m2"
"""What Maven itself needs, fetched once for all tests."""

TAKEN = "409"


class Desk(Machine):
    """A machine with Maven: an empty home, the local repository filled with plugins alone."""

    def __init__(self, home: Path, local: Path) -> None:
        super().__init__(home, {"MAVEN_OPTS": f"-Duser.home={home} -Xshare:auto -XX:TieredStopAtLevel=1"})
        self.require("mvn", "java")
        self.local = local
        self.settings = home / ".m2" / "settings.xml"

    def configure(self, user: str = "", password: str = "", plugins_from: str = "", group: str = "") -> None:
        """Whose machine it is: the user's own settings, and what the registry needs. group: of plugins, by prefix."""
        servers = f"<server><id>ak</id><username>{user}</username><password>{password}</password></server>"
        profile = (
            "<profile><id>ak</id><pluginRepositories><pluginRepository><id>ak</id>"
            f"<url>{plugins_from}</url></pluginRepository></pluginRepositories></profile>"
        )
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_text(
            settings_with(
                servers=servers if user else "",
                profiles=profile if plugins_from else "",
                activeProfiles="<activeProfile>ak</activeProfile>" if plugins_from else "",
                pluginGroups=f"<pluginGroup>{group}</pluginGroup>" if group else "",
            )
        )

    def mvn(self, *arguments: str, folder: Path | None = None, fails: bool = False) -> str:
        """Maven in batch mode that takes nothing with a wrong checksum."""
        command = ("mvn", "-B", "-C", "-ntp", "-Dstyle.color=never", "-s", self.settings)
        return self.run(*command, f"-Dmaven.repo.local={self.local}", *arguments, folder=folder, fails=fails)

    def deploy(
        self, url: str, version: str, mark: str = "", artifact: str = "demo", *arguments: str, fails: bool = False
    ) -> str:
        """Deploy a file as people do that have only a jar."""
        jar = self.folder("built") / f"{artifact}.jar"
        jar.write_bytes(make.jar({"mark.txt": mark or version}))
        return self.deploy_file(url, jar, artifact, version, *arguments, fails=fails)

    def deploy_file(
        self, url: str, jar: Path, artifact: str, version: str, *arguments: str, fails: bool = False
    ) -> str:
        coordinates = ("-DgroupId=com.acme", f"-DartifactId={artifact}", f"-Dversion={version}", "-Dpackaging=jar")
        return self.mvn(
            f"{DEPLOY}:deploy-file",
            f"-Durl={url}",
            "-DrepositoryId=ak",
            f"-Dfile={jar}",
            *(arguments or coordinates),
            fails=fails,
        )

    def get(self, url: str, version: str, artifact: str = "demo", fails: bool = False) -> str:
        """Fetch into the local repository, newer snapshots too."""
        return self.mvn(
            "-U",
            f"{DEPENDENCY}:get",
            f"-DremoteRepositories=ak::default::{url}",
            f"-Dartifact=com.acme:{artifact}:{version}",
            "-Dtransitive=false",
            fails=fails,
        )

    def forget(self) -> None:
        """Have nothing of what was deployed."""
        shutil.rmtree(self.local / "com" / "acme", ignore_errors=True)

    def fetched(self, version: str, artifact: str = "demo", name: str = "") -> bytes:
        """A jar in the local repository."""
        path = self.local / "com" / "acme" / artifact / version / (name or f"{artifact}-{version}.jar")
        return path.read_bytes()

    def project(self, url: str, version: str, artifact: str = "app", body: str = "") -> Path:
        """A project that takes what it depends on from the registry alone."""
        folder = self.folder("project")
        off = "<releases><enabled>false</enabled></releases><snapshots><enabled>false</enabled></snapshots>"
        repositories = (
            f"<repositories><repository><id>ak</id><url>{url}</url></repository>"
            f"<repository><id>central</id><url>http://127.0.0.1:9/</url>{off}</repository></repositories>"
        )
        locked = "".join(
            f"<plugin><artifactId>maven-{name}-plugin</artifactId><version>{number}</version></plugin>"
            for name, number in {**LIFECYCLE, "deploy": DEPLOY.rpartition(":")[2]}.items()
        )
        build = (
            f"<build><pluginManagement><plugins>{locked}</plugins></pluginManagement><plugins><plugin>"
            "<artifactId>maven-source-plugin</artifactId><executions><execution><goals><goal>jar-no-fork</goal></goals>"
            "</execution></executions></plugin></plugins></build>"
        )
        (folder / "pom.xml").write_bytes(make.pom("com.acme", artifact, version, body=repositories + build + body))
        resources = folder / "src" / "main" / "resources"
        resources.mkdir(parents=True)
        (resources / "hello.txt").write_text(f"{artifact} {version}\n")
        return folder

    def depending(self, url: str, version: str) -> Path:
        """A project that depends on a demo."""
        wanted = f"<groupId>com.acme</groupId><artifactId>demo</artifactId><version>{version}</version>"
        return self.project(url, "1", body=f"<dependencies><dependency>{wanted}</dependency></dependencies>")

    def resolved(self, url: str, version: str) -> str:
        """The file name of the demo that a project gets."""
        folder = self.depending(url, version)
        self.mvn("-U", f"{DEPENDENCY}:copy-dependencies", "-Dmdep.useBaseVersion=false", folder=folder)
        return ",".join(sorted(path.name for path in (folder / "target" / "dependency").iterdir()))


def settings_with(**sections: str) -> str:
    """The settings of whoever runs the tests, so that plugins come from where they say, and further sections.

    A mirror of everything is none of the registry that is tested.
    """
    own = Path.home() / ".m2" / "settings.xml"
    root = ET.parse(own).getroot() if own.exists() else ET.Element("settings")
    prefix = root.tag.removesuffix("settings")
    for mirrored in root.iter(f"{prefix}mirrorOf"):
        mirrored.text = f"{(mirrored.text or '').strip()},!ak"
    for name, content in sections.items():
        section = root.find(f"{prefix}{name}")
        if section is None:
            section = ET.SubElement(root, f"{prefix}{name}")
        for child in ET.fromstring(f"<x>{content}</x>"):
            for element in child.iter():
                element.tag = prefix + element.tag
            section.append(child)
    return ET.tostring(root, encoding="unicode")


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local repository with everything that these tests run, made by running it once."""
    used = WARM / f"{DEPLOY} {DEPENDENCY} {LIFECYCLE}".replace("/", "_").replace(" ", "")
    if not used.exists():
        desk = Desk(tmp_path_factory.mktemp("warm"), WARM)
        desk.configure()
        url = desk.folder("elsewhere").as_uri()
        desk.deploy(url, "1.0.0")
        desk.get(url, "1.0.0")
        desk.resolved(url, "1.0.0")
        project = desk.project(url, "1.0.0")
        desk.mvn(f"-DaltDeploymentRepository=ak::{url}", "deploy", folder=project)
        desk.forget()
        used.touch()
    return WARM


@pytest.fixture
def libs(registry: Registry) -> Repository:
    return registry.repository("maven", ada="read write delete", rita="read")


@pytest.fixture
def desk(tmp_path: Path, plugins: Path, registry: Registry) -> Desk:
    """Ada's machine."""
    local = tmp_path / ".m2" / "repository"
    shutil.copytree(plugins, local)
    made = Desk(tmp_path, local)
    ada = registry.person("ada")
    made.configure(ada.name, ada.token)
    return made


def test_a_release_is_deployed_and_resolved(desk: Desk, libs: Repository) -> None:
    desk.deploy(libs.url(), "1.0.0")
    desk.forget()
    desk.get(libs.url(), "1.0.0")
    assert desk.fetched("1.0.0") == make.jar({"mark.txt": "1.0.0"})


def test_a_second_deploy_of_a_release_is_refused_readably(desk: Desk, libs: Repository) -> None:
    desk.deploy(libs.url(), "1.0.0")
    said = desk.deploy(libs.url(), "1.0.0", "other", fails=True)
    assert TAKEN in said
    assert "demo-1.0.0.jar" in said
    desk.forget()
    desk.get(libs.url(), "1.0.0")
    assert desk.fetched("1.0.0") == make.jar({"mark.txt": "1.0.0"})


def test_the_newest_build_of_a_snapshot_is_resolved(desk: Desk, libs: Repository) -> None:
    for mark in ("first", "second"):
        desk.deploy(libs.url(), "2.0-SNAPSHOT", mark)
        time.sleep(1)  # builds are named by the second
    desk.forget()
    desk.get(libs.url(), "2.0-SNAPSHOT")
    assert desk.fetched("2.0-SNAPSHOT") == make.jar({"mark.txt": "second"})
    assert desk.resolved(libs.url(), "2.0-SNAPSHOT").endswith("-2.jar")
    metadata = libs.registry.call("GET", libs.path("com/acme/demo/2.0-SNAPSHOT/maven-metadata.xml"))
    assert b"<buildNumber>2</buildNumber>" in metadata.body


def test_a_project_is_deployed_with_its_sources_and_taken_by_another(desk: Desk, libs: Repository) -> None:
    folder = desk.project(libs.url(), "1.0.0", artifact="demo")
    desk.mvn(f"-DaltDeploymentRepository=ak::{libs.url()}", "deploy", folder=folder)
    desk.forget()
    assert desk.resolved(libs.url(), "1.0.0") == "demo-1.0.0.jar"
    sources = libs.registry.call("GET", libs.path("com/acme/demo/1.0.0/demo-1.0.0-sources.jar"))
    assert (sources.status, sources.body[:2]) == (200, b"PK")


def test_a_range_takes_the_highest_version_in_it(desk: Desk, libs: Repository) -> None:
    for version in ("1.9.0", "1.10.0", "2.0.0"):
        desk.deploy(libs.url(), version)
    desk.forget()
    assert desk.resolved(libs.url(), "[1.0,2.0)") == "demo-1.10.0.jar"
    desk.get(libs.url(), "RELEASE")
    assert desk.fetched("2.0.0") == make.jar({"mark.txt": "2.0.0"})


def test_the_past_is_resolved_as_it_was(desk: Desk, libs: Repository) -> None:
    desk.deploy(libs.url(), "1.0.0")
    desk.deploy(libs.url(), "2.0-SNAPSHOT", "first")
    then = libs.now()
    time.sleep(1)
    desk.deploy(libs.url(), "1.1.0")
    desk.deploy(libs.url(), "2.0-SNAPSHOT", "second")
    ada = libs.registry.person("ada")
    assert libs.registry.call("DELETE", libs.path("com/acme/demo/1.0.0/"), auth=ada).status == 204
    desk.forget()
    desk.get(libs.url(), "1.0.0", fails=True)
    desk.forget()
    assert desk.resolved(libs.url(), "[1.0,1.9]") == "demo-1.1.0.jar"
    desk.forget()
    assert desk.resolved(libs.url(then), "[1.0,1.9]") == "demo-1.0.0.jar"
    desk.get(libs.url(then), "2.0-SNAPSHOT")
    assert desk.fetched("2.0-SNAPSHOT") == make.jar({"mark.txt": "first"})
    assert "405" in desk.deploy(libs.url(then), "3.0.0", fails=True)


def test_who_may_not_is_told_so(desk: Desk, registry: Registry) -> None:
    libs = registry.repository("maven", public=False, ada="read write", rita="read")
    desk.deploy(libs.url(), "1.0.0")
    rita = registry.person("rita")
    desk.configure(rita.name, rita.password)
    assert "403" in desk.deploy(libs.url(), "1.1.0", fails=True)
    desk.forget()
    assert desk.resolved(libs.url(), "1.0.0") == "demo-1.0.0.jar"
    desk.configure(rita.name, "wrong")
    assert "401" in desk.deploy(libs.url(), "1.1.0", fails=True)
    desk.configure()
    desk.forget()
    assert "401" in desk.get(libs.url(), "1.0.0", fails=True)


def test_a_pom_that_belongs_elsewhere_is_refused(desk: Desk, libs: Repository) -> None:
    folder = desk.folder("lie")
    (folder / "demo.jar").write_bytes(make.jar())
    (folder / "pom.xml").write_bytes(make.pom("org.evil", "demo", "1.0.0"))
    arguments = (f"-DpomFile={folder / 'pom.xml'}", "-DgroupId=com.acme")
    assert "400" in desk.deploy_file(libs.url(), folder / "demo.jar", "demo", "1.0.0", *arguments, fails=True)


def test_a_plugin_is_found_by_its_prefix(desk: Desk, libs: Repository) -> None:
    folder = desk.folder("plugin")
    (folder / "plugin.jar").write_bytes(make.plugin_jar())
    (folder / "pom.xml").write_bytes(make.pom("com.acme.tools", "hello-maven-plugin", "1.0", "maven-plugin"))
    arguments = (f"-DpomFile={folder / 'pom.xml'}",)
    desk.deploy_file(libs.url(), folder / "plugin.jar", "hello-maven-plugin", "1.0", *arguments)
    desk.forget()
    ada = libs.registry.person("ada")
    desk.configure(ada.name, ada.password, plugins_from=libs.url(), group="com.acme.tools")
    said = desk.mvn("hello:nothing", fails=True)
    assert "Could not find goal 'nothing' in plugin com.acme.tools:hello-maven-plugin:1.0" in said


def put(libs: Repository, version: str, mark: str, artifact: str = "demo") -> None:
    """A release, without Maven."""
    base, ada = f"com/acme/{artifact}/{version}/{artifact}-{version}", libs.registry.person("ada")
    files = {"jar": make.jar({"mark.txt": mark}), "pom": make.pom("com.acme", artifact, version)}
    for extension, content in files.items():
        assert libs.registry.call("PUT", libs.path(f"{base}.{extension}"), content, auth=ada).status == 201


def test_artifacts_of_another_repository_are_resolved_beside_ours(desk: Desk, libs: Repository) -> None:
    registry = libs.registry
    ours = registry.repository("maven", ada="read write")
    fields = {"repo_type": "remote", "upstream_url": libs.url().rstrip("/")}
    remote = registry.repository("maven", settings=fields)
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    settings = {"repo_type": "virtual", "member_repos": members, "publish_to": ours.key}
    every = registry.repository("maven", settings=settings, ada="read write")
    put(libs, "1.0.0", "theirs")
    put(libs, "9.0.0", "evil", artifact="mine")
    desk.deploy(every.url(), "1.0.0", "ours", artifact="mine")
    desk.forget()
    assert desk.resolved(every.url(), "[1.0,1.9]") == "demo-1.0.0.jar"
    assert desk.fetched("1.0.0") == make.jar({"mark.txt": "theirs"})
    desk.get(every.url(), "LATEST", artifact="mine")
    assert desk.fetched("1.0.0", "mine") == make.jar({"mark.txt": "ours"})
    then = every.now()
    put(libs, "1.1.0", "theirs")
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    desk.forget()
    assert desk.resolved(every.url(), "[1.0,1.9]") == "demo-1.1.0.jar"
    desk.forget()
    assert desk.resolved(every.url(then), "[1.0,1.9]") == "demo-1.0.0.jar"
