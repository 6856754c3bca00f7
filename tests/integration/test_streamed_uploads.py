"""Uploads of unknown length over a real PostgreSQL, with the bytes in a folder and in a real S3 service."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from application.uploading import streamed
from application.uploading.sessions import UploadBusy, UploadLost, UploadNotFound, UploadStaging
from application.uploading.streamed import OutOfOrder, StreamedUpload, StreamedUploads
from application.uploading.uploads import SESSION_LIFETIME, expire_uploads
from domain.errors import SizeMismatch, TooLarge, TooMany
from infrastructure.blobs.s3_staging import S3Staging
from infrastructure.blobs.spool import FolderSpool
from infrastructure.blobs.staging import FolderStaging
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.streamed_uploads import PostgresStreamedSessions
from infrastructure.postgres.upload_sessions import PostgresUploadSessions
from tests.servers.s3 import BUCKET, S3Server

ADA, REPOSITORY, PLACE = uuid4(), uuid4(), "img"


class Desk:
    """The commands, as one process of several has them."""

    def __init__(self, pool: Pool, staging: UploadStaging, max_bytes: int | None = None) -> None:
        self.pool, self.staging = pool, staging
        self.uploads = StreamedUploads(PostgresStreamedSessions(pool), staging, max_bytes)

    def start(self, owner: UUID = ADA) -> StreamedUpload:
        return self.uploads.start(owner, REPOSITORY, PLACE)

    def now(self, upload: StreamedUpload) -> StreamedUpload:
        return self.uploads.get(upload.id, upload.owner, REPOSITORY, PLACE)

    def send(self, upload: StreamedUpload, data: bytes, offset: int | None = None, length: int | None = None) -> None:
        part = self.uploads.next_part(self.now(upload), offset, length)
        with part.create() as writer:
            for at in range(0, len(data), 1_000):
                writer.write(data[at : at + 1_000])
            assert writer.finish().size_bytes == len(data)

    def whole(self, upload: StreamedUpload) -> bytes:
        with self.uploads.whole(self.now(upload), ("sha512",)) as spooled:
            data = spooled.path.read_bytes()
            assert spooled.digests == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "sha512")}
            assert spooled.size_bytes == len(data)
        return data


@pytest.fixture(scope="module")
def pool(postgres_dsn: str) -> Iterator[Pool]:
    pool = open_pool(postgres_dsn, max_size=8)
    yield pool
    pool.close()


@pytest.fixture(params=["folder", "s3"])
def desk(request: pytest.FixtureRequest, pool: Pool, tmp_path: Path) -> Iterator[Desk]:
    with connection(pool) as own:
        own.execute("TRUNCATE streamed_upload")
    spool = FolderSpool(tmp_path / "spool")
    staging: UploadStaging = FolderStaging(tmp_path / "sessions")
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        staging = S3Staging(server.client(), BUCKET, server.new_prefix(), spool)
    yield Desk(pool, staging)
    assert list((tmp_path / "spool").iterdir()) == []


def test_pieces_of_any_size_are_the_whole_in_their_order(desk: Desk) -> None:
    pieces = [os.urandom(size) for size in (1, 5_000, 0, 70_000, 3)]
    upload, other = desk.start(), Desk(desk.pool, desk.staging)
    for number, piece in enumerate(pieces):
        (desk, other)[number % 2].send(upload, piece, desk.now(upload).size_bytes)
    assert desk.now(upload).size_bytes == 75_004
    assert other.whole(upload) == b"".join(pieces)
    desk.uploads.end(upload)
    with pytest.raises(UploadNotFound):
        desk.now(upload)


def test_an_upload_of_nothing_is_empty(desk: Desk) -> None:
    assert desk.whole(desk.start()) == b""


def test_only_the_next_bytes_are_taken(desk: Desk) -> None:
    upload = desk.start()
    desk.send(upload, b"abc", 0, 3)
    for offset in (0, 2, 4):
        with pytest.raises(OutOfOrder, match="number 3"):
            desk.send(upload, b"def", offset)
    with pytest.raises(SizeMismatch):
        desk.send(upload, b"def", 3, 2)
    with pytest.raises(SizeMismatch):
        desk.send(upload, b"def", 3, 4)
    desk.send(upload, b"def", 3, 3)
    assert desk.whole(upload) == b"abcdef"


def test_what_broke_off_does_not_count(desk: Desk) -> None:
    upload = desk.start()
    desk.send(upload, b"abc")
    with desk.uploads.next_part(desk.now(upload)).create() as writer:
        writer.write(b"x" * 100_000)
    assert desk.now(upload).size_bytes == 3
    desk.send(upload, b"def")
    assert desk.whole(upload) == b"abcdef"


def test_the_last_who_begins_has_the_turn(desk: Desk) -> None:
    upload = desk.start()
    stalled = desk.uploads.next_part(desk.now(upload)).create()
    with stalled:
        stalled.write(b"abc")
        desk.send(upload, b"abcdef")
        with pytest.raises(UploadBusy):
            stalled.finish()
    late = desk.uploads.next_part(upload).create()
    with late, pytest.raises(OutOfOrder, match="number 6"):
        late.write(b"abc")
    assert desk.whole(upload) == b"abcdef"


def test_an_upload_is_found_by_its_owner_for_its_place_alone(desk: Desk) -> None:
    upload = desk.start()
    asked = [(uuid4(), REPOSITORY, PLACE), (None, REPOSITORY, PLACE), (ADA, uuid4(), PLACE), (ADA, REPOSITORY, "other")]
    for owner, repository, place in asked:
        with pytest.raises(UploadNotFound):
            desk.uploads.get(upload.id, owner, repository, place)
    with pytest.raises(UploadNotFound):
        desk.uploads.get(uuid4(), ADA, REPOSITORY, PLACE)


def test_uploads_have_a_limit_all_pieces_together(desk: Desk) -> None:
    small = Desk(desk.pool, desk.staging, max_bytes=10)
    upload = small.start()
    small.send(upload, b"abcdef")
    with pytest.raises(TooLarge):
        small.send(upload, b"ghijk")
    small.send(upload, b"ghij")
    assert small.whole(upload) == b"abcdefghij"


def test_nobody_begins_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "MOST_OPEN_UPLOADS", 2)
    first = desk.start()
    desk.start()
    with pytest.raises(TooMany):
        desk.start()
    desk.start(uuid4())
    desk.uploads.end(first)
    desk.start()


def test_what_is_given_up_is_removed_after_a_day(desk: Desk) -> None:
    upload = desk.start()
    desk.send(upload, b"abc")
    sessions = PostgresUploadSessions(desk.pool)
    expire_uploads(sessions, desk.staging, datetime.now(UTC))
    assert desk.whole(upload) == b"abc"
    expire_uploads(sessions, desk.staging, datetime.now(UTC) + SESSION_LIFETIME + timedelta(hours=1))
    with pytest.raises(UploadLost):
        desk.whole(upload)
    with connection(desk.pool) as own:
        own.execute("UPDATE streamed_upload SET touched_at = now() - interval '3 days'")
    desk.start()
    with pytest.raises(UploadNotFound):
        desk.now(upload)
