"""The Go format over the real gate, log and catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from application.format import Deposit
from application.formats import go
from application.formats.go.publishing import ZipUnnamed, deposit
from application.publishing import Target
from domain.errors import Invalid
from domain.event import SYSTEM
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, registry
from tests.samples.go import make

_numbers = count(1)

DEMO = make.MODULE


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("go"), [go.FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository, as its owner sees it."""

    def __init__(self, running: Registry, **more: Any) -> None:
        self.running, self.key = running, f"mods{next(_numbers)}"
        self.row = running.repository(self.key, "go", **more)

    def __call__(self, method: str, path: str = "", body: Any = b"", *, at: str = "", **headers: str) -> Reply:
        user = headers.pop("user", "admin") or None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/go/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **headers: str) -> Reply:
        return self("GET", path, user="", **headers)

    def put(self, module: str, name: str, body: bytes, status: int = 201, **headers: str) -> Reply:
        reply = self("PUT", f"{make.escaped(module)}/@v/{make.escaped(name)}", body, **headers)
        assert reply.status == status, reply.text
        return reply

    def publish(self, version: str = make.VERSION, module: str = DEMO, status: int = 201, **more: Any) -> Reply:
        return self.put(module, f"{version}.zip", make.module(module, version, **more), status)

    def versions(self, module: str = DEMO, *, at: str = "") -> list[str]:
        reply = self.get(f"{make.escaped(module)}/@v/list", at=at)
        assert reply.status == 200, reply.text
        return reply.text.splitlines()

    def latest(self, module: str = DEMO, *, at: str = "") -> str:
        version: str = self.get(f"{make.escaped(module)}/@latest", at=at).json()["Version"]
        return version

    def info(self, version: str = make.VERSION, module: str = DEMO) -> Any:
        return self.get(f"{module}/@v/{version}.info").json()

    def head(self) -> str:
        return f"@{self.running.log.head()}"

    def paths(self) -> list[str]:
        return [row.path for row in self.running.catalogue.artifacts_below(self.row.id, "")]

    def deposit(self, path: str, data: bytes) -> str:
        """As the management API hands a file over."""
        services = self.running.services
        with services.spool.create() as writer:
            writer.write(data)
            spooled = writer.finish()
        target = Target(self.row.id, self.row.settings, SYSTEM)
        try:
            return deposit(Deposit(path=path, spooled=spooled, services=services, target=target))
        finally:
            services.spool.discard(spooled)


@pytest.fixture
def mods(running: Registry) -> Repository:
    return Repository(running)


# reading


def test_a_version_is_told_and_given_whole(mods: Repository) -> None:
    data = make.module()
    mods.put(DEMO, "v1.0.0.zip", data)
    listed = mods.get(f"{DEMO}/@v/list")
    assert (listed.text, listed.header("content-type")) == ("v1.0.0\n", "text/plain; charset=utf-8")
    info = mods.get(f"{DEMO}/@v/v1.0.0.info")
    assert info.header("content-type") == "application/json"
    assert info.json()["Version"] == "v1.0.0"
    assert info.json()["Time"].endswith("Z")
    assert mods.get(f"{DEMO}/@latest").json() == info.json()
    mod = mods.get(f"{DEMO}/@v/v1.0.0.mod")
    assert (mod.body, mod.header("content-type")) == (make.go_mod(), "text/plain; charset=utf-8")
    reply = mods.get(f"{DEMO}/@v/v1.0.0.zip")
    assert (reply.status, reply.body, reply.header("content-type")) == (200, data, "application/zip")
    assert reply.header("cache-control") == "public, max-age=31536000, immutable"
    assert mods.get(f"{DEMO}/@v/v1.0.0.ziphash").text.startswith("h1:")
    assert mods.get(f"{DEMO}/@v/v1.0.0.zip", if_none_match=reply.header("etag")).status == 304
    part = mods.get(f"{DEMO}/@v/v1.0.0.zip", range="bytes=0-3")
    assert (part.status, part.body) == (206, b"PK\x03\x04")
    head = mods("HEAD", f"{DEMO}/@v/v1.0.0.zip", user="")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(data)))


def test_downloads_of_zips_are_counted_and_of_nothing_else(mods: Repository) -> None:
    mods.publish()
    mods.running.downloads.clear()
    for extension in ("info", "mod", "ziphash"):
        mods.get(f"{DEMO}/@v/v1.0.0.{extension}")
    assert mods.running.downloads == []
    mods.get(f"{DEMO}/@v/v1.0.0.zip")
    assert len(mods.running.downloads) == 1


def test_capitals_are_escaped_in_addresses_however_the_exclamation_mark_is_sent(mods: Repository) -> None:
    module, version = "example.com/Acme/DemoKit", "v1.0.0-RC1"
    mods.publish(version, module)
    assert mods.versions(module) == [version]
    for path in (
        "example.com/!acme/!demo!kit/@v/v1.0.0-!r!c1.mod",
        "example.com/%21acme/%21demo%21kit/%40v/v1.0.0-%21r%21c1.mod",
    ):
        assert mods.get(path).body == make.go_mod(module), path
    for path in (
        "example.com/Acme/DemoKit/@v/list",
        "example.com/acme/demokit/@v/list",
        "example.com/!Acme/!demo!kit/@v/list",
        "example.com/!acme/!demo!kit!/@v/list",
        "example.com/!acme/!demo!kit/@v/v1.0.0-RC1.mod",
    ):
        assert mods.get(path).status == 404, path
    assert mods("PUT", "example.com/Acme/DemoKit/@v/v1.1.0.zip", make.module(module, "v1.1.0")).status == 400


def test_paths_that_differ_in_case_are_two_modules(mods: Repository) -> None:
    mods.publish("v1.0.0", "example.com/Demo")
    mods.publish("v1.1.0", "example.com/demo")
    assert mods.versions("example.com/Demo") == ["v1.0.0"]
    assert mods.versions("example.com/demo") == ["v1.1.0"]


def test_versions_are_listed_in_their_order_and_commits_are_not(mods: Repository) -> None:
    commit = "v0.0.0-20260303101500-abcdefabcdef"
    mods.publish(commit)
    assert mods.versions() == []
    assert mods.latest() == commit
    for version in ("v1.10.0", "v1.9.0", "v1.10.0-rc.1", "v1.11.0-rc.2"):
        mods.publish(version)
    assert mods.versions() == ["v1.9.0", "v1.10.0-rc.1", "v1.10.0", "v1.11.0-rc.2"]
    assert mods.latest() == "v1.10.0"
    assert mods.info(commit)["Version"] == commit


def test_what_is_not_there_is_404_in_plain_text(mods: Repository) -> None:
    mods.publish()
    for path, says in (
        ("example.com/@v/list", "module example.com: not in this repository"),
        ("example.com/other/@latest", "module example.com/other: not in this repository"),
        (f"{DEMO}/@v/v1.0.1.info", f"module {DEMO}: no v1.0.1 in this repository"),
        (f"{DEMO}/@v/v1.0.1.zip", f"module {DEMO}: no v1.0.1"),
        (f"{DEMO}/@v/main.info", f"module {DEMO}: no main.info"),
        (f"{DEMO}/@v/v1.0.0.exe", f"module {DEMO}: no v1.0.0.exe"),
        (f"{DEMO}/v2/@v/list", "not in this repository"),
        ("no-domain/@v/list", "module no-domain: not in this repository"),
        ("sumdb/sum.example.org/supported", ""),
        (DEMO, "no such address"),
    ):
        reply = mods.get(path)
        assert (reply.status, reply.header("content-type")) == (404, "text/plain; charset=utf-8"), path
        assert says in reply.text, path


# publishing


def test_a_module_without_go_mod_gets_one_of_a_line(mods: Repository) -> None:
    mods.publish("v2.0.0+incompatible", mod=b"")
    mods.publish("v1.0.0", mod=b"")
    assert mods.get(f"{DEMO}/@v/v2.0.0+incompatible.mod").text == f"module {DEMO}\n"
    assert mods.get(f"{DEMO}/@v/v1.0.0.mod").text == f"module {DEMO}\n"
    assert mods.versions() == ["v1.0.0", "v2.0.0+incompatible"]
    assert mods.latest() == "v1.0.0"
    refused = mods.publish("v3.0.0+incompatible", status=400)
    assert "a module with a go.mod has no +incompatible versions; its path ends in /v3" in refused.text


def test_a_version_never_changes_and_its_number_is_never_given_again(mods: Repository) -> None:
    mods.publish()
    mods.publish(status=200)
    refused = mods.publish(says="other", status=409)
    assert refused.text == f"{DEMO}@v1.0.0 is published already with other content; publish a new version\n"
    before = mods.head()
    assert mods("DELETE", f"{DEMO}/@v/v1.0.0.zip").status == 204
    for path in ("@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"):
        assert mods.get(f"{DEMO}/{path}").status == 404, path
        assert mods.get(f"{DEMO}/{path}", at=before).status == 200, path
    for says in ("", "other"):
        assert "its number is never given again" in mods.publish(says=says, status=409).text
    assert mods("DELETE", f"{DEMO}/@v/v1.0.0.zip").status == 404
    assert mods("DELETE", f"{DEMO}/@v/v1.0.0.mod").status == 405


def test_a_repository_may_let_versions_be_replaced(running: Registry) -> None:
    mods = Repository(running, settings=Settings(overwrite="allow"))
    mods.publish()
    mods.publish(says="other", status=200)
    reply = mods.get(f"{DEMO}/@v/v1.0.0.zip")
    assert reply.body == make.module(says="other")
    assert "immutable" not in reply.header("cache-control")


@pytest.mark.parametrize(
    ("module", "version", "says"),
    [
        (DEMO, "v2.0.0", "the module would be example.com/demo/v2"),
        (f"{DEMO}/v2", "v1.0.0", "has versions of v2 only"),
        (f"{DEMO}/v2", "v2.0.0+incompatible", "without a major version's suffix"),
        (DEMO, "v1.0.0+incompatible", "is for v2 and later"),
        (DEMO, "v1.0", "expected vMAJOR.MINOR.PATCH"),
        (DEMO, "v1.0.0+meta", "expected vMAJOR.MINOR.PATCH"),
        (DEMO, "1.0.0", "expected vMAJOR.MINOR.PATCH"),
        (f"{DEMO}/v1", "v1.0.0", "behind '/v' goes a major version from 2 on"),
        ("gopkg.in/demo", "v1.0.0", "gopkg.in paths end in '.v'"),
        ("demo", "v1.0.0", "a domain name in small letters, with a dot"),
        ("example.com/a b", "v1.0.0", "ASCII letters"),
    ],
)
def test_addresses_that_no_version_can_have_are_refused(mods: Repository, module: str, version: str, says: str) -> None:
    reply = mods("PUT", f"{module.replace(' ', '%20')}/@v/{version}.zip", make.module(module, version))
    assert (reply.status, reply.header("content-type")) == (400, "text/plain; charset=utf-8")
    assert says in reply.text
    assert mods.paths() == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"junk", "malformed zip"),
        (make.module(version="v1.0.1"), f"is not below '{DEMO}@v1.0.0/'"),
        (make.module(mod=make.go_mod("example.com/other")), "go.mod says module example.com/other"),
        (make.module(mod=b"module\n"), "go.mod:1: behind module stands one word"),
        (make.module(files={"DEMO.go": ""}), "differ in nothing but case"),
        (make.module(files={"sub/go.mod": "module x\n"}), "is the go.mod of another module"),
        (make.module(files={"a\\b": ""}), "some file system"),
        (make.module(files={"../up": ""}), "consists of dots"),
        (make.pack([(make.link(f"{DEMO}@v1.0.0/link"), "go.mod")]), "is a link or a device"),
        (make.pack([]), "there is nothing in it"),
    ],
)
def test_zips_that_the_go_command_would_refuse_are_refused(mods: Repository, data: bytes, says: str) -> None:
    refused = mods.put(DEMO, "v1.0.0.zip", data, status=400)
    assert says in refused.text
    assert mods.paths() == []


def test_announced_digests_are_checked(mods: Repository) -> None:
    mods.put(DEMO, "v1.0.0.zip", make.module(), status=400, x_checksum_sha256="0" * 64)
    assert mods.paths() == []


def test_one_of_many_who_publish_different_bytes_wins(mods: Repository) -> None:
    candidates = [make.module(says=f"number {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda data: mods("PUT", f"{DEMO}/@v/v1.0.0.zip", data), candidates))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409, 409]
    winner = next(data for data, reply in zip(candidates, replies, strict=True) if reply.status == 201)
    assert mods.get(f"{DEMO}/@v/v1.0.0.zip").body == winner


def test_who_may_not_write_is_refused(running: Registry) -> None:
    hidden = Repository(running, public=False)
    hidden.publish()
    running.person("rita", **{hidden.key: "read"})
    for method, path in (("PUT", f"{DEMO}/@v/v1.1.0.zip"), ("DELETE", f"{DEMO}/@v/v1.0.0.zip")):
        assert hidden(method, path, b"x", user="").status == 401
        reply = hidden(method, path, b"x", user="rita")
        assert reply.status == 403
        assert reply.header("content-type") == "text/plain; charset=utf-8"
    for path in ("@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip", "@v/v1.0.0.ziphash"):
        assert hidden("GET", f"{DEMO}/{path}", user="rita").status == 200
        reply = hidden.get(f"{DEMO}/{path}")
        assert reply.status == 401
        assert reply.header("www-authenticate").startswith("Basic ")


# go.mod and info beside the zip


@pytest.mark.parametrize("order", [("zip", "mod", "info"), ("info", "mod", "zip"), ("mod", "zip", "info")])
def test_go_mod_and_info_may_come_in_any_order(mods: Repository, order: tuple[str, ...]) -> None:
    bodies = {
        "zip": make.module(),
        "mod": make.go_mod(),
        "info": b'{"Version": "v1.0.0", "Time": "2026-01-02T15:04:05+02:00"}',
    }
    for extension in order:
        if extension != "zip" and "zip" not in order[: order.index(extension)]:
            assert mods.get(f"{DEMO}/@v/list").status == 404
        mods.put(DEMO, f"v1.0.0.{extension}", bodies[extension])
    assert mods.info() == {"Version": "v1.0.0", "Time": "2026-01-02T13:04:05Z"}
    assert mods.paths() == [f"{DEMO}/@v/v1.0.0.zip"]
    mods.put(DEMO, "v1.0.0.info", bodies["info"])
    other = b'{"Version": "v1.0.0", "Time": "2026-01-03T00:00:00Z"}'
    assert "that does not change any more" in mods.put(DEMO, "v1.0.0.info", other, status=409).text


def test_a_go_mod_that_is_not_the_one_in_the_zip_is_refused(mods: Repository) -> None:
    mods.put(DEMO, "v1.0.0.mod", make.go_mod(go="1.20"))
    assert "is not the one in it" in mods.publish(status=400).text
    assert mods.paths() == []
    mods.publish()
    mods.put(DEMO, "v1.0.0.mod", make.go_mod())
    mods.put(DEMO, "v1.0.0.mod", make.go_mod(go="1.20"), status=400)
    assert mods.get(f"{DEMO}/@v/v1.0.0.mod").body == make.go_mod()


def test_an_info_is_of_its_version(mods: Repository) -> None:
    for body in (b"junk", b"{}", b'{"Version": "v1.0.1"}', b'{"Version": "v1.0.0", "Time": "yesterday"}', b"\xff"):
        mods.put(DEMO, "v1.0.0.info", body, status=400)
    mods.put(DEMO, "v1.0.0.info", b'{"Version": "v1.0.0"}')
    mods.put(DEMO, "v1.0.0.info", b" " * 70_000, status=413)
    mods.put(DEMO, "v1.0.0.ziphash", b"h1:", status=405)
    assert mods.paths() == [f"{DEMO}/@v/v1.0.0.info"]


# files without a protocol


def test_a_zip_says_itself_of_which_version_it_is(mods: Repository) -> None:
    path = "example.com/!demo/@v/v1.0.0.zip"
    assert mods.deposit("anything.zip", make.module("example.com/Demo")) == path
    assert mods.deposit(path, make.module("example.com/Demo")) == path
    assert mods.versions("example.com/Demo") == ["v1.0.0"]
    with pytest.raises(ZipUnnamed):
        mods.deposit("anything.zip", make.pack([("no version", "")]))
    with pytest.raises(ZipUnnamed):
        mods.deposit(f"{DEMO}/@v/v1.0.0.mod", make.go_mod())
    for data in (b"junk", make.module("nowhere"), make.module(version="v1")):
        with pytest.raises(Invalid):
            mods.deposit("anything.zip", data)


# the past


def test_the_past_is_read_and_takes_nothing(mods: Repository) -> None:
    mods.publish()
    then = mods.head()
    mods.publish("v1.1.0")
    assert (mods.versions(at=then), mods.latest(at=then)) == (["v1.0.0"], "v1.0.0")
    assert (mods.versions(), mods.latest()) == (["v1.0.0", "v1.1.0"], "v1.1.0")
    assert mods.get(f"{DEMO}/@v/v1.1.0.zip", at=then).status == 404
    reply = mods("PUT", f"{DEMO}/@v/v1.2.0.zip", make.module(version="v1.2.0"), at=then)
    assert reply.status == 405
    assert "the past cannot be written to" in reply.text
