"""Receiving bytes: the same promises from files and from memory, then what only files can do."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from application.ports import Spool
from domain.errors import TooLarge, Unavailable
from infrastructure.blobs.spool import FolderSpool, FolderSpoolWriter
from tests.fakes.blobs import MemorySpool

KIBIBYTE = 1024


@pytest.fixture(params=["memory", "folder"])
def new_spool(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int | None], Spool]:
    if request.param == "memory":
        return MemorySpool
    return lambda max_bytes: FolderSpool(tmp_path, max_bytes)


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [5], [1000] * 3, [200 * KIBIBYTE] * 5, [1024 * KIBIBYTE, 1], [1, 1024 * KIBIBYTE, 256 * KIBIBYTE]],
)
def test_what_is_written_is_received_whole_and_hashed(new_spool: Callable[..., Spool], sizes: list[int]) -> None:
    pieces = [os.urandom(size) for size in sizes]
    content = b"".join(pieces)

    with new_spool(None).create(("md5", "sha1", "sha512")) as writer:
        for piece in pieces:
            writer.write(piece)
        spooled = writer.finish()

    with spooled.open() as file:
        assert file.read() == content
    assert spooled.size_bytes == len(content)
    assert spooled.sha256 == hashlib.sha256(content).hexdigest()
    assert spooled.digests == {
        name: hashlib.new(name, content).hexdigest() for name in ("sha256", "md5", "sha1", "sha512")
    }


def test_the_buffer_may_be_reused_after_each_write(new_spool: Callable[..., Spool]) -> None:
    buffer = bytearray(b"first")
    with new_spool(None).create() as writer:
        writer.write(memoryview(buffer))
        buffer[:] = b"secon"
        writer.write(buffer)
        spooled = writer.finish()

    with spooled.open() as file:
        assert file.read() == b"firstsecon"


@pytest.mark.parametrize(("of_spool", "of_body"), [(10, None), (None, 10), (10, 99), (99, 10)])
def test_the_smaller_limit_holds_to_the_byte(
    new_spool: Callable[..., Spool], of_spool: int | None, of_body: int | None
) -> None:
    spool = new_spool(of_spool)
    with spool.create(max_bytes=of_body) as writer:
        writer.write(b"12345")
        writer.write(b"67890")
        with pytest.raises(TooLarge, match="10 bytes"):
            writer.write(b"x")
    with spool.create(max_bytes=of_body) as writer:
        writer.write(b"1234567890")
        assert writer.finish().size_bytes == 10


def test_a_finished_body_takes_no_more(new_spool: Callable[..., Spool]) -> None:
    with new_spool(None).create() as writer:
        writer.finish()
        with pytest.raises(ValueError, match="complete"):
            writer.write(b"x")
        with pytest.raises(ValueError, match="complete"):
            writer.finish()


def test_discarding_twice_is_harmless(new_spool: Callable[..., Spool]) -> None:
    spool = new_spool(None)
    with spool.create() as writer:
        spooled = writer.finish()
    spool.discard(spooled)
    spool.discard(spooled)
    with pytest.raises(FileNotFoundError):
        spooled.open()


@pytest.mark.parametrize("size", [10, 300 * KIBIBYTE])
def test_an_abandoned_body_leaves_no_file(tmp_path: Path, size: int) -> None:
    spool = FolderSpool(tmp_path)
    with spool.create() as writer:
        writer.write(bytes(size))

    assert list(tmp_path.iterdir()) == []


def test_a_finished_body_stays_when_the_block_is_left(tmp_path: Path) -> None:
    with FolderSpool(tmp_path).create() as writer:
        writer.write(b"content")
        spooled = writer.finish()

    assert spooled.path.read_bytes() == b"content"
    assert spooled.path.stat().st_mode & 0o777 == 0o600


def test_a_small_body_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        written.append(len(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with FolderSpool(tmp_path).create() as writer:
        for _ in range(100):
            writer.write(bytes(100))
        assert list(tmp_path.iterdir()) == []
        writer.finish()

    assert written == [10_000]


def test_partial_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:1000]))
    content = os.urandom(5500)
    with FolderSpool(tmp_path).create() as writer:
        writer.write(content)
        spooled = writer.finish()

    assert spooled.path.read_bytes() == content


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_is_unavailable_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with FolderSpool(tmp_path).create() as writer:
        writer.write(b"content")
        with pytest.raises(Unavailable, match="the storage is full"):
            writer.finish()

    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_is_swept_after_a_day(tmp_path: Path) -> None:
    old, recent, stranger = tmp_path / "old.part", tmp_path / "recent.part", tmp_path / "notes.txt"
    for path in (old, recent, stranger):
        path.write_bytes(b"x")
    for path in (old, stranger):
        os.utime(path, (time.time() - 90_000,) * 2)
    (tmp_path / "directory.part").mkdir()

    assert FolderSpool(tmp_path).swept == 1

    assert {path.name for path in tmp_path.iterdir()} == {"recent.part", "notes.txt", "directory.part"}


def test_what_comes_in_is_read_meanwhile_and_until_it_is_taken_away(tmp_path: Path) -> None:
    spool = FolderSpool(tmp_path)
    with spool.create() as writer:
        with writer.reader() as early:
            writer.write(b"what came")
            spooled = writer.finish()
            assert early.read() == b"what came"
        with writer.reader() as late:
            spool.discard(spooled)
            assert late.read() == b"what came"
        with pytest.raises(FileNotFoundError):
            writer.reader()
    assert list(tmp_path.iterdir()) == []


def test_many_begin_to_read_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def read(writer: FolderSpoolWriter) -> bytes:
        together.wait()
        with writer.reader() as file:
            return file.read()

    with FolderSpool(tmp_path).create() as writer, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, [writer] * 8)) == {b""}
