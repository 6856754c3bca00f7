"""The reader of zips that formats share."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from application.archives import zips
from application.archives.zips import ZipLimits, ZipMalformed, find, walk


def pack(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def read(data: bytes, limits: ZipLimits = zips.DEFAULT_LIMITS) -> dict[str, bytes]:
    return {member.name: b"".join(member.chunks) for member in walk(io.BytesIO(data), limits)}


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_and_folders_come_in_order_with_their_bytes(method: int) -> None:
    data = pack(("b/", b""), ("b/ü.txt", b"text" * 200_000), ("a", b""), method=method)
    assert list(read(data)) == ["b/", "b/ü.txt", "a"]
    assert read(data)["b/ü.txt"] == b"text" * 200_000
    members = list(walk(io.BytesIO(data)))
    assert [member.is_folder for member in members] == [True, False, False]
    assert [member.size_bytes for member in members] == [0, 800_000, 0]
    assert read(pack()) == {}


def test_one_file_is_found_by_its_name() -> None:
    data = pack(("a/", b""), ("a/b", b"text"))
    found = find(io.BytesIO(data), "a/b")
    assert found is not None
    assert b"".join(found.chunks) == b"text"
    assert find(io.BytesIO(data), "a/") is None
    assert find(io.BytesIO(data), "b") is None


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o060644, 0o140644])
def test_links_pipes_and_devices_are_refused(mode: int) -> None:
    data = pack((with_mode("odd", mode), b"target"))
    with pytest.raises(ZipMalformed, match="is a link or a device"):
        read(data)
    with pytest.raises(ZipMalformed, match="is a link or a device"):
        find(io.BytesIO(data), "odd")


def test_plain_modes_are_taken() -> None:
    assert read(pack((with_mode("run", 0o100755), b"x"), (with_mode("folder/", 0o040755), b"")))["run"] == b"x"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_odd_compression_is_refused(method: int) -> None:
    with pytest.raises(ZipMalformed, match="is compressed by method"):
        read(pack(("a", b"text"), method=method))


def test_encryption_is_refused() -> None:
    data = bytearray(pack(("a", b"text")))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + at
        data[place] |= 1
    with pytest.raises(ZipMalformed, match="is encrypted"):
        read(bytes(data))


def test_expansion_is_bounded_before_anything_is_unpacked() -> None:
    bomb = pack(("zeros", b"\0" * 4_000_000))
    assert read(bomb)
    with pytest.raises(ZipMalformed, match="expands more than 10 times"):
        next(walk(io.BytesIO(bomb), ZipLimits(ratio=10, free_bytes=1000)))
    with pytest.raises(ZipMalformed, match="unpacks to more than 1000 bytes"):
        find(io.BytesIO(bomb), "zeros", ZipLimits(max_unpacked_bytes=1000))


def test_a_size_that_is_false_is_refused() -> None:
    data = bytearray(pack(("a", b"text" * 100), method=zipfile.ZIP_STORED))
    directory = data.index(b"PK\x01\x02")
    for size in (399, 500):
        data[directory + 20 : directory + 28] = struct.pack("<II", size, size)
        with pytest.raises(ZipMalformed):
            read(bytes(data))


def test_names_with_two_readings_are_refused() -> None:
    nul = pack(("ab", b"")).replace(b"ab", b"a\0")
    local = bytearray(pack(("ab", b"")))
    local[30:32] = b"cd"
    undeclared = pack(("ab", b"")).replace(b"ab", "ü".encode())
    for data in (nul, bytes(local), undeclared):
        with pytest.raises(ZipMalformed):
            read(data)


@pytest.mark.parametrize("data", [b"", b"PK", b"junk", b"PK\x03\x04", b"PK\x05\x06", b"x" + pack(("a", b"b"))])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(ZipMalformed):
        read(data)
    with pytest.raises(ZipMalformed):
        find(io.BytesIO(data), "a")


def test_a_directory_too_large_to_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "_MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ZipMalformed, match="its directory has"):
        read(pack(*((f"file {number}", b"") for number in range(100))))
