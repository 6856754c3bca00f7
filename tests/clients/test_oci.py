"""crane, skopeo, regctl and helm against a running registry: what people type, and what they see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Person, Registry, Repository
from tests.samples.helm import make as helm_make
from tests.samples.oci import make

BUILDERS = {"crane": (1, 24), "regctl": (1, 25), "helm": (1, 24)}
"""The oldest go that builds each."""


@pytest.fixture
def libs(registry: Registry) -> Repository:
    """A repository with an owner `ada` and a reader `rita`; others may read it too."""
    return registry.repository("oci", "v2", ada="read write delete", rita="read")


@pytest.fixture
def vault(registry: Registry) -> Repository:
    """The same, for nobody else."""
    return registry.repository("docker", "v2", public=False, ada="read write delete", rita="read")


class Desk(Machine):
    """A machine with the clients of containers; they know the password or token of whoever signed in last."""

    def __init__(self, home: Path, registry: Registry) -> None:
        super().__init__(home, {"REGISTRY_AUTH_FILE": str(home / "auth.json")})
        self.host = registry.url.removeprefix("http://")

    def need(self, *programs: str) -> None:
        """Skip the test where there are none; in CI, fail it if there is a go that could have built them."""
        for program in programs:
            if (CLIENTS / "bin" / program).exists():
                continue
            if os.environ.get("CI") and _go_version() >= BUILDERS[program]:
                pytest.fail(f"{program} was not built: make clients")
            pytest.skip(f"{program} is not installed: make clients")

    def name(self, libs: Repository, rest: str = "") -> str:
        return f"{self.host}/{libs.key}{rest}"

    def crane(self, *arguments: str, fails: bool = False) -> str:
        self.need("crane")
        return self.run("crane", *arguments, "--insecure", fails=fails)

    def skopeo(self, command: str, *arguments: str | Path, fails: bool = False) -> str:
        self.require("skopeo")
        secure = {"copy": ("--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false")}
        return self.run("skopeo", *secure.get(command, (command, "--tls-verify=false")), *arguments, fails=fails)

    def regctl(self, *arguments: str, fails: bool = False) -> str:
        self.need("regctl")
        return self.run(
            "regctl", "--verbosity", "error", "--host", f"reg={self.host},tls=disabled", *arguments, fails=fails
        )

    def sign_in(self, person: Person, secret: str = "") -> None:
        """In the file that all of these clients look into. secret: the password, unless another one is given."""
        self.run("crane", "auth", "login", self.host, "-u", person.name, "-p", secret or person.password, "--insecure")

    def layer(self, text: str) -> Path:
        """A tar with one file."""
        folder = self.folder("layer")
        (folder / "said.txt").write_text(text)
        with tarfile.open(folder / "layer.tar", "w") as archive:
            archive.add(folder / "said.txt", "said.txt")
        return folder / "layer.tar"

    def layout(self, sample: make.Image, tag: str = "1") -> Path:
        """A directory in the layout of OCI, with one image."""
        folder = self.folder("layout")
        (folder / "blobs/sha256").mkdir(parents=True)
        for data in (*sample.blobs, sample.manifest):
            (folder / "blobs/sha256" / make.digest(data).removeprefix("sha256:")).write_bytes(data)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        listed = make.descriptor(
            sample.manifest, make.OCI_MANIFEST, annotations={"org.opencontainers.image.ref.name": tag}
        )
        index = {"schemaVersion": 2, "mediaType": make.OCI_INDEX, "manifests": [listed]}
        (folder / "index.json").write_text(json.dumps(index))
        return folder


def _go_version() -> tuple[int, ...]:
    try:
        said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Desk:
    return Desk(tmp_path, registry)


@pytest.fixture
def ada(desk: Desk, registry: Registry) -> Desk:
    """The desk of the owner."""
    desk.need("crane")
    desk.sign_in(registry.person("ada"))
    return desk


# crane


def test_crane_pushes_and_pulls(ada: Desk, libs: Repository) -> None:
    image = ada.name(libs, "/tools/hello")
    ada.crane("append", "-f", str(ada.layer("hello")), "-t", f"{image}:1")
    ada.crane("pull", f"{image}:1", "pulled.tar")
    with tarfile.open(ada.home / "pulled.tar") as archive:
        names = archive.getnames()
    assert "manifest.json" in names
    assert "said.txt" in ada.crane("export", f"{image}:1", "-")
    assert ada.crane("ls", image).split() == ["1"]
    assert f"{libs.key}/tools/hello" in ada.crane("catalog", ada.host).split()
    assert json.loads(ada.crane("config", f"{image}:1"))["rootfs"]["type"] == "layers"


def test_a_pushed_tag_moves_and_a_deleted_one_is_gone(ada: Desk, libs: Repository) -> None:
    image = ada.name(libs, "/moving")
    ada.crane("append", "-f", str(ada.layer("first")), "-t", f"{image}:latest")
    first = ada.crane("digest", f"{image}:latest").strip()
    ada.crane("tag", f"{image}:latest", "kept")
    ada.crane("append", "-f", str(ada.layer("second")), "-t", f"{image}:latest")
    second = ada.crane("digest", f"{image}:latest").strip()
    assert first != second
    assert ada.crane("digest", f"{image}:kept").strip() == first
    ada.crane("delete", f"{image}:latest")
    assert ada.crane("ls", image).split() == ["kept"]
    assert "MANIFEST_UNKNOWN" in ada.crane("manifest", f"{image}:latest", fails=True)
    ada.crane("delete", f"{image}@{first}")
    assert ada.crane("ls", image).split() == []


def test_crane_mounts_what_another_repository_has(ada: Desk, libs: Repository, vault: Repository) -> None:
    ada.crane("append", "-f", str(ada.layer("mounted")), "-t", f"{ada.name(vault)}/src:1")
    said = ada.crane("copy", f"{ada.name(vault)}/src:1", f"{ada.name(libs)}/a/b/dst:2")
    assert "mounted blob" in said
    assert ada.crane("digest", f"{ada.name(libs)}/a/b/dst:2") == ada.crane("digest", f"{ada.name(vault)}/src:1")


def test_the_repository_alone_is_an_image(ada: Desk, libs: Repository) -> None:
    ada.crane("append", "-f", str(ada.layer("root")), "-t", f"{ada.name(libs)}:1")
    assert ada.crane("ls", ada.name(libs)).split() == ["1"]


def test_nobody_pushes_without_permission(desk: Desk, registry: Registry, libs: Repository, vault: Repository) -> None:
    desk.need("crane")
    ada = Desk(desk.folder("ada"), registry)
    ada.sign_in(registry.person("ada"))
    for repository in (libs, vault):
        ada.crane("append", "-f", str(ada.layer("there")), "-t", f"{ada.name(repository)}/img:1")
    push = ("append", "-f", str(desk.layer("no")), "-t", f"{desk.name(libs)}/img:2")
    assert "UNAUTHORIZED" in desk.crane(*push, fails=True)
    assert "schemaVersion" in desk.crane("manifest", f"{desk.name(libs)}/img:1")
    assert "UNAUTHORIZED" in desk.crane("manifest", f"{desk.name(vault)}/img:1", fails=True)
    desk.sign_in(registry.person("rita"))
    assert "DENIED" in desk.crane(*push, fails=True)
    assert "DENIED" in desk.crane("delete", f"{desk.name(libs)}/img:1", fails=True)
    assert "schemaVersion" in desk.crane("manifest", f"{desk.name(vault)}/img:1")
    desk.sign_in(registry.person("nora"))
    assert "NAME_UNKNOWN" in desk.crane("manifest", f"{desk.name(vault)}/img:1", fails=True)
    assert f"{vault.key}/img" not in desk.crane("catalog", desk.host)
    desk.sign_in(registry.person("ada"), registry.person("ada").token)
    desk.crane(*push)


def test_the_past_is_pulled_from_a_snapshot(ada: Desk, registry: Registry, libs: Repository) -> None:
    image = ada.name(libs, "/img")
    ada.crane("append", "-f", str(ada.layer("then")), "-t", f"{image}:latest")
    then = ada.crane("digest", f"{image}:latest")
    body = {"key": f"{libs.key}-then", "name": "then", "format": "oci", "repo_type": "snapshot", "is_public": True}
    body |= {"snapshot_of": libs.key, "snapshot_at": libs.now().removeprefix("@")}
    registry.done("POST", "/api/v1/repositories", body)
    ada.crane("append", "-f", str(ada.layer("now")), "-t", f"{image}:latest")
    past = f"{ada.host}/{libs.key}-then/img"
    assert ada.crane("digest", f"{past}:latest") == then != ada.crane("digest", f"{image}:latest")
    ada.crane("pull", f"{past}:latest", "then.tar")
    refused = ada.crane("append", "-f", str(ada.layer("late")), "-t", f"{past}:latest", fails=True)
    assert "DENIED" in refused


def test_images_come_through_a_virtual_repository(ada: Desk, registry: Registry, libs: Repository) -> None:
    ada.crane("append", "-f", str(ada.layer("upstream")), "-t", f"{ada.name(libs)}/img:1")
    mirror = registry.repository(
        "oci", "v2", settings={"repo_type": "remote", "upstream_url": f"{registry.url}/v2/{libs.key}"}
    )
    own = registry.repository("oci", "v2", ada="read write")
    members = [{"repo_key": own.key}, {"repo_key": mirror.key}]
    both = registry.repository("oci", "v2", settings={"repo_type": "virtual", "member_repos": members})
    ada.crane("append", "-f", str(ada.layer("own")), "-t", f"{ada.name(own)}/ours:1")
    for image in ("img", "ours"):
        ada.crane("pull", f"{ada.name(both)}/{image}:1", f"{image}.tar")
        assert ada.crane("ls", f"{ada.name(both)}/{image}").split() == ["1"]
    assert ada.crane("digest", f"{ada.name(both)}/img:1") == ada.crane("digest", f"{ada.name(libs)}/img:1")
    refused = ada.crane("append", "-f", str(ada.layer("no")), "-t", f"{ada.name(mirror)}/img:2", fails=True)
    assert "DENIED" in refused or "UNSUPPORTED" in refused


# skopeo


def test_skopeo_copies_inspects_and_deletes(ada: Desk, libs: Repository) -> None:
    sample = make.image("skopeo", [make.layer({"a": "1"}), make.layer({"b": "2"})])
    image = f"docker://{ada.name(libs)}/sk"
    ada.env["REGISTRY_AUTH_FILE"] = str(ada.home / ".docker/config.json")
    ada.skopeo("copy", f"oci:{ada.layout(sample)}:1", f"{image}:1")
    seen = json.loads(ada.skopeo("inspect", f"{image}:1"))
    assert (seen["Digest"], seen["RepoTags"], seen["Labels"]) == (sample.digest, ["1"], {"mark": "skopeo"})
    ada.skopeo("copy", f"{image}:1", f"dir:{ada.home}/copied")
    assert (ada.home / "copied/manifest.json").read_bytes() == sample.manifest
    ada.skopeo("copy", f"{image}:1", f"docker://{ada.name(libs)}/other:2")
    ada.skopeo("copy", "--format", "v2s2", f"{image}:1", f"{image}:docker")
    raw = json.loads(ada.skopeo("inspect", "--raw", f"{image}:docker"))
    assert raw["mediaType"] == make.DOCKER_MANIFEST
    assert json.loads(ada.skopeo("list-tags", image))["Tags"] == ["1", "docker"]
    ada.skopeo("delete", f"{image}:1")
    assert json.loads(ada.skopeo("list-tags", image))["Tags"] == ["docker"]


def test_skopeo_signs_in_with_a_password_or_a_token(desk: Desk, registry: Registry, vault: Repository) -> None:
    ada = registry.person("ada")
    for secret in (ada.password, ada.token):
        assert "Login Succeeded" in desk.skopeo("login", "-u", "ada", "-p", secret, desk.host)
        desk.skopeo("copy", f"oci:{desk.layout(make.image('in'))}:1", f"docker://{desk.name(vault)}/img:1")
        desk.skopeo("logout", desk.host)
    wrong = desk.skopeo("login", "-u", "ada", "-p", "wrong", desk.host, fails=True)
    assert "invalid username/password" in wrong
    assert "unauthorized" in desk.skopeo("inspect", f"docker://{desk.name(vault)}/img:1", fails=True)


# regctl


def test_regctl_finds_what_refers_to_an_image(ada: Desk, libs: Repository) -> None:
    image = f"{ada.name(libs)}/signed"
    ada.crane("append", "-f", str(ada.layer("signed")), "-t", f"{image}:1")
    (ada.home / "sbom.json").write_text('{"sbom":true}')
    put = ("artifact", "put", "--artifact-type", "application/x.sbom", "--annotation", "by=ada", "--file", "sbom.json")
    ada.regctl(*put, "--subject", f"{image}:1")
    ada.regctl(
        "artifact", "put", "--artifact-type", "application/x.other", "--file", "sbom.json", "--subject", f"{image}:1"
    )
    listed = json.loads(ada.regctl("artifact", "list", f"{image}:1", "--format", "raw-body"))
    assert {one["artifactType"] for one in listed["manifests"]} == {"application/x.sbom", "application/x.other"}
    only = ("artifact", "list", f"{image}:1", "--filter-artifact-type", "application/x.sbom", "--format", "raw-body")
    (found,) = json.loads(ada.regctl(*only))["manifests"]
    assert found["annotations"]["by"] == "ada"
    got = ada.regctl("artifact", "get", "--subject", f"{image}:1", "--filter-artifact-type", "application/x.sbom")
    assert json.loads(got) == {"sbom": True}
    assert ada.regctl("tag", "ls", image).split() == ["1"]
    ada.regctl("image", "copy", "--referrers", f"{image}:1", f"{ada.name(libs)}/copied:1")
    copied = json.loads(ada.regctl("artifact", "list", f"{ada.name(libs)}/copied:1", "--format", "raw-body"))
    assert len(copied["manifests"]) == 2


def test_regctl_makes_an_index_and_deletes_a_tag(ada: Desk, libs: Repository) -> None:
    image = f"{ada.name(libs)}/multi"
    for number in ("a", "b"):
        ada.crane("append", "-f", str(ada.layer(number)), "-t", f"{image}:{number}")
    ada.regctl("index", "create", f"{image}:all", "--ref", f"{image}:a", "--ref", f"{image}:b")
    listed = json.loads(ada.regctl("manifest", "get", f"{image}:all", "--format", "raw-body"))
    assert len(listed["manifests"]) == 2
    assert ada.regctl("tag", "ls", image).split() == ["a", "all", "b"]
    ada.regctl("tag", "delete", f"{image}:a")
    assert ada.regctl("tag", "ls", image).split() == ["all", "b"]


# helm


def test_helm_keeps_charts_among_images(desk: Desk, registry: Registry) -> None:
    desk.need("helm")
    charts = registry.repository("helmoci", "v2", public=False, ada="read write", rita="read")
    (desk.home / "demo-1.0.0+build.tgz").write_bytes(helm_make.chart("demo", "1.0.0+build"))
    where = f"oci://{desk.name(charts)}/charts"
    ada, rita = registry.person("ada"), registry.person("rita")
    login = ("helm", "registry", "login", desk.host, "--plain-http")
    desk.run(*login, "-u", rita.name, "-p", rita.password)
    assert "403" in desk.run("helm", "push", "demo-1.0.0+build.tgz", where, "--plain-http", fails=True)
    desk.run(*login, "-u", ada.name, "-p", ada.token)
    assert "Pushed:" in desk.run("helm", "push", "demo-1.0.0+build.tgz", where, "--plain-http")
    desk.run("helm", "pull", f"{where}/demo", "--version", "1.0.0+build", "--plain-http", folder=desk.folder("pulled"))
    pulled = (desk.home / "pulled/demo-1.0.0+build.tgz").read_bytes()
    assert pulled == (desk.home / "demo-1.0.0+build.tgz").read_bytes()
    assert "name: demo" in desk.run("helm", "show", "chart", f"{where}/demo", "--plain-http")
