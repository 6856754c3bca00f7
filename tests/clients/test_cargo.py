"""cargo against a running registry: what people type, and what they see."""

from __future__ import annotations

import json
import re
import shutil
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Registry, Repository, moment

_numbers = count(1)

_ENVIRONMENT = {
    "CARGO_NET_RETRY": "0",
    "CARGO_INCREMENTAL": "0",
    "CARGO_TERM_COLOR": "never",
    "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS": "cargo:token",
}
_TOKEN = "CARGO_REGISTRIES_OURS_TOKEN"
OLDEST = (1, 74)
"""Older ones want settings of their own for an index that asks for tokens, or know none."""

NOT_YOURS = "you do not have write access to repository"
PAST = "the past cannot be written to"
BURNT = "a version is never given twice"


@pytest.fixture
def libs(registry: Registry) -> Repository:
    """A repository with an owner `ada`, a writer `bob`, and a reader `rita`."""
    return registry.repository("cargo", ada="read write delete admin", bob="read write", rita="read")


class Desk(Machine):
    """A machine with cargo; its settings name the registry `ours` and, for somebody, a token."""

    def __init__(self, home: Path, libs: Repository) -> None:
        super().__init__(home, {**_ENVIRONMENT, "CARGO_HOME": str(home / ".cargo")})
        self.require("cargo", "rustc")
        self.require_version(*OLDEST)
        self.libs = libs
        self.configure("ada")

    def require_version(self, major: int, minor: int) -> None:
        """Skip the test where cargo is older."""
        said = self.run("cargo", "--version")
        found = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
        if found < (major, minor):
            pytest.skip(f"cargo {major}.{minor} or newer is needed, this is {said.strip()}")

    def configure(self, user: str | None = None, *, token: str = "", more: str = "", folder: str = "") -> None:
        """Whose machine it is. more: of the settings; folder: below the repository, where the index is."""
        settings = self.home / ".cargo/config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(f'[registries.ours]\nindex = "sparse+{self.libs.url()}{folder}"\n{more}')
        token = token or (self.libs.registry.person(user).token if user else "")
        self.env.pop(_TOKEN, None)
        if token:
            self.env[_TOKEN] = token

    def forget(self) -> None:
        """Empty cargo's cache."""
        shutil.rmtree(self.home / ".cargo/registry", ignore_errors=True)

    def cargo(self, *arguments: str, folder: Path | None = None, fails: bool = False, **env: str) -> str:
        return self.run("cargo", *arguments, folder=folder, fails=fails, env=env)

    def crate(self, name: str = "hello", version: str = "1.0.0", *, tables: str = "", code: str = "") -> Path:
        """The sources of a crate with a library that knows its version."""
        folder = self.home / "src" / f"{name}-{next(_numbers)}"
        (folder / "src").mkdir(parents=True)
        (folder / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n'
            f'description = "says hello"\nlicense = "MIT"\n{tables}'
        )
        said = f'pub fn said() -> String {{ "{name} {version}".into() }}\n'
        (folder / "src/lib.rs").write_text(code or said)
        return folder

    def publish(
        self, name: str = "hello", version: str = "1.0.0", *arguments: str, fails: bool = False, **sources: str
    ) -> str:
        folder = self.crate(name, version, **sources)
        return self.send(folder, *arguments, fails=fails)

    def send(self, folder: Path, *arguments: str, fails: bool = False) -> str:
        """Publish sources without building them first."""
        options = ("--registry", "ours", "--no-verify", "--allow-dirty", *arguments)
        return self.cargo("publish", *options, folder=folder, fails=fails)

    def app(self, *dependencies: str, code: str = 'fn main() { println!("{}", hello::said()); }') -> Path:
        """A fresh program with these lines of dependencies, its own workspace."""
        folder = self.home / f"app{next(_numbers)}"
        (folder / "src").mkdir(parents=True)
        lines = "\n".join(dependencies)
        (folder / "Cargo.toml").write_text(
            f'[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n{lines}\n'
        )
        (folder / "src/main.rs").write_text(code)
        return folder

    def says(self, app: Path, *arguments: str) -> str:
        """What a program says when it is built and run."""
        return self.cargo("run", "--quiet", *arguments, folder=app).strip()

    def until_found(self, name: str) -> None:
        """Wait for the search to know a crate; it follows a publish within moments."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.libs.registry.call("GET", self.libs.path(f"api/v1/crates?q={name}")).json()
            if name in [crate["name"] for crate in found["crates"]]:
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is not found")

    def index(self, path: str = "he/ll/hello") -> list[dict[str, Any]]:
        reply = self.libs.registry.call("GET", self.libs.path(path))
        return [json.loads(line) for line in reply.body.splitlines()] if reply.status == 200 else []


@pytest.fixture
def desk(tmp_path: Path, libs: Repository) -> Desk:
    """Ada's machine."""
    return Desk(tmp_path, libs)


OURS = 'hello = { version = "1", registry = "ours" }'


# publishing and building


def test_cargo_publishes_adds_and_builds(libs: Repository, desk: Desk) -> None:
    said = desk.cargo("publish", "--registry", "ours", "--allow-dirty", folder=desk.crate())
    assert "Uploaded hello v1.0.0 to registry `ours`" in said
    assert "Published hello v1.0.0 at registry `ours`" in said
    desk.publish("hello", "1.1.0")
    app = desk.app()
    assert "Adding hello v1.1.0 to dependencies" in desk.cargo("add", "hello", "--registry", "ours", folder=app)
    assert desk.says(app) == "hello 1.1.0"
    lock = (app / "Cargo.lock").read_text()
    assert f'source = "sparse+{libs.url()}"' in lock
    assert f'checksum = "{desk.index()[1]["cksum"]}"' in lock
    desk.forget()
    assert desk.says(app, "--locked") == "hello 1.1.0"


def test_every_kind_of_dependency_arrives(desk: Desk) -> None:
    desk.publish("other-name", "1.2.3", code='pub const NAME: &str = "other";')
    desk.publish("extra", "0.3.0", tables="[features]\nloud = []\n", code=_LOUD)
    desk.publish("helper", "2.0.0")
    desk.publish("gone", "0.1.0")
    tables = """rust-version = "1.60"
links = "nothing"
build = "build.rs"
[features]
default = []
loud = ["dep:extra", "extra?/loud"]
[dependencies]
alias = { package = "other-name", version = ">=1.2, <1.9", registry = "ours", default-features = false }
extra = { version = "0.3", registry = "ours", optional = true }
[target.'cfg(any(unix,windows))'.dependencies]
helper = { version = "2.*", registry = "ours" }
[target.'cfg(target_os="none")'.dependencies]
absent = { package = "gone", version = "=0.1.0", registry = "ours" }
[build-dependencies]
helper = { version = "~2.0", registry = "ours" }
[dev-dependencies]
helper = { version = "*", registry = "ours" }
"""
    code = """pub fn said() -> String {
    #[cfg(feature = "loud")]
    return format!("{} {} {}", alias::NAME, helper::said(), extra::SAYS);
    #[cfg(not(feature = "loud"))]
    return format!("{} {}", alias::NAME, helper::said());
}
"""
    folder = desk.crate("hello", "1.0.0", tables=tables, code=code)
    (folder / "build.rs").write_text('fn main() { assert!(helper::said() == "helper 2.0.0"); }')
    desk.cargo("publish", "--registry", "ours", "--allow-dirty", folder=folder)
    (line,) = desk.index()
    found = {(one["kind"], one["target"], one["name"]): (one["package"], one["req"]) for one in line["deps"]}
    assert found == {
        ("normal", None, "alias"): ("other-name", ">=1.2, <1.9"),
        ("normal", None, "extra"): (None, "^0.3"),
        ("normal", "cfg(any(unix, windows))", "helper"): (None, "2.*"),
        ("normal", 'cfg(target_os = "none")', "absent"): ("gone", "=0.1.0"),
        ("build", None, "helper"): (None, "~2.0"),
        ("dev", None, "helper"): (None, "*"),
    }
    assert {one["registry"] for one in line["deps"]} == {None}
    assert (line["links"], line["rust_version"], line["v"]) == ("nothing", "1.60", 2)
    assert desk.says(desk.app(OURS)) == "other helper 2.0.0"
    loud = 'hello = { version = "1", registry = "ours", features = ["loud"] }'
    assert desk.says(desk.app(loud)) == "other helper 2.0.0 LOUD"


_LOUD = """#[cfg(feature = "loud")]
pub const SAYS: &str = "LOUD";
#[cfg(not(feature = "loud"))]
pub const SAYS: &str = "quiet";
"""


def test_a_workspace_is_published_crate_after_crate(desk: Desk) -> None:
    """Each needs the one before it in the index, at once."""
    desk.publish("first", "1.0.0")
    desk.publish("second", "1.0.0", tables='[dependencies]\nfirst = { version = "1", registry = "ours" }\n')
    started = time.monotonic()
    desk.publish("hello", "1.0.0", tables='[dependencies]\nsecond = { version = "1", registry = "ours" }\n')
    assert time.monotonic() - started < 10
    assert desk.says(desk.app(OURS)) == "hello 1.0.0"


def test_the_index_below_index_is_the_same(desk: Desk) -> None:
    desk.configure("ada", folder="index/")
    desk.publish()
    assert desk.says(desk.app(OURS)) == "hello 1.0.0"


def test_what_was_published_is_not_published_again(libs: Repository, desk: Desk) -> None:
    desk.publish()
    for version in ("1.0.0", "1.0.0+build.5"):
        assert f"crate hello@{version} already exists on" in desk.publish("hello", version, fails=True)
    path = f"/api/v1/repositories/{libs.key}/artifacts/hello/1.0.0/hello-1.0.0.crate"
    libs.registry.done("DELETE", path)
    assert "hello" in desk.cargo("build", folder=desk.app(OURS), fails=True)
    for version in ("1.0.0", "1.0.0+build.5"):
        said = desk.publish("hello", version, fails=True)
        assert f"crate version `hello@1.0.0` was published before; {BURNT}" in said


def test_a_name_in_another_spelling_is_refused(desk: Desk) -> None:
    desk.publish("he-llo")
    said = desk.publish("he_llo", "2.0.0", fails=True)
    assert "crate `he_llo` cannot be published: a crate is or was called so, in another spelling" in said
    app = desk.app(
        'he-llo = { version = "1", registry = "ours" }', code='fn main() { println!("{}", he_llo::said()); }'
    )
    assert desk.says(app) == "he-llo 1.0.0"


def test_cargo_shows_finds_and_vendors_what_was_published(desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    desk.until_found("hello")
    assert re.search(r'hello = "1\.1\.0" +# says hello', desk.cargo("search", "--registry", "ours", "hel"))
    assert "hello =" not in desk.cargo("search", "--registry", "ours", "nothing")
    app = desk.app(OURS)
    desk.cargo("vendor", folder=app)
    assert 'version = "1.1.0"' in (app / "vendor/hello/Cargo.toml").read_text()


def test_cargo_info_tells_of_a_crate(desk: Desk) -> None:
    desk.require_version(1, 82)
    desk.publish()
    said = desk.cargo("info", "hello", "--registry", "ours")
    assert "says hello" in said
    assert "version: 1.0.0" in said
    assert "could not find" in desk.cargo("info", "absent_crate", "--registry", "ours", fails=True)


def test_cargo_revalidates_what_it_has(desk: Desk) -> None:
    desk.publish()
    app = desk.app(OURS)
    desk.cargo("update", folder=app)
    said = desk.cargo(
        "update", folder=app, CARGO_HTTP_DEBUG="true", CARGO_LOG="network=debug", CARGO_HTTP_MULTIPLEXING="false"
    )
    statuses = re.findall(r"HTTP/1\.1 (\d+)", said)
    assert statuses == ["200", "304"] or set(statuses) == {"304"}, said


# yanks


def test_a_yanked_version_is_passed_over_except_by_who_has_it_locked(desk: Desk) -> None:
    desk.publish()
    desk.publish("hello", "1.1.0")
    locked = desk.app(OURS)
    assert desk.says(locked) == "hello 1.1.0"
    assert "Yank hello@1.1.0" in desk.cargo("yank", "hello", "--version", "1.1.0", "--registry", "ours")
    desk.forget()
    assert desk.says(desk.app(OURS)) == "hello 1.0.0"
    assert desk.says(locked, "--locked") == "hello 1.1.0"
    exact = 'hello = { version = "=1.1.0", registry = "ours" }'
    assert "is yanked" in desk.cargo("build", folder=desk.app(exact), fails=True)
    desk.cargo("yank", "hello", "--version", "1.1.0", "--undo", "--registry", "ours")
    assert desk.says(desk.app(OURS)) == "hello 1.1.0"
    said = desk.cargo("yank", "hello", "--version", "9.0.0", "--registry", "ours", fails=True)
    assert "crate `hello` does not have a version `9.0.0`" in said


# people


def test_owners_are_listed_named_and_removed(desk: Desk) -> None:
    desk.publish()
    assert desk.cargo("owner", "--list", "hello", "--registry", "ours").strip().endswith("ada")
    assert "bob" in desk.cargo("owner", "--add", "bob", "hello", "--registry", "ours")
    listed = desk.cargo("owner", "--list", "hello", "--registry", "ours").split()
    assert [name for name in listed if name in {"ada", "bob"}] == ["ada", "bob"]
    desk.cargo("owner", "--remove", "ada", "hello", "--registry", "ours")
    assert "ada" not in desk.cargo("owner", "--list", "hello", "--registry", "ours").split()
    assert "needs an owner" in desk.cargo("owner", "--remove", "bob", "hello", "--registry", "ours", fails=True)
    assert "nobody-here" in desk.cargo("owner", "--add", "nobody-here", "hello", "--registry", "ours", fails=True)


def test_a_wrong_token_and_a_missing_right_are_told_of(desk: Desk) -> None:
    desk.configure(token="0" * 8 + "_" + "1" * 32)
    said = desk.publish(fails=True)
    assert "401" in said
    assert "token" in said.lower()
    desk.configure("rita")
    assert NOT_YOURS in desk.publish(fails=True)
    assert NOT_YOURS in desk.cargo("yank", "hello", "--version", "1.0.0", "--registry", "ours", fails=True)
    desk.configure("bob")
    desk.publish()
    desk.configure()
    said = desk.publish("hello", "2.0.0", fails=True)
    assert "no token found" in said
    assert [line["vers"] for line in desk.index()] == ["1.0.0"]


def test_a_private_registry_is_used_with_a_token_and_not_without(registry: Registry, tmp_path: Path) -> None:
    hidden = registry.repository("cargo", public=False, ada="read write", rita="read")
    desk = Desk(tmp_path, hidden)
    desk.publish()
    app = desk.app(OURS)
    assert desk.says(app) == "hello 1.0.0"
    desk.configure("rita")
    desk.forget()
    assert desk.says(app, "--locked") == "hello 1.0.0"
    desk.configure()
    desk.forget()
    said = desk.cargo("build", folder=app, fails=True)
    assert "no token found for `ours`, please run `cargo login --registry ours`" in said
    desk.configure("zoe")
    said = desk.cargo("build", folder=desk.app(OURS), fails=True)
    assert "config.json not found in registry" in said, "who may not know of it is told that it is not there"
    desk.configure(token="0" * 8 + "_" + "1" * 32)
    assert "token rejected for `ours`" in desk.cargo("build", folder=desk.app(OURS), fails=True)


def test_a_login_asks_for_the_token_where_the_page_is_that_tells_of_it(libs: Repository, desk: Desk) -> None:
    desk.configure()
    token = libs.registry.person("ada").token
    said = desk.answer(["cargo", "login", "--registry", "ours"], {f"{libs.url()}me": token})
    assert f"{libs.url()}me" in said
    assert token in (desk.home / ".cargo/credentials.toml").read_text()
    assert b"cargo login" in libs.registry.call("GET", libs.path("me")).body
    desk.publish()
    assert desk.says(desk.app(OURS)) == "hello 1.0.0"


# locks, and the past


def test_a_crate_that_is_not_what_the_lock_file_says_is_refused(desk: Desk) -> None:
    desk.publish()
    app = desk.app(OURS)
    desk.cargo("generate-lockfile", folder=app)
    lock = (app / "Cargo.lock").read_text()
    (app / "Cargo.lock").write_text(re.sub(r'checksum = "\w+"', f'checksum = "{"0" * 64}"', lock))
    assert "changed between lock files" in desk.cargo("build", folder=app, fails=True)


def _then(libs: Repository, at: str, replace: bool = False) -> str:
    """Settings by which the registry `then` is `ours` at a moment; replace: and `ours` itself is, too."""
    index = f"sparse+{libs.url(at)}"
    settings = f'[registries.then]\nindex = "{index}"\n'
    if replace:
        settings += f'[source.ours]\nregistry = "sparse+{libs.url()}"\nreplace-with = "past"\n'
        settings += f'[source.past]\nregistry = "{index}"\n'
    return settings


def test_the_past_is_installed_after_everything_changed(libs: Repository, desk: Desk) -> None:
    main = 'fn main() { println!("{}", tool::said()); }'
    desk.publish()
    folder = desk.crate(
        "tool",
        tables='[dependencies]\nhello = { version = "1", registry = "ours" }\n',
        code='pub fn said() -> String { format!("tool with {}", hello::said()) }',
    )
    (folder / "src/main.rs").write_text(main)
    desk.send(folder)
    then = libs.now()
    desk.cargo("yank", "hello", "--version", "1.0.0", "--registry", "ours")
    desk.publish("hello", "1.5.0")
    install = ("install", "tool", "--registry", "ours", "--root")
    desk.cargo(*install, str(desk.home / "now"))
    desk.configure("ada", more=_then(libs, then, replace=True))
    desk.cargo(*install, str(desk.home / "then"))
    assert desk.run(desk.home / "now/bin/tool").strip() == "tool with hello 1.5.0"
    assert desk.run(desk.home / "then/bin/tool").strip() == "tool with hello 1.0.0"


def test_the_past_is_a_registry_of_its_own_too(libs: Repository, desk: Desk) -> None:
    """What a crate depends on is looked for where the crate is, whatever address its author used."""
    desk.publish()
    code = 'pub fn said() -> String { format!("tool with {}", hello::said()) }'
    desk.publish("tool", tables='[dependencies]\nhello = { version = "1", registry = "ours" }\n', code=code)
    then = libs.now()
    desk.publish("hello", "1.5.0")
    desk.configure("ada", more=_then(libs, then))
    main = 'fn main() { println!("{}", tool::said()); }'
    for registry, says in (("then", "tool with hello 1.0.0"), ("ours", "tool with hello 1.5.0")):
        app = desk.app(f'tool = {{ version = "1", registry = "{registry}" }}', code=main)
        assert desk.says(app) == says


def test_sources_that_know_nothing_of_it_are_built_in_the_past(libs: Repository, desk: Desk) -> None:
    desk.publish()
    then = moment()
    desk.publish("hello", "1.1.0")
    app = desk.app(OURS)
    assert desk.says(app) == "hello 1.1.0"
    (app / "Cargo.lock").unlink()
    desk.configure("ada", more=_then(libs, then, replace=True))
    assert desk.says(app) == "hello 1.0.0"
    assert f'source = "sparse+{libs.url()}"' in (app / "Cargo.lock").read_text(), "good for the present, too"
    desk.configure("ada")
    assert desk.says(app, "--locked") == "hello 1.0.0"


def test_nobody_publishes_into_the_past(libs: Repository, desk: Desk) -> None:
    desk.publish("other")
    then = libs.now()
    desk.configure("ada", more=_then(libs, then))
    token = libs.registry.person("ada").token
    said = desk.cargo(
        *("publish", "--registry", "then", "--no-verify", "--allow-dirty"),
        folder=desk.crate(),
        fails=True,
        CARGO_REGISTRIES_THEN_TOKEN=token,
    )
    assert PAST in said


# other registries


def _virtual(registry: Registry, theirs: Repository) -> tuple[Repository, Repository]:
    """A repository of ours before one that stands in for theirs, as one; and the one in its middle that asks."""
    ours = registry.repository("cargo", ada="read write")
    fields = {"repo_type": "remote", "upstream_url": theirs.url().rstrip("/")}
    remote = registry.repository("cargo", settings=fields)
    members = [{"repo_key": ours.key}, {"repo_key": remote.key}]
    settings = {"repo_type": "virtual", "member_repos": members, "publish_to": ours.key}
    return registry.repository("cargo", settings=settings, ada="read write"), remote


def test_crates_of_another_registry_are_built_upon_now_and_in_the_past(
    registry: Registry, libs: Repository, tmp_path: Path
) -> None:
    """Theirs depend on each other without saying where, which is then here."""
    desk = Desk(tmp_path, libs)
    desk.publish("deep")
    far = 'pub fn said() -> String { format!("far {}", deep::said()) }'
    desk.publish("far", tables='[dependencies]\ndeep = { version = "1", registry = "ours" }\n', code=far)
    every, remote = _virtual(registry, libs)
    desk.libs = every
    desk.configure("ada")
    hello = 'pub fn said() -> String { format!("hello {}", far::said()) }'
    desk.publish(tables='[dependencies]\nfar = { version = "1", registry = "ours" }\n', code=hello)
    app = desk.app(OURS)
    assert desk.says(app) == "hello far deep 1.0.0"
    then = every.now()
    desk.libs = libs
    desk.configure("ada")
    for name, version in (("deep", "1.5.0"), ("hello", "1.9.0")):
        desk.publish(name, version)
    registry.done("POST", f"/api/v1/repositories/{remote.key}/cache/invalidate")
    desk.libs = every
    desk.configure("ada", more=_then(every, then))
    assert desk.says(desk.app(OURS)) == "hello far deep 1.5.0", "the name is ours, whatever they publish by it"
    assert desk.says(desk.app(OURS.replace("ours", "then"))) == "hello far deep 1.0.0"
    desk.forget()
    assert desk.says(app, "--locked") == "hello far deep 1.0.0"
    desk.until_found("deep")
    assert re.search(r'deep = "1\.5\.0"', desk.cargo("search", "--registry", "ours", "deep"))


def test_what_cargo_takes_by_default_is_taken_from_here(registry: Registry, libs: Repository, tmp_path: Path) -> None:
    desk = Desk(tmp_path, libs)
    desk.publish()
    _, remote = _virtual(registry, libs)
    source = f'[source.mirror]\nregistry = "sparse+{remote.url()}"\n[source.crates-io]\nreplace-with = "mirror"\n'
    desk.configure(more=source)
    assert desk.says(desk.app('hello = "1"')) == "hello 1.0.0"
