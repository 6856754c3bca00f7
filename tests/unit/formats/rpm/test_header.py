"""The binary structure of packages: what is taken, and what is not."""

from __future__ import annotations

import io
import struct

import pytest

from application.formats.rpm.header import RpmInvalid, read_structure
from application.formats.rpm.metadata import read_package
from tests.samples.rpm import make


def refused(data: bytes) -> str:
    with pytest.raises(RpmInvalid) as raised:
        read_package(io.BytesIO(data))
    return str(raised.value)


def with_header(main: bytes) -> bytes:
    first = make.header({1000: (make.INT32, [1])})
    return make.lead() + first + bytes(-len(first) % 8) + main


def entry(tag: int, kind: int, offset: int, count: int, store: bytes = b"demo\0") -> bytes:
    """A header with one tag, as given."""
    index = struct.pack(">IIII", tag, kind, offset, count)
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 1, len(store)) + index + store


def test_where_the_header_is_is_known_exactly() -> None:
    data = (make.HERE / make.BUILT[0]).read_bytes()
    structure = read_structure(io.BytesIO(data))
    assert (structure.start, structure.end) == (4504, 6897), "what createrepo_c says"
    assert data[structure.start : structure.start + 4] == b"\x8e\xad\xe8\x01"
    assert data[structure.end : structure.end + 4] == b"\x1f\x8b\x08\x00", "a payload of gzip"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "lead"),
        (make.lead()[:-1], "lead"),
        (make.lead(magic=b"\x1f\x8b\x08\x00") + make.rpm()[96:], "lead"),
        (make.lead(major=9) + make.rpm()[96:], "version 9"),
        (make.lead(), "ends before its signature header"),
        (make.lead() + b"\x8e\xad\xe8\x02" + bytes(40), "magic number"),
        (make.lead() + struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 0, 0), "0 tags"),
        (make.lead() + struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 70_000, 0), "70000 tags"),
        (make.lead() + struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 1, 1 << 31), "bytes of data"),
        (make.lead() + struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 9, 9), "ends within its signature header"),
        (with_header(b""), "ends before its header"),
    ],
)
def test_what_does_not_begin_as_a_package_is_refused(data: bytes, problem: str) -> None:
    assert problem in refused(data)


@pytest.mark.parametrize(
    ("main", "problem"),
    [
        (entry(1000, 6, 6, 1), "tag 1000 has 1 values at 6"),
        (entry(1000, 6, 0, 2), "2 values"),
        (entry(1000, 6, 0, 1, b"demo"), "does not end"),
        (entry(1000, 8, 0, 500_000), "500000 values"),
        (entry(1000, 8, 0, 0), "0 values"),
        (entry(1000, 4, 0, 2), "not within its header"),
        (entry(1000, 4, 1, 1), "not within its header"),
        (entry(1000, 7, 0, 6), "6 values"),
        (entry(1000, 10, 0, 1), "unknown type 10"),
        (entry(1000, 4, 0, 1), "type 4"),
        (entry(1000, 6, 0, 1), "name, version and release"),
    ],
)
def test_a_tag_that_lies_is_refused(main: bytes, problem: str) -> None:
    assert problem in refused(with_header(main))


def test_a_tag_twice_is_refused() -> None:
    index = struct.pack(">IIII", 1000, 6, 0, 1) * 2
    main = struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", 2, 5) + index + b"demo\0"
    assert "tag 1000 twice" in refused(with_header(main))


def test_a_translated_text_is_that_for_everybody() -> None:
    data = make.rpm(tags={make.SUMMARY: (make.I18N, ["A demo", "Eine Demo"])})
    assert read_package(io.BytesIO(data)).summary == "A demo"


def test_a_text_that_is_not_utf8_is_read_as_latin1_and_loses_what_xml_cannot_say() -> None:
    main = make.rpm(tags={make.SUMMARY: (make.BINARY, b"x")})
    assert "type 7" in refused(main)
    data = make.rpm(tags={make.DESCRIPTION: (make.STRING, "a\x01b\x0cc\x1b[0m\td")})
    assert read_package(io.BytesIO(data)).description == "abc[0m\td"
    patched = make.rpm(tags={make.SUMMARY: (make.STRING, "Gr__n")}).replace(b"Gr__n", b"Gr\xfc_n")
    assert read_package(io.BytesIO(patched)).summary == "Gr\xfc_n"
