"""`/api/v1/uploads` over the real gate: what clients send and see, and who may."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from api.app import App
from api.http.uploads import UploadsController
from api.management import management
from application.depositing import Depositor, checked_artifact_path
from application.format import Format
from application.formats.pypi import FORMAT as PYPI
from application.formats.pypi.negotiation import JSON_V1
from application.identity.limits import Limits
from application.uploading.uploads import Uploads
from application.wire import Answer
from domain.event import SYSTEM
from infrastructure.blobs.staging import FolderStaging
from infrastructure.postgres.upload_sessions import PostgresUploadSessions
from infrastructure.rate_limits import MemoryLimiter
from tests.integration.harness import Registry, Reply, basic, registry
from tests.samples.pypi.make import wheel

PLAIN = Format(
    key="generic",
    title="Generic",
    prefix="general",
    routes=(),
    error=lambda _, error, status: Answer(status=status, body=str(error).encode()),
    order=str,
    digests=("sha1",),
)
MAX_BYTES = 50_000_000
_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    directory = tmp_path_factory.mktemp("uploads")
    with registry(postgres_dsn, directory, [PLAIN, PYPI]) as started:
        uploads = Uploads(
            PostgresUploadSessions(started.db),
            FolderStaging(directory / "sessions"),
            started.blobs,
            started.spool,
            Depositor(started.services),
            MAX_BYTES,
        )
        given: dict[str, Any] = {
            "settings": SimpleNamespace(swagger=False, production=True, cors_origins=()),
            "pool": started._pool,
            "access": started.access,
            "catalogue": started.catalogue,
            "uploads": uploads,
            "limits": Limits(MemoryLimiter(), enabled=False),
        }
        wired: dict[str, Any] = {name: given.get(name) for name in App.__struct_fields__}
        started.app._management = management(App(**wired), [UploadsController], "1")
        yield started
        assert started.spooled_files() == []


class Client:
    """Somebody who uploads to a repository of their own."""

    def __init__(self, running: Registry, format_key: str = "generic", grants: str = "read write") -> None:
        self.running = running
        number = next(_numbers)
        self.key, self.name = f"repo{number}", f"wendy{number}"
        self.row = running.repository(self.key, format_key)
        running.person(self.name, **{self.key: grants})

    def send(self, method: str, path: str, body: bytes = b"", *, user: str | None = "", **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        user = self.name if user == "" else user
        return self.running.request(method, f"/api/v1/uploads{path}", body, user=user, headers=sent)

    def start(self, content: bytes, user: str | None = "", **others: Any) -> Reply:
        body = {
            "repository_key": self.key,
            "artifact_path": "tool/1.2/tool.bin",
            "total_size": len(content),
            "checksum_sha256": hashlib.sha256(content).hexdigest(),
            "chunk_size": 300_000,
        } | others
        return self.send("POST", "", json.dumps(body).encode(), user=user, content_type="application/json")

    def chunk(self, session: str, first: int, part: bytes, total: int, **others: Any) -> Reply:
        content_range = f"bytes {first}-{first + len(part) - 1}/{total}"
        return self.send("PATCH", f"/{session}", part, **({"content_range": content_range} | others))

    def upload(self, content: bytes, **others: Any) -> str:
        started = self.start(content, **others).json()
        size = started["chunk_size"]
        for first in range(0, len(content), size):
            reply = self.chunk(started["session_id"], first, content[first : first + size], len(content))
            assert reply.status == 200, reply.text
        return str(started["session_id"])


@pytest.fixture
def client(running: Registry) -> Client:
    return Client(running)


def test_a_file_arrives_in_chunks_and_is_published(client: Client) -> None:
    content = os.urandom(2_500_000)
    reply = client.start(content, chunk_size=1_100_000, content_type="application/x-tool")
    assert reply.status == 201
    started = reply.json()
    assert set(started) == {"session_id", "chunk_count", "chunk_size", "expires_at"}
    assert (started["chunk_count"], started["chunk_size"]) == (3, 1_100_000)
    session = started["session_id"]

    replies = [
        client.chunk(session, first, content[first : first + 1_100_000], len(content)).json()
        for first in (2_200_000, 0, 1_100_000)
    ]
    assert replies == [
        {"chunk_index": 2, "bytes_received": 300_000, "chunks_completed": 1, "chunks_remaining": 2},
        {"chunk_index": 0, "bytes_received": 1_400_000, "chunks_completed": 2, "chunks_remaining": 1},
        {"chunk_index": 1, "bytes_received": 2_500_000, "chunks_completed": 3, "chunks_remaining": 0},
    ]
    status = client.send("GET", f"/{session}").json()
    assert set(status) == {
        *("session_id", "status", "total_size", "bytes_received", "chunks_completed", "chunks_total"),
        *("repository_key", "artifact_path", "created_at", "expires_at"),
    }
    assert (status["status"], status["bytes_received"], status["repository_key"]) == (
        "in_progress",
        2_500_000,
        client.key,
    )

    reply = client.send("PUT", f"/{session}/complete")

    assert reply.status == 200
    row = client.running.catalogue.artifact(client.row.id, "tool/1.2/tool.bin")
    assert row is not None
    assert reply.json() == {
        "artifact_id": str(row.id),
        "path": "tool/1.2/tool.bin",
        "size": 2_500_000,
        "checksum_sha256": hashlib.sha256(content).hexdigest(),
    }
    assert (row.name, row.version, row.media_type) == ("tool", "1.2", "application/x-tool")
    assert row.digests == {"sha1": hashlib.sha1(content).hexdigest()}
    with client.running.blobs.open(row.sha256) as file:
        assert file.read() == content
    assert client.send("PUT", f"/{session}/complete").json() == reply.json()
    assert client.send("GET", f"/{session}").json()["status"] == "completed"


def test_what_a_client_says_of_the_file_is_kept(client: Client) -> None:
    session = client.upload(
        b"content",
        artifact_name="Tool",
        artifact_version="9",
        artifact_metadata={"k": [1, None]},
        artifact_metadata_properties={"team": "core", "tags": ["a", "b"], "n": 1, "yes": True},
        unknown_field=1,
    )
    assert client.send("PUT", f"/{session}/complete").status == 200

    row = client.running.catalogue.artifact(client.row.id, "tool/1.2/tool.bin")
    assert row is not None
    assert (row.name, row.version) == ("Tool", "9")
    assert msgspec.json.decode(row.metadata) == {"k": [1, None]}
    assert row.properties == {"team": ("core",), "tags": ("a", "b"), "n": ("1",), "yes": ("true",)}


def test_a_format_of_its_own_gets_the_file_as_by_its_own_protocol(running: Registry) -> None:
    client = Client(running, "pypi")
    made = wheel("Demo.Pkg", "1.0.0")
    session = client.upload(made.content, artifact_path=f"anywhere/{made.filename}")

    reply = client.send("PUT", f"/{session}/complete")

    assert reply.status == 200
    assert reply.json()["path"] == f"demo-pkg/{made.filename}"
    row = running.catalogue.artifact_by_id(UUID(reply.json()["artifact_id"]))
    assert row is not None
    assert row.path == reply.json()["path"]
    page = running.request("GET", f"/pypi/{client.key}/simple/demo-pkg/", headers={"accept": JSON_V1}).json()
    assert [file["filename"] for file in page["files"]] == [made.filename]

    refused = client.upload(b"no wheel at all", artifact_path=made.filename)
    assert client.send("PUT", f"/{refused}/complete").status == 400
    assert client.send("GET", f"/{refused}").json()["status"] == "in_progress"


def test_a_wrong_checksum_and_missing_chunks_are_400_and_a_taken_path_409(client: Client) -> None:
    session = client.upload(b"content", checksum_sha256="0" * 64)
    reply = client.send("PUT", f"/{session}/complete")
    assert (reply.status, reply.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "mismatch" in reply.json()["message"]

    started = client.start(b"content").json()
    reply = client.send("PUT", f"/{started['session_id']}/complete")
    assert (reply.status, "1 of 1 chunks are missing" in reply.text) == (400, True)

    assert client.send("PUT", f"/{client.upload(b'content')}/complete").status == 200
    other = client.upload(b"other content")
    reply = client.send("PUT", f"/{other}/complete")
    assert (reply.status, reply.json()["code"]) == (409, "CONFLICT")
    assert "already exists" in reply.json()["message"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"x" * 100, {"content_range": "bytes 0-99/1000000"}),
        (b"x" * 299_999, {"content_range": "bytes 0-299999/1000000"}),
        (b"x" * 300_001, {"content_range": "bytes 0-299999/1000000"}),
        (b"", {"content_range": "bytes 0-299999/1000000"}),
        (b"x" * 300_000, {}),
        (b"x" * 300_000, {"content_range": "bytes 0-299999/*"}),
        (b"x" * 300_000, {"content_range": "chunks 1"}),
        (b"x" * 300_000, {"content_range": "bytes 0-299999/1000000", "content_length": "x"}),
    ],
)
def test_a_bad_chunk_is_400_and_does_not_count(client: Client, body: bytes, headers: dict[str, str]) -> None:
    session = client.start(os.urandom(1_000_000)).json()["session_id"]

    reply = client.send("PATCH", f"/{session}", body, **headers)

    assert (reply.status, reply.json()["code"]) == (400, "VALIDATION_ERROR")
    assert client.send("GET", f"/{session}").json()["chunks_completed"] == 0


@pytest.mark.parametrize("size", [299_999, 300_001, 2_000_000])
def test_a_chunk_without_announced_length_is_measured(client: Client, size: int) -> None:
    content = os.urandom(1_000_000)
    session = client.start(content).json()["session_id"]
    target, headers = f"/api/v1/uploads/{session}", {"content-range": "bytes 0-299999/1000000"}
    pieces = [bytes(100_000)] * (size // 100_000) + [bytes(size % 100_000)]

    assert client.running.request("PATCH", target, pieces, user=client.name, headers=headers).status == 400

    good = [content[:100_000], content[100_000:300_000]]
    assert client.running.request("PATCH", target, good, user=client.name, headers=headers).status == 200


def test_a_chunk_that_breaks_off_does_not_count_and_can_be_sent_again(client: Client) -> None:
    content = os.urandom(4_000_000)
    session = client.start(content, chunk_size=3_000_000).json()["session_id"]
    for part in (content[:1_000], content[:2_500_000]):
        client.running.request(
            "PATCH",
            f"/api/v1/uploads/{session}",
            [part],
            user=client.name,
            headers={"content-range": "bytes 0-2999999/4000000"},
            truncated=True,
        )
        assert client.send("GET", f"/{session}").json()["chunks_completed"] == 0
    for first in (0, 3_000_000):
        assert client.chunk(session, first, content[first : first + 3_000_000], len(content)).status == 200
    assert client.send("PUT", f"/{session}/complete").status == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"repository_key": "nowhere"}, 404),
        ({"total_size": MAX_BYTES + 1, "chunk_size": 1 << 20}, 413),
        ({"total_size": -1}, 400),
        ({"total_size": "seven"}, 400),
        ({"total_size": 10**30, "chunk_size": 10**29}, 413),
        ({"chunk_size": 10**30}, 400),
        ({"content_type": "text/plain\r\nx-evil: 1"}, 400),
        ({"content_type": ""}, 400),
        ({"artifact_version": "1\x00"}, 400),
        ({"artifact_name": "\ud800"}, 400),
        ({"checksum_sha256": "abc"}, 400),
        ({"artifact_path": "../x"}, 400),
        ({"artifact_path": "a//b"}, 400),
        ({"artifact_path": "a/" + "b" * 256}, 400),
        ({"artifact_path": None}, 400),
    ],
)
def test_a_bad_start_is_refused(client: Client, changes: dict[str, Any], status: int) -> None:
    reply = client.start(b"content", **changes)
    assert reply.status == status, reply.text
    assert set(reply.json()) == {"code", "message"}


def test_each_step_is_for_the_owner_with_write_permission_at_that_moment(client: Client) -> None:
    running, stranger, reader = client.running, Client(client.running), Client(client.running)
    running.person(reader.name, **{client.key: "read", reader.key: "write"})
    started = client.start(b"content").json()
    session = started["session_id"]

    assert client.start(b"content", user=None).status == 401
    assert client.start(b"content", user=reader.name).status == 403
    for method, path in (("GET", ""), ("PATCH", ""), ("PUT", "/complete"), ("DELETE", "")):
        target, headers = f"/{session}{path}", {"content_range": "bytes 0-6/7"}
        body = b"content" if method == "PATCH" else b""
        assert client.send(method, target, body, user=None, **headers).status == 401
        assert client.send(method, target, body, user=stranger.name, **headers).status == 404
        assert client.send(method, target, body, user="admin", **headers).status == 404
        assert client.send(method, f"/{uuid4()}{path}", body, **headers).status == 404

    assert client.chunk(session, 0, b"content", 7).status == 200
    running.person(client.name, **{client.key: "read"})
    assert client.chunk(session, 0, b"content", 7).status == 403
    assert client.send("PUT", f"/{session}/complete").status == 403
    running.person(client.name, **{client.key: "read write"})
    assert client.send("PUT", f"/{session}/complete").status == 200


def test_a_cancelled_upload_is_gone(client: Client) -> None:
    session = client.upload(b"content")

    reply = client.send("DELETE", f"/{session}")

    assert (reply.status, reply.body) == (204, b"")
    assert client.send("GET", f"/{session}").json()["status"] == "cancelled"
    assert client.chunk(session, 0, b"content", 7).status == 409
    assert client.send("PUT", f"/{session}/complete").status == 409


def test_an_expired_upload_is_410(client: Client) -> None:
    session = client.upload(b"content")
    with client.running.db.connection() as own:
        own.execute("UPDATE upload_session SET expires_at = now() WHERE session = %s", [session])

    assert client.chunk(session, 0, b"content", 7).status == 410
    reply = client.send("PUT", f"/{session}/complete")
    assert (reply.status, reply.json()["code"]) == (410, "GONE")
    assert client.send("GET", f"/{session}").json()["status"] == "expired"


def test_a_deleted_repository_takes_no_more_chunks(client: Client) -> None:
    session = client.upload(b"content")
    client.running.repositories.delete(client.row, SYSTEM)

    assert client.chunk(session, 0, b"content", 7).status == 404
    assert client.send("PUT", f"/{session}/complete").status == 404
    assert client.send("GET", f"/{session}").status == 200


def test_the_past_takes_no_uploads(client: Client) -> None:
    position = client.running.log.head()
    assert client.start(b"content", repository_key=f"{client.key}@{position}").status == 405


@pytest.mark.parametrize("path", ["a", "a/b", "ü/%41", "a b", "x" * 255, ".hidden", "..a"])
def test_clean_paths_are_kept_as_they_are(path: str) -> None:
    assert checked_artifact_path(path) == path


def test_over_a_socket_a_vanished_client_leaves_the_chunk_open_to_the_next_try(client: Client) -> None:
    content = os.urandom(20_000_000)
    session = client.start(content, chunk_size=15_000_000).json()["session_id"]
    target = f"/api/v1/uploads/{session}"
    head = (
        f"PATCH {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {basic(client.name)}\r\n"
        "Content-Length: 15000000\r\nContent-Range: bytes 0-14999999/20000000\r\n\r\n"
    )
    with client.running.serve() as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as vanishing:
            vanishing.sendall(head.encode() + content[:7_000_000])
        for first in (15_000_000, 0):
            part = content[first : first + 15_000_000]
            request = urllib.request.Request(url + target, part, method="PATCH")
            request.add_header("Authorization", basic(client.name))
            request.add_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
        deadline = time.monotonic() + 10
        while (reply := client.send("PUT", f"/{session}/complete")).status == 409:
            assert time.monotonic() < deadline, reply.text
            time.sleep(0.05)
    assert reply.status == 200
    with client.running.blobs.open(reply.json()["checksum_sha256"]) as file:
        assert file.read() == content
