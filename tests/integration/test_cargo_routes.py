"""The cargo format over the real gate, log and catalogue."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from application.formats.cargo import FORMAT
from application.identity.client_accounts import WRITE_SCOPES
from application.identity.tokens import NewToken
from application.publishing import Target
from domain.event import SYSTEM
from tests.fakes.accounts import basic
from tests.integration.harness import Registry, Reply, registry
from tests.integration.populated import populate
from tests.samples.cargo import make

BASE = "http://registry.example/cargo"
CRATES = "api/v1/crates"
_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("cargo"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository of the running registry, as cargo sees it."""

    def __init__(self, running: Registry, **options: Any) -> None:
        self.running, self.key = running, f"libs{next(_numbers)}"
        self.row = running.repository(self.key, "cargo", **options)

    def request(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        user: str | None = "admin",
        at: str = "",
        prefix: str = "cargo",
        **headers: str,
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/{prefix}/{self.key}{at}/{path}", data, user=user, headers=sent)

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, user=None, **options)

    def publish(
        self, name: str = "demo", version: str = "1.0.0", *, user: str | None = "admin", mark: str = ""
    ) -> Reply:
        return self.request("PUT", f"{CRATES}/new", make.publish(name, version, mark)[0], user=user)

    def lines(self, path: str = "de/mo/demo", *, at: str = "") -> list[dict[str, Any]]:
        reply = self.get(path, at=at)
        assert reply.status == 200, reply.text
        return [json.loads(line) for line in reply.text.splitlines()]

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def libs(running: Registry) -> Repository:
    return Repository(running)


def detail(reply: Reply) -> str:
    """The sentence that cargo prints."""
    assert reply.header("content-type") == "application/json"
    (error,) = reply.json()["errors"]
    return str(error["detail"])


# the index


def test_a_publish_is_in_the_index_when_it_is_answered(libs: Repository) -> None:
    body, content = make.publish()
    reply = libs.request("PUT", f"{CRATES}/new", body)
    assert (reply.status, reply.json()) == (
        200,
        {"warnings": {"invalid_categories": [], "invalid_badges": [], "other": []}},
    )
    (line,) = libs.lines()
    assert (line["name"], line["vers"], line["yanked"], line["deps"]) == ("demo", "1.0.0", False, [])
    assert line["cksum"] == hashlib.sha256(content).hexdigest()
    download = libs.get(f"{CRATES}/demo/1.0.0/download")
    assert (download.status, download.body) == (200, content)
    assert "immutable" in download.header("cache-control")


def test_the_index_has_one_root_and_another_below_index(libs: Repository) -> None:
    libs.publish()
    for prefix in ("cargo", "api/cargo"):
        base = f"http://registry.example/{prefix}/{libs.key}"
        for folder in ("", "index/"):
            config = libs.get(f"{folder}config.json", prefix=prefix)
            assert config.json() == {"dl": f"{base}/{CRATES}", "api": base}
            index = libs.get(f"{folder}de/mo/demo", prefix=prefix)
            assert (index.status, index.body) == (200, libs.get("de/mo/demo").body)
    for name, path in (("z", "1/z"), ("zz", "2/zz"), ("zzz", "3/z/zzz")):
        libs.publish(name)
        assert libs.lines(path)[0]["name"] == libs.lines(f"index/{path}")[0]["name"] == name


def test_a_crate_is_found_in_lower_case_and_keeps_its_spelling(libs: Repository) -> None:
    assert libs.publish("Demo_Crate").status == 200
    assert libs.lines("de/mo/demo_crate")[0]["name"] == "Demo_Crate"
    for path in (
        "de/mo/demo-crate",
        "De/mo/Demo_Crate",
        "de/mo/demo_crate2",
        "xx/mo/demo_crate",
        "2/demo_crate",
        "2/z",
    ):
        reply = libs.get(path)
        assert reply.status == 404, path
        assert detail(reply)
    for name in ("Demo_Crate", "demo_crate"):
        assert libs.get(f"{CRATES}/{name}/1.0.0/download").status == 200


def test_documents_are_validated_and_change_with_every_fact(libs: Repository) -> None:
    libs.publish()
    seen = set()
    for change in (
        lambda: None,
        lambda: libs.publish(version="1.1.0"),
        lambda: libs.request("DELETE", f"{CRATES}/demo/1.0.0/yank"),
        lambda: libs.request("PUT", f"{CRATES}/demo/1.0.0/unyank"),
    ):
        change()
        reply = libs.get("de/mo/demo")
        tag = reply.header("etag")
        assert libs.get("de/mo/demo", if_none_match=tag).status == 304
        assert reply.header("last-modified") == "", "a date of whole seconds would miss a yank"
        seen.add(tag)
    assert len(seen) == 3, "an undone yank is the same index again"
    config = libs.get("config.json")
    assert libs.get("config.json", if_none_match=config.header("etag")).status == 304


def test_dependencies_features_and_more_come_out_as_they_went_in(libs: Repository) -> None:
    own = f"sparse+{BASE}/{libs.key}/"
    tables = f"""
[features]
x = ["dep:opt"]
plain = []
[dependencies.opt]
version = "1"
optional = true
registry-index = "{own}"
[dependencies.alias]
package = "real"
version = "0.3"
[dependencies.near]
version = "1"
registry-index = "{own}index/"
"""
    deps = [
        make.dependency("opt", optional=True, registry=None),
        make.dependency("real", "^0.3", explicit_name_in_toml="alias"),
        make.dependency("near", registry=f"{own}index/"),
    ]
    toml = make.manifest(tables=tables, links="z", rust_version="1.70")
    document = make.announced(deps=deps, features={"x": ["dep:opt"], "plain": []}, links="z")
    assert libs.request("PUT", f"{CRATES}/new", make.upload(document, make.crate(toml=toml))).status == 200
    (line,) = libs.lines()
    assert [(one["name"], one["package"], one["registry"], one["optional"]) for one in line["deps"]] == [
        ("opt", None, None, True),
        ("alias", "real", make.PUBLIC, False),
        ("near", None, None, False),
    ]
    assert (line["v"], line["features"], line["features2"]) == (2, {"plain": []}, {"x": ["dep:opt"]})
    assert (line["links"], line["rust_version"]) == ("z", "1.70")


def test_a_crate_with_more_features_than_an_event_holds_is_indexed_all_the_same(libs: Repository) -> None:
    features = {f"feature-number-{number}": ["default"] for number in range(1000)} | {"default": []}
    toml = make.manifest(tables="[features]\n" + "\n".join(f"{name} = {values}" for name, values in features.items()))
    body = make.upload(make.announced(features=features), make.crate(toml=toml))
    assert libs.request("PUT", f"{CRATES}/new", body).status == 200
    assert libs.lines()[0]["features"] == features
    assert libs.running.spooled_files() == []


# what is refused


def test_a_version_is_never_given_twice(libs: Repository) -> None:
    assert libs.publish(version="1.0.7").status == 200
    for version, mark in (("1.0.7", ""), ("1.0.7", "other bytes"), ("1.0.7+build.5", "")):
        reply = libs.publish(version=version, mark=mark)
        assert reply.status == 409
        assert detail(reply) == "crate version `demo@1.0.7` was published before; a version is never given twice"
    libs.publish(version="1.0.8+first")
    assert libs.publish(version="1.0.8").status == 409
    assert [line["vers"] for line in libs.lines()] == ["1.0.7", "1.0.8+first"]
    assert libs.get(f"{CRATES}/demo/1.0.8+first/download").status == 200
    assert libs.get(f"{CRATES}/demo/1.0.8/download").status == 404


def test_a_deleted_version_stays_burnt_and_an_empty_crate_is_gone(libs: Repository) -> None:
    libs.publish()
    then = libs.head()
    target = Target(libs.row.id, libs.row.settings, SYSTEM)
    libs.running.publishing.delete_version(target, "demo", "1.0.0")
    assert libs.get("de/mo/demo").status == 404
    assert libs.lines(at=then)[0]["vers"] == "1.0.0"
    reply = libs.publish()
    assert reply.status == 409
    assert detail(reply) == "crate version `demo@1.0.0` was published before; a version is never given twice"
    assert libs.publish(version="1.0.1").status == 200


@pytest.mark.parametrize("other", ["demo-crate", "DEMO_CRATE", "Demo-Crate"])
def test_a_name_that_cargo_would_take_for_another_is_refused(libs: Repository, other: str) -> None:
    assert libs.publish("demo_crate").status == 200
    reply = libs.publish(other, "2.0.0")
    assert reply.status == 409
    assert detail(reply).startswith(f"crate `{other}` cannot be published")
    assert libs.publish("demo_crate", "2.0.0").status == 200
    assert [line["vers"] for line in libs.lines("de/mo/demo_crate")] == ["1.0.0", "2.0.0"]


def test_of_two_spellings_that_are_published_at_once_one_remains(libs: Repository) -> None:
    replies: dict[str, Reply] = {}
    names = ["race-crate", "race_crate"]
    threads = [threading.Thread(target=lambda name=name: replies.update({name: libs.publish(name)})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies.values()) == [200, 409]
    assert sorted(libs.get(f"ra/ce/{name}").status for name in names) == [200, 404]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "before a length"),
        (b"{}", "before a length"),
        (b"\x02\x00\x00\x00{}\x00\x00\x00\x00", "metadata"),
        (make.publish()[0][:-1], "announces a crate of"),
        (make.publish()[0] + b"!", "announces a crate of"),
        (make.upload(make.announced("std"), make.crate("std")), "standard library"),
        (make.upload(make.announced(version="1.0"), make.crate()), "SemVer"),
        (make.upload(make.announced(), b"no crate at all"), "malformed crate"),
        (make.upload(make.announced(), make.crate("other")), "not inside the folder"),
        (make.upload(make.announced(deps=[make.dependency("a")]), make.crate()), "normal dependency 'a'"),
        (make.upload(make.announced(), make.crate(toml=b"[")), "Cargo.toml: "),
    ],
)
def test_a_bad_publish_is_refused_in_a_sentence_that_cargo_prints(libs: Repository, body: bytes, says: str) -> None:
    reply = libs.request("PUT", f"{CRATES}/new", body)
    assert reply.status == 400, reply.text
    assert says in detail(reply)
    assert libs.get("de/mo/demo").status == 404
    assert libs.running.spooled_files() == []


def test_too_much_metadata_is_refused_unread(libs: Repository) -> None:
    reply = libs.request("PUT", f"{CRATES}/new", (2**32 - 1).to_bytes(4, "little") + b"{}")
    assert reply.status == 413
    assert "readme included" in detail(reply)


def test_a_publish_that_breaks_off_leaves_nothing(libs: Repository) -> None:
    body, _ = make.publish()
    target = f"/cargo/{libs.key}/{CRATES}/new"
    assert libs.running.request("PUT", target, body[:-50], user="admin", truncated=True).status == 400
    assert libs.running.spooled_files() == []
    assert libs.get("de/mo/demo").status == 404


@pytest.mark.parametrize(
    "path",
    [
        f"{CRATES}/demo/9.9.9/download",
        f"{CRATES}/demo/1.0/download",
        f"{CRATES}/demo/1.0.0%2b/download",
        f"{CRATES}/other/1.0.0/download",
        f"{CRATES}/no%20name/1.0.0/download",
        f"{CRATES}/demo/1.0.0",
        "index/api/v1/crates",
        "de/mo/",
        "",
        "index/",
        "1/",
    ],
)
def test_what_is_not_there_is_said_in_cargos_words(libs: Repository, path: str) -> None:
    libs.publish()
    reply = libs.get(path)
    assert reply.status == 404
    assert detail(reply)


# who may


def test_a_private_index_says_so_and_asks_for_a_token(running: Registry) -> None:
    libs = Repository(running, public=False)
    running.person("rita", **{libs.key: "read"})
    running.person("wendy", **{libs.key: "read write"})
    assert libs.publish(user="wendy").status == 200
    for path in ("config.json", "index/config.json", "de/mo/demo", f"{CRATES}/demo/1.0.0/download", f"{CRATES}?q=demo"):
        reply = libs.get(path)
        assert reply.status == 401, path
        challenges = [value for name, value in reply.headers if name == "www-authenticate"]
        assert challenges[0] == 'Cargo login_url="http://registry.example/cargo/me"'
        assert any(challenge.startswith("Basic ") for challenge in challenges)
        assert detail(reply) == "authentication required"
    config = libs.request("GET", "config.json", user="rita")
    assert config.json()["auth-required"] is True
    assert libs.request("GET", "de/mo/demo", user="rita").status == 200
    assert libs.request("GET", f"{CRATES}/demo/1.0.0/download", user="rita").status == 200
    refused = libs.publish(version="2.0.0", user="rita")
    assert (refused.status, detail(refused)) == (403, f"you do not have write access to repository '{libs.key}'")


def test_the_page_about_tokens_is_open_and_tells_of_no_repository(running: Registry) -> None:
    hidden = Repository(running, public=False)
    pages = [running.request("GET", f"/cargo/{where}me") for where in ("", f"{hidden.key}/", "absent/")]
    assert {page.status for page in pages} == {200}
    assert len({page.body for page in pages}) == 1
    assert "http://registry.example/api/v1/auth/tokens" in pages[0].text


def test_the_alias_asks_for_the_same_rights(running: Registry) -> None:
    running.repository("cargo", "cargo")
    libs = Repository(running, public=False)
    assert libs.get("config.json", prefix="api/cargo").status == 401
    reply = libs.request("PUT", f"{CRATES}/new", make.publish()[0], user=None, prefix="api/cargo")
    assert reply.status == 401


def test_a_reader_changes_nothing(libs: Repository) -> None:
    libs.running.person("rita", **{libs.key: "read"})
    libs.publish()
    for method, path in (
        ("PUT", "new"),
        ("DELETE", "demo/1.0.0/yank"),
        ("PUT", "demo/1.0.0/unyank"),
        ("PUT", "demo/owners"),
        ("DELETE", "demo/owners"),
    ):
        for user, status in (("rita", 403), (None, 401)):
            assert libs.request(method, f"{CRATES}/{path}", b"{}", user=user).status == status, (method, path)


# yank


def test_a_yanked_version_is_marked_and_still_given(libs: Repository) -> None:
    libs.publish()
    libs.publish(version="1.1.0")
    before = libs.head()
    for _ in range(2):
        reply = libs.request("DELETE", f"{CRATES}/demo/1.1.0/yank")
        assert (reply.status, reply.json()) == (200, {"ok": True})
        assert [line["yanked"] for line in libs.lines()] == [False, True]
    assert libs.get(f"{CRATES}/demo/1.1.0/download").status == 200
    assert [line["yanked"] for line in libs.lines(at=before)] == [False, False]
    assert libs.request("PUT", f"{CRATES}/demo/1.1.0/unyank").json() == {"ok": True}
    assert [line["yanked"] for line in libs.lines()] == [False, False]


def test_what_is_not_there_cannot_be_yanked(libs: Repository) -> None:
    libs.publish()
    for path, says in (
        ("demo/2.0.0", "crate `demo` does not have a version `2.0.0`"),
        ("demo/nonsense", "does not have a version"),
        ("other/1.0.0", "crate `other` does not have a version"),
        ("no.name/1.0.0", "crate `no.name` does not exist"),
    ):
        reply = libs.request("DELETE", f"{CRATES}/{path}/yank")
        assert reply.status == 404
        assert says in detail(reply)


# the past


def test_the_past_is_served_with_its_own_addresses_and_takes_nothing(libs: Repository) -> None:
    libs.publish()
    then = libs.head()
    libs.publish(version="2.0.0")
    assert [line["vers"] for line in libs.lines(at=then)] == ["1.0.0"]
    base = f"{BASE}/{libs.key}{then}"
    assert libs.get("config.json", at=then).json() == {"dl": f"{base}/{CRATES}", "api": base}
    assert libs.get(f"{CRATES}/demo/1.0.0/download", at=then).status == 200
    assert libs.get(f"{CRATES}/demo/2.0.0/download", at=then).status == 404
    reply = libs.request("PUT", f"{CRATES}/new", make.publish(version="3.0.0")[0], at=then)
    assert reply.status == 405
    assert "the past cannot be written to" in detail(reply)


# people and search


class Peopled(Repository):
    """A repository of a registry with real accounts and a search of a few lines."""

    def __init__(self, running: Registry) -> None:
        super().__init__(running)
        self.people, self.index = populate(running)
        self.people.user("ada", admin=True)
        self.people.user("bob")

    def ask(self, method: str, path: str, body: Any = b"", *, user: str | None = "ada") -> Reply:
        headers = basic(user) if user else {}
        return self.request(method, f"{CRATES}{path}", body, user=None, **headers)


@pytest.fixture(scope="module")
def peopled_registry(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("cargo-people"), [FORMAT]) as started:
        yield started


@pytest.fixture
def peopled(peopled_registry: Registry) -> Peopled:
    return Peopled(peopled_registry)


def owners(libs: Peopled) -> list[str]:
    return [user["login"] for user in libs.ask("GET", "/demo/owners").json()["users"]]


def test_whoever_publishes_first_is_named_as_owner_and_others_can_be(peopled: Peopled) -> None:
    assert peopled.ask("PUT", "/new", make.publish()[0]).status == 200
    (user,) = peopled.ask("GET", "/demo/owners").json()["users"]
    assert (user["login"], user["name"]) == ("ada", None)
    assert 0 <= user["id"] < 2**31
    added = peopled.ask("PUT", "/demo/owners", {"users": ["bob"]})
    assert added.status == 200
    assert added.json()["ok"] is True
    assert "bob" in added.json()["msg"]
    assert owners(peopled) == ["ada", "bob"]
    assert peopled.ask("PUT", "/new", make.publish(version="1.1.0")[0]).status == 200
    assert owners(peopled) == ["ada", "bob"]
    assert peopled.ask("DELETE", "/demo/owners", {"users": ["ada"]}).json()["ok"] is True
    assert owners(peopled) == ["bob"]


def test_an_owner_must_be_somebody_and_somebody_must_be_left(peopled: Peopled) -> None:
    peopled.ask("PUT", "/new", make.publish()[0])
    for method, body, status, says in (
        ("PUT", {"users": ["nobody"]}, 404, "nobody"),
        ("DELETE", {"users": ["ada"]}, 409, "needs an owner"),
        ("PUT", {"users": []}, 400, "between one and"),
        ("PUT", {}, 400, "malformed JSON"),
        ("PUT", b"\xff", 400, "malformed JSON"),
    ):
        reply = peopled.ask(method, "/demo/owners", body)
        assert reply.status == status
        assert says in detail(reply)
    assert peopled.ask("GET", "/absent/owners").status == 404
    assert owners(peopled) == ["ada"]


def test_a_token_is_sent_without_a_scheme_as_cargo_does(peopled: Peopled) -> None:
    people = peopled.people
    new = NewToken(name="cargo", scopes=list(WRITE_SCOPES))
    secret = people.tokens.create(people.user("carl", admin=True), new, people.principal("carl"), people.meta()).secret
    for value in (secret, f"Bearer {secret}"):
        reply = peopled.get("config.json", authorization=value)
        assert reply.status == 200, value
    wrong = peopled.get("config.json", authorization="0" * 8 + "_" + "1" * 32)
    assert wrong.status == 401
    assert detail(wrong)


def test_search_tells_the_best_version_and_pages(peopled: Peopled) -> None:
    for name, version in (("demo", "1.0.0"), ("demo", "2.0.0-rc.1"), ("demo", "1.1.0"), ("other", "0.1.0")):
        peopled.ask("PUT", "/new", make.publish(name, version)[0])
    peopled.ask("DELETE", "/demo/1.1.0/yank")
    home = peopled.row.id
    peopled.index.known = [("demo", "The demo sample", home), ("other", "The other sample", home)]
    found = peopled.ask("GET", "?q=demo&per_page=10", user=None).json()
    assert found == {
        "crates": [{"name": "demo", "max_version": "1.0.0", "description": "The demo sample"}],
        "meta": {"total": 1},
    }
    every = peopled.ask("GET", "?q=sample&per_page=1&page=2", user=None).json()
    assert [one["name"] for one in every["crates"]] == ["other"]
    assert every["meta"] == {"total": 2}
    assert peopled.ask("GET", "?q=nothing", user=None).json() == {"crates": [], "meta": {"total": 0}}
    assert len(peopled.ask("GET", "", user=None).json()["crates"]) == 2
    assert peopled.ask("GET", "?q=a&per_page=x", user=None).status == 400
