"""npm, pnpm, Yarn classic and Yarn Berry against a running registry: what people type, and what they see."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from base64 import b64encode
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Registry, Repository, moment

_numbers = count(1)

_ENVIRONMENT = {
    "npm_config_update_notifier": "false",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_globalconfig": os.devnull,
    "npm_config_fetch_retries": "0",
    "YARN_ENABLE_TELEMETRY": "0",
    "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
}

_PUBLISH = {
    "pnpm": ("pnpm", "publish", "--no-git-checks", "--access", "public"),
    "yarn": ("yarn", "publish", "--non-interactive"),
    "yarn-berry": ("yarn-berry", "npm", "publish", "--access", "public"),
}

TAKEN = "You cannot publish over the previously published versions"
NOT_YOURS = "you do not have write access to repository"
PAST = "the past cannot be written to"


@pytest.fixture
def libs(registry: Registry) -> Repository:
    """A repository with an owner `ada`, a writer `bob`, and a reader `rita`."""
    return registry.repository("npm", ada="read write delete admin", bob="read write", rita="read")


class Desk(Machine):
    """A machine with Node's clients; their settings name the registry and, for somebody, a token."""

    def __init__(self, home: Path, libs: Repository) -> None:
        super().__init__(home, _ENVIRONMENT)
        self.require("node", "npm", "pnpm", "yarn", "yarn-berry")
        self.libs = libs
        self.configure("ada")

    def configure(self, user: str | None = None, at: str = "", token: str = "") -> None:
        """Whose machine it is, and which moment of the repository its clients see."""
        url = self.libs.url(at)
        token = token or (self.libs.registry.person(user).token if user else "")
        line = f"{url.removeprefix('http:')}:_authToken={token}\n" if token else ""
        (self.home / ".npmrc").write_text(f"registry={url}\n{line}")
        (self.home / ".yarnrc.yml").write_text(
            f'npmRegistryServer: "{url.rstrip("/")}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nnodeLinker: node-modules\n'
            "enableGlobalCache: false\nnpmAlwaysAuth: false\nnpmMinimalAgeGate: 0\n"
            + (f'npmAuthToken: "{token}"\n' if token else "")
        )

    def forget(self) -> None:
        """Empty every client's cache."""
        for folder in (".npm", ".cache", ".local", ".yarn"):
            shutil.rmtree(self.home / folder, ignore_errors=True)

    def npm(self, *arguments: str, folder: Path | None = None, fails: bool = False) -> str:
        return self.run("npm", *arguments, folder=folder, fails=fails)

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

    def publish_with(self, client: str, folder: Path, fails: bool = False) -> str:
        """Publish sources with another client than npm."""
        if client == "yarn-berry":
            (folder / "yarn.lock").write_text("")
            self.run("yarn-berry", "install", folder=folder)
        return self.run(*_PUBLISH[client], folder=folder, fails=fails)

    def app(self, **dependencies: str) -> Path:
        """A fresh project."""
        folder = self.home / f"app{next(_numbers)}"
        folder.mkdir()
        (folder / "package.json").write_text(
            json.dumps({"name": "app", "version": "1.0.0", "private": True, "dependencies": dependencies})
        )
        return folder

    def berry_app(self, **dependencies: str) -> Path:
        """A fresh project of Yarn Berry, which knows it by its lock file."""
        folder = self.app(**dependencies)
        (folder / "yarn.lock").write_text("")
        return folder

    def installed(self, folder: Path, name: str = "hello") -> str:
        version: str = json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        return version

    def until_found(self, name: str) -> None:
        """Wait for the search to know a package; it follows a publish within moments."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.libs.registry.call("GET", self.libs.path(f"-/v1/search?text={name}")).json()
            if name in [hit["package"]["name"] for hit in found["objects"]]:
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is not found")

    def packument(self, name: str) -> Any:
        return self.libs.registry.call("GET", self.libs.path(name)).json()


@pytest.fixture
def desk(tmp_path: Path, libs: Repository) -> Desk:
    """Ada's machine."""
    return Desk(tmp_path, libs)


# npm: publishing and installing


def test_npm_publishes_plain_scoped_and_tagged_packages_and_installs_them(libs: Repository, desk: Desk) -> None:
    assert "+ hello@1.0.0" in desk.publish()
    assert "+ hello@1.1.0" in desk.publish("hello", "1.1.0")
    assert "+ hello@2.0.0-rc.1" in desk.publish("hello", "2.0.0-rc.1", "--tag", "beta")
    assert "+ @acme/x@1.0.0" in desk.publish("@acme/x", "1.0.0", "--access", "public", dependencies={"hello": "^1.0.0"})
    app = desk.app()
    desk.npm("install", "@acme/x", folder=app)
    assert (desk.installed(app, "@acme/x"), desk.installed(app)) == ("1.0.0", "1.1.0")
    lock = json.loads((app / "package-lock.json").read_text())["packages"]["node_modules/hello"]
    assert lock["resolved"] == f"{libs.url()}hello/-/hello-1.1.0.tgz"
    assert lock["integrity"] == desk.packument("hello")["versions"]["1.1.0"]["dist"]["integrity"]
    shutil.rmtree(app / "node_modules")
    desk.npm("ci", folder=app)
    assert desk.installed(app) == "1.1.0"
    desk.npm("install", "hello@beta", folder=app)
    assert desk.installed(app) == "2.0.0-rc.1"
    assert desk.run("node", str(app / "node_modules/hello/index.js")) == "hello 2.0.0-rc.1\n"


def test_npm_is_refused_a_second_publish(desk: Desk) -> None:
    desk.publish()
    assert "You cannot publish over the previously published versions: 1.0.0." in desk.publish(fails=True)


def test_npm_shows_what_was_published(libs: Repository, desk: Desk) -> None:
    desk.publish(keywords=["greeting"], author="Ada <ada@example.org>", bin="index.js", repository="github:acme/hello")
    shown = json.loads(desk.npm("view", "hello", "--json"))
    assert (shown["name"], shown["version"], shown["license"]) == ("hello", "1.0.0", "MIT")
    assert shown["repository"] == {"type": "git", "url": "git+https://github.com/acme/hello.git"}
    assert shown["bin"] == {"hello": "index.js"}
    assert shown["dist"]["unpackedSize"] > 0
    assert desk.npm("view", "hello", "readme").strip() == "# hello"
    desk.until_found("hello")
    assert "says hello" in desk.npm("search", "hello")
    assert json.loads(desk.npm("search", "hello", "--json"))[0]["name"] == "hello"
    assert "No matches found" in desk.npm("search", "nothing")
    assert desk.npm("pack", "hello@1.0.0", "--silent").strip() == "hello-1.0.0.tgz"


def test_npm_revalidates_what_it_has(desk: Desk) -> None:
    desk.publish()
    desk.npm("view", "hello", "version")
    assert "(cache revalidated)" in desk.npm("view", "hello", "version", "--loglevel=http")


def test_npm_honours_a_cut_off_time(desk: Desk) -> None:
    desk.publish()
    assert "ENOVERSIONS" in desk.npm("install", "hello", "--before=2020-01-01", folder=desk.app(), fails=True)


def test_npm_knows_what_is_outdated(desk: Desk) -> None:
    desk.publish()
    app = desk.app(hello="1.0.0")
    desk.npm("install", folder=app)
    desk.publish("hello", "1.2.0")
    assert json.loads(desk.npm("outdated", "--json", folder=app, fails=True))["hello"]["latest"] == "1.2.0"


def test_install_scripts_bundles_and_shrinkwraps_reach_the_client(desk: Desk) -> None:
    desk.publish("hello", "1.0.0", scripts={"postinstall": "node -e \"require('fs').writeFileSync('ran', '')\""})
    app = desk.app()
    desk.npm("install", "hello", "--ignore-scripts", folder=app)
    lock = json.loads((app / "package-lock.json").read_text())["packages"]["node_modules/hello"]
    assert lock["hasInstallScript"] is True
    assert not (app / "node_modules/hello/ran").exists()


def test_a_package_for_another_system_is_not_installed(desk: Desk) -> None:
    desk.publish("hello", "1.0.0", os=["win32"])
    assert "EBADPLATFORM" in desk.npm("install", "hello", folder=desk.app(), fails=True)
    app = desk.app()
    (app / "package.json").write_text(json.dumps({"name": "app", "optionalDependencies": {"hello": "1.0.0"}}))
    desk.npm("install", folder=app)
    assert not (app / "node_modules/hello/package.json").exists()


# npm: tags, deprecation, unpublishing


def test_npm_moves_tags(desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    assert "+stable: hello@1.0.0" in desk.npm("dist-tag", "add", "hello@1.0.0", "stable")
    assert desk.npm("dist-tag", "ls", "hello", "--silent").split("\n")[:2] == ["latest: 1.1.0", "stable: 1.0.0"]
    app = desk.app()
    desk.npm("install", "hello@stable", folder=app)
    assert desk.installed(app) == "1.0.0"
    assert "-stable: hello@1.0.0" in desk.npm("dist-tag", "rm", "hello", "stable")
    assert "cannot be removed" in desk.npm("dist-tag", "rm", "hello", "latest", fails=True)
    assert "not found" in desk.npm("dist-tag", "add", "hello@9.9.9", "other", fails=True)


def test_npm_keeps_the_time_of_a_version_that_was_unpublished(desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    desk.npm("unpublish", "hello@1.0.0")
    assert set(json.loads(desk.npm("view", "hello", "time", "--json"))) == {"created", "modified", "1.0.0", "1.1.0"}


def test_npm_deprecates_and_warns_at_install(desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    desk.npm("deprecate", "hello@1.0.0", "use 1.1 instead")
    assert "npm warn deprecated hello@1.0.0: use 1.1 instead" in desk.npm("install", "hello@1.0.0", folder=desk.app())
    assert "deprecated" not in desk.npm("install", "hello@1.1.0", folder=desk.app())
    desk.npm("deprecate", "hello@1.0.0", "")
    assert "deprecated" not in desk.npm("install", "hello@1.0.0", folder=desk.app())


def test_npm_unpublishes_a_version_and_then_everything(libs: Repository, desk: Desk) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        desk.publish("@acme/x", version, "--access", "public")
    assert "- @acme/x@1.2.0" in desk.npm("unpublish", "@acme/x@1.2.0")
    assert json.loads(desk.npm("view", "@acme/x", "dist-tags", "versions", "--json")) == {
        "dist-tags": {"latest": "1.1.0"},
        "versions": ["1.0.0", "1.1.0"],
    }
    assert "You cannot publish over" in desk.publish("@acme/x", "1.2.0", "--access", "public", fails=True)
    assert "- @acme/x" in desk.npm("unpublish", "@acme/x", "--force")
    assert "404" in desk.npm("view", "@acme/x", fails=True)
    assert desk.packument("@acme/x")["error"] == "package '@acme/x' not found"


# locks, digests, and the past


def test_a_tarball_that_is_not_what_the_lock_file_says_is_refused(desk: Desk) -> None:
    desk.publish()
    wrong = "sha512-" + "A" * 86 + "=="
    right = desk.packument("hello")["versions"]["1.0.0"]["dist"]["integrity"]
    for install, lock, again, message in (
        (("npm", "install"), "package-lock.json", ("npm", "ci"), "EINTEGRITY"),
        (("pnpm", "install"), "pnpm-lock.yaml", ("pnpm", "install", "--frozen-lockfile"), "INTEGRITY"),
        (("yarn", "install"), "yarn.lock", ("yarn", "install", "--frozen-lockfile"), "Integrity check failed"),
    ):
        app = desk.app(hello="1.0.0")
        desk.run(*install, folder=app)
        text = (app / lock).read_text()
        assert right in text
        (app / lock).write_text(text.replace(right, wrong))
        shutil.rmtree(app / "node_modules")
        desk.forget()
        assert message in desk.run(*again, folder=app, fails=True), again


def test_a_publish_whose_digest_differs_is_refused_with_the_reason(libs: Repository, desk: Desk) -> None:
    """Clients compute digests when they publish; what differs then was changed on the way."""
    (desk.home / "tarball").mkdir()
    desk.npm("pack", "--pack-destination", str(desk.home / "tarball"), folder=desk.package())
    content = (desk.home / "tarball/hello-1.0.0.tgz").read_bytes()
    shasum = hashlib.sha1(content + b"!", usedforsecurity=False).hexdigest()
    document = {
        "_id": "hello",
        "name": "hello",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {"name": "hello", "version": "1.0.0", "dist": {"shasum": shasum}}},
        "_attachments": {"hello-1.0.0.tgz": {"data": b64encode(content).decode(), "length": len(content)}},
    }
    reply = libs.registry.call("PUT", libs.path("hello"), document, auth=libs.registry.person("ada"))
    assert reply.status == 400
    assert "sha1 digest mismatch" in reply.json()["error"]
    assert desk.packument("hello") == {"error": "package 'hello' not found", "reason": "package 'hello' not found"}


INSTALLS = {
    "npm": ("npm", "install"),
    "pnpm": ("pnpm", "install"),
    "yarn": ("yarn", "install", "--non-interactive"),
    "yarn-berry": ("yarn-berry", "install"),
}


def test_the_past_is_installed_after_everything_changed(libs: Repository, desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    desk.publish("@acme/x", "1.0.0", dependencies={"hello": "^1.0.0"})
    desk.npm("dist-tag", "add", "hello@1.0.0", "stable")
    then = libs.now()
    desk.npm("deprecate", "hello@1.1.0", "gone soon")
    desk.npm("dist-tag", "add", "hello@1.1.0", "stable")
    desk.npm("unpublish", "hello@1.0.0")
    desk.npm("unpublish", "@acme/x", "--force")
    desk.npm("install", "hello@1.0.0", folder=desk.app(), fails=True)
    desk.npm("install", "@acme/x", folder=desk.app(), fails=True)
    desk.configure("ada", at=then)
    for client, install in INSTALLS.items():
        desk.forget()
        app = desk.berry_app(**{"hello": "stable", "@acme/x": "1.0.0"})
        if client != "yarn-berry":
            (app / "yarn.lock").unlink()
        said = desk.run(*install, folder=app)
        assert "gone soon" not in said, client
        assert (desk.installed(app), desk.installed(app, "@acme/x")) == ("1.0.0", "1.0.0"), client


def test_a_lock_file_of_the_past_installs_in_the_past(libs: Repository, desk: Desk) -> None:
    desk.publish()
    then = libs.now()
    desk.configure("ada", at=then)
    app = desk.app(hello="^1.0.0")
    desk.npm("install", folder=app)
    assert f"{then}/hello/-/hello-1.0.0.tgz" in (app / "package-lock.json").read_text()
    desk.configure("ada")
    desk.publish("hello", "1.1.0")
    desk.npm("unpublish", "hello@1.0.0")
    desk.forget()
    shutil.rmtree(app / "node_modules")
    desk.configure("ada", at=then)
    desk.npm("ci", folder=app)
    assert desk.installed(app) == "1.0.0"


def test_the_past_is_named_by_time_too(desk: Desk) -> None:
    desk.publish()
    then = moment()
    desk.publish("hello", "1.1.0")
    desk.configure("ada", at=then)
    app = desk.app()
    desk.npm("install", "hello", folder=app)
    assert desk.installed(app) == "1.0.0"


def test_nobody_writes_to_the_past(libs: Repository, desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    then = libs.now()
    desk.configure("ada", at=then)
    assert PAST in desk.publish("hello", "3.0.0", fails=True)
    for client in ("pnpm", "yarn", "yarn-berry"):
        assert PAST in desk.publish_with(client, desk.package("hello", "3.0.0"), fails=True), client
    assert PAST in desk.npm("dist-tag", "add", "hello@1.0.0", "stable", fails=True)
    assert PAST in desk.npm("deprecate", "hello@1.0.0", "old", fails=True)
    assert PAST in desk.npm("unpublish", "hello@1.0.0", fails=True)


# npm: people


def test_npm_logs_in_asks_who_it_is_and_logs_out(registry: Registry, libs: Repository, desk: Desk) -> None:
    carla = registry.person("carla")
    libs.grant(carla, "read write")
    desk.configure(None)
    desk.npm("whoami", fails=True)
    said = desk.answer(["npm", "login", "--auth-type=legacy"], {"Username:": "carla", "Password:": carla.password})
    assert "Logged in on" in said
    assert desk.npm("whoami", "--silent").strip() == "carla"
    assert "PONG" in desk.npm("ping")
    assert "+ hello@1.0.0" in desk.publish()
    profile = json.loads(desk.npm("profile", "get", "--json"))
    assert (profile["name"], profile["email"]) == ("carla", "carla@example.org")
    token = (desk.home / ".npmrc").read_text().rpartition("=")[2].strip()
    desk.npm("logout")
    desk.npm("whoami", fails=True)
    desk.configure(token=token)
    assert "401" in desk.npm("whoami", fails=True)


def test_a_login_without_a_choice_of_ways_asks_for_the_password(registry: Registry, desk: Desk) -> None:
    dora = registry.person("dora")
    desk.configure(None)
    desk.answer(["npm", "login"], {"Username:": "dora", "Password:": dora.password})
    assert desk.npm("whoami", "--silent").strip() == "dora"


def test_npm_creates_lists_and_revokes_tokens(registry: Registry, desk: Desk) -> None:
    emil = registry.person("emil")
    desk.configure("emil")
    password = f"--password={emil.password}"
    created = json.loads(desk.npm("token", "create", "--json", password, "--name=ci", "--read-only"))
    listed = json.loads(desk.npm("token", "list", "--json"))
    assert [(token["name"], created["token"].startswith(token["token"])) for token in listed] == [
        ("tests", False),
        ("ci", True),
    ]
    assert created["token"] not in json.dumps(listed)
    desk.configure(token=created["token"])
    assert NOT_YOURS in desk.publish(fails=True)
    desk.configure("emil")
    assert "Removed 1 token" in desk.npm("token", "revoke", listed[1]["key"])
    assert [token["name"] for token in json.loads(desk.npm("token", "list", "--json"))] == ["tests"]
    desk.configure(token=created["token"])
    assert "401" in desk.npm("whoami", fails=True)


def test_npm_names_owners(desk: Desk) -> None:
    desk.publish()
    assert "no admin found" in desk.npm("owner", "ls", "hello")
    assert "+ bob (hello)" in desk.npm("owner", "add", "bob", "hello")
    assert "+ ada (hello)" in desk.npm("owner", "add", "ada", "hello")
    assert desk.npm("owner", "ls", "hello", "--silent").split() == ["bob", "<undefined>", "ada", "<undefined>"]
    assert "- bob (hello)" in desk.npm("owner", "rm", "bob", "hello")
    assert "404" in desk.npm("owner", "add", "nobody", "hello", fails=True)


def test_those_who_may_not_are_told_so(libs: Repository, desk: Desk) -> None:
    desk.configure("rita")
    assert f"{NOT_YOURS} '{libs.key}'" in desk.publish(fails=True)
    for client in ("pnpm", "yarn", "yarn-berry"):
        assert NOT_YOURS in desk.publish_with(client, desk.package(), fails=True), client
    desk.configure("bob")
    desk.publish()
    desk.publish("hello", "1.1.0")
    assert "you do not have delete access" in desk.npm("unpublish", "hello@1.0.0", fails=True)
    assert sorted(desk.packument("hello")["versions"]) == ["1.0.0", "1.1.0"]


def test_a_missing_or_wrong_token_is_told_apart_from_a_missing_right(libs: Repository, desk: Desk) -> None:
    desk.configure(None)
    assert "need auth" in desk.publish(fails=True)
    token = f"{libs.registry.person('ada').token[:-4]}0000"
    desk.configure(token=token)
    assert "E401" in desk.publish(fails=True)
    assert "401" in desk.publish_with("pnpm", desk.package(), fails=True)
    assert "Invalid authentication" in desk.publish_with("yarn-berry", desk.package(), fails=True)


def test_a_private_repository_needs_credentials(registry: Registry, tmp_path: Path) -> None:
    secret = registry.repository("npm", public=False, ada="read write", rita="read")
    desk = Desk(tmp_path, secret)
    desk.publish()
    commands: tuple[tuple[str, ...], ...] = (("npm", "install"), ("pnpm", "install"), ("yarn-berry", "install"))
    for command in commands:
        desk.configure(None)
        app = desk.berry_app(hello="1.0.0")
        desk.run(*command, folder=app, fails=True)
        desk.configure("rita")
        if command[0] == "yarn-berry":
            settings = desk.home / ".yarnrc.yml"
            settings.write_text(settings.read_text().replace("npmAlwaysAuth: false", "npmAlwaysAuth: true"))
        desk.run(*command, folder=app)
        assert desk.installed(app) == "1.0.0", command


def test_an_audit_says_that_nothing_was_checked_and_an_install_goes_on(desk: Desk) -> None:
    desk.publish()
    app = desk.app()
    assert "vulnerabilities" not in desk.npm("install", "hello", "--audit=true", folder=app)
    assert "no package was checked" in desk.npm("audit", folder=app, fails=True)


def test_npm_tells_who_sees_and_changes_a_package(desk: Desk) -> None:
    desk.publish()
    assert "hello: public" in desk.npm("access", "get", "status", "hello")
    assert json.loads(desk.npm("access", "list", "collaborators", "hello", "--json")) == {
        "admin": "read-write",
        "ada": "read-write",
        "bob": "read-write",
        "rita": "read-only",
    }
    desk.publish("@acme/x")
    desk.npm("access", "set", "status=public", "@acme/x")
    refused = desk.npm("access", "set", "status=private", "@acme/x", fails=True)
    assert "every package of this repository is public" in refused
    desk.configure("bob")
    assert "you do not have admin access" in desk.npm("access", "list", "collaborators", "hello", fails=True)
    desk.publish("my-lib")
    assert "too similar to that of an existing package" in desk.publish("mylib", fails=True)


WITHOUT_SIGSTORE = """
const load = require('module')._load
require('module')._load = function (name, ...rest) {
  if (name !== '@sigstore/tuf') return load.call(this, name, ...rest)
  const missing = Object.assign(new Error('nothing known of this registry'), { code: 'TUF_FIND_TARGET_ERROR' })
  return { initTUF: async () => ({ getTarget: async () => { throw missing } }) }
}
"""
"""npm first asks a public service for the keys of well-known registries; this is its answer for any other registry."""


def test_npm_verifies_the_signatures_of_the_registry(libs: Repository, desk: Desk) -> None:
    desk.publish()
    desk.publish("@acme/x", "1.0.0", dependencies={"hello": "1"})
    (desk.home / "without-sigstore.cjs").write_text(WITHOUT_SIGSTORE)
    env = {"NODE_OPTIONS": f"--require={desk.home}/without-sigstore.cjs"}
    for at in ("", libs.now()):
        desk.configure("ada", at=at)
        app = desk.app(**{"@acme/x": "1.0.0"})
        desk.npm("install", folder=app)
        verified = desk.run("npm", "audit", "signatures", folder=app, env=env)
        assert "2 packages have verified registry signatures" in verified


# pnpm


def test_pnpm_publishes_and_installs(desk: Desk) -> None:
    desk.publish()
    folder = desk.package("@acme/y", "1.0.0", dependencies={"hello": "^1.0.0"}, bin="index.js")
    desk.publish_with("pnpm", folder)
    assert TAKEN in desk.publish_with("pnpm", folder, fails=True)
    app = desk.app()
    desk.run("pnpm", "add", "@acme/y", "hello@latest", folder=app)
    assert (desk.installed(app, "@acme/y"), desk.installed(app)) == ("1.0.0", "1.0.0")
    desk.publish("old")
    desk.npm("deprecate", "old", "gone soon")
    again = desk.app(hello="1.0.0", old="1.0.0")
    assert "deprecated old@1.0.0: gone soon" in desk.run("pnpm", "install", folder=again)
    shutil.rmtree(again / "node_modules")
    desk.run("pnpm", "install", "--frozen-lockfile", folder=again)
    assert "doesn't have an implementation of audit" in desk.run("pnpm", "audit", folder=again, fails=True)


def test_pnpm_waits_for_packages_to_age(desk: Desk) -> None:
    desk.publish()
    app = desk.app(hello="1.0.0")
    (app / "pnpm-workspace.yaml").write_text("minimumReleaseAge: 60\n")
    said = desk.run("pnpm", "install", folder=app, fails=True)
    assert "minimumReleaseAge" in said or "does not meet" in said
    (app / "pnpm-workspace.yaml").write_text("minimumReleaseAge: 0\n")
    desk.run("pnpm", "install", folder=app)
    assert desk.installed(app) == "1.0.0"


# yarn


def test_yarn_classic_publishes_and_installs(libs: Repository, desk: Desk) -> None:
    desk.publish_with("yarn", desk.package())
    assert TAKEN in desk.publish_with("yarn", desk.package(), fails=True)
    desk.publish("@acme/x", "1.0.0", "--access", "public", dependencies={"hello": "1"})
    app = desk.app()
    desk.run("yarn", "add", "@acme/x", "--non-interactive", folder=app)
    assert (desk.installed(app, "@acme/x"), desk.installed(app)) == ("1.0.0", "1.0.0")
    assert f"{libs.url()}hello/-/hello-1.0.0.tgz#" in (app / "yarn.lock").read_text()
    assert "says hello" in desk.run("yarn", "info", "hello", folder=app)
    desk.run("yarn", "tag", "add", "hello@1.0.0", "stable", folder=app)
    assert desk.packument("hello")["dist-tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    shutil.rmtree(app / "node_modules")
    desk.run("yarn", "install", "--frozen-lockfile", "--non-interactive", folder=app)
    assert desk.installed(app) == "1.0.0"


def test_yarn_berry_publishes_and_installs(libs: Repository, desk: Desk) -> None:
    folder = desk.package("@acme/z", "1.0.0")
    desk.publish_with("yarn-berry", folder)
    desk.publish()
    assert TAKEN in desk.publish_with("yarn-berry", folder, fails=True)
    app = desk.berry_app()
    desk.run("yarn-berry", "add", "@acme/z", "hello", folder=app)
    assert (desk.installed(app, "@acme/z"), desk.installed(app)) == ("1.0.0", "1.0.0")
    desk.run("yarn-berry", "npm", "tag", "add", "hello@1.0.0", "stable", folder=app)
    assert desk.packument("hello")["dist-tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    assert '"version":"1.0.0"' in desk.run("yarn-berry", "npm", "info", "hello", "--json", folder=app)
    assert "no package was checked" in desk.run("yarn-berry", "npm", "audit", folder=app, fails=True)
    assert desk.run("yarn-berry", "npm", "whoami", folder=app).count("ada") == 1
    shutil.rmtree(app / "node_modules")
    desk.run("yarn-berry", "install", "--immutable", folder=app)
    assert desk.installed(app) == "1.0.0"


# names


def test_a_package_may_have_the_name_of_an_address_of_bower(desk: Desk) -> None:
    desk.publish("packages")
    app = desk.app(packages="1.0.0")
    desk.npm("install", folder=app)
    assert desk.installed(app, "packages") == "1.0.0"
    assert json.loads(desk.npm("view", "packages@1.0.0", "--json"))["name"] == "packages"


# other registries


def _virtual(registry: Registry, theirs: Repository) -> tuple[Repository, Repository]:
    """A repository of ours before one that stands in for theirs, as one; and the one in its middle that asks."""
    ours = registry.repository("npm", ada="read write")
    fields = {"repo_type": "remote", "upstream_url": theirs.url().rstrip("/")}
    remote = registry.repository("npm", settings=fields)
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    settings = {"repo_type": "virtual", "member_repos": members, "publish_to": ours.key}
    return registry.repository("npm", settings=settings, ada="read write"), remote


def test_packages_of_another_registry_are_installed_now_and_in_the_past(
    registry: Registry, libs: Repository, desk: Desk
) -> None:
    desk.publish()
    desk.publish("@acme/x", "1.0.0", dependencies={"hello": "^1.0.0"})
    every, remote = _virtual(registry, libs)
    desk.libs = every
    desk.configure("ada")
    desk.publish("ours", "1.0.0", dependencies={"@acme/x": "1"})
    app = desk.app(ours="*")
    desk.forget()  # npm keeps what it has packed, and would not ask for it
    desk.npm("install", folder=app)
    assert [desk.installed(app, name) for name in ("ours", "@acme/x", "hello")] == ["1.0.0", "1.0.0", "1.0.0"]
    then = every.now()
    desk.libs = libs
    desk.configure("ada")
    desk.publish("hello", "1.1.0")
    desk.publish("ours", "9.0.0")
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    desk.libs = every
    for client, at, newest in (("npm", "", "1.1.0"), *((client, then, "1.0.0") for client in INSTALLS)):
        desk.configure("ada", at=at)
        desk.forget()
        other = desk.berry_app(ours="*", hello="latest")
        if client != "yarn-berry":
            (other / "yarn.lock").unlink()
        desk.run(*INSTALLS[client], folder=other)
        assert (desk.installed(other), desk.installed(other, "ours")) == (newest, "1.0.0"), (client, at)
    desk.configure("ada")
    desk.forget()
    shutil.rmtree(app / "node_modules")
    desk.npm("ci", folder=app)
    assert desk.installed(app) == "1.0.0"


def test_what_another_registry_says_reaches_the_client(registry: Registry, libs: Repository, desk: Desk) -> None:
    desk.publish()
    desk.publish("@acme/x", "1.0.0")
    desk.npm("deprecate", "hello@1.0.0", "gone soon")
    desk.until_found("hello")
    every, remote = _virtual(registry, libs)
    desk.libs = every
    desk.configure("ada")
    assert json.loads(desk.npm("view", "hello", "--json"))["deprecated"] == "gone soon"
    assert "hello" in [found["name"] for found in json.loads(desk.npm("search", "hello", "--json"))]
    (desk.home / "without-sigstore.cjs").write_text(WITHOUT_SIGSTORE)
    app = desk.app(**{"@acme/x": "1.0.0", "hello": "1.0.0"})
    assert "gone soon" in desk.npm("install", folder=app)
    env = {"NODE_OPTIONS": f"--require={desk.home}/without-sigstore.cjs"}
    verified = desk.run("npm", "audit", "signatures", folder=app, env=env)
    assert "2 packages have verified registry signatures" in verified
    registry.done("PUT", f"/api/v1/repositories/{remote.key}/npm-scope-policy", {"allowed_scopes": ["@acme"]})
    desk.forget()
    assert "E404" in desk.npm("install", "hello", folder=desk.app(), fails=True)
    scoped = desk.app()
    desk.npm("install", "@acme/x", folder=scoped)
    assert desk.installed(scoped, "@acme/x") == "1.0.0"
