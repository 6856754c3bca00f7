"""The zip of a module: its hash, and what is refused."""

from __future__ import annotations

import io
import zipfile

import pytest

from application.archives.zips import ZipMalformed
from application.formats.go import archive
from application.formats.go.archive import ZipInvalid, go_mod_hash, read_zip, top_folder
from application.formats.go.gomod import MAX_GO_MOD_BYTES
from application.formats.go.metadata import (
    Facts,
    ModuleMismatch,
    NotIncompatible,
    decode_facts,
    encode_facts,
    read_release,
)
from application.formats.go.names import parse_module
from application.formats.go.versions import parse_version
from domain.errors import Invalid
from tests.samples.go import make

MODULE, VERSION = parse_module(make.MODULE), parse_version(make.VERSION)
TOP = f"{make.MODULE}@{make.VERSION}"


def read(data: bytes) -> archive.ModuleZip:
    return read_zip(io.BytesIO(data), MODULE, VERSION)


def test_hashes_are_those_of_go_sum() -> None:
    """As `go mod download` wrote them for these files."""
    data = make.pack([(f"{TOP}/go.mod", "module example.com/demo\n"), (f"{TOP}/demo.go", "package demo\n")])
    assert read(data).hash == "h1:vMJWsme7GyHI4vvEZLpPwkL/vTYnxkif5JbCUrnDHsw="
    assert go_mod_hash(b"module example.com/demo\n") == "h1:XRgozpurgI2W00EINozZ2ygfVpN11UFGFFtFCOwdSW0="


def test_the_hash_goes_by_names_and_contents_alone() -> None:
    one = make.pack([(f"{TOP}/a.go", "a"), (f"{TOP}/b.go", "b")])
    other = make.pack([(f"{TOP}/b.go", "b"), (f"{TOP}/a.go", "a")])
    assert one != other
    assert read(one).hash == read(other).hash
    assert read(one).hash != read(make.pack([(f"{TOP}/a.go", "b"), (f"{TOP}/b.go", "a")])).hash


def test_folders_are_part_of_a_hash_as_they_are_to_the_go_command() -> None:
    bare, with_folder = [(f"{TOP}/a/b.go", "b")], [(f"{TOP}/", ""), (f"{TOP}/a/", ""), (f"{TOP}/a/b.go", "b")]
    assert read(make.pack([*bare])).hash != read(make.pack([*with_folder])).hash


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["other@v1.0.0/a.go"], "is not below"),
        ([f"{TOP}"], "is not below"),
        ([f"{TOP}/a/../b.go"], "consists of dots"),
        ([f"{TOP}/a//b.go"], "a part is empty"),
        ([f"{TOP}//b.go"], "a part is empty"),
        ([f"{TOP}/a:b"], "some file system"),
        ([f"{TOP}/aux.go"], "Windows device"),
        ([f"{TOP}/a.go", f"{TOP}/A.go"], "differ in nothing but case"),
        ([f"{TOP}/a/x.go", f"{TOP}/A/y.go"], "differ in nothing but case"),
        ([f"{TOP}/a", f"{TOP}/a/b"], "both a file and a folder"),
        ([f"{TOP}/a/b", f"{TOP}/a"], "both a file and a folder"),
        ([f"{TOP}/sub/go.mod"], "is the go.mod of another module"),
        ([f"{TOP}/Go.Mod"], "is not called go.mod"),
        ([f"{TOP}/sub/GO.MOD"], "is the go.mod of another module"),
    ],
)
def test_names_that_are_refused(names: list[str], says: str) -> None:
    with pytest.raises(ZipInvalid) as fault:
        read(make.pack([(name, "") for name in names]))
    assert says in str(fault.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ZipInvalid, match="is there twice"):
        read(make.pack([(f"{TOP}/a.go", "1"), (f"{TOP}/a.go", "2")]))
    twice = [(f"{TOP}/a/", ""), (f"{TOP}/a/", ""), (f"{TOP}/a/b.go", "")]
    assert read(make.pack([*twice])).hash.startswith("h1:")


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZipInvalid, match="LICENSE has more than"):
        read(make.pack([(f"{TOP}/LICENSE", b"\0" * (archive.MAX_LICENSE_BYTES + 1))]))
    with pytest.raises(ZipInvalid, match=r"go\.mod has"):
        read(make.pack([(f"{TOP}/go.mod", b"\0" * (MAX_GO_MOD_BYTES + 1))]))
    monkeypatch.setattr(archive, "MAX_PATHS", 3)
    assert read(make.pack([(f"{TOP}/a/b/c", "")]))
    with pytest.raises(ZipInvalid, match="more than 3 files and folders"):
        read(make.pack([(f"{TOP}/a/b/c", ""), (f"{TOP}/d", "")]))


def test_bombs_links_and_odd_names_are_refused() -> None:
    bomb = make.pack([(f"{TOP}/zeros", b"\0" * (80 << 20))])
    for data, says in (
        (bomb, "it expands more than 100 times"),
        (make.pack([(make.link(f"{TOP}/link"), "go.mod")]), "is a link or a device"),
        (make.pack([(f"{TOP}/folder/", "contents")]), "has contents"),
        (make.pack([(f"{TOP}/ü.go", "")]).replace("ü".encode(), b"\xff\xff"), "damaged"),
    ):
        with pytest.raises(ZipMalformed) as fault:
            read(data)
        assert says in str(fault.value)


def test_a_name_in_no_declared_encoding_is_refused() -> None:
    data = bytearray(make.pack([(f"{TOP}/a.go", "")]))
    for at in (found for found in range(len(data)) if data[found : found + 4] == b"a.go"):
        data[at] = 0xE9
    with pytest.raises(ZipMalformed, match="neither ASCII nor declared"):
        read(bytes(data))


def test_a_damaged_content_is_refused() -> None:
    data = bytearray(make.pack([(f"{TOP}/a.go", "package a // with some text")]))
    data[len(TOP) + 40] ^= 0xFF
    with pytest.raises(ZipMalformed):
        read(bytes(data))


def test_stored_and_streamed_entries_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed, packed.open(f"{TOP}/a.go", "w") as entry:
        entry.write(b"a")
    assert read(buffer.getvalue()).hash == read(make.pack([(f"{TOP}/a.go", "a")])).hash


def test_the_first_entry_says_of_which_version_a_zip_is() -> None:
    assert top_folder(io.BytesIO(make.module())) == (make.MODULE, make.VERSION)
    assert top_folder(io.BytesIO(make.pack([("plain/file", "")]))) == ("", "")
    assert top_folder(io.BytesIO(make.pack([]))) == ("", "")


def test_a_release_is_read_and_its_facts_are_kept() -> None:
    more = "retract v0.9.0 // broken\nrequire example.com/other v1.2.3\n"
    mod = b"// Deprecated: use another\n" + make.go_mod(more=more)
    release = read_release(io.BytesIO(make.module(mod=mod)), MODULE, VERSION)
    facts = decode_facts(encode_facts(release))
    assert facts == release.facts
    assert facts is not None
    assert (facts.go, facts.deprecated, facts.go_mod_bytes) == ("1.19", "use another", len(mod))
    assert [(one.low, one.rationale) for one in facts.retracts] == [("v0.9.0", "broken")]
    assert [(one.path, one.version) for one in facts.requires] == [("example.com/other", "v1.2.3")]
    assert release.go_mod == mod
    assert decode_facts(b"{}") is None


def test_without_a_go_mod_the_version_may_be_incompatible_and_with_one_not() -> None:
    version = parse_version("v2.0.0+incompatible")
    bare = make.module(version=version, mod=b"")
    release = read_release(io.BytesIO(bare), MODULE, version)
    assert release.go_mod == b"module example.com/demo\n"
    assert isinstance(release.facts, Facts)
    with pytest.raises(NotIncompatible):
        read_release(io.BytesIO(make.module(version=version)), MODULE, version)
    with pytest.raises(ModuleMismatch):
        read_release(io.BytesIO(make.module(mod=make.go_mod("example.com/x"))), MODULE, VERSION)
    with pytest.raises(Invalid):
        read_release(io.BytesIO(b""), MODULE, VERSION)
