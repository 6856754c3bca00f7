"""The audit over HTTP: every filter, both orders, export, replay, and who may read what."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

import pytest

from tests.integration.product import Product, basic, product

API = "/api/v1"


class World:
    """A registry in which something happened. head: the last position of it."""

    def __init__(self, running: Product) -> None:
        self.running = running
        self.libs = running.repository("libs", "generic", overwrite="allow")["id"]
        self.secret = running.repository("secret", "generic", public=False)["id"]
        self.ann = running.person("ann", libs="read write delete admin")
        self.bob = running.person("bob", libs="read")
        self.ann_id, self.bob_id = running.user_id(self.ann), running.user_id(self.bob)
        self.put("libs", "a/one.txt", b"1", "first")
        self.put("libs", "a/one.txt", b"2", "second")
        self.put("libs", "b/=SUM(A1).txt", b"3", "third")
        deleted = running.call(
            "DELETE", "/general/libs/a/one.txt", auth=self.ann, headers={"x-correlation-id": "goodbye"}
        )
        assert deleted.status == 204, deleted.body
        running.done("PUT", "/general/secret/hidden.txt", b"hidden")
        self.refused = running.call(
            "PUT", "/general/libs/c.txt", b"no", auth=self.bob, headers={"user-agent": "denied/1"}
        )
        self.head = self.settled()

    def put(self, key: str, path: str, body: bytes, request: str) -> None:
        reply = self.running.call(
            "PUT",
            f"/general/{key}/{quote(path)}",
            body,
            auth=self.ann,
            headers={"x-correlation-id": request, "user-agent": "tester/1"},
        )
        assert reply.status in {200, 201}, reply.body

    def settled(self) -> int:
        """The last position, once denials were written and the audit has seen all."""
        deadline = time.monotonic() + 10
        while not self.items(action="PERMISSION_DENIED"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self.running.head()

    def page(self, **query: Any) -> dict[str, Any]:
        page: dict[str, Any] = self.running.done("GET", f"{API}/audit/events?{urlencode(query)}")
        return page

    def items(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.page(**query)["items"]
        return items

    def actions(self, **query: Any) -> list[str]:
        return [item["action"] for item in self.items(**query)]


@pytest.fixture(scope="module")
def world(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("data")
    with product(postgres_dsn, directory) as running:
        yield World(running)


EVERYTHING = "/api/v1/audit/events?after=0&limit=1000"


def test_an_entry_says_who_did_what_to_what_from_where_and_in_which_request(world: World) -> None:
    (item,) = world.items(request_id="first")
    assert (item["action"], item["topic"], item["outcome"]) == ("ARTIFACT_UPLOADED", "artifact.published", "success")
    assert (item["actor_id"], item["actor_username"], item["actor_kind"]) == (world.ann_id, "ann", "user")
    assert (item["via"], item["ip_address"], item["user_agent"]) == ("password", "192.0.2.7", "tester/1")
    assert (item["repository_id"], item["repository_key"], item["path"]) == (world.libs, "libs", "a/one.txt")
    assert (item["resource_type"], item["resource_id"]) == ("artifact", item["stream"])
    assert item["event"]["size_bytes"] == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"actor": "ann"}, {"ARTIFACT_UPLOADED", "ARTIFACT_DELETED"}),
        ({"actor": "bob"}, {"PERMISSION_DENIED"}),
        ({"actor_kind": "system", "action": "user_created"}, {"USER_CREATED"}),
        ({"action": "ARTIFACT_DELETED"}, {"ARTIFACT_DELETED"}),
        ({"action": "artifact_deleted, REPOSITORY_CREATED"}, {"ARTIFACT_DELETED", "REPOSITORY_CREATED"}),
        ({"topic": "artifact.deleted"}, {"ARTIFACT_DELETED"}),
        ({"outcome": "denied"}, {"PERMISSION_DENIED"}),
        ({"repository": "secret"}, {"REPOSITORY_CREATED", "REPOSITORY_PERMISSION_CHANGED", "ARTIFACT_UPLOADED"}),
        ({"artifact": "a/one.txt"}, {"ARTIFACT_UPLOADED", "ARTIFACT_DELETED"}),
        ({"artifact": "a/one.txt", "repository": "libs"}, {"ARTIFACT_UPLOADED", "ARTIFACT_DELETED"}),
        ({"artifact": "a/one.txt", "repository": "secret"}, set()),
        ({"request_id": "goodbye"}, {"ARTIFACT_DELETED"}),
        ({"correlation_id": "goodbye"}, {"ARTIFACT_DELETED"}),
        ({"resource_type": "user"}, {"USER_CREATED"}),
        ({"package": "nothing"}, set()),
        ({"actor": "ann", "action": "ARTIFACT_DELETED", "repository": "libs"}, {"ARTIFACT_DELETED"}),
        ({"actor": "bob", "action": "ARTIFACT_DELETED"}, set()),
    ],
)
def test_each_filter_filters(world: World, query: dict[str, str], expected: set[str]) -> None:
    assert set(world.actions(**query)) == expected


def test_people_and_repositories_can_be_named_by_id_too(world: World) -> None:
    assert world.items(actor=world.ann_id) == world.items(actor="ann") != []
    assert world.items(repository=world.libs) == world.items(repository="libs") != []
    stream = world.items(request_id="first")[0]["stream"]
    assert world.items(artifact=stream) == world.items(stream=stream) == world.items(artifact="a/one.txt") != []
    assert world.items(resource_id=stream) == world.items(stream=stream)


def test_pages_by_position_meet_without_gap_or_overlap_in_both_orders(world: World) -> None:
    everything = [item["position"] for item in world.items(after=0, limit=1000)]
    assert everything == list(range(1, len(everything) + 1))
    for first, onward, expected in (({"after": 0}, "after", everything), ({}, "before", everything[::-1])):
        found: list[int] = []
        page = world.page(limit=5, **first)
        while True:
            found += [item["position"] for item in page["items"]]
            if page["next"] is None:
                break
            page = world.page(limit=5, **{onward: page["next"]})
        assert found == expected


def test_whatever_was_acknowledged_before_the_question_is_in_the_answer(world: World) -> None:
    for number in range(30):
        world.put("libs", f"at-once/{number}.txt", b"x", f"at-once-{number}")
        assert world.actions(request_id=f"at-once-{number}") == ["ARTIFACT_UPLOADED"]


def test_ranges_of_positions_and_times_include_their_ends(world: World) -> None:
    whole = world.items(after=0, limit=1000)
    some = whole[4:9]
    assert world.items(after=0, from_position=some[0]["position"], to_position=some[-1]["position"]) == some
    first, last = whole[5]["recorded_at"], whole[-2]["recorded_at"]
    within = [item for item in whole if first <= item["recorded_at"] <= last]
    assert world.items(**{"after": 0, "from": first, "to": last}) == within
    today = whole[0]["recorded_at"][:10]
    assert len(world.items(**{"after": 0, "from": today, "to": whole[-1]["recorded_at"][:10]})) == len(whole)
    assert world.items(**{"from": "2100-01-01"}) == []
    assert world.items(to="2000-01-01") == []


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=many", "limit"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-02-02&to=2026-02-01", "later"),
        ("from_position=9&to_position=3", "from_position"),
        ("outcome=perhaps", "outcome"),
        ("actor_kind=cat", "actor_kind"),
        ("before=9&after=3", "before"),
        ("resource_id=x", "resource_id"),
        ("stream=x", "stream"),
        ("artifact=00000000-0000-0000-0000-000000000001&resource_id=00000000-0000-0000-0000-000000000002", "artifact"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_name(world: World, query: str, word: str) -> None:
    reply = world.running.call("GET", f"{API}/audit/events?{query}", auth=world.running.admin)
    assert reply.status == 400, reply.body
    assert reply.json()["code"] == "VALIDATION_ERROR"
    assert word in reply.json()["message"]


@pytest.mark.parametrize("query", ["actor=nobody", "repository=none"])
def test_a_name_that_nothing_has_is_not_found(world: World, query: str) -> None:
    reply = world.running.call("GET", f"{API}/audit/events?{query}", auth=world.running.admin)
    assert (reply.status, reply.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("number", ["-1", "0", "9" * 30, "-" + "9" * 30])
@pytest.mark.parametrize("name", ["before", "after", "limit", "from_position", "to_position"])
def test_numbers_beyond_all_bounds_are_answered(world: World, name: str, number: str) -> None:
    assert world.running.call("GET", f"{API}/audit/events?{name}={number}", auth=world.running.admin).status == 200


def test_the_classic_log_pages_by_number_newest_first(world: World) -> None:
    def page(**query: Any) -> dict[str, Any]:
        found: dict[str, Any] = world.running.done("GET", f"{API}/admin/audit?{urlencode(query)}")
        return found

    whole = page(per_page=100)
    assert whole["total"] == world.running.head()
    assert len(whole["items"]) == min(100, whole["total"])
    second = page(page=2, per_page=5)
    assert second["items"] == whole["items"][5:10]
    assert (second["page"], second["per_page"], second["total"]) == (2, 5, whole["total"])
    mine = page(user_id=world.ann_id, action="artifact_uploaded", per_page=100)
    assert mine["total"] == len(mine["items"]) >= 3
    assert {item["actor_username"] for item in mine["items"]} == {"ann"}
    item = page(correlation_id="first")["items"][0]
    assert item["correlation_id"] == "first"
    assert item["ip_address"] == "192.0.2.7"
    assert page(resource_type="artifact", resource_id=item["resource_id"])["total"] == 3
    assert page(**{"from": "2100-01-01"}) == {"items": [], "total": 0, "page": 1, "per_page": 20}
    assert page(page=10**12, per_page=100)["items"] == []


def test_an_export_in_lines_of_json_holds_the_same_items(world: World) -> None:
    reply = world.running.call("GET", f"{API}/audit/export?to_position={world.head}", auth=world.running.admin)
    assert reply.header("content-type") == "application/x-ndjson"
    assert reply.header("content-disposition") == 'attachment; filename="audit.ndjson"'
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert lines == world.items(after=0, to_position=world.head, limit=1000)
    reply = world.running.call("GET", f"{API}/audit/export?actor=ann&after=19", auth=world.running.admin)
    assert [json.loads(line) for line in reply.body.splitlines()] == world.items(actor="ann", after=19)


def test_an_export_as_a_table_holds_the_same_items_and_no_formulas(world: World) -> None:
    reply = world.running.call("GET", f"{API}/audit/export?format=csv&repository=libs", auth=world.running.admin)
    assert reply.header("content-type") == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    items = world.items(repository="libs", after=0)
    assert [int(row["position"]) for row in rows] == [item["position"] for item in items]
    for row, item in zip(rows, items, strict=True):
        assert json.loads(row["event"]) == item["event"]
        assert (row["actor_username"], row["action"]) == (item["actor_username"], item["action"])
    assert not [cell for row in rows for cell in row.values() if cell and cell[0] in "=+-@\t\r\n"]


def test_what_a_client_sends_cannot_become_a_formula(world: World) -> None:
    world.running.call(
        "PUT",
        "/general/libs/formula.txt",
        b"x",
        auth=world.ann,
        headers={"x-correlation-id": "=HYPERLINK(1)", "user-agent": "@SUM(A1:A9)"},
    )
    query = urlencode({"format": "csv", "request_id": "=HYPERLINK(1)"})
    reply = world.running.call("GET", f"{API}/audit/export?{query}", auth=world.running.admin)
    (row,) = csv.DictReader(io.StringIO(reply.text, newline=""))
    assert (row["request_id"], row["user_agent"]) == ("'=HYPERLINK(1)", "'@SUM(A1:A9)")


def test_an_export_in_another_form_is_refused(world: World) -> None:
    reply = world.running.call("GET", f"{API}/audit/export?format=xml", auth=world.running.admin)
    assert reply.status == 400
    assert "format" in reply.json()["message"]


def test_a_stream_is_replayed_step_by_step_to_any_version(world: World) -> None:
    stream = world.items(request_id="first")[0]["stream"]

    def steps(query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = world.running.done("GET", f"{API}/audit/streams/{stream}{query}")["steps"]
        return found

    whole = steps()
    assert [(step["version"], step["action"]) for step in whole] == [
        (1, "ARTIFACT_UPLOADED"),
        (2, "ARTIFACT_UPLOADED"),
        (3, "ARTIFACT_DELETED"),
    ]
    assert [step["state"]["revision"] for step in whole] == [1, 2, 2]
    assert [step["state"]["sha256"] is None for step in whole] == [False, False, True]
    assert whole[1]["state"]["sha256"] == whole[1]["event"]["sha256"]
    assert steps("?version=2") == whole[:2]
    assert steps("?after=1&limit=1") == whole[1:2]
    assert world.running.done("GET", f"{API}/audit/streams/{stream}?limit=2")["more"] is True
    assert world.running.done("GET", f"{API}/audit/streams/{stream}?limit=3")["more"] is False


def test_the_life_of_a_person_shows_no_secret(world: World) -> None:
    body = world.running.call("GET", f"{API}/audit/streams/{world.ann_id}", auth=world.running.admin).text
    assert "argon2" not in body
    assert "ann@people.example" not in body
    assert json.loads(body)["kind"] == "user"


def test_a_stream_that_is_not_there_is_not_found(world: World) -> None:
    assert world.running.call("GET", f"{API}/audit/streams/{uuid4()}", auth=world.running.admin).status == 404
    assert world.running.call("GET", f"{API}/audit/streams/not-an-id", auth=world.running.admin).status == 404


# who may read what

FOR_ADMINISTRATORS = (
    "/admin/audit",
    "/audit/events",
    "/audit/export",
    "/audit/stream",
    f"/audit/streams/{UUID(int=7)}",
    "/admin/stats",
    "/admin/downloads",
    f"/admin/downloads/by-user/{UUID(int=7)}",
    "/admin/analytics/downloads/trend",
    "/admin/analytics/downloads/clients",
    "/admin/metrics",
)


@pytest.mark.parametrize("path", FOR_ADMINISTRATORS)
def test_the_whole_audit_is_for_administrators(world: World, path: str) -> None:
    assert world.running.call("GET", f"{API}{path}").status == 401
    assert world.running.call("GET", f"{API}{path}", auth=world.ann).status == 403


def test_an_administrators_narrow_token_is_none(world: World) -> None:
    body = {"name": "narrow", "scopes": ["read:artifacts"]}
    token = world.running.done("POST", f"{API}/auth/tokens", body)["token"]
    reply = world.running.call("GET", f"{API}/audit/events", auth={"authorization": f"Bearer {token}"})
    assert reply.status == 403


def test_who_administers_a_repository_sees_what_happened_there_and_nowhere_else(world: World) -> None:
    page = world.running.done("GET", f"{API}/repositories/libs/audit?limit=1000", auth=world.ann)
    later = world.items(repository="libs", limit=1000)
    assert later[-len(page["items"]) :] == page["items"]  # a refusal may be noted in between
    assert {"ARTIFACT_UPLOADED", "ARTIFACT_DELETED", "PERMISSION_DENIED"} <= {one["action"] for one in page["items"]}
    assert world.running.call("GET", f"{API}/repositories/secret/audit", auth=world.ann).status == 404
    assert world.running.call("GET", f"{API}/repositories/none/audit", auth=world.ann).status == 404
    assert world.running.call("GET", f"{API}/repositories/libs/audit", auth=world.bob).status == 403
    assert world.running.call("GET", f"{API}/repositories/libs/audit").status == 401
    assert world.running.call("GET", f"{API}/repositories/libs/history", auth=world.bob).status == 403


def test_a_repositorys_audit_is_filtered_and_paged_like_the_whole(world: World) -> None:
    def items(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = world.running.done(
            "GET", f"{API}/repositories/libs/audit?{query}", auth=world.ann
        )["items"]
        return found

    assert items("actor=ann&action=artifact_deleted") == world.items(actor="ann", action="ARTIFACT_DELETED")
    assert items("artifact=a/one.txt&after=0") == world.items(artifact="a/one.txt", repository="libs", after=0)
    # refusals are noted a moment later: those of other tests may still arrive between two questions
    denied = {one["id"] for one in items("outcome=denied")}
    assert denied
    assert denied <= {one["id"] for one in world.items(outcome="denied", repository="libs")}
    assert {one["outcome"] for one in items("outcome=denied")} == {"denied"}
    assert items("request_id=first") == world.items(request_id="first")
    assert items(f"artifact={world.items(repository='secret', topic='artifact.published')[0]['stream']}") == []
    assert [one["position"] for one in items("after=0&limit=2")] == [
        one["position"] for one in world.items(repository="libs", after=0, limit=2)
    ]


def test_a_repositorys_administrator_does_not_learn_whether_somebody_exists(world: World) -> None:
    for name in ("nobody", "admin2", world.bob_id):
        reply = world.running.call("GET", f"{API}/repositories/libs/audit?actor={name}&action=login", auth=world.ann)
        assert (reply.status, reply.json()["items"]) == (200, [])


def test_a_repositorys_past_is_audited_up_to_then(world: World) -> None:
    second = world.items(request_id="second")[0]["position"]
    key = f"libs@{second}"
    items = world.running.done("GET", f"{API}/repositories/{key}/audit?limit=1000", auth=world.ann)["items"]
    assert items == world.items(repository="libs", to_position=second, limit=1000)
    assert items[0]["request_id"] == "second"
    life = world.running.done("GET", f"{API}/repositories/{key}/history?path=a/one.txt", auth=world.ann)
    assert [step["request"] for step in life["steps"]] == ["first", "second"]
    assert world.running.call("GET", f"{API}/repositories/libs@99999999/audit", auth=world.ann).status == 404
    assert world.running.call("GET", f"{API}/repositories/libs@2999-01-01/audit", auth=world.ann).status == 400
    assert world.running.call("DELETE", f"{API}/repositories/{key}", auth=world.ann).status == 405


def test_the_life_of_a_repository_and_of_what_is_in_it(world: World) -> None:
    life = world.running.done("GET", f"{API}/repositories/libs/history", auth=world.ann)
    assert (life["stream"], life["kind"], life["steps"][0]["state"]["key"]) == (world.libs, "repository", "libs")
    life = world.running.done("GET", f"{API}/repositories/libs/history?path=a/one.txt&version=1", auth=world.ann)
    assert [step["state"]["revision"] for step in life["steps"]] == [1]
    reply = world.running.call("GET", f"{API}/repositories/libs/history?path=never", auth=world.ann)
    assert reply.status == 404


def test_a_deleted_repository_keeps_its_audit_under_its_past(world: World) -> None:
    running = world.running
    gone = running.repository("gone", "generic", public=False)["id"]
    running.done("PUT", "/general/gone/a.txt", b"a")
    before = running.head()
    assert running.call("DELETE", f"{API}/repositories/gone", auth=running.admin).status == 200
    assert "REPOSITORY_DELETED" in world.actions(repository=gone)
    items = running.done("GET", f"{API}/repositories/gone@{before}/audit")["items"]
    assert items[0]["action"] == "ARTIFACT_UPLOADED"
    assert items[0]["repository_key"] == "gone"
    assert running.call("GET", f"{API}/repositories/gone@{before}/audit", auth=world.ann).status == 404


# what is in it


def test_logins_and_failed_ones_are_in_it(world: World) -> None:
    running = world.running
    body = {"username": "ann", "password": "ann has chosen with care"}
    running.done("POST", f"{API}/auth/login", body, auth=None, headers={"x-correlation-id": "in"})
    wrong = running.call("POST", f"{API}/auth/login", {**body, "password": "wrong"}, headers={"x-correlation-id": "no"})
    assert wrong.status == 401
    unknown = running.call("POST", f"{API}/auth/login", {"username": "eve", "password": "wrong"})
    assert unknown.status == 401
    assert running.call("GET", f"{API}/repositories", auth=basic("ann", "wrong again")).status == 401
    deadline = time.monotonic() + 10
    while len(found := world.items(action="LOGIN,LOGIN_FAILED")) < 4:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    login = next(item for item in found if item["action"] == "LOGIN")
    assert (login["actor_username"], login["request_id"], login["outcome"]) == ("ann", "in", "success")
    failed = [item for item in found if item["action"] == "LOGIN_FAILED"]
    assert sorted(item["outcome"] for item in failed) == ["denied", "failure", "failure"]
    assert {item["resource_name"] for item in failed} == {"ann", None}
    assert {item["ip_address"] for item in failed} == {"192.0.2.7"}
    assert "no" in {item["request_id"] for item in failed}
    assert "wrong" not in json.dumps(failed)


def test_a_denied_attempt_says_who_wanted_what(world: World) -> None:
    assert world.refused.status == 403
    (item,) = world.items(actor="bob", to_position=world.head)
    assert (item["action"], item["outcome"]) == ("PERMISSION_DENIED", "denied")
    assert item["event"] == {"repository": world.libs, "action": "write", "resource": "libs"}
    assert (item["actor_username"], item["ip_address"], item["user_agent"]) == ("bob", "192.0.2.7", "denied/1")
    assert world.items(request_id=world.refused.header("x-correlation-id")) == [item]


def test_what_a_handler_refuses_is_in_it_too(world: World) -> None:
    cat = world.running.person("cat")
    body = {"key": "mine", "name": "mine", "format": "generic"}
    sent = {"x-correlation-id": "not-mine"}
    reply = world.running.call("POST", f"{API}/repositories", body, auth=cat, headers=sent)
    assert reply.status == 403
    reply = world.running.call("GET", f"{API}/admin/stats", auth=cat, headers=sent)
    assert reply.status == 403
    deadline = time.monotonic() + 10
    while len(found := world.items(actor="cat")) < 2:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert [(item["event"]["action"], item["resource_name"]) for item in found[::-1]] == [
        ("post", f"{API}/repositories"),
        ("admin", f"{API}/admin/stats"),
    ]
    assert {item["request_id"] for item in found} == {"not-mine"}
