"""Remote repositories: one fetch, verified, kept, good for a while, readable as of any time; and upstreams that lie."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import urllib3
from urllib3.exceptions import HTTPError

from application.proxying.ports import Known
from infrastructure.postgres.upstreams import PostgresUpstreams
from tests.integration.product import Product, product
from tests.publishes import upload_form
from tests.samples.pypi.make import Sample, wheel
from tests.servers.upstream import Handler, Upstream

API = "/api/v1"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
JSON = {"accept": JSON_V1}


class World:
    """Two workers, an upstream, and a remote repository of it for each test that asks."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream
        self._count = 0

    def remote(self, format: str = "pypi", **fields: Any) -> str:
        """The key of a new remote repository."""
        self._count += 1
        key = f"remote{self._count}"
        body = {
            "key": key, "name": key, "format": format, "repo_type": "remote", "is_public": True,
            "upstream_url": self.upstream.url, **fields,
        }  # fmt: skip
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def virtual(self, *members: str, format: str = "pypi", **fields: Any) -> str:
        """The key of a new virtual repository with these members."""
        self._count += 1
        key = f"virtual{self._count}"
        body = {
            "key": key, "name": key, "format": format, "repo_type": "virtual", "is_public": True,
            "member_repos": [{"repo_key": member} for member in members], **fields,
        }  # fmt: skip
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def offer(self, *samples: Sample, name: str = "demo") -> None:
        """Have the upstream list these files of a project."""
        files = []
        for sample in samples:
            path = f"/files/{sample.filename}"
            self.upstream.put(path, sample.content)
            files.append(
                {
                    "filename": sample.filename,
                    "url": f"../..{path}",
                    "hashes": {"sha256": hashlib.sha256(sample.content).hexdigest()},
                    "size": len(sample.content),
                    "upload-time": "2020-01-01T00:00:00Z",
                }
            )
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": files}
        self.upstream.put(f"/simple/{name}/", json.dumps(page).encode(), JSON_V1)

    def files(self, key: str, name: str = "demo", **options: Any) -> list[str]:
        """The file names on a page."""
        reply = self.running.call("GET", f"/pypi/{key}/simple/{name}/", headers=JSON, **options)
        assert reply.status == 200, (reply.status, reply.body)
        return [file["filename"] for file in json.loads(reply.body)["files"]]

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory: Path = tmp_path_factory.mktemp("data")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, workers=2, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    upstream.files.clear()
    upstream.special.clear()
    upstream.asked.clear()
    upstream.bodies.clear()
    upstream.headers.clear()
    upstream.away, upstream.delay_seconds, upstream.authorization = False, 0.0, ""
    world = World(running, upstream)
    world._count = int(time.monotonic() * 1000)
    return world


ONE = wheel("demo", "1.0")
TWO = wheel("demo", "2.0")


# remote


def test_a_page_and_a_file_are_asked_for_once(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    for worker in (0, 1, 0, 1):
        assert world.files(key, worker=worker) == [ONE.filename]
        reply = world.running.call("GET", f"/pypi/{key}/simple/demo/{ONE.filename}", worker=worker)
        assert (reply.status, reply.body) == (200, ONE.content)
        assert reply.header("cache-control") == "public, max-age=31536000, immutable"
    assert world.upstream.asked == {"/simple/demo/": 1, f"/files/{ONE.filename}": 1}
    listed = world.running.done("GET", f"{API}/packages?repository_key={key}@{world.running.head()}")["items"]
    assert [one["name"] for one in listed] == ["demo"]


def test_what_a_process_knows_it_does_not_ask_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.files(key) == [ONE.filename]
    asked: list[str] = []
    known = PostgresUpstreams.known

    def counted(self: PostgresUpstreams, repository: UUID, path: str) -> Known | None:
        asked.append(path)
        return known(self, repository, path)

    monkeypatch.setattr(PostgresUpstreams, "known", counted)
    path = f"/pypi/{key}/simple/demo/{ONE.filename}"
    assert world.running.call("GET", path).status == 200  # looks into the page, which is fresh
    assert asked.count(".index/simple/demo.json") == 0


def test_a_page_of_html_is_understood_too(world: World) -> None:
    digest = hashlib.sha256(ONE.content).hexdigest()
    world.upstream.put("/index/d.whl", ONE.content)
    html = f'<a href="/index/{ONE.filename}#sha256={digest}" data-requires-python="&gt;=3.8" data-yanked="bad">x</a>'
    world.upstream.put("/simple/demo/", html.encode(), "text/html")
    world.upstream.put(f"/index/{ONE.filename}", ONE.content)
    key = world.remote()
    page = world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON)
    (file,) = json.loads(page.body)["files"]
    assert (file["hashes"], file["requires-python"], file["yanked"]) == ({"sha256": digest}, ">=3.8", "bad")
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/{ONE.filename}").body == ONE.content
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/").body.startswith(b"<!DOCTYPE html>")


def test_what_has_not_changed_is_not_sent_again(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.files(key) == [ONE.filename]
    world.expire(key)
    for worker in (0, 1):
        assert world.files(key, worker=worker) == [ONE.filename]
    assert (world.upstream.asked["/simple/demo/"], world.upstream.bodies["/simple/demo/"]) == (2, 1)
    world.offer(ONE, TWO)
    assert world.files(key) == [ONE.filename]
    world.expire(key)
    for worker in (1, 0):
        assert world.files(key, worker=worker) == [ONE.filename, TWO.filename]


def test_what_was_served_then_is_served_as_of_then(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    before = world.running.head()
    assert world.files(key) == [ONE.filename]
    first = world.running.head()
    world.offer(TWO)
    world.expire(key)
    assert world.files(key) == [TWO.filename]
    world.upstream.away = True
    assert world.files(f"{key}@{first}") == [ONE.filename]
    then = world.running.call("GET", f"/pypi/{key}@{before}/simple/demo/", headers=JSON)
    assert then.status == 404
    missing = world.running.call("GET", f"/pypi/{key}@{first}/simple/demo/{ONE.filename}")
    assert (missing.status, b"had not been fetched" in missing.body) == (404, True), missing.body


def test_while_the_upstream_is_away_what_is_kept_is_served_and_says_so(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.files(key) == [ONE.filename]
    world.expire(key)
    world.upstream.away = True
    reply = world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON)
    assert reply.status == 200
    assert "upstream-unavailable" in reply.header("cache-status")
    unknown = world.running.call("GET", f"/pypi/{key}/simple/other/", headers=JSON)
    assert (unknown.status, b"answered 503" in unknown.body) == (502, True), unknown.body
    metrics = world.running.call("GET", f"{API}/admin/metrics", auth=world.running.admin).body
    assert b"ak_upstream_stale" in metrics


def test_what_the_upstream_has_not_is_not_asked_for_again_at_once(world: World) -> None:
    key = world.remote()
    for _ in range(3):
        assert world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON).status == 404
    assert world.upstream.asked["/simple/demo/"] == 1


def test_what_the_upstream_has_no_longer_is_gone(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.files(key) == [ONE.filename]
    then = world.running.head()
    world.upstream.files.clear()
    world.expire(key)
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON).status == 404
    assert world.files(f"{key}@{then}") == [ONE.filename]


def test_many_at_once_over_two_workers_make_one_request(world: World) -> None:
    body = bytes(range(256)) * 16_384
    big = Sample("demo-9.0.tar.gz", body)
    world.offer(big)
    key = world.remote()
    assert world.files(key) == [big.filename]
    world.upstream.delay_seconds = 0.5

    def get(number: int) -> bytes:
        return world.running.call("GET", f"/pypi/{key}/simple/demo/{big.filename}", worker=number % 2).body

    with ThreadPoolExecutor(40) as threads:
        assert all(found == body for found in threads.map(get, range(40)))
    assert world.upstream.asked[f"/files/{big.filename}"] == 1


def test_a_credential_is_shown_to_the_upstream_and_to_nobody_else(world: World) -> None:
    world.offer(ONE)
    world.upstream.authorization = "Basic cmVhZGVyOm9wZW4gc2VzYW1l"
    key = world.remote()
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON).status == 502
    body = {"auth_type": "basic", "username": "reader", "password": "open sesame"}
    world.running.done("PUT", f"{API}/repositories/{key}/upstream-auth", body)
    assert world.files(key) == [ONE.filename]
    shown = world.running.call("GET", f"{API}/repositories/{key}", auth=world.running.admin)
    assert json.loads(shown.body)["upstream_auth_configured"] is True
    assert b"sesame" not in shown.body
    with psycopg.connect(world.running.settings.database_url or "") as own:
        rows = own.execute("SELECT convert_from(state, 'utf8') FROM es_events").fetchall()
    assert not any("sesame" in row[0] for row in rows)
    with Upstream() as other:
        other.put("/there", b"x" * 10)
        world.upstream.special["/simple/away/"] = lambda ask: ask.give(302, b"", location=f"{other.url}/there")
        world.running.call("GET", f"/pypi/{key}/simple/away/", headers=JSON)
        assert other.asked["/there"] == 1
        assert "authorization" not in other.headers[0]


# upstreams that lie


def test_wrong_bytes_are_not_kept_and_it_is_recorded(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.files(key) == [ONE.filename]
    world.upstream.put(f"/files/{ONE.filename}", ONE.content[:-1] + b"!")
    reply = world.running.call("GET", f"/pypi/{key}/simple/demo/{ONE.filename}")
    assert (reply.status, b"sha256 digest" in reply.body) == (502, True), reply.body
    (found,) = world.running.done("GET", f"{API}/audit/events?repository={key}&action=UPSTREAM_REJECTED")["items"]
    assert (found["resource_name"], found["outcome"]) == (f"demo/{ONE.filename}", "failure")
    world.upstream.put(f"/files/{ONE.filename}", ONE.content)
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/{ONE.filename}").body == ONE.content


def _cut(ask: Handler) -> None:
    ask.send_response(200)
    ask.send_header("content-length", "4000000")
    ask.end_headers()
    ask.wfile.write(b"x" * 2_500_000)
    ask.close_connection = True


def test_a_body_that_is_cut_off_is_never_a_file(world: World) -> None:
    big = Sample("demo-9.0.tar.gz", b"x" * 4_000_000)
    world.offer(big)
    key = world.remote()
    world.upstream.special[f"/files/{big.filename}"] = _cut
    with world.running.serve() as url:
        try:
            reply = urllib3.request("GET", f"{url}/pypi/{key}/simple/demo/{big.filename}", retries=False)
        except (HTTPError, OSError):
            pass  # it broke off here as it did there
        else:
            assert reply.status == 502  # it was over before anything had gone out
    world.upstream.special.clear()
    assert world.running.call("GET", f"/pypi/{key}/simple/demo/{big.filename}").body == big.content


@pytest.mark.parametrize("body", [b"", b"{", b'{"files": 3}', b"[" * 100_000, b"\xff\xfe", b'{"files":[{}]}'])
def test_a_page_that_is_none_is_a_bad_gateway_or_an_empty_page(world: World, body: bytes) -> None:
    world.upstream.put("/simple/demo/", body, JSON_V1)
    key = world.remote()
    reply = world.running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON)
    assert reply.status == 502, (reply.status, reply.body)
    assert world.running.call("GET", f"/pypi/{key}/simple/").status in {404, 502}


def test_nobody_is_led_to_an_address_inside(world: World) -> None:
    running = world.running
    for url in (
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::1]/",
        "ftp://x.example/",
        "http://u:p@x/",
    ):
        body = {"key": "inside", "name": "x", "format": "pypi", "repo_type": "remote", "upstream_url": url}
        assert running.call("POST", f"{API}/repositories", body, auth=running.admin).status == 400, url
    key = world.remote()
    world.upstream.special["/simple/demo/"] = lambda ask: ask.give(302, b"", location="http://169.254.169.254/latest")
    reply = running.call("GET", f"/pypi/{key}/simple/demo/", headers=JSON)
    assert (reply.status, b"does not go" in reply.body) == (502, True), reply.body
    found = running.done("GET", f"{API}/audit/events?repository={key}&action=UPSTREAM_REJECTED")["items"]
    assert len(found) == 1


# settings


def test_nobody_publishes_to_a_remote_repository(world: World) -> None:
    key = world.remote()
    reply = world.running.call("POST", f"/pypi/{key}/", b"x", auth=world.running.admin)
    assert (reply.status, b"filled from its upstream" in reply.body) == (405, True), reply.body


def test_young_versions_are_held_back(world: World) -> None:
    world.offer(ONE)
    page = json.loads(world.upstream.files["/simple/demo/"][1])
    page["files"].append({**page["files"][0], "filename": TWO.filename, "upload-time": "2999-01-01T00:00:00Z"})
    world.upstream.put("/simple/demo/", json.dumps(page).encode(), JSON_V1)
    key = world.remote()
    assert world.files(key) == [ONE.filename, TWO.filename]
    world.running.done("PUT", f"{API}/repositories/{key}/age-gate", {"enabled": True, "min_age_days": 7})
    assert world.files(key) == [ONE.filename]
    unknown = {"enabled": True, "min_age_days": 7, "mode": "first_seen"}
    gate = f"{API}/repositories/{key}/age-gate"
    assert world.running.call("PUT", gate, unknown, auth=world.running.admin).status == 400
    held = world.running.call("GET", f"/pypi/{key}/simple/demo/{TWO.filename}")
    assert (held.status, b"held back" in held.body) == (451, True), held.body


def test_paths_are_rewritten_on_their_way(world: World) -> None:
    world.offer(ONE)
    world.upstream.files["/elsewhere/demo/"] = world.upstream.files.pop("/simple/demo/")
    key = world.remote()
    rules = {"rules": [{"path_pattern": "simple/(.*)", "rewrite_to": r"elsewhere/\1"}]}
    assert world.running.done("POST", f"{API}/repositories/{key}/routing-rules", rules)["rules"] == rules["rules"]
    assert world.files(key) == [ONE.filename]
    bad = {"rules": [{"path_pattern": "(", "rewrite_to": ""}]}
    reply = world.running.call("POST", f"{API}/repositories/{key}/routing-rules", bad, auth=world.running.admin)
    assert reply.status == 400


def test_an_upstream_is_tried(world: World) -> None:
    key = world.remote()
    tried = world.running.done("POST", f"{API}/repositories/{key}/test-upstream")
    assert tried == {"status": "ok", "upstream_status": 404, "upstream_url": world.upstream.url}
    world.upstream.away = True
    reply = world.running.call("POST", f"{API}/repositories/{key}/test-upstream", auth=world.running.admin)
    assert reply.status == 502


# virtual


def _local(world: World, *samples: Sample, public: bool = True) -> str:
    """The key of a hosted repository with these files."""
    world._count += 1
    key = f"local{world._count}"
    world.running.repository(key, "pypi", public=public)
    for sample in samples:
        body, content_type = upload_form(sample)
        world.running.done("POST", f"/pypi/{key}/", body, headers={"content-type": content_type})
    return key


def test_members_are_one_index_and_the_first_one_wins(world: World) -> None:
    running = world.running
    world.offer(ONE, TWO)
    world.offer(wheel("other", "1.0"), name="other")
    mine, other = wheel("mine", "3.0"), wheel("mine", "4.0")
    first, second, remote = _local(world, mine), _local(world, other), world.remote()
    virtual = world.virtual(first, second, remote)
    assert world.files(virtual) == [ONE.filename, TWO.filename]
    assert world.files(virtual, "mine") == [mine.filename, other.filename]
    for sample, name in ((mine, "mine"), (other, "mine"), (TWO, "demo")):
        assert running.call("GET", f"/pypi/{virtual}/simple/{name}/{sample.filename}").body == sample.content
    assert running.call("GET", f"/pypi/{virtual}/simple/none/").status == 404
    listed = running.call("GET", f"/pypi/{virtual}/simple/", headers={"accept": "text/html"})
    assert b">mine</a>" in listed.body
    page = running.call("GET", f"/pypi/{virtual}/simple/mine/").body
    assert page.count(b"<a href") == 2


def test_a_virtual_repository_follows_its_members_at_once_and_is_read_as_it_was(world: World) -> None:
    mine, later = wheel("mine", "3.0"), wheel("mine", "4.0")
    first, second = _local(world, mine), _local(world)
    virtual = world.virtual(first, second)
    assert world.files(virtual, "mine") == [mine.filename]
    then = world.running.head()
    body, content_type = upload_form(later)
    world.running.done("POST", f"/pypi/{second}/", body, headers={"content-type": content_type})
    assert world.files(virtual, "mine") == [mine.filename, later.filename]
    world.running.done("DELETE", f"{API}/repositories/{virtual}/members/{first}")
    assert world.files(virtual, "mine") == [later.filename]
    for worker in (0, 1):
        assert world.files(f"{virtual}@{then}", "mine", worker=worker) == [mine.filename]


def test_a_name_that_is_ours_is_not_taken_from_an_upstream(world: World) -> None:
    ours = wheel("demo", "0.1")
    world.offer(TWO)
    local, remote = _local(world, ours), world.remote()
    virtual = world.virtual(remote, local)
    assert world.files(virtual) == [ours.filename]
    assert world.running.call("GET", f"/pypi/{virtual}/simple/demo/{TWO.filename}").status == 404
    hidden = world.virtual(remote, _local(world, ours, public=False))
    assert world.running.call("GET", f"/pypi/{hidden}/simple/demo/").status == 404
    world.running.done("PATCH", f"{API}/repositories/{virtual}", {"shared_names": ["dem*"]})
    assert world.files(virtual) == [ours.filename, TWO.filename]


def test_members_that_the_caller_may_not_read_are_not_there(world: World) -> None:
    mine, secret = wheel("mine", "3.0"), wheel("mine", "4.0")
    virtual = world.virtual(_local(world, mine), hidden := _local(world, secret, public=False))
    assert world.files(virtual, "mine") == [mine.filename]
    assert world.files(virtual, "mine", auth=world.running.admin) == [mine.filename, secret.filename]
    assert world.running.call("GET", f"/pypi/{virtual}/simple/mine/{secret.filename}").status == 404
    shown = world.running.done("GET", f"{API}/repositories/{virtual}/members", auth=None)["members"]
    assert hidden not in {member["member_repo_key"] for member in shown}
    assert len(shown) == 1


def test_a_download_is_the_members(world: World) -> None:
    running, mine = world.running, wheel("mine", "3.0")
    local = _local(world, mine)
    running.done("PATCH", f"{API}/repositories/{local}", {"record_access": True})
    virtual = world.virtual(local)
    assert running.call("GET", f"/pypi/{virtual}/simple/mine/{mine.filename}", auth=running.admin).status == 200
    asked, deadline = f"{API}/audit/events?repository={local}&action=ARTIFACT_DOWNLOADED", time.monotonic() + 20
    while not (found := running.done("GET", asked)["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [one["resource_name"] for one in found] == [f"mine/{mine.filename}"]


def test_what_is_published_to_a_virtual_repository_goes_where_it_says(world: World) -> None:
    running, sample = world.running, wheel("mine", "5.0")
    local = _local(world)
    virtual = world.virtual(local)
    body, content_type = upload_form(sample)
    sent = {"content-type": content_type}
    refused = running.call("POST", f"/pypi/{virtual}/", body, auth=running.admin, headers=sent)
    assert (refused.status, b"names none of its members" in refused.body) == (405, True)
    running.done("PATCH", f"{API}/repositories/{virtual}", {"publish_to": local})
    reader = running.person(f"reader{world._count}", **{virtual: "read write", local: "read"})
    assert running.call("POST", f"/pypi/{virtual}/", body, auth=reader, headers=sent).status == 403
    running.done("POST", f"/pypi/{virtual}/", body, headers=sent)
    assert world.files(local, "mine") == world.files(virtual, "mine") == [sample.filename]


def test_members_never_go_in_a_circle(world: World) -> None:
    running, first = world.running, world.virtual(_local(world))
    second = world.virtual(first)
    members = f"{API}/repositories/{first}/members"
    assert running.call("POST", members, {"member_key": second}, auth=running.admin).status == 409
    assert running.call("POST", members, {"member_key": first}, auth=running.admin).status == 400
    npm = f"npm{world._count}"
    running.repository(npm, "npm")
    assert running.call("POST", members, {"member_key": npm}, auth=running.admin).status == 400
    assert running.call("POST", members, {"member_key": "none"}, auth=running.admin).status == 404


def test_without_its_upstream_what_is_ours_is_still_there(world: World) -> None:
    mine = wheel("mine", "3.0")
    world.upstream.away = True
    virtual = world.virtual(_local(world, mine), world.remote())
    assert world.files(virtual, "mine") == [mine.filename]
    reply = world.running.call("GET", f"/pypi/{virtual}/simple/demo/")
    assert reply.status == 502  # that nobody has it would be a lie


def test_snapshots_show_what_other_kinds_showed(world: World) -> None:
    world.offer(ONE)
    remote = world.remote()
    virtual = world.virtual(remote, _local(world, mine := wheel("mine", "3.0")))
    assert world.files(virtual) == [ONE.filename]
    assert world.running.call("GET", f"/pypi/{virtual}/simple/demo/{ONE.filename}").body == ONE.content
    snapshots = {}
    for source in (remote, virtual):
        snapshots[source] = f"{source}-then"
        body = {
            "key": snapshots[source],
            "name": "x",
            "repo_type": "snapshot",
            "snapshot_of": source,
            "is_public": True,
        }
        world.running.done("POST", f"{API}/repositories", body)
    world.offer(TWO)
    world.expire(remote)
    assert world.files(virtual) == [TWO.filename]
    for worker in (0, 1):
        for snapshot in snapshots.values():
            assert world.files(snapshot, worker=worker) == [ONE.filename]
            path = f"/pypi/{snapshot}/simple/demo/{ONE.filename}"
            assert world.running.call("GET", path, worker=worker).body == ONE.content
            refused = world.running.call("POST", f"/pypi/{snapshot}/", b"x", auth=world.running.admin)
            assert refused.status == 405
    assert world.files(snapshots[virtual], "mine") == [mine.filename]
    again = world.virtual(snapshots[remote])
    assert world.files(again) == [ONE.filename]
