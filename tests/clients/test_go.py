"""The go command against a running registry: modules are put there by curl, as its users do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.clients.machine import CLIENTS, Machine
from tests.clients.registry import Registry, Repository, moment
from tests.samples.go import make
from tests.samples.go.sums import SumDatabase, proxied
from tests.servers.tls import TlsFront, certificate
from tests.servers.upstream import Upstream

_numbers = count(1)

DEMO, KIT = make.MODULE, "example.com/Acme/DemoKit/v2"


@pytest.fixture
def mods(registry: Registry) -> Repository:
    """A repository with a publisher `ada` and a reader `rita`."""
    return registry.repository("go", ada="read write delete", rita="read")


class Desk(Machine):
    """A machine with go and curl; its settings are those of the README."""

    def __init__(self, home: Path, mods: Repository) -> None:
        super().__init__(
            home,
            {
                "GOPATH": str(home / "go"),
                "GOCACHE": str(CLIENTS / "go-build"),
                "GOENV": "off",
                "GOTOOLCHAIN": "local",
                "GOFLAGS": "-mod=mod -modcacherw",
                "GONOSUMDB": "example.com/*",
                "CGO_ENABLED": "0",
            },
        )
        self.require("go", "curl")
        self.mods = mods
        self.configure()

    def configure(self, at: str = "", url: str = "") -> None:
        """Where modules come from: from nowhere else."""
        self.env["GOPROXY"] = (url or self.mods.url(at)).rstrip("/")

    def forget(self) -> None:
        """Empty the cache of modules."""
        shutil.rmtree(self.home / "go", ignore_errors=True)

    def publish(
        self, version: str, module: str = DEMO, user: str = "ada", *, fails: bool = False, at: str = "", **more: Any
    ) -> str:
        """Put a version there, with the command of the README."""
        file = self.folder("built") / "module.zip"
        file.write_bytes(make.module(module, version, **more))
        person = self.mods.registry.person(user)
        url = f"{self.mods.url(at)}{make.escaped(module)}/@v/{make.escaped(version)}.zip"
        credentials = ("-u", f"__token__:{person.token}") if user else ()
        return self.run("curl", "-sS", "--fail-with-body", *credentials, "-T", file, url, fails=fails)

    def go(self, *arguments: str, folder: Path | None = None, fails: bool = False, **env: str) -> str:
        return self.run("go", *arguments, folder=folder, fails=fails, env=env)

    def app(self, *imports: str, more: str = "") -> Path:
        """A fresh program that prints what these packages, each called demo, say. more: of its go.mod."""
        folder = self.home / f"app{next(_numbers)}"
        folder.mkdir()
        (folder / "go.mod").write_text(f"module app.test/app\n\ngo 1.19\n{more}")
        named = {f"demo{number}": path for number, path in enumerate(imports)}
        lines = "".join(f'import {name} "{path}"\n' for name, path in named.items())
        calls = "".join(f"\tprintln({name}.Said())\n" for name in named)
        (folder / "main.go").write_text(f"package main\n\n{lines}\nfunc main() {{\n{calls}}}\n")
        return folder

    def says(self, app: Path) -> list[str]:
        """What a program says when it is built and run."""
        self.go("build", "-o", "program", ".", folder=app)
        return self.run(app / "program").split("\n")[:-1]


@pytest.fixture
def desk(mods: Repository, tmp_path: Path) -> Desk:
    return Desk(tmp_path, mods)


def test_modules_are_published_resolved_and_built(desk: Desk) -> None:
    desk.publish("v1.0.0")
    desk.publish("v1.1.0")
    desk.publish("v2.0.0", KIT)
    desk.publish("v2.1.0-RC1", KIT)
    app = desk.app(DEMO, KIT)
    desk.go("get", DEMO, f"{KIT}@latest", folder=app)
    assert desk.says(app) == [f"{DEMO} v1.1.0", f"{KIT} v2.0.0"]
    desk.go("get", f"{DEMO}@v1.0.0", f"{KIT}@v2.1.0-RC1", folder=app)
    assert desk.says(app) == [f"{DEMO} v1.0.0", f"{KIT} v2.1.0-RC1"]
    assert "all modules verified" in desk.go("mod", "verify", folder=app)
    desk.go("get", "-u", folder=app)
    desk.go("mod", "tidy", folder=app)
    assert desk.says(app)[0] == f"{DEMO} v1.1.0"


def test_versions_are_listed_in_the_order_of_the_go_command(desk: Desk) -> None:
    versions = ["v1.2.0-rc.2", "v1.2.0-rc.10", "v1.2.0-rc.9x", "v1.2.0", "v1.10.0", "v0.9.0", "v1.9.0"]
    for version in versions:
        desk.publish(version)
    desk.publish("v2.0.0+incompatible", mod=b"")
    desk.publish("v1.10.1-0.20260303101500-abcdefabcdef")
    app = desk.app()
    listed = desk.go("list", "-m", "-versions", DEMO, folder=app).split()[1:]
    reply = desk.mods.registry.call("GET", desk.mods.path(f"{DEMO}/@v/list"))
    assert reply.body.decode().split() == listed
    assert len(listed) == len(versions) + 1
    assert desk.go("list", "-m", f"{DEMO}@latest", folder=app).split() == [DEMO, "v1.10.0"]
    assert desk.go("list", "-m", f"{DEMO}@v1.2", folder=app).split() == [DEMO, "v1.2.0"]
    assert desk.go("list", "-m", f"{DEMO}@<v1.2.0", folder=app).split()[0] == DEMO


def test_a_download_has_the_sums_that_are_shown(desk: Desk) -> None:
    """Folders have entries of their own in what `git archive` writes."""
    desk.publish("v1.0.0", files={"": "", "sub/": "", "sub/ü.txt": "text"})
    app = desk.app()
    found = json.loads(desk.go("mod", "download", "-json", f"{DEMO}@v1.0.0", folder=app))
    shown = desk.mods.registry.call("GET", desk.mods.path(f"{DEMO}/@v/v1.0.0.ziphash")).body.decode()
    assert found["Sum"] == shown
    assert Path(found["GoMod"]).read_bytes() == make.go_mod()
    assert (Path(found["Dir"]) / "demo.go").exists()


def test_retracted_and_deprecated_are_what_the_latest_version_says(desk: Desk) -> None:
    desk.publish("v1.0.0")
    desk.publish("v1.1.0")
    mod = b"// Deprecated: use another\n" + make.go_mod(more="retract v1.1.0 // eats data\n")
    desk.publish("v1.2.0", mod=mod)
    app = desk.app(more=f"require {DEMO} v1.1.0\n")
    desk.go("mod", "download", folder=app)
    said = desk.go("list", "-m", "-u", "-retracted", "-f", "{{.Retracted}} {{.Deprecated}}", DEMO, folder=app)
    assert "eats data" in said
    assert "use another" in said
    assert "v1.1.0" not in desk.go("list", "-m", "-versions", DEMO, folder=app)
    assert "v1.1.0" in desk.go("list", "-m", "-versions", "-retracted", DEMO, folder=app)


def test_pseudo_versions_and_modules_without_go_mod_are_used(desk: Desk) -> None:
    commit = "v0.0.0-20260303101500-abcdefabcdef"
    desk.publish(commit)
    desk.publish("v3.0.0+incompatible", "example.com/old", mod=b"")
    app = desk.app(DEMO, "example.com/old")
    desk.go("get", f"{DEMO}@latest", "example.com/old", folder=app)
    assert desk.says(app) == [f"{DEMO} {commit}", "example.com/old v3.0.0+incompatible"]


def test_a_dependency_brings_its_own(desk: Desk) -> None:
    desk.publish("v1.0.0")
    desk.publish("v1.5.0")
    code = f'package demo\n\nimport other "{DEMO}"\n\nfunc Said() string {{ return "with " + other.Said() }}\n'
    mod = make.go_mod("example.com/tool", f"require {DEMO} v1.0.0\n")
    desk.publish("v0.1.0", "example.com/tool", mod=mod, files={"demo.go": code})
    app = desk.app("example.com/tool")
    desk.go("get", "example.com/tool", folder=app)
    assert desk.says(app) == [f"with {DEMO} v1.0.0"]


def test_a_program_is_installed(desk: Desk) -> None:
    code = 'package main\n\nfunc main() { println("installed") }\n'
    desk.publish("v1.0.0", "example.com/tool", files={"demo.go": code})
    desk.go("install", "example.com/tool@latest")
    assert desk.run(desk.home / "go/bin/tool") == "installed\n"


def test_what_was_published_is_not_published_again(desk: Desk) -> None:
    desk.publish("v1.0.0")
    desk.publish("v1.0.0")
    said = desk.publish("v1.0.0", says="other", fails=True)
    assert f"{DEMO}@v1.0.0 is published already with other content; publish a new version" in said
    said = desk.publish("v2.0.0", fails=True)
    assert f"the module would be {DEMO}/v2, as its go.mod must say" in said


def test_bytes_that_changed_are_noticed(registry: Registry, tmp_path: Path) -> None:
    loose = registry.repository("go", ada="read write", settings={"overwrite": "allow"})
    desk = Desk(tmp_path, loose)
    desk.publish("v1.0.0")
    app = desk.app(DEMO)
    desk.go("get", DEMO, folder=app)
    desk.publish("v1.0.0", says="other")
    desk.forget()
    assert "checksum mismatch" in desk.go("build", folder=app, fails=True)


def test_what_is_missing_is_told_of(desk: Desk) -> None:
    desk.publish("v1.0.0")
    app = desk.app()
    said = desk.go("get", f"{DEMO}@v1.9.9", folder=app, fails=True)
    assert f"module {DEMO}: no v1.9.9 in this repository" in said
    said = desk.go("get", "example.com/absent", folder=app, fails=True)
    assert "module example.com/absent: not in this repository" in said


def test_who_may_not_publish_is_told_so(desk: Desk) -> None:
    said = desk.publish("v1.0.0", user="rita", fails=True)
    assert "you do not have write access to repository" in said
    assert desk.mods.registry.call("GET", desk.mods.path(f"{DEMO}/@v/list")).status == 404


# credentials, for which the go command wants TLS


@pytest.fixture(scope="module")
def front(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TlsFront, Path]]:
    """The registry behind TLS, as it is deployed, and the certificate to trust."""
    chain = certificate(tmp_path_factory.mktemp("tls"))
    with TlsFront(registry.running.port, chain) as started:
        yield started, chain


def test_private_modules_are_given_to_whom_netrc_names_and_to_nobody_else(
    registry: Registry, tmp_path: Path, front: tuple[TlsFront, Path]
) -> None:
    hidden = registry.repository("go", public=False, ada="read write", rita="read")
    desk = Desk(tmp_path, hidden)
    desk.publish("v1.0.0")
    server, chain = front
    desk.configure(url=f"https://localhost:{server.port}{hidden.path()}")
    desk.env["SSL_CERT_FILE"] = str(chain)
    app = desk.app(DEMO)
    refused = desk.go("get", DEMO, folder=app, fails=True)
    assert "401 Unauthorized" in refused
    assert "authentication required" in refused
    rita, zoe = registry.person("rita"), registry.person("zoe")
    _netrc(desk, server.port, rita.token)
    desk.go("get", DEMO, folder=app)
    assert desk.says(app) == [f"{DEMO} v1.0.0"]
    desk.forget()
    _netrc(desk, server.port, zoe.token)
    assert "404 Not Found" in desk.go("build", folder=app, fails=True), "who may not know of it is not told"


def _netrc(desk: Desk, port: int, token: str) -> None:
    """With and without the port: go looked the host up alone until 1.23, and with its port since."""
    netrc = desk.home / ".netrc"
    netrc.write_text(
        "".join(f"machine {host} login __token__ password {token}\n" for host in ("localhost", f"localhost:{port}"))
    )
    netrc.chmod(0o600)


# modules of others


def test_modules_of_others_are_built_beside_ours(registry: Registry, tmp_path: Path) -> None:
    theirs, ours = registry.repository("go", ada="read write"), registry.repository("go", ada="read write")
    desk = Desk(tmp_path, theirs)
    for version in ("v2.0.0", "v2.1.0"):
        desk.publish(version, KIT)
    desk.publish("v9.0.0+incompatible", mod=b"", says="not ours")
    desk.mods = ours
    desk.publish("v1.0.0")
    remote = registry.repository("go", settings={"repo_type": "remote", "upstream_url": theirs.url().rstrip("/")})
    members = [{"repo_key": remote.key}, {"repo_key": ours.key}]
    every = registry.repository("go", settings={"repo_type": "virtual", "member_repos": members})
    desk.configure(url=every.url())
    app = desk.app(DEMO, KIT)
    desk.go("get", DEMO, KIT, folder=app)
    assert desk.says(app) == [f"{DEMO} v1.0.0", f"{KIT} v2.1.0"]
    assert desk.go("list", "-m", "-versions", KIT, folder=app).split() == [KIT, "v2.0.0", "v2.1.0"]
    assert desk.go("list", "-m", "-versions", DEMO, folder=app).split() == [DEMO, "v1.0.0"]
    then = every.now()
    desk.mods = theirs
    desk.publish("v2.2.0", KIT)
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    desk.forget()
    assert desk.go("list", "-m", f"{KIT}@latest", folder=desk.app()).split() == [KIT, "v2.2.0"]
    desk.configure(url=every.url(then))
    app = desk.app(DEMO, KIT)
    desk.go("get", f"{DEMO}@latest", f"{KIT}@latest", folder=app)
    assert desk.says(app) == [f"{DEMO} v1.0.0", f"{KIT} v2.1.0"]


def test_sums_are_compared_with_the_database_behind_a_remote_repository(registry: Registry, tmp_path: Path) -> None:
    with Upstream() as upstream:
        database = SumDatabase("sum.example.org")
        for path, body in proxied(DEMO, "v1.0.0").items():
            upstream.put(f"/{path}", body)
        for path, body in database.files(DEMO, "v1.0.0", make.module(), make.go_mod()).items():
            upstream.put(f"/{path}", body)
        fields = {"repo_type": "remote", "upstream_url": upstream.url}
        remotes = [registry.repository("go", settings=fields) for _ in range(2)]
        desk = Desk(tmp_path, remotes[0])
        del desk.env["GONOSUMDB"]
        desk.env["GOSUMDB"] = database.key
        app = desk.app(DEMO)
        desk.go("get", DEMO, folder=app)
        assert desk.says(app) == [f"{DEMO} v1.0.0"]
        assert upstream.asked["/sumdb/sum.example.org/lookup/example.com/demo@v1.0.0"] == 1
        upstream.put(f"/{DEMO}/@v/v1.0.0.zip", make.module(says="evil"))
        desk.configure(url=remotes[1].url())
        desk.forget()
        assert "SECURITY ERROR" in desk.go("get", DEMO, folder=desk.app(DEMO), fails=True)


# the past


def test_the_past_is_built_after_everything_changed(mods: Repository, desk: Desk) -> None:
    desk.publish("v1.0.0")
    then, at = mods.now(), moment()
    desk.publish("v1.1.0")
    mods.registry.done("DELETE", f"/api/v1/repositories/{mods.key}/artifacts/{DEMO}/@v/v1.0.0.zip")
    for past in (then, at):
        desk.forget()
        desk.configure(past)
        app = desk.app(DEMO)
        desk.go("get", f"{DEMO}@latest", folder=app)
        assert desk.says(app) == [f"{DEMO} v1.0.0"]
    said = desk.publish("v1.2.0", at=then, fails=True)
    assert "the past cannot be written to" in said
    desk.forget()
    desk.configure()
    app = desk.app(DEMO)
    desk.go("get", f"{DEMO}@latest", folder=app)
    assert desk.says(app) == [f"{DEMO} v1.1.0"]
    assert "its number is never given again" in desk.publish("v1.0.0", fails=True)
