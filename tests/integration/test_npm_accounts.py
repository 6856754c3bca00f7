"""npm's commands about people — login, tokens, profile, owners — and its search, over the real gate and catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from application.formats.npm import FORMAT
from tests.fakes.accounts import CLIENT, PASSWORD, basic, bearer
from tests.integration.harness import Registry, Reply, registry
from tests.integration.populated import populate
from tests.samples.npm import make

_numbers = count(1)


class Npm:
    """A registry with real accounts, as clients with their own credentials see it."""

    def __init__(self, running: Registry) -> None:
        self.running = running
        self.people, self.index = populate(running)
        self.row = running.repository(f"libs{next(_numbers)}", "npm")
        self.ada = self.people.user("ada", admin=True)
        self.bob = self.people.user("bob")

    def request(self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.running.request(method, f"/npm/{self.row.key}/{path}", data, headers=headers or {})

    def login(self, name: str = "bob", password: str = PASSWORD) -> Reply:
        document = {"_id": f"org.couchdb.user:{name}", "name": name, "password": password, "type": "user", "roles": []}
        return self.request("PUT", f"-/user/org.couchdb.user:{name}", document)

    def token(self, name: str = "bob") -> dict[str, str]:
        return bearer(self.login(name).json()["token"])

    def publish(self, name: str = "hello", **fields: Any) -> Reply:
        data = make.tarball({}, name=name, **fields)
        return self.request("PUT", name.replace("/", "%2f"), make.document(data, name), basic("ada"))


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("npm"), [FORMAT]) as started:
        yield started


@pytest.fixture
def npm(running: Registry) -> Npm:
    return Npm(running)


# login


def test_a_login_gives_a_token_that_is_good_at_once(npm: Npm) -> None:
    reply = npm.login()
    assert reply.status == 201
    assert reply.json()["ok"] == "you are authenticated as 'bob'"
    assert npm.request("GET", "-/whoami", headers=bearer(reply.json()["token"])).json() == {"username": "bob"}


def test_a_login_token_reads_and_writes_and_only_an_administrators_deletes(npm: Npm) -> None:
    npm.login("bob")
    npm.login("ada")
    assert [token.scopes for token in npm.people.directory.tokens_of(npm.bob)] == [
        ("read:artifacts", "write:artifacts")
    ]
    assert [token.scopes for token in npm.people.directory.tokens_of(npm.ada)] == [
        ("read:artifacts", "write:artifacts", "delete:artifacts")
    ]


@pytest.mark.parametrize(("name", "password"), [("bob", "wrong"), ("nobody", PASSWORD), ("bob", "")])
def test_a_wrong_login_is_refused_without_saying_what_was_wrong(npm: Npm, name: str, password: str) -> None:
    reply = npm.login(name, password)
    assert reply.status == 401
    assert reply.json()["error"] == "invalid username or password"
    assert npm.people.directory.tokens_of(npm.bob) == []


def test_logins_are_throttled(npm: Npm) -> None:
    statuses = [npm.login("bob", "wrong").status for _ in range(12)]
    assert statuses[:4] == [401] * 4
    assert statuses[-1] == 429


def test_a_password_that_must_be_changed_opens_nothing(npm: Npm) -> None:
    npm.people.accounts.require_password_change(npm.bob, npm.people.meta())
    reply = npm.login()
    assert reply.status == 403
    assert "new password" in reply.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"name":"ada","password":"x"}',
        b'{"name":"bob"}',
        b"[" * 5000,
        b'{"name":7,"password":"x"}',
    ],
)
def test_a_login_that_is_no_document_is_refused(npm: Npm, body: bytes) -> None:
    assert npm.request("PUT", "-/user/org.couchdb.user:bob", body).status == 400


def test_a_web_login_is_answered_so_that_npm_asks_for_the_password(npm: Npm) -> None:
    assert npm.request("POST", "-/v1/login", {}).status == 404


def test_a_logout_ends_the_token(npm: Npm) -> None:
    secret = npm.login().json()["token"]
    assert npm.request("DELETE", f"-/user/token/{secret}", headers=bearer(secret)).status == 200
    assert npm.people.directory.tokens_of(npm.bob) == []


# tokens


def test_tokens_are_created_with_the_password_listed_without_secret_and_taken_back(npm: Npm) -> None:
    caller = npm.token()
    created = npm.request(
        "POST", "-/npm/v1/tokens", {"password": PASSWORD, "readonly": True, "name": "ci"}, caller
    ).json()
    assert (created["readonly"], created["name"], created["cidr_whitelist"]) == (True, "ci", None)
    listed = npm.request("GET", "-/npm/v1/tokens", headers=caller).json()
    assert [(token["name"], token["readonly"]) for token in listed["objects"]] == [("npm login", False), ("ci", True)]
    assert listed["urls"] == {}
    assert created["token"] not in json.dumps(listed)
    assert created["token"].startswith(listed["objects"][1]["token"])
    assert npm.request("DELETE", f"-/npm/v1/tokens/token/{created['key']}", headers=caller).status == 204
    assert npm.request("DELETE", f"-/npm/v1/tokens/token/{created['key']}", headers=caller).status == 404
    assert len(npm.request("GET", "-/npm/v1/tokens", headers=caller).json()["objects"]) == 1


def test_a_token_can_be_taken_back_by_itself(npm: Npm) -> None:
    caller = npm.token()
    secret = npm.login().json()["token"]
    assert npm.request("DELETE", f"-/npm/v1/tokens/token/{secret}", headers=caller).status == 204


def test_nobody_takes_back_or_sees_the_tokens_of_others(npm: Npm) -> None:
    npm.token("bob")
    key = npm.people.directory.tokens_of(npm.bob)[0].id
    caller = npm.token("ada")
    assert npm.request("DELETE", f"-/npm/v1/tokens/token/{key}", headers=caller).status == 404
    assert len(npm.request("GET", "-/npm/v1/tokens", headers=caller).json()["objects"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"password": "wrong"}, 401),
        ({}, 400),
        ({"password": PASSWORD, "cidr_whitelist": ["10.0.0.0/8"]}, 400),
        ({"password": PASSWORD, "packages": ["hello"]}, 400),
        ({"password": PASSWORD, "packages_and_scopes_permission": "no-access"}, 400),
        ({"password": PASSWORD, "name": "x" * 200}, 400),
    ],
)
def test_a_token_that_cannot_be_as_asked_is_refused(npm: Npm, body: dict[str, Any], status: int) -> None:
    assert npm.request("POST", "-/npm/v1/tokens", body, npm.token()).status == status
    assert len(npm.people.directory.tokens_of(npm.bob)) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "-/whoami", b""),
        ("GET", "-/npm/v1/tokens", b""),
        ("POST", "-/npm/v1/tokens", {"password": PASSWORD}),
        ("DELETE", "-/npm/v1/tokens/token/x", b""),
        ("GET", "-/npm/v1/user", b""),
        ("GET", "-/user/org.couchdb.user:bob", b""),
        ("DELETE", "-/user/token/x", b""),
    ],
)
def test_what_is_about_somebody_needs_somebody(npm: Npm, method: str, path: str, body: Any) -> None:
    assert npm.request(method, path, body).status == 401


# profile, owners


def test_a_profile_is_the_callers_own_and_not_changed_here(npm: Npm) -> None:
    profile = npm.request("GET", "-/npm/v1/user", headers=npm.token()).json()
    assert (profile["name"], profile["email"], profile["tfa"]) == ("bob", "bob@example.org", False)
    assert npm.request("POST", "-/npm/v1/user", {"email": "x"}, npm.token()).status == 404


def test_an_address_is_told_to_its_owner_and_to_administrators(npm: Npm) -> None:
    path = "-/user/org.couchdb.user:bob"
    carol = npm.people.user("carol")
    assert carol
    assert npm.request("GET", path, headers=basic("bob")).json()["email"] == "bob@example.org"
    assert npm.request("GET", path, headers=basic("ada")).json()["email"] == "bob@example.org"
    assert npm.request("GET", path, headers=basic("carol")).json()["email"] == ""
    assert npm.request("GET", "-/user/org.couchdb.user:nobody", headers=basic("bob")).status == 404


def test_owners_are_named_and_shown(npm: Npm) -> None:
    npm.publish()
    document = npm.request("GET", "hello").json()
    assert document["maintainers"] == []
    change = {"_id": "hello", "_rev": document["_rev"], "maintainers": [{"name": "bob", "email": ""}, {"name": "ada"}]}
    assert npm.request("PUT", f"hello/-rev/{document['_rev']}", change, basic("ada")).status == 200
    document = npm.request("GET", "hello").json()
    assert [person["name"] for person in document["maintainers"]] == ["bob", "ada"]
    for people, status in (([], 400), ([{"name": "nobody"}], 404)):
        change = {"_id": "hello", "_rev": document["_rev"], "maintainers": people}
        assert npm.request("PUT", f"hello/-rev/{document['_rev']}", change, basic("ada")).status == status


def test_a_name_that_was_erased_is_shown_nowhere_from_then_on(npm: Npm) -> None:
    npm.publish()
    revision = npm.request("GET", "hello").json()["_rev"]
    npm.request("PUT", f"hello/-rev/{revision}", {"_id": "hello", "maintainers": [{"name": "bob"}]}, basic("ada"))
    assert [person["name"] for person in npm.request("GET", "hello").json()["maintainers"]] == ["bob"]
    npm.people.accounts.erase(npm.bob, "asked", npm.people.meta())
    assert "bob" not in npm.request("GET", "hello").text


# search


def test_a_search_tells_what_the_latest_version_says(npm: Npm) -> None:
    npm.publish("@acme/x", bugs="https://bugs.example.org")
    npm.publish("hello", version="1.0.0")
    npm.index.known = [
        ("hello", "a greeting", npm.row.id),
        ("@acme/x", "another greeting", npm.row.id),
        ("other", "greeting", uuid4()),
    ]
    found = npm.request("GET", "-/v1/search?text=greeting&size=20&from=0&quality=0.65").json()
    assert (found["total"], [hit["package"]["name"] for hit in found["objects"]]) == (2, ["hello", "@acme/x"])
    package = found["objects"][1]["package"]
    assert (package["version"], package["scope"], package["description"]) == ("1.0.0", "acme", "says hello")
    assert package["links"]["bugs"] == "https://bugs.example.org"
    assert package["author"]["name"] == "Ada Lovelace"
    parts = npm.request("GET", "-/v1/search?text=acme").json()
    assert [hit["package"]["name"] for hit in parts["objects"]] == ["@acme/x"]


def test_a_search_is_paged_and_passes_over_what_is_gone(npm: Npm) -> None:
    for name in ("hello1", "hello2", "hello3"):
        npm.publish(name)
    npm.index.known = [(name, name, npm.row.id) for name in ("hello1", "gone", "hello2", "hello3")]
    page = npm.request("GET", "-/v1/search?text=hello&size=2&from=1").json()
    assert [hit["package"]["name"] for hit in page["objects"]] == ["hello2", "hello3"]
    assert npm.request("GET", "-/v1/search?text=gone").json()["objects"] == []
    assert npm.request("GET", "-/v1/search?text=hello&size=0").json()["objects"] == []


@pytest.mark.parametrize("query", ["size=x", "from=-1", "size=99999999999", "size=%D9%A1"])
def test_a_search_with_bad_numbers_is_refused(npm: Npm, query: str) -> None:
    assert npm.request("GET", f"-/v1/search?text=a&{query}").status == 400


def test_the_client_of_a_login_is_the_one_that_connected(npm: Npm) -> None:
    npm.login("bob", "wrong")
    assert any("127.0.0.1" in key for key in npm.people.limiter.used)
    assert CLIENT != "127.0.0.1"
