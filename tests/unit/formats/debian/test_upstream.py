"""What other archives say: Release files and indexes, read or refused."""

from __future__ import annotations

import io

import pytest

from application.formats.debian import stanza, upstream
from application.formats.debian.upstream import (
    compressions_of,
    find_path,
    package_indexes,
    read_index,
    read_release,
    source_files,
)
from domain.errors import Invalid
from tests.samples.debian import make

DIGEST = "ab" * 32
RELEASE = (
    "Origin: X\nComponents: main contrib\nArchitectures: all amd64\nAcquire-By-Hash: yes\n"
    f"SHA256:\n {DIGEST} 10 main/binary-amd64/Packages\n {DIGEST} 5 main/binary-amd64/Packages.gz\n"
    f" {DIGEST} 7 ../escape\n {DIGEST} 3 main/i18n/Translation-en.xz\n"
)
PACKAGES = (
    f"Package: a\nVersion: 1\nArchitecture: amd64\nFilename: ./pool/main/a/a_1_amd64.deb\nSize: 9\nSHA256: {DIGEST}\n"
    "Description: x\n\nPackage: b\nVersion: 2\nFilename: ../../etc/passwd\n\nPackage: c\nFilename: pool/c.deb\n\n\n"
    f"Package: d\nVersion: 2\nArchitecture: all\nFilename: pool/main/d/d_2_all.deb\nSize: 8\nSHA256: {DIGEST}\n"
).encode()


@pytest.mark.parametrize("data", [RELEASE.encode(), make.clearsigned(RELEASE.encode())])
def test_a_release_names_its_indexes(data: bytes) -> None:
    found = read_release(data)
    assert (found.components, found.architectures, found.by_hash) == (("main", "contrib"), ("all", "amd64"), True)
    assert found.indexes.keys() == {
        "main/binary-amd64/Packages",
        "main/binary-amd64/Packages.gz",
        "main/i18n/Translation-en.xz",
    }
    assert package_indexes(found) == {"main/binary-amd64/Packages"}
    names = [path for path, _ in compressions_of(found, "main/binary-amd64/Packages")]
    assert names == ["main/binary-amd64/Packages.gz", "main/binary-amd64/Packages"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"Origin: X\n",
        RELEASE.replace(DIGEST, "xx").encode(),
        RELEASE.replace(" 10 ", " -10 ").encode(),
        RELEASE.replace(" 10 ", " ").encode(),
    ],
)
def test_what_vouches_for_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_release(data)


@pytest.mark.parametrize("extension", ["", ".gz", ".xz", ".zst", ".bz2"])
def test_indexes_are_read_whatever_their_compression(extension: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "_READ_BYTES", 50)
    packed = make.PACKERS[extension](PACKAGES)
    found = list(read_index(io.BytesIO(packed)))
    assert [(one.package, one.version, one.architecture, one.path, one.size_bytes) for one in found] == [
        ("a", "1", "amd64", "pool/main/a/a_1_amd64.deb", 9),
        ("d", "2", "all", "pool/main/d/d_2_all.deb", 8),
    ]
    one = find_path(io.BytesIO(packed), "pool/main/d/d_2_all.deb")
    assert one is not None
    assert one.sha256 == DIGEST
    assert find_path(io.BytesIO(packed), "pool/c.deb") is None
    assert list(read_index(io.BytesIO(b""))) == []


def test_damaged_indexes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid):
        list(read_index(io.BytesIO(make.PACKERS[".gz"](PACKAGES)[:-12])))
    monkeypatch.setattr(upstream, "MAX_INDEX_BYTES", 100)
    with pytest.raises(Invalid):
        list(read_index(io.BytesIO(make.PACKERS[".xz"](PACKAGES))))
    monkeypatch.undo()
    monkeypatch.setattr(upstream, "MAX_STANZA_BYTES", stanza.MAX_STANZA_BYTES // 1000)
    with pytest.raises(Invalid):
        list(read_index(io.BytesIO(b"Package: a\n" + b" x\n" * 1000)))


def test_the_files_of_a_source_package_are_in_its_directory() -> None:
    text = (
        f"Package: hello\nVersion: 1-1\nDirectory: pool/main/h/hello\nChecksums-Sha256:\n {DIGEST} 3 hello_1.dsc\n"
        f" {DIGEST} 4 ../x\n bad 5 y\nVcs: z\n"
    ).encode()
    (found,) = read_index(io.BytesIO(text))
    assert [(path, one.size_bytes) for path, one in source_files(found).items()] == [
        ("pool/main/h/hello/hello_1.dsc", 3)
    ]
