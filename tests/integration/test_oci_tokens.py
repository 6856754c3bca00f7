"""The token service of container clients, with real accounts: what a token opens, and what it never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.harness import Reply
from tests.integration.product import ADMIN_PASSWORD, Product, basic, bearer, product
from tests.samples.oci import make

_numbers = count(1)
TAG = "1"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("oci-tokens")) as started:
        yield started


class Vault:
    """A private repository with an image."""

    def __init__(self, running: Product, *, public: bool = False) -> None:
        self.running, self.key = running, f"vault{next(_numbers)}"
        self.row = running.repository(self.key, "oci", public=public)
        self.index = make.index(annotations={"in": self.key})
        assert self.push(running.admin).status == 201

    def push(self, auth: Any) -> Reply:
        headers = {"content-type": make.OCI_INDEX}
        return self.running.call("PUT", f"/v2/{self.key}/img/manifests/{TAG}", self.index, auth=auth, headers=headers)

    def pull(self, auth: Any) -> Reply:
        return self.running.call("GET", f"/v2/{self.key}/img/manifests/{TAG}", auth=auth)


@pytest.fixture
def vault(running: Product) -> Vault:
    return Vault(running)


def token(running: Product, auth: Any = None, query: str = "?service=registry.example") -> str:
    """What the service gives for a credential."""
    reply = running.call("GET", f"/v2/token{query}", auth=auth)
    assert reply.status == 200, reply.body
    said = reply.json()
    assert said["token"] == said["access_token"]
    assert said["expires_in"] >= 60
    assert said["issued_at"].endswith("Z")
    secret: str = said["token"]
    return secret


def form(running: Product, **fields: str) -> Reply:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return running.call("POST", "/v2/token", urlencode(fields).encode(), headers=headers)


def test_a_password_becomes_a_token_that_opens_what_its_holder_may(running: Product, vault: Vault) -> None:
    rita = running.person("rita", **{vault.key: "read"})
    secret = token(running, rita, f"?scope=repository:{vault.key}/img:pull,push&scope=registry:catalog:*&account=rita")
    assert vault.pull(bearer(secret)).body == vault.index
    assert vault.push(bearer(secret)).status == 403
    assert running.call("GET", "/v2/", auth=bearer(secret)).status == 200
    other = Vault(running)
    assert other.pull(bearer(secret)).status == 404
    listed = running.call("GET", "/v2/_catalog", auth=bearer(secret)).json()["repositories"]
    assert [name for name in listed if name.startswith("vault")] == [f"{vault.key}/img"]


def test_an_administrators_token_is_good_for_packages_and_nothing_else(running: Product, vault: Vault) -> None:
    secret = token(running, running.admin)
    assert vault.push(bearer(secret)).status == 201
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/api/v1/users", None),
        ("GET", "/api/v1/auth/me", None),
        ("POST", "/api/v1/repositories", {"key": "made-by-it", "name": "x", "format": "oci"}),
        ("POST", "/api/v1/auth/tokens", {"name": "for ever", "scopes": ["read:artifacts"]}),
        ("GET", f"/api/v1/repositories/{vault.key}/tokens", None),
    ]
    for method, path, body in asked:
        assert running.call(method, path, body, auth=running.admin).status == 200, path
        refused = running.call(method, path, body, auth=bearer(secret))
        assert refused.status in {401, 403, 404}, path


def test_nobody_gets_a_token_for_what_is_public(running: Product, vault: Vault) -> None:
    shown = Vault(running, public=True)
    secret = token(running)
    assert shown.pull(bearer(secret)).body == shown.index
    assert running.call("GET", "/v2/", auth=bearer(secret)).status == 200
    for key, reply in ((shown.key, shown.push(bearer(secret))), (vault.key, vault.pull(bearer(secret)))):
        assert reply.status == 401
        assert f'scope="repository:{key}/img:pull' in reply.header("www-authenticate")
    listed = running.call("GET", "/v2/_catalog", auth=bearer(secret)).json()["repositories"]
    assert f"{shown.key}/img" in listed
    assert f"{vault.key}/img" not in listed


def test_an_api_token_is_given_back_and_stays_what_it_is(running: Product, vault: Vault) -> None:
    wendy = running.person("wendy", **{vault.key: "read write"})
    made = running.done("POST", "/api/v1/auth/tokens", {"name": "ci", "scopes": ["read:artifacts"]}, auth=wendy)
    own = made["token"]
    assert token(running, basic("anything", own)) == own
    assert token(running, own) == own
    assert vault.pull(basic("x", own)).status == 200
    assert vault.push(bearer(own)).status == 403
    running.done("DELETE", f"/api/v1/auth/tokens/{made['id']}", auth=wendy)
    assert vault.pull(bearer(own)).status == 401
    assert running.call("GET", "/v2/token", auth=basic("x", own)).status == 401


def test_a_token_comes_for_a_form_too(running: Product, vault: Vault) -> None:
    reply = form(running, grant_type="password", username="admin", password=ADMIN_PASSWORD, service="x", client_id="y")
    assert reply.status == 200, reply.body
    assert vault.pull(bearer(reply.json()["access_token"])).status == 200
    made = running.done("POST", "/api/v1/auth/tokens", {"name": "form", "scopes": ["*"]})["token"]
    refreshed = form(running, grant_type="refresh_token", refresh_token=made, service="x")
    assert refreshed.json()["access_token"] == made


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"grant_type": "password", "username": "admin", "password": "wrong"}, 401),
        ({"grant_type": "password"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "a\r\nb"}, 400),
        ({"grant_type": "client_credentials"}, 400),
        ({}, 400),
        ({"grant_type": "password", "username": "x" * 10_000}, 413),
    ],
)
def test_a_form_that_proves_nothing_is_refused(running: Product, fields: dict[str, str], status: int) -> None:
    reply = form(running, **fields)
    assert reply.status == status, reply.body
    assert json.loads(reply.body)["errors"][0]["code"] in {"UNAUTHORIZED", "NAME_INVALID", "SIZE_INVALID"}


def test_a_wrong_password_gets_no_token(running: Product) -> None:
    reply = running.call("GET", "/v2/token", auth=basic("admin", "wrong"))
    assert reply.status == 401
    assert reply.header("www-authenticate").startswith("Bearer realm=")


def test_a_token_ends_with_the_password_that_it_was_made_of(running: Product, vault: Vault) -> None:
    paul = running.person("paul", **{vault.key: "read"})
    secret = token(running, paul)
    assert vault.pull(bearer(secret)).status == 200
    body = {"current_password": "paul has chosen with care", "new_password": "paul has chosen with more care"}
    running.done("POST", f"/api/v1/users/{running.user_id(paul)}/password", body, auth=paul)
    assert vault.pull(bearer(secret)).status == 401
    assert running.call("GET", "/v2/token", auth=paul).status == 401


def test_a_token_that_was_tampered_with_opens_nothing(running: Product, vault: Vault) -> None:
    secret = token(running, running.admin)
    head, _, signature = secret.rpartition(".")
    for changed in (f"{head}.{signature[::-1]}", f"{head}.", secret + "x"):
        assert vault.pull(bearer(changed)).status == 401
