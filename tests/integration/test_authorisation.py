"""Who may do what, walked: every route that exists, with every kind of caller, against what the route declares.

A repository that must not be known of is told of by nothing: the answer for it is the one for a repository that is not
there, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from api.guards import NEEDS
from application.formats import FORMATS
from application.identity.tokens import secret_hash
from application.wire import Route, ServerRoute
from domain.token import TokenCreated
from tests.integration.harness import Reply
from tests.integration.product import Product, bearer, product
from tests.publishes import publish

SECRET = "hushhush"
"""In the name of everything that nobody may learn of."""

Auth = Mapping[str, str]


class Walk(NamedTuple):
    """The product; callers by kind, and what each of them may do in the private repositories."""

    running: Product
    callers: dict[str, Auth]
    may: dict[str, frozenset[str]]
    bad: frozenset[str]

    def ask(self, caller: str, method: str, target: str, body: bytes = b"", worker: int = 0) -> Reply:
        return self.running.call(
            method, target, body, auth=self.callers[caller], headers={"accept": "*/*", "depth": "1"}, worker=worker
        )


@pytest.fixture(scope="module")
def walk(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with product(postgres_dsn, tmp_path_factory.mktemp("walk"), workers=2) as running:
        keys = [f"{one.key}-{SECRET}" for one in FORMATS]
        for one in FORMATS:
            running.repository(f"{one.key}-{SECRET}", one.key, public=False)
            running.repository(f"{one.key}-open", one.key)
            for key, name in ((f"{one.key}-{SECRET}", f"{SECRET}-{one.key}"), (f"{one.key}-open", "plain")):
                made = publish(one.key, key, name, "1.0.0")
                running.done(made.method, made.target, made.body, headers=made.headers)
        frozen = {"repo_type": "snapshot", "snapshot_of": f"generic-{SECRET}"}
        running.repository(f"frozen-{SECRET}", "generic", public=False, **frozen)
        yield _callers(running, keys)


def _callers(running: Product, keys: list[str]) -> Walk:
    def person(name: str, actions: str) -> Auth:
        return running.person(name, **{key.replace("-", "_"): actions for key in keys if actions})

    def token(owner: Auth, *scopes: str) -> dict[str, Any]:
        body = {"name": "t", "scopes": list(scopes)}
        made: dict[str, Any] = running.done("POST", "/api/v1/auth/tokens", body, auth=owner)
        return made

    callers: dict[str, Auth] = {
        "anonymous": {},
        "outsider": person("olga", ""),
        "reader": person("rita", "read"),
        "writer": person("wendy", "read write"),
        "owner": person("otto", "read write delete admin"),
        "admin": running.admin,
    }
    callers["owner's reading token"] = bearer(token(callers["owner"], "read:artifacts")["token"])
    callers["admin's reading token"] = bearer(token(running.admin, "read:artifacts")["token"])
    body = {"name": "t", "scopes": ["read:artifacts", "write:artifacts"]}
    elsewhere = running.done("POST", "/api/v1/repositories/generic-open/tokens", body, auth=running.admin)
    callers["admin's token of another repository"] = bearer(elsewhere["token"])
    revoked = token(callers["owner"], "read:artifacts")
    callers["revoked token"] = bearer(revoked["token"])
    assert running.call("GET", "/api/v1/auth/me", auth=callers["revoked token"], worker=1).status == 200
    running.done("DELETE", f"/api/v1/auth/tokens/{revoked['id']}", auth=callers["owner"])
    callers["expired token"] = bearer(_expired(running, callers["admin"]))
    disabled = running.person("dora", **{key.replace("-", "_"): "read write" for key in keys})
    callers["disabled user's token"] = bearer(token(disabled, "read:artifacts", "write:artifacts")["token"])
    running.done("PATCH", f"/api/v1/users/{running.user_id(disabled)}", {"is_active": False})
    everything = frozenset({"read", "write", "delete", "admin"})
    may = {
        "reader": frozenset({"read"}),
        "writer": frozenset({"read", "write"}),
        "owner": everything,
        "admin": everything,
        "owner's reading token": frozenset({"read"}),
        "admin's reading token": frozenset({"read"}),
    }
    bad = frozenset({"revoked token", "expired token", "disabled user's token"})
    return Walk(running, callers, {name: may.get(name, frozenset()) for name in callers}, bad)


def _expired(running: Product, owner: Auth) -> str:
    secret, token = "0123abcd_" + "7" * 32, uuid4()
    event = TokenCreated(
        token=token,
        user=UUID(running.user_id(owner)),
        name="old",
        prefix="0123abcd",
        hash=secret_hash(secret),
        scopes=("*",),
        expires_at=datetime.now(UTC) - timedelta(seconds=1),
    )
    running.record(token, event)
    return secret


# what is walked


class Managed(NamedTuple):
    method: str
    path: str
    handler: HTTPRouteHandler

    @property
    def needs(self) -> str:
        return str(self.handler.opt["needs"])

    def target(self, key: str) -> str:
        path = re.sub(r"\{key:?\w*\}", key, self.path)
        path = re.sub(r"\{path:?\w*\}", "0/000", path)
        path = re.sub(r"\{\w+:uuid\}|\{\w+_id:?\w*\}|\{\w+_id\}", str(uuid4()), path)
        return re.sub(r"\{\w+:?\w*\}", "1", path)


def managed(running: Product) -> list[Managed]:
    """Every management route that the running application has, asked of the framework itself."""
    litestar: Litestar = running.workers[0].gate._management  # type: ignore[assignment]
    found = [
        Managed(method, route.path, handler)
        for route in litestar.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        for method in sorted(handler.http_methods)
        if method != "OPTIONS"
    ]
    assert len(found) > 80
    return sorted(found, key=lambda one: (one.path, one.method))


def server_routes() -> list[tuple[str, ServerRoute]]:
    """(prefix, route) of every address that concerns no repository, or must not look whether there is one."""
    found: list[tuple[str, ServerRoute]] = []
    for one in FORMATS:
        found += [(prefix, route) for prefix in (one.prefix, *one.further_prefixes) for route in one.server_routes]
        found += [(mount.prefix, route) for mount in one.mounts for route in mount.server_routes]
    return found


def routes() -> list[tuple[str, str, Route]]:
    """(format, prefix, route) of every address of every format."""
    found: list[tuple[str, str, Route]] = []
    for one in FORMATS:
        for prefix in (one.prefix, *one.further_prefixes):
            found += [(one.key, prefix, route) for route in one.routes]
        for mount in one.mounts:
            found += [(one.key, mount.prefix, route) for route in mount.routes]
    assert len(found) > 100
    return found


_KNOWN = {
    "project": f"{SECRET}-pypi",
    "filename": f"{SECRET}_pypi-1.0.0-py3-none-any.whl",
    "version": "1.0.0",
    "name": f"{SECRET}-npm",
    "file": f"{SECRET}-npm-1.0.0.tgz",
    "path": f"{SECRET}-generic/1.0.0.txt",
}


def filled(prefix: str, key: str, route: Route) -> str:
    """An address of what is there, where that has a name."""
    return f"/{prefix}/{key}" + re.sub(r"\{(\w+)\+?\}", lambda found: _KNOWN.get(found[1], "x"), route.pattern)


def told(reply: Reply) -> tuple[Any, ...]:
    """An answer without what differs from each request to the next, and without the words of the request itself."""
    headers = tuple(
        (name, re.sub(r"[a-z]+-(hushhush|absent)", "KEY", value))
        for name, value in reply.headers
        if name not in {"x-correlation-id", "date", "content-length"}
    )
    return reply.status, headers, re.sub(rb"[a-z]+-(hushhush|absent)", b"KEY", reply.body)


# declared


def test_every_route_says_what_it_needs(walk: Walk) -> None:
    for one in managed(walk.running):
        assert one.needs in NEEDS, one
    for _, _, route in routes():
        assert route.needs in {"read", "write", "delete", "admin"}, route.pattern
        if route.method not in {"GET", "OPTIONS", "PROPFIND", "POST", "COPY"} and route.needs == "read":
            assert route.pattern == "/-/{rest+}", route  # which refuses; whatever changes anything needs more
    for _, server_route in server_routes():
        assert server_route.needs in {"nothing", "user"}


def test_nothing_is_public_but_what_is_meant_to_be(walk: Walk) -> None:
    """A list to be thought about when it changes."""
    public = {f"{one.method} {one.path}" for one in managed(walk.running) if one.needs == "anonymous"}
    beginnings = {re.sub(r"^\w+ (/api/v1/[^/]+|/[^/]*).*", r"\1", one) for one in public}
    assert beginnings <= {
        *("/", "/api", "/api/v1/docs", "/api/v1/{path:str}", "/health", "/healthz", "/livez", "/ready", "/readyz"),
        *("/api/v1/auth", "/api/v1/setup", "/api/v1/system", "/api/v1/openapi.json"),
        *(
            "/api/v1/artifacts",
            "/api/v1/packages",
            "/api/v1/repositories",
            "/api/v1/search",
            "/api/v1/tree",
            "/api/v1/audit",
        ),
    }, sorted(beginnings)
    for one in public:
        if "/api/v1/audit" in one:
            assert one.startswith("GET /api/v1/audit/log"), one  # hashes, no events
        if "/api/v1/repositories" in one:
            assert one == "GET /api/v1/repositories", one


# management routes


def _endless(one: Managed) -> bool:
    return one.path.endswith("/stream")


def test_who_shows_a_bad_credential_gets_nothing_anywhere(walk: Walk) -> None:
    for caller in sorted(walk.bad):
        for one in managed(walk.running):
            if one.handler.opt.get("credential") == "ignored" or one.path in _UNASKED:
                continue
            reply = walk.ask(caller, one.method, one.target(f"generic-{SECRET}"), b"{}")
            assert reply.status == 401, (caller, one.method, one.path, reply.status, reply.body)
        for _, prefix, route in routes():
            target = filled(prefix, f"{_home(prefix)}-{SECRET}", route)
            reply = walk.ask(caller, route.method, target)
            assert reply.status == 401, (caller, route.method, target, reply.status, reply.body)


_UNASKED = {*("/livez", "/health", "/healthz", "/ready", "/readyz"), "/api/v1/{path:str}"}
"""Probes, which ask nobody, and what the framework answers with 404."""


def _home(prefix: str) -> str:
    return next(one.key for one in FORMATS if prefix in {one.prefix, *one.further_prefixes, *_mounts(one)})


def _mounts(one: Any) -> set[str]:
    return {mount.prefix for mount in one.mounts}


def test_what_needs_a_user_or_an_administrator_is_refused_to_all_others(walk: Walk) -> None:
    for one in managed(walk.running):
        if one.needs not in {"user", "admin"}:
            continue
        for caller in walk.callers.keys() - walk.bad:
            is_admin = caller == "admin"
            if (is_admin or one.needs == "user") and caller != "anonymous":
                if not _endless(one):
                    reply = walk.ask(caller, one.method, one.target("none"), b"{}")
                    assert reply.status != 401, (caller, one.method, one.path, reply.body)
                    assert reply.status < 500, (caller, one.method, one.path, reply.body)
                    if is_admin:
                        assert reply.status != 403, (caller, one.method, one.path, reply.body)
                continue
            reply = walk.ask(caller, one.method, one.target("none"), b"{}")
            wanted = 401 if caller == "anonymous" else 403
            assert reply.status == wanted, (caller, one.method, one.path, reply.status, reply.body)


def test_management_of_a_repository_agrees_with_what_is_declared(walk: Walk) -> None:
    needing = [one for one in managed(walk.running) if one.needs.startswith("repository:")]
    assert len(needing) > 10
    for one in needing:
        action = one.needs.partition(":")[2]
        for caller in walk.callers.keys() - walk.bad:
            may = walk.may[caller]
            if action in may and one.method not in {"GET", "HEAD"}:
                continue  # done in their own tests: they would change what is walked
            there = walk.ask(caller, one.method, one.target(f"generic-{SECRET}"), b"{}")
            what = (caller, one.method, one.path, there.status, there.body)
            if action in may:
                assert there.status not in {401, 403} or b"lacks the scope" in there.body, what
                absent = walk.ask(caller, one.method, one.target("generic-absent"), b"{}")
                assert told(there) != told(absent), what
            elif "read" in may:
                assert there.status == 403, what
            else:
                absent = walk.ask(caller, one.method, one.target("generic-absent"), b"{}")
                assert there.status == (401 if caller == "anonymous" else 404), what
                assert told(there) == told(absent), what


# package routes


def test_package_routes_agree_with_what_is_declared(walk: Walk) -> None:
    for format_key, prefix, route in routes():
        key = f"{format_key}-{SECRET}"
        for caller in walk.callers.keys() - walk.bad:
            may = walk.may[caller]
            if route.needs in may and (route.method not in {"GET", "OPTIONS", "PROPFIND"}):
                continue
            target = filled(prefix, key, route)
            there = walk.ask(caller, route.method, target)
            what = (caller, route.method, target, there.status, there.body[:200])
            if route.needs in may:
                assert there.status not in {401, 403}, what
                assert f"'{key}' not found".encode() not in there.body, what
            elif "read" in may:
                assert there.status == 403, what
            else:
                absent = walk.ask(caller, route.method, filled(prefix, f"{format_key}-absent", route))
                assert there.status >= 400, what
                assert told(there) == told(absent), (what, absent.status, absent.body[:200])


def test_what_concerns_no_repository_is_the_same_at_the_address_of_a_hidden_one(walk: Walk) -> None:
    found = server_routes()
    assert any("{repository}" in route.pattern for _, route in found)
    for prefix, route in found:
        if "{" not in route.pattern:
            continue  # it is at one address only
        for caller in ("anonymous", "outsider", "admin's token of another repository"):
            replies = []
            for name in (SECRET, "absent", f"{SECRET}@1", "absent@1"):
                pattern = re.sub(r"\{(repository|key|repo)\}", f"{_home(prefix)}-{name}", route.pattern)
                target = f"/{prefix}" + re.sub(r"\{(\w+)\+?\}", "x", pattern)
                replies.append(walk.ask(caller, route.method, target, b"{}"))
            assert told(replies[0]) == told(replies[1]), (caller, prefix, route, replies)
            assert told(replies[2]) == told(replies[3]), (caller, prefix, route, replies)


def test_a_hidden_repository_is_absent_in_every_spelling_and_at_every_time(walk: Walk) -> None:
    spellings = ["{}", "{}@1", "{}@2026-01-01", "{}@9999999", "{}@2999-01-01", "{}@nonsense", "{}@", "{}@@", "{}@-1"]
    head = walk.running.head()
    spellings.append(f"{{}}@{head}")
    for caller in ("anonymous", "outsider", "admin's token of another repository"):
        for spelling in spellings:
            for method, pattern in [
                ("GET", "/generic/{}/"),
                ("GET", "/general/{}/x.txt"),
                ("PUT", "/generic/{}/x.txt"),
                ("GET", "/pypi/{}/simple/"),
                ("GET", "/npm/{}/x"),
                ("BREW", "/npm/{}/x"),
                ("OPTIONS", "/pypi/{}/simple/"),
                ("GET", "/pypi/{}/no/such/address/at/all"),
                ("GET", "/api/v1/repositories/{}"),
                ("GET", "/api/v1/repositories/{}/storage"),
                ("GET", "/api/v1/repositories/{}/diff?from=0"),
                ("GET", "/api/v1/repositories/{}/audit"),
                ("GET", "/api/v1/tree?repository_key={}"),
                ("GET", "/api/v1/tree/content?repository_key={}&path=x"),
                ("GET", "/api/v1/packages?repository_key={}"),
                ("GET", "/api/v1/search/advanced?query=plain&repository_key={}"),
            ]:
                for one in _at_home(pattern):
                    there = walk.ask(caller, method, pattern.format(spelling.format(f"{one}-{SECRET}")))
                    absent = walk.ask(caller, method, pattern.format(spelling.format(f"{one}-absent")))
                    assert told(there) == told(absent), (caller, method, pattern, spelling, one, there, absent)


def _at_home(pattern: str) -> tuple[str, ...]:
    prefix = pattern.split("/")[1]
    return ("npm", "frozen") if prefix == "api" else (_home(prefix), "frozen")


def test_creating_naming_and_copying_do_not_tell_of_a_hidden_repository(walk: Walk) -> None:
    """Ways that name a repository in a body or a header."""
    running = walk.running
    running.repository("workshop", "generic", public=False)
    helper = running.person("hugo", workshop="read write")
    owner = running.person("theo", workshop="read write delete admin")

    def twins(method: str, target: str, body: Any, auth: Auth, **headers: str) -> None:
        found = []
        for name in (SECRET, "absent"):
            sent = {key: value.format(name) for key, value in headers.items()}
            data = {key: value.format(name) if isinstance(value, str) else value for key, value in body.items()}
            found.append(running.call(method, target.format(name), data or b"", auth=auth, headers=sent))
        assert told(found[0]) == told(found[1]), (method, target, found)
        assert found[0].status >= 400, (method, target, found[0])

    upload = {"artifact_path": "a.txt", "total_size": 1, "checksum_sha256": "0" * 64}
    twins("POST", "/api/v1/uploads", {"repository_key": "generic-{}", **upload}, helper)
    snapshot = {
        "key": "mine",
        "name": "mine",
        "repo_type": "snapshot",
        "snapshot_of": "generic-{}",
        "format": "generic",
    }
    for auth in (helper, owner):
        twins("POST", "/api/v1/repositories", snapshot, auth)
    source = f"/generic-{{}}/{SECRET}-generic/1.0.0.txt"
    for verb in ("COPY", "MOVE"):
        twins(verb, f"/generic{source}", {}, owner, destination="http://registry.example/generic/workshop/b.txt")
        destination = "http://registry.example/generic/generic-{}/b.txt"
        running.done("PUT", "/generic/workshop/a.txt", b"a")
        twins(verb, "/generic/workshop/a.txt", {}, owner, destination=destination)


def test_no_list_search_or_figure_tells_of_what_is_hidden(walk: Walk) -> None:
    """Every readable management route, with every query that could name it."""
    running = walk.running
    made = publish("generic", f"generic-{SECRET}", f"{SECRET}-generic", "1.0.0")
    artifact = running.done("GET", f"/api/v1/search/quick?q={SECRET}-generic")["results"]
    assert artifact, "the administrator must find it, or this test shows nothing"
    sha256 = running.done("GET", f"/api/v1/search/advanced?query={SECRET}")
    assert sha256["items"]
    hidden = hashlib.sha256(made.content).hexdigest()
    package = next(
        one["id"] for one in running.done("GET", f"/api/v1/packages?q={SECRET}")["items"] if SECRET in one["name"]
    )
    queries = [
        *("", f"?q={SECRET}", f"?query={SECRET}", f"?prefix={SECRET[:3]}", f"?search={SECRET}", "?per_page=200"),
        *(
            f"?checksum={hidden}",
            f"?name={SECRET}*",
            "?path=*",
            "?version=*&query=",
            "?limit=50",
            "?days=3650&limit=50",
        ),
        *(f"?repository_key=generic-{SECRET}", "?sort_by=name", "?type=local", "?repo_type=snapshot"),
    ]
    for caller in ("anonymous", "outsider", "admin's token of another repository"):
        for one in managed(running):
            if one.method != "GET" or one.needs not in {"anonymous", "user"} or _endless(one):
                continue
            targets = [one.target("none") + query for query in queries]
            targets += [one.path.replace("{package_id:uuid}", package)] if "package_id" in one.path else []
            for target in targets:
                reply = walk.ask(caller, "GET", target)
                if reply.status == 200:
                    assert SECRET.encode() not in reply.body, (caller, target, reply.body)
                    assert hidden.encode() not in reply.body, (caller, target, reply.body)
        for target in (
            f"/npm/npm-open/-/v1/search?text={SECRET}",
            "/npm/npm-open/-/all",
            "/pypi/pypi-open/simple/",
            f"/npm/npm-open/{SECRET}-npm",
            f"/pypi/pypi-open/pypi/{SECRET}-pypi/json",
        ):
            reply = walk.ask(caller, "GET", target)
            assert reply.status != 200 or SECRET.encode() not in reply.body, (caller, target, reply.body)


# at once, everywhere


def _everywhere(walk: Walk, auth: Auth, wanted: int, target: str) -> None:
    for worker in (1, 0):
        reply = walk.running.call("GET", target, auth=auth, worker=worker)
        assert reply.status == wanted, (worker, target, reply.status, reply.body)


@pytest.mark.parametrize("way", ["token", "user", "grant", "password", "deleted", "session", "narrowed"])
def test_what_is_taken_back_is_gone_with_the_next_request_on_every_worker(walk: Walk, way: str) -> None:
    running = walk.running
    target = f"/generic/generic-{SECRET}/{SECRET}-generic/1.0.0.txt"
    for number in range(4):
        name = f"{way}{number}"
        auth = running.person(name)
        user = running.user_id(auth)
        permission = running.grant(user, f"generic-{SECRET}", "read")
        password = f"{name} has chosen with care"
        used: Auth = auth
        if way == "token":
            made = running.done("POST", "/api/v1/auth/tokens", {"name": "t", "scopes": ["read:artifacts"]}, auth=auth)
            used = bearer(made["token"])
        if way == "session":
            login = running.done("POST", "/api/v1/auth/login", {"username": name, "password": password}, auth=None)
            used = bearer(login["access_token"])
        _everywhere(walk, used, 200, target)
        match way:
            case "token":
                running.done("DELETE", f"/api/v1/auth/tokens/{made['id']}", auth=auth)
            case "user":
                running.done("PATCH", f"/api/v1/users/{user}", {"is_active": False})
            case "grant":
                running.done("DELETE", f"/api/v1/permissions/{permission}")
            case "narrowed":
                here = running.done("GET", f"/api/v1/repositories/generic-{SECRET}")["id"]
                body = {"principal_type": "user", "principal_id": user, "target_type": "repository"}
                running.done(
                    "PUT", f"/api/v1/permissions/{permission}", {**body, "target_id": here, "actions": ["write"]}
                )
            case "password":
                running.done("POST", f"/api/v1/users/{user}/password", {"new_password": "another good choice"})
            case "deleted":
                running.done("DELETE", f"/api/v1/users/{user}")
            case "session":
                running.done("POST", "/api/v1/auth/logout", auth=used)
        _everywhere(walk, used, 404 if way in {"grant", "narrowed"} else 401, target)


def test_a_repository_that_is_closed_is_closed_everywhere_at_once(walk: Walk) -> None:
    running = walk.running
    running.repository("door", "generic")
    running.done("PUT", "/generic/door/a.txt", b"a")
    for _ in range(4):
        _everywhere(walk, {}, 200, "/generic/door/a.txt")
        running.done("PATCH", "/api/v1/repositories/door", {"is_public": False})
        _everywhere(walk, {}, 401, "/generic/door/a.txt")
        _everywhere(walk, walk.callers["outsider"], 404, "/generic/door/a.txt")
        running.done("PATCH", "/api/v1/repositories/door", {"is_public": True})


def test_what_a_worker_remembers_is_not_shown_to_the_next_caller(walk: Walk) -> None:
    """A document of a private repository is in memory; who may not read it gets nothing of it, not even a 304."""
    for one in FORMATS:
        made = publish(one.key, f"{one.key}-{SECRET}", f"{SECRET}-{one.key}", "1.0.0")
        for target in (made.page, made.file):
            first = walk.ask("reader", "GET", target)
            assert first.status == 200, (target, first.status)
            tag = first.header("etag")
            assert "private" in first.header("cache-control")
            assert "authorization" in {value for name, value in first.headers if name == "vary"}
            for caller in ("anonymous", "outsider"):
                reply = walk.running.call(
                    "GET", target, auth=walk.callers[caller], headers={"if-none-match": tag, "range": "bytes=0-1"}
                )
                assert reply.status == (401 if caller == "anonymous" else 404), (caller, target, reply)
