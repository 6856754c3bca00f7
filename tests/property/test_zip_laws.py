"""Laws of the shared reader of zips: any bytes are read or refused."""

from __future__ import annotations

import contextlib
import io
import zipfile

from hypothesis import given, settings
from hypothesis import strategies as st

from application.archives.zips import ZipMalformed, find, walk


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


SAMPLE = packed({"a/b.txt": b"some text, some text", "c": b"\0" * 100})

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(lambda name: f"{name}x")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=6), st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(at: int, patch: bytes, junk: bytes) -> None:
    for data in (SAMPLE[:at], SAMPLE[:at] + patch + SAMPLE[at + len(patch) :], b"PK\x03\x04" + junk, SAMPLE + junk):
        with contextlib.suppress(ZipMalformed):
            for member in walk(io.BytesIO(data)):
                assert sum(map(len, member.chunks)) == member.size_bytes
        with contextlib.suppress(ZipMalformed):
            find(io.BytesIO(data), "c")


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=100), max_size=5))
def test_what_was_packed_comes_out(files: dict[str, bytes]) -> None:
    data = packed(files)
    assert {member.name: b"".join(member.chunks) for member in walk(io.BytesIO(data))} == files
