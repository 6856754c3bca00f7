"""npm, pnpm, yarn classic and yarn berry against a registry on a loopback port: what people type, and what they see."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from application.formats.npm import FORMAT
from tests.fakes.accounts import PASSWORD
from tests.integration.conftest import (  # noqa: F401 - fixtures
    migrated_template,
    postgres_dsn,
    postgres_server,
    servers_directory,
)
from tests.integration.harness import Registry, registry
from tests.integration.populated import grant, populate

pytestmark = pytest.mark.client

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("AK_CLIENTS", ROOT / ".clients"))
_numbers = count(1)


@pytest.fixture(scope="module")
def served(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, str]]:  # noqa: F811
    with registry(postgres_dsn, tmp_path_factory.mktemp("clients"), [FORMAT]) as running, running.serve() as url:
        yield running, url


class Libs:
    """A repository with an owner `ada`, who is an administrator, a writer `bob`, and a reader `rita`."""

    def __init__(self, running: Registry, base_url: str) -> None:
        self.running = running
        self.people, self.index = populate(running)
        row = running.repository(f"libs{next(_numbers)}", "npm")
        self.key, self.id, self.base_url = row.key, row.id, base_url
        self.ada = self.people.user("ada", admin=True)
        self.bob = self.people.user("bob")
        self.people.user("rita")
        grant(self.people, self.ada, row.id, ["read", "write", "delete", "admin"])
        grant(self.people, self.bob, row.id, ["read", "write"])

    def url(self, at: str = "") -> str:
        return f"{self.base_url}/npm/{self.key}{at}/"

    def token(self, name: str) -> str:
        document = json.dumps({"name": name, "password": PASSWORD}).encode()
        reply = self.running.request("PUT", f"/npm/{self.key}/-/user/org.couchdb.user:{name}", document)
        token: str = reply.json()["token"]
        return token

    def packument(self, name: str) -> Any:
        return self.running.request("GET", f"/npm/{self.key}/{name}").json()

    def position(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def libs(served: tuple[Registry, str]) -> Libs:
    return Libs(*served)


class Machine:
    """A clean home with the clients on its path; `.npmrc` names the registry and, for `user`, a token."""

    def __init__(self, home: Path, libs: Libs, user: str | None) -> None:
        self.home, self.libs = home, libs
        self.env = {
            "HOME": str(home),
            "PATH": f"{CLIENTS / 'bin'}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "npm_config_update_notifier": "false",
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "YARN_ENABLE_TELEMETRY": "0",
            "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
        }
        self.configure(user)

    def configure(self, user: str | None = None, at: str = "") -> None:
        url = self.libs.url(at)
        address = url.removeprefix("http:")
        token = f"{address}:_authToken={self.libs.token(user)}\n" if user else ""
        (self.home / ".npmrc").write_text(f"registry={url}\n{token}")
        (self.home / ".yarnrc.yml").write_text(
            f'npmRegistryServer: "{url.rstrip("/")}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nnodeLinker: node-modules\n'
            "enableGlobalCache: false\nnpmAlwaysAuth: false\nnpmMinimalAgeGate: 0\n"
            + (f'npmAuthToken: "{token.partition("=")[2].strip()}"\n' if user else "")
        )

    def run(self, *command: str, folder: Path | None = None, fails: bool = False, **env: str) -> str:
        """Standard output and error together; the command must succeed, or fail, as expected."""
        done = subprocess.run(
            command,
            cwd=folder or self.home,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def npm(self, *arguments: str, folder: Path | None = None, fails: bool = False) -> str:
        return self.run("npm", *arguments, folder=folder, fails=fails)

    def answer(self, command: list[str], answers: dict[str, str]) -> str:
        """Run a command on a terminal and type what it asks for."""
        master, slave = pty.openpty()
        process = subprocess.Popen(command, cwd=self.home, env=self.env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        said, pending, until = "", dict(answers), time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    said += os.read(master, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
            for prompt in [prompt for prompt in pending if prompt in said]:
                os.write(master, f"{pending.pop(prompt)}\n".encode())
        assert process.wait(10) == 0, said
        os.close(master)
        return said

    def package(self, name: str = "hello", version: str = "1.0.0", **fields: Any) -> Path:
        """The sources of a package."""
        folder = self.home / "src" / name.replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"name": name, "version": version, "description": "says hello", "license": "MIT", **fields})
        (folder / "package.json").write_text(text)
        (folder / "index.js").write_text(f"console.log('{name} {version}')\n")
        (folder / "README.md").write_text(f"# {name}\n")
        return folder

    def publish(
        self, name: str = "hello", version: str = "1.0.0", *arguments: str, fails: bool = False, **fields: Any
    ) -> str:
        return self.npm("publish", *arguments, folder=self.package(name, version, **fields), fails=fails)

    def app(self, **dependencies: str) -> Path:
        """A fresh project."""
        folder = self.home / f"app{next(_numbers)}"
        folder.mkdir()
        (folder / "package.json").write_text(
            json.dumps({"name": "app", "version": "1.0.0", "private": True, "dependencies": dependencies})
        )
        return folder

    def installed(self, folder: Path, name: str = "hello") -> str:
        version: str = json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        return version


def require_clients() -> None:
    if shutil.which("npm") is None or not (CLIENTS / "bin" / "pnpm").exists():
        if os.environ.get("CI"):
            pytest.fail("the clients are not installed: make clients")
        pytest.skip("the clients are not installed: make clients")


@pytest.fixture
def machine(tmp_path: Path, libs: Libs) -> Machine:
    """Ada's machine."""
    require_clients()
    return Machine(tmp_path, libs, "ada")


# npm: publishing and installing


def test_npm_publishes_plain_scoped_and_tagged_packages_and_installs_them(libs: Libs, machine: Machine) -> None:
    assert "+ hello@1.0.0" in machine.publish()
    assert "+ hello@1.1.0" in machine.publish("hello", "1.1.0")
    assert "+ hello@2.0.0-rc.1" in machine.publish("hello", "2.0.0-rc.1", "--tag", "beta")
    assert "+ @acme/x@1.0.0" in machine.publish(
        "@acme/x", "1.0.0", "--access", "public", dependencies={"hello": "^1.0.0"}
    )
    app = machine.app()
    machine.npm("install", "@acme/x", folder=app)
    assert (machine.installed(app, "@acme/x"), machine.installed(app)) == ("1.0.0", "1.1.0")
    lock = json.loads((app / "package-lock.json").read_text())["packages"]["node_modules/hello"]
    assert lock["resolved"] == f"{libs.url()}hello/-/hello-1.1.0.tgz"
    assert lock["integrity"] == libs.packument("hello")["versions"]["1.1.0"]["dist"]["integrity"]
    shutil.rmtree(app / "node_modules")
    machine.npm("ci", folder=app)
    assert machine.installed(app) == "1.1.0"
    machine.npm("install", "hello@beta", folder=app)
    assert machine.installed(app) == "2.0.0-rc.1"
    assert machine.run("node", str(app / "node_modules/hello/index.js")) == "hello 2.0.0-rc.1\n"


def test_npm_is_refused_a_second_publish(machine: Machine) -> None:
    machine.publish()
    assert "You cannot publish over the previously published versions: 1.0.0." in machine.publish(fails=True)


def test_npm_shows_what_was_published(libs: Libs, machine: Machine) -> None:
    machine.publish(
        keywords=["greeting"], author="Ada <ada@example.org>", bin="index.js", repository="github:acme/hello"
    )
    shown = json.loads(machine.npm("view", "hello", "--json"))
    assert (shown["name"], shown["version"], shown["license"]) == ("hello", "1.0.0", "MIT")
    assert shown["repository"] == {"type": "git", "url": "git+https://github.com/acme/hello.git"}
    assert shown["bin"] == {"hello": "index.js"}
    assert shown["dist"]["unpackedSize"] > 0
    assert machine.npm("view", "hello", "readme").strip() == "# hello"
    libs.index.known = [("hello", "hello", libs.id)]
    assert "says hello" in machine.npm("search", "hello")
    assert json.loads(machine.npm("search", "hello", "--json"))[0]["name"] == "hello"
    assert "No matches found" in machine.npm("search", "nothing")
    assert machine.npm("pack", "hello@1.0.0", "--silent").strip() == "hello-1.0.0.tgz"


def test_npm_revalidates_what_it_has(machine: Machine) -> None:
    machine.publish()
    machine.npm("view", "hello", "version")
    assert "(cache revalidated)" in machine.npm("view", "hello", "version", "--loglevel=http")


def test_npm_honours_a_cut_off_time(machine: Machine) -> None:
    machine.publish()
    assert "ENOVERSIONS" in machine.npm("install", "hello", "--before=2020-01-01", folder=machine.app(), fails=True)


def test_npm_knows_what_is_outdated(machine: Machine) -> None:
    machine.publish()
    app = machine.app(hello="1.0.0")
    machine.npm("install", folder=app)
    machine.publish("hello", "1.2.0")
    assert json.loads(machine.npm("outdated", "--json", folder=app, fails=True))["hello"]["latest"] == "1.2.0"


def test_install_scripts_bundles_and_shrinkwraps_reach_the_client(machine: Machine) -> None:
    machine.publish("hello", "1.0.0", scripts={"postinstall": "node -e \"require('fs').writeFileSync('ran', '')\""})
    app = machine.app()
    machine.npm("install", "hello", "--ignore-scripts", folder=app)
    lock = json.loads((app / "package-lock.json").read_text())["packages"]["node_modules/hello"]
    assert lock["hasInstallScript"] is True
    assert not (app / "node_modules/hello/ran").exists()


def test_a_package_for_another_system_is_not_installed(machine: Machine) -> None:
    machine.publish("hello", "1.0.0", os=["win32"])
    assert "EBADPLATFORM" in machine.npm("install", "hello", folder=machine.app(), fails=True)
    app = machine.app()
    (app / "package.json").write_text(json.dumps({"name": "app", "optionalDependencies": {"hello": "1.0.0"}}))
    machine.npm("install", folder=app)
    assert not (app / "node_modules/hello/package.json").exists()


# npm: tags, deprecation, unpublishing


def test_npm_moves_tags(machine: Machine) -> None:
    machine.publish()
    machine.publish("hello", "1.1.0")
    assert "+stable: hello@1.0.0" in machine.npm("dist-tag", "add", "hello@1.0.0", "stable")
    assert machine.npm("dist-tag", "ls", "hello", "--silent").split("\n")[:2] == ["latest: 1.1.0", "stable: 1.0.0"]
    app = machine.app()
    machine.npm("install", "hello@stable", folder=app)
    assert machine.installed(app) == "1.0.0"
    assert "-stable: hello@1.0.0" in machine.npm("dist-tag", "rm", "hello", "stable")
    assert "cannot be removed" in machine.npm("dist-tag", "rm", "hello", "latest", fails=True)
    assert "not found" in machine.npm("dist-tag", "add", "hello@9.9.9", "other", fails=True)


def test_npm_deprecates_and_warns_at_install(machine: Machine) -> None:
    machine.publish()
    machine.publish("hello", "1.1.0")
    machine.npm("deprecate", "hello@1.0.0", "use 1.1 instead")
    assert "npm warn deprecated hello@1.0.0: use 1.1 instead" in machine.npm(
        "install", "hello@1.0.0", folder=machine.app()
    )
    assert "deprecated" not in machine.npm("install", "hello@1.1.0", folder=machine.app())
    machine.npm("deprecate", "hello@1.0.0", "")
    assert "deprecated" not in machine.npm("install", "hello@1.0.0", folder=machine.app())


def test_npm_unpublishes_a_version_and_then_everything(libs: Libs, machine: Machine) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        machine.publish("@acme/x", version, "--access", "public")
    assert "- @acme/x@1.2.0" in machine.npm("unpublish", "@acme/x@1.2.0")
    assert json.loads(machine.npm("view", "@acme/x", "dist-tags", "versions", "--json")) == {
        "dist-tags": {"latest": "1.1.0"},
        "versions": ["1.0.0", "1.1.0"],
    }
    assert "You cannot publish over" in machine.publish("@acme/x", "1.2.0", "--access", "public", fails=True)
    assert "- @acme/x" in machine.npm("unpublish", "@acme/x", "--force")
    assert "404" in machine.npm("view", "@acme/x", fails=True)
    assert libs.packument("@acme/x")["error"] == "package '@acme/x' not found"


def test_the_past_is_installed_after_everything_changed(libs: Libs, machine: Machine) -> None:
    machine.publish()
    machine.publish("hello", "1.1.0")
    machine.npm("dist-tag", "add", "hello@1.0.0", "stable")
    then = libs.position()
    machine.npm("deprecate", "hello@1.0.0", "old")
    machine.npm("dist-tag", "add", "hello@1.1.0", "stable")
    machine.npm("unpublish", "hello@1.0.0")
    machine.npm("install", "hello@1.0.0", folder=machine.app(), fails=True)
    machine.configure("ada", at=then)
    app = machine.app()
    assert "deprecated" not in machine.npm("install", "hello@stable", folder=app)
    assert machine.installed(app) == "1.0.0"
    assert f"{then}/hello/-/hello-1.0.0.tgz" in (app / "package-lock.json").read_text()
    assert "the past cannot be written to" in machine.publish("hello", "3.0.0", fails=True)


# npm: people


def test_npm_logs_in_asks_who_it_is_and_logs_out(libs: Libs, machine: Machine) -> None:
    machine.configure(None)
    machine.npm("whoami", fails=True)
    said = machine.answer(["npm", "login", "--auth-type=legacy"], {"Username:": "bob", "Password:": PASSWORD})
    assert "Logged in on" in said
    assert machine.npm("whoami", "--silent").strip() == "bob"
    assert "PONG" in machine.npm("ping")
    assert "+ hello@1.0.0" in machine.publish()
    profile = json.loads(machine.npm("profile", "get", "--json"))
    assert (profile["name"], profile["email"]) == ("bob", "bob@example.org")
    machine.npm("logout")
    assert libs.people.directory.tokens_of(libs.bob) == []
    machine.npm("whoami", fails=True)


def test_npm_creates_lists_and_revokes_tokens(libs: Libs, machine: Machine) -> None:
    machine.configure("bob")
    created = json.loads(machine.npm("token", "create", "--json", f"--password={PASSWORD}", "--name=ci", "--read-only"))
    listed = json.loads(machine.npm("token", "list", "--json"))
    assert [(token["name"], created["token"].startswith(token["token"])) for token in listed] == [
        ("npm login", False),
        ("ci", True),
    ]
    assert created["token"] not in json.dumps(listed)
    assert "Removed 1 token" in machine.npm("token", "revoke", listed[1]["key"])
    assert len(libs.people.directory.tokens_of(libs.bob)) == 1


def test_npm_names_owners(machine: Machine) -> None:
    machine.publish()
    assert "no admin found" in machine.npm("owner", "ls", "hello")
    assert "+ bob (hello)" in machine.npm("owner", "add", "bob", "hello")
    assert "+ ada (hello)" in machine.npm("owner", "add", "ada", "hello")
    assert machine.npm("owner", "ls", "hello", "--silent").split() == ["bob", "<undefined>", "ada", "<undefined>"]
    assert "- bob (hello)" in machine.npm("owner", "rm", "bob", "hello")
    assert "404" in machine.npm("owner", "add", "nobody", "hello", fails=True)


def test_those_who_may_not_are_told_so(libs: Libs, machine: Machine) -> None:
    machine.configure("rita")
    assert f"you do not have write access to repository '{libs.key}'" in machine.publish(fails=True)
    machine.configure(None)
    machine.publish(fails=True)
    machine.configure("bob")
    machine.publish()
    machine.publish("hello", "1.1.0")
    assert "you do not have delete access" in machine.npm("unpublish", "hello@1.0.0", fails=True)
    assert sorted(libs.packument("hello")["versions"]) == ["1.0.0", "1.1.0"]


def test_an_audit_says_that_nothing_was_checked_and_an_install_goes_on(machine: Machine) -> None:
    machine.publish()
    app = machine.app()
    assert "vulnerabilities" not in machine.npm("install", "hello", "--audit=true", folder=app)
    assert "no package was checked" in machine.npm("audit", folder=app, fails=True)
    assert "hello: public" in machine.npm("access", "get", "status", "hello")


# pnpm


def test_pnpm_publishes_and_installs(machine: Machine) -> None:
    machine.publish()
    folder = machine.package("@acme/y", "1.0.0", dependencies={"hello": "^1.0.0"}, bin="index.js")
    machine.run("pnpm", "publish", "--no-git-checks", "--access", "public", folder=folder)
    assert "previously published" in machine.run("pnpm", "publish", "--no-git-checks", folder=folder, fails=True)
    app = machine.app()
    machine.run("pnpm", "add", "@acme/y", "hello@latest", folder=app)
    assert (machine.installed(app, "@acme/y"), machine.installed(app)) == ("1.0.0", "1.0.0")
    machine.publish("old")
    machine.npm("deprecate", "old", "gone soon")
    again = machine.app(hello="1.0.0", old="1.0.0")
    assert "deprecated old@1.0.0: gone soon" in machine.run("pnpm", "install", folder=again)
    shutil.rmtree(again / "node_modules")
    machine.run("pnpm", "install", "--frozen-lockfile", folder=again)
    assert "doesn't have an implementation of audit" in machine.run("pnpm", "audit", folder=again, fails=True)


def test_pnpm_waits_for_packages_to_age(machine: Machine) -> None:
    machine.publish()
    app = machine.app(hello="1.0.0")
    (app / "pnpm-workspace.yaml").write_text("minimumReleaseAge: 60\n")
    said = machine.run("pnpm", "install", folder=app, fails=True)
    assert "minimumReleaseAge" in said or "does not meet" in said
    (app / "pnpm-workspace.yaml").write_text("minimumReleaseAge: 0\n")
    machine.run("pnpm", "install", folder=app)
    assert machine.installed(app) == "1.0.0"


# yarn


def test_yarn_classic_publishes_and_installs(libs: Libs, machine: Machine) -> None:
    folder = machine.package("hello", "1.0.0")
    machine.run("yarn", "publish", "--non-interactive", "--new-version", "1.0.0", folder=folder)
    machine.publish("@acme/x", "1.0.0", "--access", "public", dependencies={"hello": "1"})
    app = machine.app()
    machine.run("yarn", "add", "@acme/x", "--non-interactive", folder=app)
    assert (machine.installed(app, "@acme/x"), machine.installed(app)) == ("1.0.0", "1.0.0")
    assert f"{libs.url()}hello/-/hello-1.0.0.tgz#" in (app / "yarn.lock").read_text()
    assert "says hello" in machine.run("yarn", "info", "hello", folder=app)
    machine.run("yarn", "tag", "add", "hello@1.0.0", "stable", folder=app)
    assert libs.packument("hello")["dist-tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    shutil.rmtree(app / "node_modules")
    machine.run("yarn", "install", "--frozen-lockfile", "--non-interactive", folder=app)
    assert machine.installed(app) == "1.0.0"


def test_yarn_berry_publishes_and_installs(libs: Libs, machine: Machine) -> None:
    folder = machine.package("@acme/z", "1.0.0")
    (folder / "yarn.lock").write_text("")
    machine.run("yarn-berry", "install", folder=folder)
    machine.run("yarn-berry", "npm", "publish", "--access", "public", folder=folder)
    machine.publish()
    assert "previously published" in machine.run("yarn-berry", "npm", "publish", folder=folder, fails=True)
    app = machine.app()
    (app / "yarn.lock").write_text("")
    machine.run("yarn-berry", "add", "@acme/z", "hello", folder=app)
    assert (machine.installed(app, "@acme/z"), machine.installed(app)) == ("1.0.0", "1.0.0")
    machine.run("yarn-berry", "npm", "tag", "add", "hello@1.0.0", "stable", folder=app)
    assert libs.packument("hello")["dist-tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    assert '"version":"1.0.0"' in machine.run("yarn-berry", "npm", "info", "hello", "--json", folder=app)
    assert "no package was checked" in machine.run("yarn-berry", "npm", "audit", folder=app, fails=True)
    assert machine.run("yarn-berry", "npm", "whoami", folder=app).count("ada") == 1


def test_the_registry_is_the_one_that_was_asked(libs: Libs, machine: Machine) -> None:
    machine.publish()
    assert (
        urlsplit(libs.packument("hello")["versions"]["1.0.0"]["dist"]["tarball"]).path
        == f"/npm/{libs.key}/hello/-/hello-1.0.0.tgz"
    )
