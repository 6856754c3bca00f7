"""A repository as it was is, byte for byte, what its clients were given then: over the wire, whatever happened since."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
import pytest

from infrastructure.embedded import EmbeddedPostgres
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.publishes import FORMATS, publish, upload_form
from tests.samples.cargo import make as cargo_make
from tests.samples.npm import make as npm_make
from tests.samples.pypi.make import sdist, wheel

PEP691 = "application/vnd.pypi.simple.v1+json"
CORGI = "application/vnd.npm.install-v1+json"
EAST = timezone(timedelta(hours=5, minutes=30))


class Moment(NamedTuple):
    """What was served at a position: answers by (target below the repository, Accept)."""

    name: str
    position: int
    at: datetime
    answers: dict[tuple[str, str], tuple[Any, ...]]


class History:
    """One repository, what is done to it step by step, and what was served after each step."""

    def __init__(self, running: Product, format: str, reads: list[tuple[str, str]]) -> None:
        self.running, self.format, self.key = running, format, f"{format}-libs"
        self.reads = reads
        self.moments: list[Moment] = []
        running.repository(self.key, format)

    def do(self, method: str, below: str, body: object = b"", **headers: str) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        target = f"/{self.format}/{self.key}{below}"
        reply = self.running.call(method, target, body, auth=self.running.admin, headers=sent)
        assert reply.status < 300, (method, target, reply.status, reply.text)

    def note(self) -> None:
        """Take down what is served now, under a name."""
        name = f"{self.format}-{len(self.moments)}"
        self.running.done("POST", "/api/v1/checkpoints", {"name": name})
        time.sleep(0.002)
        at = datetime.now(UTC)
        position = self.running.head() - 1  # before its name was given
        time.sleep(0.002)
        answers = {one: self.read(self.key, *one) for one in self.reads}
        self.moments.append(Moment(name, position, at, answers))

    def read(self, key: str, below: str, accept: str) -> tuple[Any, ...]:
        """Status, body, type and tag; addresses of the repository as if it were read as of now."""
        reply = self.ask(key, below, accept)
        own = f"/{self.format}/{key}".encode()
        body = reply.body.replace(own, f"/{self.format}/{self.key}".encode())
        body = body.replace(own.replace(b":", b"%3A"), f"/{self.format}/{self.key}".encode())
        return reply.status, body, reply.header("content-type")

    def ask(self, key: str, below: str, accept: str = "*/*", worker: int = 0) -> Reply:
        target = below.replace("{key}", key) if "{key}" in below else f"/{self.format}/{key}{below}"
        return self.running.call("GET", target, headers={"accept": accept}, worker=worker)


def _pypi(running: Product) -> History:
    first, second, source = wheel("demo", "1.0"), wheel("demo", "2.0"), sdist("demo", "1.0")
    other = wheel("other.pkg", "0.1")
    reads = [("/simple/", kind) for kind in ("text/html", PEP691)]
    reads += [(f"/simple/{name}/", kind) for name in ("demo", "other-pkg") for kind in ("text/html", PEP691)]
    reads += [(f"/pypi/{path}/json", "*/*") for path in ("demo", "demo/1.0", "demo/2.0", "other-pkg")]
    for one in (first, second, source):
        reads += [(f"/simple/demo/{one.filename}{suffix}", "*/*") for suffix in ("", ".metadata")]
    history = History(running, "pypi", reads)

    def upload(sample: Any) -> None:
        body, content_type = upload_form(sample)
        history.do("POST", "/", body, content_type=content_type)

    steps: list[Callable[[], None]] = [
        lambda: upload(first),
        lambda: upload(source),
        lambda: upload(second),
        lambda: history.do("PUT", "/pypi/demo/2.0/yank", b"does not start"),
        lambda: upload(other),
        lambda: history.do("DELETE", "/pypi/demo/2.0/yank"),
        lambda: history.do("DELETE", f"/simple/demo/{source.filename}"),
        lambda: history.do("DELETE", "/pypi/demo/1.0"),
        lambda: history.do("DELETE", "/pypi/other-pkg/0.1"),
    ]
    return _walked(history, steps)


def _npm(running: Product) -> History:
    reads = [(path, kind) for path in ("/demo", "/@s%2fdemo", "/@s/demo") for kind in ("*/*", CORGI)]
    reads += [(path, "*/*") for path in ("/demo/1.0.0", "/demo/latest", "/demo/next", "/@s/demo/1.0.0")]
    reads += [(f"/-/package/{name}/dist-tags", "*/*") for name in ("demo", "@s%2fdemo")]
    reads += [(f"/demo/-/demo-{version}.tgz", "*/*") for version in ("1.0.0", "1.1.0")]
    reads += [("/@s/demo/-/demo-1.0.0.tgz", "*/*")]
    history = History(running, "npm", reads)

    def put(name: str, version: str, tag: str = "latest") -> None:
        data = npm_make.tarball({"index.js": f"// {version}"}, name=name, version=version)
        history.do("PUT", f"/{quote(name, safe='@')}", npm_make.document(data, name, version, tag=tag))

    def change(name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
        document = json.loads(history.ask(history.key, f"/{name}?write=true").body)
        edit(document)
        history.do("PUT", f"/{name}/-rev/{document['_rev']}", document)

    def unpublish(version: str) -> None:
        change("demo", lambda found: [found["versions"].pop(version), found["dist-tags"].pop("next", None)])
        revision = json.loads(history.ask(history.key, "/demo?write=true").body)["_rev"]
        history.do("DELETE", f"/demo/-/demo-{version}.tgz/-rev/{revision}")

    steps: list[Callable[[], None]] = [
        lambda: put("demo", "1.0.0"),
        lambda: put("@s/demo", "1.0.0"),
        lambda: put("demo", "1.1.0", "next"),
        lambda: history.do("PUT", "/-/package/demo/dist-tags/latest", b'"1.1.0"', content_type="application/json"),
        lambda: change("demo", lambda found: found["versions"]["1.0.0"].update(deprecated="too old")),
        lambda: history.do("PUT", "/-/package/demo/dist-tags/latest", b'"1.0.0"', content_type="application/json"),
        lambda: unpublish("1.1.0"),
        lambda: change("demo", lambda found: found["versions"]["1.0.0"].update(deprecated="")),
    ]
    return _walked(history, steps)


def _cargo(running: Product) -> History:
    crates = "/api/v1/crates"
    reads = [(f"{folder}/{path}", "*/*") for folder in ("", "/index") for path in ("config.json", "de/mo/demo")]
    reads += [(path, "*/*") for path in ("/ot/he/other_one", "/index/ot/he/other-one", f"{crates}/demo/owners")]
    for name, versions in (("demo", ("1.0.0", "1.1.0+build")), ("other_one", ("0.1.0", "0.2.0"))):
        reads += [(f"{crates}/{name}/{version}/download", "*/*") for version in versions]
    history = History(running, "cargo", reads)

    def put(name: str, version: str) -> None:
        history.do("PUT", f"{crates}/new", cargo_make.publish(name, version)[0])

    def delete(name: str, version: str) -> None:
        path = f"{name}/{version}/{name}-{version}.crate"
        running.done("DELETE", f"/api/v1/repositories/{history.key}/artifacts/{path}")

    steps: list[Callable[[], None]] = [
        lambda: put("demo", "1.0.0"),
        lambda: put("Other_One", "0.1.0"),
        lambda: put("demo", "1.1.0+build"),
        lambda: history.do("DELETE", f"{crates}/demo/1.0.0/yank"),
        lambda: put("Other_One", "0.2.0"),
        lambda: history.do("PUT", f"{crates}/demo/1.0.0/unyank"),
        lambda: history.do("DELETE", f"{crates}/demo/1.1.0+build/yank"),
        lambda: delete("other_one", "0.1.0"),
        lambda: delete("demo", "1.0.0"),
    ]
    return _walked(history, steps)


def _generic(running: Product) -> History:
    reads = [(path, kind) for path in ("/", "/a/", "/a/b/") for kind in ("text/html", "application/json")]
    reads += [
        (path, "*/*") for path in ("/a/x.txt", "/a/b/y.bin", "/a/b/z.txt", "/a/x.txt?properties", "/a/x.txt.sha256")
    ]
    reads += [("/?list&deep=1", "application/json"), ("/?archive=zip", "*/*")]
    history = History(running, "generic", reads)
    running.done("PATCH", f"/api/v1/repositories/{history.key}", {"overwrite": "allow"})
    steps: list[Callable[[], None]] = [
        lambda: history.do("PUT", "/a/x.txt", b"one"),
        lambda: history.do("PUT", "/a/b/y.bin", bytes(range(256)) * 20),
        lambda: history.do("PUT", "/a/x.txt", b"another"),
        lambda: history.do("PATCH", "/a/x.txt?properties", {"stage": "tested"}),
        lambda: history.do("DELETE", "/a/b/y.bin"),
        lambda: history.do("PUT", "/a/b/z.txt", b"z"),
        lambda: history.do("MOVE", "/a/b/z.txt", destination=f"/generic/{history.key}/a/b/y.bin"),
        lambda: history.do("DELETE", "/a/?recursive=true"),
    ]
    return _walked(history, steps)


MANAGED = [
    "/api/v1/tree?repository_key={key}",
    "/api/v1/tree?repository_key={key}&path=a&include_metadata=true",
    "/api/v1/repositories/{key}/artifacts?per_page=100",
]


def _walked(history: History, steps: list[Callable[[], None]]) -> History:
    history.note()
    for step in steps:
        step()
        history.note()
    return history


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("past"), workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def histories(running: Product) -> dict[str, History]:
    return {"pypi": _pypi(running), "npm": _npm(running), "cargo": _cargo(running), "generic": _generic(running)}


def _spellings(moment: Moment) -> list[str]:
    instant = moment.at.isoformat()
    return [
        str(moment.position),
        moment.name,
        instant.replace("+00:00", "Z"),
        instant.replace("+", "%2B"),
        moment.at.astimezone(tz=EAST).isoformat().replace("+", "%2B").replace(":", "%3A"),
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_every_address_gives_what_it_gave_then(histories: dict[str, History], format: str) -> None:
    history = histories[format]
    distinct = {answer for moment in history.moments for answer in moment.answers.values()}
    assert len(distinct) > 2 * len(history.moments), "nothing was done, so nothing is shown"
    for moment in history.moments:
        for number, spelling in enumerate(_spellings(moment)):
            for one, then in moment.answers.items():
                now = history.read(f"{history.key}@{spelling}", *one)
                assert now == then, (spelling, one, now, then, number)


@pytest.mark.parametrize("format", FORMATS)
def test_a_snapshot_repository_is_its_source_at_a_position(histories: dict[str, History], format: str) -> None:
    history = histories[format]
    for number, moment in enumerate(history.moments):
        key = f"{format}-frozen-{number}"
        when = [moment.position, moment.name][number % 2]
        snapshot: dict[str, Any] = {"repo_type": "snapshot", "snapshot_of": history.key, "snapshot_at": when}
        made = history.running.repository(key, format, **snapshot)
        assert made["snapshot_position"] == moment.position
        for one, then in moment.answers.items():
            assert history.read(key, *one) == then, (key, one)


@pytest.mark.parametrize("format", FORMATS)
def test_both_workers_tell_the_same_past(histories: dict[str, History], format: str) -> None:
    history = histories[format]
    for moment in history.moments[::3]:
        for below, accept in moment.answers:
            here = history.ask(f"{history.key}@{moment.position}", below, accept)
            there = history.ask(f"{history.key}@{moment.position}", below, accept, worker=1)
            assert (here.status, here.body, here.header("etag")) == (there.status, there.body, there.header("etag"))


def _uncounted(reply: Reply) -> bytes:
    """The body without counts of downloads, which are until today whatever the position."""
    return re.sub(rb'"download_count":[0-9]+', b"", reply.body)


@pytest.mark.parametrize("target", MANAGED)
def test_management_reads_of_the_past_do_not_change(histories: dict[str, History], target: str) -> None:
    history = histories["generic"]
    key = history.key
    fresh = {}
    for moment in history.moments:
        reply = history.ask(f"{key}@{moment.position}", target)
        assert reply.status == 200, (target, reply.status, reply.text)
        fresh[moment.position] = _uncounted(reply)
        for spelling in _spellings(moment)[1:]:
            again = history.ask(f"{key}@{spelling}", target)
            assert _uncounted(again) == _uncounted(reply), (target, spelling, again.text)
    assert len(set(fresh.values())) > 1


@pytest.mark.parametrize("format", FORMATS)
def test_the_past_and_a_snapshot_cannot_be_written_to(histories: dict[str, History], format: str) -> None:
    history = histories[format]
    running = history.running
    position = history.moments[3].position
    frozen: dict[str, Any] = {"repo_type": "snapshot", "snapshot_of": history.key, "snapshot_at": position}
    running.repository(f"{format}-closed", format, **frozen)
    before = running.head()
    writes: dict[str, list[tuple[str, str]]] = {
        "pypi": [
            *(("POST", "/"), ("POST", "/legacy/"), ("PUT", "/pypi/demo/1.0/yank"), ("DELETE", "/pypi/demo/1.0")),
            *(("DELETE", "/pypi/demo/1.0/yank"), ("DELETE", "/simple/demo/demo-1.0-py3-none-any.whl")),
        ],
        "npm": [
            *(("PUT", "/demo"), ("PUT", "/demo/-rev/1"), ("DELETE", "/demo/-rev/1"), ("PUT", "/@s%2fdemo")),
            *(("DELETE", "/demo/-/demo-1.0.0.tgz/-rev/1"), ("PUT", "/-/package/demo/dist-tags/x")),
            ("DELETE", "/-/package/demo/dist-tags/latest"),
        ],
        "cargo": [
            *(("PUT", "/api/v1/crates/new"), ("DELETE", "/api/v1/crates/demo/1.0.0/yank")),
            *(("PUT", "/api/v1/crates/demo/1.0.0/unyank"), ("PUT", "/api/v1/crates/demo/owners")),
            ("DELETE", "/api/v1/crates/demo/owners"),
        ],
        "generic": [
            *(("PUT", "/a/n.txt"), ("DELETE", "/a/x.txt"), ("DELETE", "/a/"), ("PATCH", "/a/x.txt"), ("POST", "/a/")),
            *(("MKCOL", "/n/"), ("MOVE", "/a/x.txt")),
        ],
    }
    for key in (f"{history.key}@{position}", f"{history.key}@{history.moments[3].name}", f"{format}-closed"):
        for method, below in writes[format]:
            reply = running.call(
                method,
                f"/{format}/{key}{below}",
                b'{"name":"demo"}',
                auth=running.admin,
                headers={"destination": f"/generic/{history.key}/moved.txt", "content-type": "application/json"},
            )
            assert reply.status == 405, (method, key, below, reply.status, reply.text)
            assert re.search(r"past cannot be written to", reply.text), reply.text
        upload = {"artifact_path": "n.txt", "total_size": 1, "checksum_sha256": "0" * 64, "repository_key": key}
        managed: list[tuple[str, str, Any]] = [("POST", "/api/v1/uploads", upload)]
        if "@" in key:
            managed += [
                ("PATCH", f"/api/v1/repositories/{key}", {"name": "n"}),
                ("DELETE", f"/api/v1/repositories/{key}", None),
            ]
        for method, target, body in managed:
            reply = running.call(method, target, body, auth=running.admin)
            assert reply.status == 405, (method, target, reply.status, reply.text)
    assert running.head() == before


def test_copying_into_the_past_is_refused_and_out_of_it_works(histories: dict[str, History]) -> None:
    history = histories["generic"]
    running = history.running
    moment = history.moments[1]  # a/x.txt is "one"
    running.repository("rescue", "generic")
    into = {"destination": f"/generic/{history.key}@{moment.position}/copy.txt"}
    running.done("PUT", "/generic/rescue/source.txt", b"source")
    reply = running.call("COPY", "/generic/rescue/source.txt", auth=running.admin, headers=into)
    assert reply.status == 405, (reply.status, reply.text)
    out = {"destination": "/generic/rescue/x.txt"}
    reply = running.call("COPY", f"/generic/{history.key}@{moment.position}/a/x.txt", auth=running.admin, headers=out)
    assert reply.status == 201, (reply.status, reply.text)
    assert running.call("GET", "/generic/rescue/x.txt").body == b"one"


@pytest.mark.parametrize(
    ("when", "status"),
    [
        *(("999999999", 404), ("99999999999999999999999", 404), ("2999-01-01", 400), ("2999-01-01T00:00:00Z", 400)),
        *(("2026-02-30", 400), ("2026-01-01T25:00:00Z", 400), ("no-such-name", 404), ("", 404), ("-1", 404)),
        *(("0", 404), ("1970-01-01", 404), ("1970-01-01T00:00:00Z", 404), ("1", 404), ("%20", 404), ("@", 404)),
    ],
)
def test_times_that_cannot_be_are_said_so(histories: dict[str, History], when: str, status: int) -> None:
    targets = {"pypi": "/simple/", "npm": "/demo", "cargo": "/config.json", "generic": "/"}
    for format_key, history in histories.items():
        reply = history.ask(f"{history.key}@{when}", targets[format_key])
        assert reply.status == status, (format_key, when, reply.status, reply.text)
        assert reply.body
        assert reply.header("cache-control") == "no-store"
        managed = history.running.call("GET", f"/api/v1/repositories/{history.key}@{when}")
        assert managed.status == status, (when, managed.status, managed.text)
        assert set(managed.json()) == {"code", "message"}


def test_the_difference_of_two_positions_is_what_was_done_between_them(histories: dict[str, History]) -> None:
    def diff(history: History, first: int, last: int) -> set[tuple[str, str, str]]:
        earlier, later = history.moments[first], history.moments[last]
        found = history.running.done(
            "GET", f"/api/v1/repositories/{history.key}/diff?from={earlier.position}&to={later.name}"
        )
        assert (found["from"], found["to"]) == (earlier.position, later.position)
        return {
            (kind, one["subject"], one["name"]) for kind in ("appeared", "changed", "vanished") for one in found[kind]
        }

    generic = histories["generic"]
    assert diff(generic, 0, 1) == {("appeared", "artifact", "a/x.txt")}
    assert diff(generic, 2, 3) == {("changed", "artifact", "a/x.txt")}
    assert diff(generic, 4, 5) == {("vanished", "artifact", "a/b/y.bin")}
    assert diff(generic, 1, 1) == set()
    assert diff(generic, 0, 8) == set()
    assert diff(generic, 1, 6) == {("changed", "artifact", "a/x.txt"), ("appeared", "artifact", "a/b/z.txt")}
    npm = histories["npm"]
    assert ("changed", "tag", "latest") in diff(npm, 3, 4)
    assert diff(npm, 3, 4) == {("changed", "tag", "latest")}
    assert diff(npm, 4, 5) == {("changed", "version", "1.0.0")}
    assert {one[0] for one in diff(npm, 6, 7)} == {"vanished"}
    pypi = histories["pypi"]
    assert diff(pypi, 3, 4) == {("changed", "version", "2.0")}
    assert diff(pypi, 3, 6) == diff(pypi, 4, 5)
    refused = [("999999999", 404), ("2999-01-01", 400), ("nothing", 404)]
    for when, status in refused:
        target = f"/api/v1/repositories/{pypi.key}/diff?from=0&to={when}"
        assert pypi.running.call("GET", target).status == status
    backwards = f"/api/v1/repositories/{pypi.key}/diff?from={pypi.moments[2].position}&to={pypi.moments[1].position}"
    assert pypi.running.call("GET", backwards).status == 400


def test_the_permissions_are_those_of_now(running: Product) -> None:
    running.repository("doors", "generic")
    running.done("PUT", "/generic/doors/a.txt", b"open then")
    open_then = running.head()
    ann, bob = running.person("ann"), running.person("bob")
    running.done("PATCH", "/api/v1/repositories/doors", {"is_public": False})
    permission = running.grant(running.user_id(ann), "doors", "read")
    closed_then = running.head()
    target = f"/generic/doors@{open_then}/a.txt"
    assert running.call("GET", target).status == 401
    assert running.call("GET", target, auth=bob).status == 404
    assert running.call("GET", target, auth=ann).body == b"open then"
    running.done("DELETE", f"/api/v1/permissions/{permission}")
    assert running.call("GET", f"/generic/doors@{closed_then}/a.txt", auth=ann).status == 404
    running.done("PATCH", "/api/v1/repositories/doors", {"is_public": True})
    assert running.call("GET", f"/generic/doors@{closed_then}/a.txt").body == b"open then"


def test_a_repository_that_is_gone_is_there_in_its_past_and_another_of_its_name_is_not(running: Product) -> None:
    running.repository("phoenix", "generic")
    running.done("PUT", "/generic/phoenix/a.txt", b"first life")
    first = running.head()
    running.done("DELETE", "/api/v1/repositories/phoenix")
    gone = running.head()
    assert running.call("GET", f"/generic/phoenix@{first}/a.txt").status == 401  # nobody made the dead public
    assert running.call("GET", f"/generic/phoenix@{first}/a.txt", auth=running.admin).body == b"first life"
    assert running.call("GET", f"/generic/phoenix@{gone}/a.txt", auth=running.admin).status == 404
    assert running.call("GET", "/generic/phoenix/a.txt", auth=running.admin).status == 404
    running.repository("phoenix", "generic")
    running.done("PUT", "/generic/phoenix/a.txt", b"second life")
    assert running.call("GET", "/generic/phoenix/a.txt").body == b"second life"
    assert running.call("GET", f"/generic/phoenix@{running.head()}/a.txt").body == b"second life"
    assert running.call("GET", f"/generic/phoenix@{first}/a.txt", auth=running.admin).body == b"first life"
    assert running.call("GET", f"/generic/phoenix@{first}/a.txt").status == 401
    newcomer = running.person("newcomer", phoenix="read write delete admin")
    assert running.call("GET", f"/generic/phoenix@{first}/a.txt", auth=newcomer).status == 404
    diff = running.call("GET", f"/api/v1/repositories/phoenix/diff?from={first}", auth=newcomer).json()
    assert diff["vanished"] == []


def test_a_renamed_repository_is_found_by_the_name_it_had(running: Product) -> None:
    running.repository("before", "generic")
    running.done("PUT", "/generic/before/a.txt", b"a")
    then = running.head()
    running.done("PATCH", "/api/v1/repositories/before", {"key": "after"})
    assert running.call("GET", f"/generic/before@{then}/a.txt", auth=running.admin).body == b"a"
    assert running.call("GET", f"/generic/after@{running.head()}/a.txt").body == b"a"
    assert running.call("GET", f"/generic/after@{then}/a.txt").body == b"a"


def test_a_date_is_the_beginning_of_that_day(
    fresh_postgres_dsn: str, postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The clock of the log cannot be turned back, so the test does it to what is stored."""
    with product(fresh_postgres_dsn, tmp_path_factory.mktemp("days")) as running:
        for format_key in FORMATS:
            running.repository(f"{format_key}-libs", format_key)
        positions = []
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            made = [publish(each, f"{each}-libs", "demo", version) for each in FORMATS]
            for one in made:
                running.done(one.method, one.target, one.body, headers=one.headers)
            positions.append(running.head())
        today = datetime.now(UTC).date()
        database = str(running.settings.database_url).partition("?")[0].rpartition("/")[2]
        with psycopg.connect(postgres_server.dsn(database, "postgres")) as own:
            own.execute("SET session_replication_role = replica")  # or the log refuses
            for days, position in ((1, positions[1]), (2, positions[0])):
                own.execute(
                    "UPDATE es_events SET recorded_at = %s WHERE notification_id <= %s",
                    (datetime.combine(today - timedelta(days=days), datetime.min.time(), UTC), position),
                )
        for format_key in FORMATS:
            one = publish(format_key, f"{format_key}-libs", "demo", "1.0.0")
            told = [_versions(running, one.page, format_key, day) for day in (today - timedelta(days=1), today)]
            assert told == [["1.0.0", "1.1.0"], ["1.0.0", "1.1.0"]], format_key
            exactly = _versions(running, one.page, format_key, today - timedelta(days=2))
            assert exactly == ["1.0.0"], format_key
            reply = running.call("GET", one.page.replace("-libs", f"-libs@{today - timedelta(days=3)}"))
            assert reply.status == 404
            future = running.call("GET", one.page.replace("-libs", f"-libs@{today + timedelta(days=1)}"))
            assert future.status == 400


def _versions(running: Product, page: str, format: str, day: date) -> list[str]:
    reply = running.call("GET", page.replace(f"{format}-libs", f"{format}-libs@{day}", 1))
    assert reply.status == 200, (page, day, reply.text)
    return sorted(set(re.findall(r"1\.\d\.0", reply.text)))
