import base64
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import App
from api.http.transparency import TransparencyController
from api.management import management
from domain.permissions import Principal
from domain.transparency.bundle import SignedCheckpoint, parse_line
from domain.transparency.merkle import leaf_hash, verify_consistency, verify_inclusion
from domain.transparency.notes import open_tree_head
from tests.fakes.bundles import KEY, events, head_of
from tests.fakes.transparency import MemoryLog

PREFIX = "/api/v1/audit/log"
LOG = MemoryLog(events(700), (100, 256, 512))
ADMIN = Principal(id=UUID(int=1), kind="user", username="admin", via="session", admin=True)
READER = Principal(id=UUID(int=2), kind="user", username="rita", via="session")


def client(principal: Principal, log: MemoryLog = LOG) -> TestClient[Litestar]:
    unused: dict[str, Any] = dict.fromkeys(App.__struct_fields__)
    given = {
        "settings": SimpleNamespace(swagger=False, production=True, cors_origins=()),
        "transparency": log,
        "access": SimpleNamespace(denied=lambda *_, **__: None),
    }
    app = App(**(unused | given))
    inner = management(app, [TransparencyController], "1")

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        incoming = SimpleNamespace(client="127.0.0.1", headers={})
        await inner(scope | {"principal": principal, "request_id": "r", "incoming": incoming}, receive, send)

    return TestClient(gate)  # type: ignore[arg-type]


ANYONE = client(Principal())


def get(path: str, **query: Any) -> Any:
    return ANYONE.get(PREFIX + path, params=query)


def test_anyone_reads_the_latest_checkpoint_as_a_note() -> None:
    answer = get("/checkpoint")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert open_tree_head(answer.content, [KEY]) == head_of(LOG.leaves, 700)


def test_a_checkpoint_of_a_size_is_there_for_ever() -> None:
    answer = get("/checkpoint", size=256)
    assert open_tree_head(answer.content, [KEY]).size == 256
    assert "immutable" in answer.headers["cache-control"]
    assert get("/checkpoint", size=257).status_code == 404


def test_checkpoints_are_listed_as_lines_of_a_bundle() -> None:
    lines = [parse_line(line) for line in get("/checkpoints", **{"from": 100}).content.splitlines()]
    assert lines == [SignedCheckpoint(note=LOG.notes[size]) for size in (256, 512, 700)]
    spread = get("/checkpoints", spread="true", to=512).content.splitlines()
    assert [parse_line(line) for line in spread] == [SignedCheckpoint(note=LOG.notes[size]) for size in (256, 512)]
    assert get("/checkpoints", to=10**9).status_code == 400


def test_the_key_is_a_verifier_key() -> None:
    assert get("/key").text == LOG.verifier_key() + "\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("0/000", LOG.leaves[:256]),
        ("0/001", LOG.leaves[256:512]),
        ("0/002.p/188", LOG.leaves[512:]),
        ("0/002.p/1", LOG.leaves[512:513]),
    ],
)
def test_tiles_have_the_paths_of_the_specification(path: str, expected: list[bytes]) -> None:
    answer = get(f"/tile/{path}")
    assert answer.status_code == 200
    assert answer.content == b"".join(expected)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"]


def test_upper_tiles_are_served() -> None:
    assert len(get("/tile/1/000.p/2").content) == 64


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("0/002", 404),
        ("0/002.p/189", 404),
        ("0/x001/000", 404),
        ("7/000.p/1", 404),
        ("0/0", 400),
        ("00/000", 400),
        ("0/000.p/256", 400),
        ("data/000", 400),
        ("0/%30%30%30.p/\u0663", 400),
    ],
)
def test_other_tiles_are_not_there(path: str, status: int) -> None:
    assert get(f"/tile/{path}").status_code == status


def test_an_inclusion_proof_leads_to_a_signed_root() -> None:
    found = get("/proof/inclusion", position=300, size=512).json()
    head = open_tree_head(found["checkpoint"].encode(), [KEY])
    proof = [base64.b64decode(step) for step in found["proof"]]
    leaf = base64.b64decode(found["leaf_hash"])
    assert leaf == LOG.leaves[299]
    assert verify_inclusion(found["index"], found["size"], leaf, proof, head.root)


def test_an_inclusion_proof_is_against_the_latest_checkpoint_by_default() -> None:
    found = get("/proof/inclusion", position=1).json()
    assert (found["size"], found["checkpoint"]) == (700, LOG.notes[700])
    assert get("/proof/inclusion", position=3, size=300).json()["checkpoint"] is None


def test_a_consistency_proof_leads_from_root_to_root() -> None:
    found = get("/proof/consistency", **{"from": 256, "to": 700}).json()
    proof = [base64.b64decode(step) for step in found["proof"]]
    old, new = head_of(LOG.leaves, found["from"]), head_of(LOG.leaves, found["to"])
    assert verify_consistency(old.size, old.root, new.size, new.root, proof)
    assert get("/proof/consistency", **{"from": 256}).json() == found


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("inclusion", {"position": 701}, 404),
        ("inclusion", {"position": 1, "size": 10**30}, 404),
        ("inclusion", {"position": 600, "size": 512}, 400),
        ("inclusion", {"position": 0}, 400),
        ("inclusion", {}, 400),
        ("consistency", {"from": 1, "to": 701}, 404),
        ("consistency", {"from": 2, "to": 1}, 400),
        ("consistency", {"from": "x"}, 400),
    ],
)
def test_impossible_proofs_are_refused(path: str, query: dict[str, object], status: int) -> None:
    assert get(f"/proof/{path}", **query).status_code == status


@pytest.mark.parametrize("path", ["/events", "/tile/entries/000", "/tile/entries/002.p/1"])
def test_events_need_an_administrator(path: str) -> None:
    assert get(path).status_code == 401
    assert client(READER).get(PREFIX + path).status_code == 403
    assert client(ADMIN).get(PREFIX + path).status_code == 200


def test_events_come_exactly_as_stored() -> None:
    answer = client(ADMIN).get(f"{PREFIX}/events", params={"from": 5, "limit": 3})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [parse_line(line) for line in answer.content.splitlines()] == LOG.stored[4:7]
    assert client(ADMIN).get(f"{PREFIX}/events", params={"from": 701}).content == b""
    assert client(ADMIN).get(f"{PREFIX}/events", params={"limit": 1025}).status_code == 400


def test_entries_hash_to_their_tile() -> None:
    data = client(ADMIN).get(f"{PREFIX}/tile/entries/002.p/2").content
    size = int.from_bytes(data[:2])
    assert leaf_hash(data[2 : 2 + size]) == LOG.leaves[512]
    assert client(ADMIN).get(f"{PREFIX}/tile/entries/002").status_code == 404
    assert client(ADMIN).get(f"{PREFIX}/tile/entries/2").status_code == 400
