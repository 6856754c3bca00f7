"""One behaviour of bytes, three stores: memory, a folder, and a real S3 service. Then what only one of them can do."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from application.ports import BlobStore, Spool, Spooled
from domain.errors import DigestMismatch, Invalid, NotFound, Unavailable
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.blobs.s3_client import connect
from infrastructure.blobs.spool import FolderSpool
from tests.fakes.blobs import MemoryBlobs, MemorySpool
from tests.servers.s3 import BUCKET, S3Server

MEBIBYTE = 1024 * 1024
ABSENT = "0" * 64
NOT_DIGESTS = [
    "",
    "ab",
    "A" * 64,
    "g" * 64,
    "0" * 63,
    "0" * 65,
    "../" * 21 + "a",
    f"{'0' * 63}\n",
    f" {'0' * 63}",
    "0" * 32 + "/" + "0" * 31,
    "\uff10" * 64,
    "\0" * 64,
]


class Storage(NamedTuple):
    spool: Spool
    blobs: BlobStore


@pytest.fixture(params=["memory", "folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    match request.param:
        case "memory":
            return Storage(MemorySpool(), MemoryBlobs())
        case "folder":
            return Storage(FolderSpool(tmp_path / "blobs" / ".spool"), FolderBlobs(tmp_path / "blobs"))
        case _:
            return s3_storage(request.getfixturevalue("s3_server"), tmp_path)


def s3_storage(server: S3Server, tmp_path: Path, *, redirects: bool = False) -> Storage:
    blobs = S3Blobs(server.client(), BUCKET, server.new_prefix(), redirects=server.client() if redirects else None)
    return Storage(FolderSpool(tmp_path / "spool"), blobs)


def receive(spool: Spool, content: bytes) -> Spooled:
    with spool.create() as writer:
        for start in range(0, len(content), MEBIBYTE):
            writer.write(content[start : start + MEBIBYTE])
        return writer.finish()


def store(storage: Storage, content: bytes) -> str:
    spooled = receive(storage.spool, content)
    storage.blobs.keep(spooled)
    return spooled.sha256


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024, 300_001, 8 * MEBIBYTE, 8 * MEBIBYTE + 1])
def test_what_is_kept_can_be_read_under_its_digest(storage: Storage, size: int) -> None:
    content = os.urandom(size)

    digest = store(storage, content)

    assert digest == sha256(content)
    assert storage.blobs.exists(digest)
    assert storage.blobs.size(digest) == size
    with storage.blobs.open(digest) as file:
        assert file.read() == content


@pytest.mark.parametrize("offset", [1, 4095, 600_000, 999_999, 1_000_000, 1_000_001])
def test_a_read_may_begin_anywhere(storage: Storage, offset: int) -> None:
    content = os.urandom(1_000_000)
    digest = store(storage, content)

    with storage.blobs.open(digest, offset) as file:
        assert file.read(10) == content[offset : offset + 10]
        assert file.read() == content[offset + 10 :]
        assert file.read(1) == b""


def test_a_zip_archive_can_be_read_in_place(storage: Storage) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("padding", os.urandom(700_000))
        archive.writestr("pkg/METADATA", "Name: pkg\n")
    digest = store(storage, buffer.getvalue())

    with storage.blobs.open(digest) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("pkg/METADATA") == b"Name: pkg\n"


def test_absent_blobs_are_not_found(storage: Storage) -> None:
    assert not storage.blobs.exists(ABSENT)
    with pytest.raises(NotFound):
        storage.blobs.open(ABSENT)
    with pytest.raises(NotFound):
        storage.blobs.size(ABSENT)
    storage.blobs.delete(ABSENT)


def test_a_deleted_blob_is_absent_and_can_be_kept_again(storage: Storage) -> None:
    digest = store(storage, b"content")

    storage.blobs.delete(digest)
    storage.blobs.delete(digest)

    assert not storage.blobs.exists(digest)
    assert store(storage, b"content") == digest
    assert storage.blobs.exists(digest)


@pytest.mark.parametrize("text", NOT_DIGESTS)
def test_only_digests_reach_the_store(storage: Storage, text: str) -> None:
    forged = Spooled(Path("/nowhere"), 0, {"sha256": text})
    calls: list[Callable[[], object]] = [
        lambda: storage.blobs.keep(forged),
        lambda: storage.blobs.open(text),
        lambda: storage.blobs.size(text),
        lambda: storage.blobs.exists(text),
        lambda: storage.blobs.local_path(text),
        lambda: storage.blobs.signed_url(text, filename="f", media_type="a/b", expires_seconds=1),
        lambda: storage.blobs.delete(text),
    ]
    for call in calls:
        with pytest.raises(Invalid):
            call()


@pytest.mark.parametrize("text", ["g", "..", "A", "0" * 65, "a/", "*"])
def test_only_beginnings_of_digests_can_be_listed(storage: Storage, text: str) -> None:
    with pytest.raises(Invalid):
        list(storage.blobs.list(text))


def test_the_list_is_in_digest_order_and_can_be_narrowed(storage: Storage) -> None:
    contents = {sha256(content): content for content in (str(n).encode() * 3 for n in range(60))}
    for content in contents.values():
        store(storage, content)

    listed = list(storage.blobs.list())

    assert [info.sha256 for info in listed] == sorted(contents)
    assert [info.size_bytes for info in listed] == [len(contents[digest]) for digest in sorted(contents)]
    assert all(abs(datetime.now(UTC) - info.modified_at) < timedelta(minutes=1) for info in listed)
    one = sorted(contents)[30]
    for length in (1, 2, 3, 4, 5, 63, 64):
        expected = [digest for digest in sorted(contents) if digest.startswith(one[:length])]
        assert [info.sha256 for info in storage.blobs.list(one[:length])] == expected
    assert list(storage.blobs.list(ABSENT)) == []


def test_keeping_what_is_there_refreshes_its_time(storage: Storage) -> None:
    small, large = b"small", os.urandom(9 * MEBIBYTE)
    before = {store(storage, content): content for content in (small, large)}
    first = {info.sha256: info.modified_at for info in storage.blobs.list()}
    time.sleep(1.1 if isinstance(storage.blobs, S3Blobs) else 0.01)  # S3 tells times in whole seconds

    for content in before.values():
        store(storage, content)

    again = {info.sha256: info.modified_at for info in storage.blobs.list()}
    assert again.keys() == first.keys()
    assert all(again[digest] > first[digest] for digest in first)
    for digest, content in before.items():
        with storage.blobs.open(digest) as file:
            assert file.read() == content


def test_the_spool_file_is_gone_once_it_is_kept(storage: Storage) -> None:
    for _ in range(2):  # new, then there already
        spooled = receive(storage.spool, b"content")
        storage.blobs.keep(spooled)
        with pytest.raises(FileNotFoundError):
            spooled.open()
        storage.spool.discard(spooled)


def test_keeping_vanished_bytes_asks_to_send_them_again(storage: Storage) -> None:
    spooled = receive(storage.spool, b"content")
    storage.spool.discard(spooled)

    with pytest.raises(Unavailable, match="send them again"):
        storage.blobs.keep(spooled)
    assert not storage.blobs.exists(spooled.sha256)

    store(storage, b"content")
    storage.blobs.keep(spooled)
    assert storage.blobs.exists(spooled.sha256)


def test_many_may_keep_the_same_blob_at_once(storage: Storage) -> None:
    content = os.urandom(400_000)
    barrier = threading.Barrier(8)

    def keep(_: int) -> str:
        spooled = receive(storage.spool, content)
        barrier.wait()
        storage.blobs.keep(spooled)
        with storage.blobs.open(spooled.sha256) as file:
            assert file.read() == content
        return spooled.sha256

    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(keep, range(8)))

    assert digests == {sha256(content)}
    assert [info.sha256 for info in storage.blobs.list()] == [sha256(content)]


def test_a_reader_keeps_its_bytes_while_the_blob_is_kept_again_or_deleted(storage: Storage) -> None:
    content = os.urandom(600_000)
    digest = store(storage, content)
    with storage.blobs.open(digest) as file:
        first = file.read(1000)
        store(storage, content)
        assert first + file.read() == content


def test_a_usable_store_passes_its_check(storage: Storage) -> None:
    storage.blobs.check()


# --- folder ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return Storage(FolderSpool(tmp_path / "blobs" / ".spool"), FolderBlobs(tmp_path / "blobs"))


def test_a_folder_holds_read_only_files_named_by_their_digest(folder: Storage, tmp_path: Path) -> None:
    digest = store(folder, b"content")

    path = folder.blobs.local_path(digest)

    assert path == tmp_path / "blobs" / digest[:2] / digest
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o444
    with pytest.raises(NotFound):
        folder.blobs.local_path(ABSENT)


def test_a_truncated_file_is_replaced_by_keeping_the_blob_again(folder: Storage) -> None:
    digest = store(folder, b"content")
    path = folder.blobs.local_path(digest)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"con")

    store(folder, b"content")

    assert path.read_bytes() == b"content"


def test_the_age_of_a_blob_counts_from_keeping_not_from_receiving(folder: Storage) -> None:
    spooled = receive(folder.spool, b"content")
    os.utime(spooled.path, (1, 1))

    folder.blobs.keep(spooled)

    (info,) = folder.blobs.list()
    assert datetime.now(UTC) - info.modified_at < timedelta(minutes=1)


def test_a_spool_on_another_file_system_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, spool = FolderBlobs(tmp_path / "blobs"), FolderSpool(tmp_path / "spool")
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.parent == tmp_path / "spool":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)

    digest = store(Storage(spool, blobs), b"content")

    path = blobs.local_path(digest)
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o444
    assert list((tmp_path / "spool").iterdir()) == []
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == [path]


@pytest.mark.parametrize(
    ("number", "wording"), [(errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EIO, "EIO"), (errno.EROFS, "EROFS")]
)
def test_a_disk_that_refuses_is_unavailable_and_loses_nothing(
    folder: Storage, monkeypatch: pytest.MonkeyPatch, number: int, wording: str
) -> None:
    spooled = receive(folder.spool, b"content")

    def replace(self: Path, target: Path) -> Path:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Unavailable, match=wording):
            folder.blobs.keep(spooled)

    assert not folder.blobs.exists(spooled.sha256)
    folder.blobs.keep(spooled)
    assert folder.blobs.exists(spooled.sha256)


def test_directories_that_were_removed_are_made_again(folder: Storage, tmp_path: Path) -> None:
    digest = store(folder, b"content")
    shutil.rmtree(tmp_path / "blobs" / digest[:2])

    assert store(folder, b"content") == digest
    assert folder.blobs.exists(digest)


def test_a_missing_root_fails_the_check(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    shutil.rmtree(tmp_path / "blobs")

    with pytest.raises(Unavailable):
        blobs.check()


def test_strangers_in_the_folder_are_not_listed(folder: Storage, tmp_path: Path) -> None:
    digest = store(folder, b"content")
    (tmp_path / "blobs" / "lost+found").mkdir()
    (tmp_path / "blobs" / digest[:2] / "notes.txt").write_text("mine")

    assert [info.sha256 for info in folder.blobs.list()] == [digest]


# --- S3 -------------------------------------------------------------------------------------------------------------


def test_an_object_of_64_mebibytes_goes_up_and_down_in_bounded_memory(s3_server: S3Server, tmp_path: Path) -> None:
    storage = s3_storage(s3_server, tmp_path)
    block = os.urandom(MEBIBYTE)
    with storage.spool.create() as writer:
        for n in range(64):
            writer.write(bytes([n]) + block[1:])
        spooled = writer.finish()
    tracemalloc.start()
    try:
        storage.blobs.keep(spooled)
        hashed = hashlib.sha256()
        with storage.blobs.open(spooled.sha256) as file:
            while data := file.read(MEBIBYTE):
                hashed.update(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert hashed.hexdigest() == spooled.sha256
    assert storage.blobs.size(spooled.sha256) == 64 * MEBIBYTE
    assert peak < 32 * MEBIBYTE


@pytest.mark.parametrize("size", [1000, 20 * MEBIBYTE])
def test_bytes_that_changed_in_the_spool_are_not_stored(s3_server: S3Server, tmp_path: Path, size: int) -> None:
    storage = s3_storage(s3_server, tmp_path)
    spooled = receive(storage.spool, os.urandom(size))
    with spooled.path.open("r+b") as file:
        file.seek(size - 1)
        last = file.read(1)
        file.seek(size - 1)
        file.write(bytes([last[0] ^ 1]))

    with pytest.raises(DigestMismatch):
        storage.blobs.keep(spooled)

    assert list(storage.blobs.list()) == []


@pytest.mark.parametrize("filename", ["pkg-1.0.tar.gz", 'we"ird\r\n;name ü.whl'])
def test_a_signed_address_gives_the_bytes_as_a_named_download(
    s3_server: S3Server, tmp_path: Path, filename: str
) -> None:
    storage = s3_storage(s3_server, tmp_path, redirects=True)
    digest = store(storage, b"content")

    url = storage.blobs.signed_url(digest, filename=filename, media_type="application/gzip", expires_seconds=60)

    assert url is not None
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
        assert answer.headers["Content-Type"] == "application/gzip"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    ranged = urllib.request.Request(url, headers={"Range": "bytes=1-3"})
    with urllib.request.urlopen(ranged) as answer:
        assert (answer.status, answer.read()) == (206, b"ont")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url.replace(digest, ABSENT))
    refused.value.close()
    assert refused.value.code == 403


def test_a_signed_address_expires(s3_server: S3Server, tmp_path: Path) -> None:
    storage = s3_storage(s3_server, tmp_path, redirects=True)
    digest = store(storage, b"content")
    url = storage.blobs.signed_url(digest, filename="f", media_type="a/b", expires_seconds=1)
    assert url is not None
    time.sleep(2.1)

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    refused.value.close()
    assert refused.value.code == 403


def test_without_redirects_there_is_no_signed_address(s3_server: S3Server, tmp_path: Path) -> None:
    storage = s3_storage(s3_server, tmp_path)

    assert storage.blobs.signed_url(ABSENT, filename="f", media_type="a/b", expires_seconds=1) is None


def test_a_read_goes_on_where_it_broke_when_the_service_is_killed_and_returns(
    s3_server: S3Server, tmp_path: Path
) -> None:
    storage = s3_storage(s3_server, tmp_path)
    content = os.urandom(24 * MEBIBYTE)
    digest = store(storage, content)

    with storage.blobs.open(digest) as file:
        received = bytearray(file.read(MEBIBYTE))
        s3_server.kill_gateway()
        s3_server.start_gateway()
        received += file.read()

    assert received == content


def test_a_service_that_stays_away_makes_reads_and_writes_unavailable_until_it_returns(
    s3_server: S3Server, tmp_path: Path
) -> None:
    storage = s3_storage(s3_server, tmp_path)
    content = os.urandom(24 * MEBIBYTE)
    digest = store(storage, content)
    waiting = receive(storage.spool, b"other content")
    with storage.blobs.open(digest) as file:
        file.read(MEBIBYTE)
        s3_server.kill_gateway()
        try:
            with pytest.raises(Unavailable):
                file.read()
            for call in (
                storage.blobs.check,
                lambda: storage.blobs.open(digest),
                lambda: storage.blobs.exists(digest),
                lambda: storage.blobs.delete(digest),
                lambda: list(storage.blobs.list()),
                lambda: storage.blobs.keep(waiting),
            ):
                with pytest.raises(Unavailable) as refused:
                    call()
                assert "127.0.0.1" not in str(refused.value)
        finally:
            s3_server.start_gateway()

    storage.blobs.check()
    storage.blobs.keep(waiting)
    assert storage.blobs.exists(waiting.sha256)
    with storage.blobs.open(digest) as file:
        assert file.read() == content


def test_a_service_killed_in_the_middle_of_a_keep_leaves_nothing_visible_and_the_spool_intact(
    s3_server: S3Server, tmp_path: Path
) -> None:
    storage = s3_storage(s3_server, tmp_path)
    content = os.urandom(40 * MEBIBYTE)
    spooled = receive(storage.spool, content)
    halfway = threading.Event()

    class Halting(Spooled, frozen=True):
        def open(self) -> io.BufferedReader:
            file = self.path.open("rb")

            class Watched(io.BufferedReader):
                def read(self, size: int | None = -1) -> bytes:
                    if self.tell() >= 16 * MEBIBYTE:
                        halfway.set()
                        killed.wait(10)
                    return super().read(size)

            return Watched(file.detach())

    killed = threading.Event()

    def kill() -> None:
        halfway.wait(30)
        s3_server.kill_gateway()
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(Unavailable):
            storage.blobs.keep(Halting(spooled.path, spooled.size_bytes, spooled.digests))
    finally:
        killer.join()
        s3_server.start_gateway()

    assert not storage.blobs.exists(spooled.sha256)
    storage.blobs.keep(spooled)
    with storage.blobs.open(spooled.sha256) as file:
        assert file.read() == content


def test_wrong_credentials_and_a_missing_bucket_are_unavailable(s3_server: S3Server, tmp_path: Path) -> None:
    stranger = connect(endpoint=s3_server.endpoint, access_key_id="AKNOBODY", secret_access_key="wrong-secret")
    for blobs in (S3Blobs(stranger, BUCKET), S3Blobs(s3_server.client(), "no-such-bucket")):
        with pytest.raises(Unavailable) as refused:
            blobs.check()
        assert "secret" not in str(refused.value)


def test_prefixes_of_one_bucket_do_not_see_each_other(s3_server: S3Server, tmp_path: Path) -> None:
    client, spool, above = s3_server.client(), FolderSpool(tmp_path / "spool"), s3_server.new_prefix()
    mine, other, whole = (S3Blobs(client, BUCKET, below) for below in (f"/{above}/mine/", f"{above}/other", above))

    digest = store(Storage(spool, mine), b"content")

    assert mine.exists(digest)
    assert not other.exists(digest)
    assert not whole.exists(digest)
    assert list(other.list()) == []


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ("S3_ENDPOINT", {"endpoint": "ftp://host"}),
        ("S3_ENDPOINT", {"endpoint": "https://host/path"}),
        ("S3_ENDPOINT", {"endpoint": "https://"}),
        ("S3_ENDPOINT", {"endpoint": "http://host:port"}),
        ("S3_REGION", {"region": "not a region"}),
        ("S3_SECRET_ACCESS_KEY", {"access_key_id": "AK"}),
        ("S3_CA_CERT_PATH", {"ca_cert_path": Path("/nonexistent.pem")}),
    ],
)
def test_a_bad_setting_is_named(setting: str, settings: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=setting):
        connect(**settings)  # type: ignore[arg-type]
