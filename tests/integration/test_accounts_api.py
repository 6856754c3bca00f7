"""Accounts over HTTP, as one worker serves them: shapes, statuses, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.permissions import SYSTEM_TARGET
from tests.integration.harness import Reply
from tests.integration.product import ADMIN_PASSWORD, Product, product

ADMIN = ("admin", ADMIN_PASSWORD)
PASSWORD = "correct horse battery"
API = "/api/v1"

TOKEN = re.compile(r"[0-9a-f]{8}_[0-9a-f]{32}\Z")


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory) as started:
        yield started


class Person:
    """A fresh user."""

    def __init__(self, running: Product, *, admin: bool = False) -> None:
        self.name = f"user-{uuid4().hex[:8]}"
        self.auth = (self.name, PASSWORD)
        body = {"username": self.name, "email": f"{self.name}@example.org", "password": PASSWORD, "is_admin": admin}
        answer = ok(running.call("POST", f"{API}/users", body, auth=ADMIN))
        self.id = answer["user"]["id"]


@pytest.fixture
def ann(running: Product) -> Person:
    return Person(running)


def ok(answer: Reply, status: int = 200) -> Any:
    assert answer.status == status, (answer.status, answer.body)
    return answer.json() if answer.body else None


def refused(answer: Reply, status: int, code: str) -> str:
    assert answer.status == status, (answer.status, answer.body)
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == code
    return str(body["message"])


def sign_in(running: Product, person: Person) -> dict[str, Any]:
    body = {"username": person.name, "password": person.auth[1]}
    answer: dict[str, Any] = ok(running.call("POST", f"{API}/auth/login", body))
    return answer


def cookies_of(answer: Reply) -> SimpleCookie:
    cookies = SimpleCookie()
    for name, value in answer.headers:
        if name == "set-cookie":
            cookies.load(value)
    return cookies


def repository(running: Product, *, public: bool = False, auth: tuple[str, str] = ADMIN) -> dict[str, Any]:
    key = f"libs-{uuid4().hex[:8]}"
    body = {"key": key, "name": key, "format": "generic", "repo_type": "local", "is_public": public}
    answer: dict[str, Any] = ok(running.call("POST", f"{API}/repositories", body, auth=auth))
    return answer


# sessions


def test_signing_in_gives_tokens_and_cookies(running: Product, ann: Person) -> None:
    answer = running.call("POST", f"{API}/auth/login", {"username": ann.name, "password": PASSWORD})
    body = ok(answer)
    assert set(body) == {"access_token", "refresh_token", "expires_in", "token_type", "must_change_password"}
    assert (body["expires_in"], body["token_type"], body["must_change_password"]) == (1800, "Bearer", False)
    assert answer.header("cache-control") == "no-store"
    access, refresh = (cookies_of(answer)[name] for name in ("ak_access_token", "ak_refresh_token"))
    assert (access.value, access["path"], access["max-age"]) == (body["access_token"], "/", "1800")
    assert (refresh["path"], refresh["max-age"]) == ("/api/v1/auth/refresh", "604800")
    for cookie in (access, refresh):
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "strict"
        assert not cookie["secure"]
    me = ok(running.call("GET", f"{API}/auth/me", auth=body["access_token"]))
    assert me == {
        "id": ann.id,
        "username": ann.name,
        "email": f"{ann.name}@example.org",
        "display_name": None,
        "is_admin": False,
        "totp_enabled": False,
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "nobody", "password": PASSWORD}, 401),
        ({"username": "", "password": ""}, 401),
        ({"username": "admin", "password": "x" * 5000}, 401),
        ({"username": "a\u0000b", "password": "\u0000"}, 401),
        ({"username": "admin"}, 400),
        ({"username": 7, "password": []}, 400),
        ([], 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
    ],
)
def test_sign_ins_that_cannot_succeed_say_no_more_than_that(running: Product, body: object, status: int) -> None:
    answer = running.call("POST", f"{API}/auth/login", body)
    assert answer.status == status, answer.body
    assert set(answer.json()) == {"code", "message"}
    if status == 401:
        assert answer.json() == {"code": "AUTH_ERROR", "message": "invalid username or password"}


def test_nobody_is_kept_from_signing_in_by_an_old_credential(running: Product, ann: Person) -> None:
    old = sign_in(running, ann)
    body = {"new_password": "another good one", "current_password": PASSWORD}
    ok(running.call("POST", f"{API}/users/me/password", body, auth=old["access_token"]))
    ann.auth = (ann.name, "another good one")
    stale = {"cookie": f"ak_access_token={old['access_token']}"}

    refused(running.call("GET", f"{API}/auth/me", headers=stale), 401, "AUTH_ERROR")
    refused(running.call("GET", f"{API}/repositories", headers=stale), 401, "AUTH_ERROR")
    login = {"username": ann.name, "password": "another good one"}
    ok(running.call("POST", f"{API}/auth/login", login, headers=stale))
    assert running.call("POST", f"{API}/auth/logout", headers=stale).status == 200
    ok(running.call("GET", f"{API}/setup/status", headers=stale))


def test_refreshing_works_by_body_and_by_cookie(running: Product, ann: Person) -> None:
    first = sign_in(running, ann)
    second = ok(running.call("POST", f"{API}/auth/refresh", {"refresh_token": first["refresh_token"]}))
    assert set(second) == set(first)
    cookie = {"cookie": f"ak_refresh_token={second['refresh_token']}"}
    third = running.call("POST", f"{API}/auth/refresh", headers=cookie)
    assert cookies_of(third)["ak_refresh_token"].value == ok(third)["refresh_token"] != second["refresh_token"]
    for body in (None, {}, {"refresh_token": None}, {"refresh_token": "x"}, {"refresh_token": first["access_token"]}):
        assert running.call("POST", f"{API}/auth/refresh", body).status == 401


def test_signing_out_ends_the_session_and_takes_the_cookies_back(running: Product, ann: Person) -> None:
    for how in ("body", "cookie", "bearer"):
        session = sign_in(running, ann)
        body = {"refresh_token": session["refresh_token"]} if how == "body" else None
        headers = {"cookie": f"ak_refresh_token={session['refresh_token']}"} if how == "cookie" else None
        auth = session["access_token"] if how == "bearer" else None
        answer = running.call("POST", f"{API}/auth/logout", body, headers=headers, auth=auth)
        assert (answer.status, answer.body) == (200, b"")
        assert cookies_of(answer)["ak_access_token"]["max-age"] == "0"
        refused(running.call("GET", f"{API}/auth/me", auth=session["access_token"]), 401, "AUTH_ERROR")
        refresh = {"refresh_token": session["refresh_token"]}
        refused(running.call("POST", f"{API}/auth/refresh", refresh), 401, "AUTH_ERROR")
    assert running.call("POST", f"{API}/auth/logout").status == 200


def test_a_browsers_change_needs_more_than_its_cookie(running: Product, ann: Person) -> None:
    browser = {
        "cookie": f"ak_access_token={sign_in(running, ann)['access_token']}",
        "sec-fetch-site": "cross-site",
    }
    token = {"name": "t", "scopes": ["read:artifacts"]}
    ok(running.call("GET", f"{API}/auth/me", headers=browser))
    refused(running.call("POST", f"{API}/auth/tokens", token, headers=browser), 403, "FORBIDDEN")
    sneaky = {**browser, "cookie": "bad[]=1; " + browser["cookie"]}
    refused(running.call("POST", f"{API}/auth/tokens", token, headers=sneaky), 403, "FORBIDDEN")
    ok(running.call("POST", f"{API}/auth/tokens", token, headers={**browser, "x-requested-with": "console"}))


def test_five_wrong_passwords_lock_the_account(running: Product, ann: Person) -> None:
    wrong = {"username": ann.name, "password": "wrong"}
    answers = [running.call("POST", f"{API}/auth/login", wrong) for _ in range(6)]
    right = running.call("POST", f"{API}/auth/login", {"username": ann.name, "password": PASSWORD})
    assert {(answer.status, answer.body) for answer in (*answers, right)} == {(401, right.body)}
    refused(running.call("GET", f"{API}/auth/me", auth=ann.auth), 401, "AUTH_ERROR")
    ok(running.call("POST", f"{API}/users/{ann.id}/password", {"new_password": "another good one"}, auth=ADMIN))
    ok(running.call("GET", f"{API}/auth/me", auth=(ann.name, "another good one")))


# tickets


def test_a_ticket_opens_one_download(running: Product) -> None:
    repo = repository(running)
    path = f"/generic/{repo['key']}/a.txt"
    assert running.call("PUT", path, b"hello", auth=ADMIN).status in (200, 201)
    refused_path = running.call("GET", path)
    assert refused_path.status == 401
    ticket = ok(running.call("POST", f"{API}/auth/ticket", {"purpose": "download", "resource_path": path}, auth=ADMIN))
    assert ticket["expires_in"] == 30
    answer = running.call("GET", f"{path}?ticket={ticket['ticket']}")
    assert (answer.status, answer.body) == (200, b"hello")
    assert running.call("GET", f"{path}?ticket={ticket['ticket']}").status == 401
    ticket = ok(running.call("POST", f"{API}/auth/ticket", {"purpose": "x"}, auth=ADMIN))
    assert running.call("GET", f"{API}/users?ticket={ticket['ticket']}").status == 403


@pytest.mark.parametrize(
    "path",
    [
        "",
        "relative",
        "/a/../b",
        "/a/..",
        "/a/./b",
        "//a",
        "/a b",
        "/a%2fb",
        "/a%2E%2e/b",
        "/a\\b",
        "/a\n",
        "/" + "x" * 3000,
    ],
)
def test_a_ticket_is_bound_to_plain_paths_only(running: Product, path: str) -> None:
    body = {"purpose": "download", "resource_path": path}
    refused(running.call("POST", f"{API}/auth/ticket", body, auth=ADMIN), 400, "VALIDATION_ERROR")


# users


def test_a_user_is_shown_as_the_contract_says(running: Product) -> None:
    name = f"user-{uuid4().hex[:8]}"
    body = {"username": name, "email": f"{name}@example.org", "display_name": "Ann", "unknown": 1}
    created = ok(running.call("POST", f"{API}/users", body, auth=ADMIN))
    assert set(created) == {"user", "generated_password"}
    user = created["user"]
    assert user.pop("created_at").endswith("Z")
    UUID(user.pop("id"))
    assert user == {
        "username": name,
        "email": f"{name}@example.org",
        "display_name": "Ann",
        "auth_provider": "local",
        "is_active": True,
        "is_admin": False,
        "must_change_password": True,
        "last_login_at": None,
    }
    assert len(created["generated_password"]) == 20


def test_who_must_change_the_password_can_do_nothing_else(running: Product) -> None:
    name = f"user-{uuid4().hex[:8]}"
    body = {"username": name, "email": f"{name}@example.org"}
    password = ok(running.call("POST", f"{API}/users", body, auth=ADMIN))["generated_password"]
    session = ok(running.call("POST", f"{API}/auth/login", {"username": name, "password": password}))
    assert session["must_change_password"]
    access = session["access_token"]

    assert running.call("GET", f"{API}/users/me", auth=access).status == 428
    assert (
        running.call("POST", f"{API}/auth/tokens", {"name": "t", "scopes": ["read:artifacts"]}, auth=access).status
        == 428
    )
    ok(running.call("GET", f"{API}/auth/me", auth=access))
    wrong = {"new_password": "another good one", "current_password": "wrong"}
    refused(running.call("POST", f"{API}/users/me/password", wrong, auth=access), 401, "AUTH_ERROR")
    missing = {"new_password": "another good one"}
    refused(running.call("POST", f"{API}/users/me/password", missing, auth=access), 401, "AUTH_ERROR")
    right = {"new_password": "another good one", "current_password": password}
    ok(running.call("POST", f"{API}/users/me/password", right, auth=access))
    refused(running.call("GET", f"{API}/auth/me", auth=access), 401, "AUTH_ERROR")
    ok(running.call("GET", f"{API}/users/me", auth=(name, "another good one")))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"username": "admin"}, 409, "CONFLICT"),
        ({"email": "ADMIN@localhost"}, 409, "CONFLICT"),
        ({"username": "a b"}, 400, "VALIDATION_ERROR"),
        ({"email": "nobody"}, 400, "VALIDATION_ERROR"),
        ({"password": "password1"}, 400, "VALIDATION_ERROR"),
        ({"password": "short"}, 400, "VALIDATION_ERROR"),
        ({"is_admin": "yes"}, 400, "VALIDATION_ERROR"),
        ({"username": None}, 400, "VALIDATION_ERROR"),
    ],
)
def test_users_that_cannot_be_are_refused(running: Product, change: dict[str, Any], status: int, code: str) -> None:
    body = {"username": "somebody", "email": "somebody@example.org", "password": PASSWORD, **change}
    message = refused(running.call("POST", f"{API}/users", body, auth=ADMIN), status, code)
    assert status != 409 or "already exists" in message


def test_users_are_listed_searched_and_paged(running: Product, ann: Person) -> None:
    found = ok(running.call("GET", f"{API}/users?search={ann.name}", auth=ADMIN))
    assert [item["username"] for item in found["items"]] == [ann.name]
    assert found["pagination"] == {"page": 1, "per_page": 20, "total": 1, "total_pages": 1}
    none = ok(running.call("GET", f"{API}/users?search={ann.name}&is_admin=true", auth=ADMIN))
    assert none["pagination"]["total_pages"] == 0
    capped = ok(running.call("GET", f"{API}/users?per_page=1000&page=0", auth=ADMIN))
    assert (capped["pagination"]["page"], capped["pagination"]["per_page"]) == (1, 100)
    inactive = ok(running.call("GET", f"{API}/users?is_active=false&search={ann.name}", auth=ADMIN))
    assert inactive["items"] == []


def test_a_user_is_changed_and_deleted(running: Product, ann: Person) -> None:
    change = {"email": f"new-{ann.name}@example.org", "display_name": "Ann", "is_admin": True}
    changed = ok(running.call("PATCH", f"{API}/users/{ann.id}", change, auth=ADMIN))
    assert (changed["email"], changed["display_name"], changed["is_admin"]) == (change["email"], "Ann", True)
    ok(running.call("GET", f"{API}/users", auth=ann.auth))
    ok(running.call("PATCH", f"{API}/users/{ann.id}", {"is_admin": False}, auth=ADMIN))
    refused(running.call("GET", f"{API}/users", auth=ann.auth), 403, "FORBIDDEN")
    ok(running.call("PATCH", f"{API}/users/{ann.id}", {"is_active": False}, auth=ADMIN))
    refused(running.call("GET", f"{API}/users/me", auth=ann.auth), 401, "AUTH_ERROR")

    answer = running.call("DELETE", f"{API}/users/{ann.id}", auth=ADMIN)
    assert (answer.status, answer.body) == (200, b"")
    refused(running.call("GET", f"{API}/users/{ann.id}", auth=ADMIN), 404, "NOT_FOUND")
    refused(running.call("DELETE", f"{API}/users/{ann.id}", auth=ADMIN), 404, "NOT_FOUND")


def test_nobody_deletes_or_resets_themselves(running: Product) -> None:
    me = ok(running.call("GET", f"{API}/auth/me", auth=ADMIN))["id"]
    refused(running.call("DELETE", f"{API}/users/{me}", auth=ADMIN), 400, "VALIDATION_ERROR")
    refused(running.call("POST", f"{API}/users/{me}/password/reset", auth=ADMIN), 400, "VALIDATION_ERROR")


def test_a_person_can_be_erased(running: Product, ann: Person) -> None:
    ok(running.call("DELETE", f"{API}/users/{ann.id}?erase=true&reason=asked", auth=ADMIN))
    refused(running.call("GET", f"{API}/users/{ann.id}", auth=ADMIN), 404, "NOT_FOUND")
    found = ok(running.call("GET", f"{API}/users?search={ann.name}", auth=ADMIN))
    assert found["items"] == []
    Person(running)


def test_an_administrator_resets_and_forces_passwords(running: Product, ann: Person) -> None:
    reset = ok(running.call("POST", f"{API}/users/{ann.id}/password/reset", auth=ADMIN))
    assert set(reset) == {"temporary_password"}
    refused(running.call("GET", f"{API}/auth/me", auth=ann.auth), 401, "AUTH_ERROR")
    temporary = (ann.name, reset["temporary_password"])
    assert running.call("GET", f"{API}/users/me", auth=temporary).status == 428
    body = {"new_password": PASSWORD, "current_password": temporary[1]}
    ok(running.call("POST", f"{API}/users/{ann.id}/password", body, auth=temporary))
    ok(running.call("GET", f"{API}/users/me", auth=ann.auth))
    assert set(ok(running.call("POST", f"{API}/users/{ann.id}/force-password-change", auth=ADMIN))) == {"message"}
    assert running.call("GET", f"{API}/users/me", auth=ann.auth).status == 428


def test_everybody_sees_themselves_and_nobody_else(running: Product, ann: Person) -> None:
    other = Person(running)
    assert ok(running.call("GET", f"{API}/users/{ann.id}", auth=ann.auth))["username"] == ann.name
    for method, path in (
        ("GET", f"/users/{other.id}"),
        ("GET", f"/users/{other.id}/tokens"),
        ("POST", f"/users/{other.id}/tokens"),
        ("POST", f"/users/{other.id}/password"),
        ("DELETE", f"/users/{other.id}"),
        ("PATCH", f"/users/{ann.id}"),
        ("POST", "/users"),
        ("GET", "/users"),
        ("POST", f"/users/{other.id}/password/reset"),
        ("POST", f"/users/{other.id}/force-password-change"),
        ("GET", "/permissions"),
        ("POST", "/permissions"),
    ):
        body = {
            "POST /users": {"username": "x", "email": "x@y"},
            "POST /permissions": permission(ann, str(SYSTEM_TARGET), "system", "admin"),
        }.get(f"{method} {path}", {"name": "t", "scopes": ["read:artifacts"], "new_password": PASSWORD})
        sent = body if method in {"POST", "PATCH"} else None
        assert running.call(method, API + path, sent, auth=ann.auth).status == 403, (method, path)
        assert running.call(method, API + path, sent).status == 401, (method, path)


# tokens


@pytest.mark.parametrize(
    ("create", "listed"),
    [
        ("/auth/tokens", "/users/me/tokens"),
        ("/users/me/tokens", "/users/me/tokens"),
        ("/profile/access-tokens", "/profile/access-tokens"),
    ],
)
def test_tokens_are_made_listed_and_revoked(running: Product, ann: Person, create: str, listed: str) -> None:
    body = {"name": "ci", "scopes": ["read:artifacts"], "expires_in_days": 30}
    made = ok(running.call("POST", API + create, body, auth=ann.auth))
    assert set(made) == {"id", "token", "name"}
    assert TOKEN.match(made["token"])
    [token] = ok(running.call("GET", API + listed, auth=ann.auth))["items"]
    assert token["token_prefix"] == made["token"][:8]
    assert set(token) == {"id", "name", "token_prefix", "scopes", "expires_at", "last_used_at", "created_at"}
    assert ok(running.call("GET", f"{API}/auth/me", auth=made["token"]))["id"] == ann.id

    other = Person(running)
    for path in (
        f"/auth/tokens/{made['id']}",
        f"/profile/access-tokens/{made['id']}",
        f"/users/me/tokens/{made['id']}",
    ):
        refused(running.call("DELETE", API + path, auth=other.auth), 404, "NOT_FOUND")
    answer = running.call("DELETE", f"{API}{create}/{made['id']}", auth=ann.auth)
    assert (answer.status, answer.body) == (200, b"")
    refused(running.call("GET", f"{API}/auth/me", auth=made["token"]), 401, "UNAUTHORIZED")
    assert ok(running.call("GET", API + listed, auth=ann.auth))["items"] == []
    refused(running.call("DELETE", f"{API}{create}/{made['id']}", auth=ann.auth), 404, "NOT_FOUND")


def test_a_profile_token_reads_by_default(running: Product, ann: Person) -> None:
    ok(running.call("POST", f"{API}/profile/access-tokens", {"name": "ci"}, auth=ann.auth))
    assert ok(running.call("GET", f"{API}/users/me/tokens", auth=ann.auth))["items"][0]["scopes"] == ["read:artifacts"]


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["delete:artifacts"], 403), (["admin"], 403), (["*"], 403), (["read"], 400), ([], 400), ("read:artifacts", 400)],
)
def test_scopes_that_may_not_be_given_are_refused(running: Product, ann: Person, scopes: object, status: int) -> None:
    answer = running.call("POST", f"{API}/auth/tokens", {"name": "ci", "scopes": scopes}, auth=ann.auth)
    assert answer.status == status, answer.body


def test_an_administrators_narrow_token_does_not_administer(running: Product) -> None:
    def token(*scopes: str) -> str:
        body = {"name": "ci", "scopes": list(scopes)}
        made = ok(running.call("POST", f"{API}/auth/tokens", body, auth=ADMIN))
        return str(made["token"])

    narrow, broad = token("read:artifacts", "write:users"), token("admin")
    refused(running.call("GET", f"{API}/users", auth=narrow), 403, "FORBIDDEN")
    assert not ok(running.call("GET", f"{API}/auth/me", auth=narrow))["is_admin"]
    ok(running.call("GET", f"{API}/users", auth=broad))
    assert running.call("POST", f"{API}/auth/tokens", {"name": "t", "scopes": ["admin"]}, auth=narrow).status == 403


def test_an_administrator_makes_tokens_for_others(running: Product, ann: Person) -> None:
    body = {"name": "ci", "scopes": ["read:artifacts"]}
    made = ok(running.call("POST", f"{API}/users/{ann.id}/tokens", body, auth=ADMIN))
    assert ok(running.call("GET", f"{API}/auth/me", auth=made["token"]))["username"] == ann.name
    ok(running.call("DELETE", f"{API}/users/{ann.id}/tokens/{made['id']}", auth=ADMIN))
    refused(running.call("GET", f"{API}/auth/me", auth=made["token"]), 401, "UNAUTHORIZED")


def test_repository_tokens_open_one_repository(running: Product, ann: Person) -> None:
    libs, apps = repository(running), repository(running)
    ok(
        running.call(
            "POST", f"{API}/permissions", permission(ann, libs["id"], "repository", "read", "write"), auth=ADMIN
        )
    )
    ok(running.call("POST", f"{API}/permissions", permission(ann, apps["id"], "repository", "read"), auth=ADMIN))
    base = f"{API}/repositories/{libs['key']}/tokens"
    body = {
        "name": "ci",
        "scopes": ["read:artifacts", "write:artifacts"],
        "description": "builds",
        "expires_in_days": 9,
    }
    made = ok(running.call("POST", base, body, auth=ann.auth))
    assert set(made) == {"id", "token", "name", "repository_key"}
    [token] = ok(running.call("GET", base, auth=ann.auth))["items"]
    assert set(token) == {
        *("id", "name", "token_prefix", "scopes", "expires_at", "last_used_at", "created_at"),
        *("is_expired", "is_revoked", "description", "created_by"),
    }
    assert (token["description"], token["created_by"], token["is_revoked"]) == ("builds", ann.id, False)
    assert ok(running.call("GET", f"{base}/{made['id']}", auth=ADMIN))["id"] == made["id"]

    assert running.call("PUT", f"/generic/{libs['key']}/a.txt", b"a", auth=made["token"]).status in (200, 201)
    assert running.call("GET", f"{API}/repositories/{apps['key']}", auth=made["token"]).status == 404
    public = repository(running, public=True)
    assert running.call("GET", f"{API}/repositories/{public['key']}", auth=made["token"]).status == 404

    for scopes, days in ((["delete:artifacts"], None), (["admin"], None)):
        answer = running.call("POST", base, {"name": "x", "scopes": scopes, "expires_in_days": days}, auth=ann.auth)
        refused(answer, 403, "FORBIDDEN")
    answer = running.call(
        "POST", base, {"name": "x", "scopes": ["read:artifacts"], "expires_in_days": 400}, auth=ann.auth
    )
    refused(answer, 400, "VALIDATION_ERROR")

    deleted = running.call("DELETE", f"{base}/{made['id']}", auth=ann.auth)
    assert (deleted.status, deleted.body) == (204, b"")
    refused(running.call("GET", f"{API}/auth/me", auth=made["token"]), 401, "UNAUTHORIZED")
    assert ok(running.call("GET", base, auth=ADMIN))["items"][0]["is_revoked"]


def test_repository_tokens_of_others_are_the_administrators_business(running: Product, ann: Person) -> None:
    libs = repository(running, public=True)
    base = f"{API}/repositories/{libs['key']}/tokens"
    made = ok(running.call("POST", base, {"name": "x", "scopes": ["read:artifacts"]}, auth=ADMIN))
    assert ok(running.call("GET", base, auth=ann.auth))["items"] == []
    refused(running.call("DELETE", f"{base}/{made['id']}", auth=ann.auth), 404, "NOT_FOUND")
    refused(running.call("GET", base), 401, "AUTH_ERROR")
    ok(running.call("POST", base, {"name": "mine", "scopes": ["read:artifacts"]}, auth=ann.auth))
    private = repository(running)
    assert running.call("GET", f"{API}/repositories/{private['key']}/tokens", auth=ann.auth).status == 404


# permissions


def permission(person: Person, target: str, target_type: str, *actions: str) -> dict[str, Any]:
    return {
        "principal_type": "user",
        "principal_id": person.id,
        "target_type": target_type,
        "target_id": target,
        "actions": list(actions),
    }


def test_permissions_are_given_shown_changed_and_revoked(running: Product, ann: Person) -> None:
    libs = repository(running)
    shown = f"{API}/repositories/{libs['key']}"
    assert running.call("GET", shown, auth=ann.auth).status == 404
    given = ok(
        running.call("POST", f"{API}/permissions", permission(ann, libs["id"], "repository", "read"), auth=ADMIN)
    )
    assert set(given) == {
        *("id", "principal_type", "principal_id", "principal_name", "target_type", "target_id", "target_name"),
        *("actions", "created_at", "updated_at"),
    }
    assert (given["principal_name"], given["target_name"], given["actions"]) == (ann.name, libs["key"], ["read"])
    ok(running.call("GET", shown, auth=ann.auth))
    upload = f"/generic/{libs['key']}/a.txt"
    assert running.call("PUT", upload, b"a", auth=ann.auth).status == 403

    again = permission(ann, libs["id"], "repository", "write")
    refused(running.call("POST", f"{API}/permissions", again, auth=ADMIN), 409, "CONFLICT")
    changed = ok(running.call("PUT", f"{API}/permissions/{given['id']}", again, auth=ADMIN))
    assert (changed["id"], changed["actions"]) == (given["id"], ["write"])
    assert running.call("PUT", upload, b"a", auth=ann.auth).status in (200, 201)
    assert ok(running.call("GET", f"{API}/permissions/{given['id']}", auth=ADMIN)) == changed

    found = ok(running.call("GET", f"{API}/permissions?principal_id={ann.id}&target_type=repository", auth=ADMIN))
    assert [item["id"] for item in found["items"]] == [given["id"]]
    answer = running.call("DELETE", f"{API}/permissions/{given['id']}", auth=ADMIN)
    assert (answer.status, answer.body) == (200, b"")
    assert running.call("GET", shown, auth=ann.auth).status == 404
    for method in ("GET", "DELETE"):
        refused(running.call(method, f"{API}/permissions/{given['id']}", auth=ADMIN), 404, "NOT_FOUND")


def test_a_system_permission_lets_somebody_create_repositories(running: Product, ann: Person) -> None:
    body = {"key": f"mine-{ann.name}", "name": "mine", "format": "generic", "repo_type": "local"}
    refused(running.call("POST", f"{API}/repositories", body, auth=ann.auth), 403, "FORBIDDEN")
    system = permission(ann, str(SYSTEM_TARGET), "system", "admin")
    ok(running.call("POST", f"{API}/permissions", system, auth=ADMIN))
    created = ok(running.call("POST", f"{API}/repositories", body, auth=ann.auth))
    ok(running.call("PATCH", f"{API}/repositories/{created['key']}", {"name": "still mine"}, auth=ann.auth))
    other = repository(running)
    assert running.call("GET", f"{API}/repositories/{other['key']}", auth=ann.auth).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"principal_id": str(uuid4())},
        {"principal_type": "robot"},
        {"target_id": str(uuid4())},
        {"target_type": "planet"},
        {"actions": []},
        {"actions": ["own"]},
        {"principal_id": "x"},
    ],
)
def test_permissions_about_what_is_not_there_are_refused(running: Product, ann: Person, wrong: dict[str, Any]) -> None:
    body = {**permission(ann, repository(running)["id"], "repository", "read"), **wrong}
    refused(running.call("POST", f"{API}/permissions", body, auth=ADMIN), 400, "VALIDATION_ERROR")


# configuration


def test_the_configuration_tells_administrators_more(running: Product, ann: Person) -> None:
    plain = ok(running.call("GET", f"{API}/system/config"))
    assert set(plain) == {"max_upload_size_bytes", "demo_mode", "guest_access_enabled", "auth"}
    assert ok(running.call("GET", f"{API}/system/config", auth=ann.auth)) == plain
    more = ok(running.call("GET", f"{API}/system/config", auth=ADMIN))
    assert set(more) - set(plain) == {"search_engine", "storage_backend", "permissions"}
    assert ok(running.call("GET", f"{API}/setup/status")) == {"setup_required": False}


def test_ids_that_are_none_are_bad_requests(running: Product) -> None:
    for path in ("/users/x", "/permissions/x", "/users/x/tokens"):
        refused(running.call("GET", API + path, auth=ADMIN), 400, "VALIDATION_ERROR")
    refused(running.call("DELETE", f"{API}/auth/tokens/x", auth=ADMIN), 400, "VALIDATION_ERROR")
