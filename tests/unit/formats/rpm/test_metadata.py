"""What is told of a package: its identity, dependencies, files, changes, signatures; and whether it is whole."""

from __future__ import annotations

import base64
import io
import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from application.formats.rpm import metadata
from application.formats.rpm.header import RpmInvalid, read_structure
from application.formats.rpm.integrity import verify
from application.formats.rpm.metadata import Dependency, Package, PackagedFile, read_package
from application.formats.rpm.names import NameInvalid, Nevra, named_package
from application.formats.rpm.signatures import Signature, read_signature
from tests.samples.rpm import make

REQUIRES = (1049, 1048, 1050)


def read(**options: Any) -> Package:
    return read_package(io.BytesIO(make.rpm(**options)))


def requires(entries: list[tuple[str, int, str]], **options: Any) -> tuple[Dependency, ...]:
    return read(tags=make.relation(*REQUIRES, entries), **options).dependencies.get("requires", ())


def test_a_package_is_what_its_header_says() -> None:
    assert read(epoch=3).nevra == Nevra("demo", 3, "1.0", "1", "noarch")
    assert read().nevra.filename == "demo-1.0-1.noarch.rpm"
    assert (read(epoch=3).nevra.evr, read().nevra.evr) == ("3:1.0-1", "1.0-1")


def test_a_source_package_has_no_architecture() -> None:
    built = {name: read_package(io.BytesIO((make.HERE / name).read_bytes())) for name in make.BUILT}
    assert {name: package.nevra.filename for name, package in built.items()} == {name: name for name in make.BUILT}
    assert read(tags={1106: (make.INT32, [1])}).nevra.arch == "src"
    assert read(tags={1106: (make.INT32, [1]), 1051: (make.INT32, [0])}).nevra.arch == "nosrc"


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (make.NAME, "../demo"),
        (make.NAME, "-demo"),
        (make.NAME, "de\nmo"),
        (make.NAME, "x" * 250),
        (make.VERSION, "1-0"),
        (make.RELEASE, "1/2"),
        (make.ARCH, "x86-64"),
    ],
)
def test_a_name_that_cannot_be_part_of_a_files_name_is_refused(tag: int, value: str) -> None:
    with pytest.raises(NameInvalid):
        read(tags={tag: (make.STRING, value)})


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("demo-1.0-1.noarch.rpm", "demo"),
        ("a-b-c-1.0-1.el9.x86_64.rpm", "a-b-c"),
        ("demo.rpm", None),
        ("demo-1.0.noarch.rpm", None),
        ("demo-1.0-1.noarch.deb", None),
        ("", None),
    ],
)
def test_the_name_of_a_file_tells_that_of_its_package(filename: str, name: str | None) -> None:
    assert named_package(filename) == name


def test_what_rpm_itself_or_the_package_provides_is_not_required() -> None:
    found = requires(
        [
            ("rpmlib(FileDigests)", 0x100000A, "4.6.0-1"),
            ("demo", 8, "1.0-1"),
            ("/usr/bin/demo", 0, ""),
            ("/usr/share/demo", 0, ""),
            ("other", 12, "2:3-4"),
            ("/bin/sh", 0x600, ""),
            ("other", 12, "2:3-4"),
        ],
        files=["/usr/bin/demo", "/usr/share/demo"],
    )
    assert found == (
        Dependency("/usr/share/demo"),
        Dependency("other", "GE", 2, "3", "4"),
        Dependency("/bin/sh", before=True),
    )


def test_dependencies_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(RpmInvalid, match="2 names, 1 flags and 1 versions"):
        read(tags={1049: (make.ARRAY, ["a", "b"]), 1048: (make.INT32, [0]), 1050: (make.ARRAY, [""])})


def test_files_are_directories_ghosts_or_neither() -> None:
    tags = {**make.file_tags(["/a/b", "/a/c", "/a/d"]), 1030: (make.INT16, [0o040755, 0o100644, 0o120777])}
    package = read(tags={**tags, 1037: (make.INT32, [0, 64, 1])})
    assert package.files == (PackagedFile("/a/b", "dir"), PackagedFile("/a/c", "ghost"), PackagedFile("/a/d"))


@pytest.mark.parametrize(
    "tags",
    [
        {1116: (make.INT32, [1])},
        {1116: (make.INT32, [0, 0])},
        {1030: (make.INT16, [1, 2])},
        {1037: (make.INT32, [1, 2])},
    ],
)
def test_files_that_do_not_fit_together_are_refused(tags: make.Tags) -> None:
    with pytest.raises(RpmInvalid):
        read(tags={**make.file_tags(["/a/b"]), **tags})


def test_directories_cannot_be_made_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_PATHS", 10_000)
    with pytest.raises(RpmInvalid, match="more than 10000 characters"):
        read(tags={**make.file_tags([f"/{number}" for number in range(50)]), 1118: (make.ARRAY, ["/" + "x" * 1_000])})


def test_of_changes_the_newest_are_told_in_the_order_they_were_made() -> None:
    times = [*range(1_000, 900, -10), 7, 7]
    tags = {
        1080: (make.INT32, [1_010, *times]),
        1081: (make.ARRAY, ["Ada  "] * 13),
        1082: (make.ARRAY, [f"change {number}" for number in range(13)]),
    }
    changes = read(tags=tags).changes
    assert [change.text for change in changes] == [f"change {number}" for number in range(9, -1, -1)]
    assert changes[0].author == "Ada"
    same = {tag: (kind, value[-2:]) for tag, (kind, value) in tags.items()}
    assert [change.at for change in read(tags=same).changes] == [7, 8]


# signatures


def packet(body: bytes) -> bytes:
    return bytes([0x88, len(body)]) + body


def subpackets(*parts: tuple[int, bytes]) -> bytes:
    data = b"".join(bytes([len(value) + 1, kind]) + value for kind, value in parts)
    return struct.pack(">H", len(data)) + data


NEW = packet(bytes([4, 0, 1, 8]) + subpackets((33, b"\4" + bytes(20)), (2, bytes(3) + b"\7")) + subpackets() + bytes(8))
OLD = packet(bytes([3, 5, 0]) + bytes(3) + b"\7" + bytes(7) + b"\1" + bytes([17, 2]) + bytes(8))
AT = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)


def test_who_signed_is_told_by_the_key() -> None:
    assert read_signature(NEW, "header") == Signature("00" * 20, "rsa", "sha256", "header", AT)
    assert read_signature(OLD, "all") == Signature("0000000000000001", "dsa", "sha1", "all", AT)
    package = read(
        signature={
            268: (make.BINARY, NEW),
            1005: (make.BINARY, OLD),
            278: (make.ARRAY, [base64.b64encode(NEW).decode(), "no base64"]),
        }
    )
    assert [(one.covers, one.algorithm) for one in package.signatures] == [("header", "rsa"), ("all", "dsa")]


@pytest.mark.parametrize(
    "data", [b"", b"\x88", NEW[:10], b"\x88\xff" + NEW[2:], packet(b"\5" + bytes(30)), b"\xc6\x01\x04"]
)
def test_what_is_no_signature_is_passed_over(data: bytes) -> None:
    assert read_signature(data, "header") is None


# wholeness


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (make.rpm() + b"x", "say they have"),
        (make.rpm()[:-1], "say they have"),
        (make.rpm(signature={273: (make.STRING, "0" * 64)}), "its header does not have"),
        (make.rpm(tags={5092: (make.ARRAY, ["0" * 64])}), "its payload does not have"),
        (make.rpm(tags={5093: (make.INT32, [1])}, signature={1004: (make.BINARY, bytes(16))}), "MD5"),
    ],
)
def test_a_package_that_is_not_whole_is_refused(data: bytes, problem: str) -> None:
    file = io.BytesIO(data)
    with pytest.raises(RpmInvalid, match=problem):
        verify(file, read_structure(file), len(data))


@pytest.mark.parametrize("name", make.BUILT)
def test_what_rpmbuild_made_is_whole(name: str) -> None:
    data = (make.HERE / name).read_bytes()
    file = io.BytesIO(data)
    verify(file, read_structure(file), len(data))
