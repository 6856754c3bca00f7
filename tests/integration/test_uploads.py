"""Resumable uploads over a real PostgreSQL, with the pieces in a folder and in a real S3 service."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from application.catalogue import RepositoryRow
from application.ports import BlobStore, Spool, Spooled
from application.uploading.sessions import (
    UploadBusy,
    UploadEnded,
    UploadExpired,
    UploadIncomplete,
    UploadLost,
    UploadNotFound,
    UploadRequest,
    UploadResult,
    UploadSession,
    UploadStaging,
)
from application.uploading.uploads import (
    MOST_OPEN_SESSIONS,
    REMEMBERED,
    SESSION_LIFETIME,
    ChunkReceipt,
    NewUpload,
    Uploads,
    expire_uploads,
)
from domain.errors import Conflict, DigestMismatch, Invalid, SizeMismatch, TooLarge, TooMany, Unavailable
from domain.event import SYSTEM, Metadata
from domain.repository import Settings
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.s3_staging import S3Staging
from infrastructure.blobs.spool import FolderSpool
from infrastructure.blobs.staging import FolderStaging
from infrastructure.postgres.pool import Pool, open_pool
from infrastructure.postgres.upload_sessions import PostgresUploadSessions
from tests.servers.s3 import BUCKET, S3Server

OWNER = uuid4()
REPOSITORY = RepositoryRow(
    id=uuid4(),
    key="libs",
    name="libs",
    description=None,
    format="generic",
    kind="local",
    public=False,
    settings=Settings(),
    source=None,
    source_position=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    created_by=None,
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    since=1,
)


class Publisher:
    """Keeps the bytes, then does what the test says."""

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs
        self.seen: list[tuple[str, int, dict[str, str], UploadRequest]] = []
        self.refuse_before: Exception | None = None
        self.refuse_after: Exception | None = None
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def algorithms(self, repository: RepositoryRow) -> tuple[str, ...]:
        return ("md5",)

    def publish(
        self, repository: RepositoryRow, path: str, spooled: Spooled, request: UploadRequest, meta: Metadata
    ) -> UploadResult:
        self.inside.set()
        assert self.go_on.wait(10)
        if self.refuse_before is not None:
            raise self.refuse_before
        with spooled.open() as file:
            assert hashlib.sha256(file.read()).hexdigest() == spooled.sha256
        self.blobs.keep(spooled)
        if self.refuse_after is not None:
            raise self.refuse_after
        self.seen.append((path, spooled.size_bytes, spooled.digests, request))
        return UploadResult(UUID(int=len(self.seen)), path, spooled.size_bytes, spooled.sha256)


class Place:
    def __init__(self, pool: Pool, staging: UploadStaging, spool: Spool, root: Path) -> None:
        self.now = datetime(2026, 3, 3, 12, tzinfo=UTC)
        self.pool, self.staging, self.spool = pool, staging, spool
        self.blobs = FolderBlobs(root / "blobs")
        self.publisher = Publisher(self.blobs)
        self.sessions = PostgresUploadSessions(pool)
        self.uploads = self.another_process()

    def another_process(self) -> Uploads:
        return Uploads(
            PostgresUploadSessions(self.pool),
            self.staging,
            self.blobs,
            self.spool,
            self.publisher,
            max_bytes=100_000_000,
            now=lambda: self.now,
        )

    def start(self, content: bytes, **others: object) -> UploadSession:
        given = {
            "artifact_path": "pkg/1.0/file.bin",
            "total_size": len(content),
            "checksum_sha256": hashlib.sha256(content).hexdigest(),
            "chunk_size": 1_000,
        }
        new = msgspec.convert(given | others, NewUpload)
        return self.uploads.start(OWNER, REPOSITORY.id, new)

    def send(self, session: UploadSession, chunk: int, content: bytes, uploads: Uploads | None = None) -> ChunkReceipt:
        """One chunk of `content`, as one process receives it."""
        uploads = uploads or self.uploads
        first = chunk * session.chunk_size
        part = content[first : first + session.chunk_size]
        session = uploads.get(session.id, OWNER)
        incoming = uploads.chunk(session, f"bytes {first}-{first + len(part) - 1}/{len(content)}")
        with incoming.create() as writer:
            for start in range(0, len(part), 300):
                writer.write(part[start : start + 300])
            writer.finish()
        return uploads.received(incoming)

    def complete(self, session: UploadSession) -> UploadResult:
        return self.uploads.complete(self.uploads.get(session.id, OWNER), REPOSITORY, SYSTEM)

    def expire(self) -> int:
        return expire_uploads(self.sessions, self.staging, self.now)

    def status(self, session: UploadSession) -> str:
        return self.uploads.status(self.uploads.get(session.id, OWNER)).session.status


@pytest.fixture(scope="module")
def pool(postgres_dsn: str) -> Iterator[Pool]:
    pool = open_pool(postgres_dsn, max_size=12)
    yield pool
    pool.close()


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, pool: Pool, tmp_path: Path) -> Iterator[Place]:
    with pool.connection() as own:
        own.execute("TRUNCATE upload_session CASCADE")
    spool = FolderSpool(tmp_path / "spool")
    staging: UploadStaging = FolderStaging(tmp_path / "sessions")
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        staging = S3Staging(server.client(), BUCKET, server.new_prefix(), spool)
    yield Place(pool, staging, spool, tmp_path)
    assert list((tmp_path / "spool").iterdir()) == []


def test_chunks_in_any_order_from_several_processes_become_one_artifact(place: Place) -> None:
    content = os.urandom(9_500)
    request = UploadRequest(content_type="text/x", artifact_metadata={"a": [1]}, artifact_name="name")
    session = place.start(content, request=request)
    assert session.chunk_count == 10

    receipts = [
        place.send(session, chunk, content, place.another_process()) for chunk in (9, 3, 0, 1, 2, 8, 4, 7, 5, 6)
    ]
    result = place.complete(session)

    assert receipts[0] == ChunkReceipt(9, 500, 1, 9)
    assert receipts[-1] == ChunkReceipt(6, 9_500, 10, 0)
    with place.blobs.open(session.sha256) as file:
        assert file.read() == content
    md5 = hashlib.md5(content).hexdigest()
    assert place.publisher.seen == [
        ("pkg/1.0/file.bin", 9_500, {"sha256": session.sha256, "md5": md5}, request),
    ]
    assert result == UploadResult(UUID(int=1), "pkg/1.0/file.bin", 9_500, session.sha256)
    assert place.staging.stale(datetime.now(UTC) + timedelta(days=1)) == []


def test_chunks_may_arrive_at_the_same_time(place: Place) -> None:
    content = os.urandom(40_000)
    session = place.start(content, chunk_size=2_000)

    with ThreadPoolExecutor(6) as threads:
        receipts = list(threads.map(lambda chunk: place.send(session, chunk, content), range(20)))

    assert sorted(receipt.chunks_completed for receipt in receipts) == list(range(1, 21))
    assert place.complete(session).checksum_sha256 == session.sha256


def test_a_file_of_one_short_chunk_and_an_empty_file(place: Place) -> None:
    for content in (b"x", b""):
        session = place.start(content)
        for chunk in range(session.chunk_count):
            place.send(session, chunk, content)
        assert place.complete(session).size == len(content)


def test_a_chunk_may_be_sent_again_also_with_other_bytes(place: Place) -> None:
    content = os.urandom(2_500)
    session = place.start(content)
    wrong = content[:1_000] + bytes(1_000) + content[2_000:]
    for chunk in range(3):
        place.send(session, chunk, wrong)
    with pytest.raises(DigestMismatch):
        place.complete(session)
    assert place.status(session) == "in_progress"
    assert not place.blobs.exists(session.sha256)

    assert place.send(session, 1, content).chunks_completed == 3

    assert place.complete(session).checksum_sha256 == session.sha256


def test_completing_too_early_says_what_is_missing(place: Place) -> None:
    content = os.urandom(5_000)
    session = place.start(content)
    for chunk in (0, 3):
        place.send(session, chunk, content)

    with pytest.raises(UploadIncomplete, match="3 of 5 chunks are missing, the first is number 1"):
        place.complete(session)

    status = place.uploads.status(place.uploads.get(session.id, OWNER))
    assert (status.chunks_completed, status.bytes_received) == (2, 2_000)


@pytest.mark.parametrize("size", [0, 1, 999, 1_001])
def test_a_body_of_another_length_does_not_count(place: Place, size: int) -> None:
    content = os.urandom(3_000)
    session = place.start(content)
    incoming = place.uploads.chunk(session, "bytes 1000-1999/3000")

    def receive() -> None:
        with incoming.create() as writer:
            writer.write(bytes(size))
            writer.finish()

    with pytest.raises(SizeMismatch):
        receive()
    assert place.sessions.chunks(session.id) == set()


def test_a_chunk_that_breaks_off_while_it_is_sent_again_no_longer_counts(place: Place) -> None:
    content = os.urandom(3_000)
    session = place.start(content)
    for chunk in range(3):
        place.send(session, chunk, content)
    with place.uploads.chunk(session, "bytes 1000-1999/3000").create() as writer:
        writer.write(bytes(10))

    with pytest.raises(UploadIncomplete, match="the first is number 1"):
        place.complete(session)
    place.send(session, 1, content)
    place.complete(session)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes 0-999",
        "bytes 0-999/*",
        "bytes 0-999/2501",
        "bytes 1-1000/2500",
        "bytes 0-998/2500",
        "bytes 0-1999/2500",
        "bytes 2000-2999/2500",
        "bytes 3000-3999/2500",
        "bytes 1000-0/2500",
        "bytes */2500",
        "bytes 0-999/2500, 1000-1999/2500",
        f"bytes 0-{'9' * 400}/2500",
        "bytes \u0660-999/2500",
    ],
)
def test_a_content_range_must_be_one_chunk(place: Place, text: str) -> None:
    session = place.start(os.urandom(2_500))
    with pytest.raises(Invalid, match="Content-Range"):
        place.uploads.chunk(session, text)
    assert place.uploads.chunk(session, "bytes 2000-2499/2500").length == 500


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"checksum_sha256": "x"}, Invalid),
        ({"total_size": -1}, Invalid),
        ({"chunk_size": 0}, Invalid),
        ({"total_size": 100_000, "chunk_size": 9}, Invalid),
        ({"total_size": 100_000_001, "chunk_size": 100_000}, TooLarge),
    ],
)
def test_what_cannot_be_a_session_is_refused(place: Place, given: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        place.start(b"content", **given)
    assert place.staging.stale(datetime.now(UTC) + timedelta(days=1)) == []


def test_only_the_owner_knows_of_a_session(place: Place) -> None:
    session = place.start(b"content")
    for stranger in (uuid4(), None):
        with pytest.raises(UploadNotFound):
            place.uploads.get(session.id, stranger)
    with pytest.raises(UploadNotFound):
        place.uploads.get(uuid4(), OWNER)


def test_completing_again_gives_the_same_answer(place: Place) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")

    assert place.complete(session) == place.complete(session)

    assert len(place.publisher.seen) == 1
    assert place.status(session) == "completed"
    status = place.uploads.status(place.uploads.get(session.id, OWNER))
    assert (status.chunks_completed, status.bytes_received) == (1, 7)
    with pytest.raises(UploadEnded):
        place.send(session, 0, b"content")
    with pytest.raises(UploadEnded):
        place.uploads.cancel(place.uploads.get(session.id, OWNER))


def test_only_one_completes_and_nothing_is_written_meanwhile(place: Place) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")
    place.publisher.go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        completing = threads.submit(place.complete, session)
        assert place.publisher.inside.wait(10)
        try:
            with pytest.raises(UploadBusy):
                place.complete(session)
            with pytest.raises(UploadBusy):
                place.send(session, 0, b"content")
            with pytest.raises(UploadBusy):
                place.uploads.cancel(place.uploads.get(session.id, OWNER))
        finally:
            place.publisher.go_on.set()
        assert completing.result().size == 7
    assert place.status(session) == "completed"


def test_a_refused_publish_leaves_the_session_as_it_was(place: Place) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")
    place.publisher.refuse_before = Conflict("the path already exists")
    with pytest.raises(Conflict):
        place.complete(session)
    place.publisher.refuse_before = None

    assert place.complete(session).size == 7


def test_a_publish_that_failed_after_storing_the_bytes_can_be_tried_again(place: Place) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")
    place.publisher.refuse_after = Unavailable("the log is away")
    with pytest.raises(Unavailable):
        place.complete(session)
    place.publisher.refuse_after = None

    assert place.complete(session).size == 7
    assert place.publisher.seen[0][2]["md5"] == hashlib.md5(b"content").hexdigest()


def test_knowing_the_digest_of_a_stored_blob_does_not_give_its_bytes(place: Place) -> None:
    secret = b"secret!"
    with place.spool.create() as writer:
        writer.write(secret)
        place.blobs.keep(writer.finish())
    session = place.start(secret)
    place.send(session, 0, b"guessed")
    with pytest.raises(DigestMismatch):
        place.complete(session)

    place.staging.discard(session.id)
    with pytest.raises(UploadLost):
        place.complete(session)
    assert place.publisher.seen == []


def test_a_cancelled_session_is_over(place: Place) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")

    place.uploads.cancel(session)
    place.uploads.cancel(place.uploads.get(session.id, OWNER))

    assert place.status(session) == "cancelled"
    for call in (lambda: place.send(session, 0, b"content"), lambda: place.complete(session)):
        with pytest.raises(UploadEnded, match="cancelled"):
            call()
    assert place.staging.stale(datetime.now(UTC) + timedelta(days=1)) == []


def test_a_session_expires_a_day_after_its_last_chunk(place: Place) -> None:
    content = os.urandom(1_500)
    session = place.start(content)
    place.now += SESSION_LIFETIME - timedelta(seconds=1)
    place.send(session, 0, content)
    place.now += SESSION_LIFETIME - timedelta(seconds=1)
    place.send(session, 1, content)
    place.now += SESSION_LIFETIME

    assert place.status(session) == "expired"
    for call in (lambda: place.send(session, 0, content), lambda: place.complete(session)):
        with pytest.raises(UploadExpired):
            call()
    assert place.expire() == 1
    assert place.expire() == 0
    assert place.status(session) == "expired"
    with pytest.raises(UploadExpired):
        place.complete(session)
    place.now += REMEMBERED + timedelta(seconds=1)
    place.expire()
    with pytest.raises(UploadNotFound):
        place.uploads.get(session.id, OWNER)


def test_bytes_without_a_session_are_swept_and_others_are_not(place: Place) -> None:
    session, orphan = place.start(b"content"), uuid4()
    place.send(session, 0, b"content")
    place.staging.create(orphan, 7)
    with place.staging.write_chunk(orphan, 0, 0) as writer:
        writer.write(b"content")
        writer.finish()
    future = datetime.now(UTC) + timedelta(days=30)
    assert set(place.staging.stale(future)) == {session.id, orphan}
    with place.pool.connection() as own:
        own.execute("UPDATE upload_session SET expires_at = %s", [future + timedelta(days=60)])

    place.now = future + SESSION_LIFETIME
    place.expire()

    assert place.staging.stale(future) == [session.id]
    place.complete(session)


def test_one_user_may_not_open_sessions_without_end(place: Place) -> None:
    for _ in range(MOST_OPEN_SESSIONS):
        place.start(b"")
    with pytest.raises(TooMany):
        place.start(b"")
    place.uploads.start(uuid4(), REPOSITORY.id, NewUpload(artifact_path="p", total_size=0, checksum_sha256="0" * 64))


# --- folder ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_stalled_chunk_cannot_change_a_blob_that_was_made_meanwhile(place: Place) -> None:
    """The attack: stall an early chunk, send it again, complete, then let the stalled request write on."""
    session = place.start(b"content")
    stalled = place.uploads.chunk(session, "bytes 0-6/7").create()
    stalled.write(b"c")
    place.send(session, 0, b"content")

    with pytest.raises(UploadBusy, match="still arriving"):
        place.complete(session)

    stalled.__exit__(None, None, None)
    place.complete(session)
    with pytest.raises(UploadEnded):
        place.send(session, 0, b"CONTENT")
    with place.blobs.open(session.sha256) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_writer_that_opened_the_file_before_it_became_a_blob_is_turned_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = place.start(b"content")
    place.send(session, 0, b"content")
    real = os.open

    def open_then_complete(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        if flags & os.O_WRONLY and str(path).endswith(".upload"):
            monkeypatch.undo()
            place.complete(session)
        return descriptor

    monkeypatch.setattr(os, "open", open_then_complete)

    with pytest.raises(UploadLost):
        place.staging.write_chunk(session.id, 0, 0)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_upload_for_which_there_is_no_room_does_not_begin(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 200 << 20}))
    with pytest.raises(Unavailable, match="not enough room"):
        place.start(b"content")
    assert place.sessions.open_sessions(OWNER) == 0


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_disk_that_fills_up_is_unavailable_and_the_chunk_can_be_sent_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = place.start(b"content")

    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(Unavailable, match="full"):
            place.send(session, 0, b"content")
    place.send(session, 0, b"content")
    place.complete(session)
