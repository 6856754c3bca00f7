"""Unpacking as a stream: every compression, members in a row, bounds and damage."""

from __future__ import annotations

import io

import pytest

from application.archives.ar import ArMalformed, Section, read_members
from application.archives.unpacking import PackedMalformed, PackedTooLarge, Unpacked
from tests.samples.debian.make import PACKERS, ar

KINDS = {"": "none", ".gz": "gzip", ".xz": "xz", ".lzma": "lzma", ".bz2": "bzip2", ".zst": "zstd"}
DATA = bytes(range(256)) * 2_000


def read_all(packed: bytes, kind: str, max_bytes: int = 1 << 30) -> bytes:
    stream = Unpacked(io.BytesIO(packed), kind, max_bytes)
    pieces = []
    while piece := stream.read(70_001):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(("extension", "kind"), KINDS.items())
def test_what_was_packed_comes_out(extension: str, kind: str) -> None:
    packed = PACKERS[extension](DATA)
    assert read_all(packed, kind) == DATA
    stream = Unpacked(io.BytesIO(packed), kind, len(DATA))
    stream.skip(500_000)
    assert stream.exactly(12_000) == DATA[500_000:]
    with pytest.raises(PackedMalformed, match="too early"):
        stream.exactly(1)
    with pytest.raises(PackedTooLarge):
        read_all(packed, kind, len(DATA) - 1)


@pytest.mark.parametrize("extension", [".gz", ".xz", ".bz2", ".zst"])
def test_members_in_a_row_are_one(extension: str) -> None:
    kind, packed = KINDS[extension], PACKERS[extension](DATA)
    assert read_all(packed + packed, kind) == DATA + DATA
    if extension != ".zst":
        assert read_all(packed + bytes(100_000), kind) == DATA


@pytest.mark.parametrize("extension", [".gz", ".xz", ".lzma", ".bz2", ".zst"])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:0], lambda data: b"junk" + data])
def test_damage_is_refused(extension: str, damage: object) -> None:
    assert callable(damage)
    packed = damage(PACKERS[extension](DATA))
    if extension == ".zst" and not packed:
        return  # no frame at all is nothing at all
    if extension == ".zst" and not packed.startswith(b"junk"):
        assert len(read_all(packed, "zstd")) < len(DATA), "callers know by the length of what is inside"
        return
    with pytest.raises(PackedMalformed):
        read_all(packed, KINDS[extension])


def test_a_section_is_a_file_of_its_own() -> None:
    section = Section(io.BytesIO(b"0123456789"), 3, 4)
    assert (section.read(2), section.read(), section.read(), section.readable()) == (b"34", b"56", b"", True)


def test_members_of_ar_are_found() -> None:
    found = read_members(io.BytesIO(ar([("a", b"1"), ("b/", b"22")])))
    assert [(member.name, member.size_bytes) for member in found] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>",
        b"!<arch>\nshort",
        ar([("a", b"1")]).replace(b"1         `", b"x         `"),
        ar([("a", b"1")]).replace(b"`\n", b"``"),
        ar([("a b", b"1")]),
        ar([("a", b"")] * 65),
        ar([("a", b"12")])[:-1],
    ],
)
def test_what_is_no_ar_is_refused(data: bytes) -> None:
    with pytest.raises(ArMalformed):
        read_members(io.BytesIO(data))
