"""Small packages, made in memory: whatever headers a test wants, with sizes and digests as rpmbuild writes them.

`ak-hello-*.rpm` beside this file were built by rpmbuild 4.18 from `ak-hello.spec`.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

INT16, INT32, INT64, STRING, BINARY, ARRAY, I18N = 3, 4, 5, 6, 7, 8, 9
_WIDTHS = {INT16: "H", INT32: "I", INT64: "Q"}

NAME, VERSION, RELEASE, EPOCH, SUMMARY, DESCRIPTION, BUILT_AT, SIZE, LICENSE, ARCH = (
    1000, 1001, 1002, 1003, 1004, 1005, 1006, 1009, 1014, 1022,
)  # fmt: skip
SOURCE_RPM, PROVIDES, BASENAMES = 1044, 1047, 1117

Value = tuple[int, object]
"""A type and what it holds: text, texts, numbers or bytes."""

Tags = Mapping[int, Value]

HERE = Path(__file__).parent
BUILT = ("ak-hello-1.0-1.noarch.rpm", "ak-hello-1.0-1.src.rpm", "ak-hello-doc-1.0-1.noarch.rpm")


def lead(*, magic: bytes = b"\xed\xab\xee\xdb", major: int = 3) -> bytes:
    """The 96 bytes that every package begins with."""
    return struct.pack(">4sBBHH66sHH16x", magic, major, 0, 0, 1, b"sample", 1, 5)


def header(tags: Tags) -> bytes:
    """A header with these tags."""
    index, store = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        data, count, width = _encoded(kind, value)
        store += bytes(-len(store) % width)
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", len(tags), len(store)) + index + store


def rpm(
    name: str = "demo",
    version: str = "1.0",
    release: str = "1",
    arch: str = "noarch",
    *,
    epoch: int | None = None,
    mark: str = "",
    files: Sequence[str] = (),
    tags: Tags | None = None,
    signature: Tags | None = None,
) -> bytes:
    """A package. mark: is in its payload. tags, signature: on top of, or instead of, what is made here."""
    payload = gzip.compress(f"no archive, but {mark}".encode(), mtime=0)
    all_tags: dict[int, Value] = {
        NAME: (STRING, name),
        VERSION: (STRING, version),
        RELEASE: (STRING, release),
        SUMMARY: (I18N, [f"A sample of {name}"]),
        DESCRIPTION: (I18N, ["Made for a test."]),
        BUILT_AT: (INT32, [1_700_000_000]),
        SIZE: (INT32, [42]),
        LICENSE: (STRING, "MIT"),
        ARCH: (STRING, arch),
        SOURCE_RPM: (STRING, f"{name}-{version}-{release}.src.rpm"),
        **relation(PROVIDES, 1112, 1113, [(name, 8, f"{version}-{release}")]),
        5092: (ARRAY, [hashlib.sha256(payload).hexdigest()]),
        5093: (INT32, [8]),
        **file_tags(files),
    }
    if epoch is not None:
        all_tags[EPOCH] = (INT32, [epoch])
    main = header({**all_tags, **(tags or {})})
    signed: dict[int, Value] = {
        273: (STRING, hashlib.sha256(main).hexdigest()),
        1000: (INT32, [len(main) + len(payload)]),
        1007: (INT32, [124]),
    }
    first = header({**signed, **(signature or {})})
    return lead() + first + bytes(-len(first) % 8) + main + payload


def relation(names: int, flags: int, versions: int, entries: Sequence[tuple[str, int, str]]) -> dict[int, Value]:
    """The three tags of dependencies of a kind: name, flags, version of each."""
    return {
        names: (ARRAY, [name for name, _, _ in entries]),
        flags: (INT32, [flag for _, flag, _ in entries]),
        versions: (ARRAY, [version for _, _, version in entries]),
    }


def file_tags(paths: Sequence[str]) -> dict[int, Value]:
    """The tags of plain files."""
    if not paths:
        return {}
    directories = sorted({path.rpartition("/")[0] + "/" for path in paths})
    return {
        1116: (INT32, [directories.index(path.rpartition("/")[0] + "/") for path in paths]),
        1117: (ARRAY, [path.rpartition("/")[2] for path in paths]),
        1118: (ARRAY, directories),
        1030: (INT16, [0o100644] * len(paths)),
        1037: (INT32, [0] * len(paths)),
    }


def _encoded(kind: int, value: object) -> tuple[bytes, int, int]:
    """Bytes, how many values those are, and what they are aligned to."""
    if kind == BINARY:
        assert isinstance(value, bytes)
        return value, len(value), 1
    if kind in _WIDTHS:
        assert isinstance(value, list)
        code = _WIDTHS[kind]
        return struct.pack(f">{len(value)}{code}", *value), len(value), struct.calcsize(code)
    texts = [value] if isinstance(value, str) else value
    assert isinstance(texts, list)
    return b"".join(text.encode() + b"\0" for text in texts), len(texts), 1
