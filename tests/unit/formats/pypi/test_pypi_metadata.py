import gzip
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from application.formats.pypi.faults import DistributionInvalid
from application.formats.pypi.metadata import Distribution, agree, read_distribution
from application.formats.pypi.names import FilenameInvalid
from tests.samples.pypi.make import (
    RawMember,
    Sample,
    metadata_text,
    pack_tar,
    pack_zip,
    raw_members,
    raw_zip,
    record_line,
    sdist,
    sdist_files,
    tar_member,
    wheel,
    wheel_files,
    zip_sdist,
)

WHEEL = "demo-1.0-py3-none-any.whl"
SDIST = "demo-1.0.tar.gz"


def read(sample: Sample) -> Distribution:
    return read_distribution(sample.file, sample.filename)


def refused(content: bytes, filename: str = WHEEL) -> str:
    with pytest.raises(DistributionInvalid) as caught:
        read_distribution(io.BytesIO(content), filename)
    assert caught.value.filename == filename
    return str(caught.value)


def test_a_wheel_is_read_with_its_metadata_verbatim() -> None:
    metadata = metadata_text(
        "Demo.Pkg-x",
        "2.0rc1",
        fields=(
            ("Summary", "Ünïcode & <b>bold</b>"),
            ("Requires-Python", ">=3.8"),
            ("Requires-Dist", "requests>=2; extra == 'net'"),
            ("Provides-Extra", "net"),
            ("Classifier", "Programming Language :: Python"),
            ("Keywords", "a,b"),
            ("Project-URL", "Home, https://example.org"),
            ("License-Expression", "MIT"),
            ("X-Unknown", "kept aside"),
        ),
        description="# Title\n",
    )
    found = read(wheel("Demo.Pkg-x", "2.0rc1", metadata=metadata))
    assert (found.kind, found.filetype, found.python_tag) == ("wheel", "bdist_wheel", "py3")
    assert (found.name, found.normalised, found.version, found.canonical) == (
        "Demo.Pkg-x",
        "demo-pkg-x",
        "2.0rc1",
        "2rc1",
    )
    assert found.metadata == metadata
    assert found.metadata_reliable
    assert found.requires_python == ">=3.8"
    assert found.summary == "Ünïcode & <b>bold</b>"
    assert found.fields.requires_dist == ("requests>=2; extra == 'net'",)
    assert found.fields.provides_extra == ("net",)
    assert found.fields.keywords == ("a", "b")
    assert found.fields.project_urls == {"Home": "https://example.org"}
    assert found.fields.license_expression == "MIT"
    assert found.fields.description == "# Title\n"


@pytest.mark.parametrize("make", [sdist, zip_sdist])
def test_an_sdist_is_read_and_its_metadata_offered_from_2_2_on(make: Callable[..., Sample]) -> None:
    new = read(make(metadata=metadata_text(metadata_version="2.2")))
    old = read(make(metadata=metadata_text(metadata_version="2.1")))
    assert (new.kind, new.filetype, new.python_tag) == ("sdist", "sdist", "source")
    assert new.metadata == metadata_text(metadata_version="2.2")
    assert (new.metadata_reliable, old.metadata_reliable) == (True, False)
    assert old.version == "1.0"


def test_metadata_of_old_tools_are_accepted() -> None:
    # bdist_wheel wrote 2.0 until 2018, setuptools License-File below 2.4.
    for version, fields in (
        ("2.0", ()),
        ("2.1", (("License-File", "../LICENSE"),)),
        ("1.1", (("License", "UNKNOWN"),)),
    ):
        assert read(wheel(metadata=metadata_text(metadata_version=version, fields=fields))).version == "1.0"


def test_a_folded_requires_python_comes_on_one_line() -> None:
    metadata = metadata_text(fields=(("Requires-Python", ">=3.8,\n  <4"),))
    assert read(wheel(metadata=metadata)).requires_python == ">=3.8, <4"


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (metadata_text("other"), "METADATA: name: 'other', but the file is one of demo"),
        (metadata_text(version="1.1"), "METADATA: version: '1.1', but the file is of 1"),
        (metadata_text(metadata_version="3.0"), "Metadata-Version: '3.0' is not known"),
        (b"Name: demo\nVersion: 1.0\n", "Metadata-Version: missing"),
        (b"", "METADATA: Metadata-Version: missing"),
        (b"\xff\xfe garbage", "METADATA: Metadata-Version: missing"),
        (metadata_text(fields=(("Name", "evil"),)), "METADATA: Name: repeated"),
        (metadata_text(fields=(("Requires-Python", "three"),)), "METADATA: Requires-Python: 'three' is invalid"),
        (metadata_text(fields=(("Requires-Dist", "a b c"),)), "METADATA: Requires-Dist: "),
        (metadata_text(fields=(("Requires-Dist", "a; " + "(" * 5000),)), "METADATA: Requires-Dist: "),
        (metadata_text(fields=(("Provides-Extra", "é"),)), "METADATA: Provides-Extra: "),
        (metadata_text(fields=(("Summary", "one\n two"),)), "METADATA: Summary: "),
        (metadata_text(fields=(("License-Expression", "(" * 5000),)), "METADATA: License-Expression: "),
        (metadata_text(fields=(("License-File", "../../etc/passwd"),)), "METADATA: License-File: "),
        (metadata_text(fields=(("Author", "a\x00b"),)), "METADATA: contains a NUL byte"),
        (metadata_text(fields=(("Author", "a\rRequires-Dist: evil"),)), "carriage return inside a header line"),
        (metadata_text(fields=(("Content-Transfer-Encoding", "base64"),), description="ZXZpbA=="), "no core metadata"),
        (metadata_text(fields=tuple((f"X-{n}", "") for n in range(300))), "more than 100 kinds of fields"),
        (metadata_text().replace(b"demo", b"d\xe9mo"), "METADATA: Name: repeated, malformed or not UTF-8"),
        (metadata_text(description="x" * (4 << 20)), "at most 4194304 are read"),
    ],
)
def test_faulty_metadata_are_refused_with_file_and_field(metadata: bytes, said: str) -> None:
    assert said in refused(wheel(metadata=metadata).content)


def test_all_faults_are_told_at_once() -> None:
    metadata = metadata_text("other", "x", fields=(("Requires-Python", "three"), ("Provides-Extra", "-")))
    message = refused(wheel(metadata=metadata).content)
    assert all(field in message for field in ("Version", "Requires-Python", "Provides-Extra"))
    files = wheel_files(metadata=metadata) | {"demo/__init__.py": b"changed"}
    assert "another sha256 hash" in refused(pack_zip(files))


def test_costly_metadata_are_refused_quickly() -> None:
    lines = b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n"
    many = lines + b"".join(b"X%d:\n" % number for number in range(400_000))
    assert "header lines" in refused(wheel(metadata=many).content)
    assert "more than 5000 requirements" in refused(wheel(metadata=lines + b"Requires-Dist: a\n" * 5_001).content)


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL", "RECORD"])
def test_a_wheel_without_its_own_files_is_refused(missing: str) -> None:
    files = wheel_files()
    del files[f"demo-1.0.dist-info/{missing}"]
    assert f"demo-1.0.dist-info/{missing}: missing" in refused(pack_zip(files))


def test_a_wheel_has_one_dist_info_of_its_own() -> None:
    files = wheel_files()
    assert "has 2" in refused(pack_zip(files | {"other-1.0.dist-info/METADATA": b""}))
    assert "has 2" in refused(pack_zip(files | {"DEMO-1.0.DIST-INFO/METADATA": b""}))
    assert "has 0" in refused(pack_zip({"demo/__init__.py": b""}))
    assert "does not belong" in refused(pack_zip(wheel_files("other")))
    assert "does not belong" in refused(pack_zip(wheel_files(version="1.1")))
    assert "only in case" in refused(pack_zip(wheel_files(extra={"demo-1.0.dist-info/metadata": b""})))


def test_a_wheel_of_a_future_format_is_refused() -> None:
    files = wheel_files()
    files["demo-1.0.dist-info/WHEEL"] = b"Wheel-Version: 2.0\n"
    assert "WHEEL: does not state Wheel-Version 1.x" in refused(pack_zip(files))


def with_record(change: Callable[[str], str]) -> bytes:
    files = wheel_files()
    record = files["demo-1.0.dist-info/RECORD"].decode()
    return pack_zip(files | {"demo-1.0.dist-info/RECORD": change(record).encode()})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("sha256=", "md5="), "no hash of an acceptable kind"),
        (lambda text: text.split("\n", 1)[1], "does not list 'demo/__init__.py'"),
        (lambda text: text + "ghost.py,sha256=abc,3\n", "lists 'ghost.py', which is not in the wheel"),
        (lambda text: text.replace("__init__.py,sha256=", "__init__.py,sha256=x"), "another sha256 hash"),
        (lambda text: text.replace(",20\n", ",21\n"), "gives 'demo/__init__.py' '21' bytes; it has 20"),
        (lambda text: text + text.split("\n", 1)[0] + "\n", "lists a file twice"),
        (lambda text: "one,two\n" + text, "malformed"),
        (lambda text: text + '"' + "x" * 200_000, "not a table"),
        (lambda text: "demo/__init__.py,,\n" + text.split("\n", 1)[1], "no hash of an acceptable kind"),
    ],
)
def test_a_record_that_is_not_true_is_refused(change: Callable[[str], str], said: str) -> None:
    assert said in refused(with_record(change))


def test_signatures_of_record_and_folders_need_no_line() -> None:
    files = wheel_files() | {"demo-1.0.dist-info/RECORD.jws": b"signature", "demo/data/": b""}
    assert read(Sample(WHEEL, pack_zip(files))).version == "1.0"


Change = Callable[[list[RawMember]], list[RawMember]]


def raw(change: Change | None = None, **options: bytes) -> bytes:
    members = raw_members(wheel_files())
    return raw_zip(change(members) if change else members, **options)


def test_a_zip_written_by_hand_is_accepted() -> None:
    assert read(Sample(WHEEL, raw())).version == "1.0"
    assert read(Sample(WHEEL, pack_zip(wheel_files(), stored=True))).version == "1.0"


def first(**changes: Any) -> Change:
    return lambda members: [members[0]._replace(**changes), *members[1:]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a zip archive"),
        (b"PK\5\6", "not a zip archive"),
        (raw()[:-1], "not a zip archive"),
        (raw()[: len(raw()) // 2], "not a zip archive"),
        (raw(tail=b"trailing"), "not a zip archive"),
        (raw(prefix=b"#!/bin/sh\n"), "belong to no member"),
        (raw(before_directory=b"gap"), "belong to no member"),
        (raw(first(padding_before=b"gap")), "belong to no member"),
        (raw(lambda members: [*members, RawMember(b"hidden.py", b"x", listed=False)]), "belong to no member"),
        (raw(lambda members: [*members, RawMember(members[0].name, b"evil")]), "two members are named"),
        (raw(first(local_name=b"demo/__evil__.py")), "disagrees with the central directory"),
        (raw(first(local_crc=1)), "disagrees with the central directory"),
        (raw(first(local_size=1)), "disagrees with the central directory"),
        (raw(first(local_size=1, central_size=1)), "longer than its header states"),
        (raw(first(local_size=99, central_size=99)), "shorter than its header states"),
        (raw(first(packed_tail=b"junk")), "do not end where its header states"),
        (raw(first(method=12)), "compression method 12"),
        (raw(first(method=0, packed_tail=b"x")), "its two sizes differ"),
        (raw(first(flags=1)), "encrypted"),
        (raw(first(flags=8)), "data descriptor"),
        (raw(first(flags=0x20)), "features of zip"),
        (raw(first(needed=64)), "features of zip"),
        (raw(first(name=b"../evil.py")), "not a plain relative path"),
        (raw(first(name=b"/etc/passwd")), "not a plain relative path"),
        (raw(first(name=b"C:/evil.py")), "not a plain relative path"),
        (raw(first(name=b"a//b")), "not a plain relative path"),
        (raw(first(name=b"demo\\evil.py")), "backslash"),
        (raw(first(name=b"demo/\x00.py")), "control character"),
        (raw(first(name=b"")), "empty or overlong"),
        (raw(first(name=b"a/" * 100 + b"b")), "folders deep"),
        (raw(first(name="é.py".encode())), "neither ASCII nor declared UTF-8"),
        (raw(first(name=b"\xff.py", flags=0x800)), "neither ASCII nor declared UTF-8"),
        (raw(first(name=b"demo-1.0.dist-info/METADATA/x")), "two members are named|lies inside a file"),
        (raw(first(central_extra=b"\x75\x70\x04\x00evil")), "rename it"),
        (raw(first(central_extra=b"\x01\x00\x08\x00" + b"\0" * 8)), "ZIP64 field"),
        (raw(first(central_extra=b"\x01")), "extra data"),
        (raw(first(name=b"folder/", method=0)), "has contents"),
        (pack_zip(wheel_files(), comment=b"PK\5\6" + b"\0" * 18), "central directory|not where"),
    ],
)  # fmt: skip
def test_a_zip_that_readers_take_differently_is_refused(content: bytes, said: str) -> None:
    message = refused(content)
    assert any(part in message for part in said.split("|")), message


def test_a_damaged_stream_is_refused() -> None:
    content = bytearray(pack_zip(wheel_files(extra={"demo/big.py": b"print()\n" * 1000})))
    at = content.index(b"demo/big.py") + len("demo/big.py")
    content[at : at + 8] = b"\xff" * 8
    assert "damaged" in refused(bytes(content))
    swapped = bytearray(pack_zip(wheel_files(), stored=True))
    swapped[swapped.index(b"__version__")] ^= 1
    assert "does not match its CRC" in refused(bytes(swapped))


def test_a_zip_bomb_is_refused_without_being_inflated() -> None:
    bomb = pack_zip(wheel_files(extra={"demo/zeros": b"\0" * (65 << 20)}))
    tracemalloc.start()
    try:
        assert "expands to more than 50 times its size" in refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_member_that_inflates_to_more_than_it_states_costs_no_memory() -> None:
    content = raw_zip(
        [*raw_members(wheel_files()), RawMember(b"demo/zeros", b"\0" * (64 << 20), local_size=9, central_size=9)]
    )
    files = wheel_files()
    record = files["demo-1.0.dist-info/RECORD"] + record_line("demo/zeros", b"\0" * 9).encode()
    members = [RawMember(b"demo/zeros", b"\0" * (64 << 20), local_size=9, central_size=9)]
    content = raw_zip(raw_members(files | {"demo-1.0.dist-info/RECORD": record}) + members)
    tracemalloc.start()
    try:
        assert "longer than its header states" in refused(content)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    files = [(tar_member(path, content), content) for path, content in sdist_files().items()]
    return pack_tar([*files, *members])


def test_links_that_stay_inside_an_sdist_are_accepted() -> None:
    content = tar_of(
        (tar_member("demo-1.0/LINK", kind=tarfile.SYMTYPE, target="demo/__init__.py"), b""),
        (tar_member("demo-1.0/demo/up", kind=tarfile.SYMTYPE, target="../PKG-INFO"), b""),
        (tar_member("demo-1.0/hard", kind=tarfile.LNKTYPE, target="demo-1.0/PKG-INFO"), b""),
    )
    assert read(Sample(SDIST, content)).version == "1.0"


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_dialect_is_read(tar_format: int) -> None:
    long = "demo-1.0/" + "folder/" * 12 + "long_" + "x" * (90 if tar_format == tarfile.USTAR_FORMAT else 200)
    assert read(Sample(SDIST, pack_tar(sdist_files() | {long: b"data"}, tar_format=tar_format))).version == "1.0"


def pax(**headers: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tar_member("demo-1.0/a")
    member.pax_headers = headers
    return member, b""


def retar(change: Callable[[bytes], bytes]) -> bytes:
    return gzip.compress(change(gzip.decompress(sdist().content)), mtime=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut short"),
        (b"not gzip", "not a gzip file"),
        (gzip.compress(b"", mtime=0), "without its end mark"),
        (gzip.compress(b"\0" * 1024, mtime=0), "archive is empty"),
        (sdist().content[:-1], "cut short"),
        (sdist().content[:-9] + b"\0" * 9, "damaged|cut short"),
        (sdist().content + b"tail", "follow the end of the gzip stream"),
        (sdist().content + gzip.compress(b"", mtime=0), "follow the end of the gzip stream"),
        (sdist().content + sdist().content, "follow the end of the gzip stream"),
        (retar(lambda tar: tar.rstrip(b"\0")), "without its end mark"),
        (retar(lambda tar: tar + b"x"), "follow the end of the tar"),
        (retar(lambda tar: tar + tar), "follow the end of the tar"),
        (retar(lambda tar: b"\1" + tar[1:]), "header is damaged"),
        (tar_of((tar_member("demo-1.0/PKG-INFO", b"evil"), b"evil")), "two members are named"),
        (tar_of((tar_member("demo-1.0/PKG-INFO/x", b""), b"")), "lies inside a file"),
        (tar_of((tar_member("other/x", b""), b"")), "exactly one top folder"),
        (tar_of((tar_member("../evil", b""), b"")), "not a plain relative path"),
        (tar_of((tar_member("/etc/evil", b""), b"")), "not a plain relative path"),
        (tar_of((tar_member("demo-1.0/../../evil", b""), b"")), "not a plain relative path"),
        (tar_of((tar_member("demo-1.0/l", kind=tarfile.SYMTYPE, target="../../etc/passwd"), b"")), "points outside"),
        (tar_of((tar_member("demo-1.0/l", kind=tarfile.SYMTYPE, target="/etc/passwd"), b"")), "points outside"),
        (tar_of((tar_member("demo-1.0/l", kind=tarfile.LNKTYPE, target="etc/passwd"), b"")), "points outside"),
        (tar_of((tar_member("demo-1.0/l", kind=tarfile.SYMTYPE, target="demo"), b""),
                (tar_member("demo-1.0/l/x", b""), b"")), "lies inside a file or a link"),
        (tar_of((tar_member("demo-1.0/dev", kind=tarfile.CHRTYPE), b"")), "neither a file"),
        (tar_of((tar_member("demo-1.0/fifo", kind=tarfile.FIFOTYPE), b"")), "neither a file"),
        (tar_of(pax(path="../../evil")), "not a plain relative path"),
        (tar_of(pax(size="4096")), "stated twice"),
        (tar_of(pax(**{"GNU.sparse.major": "1"})), "sparse"),
        (tar_of(pax(comment="x" * 70_000)), "extended header"),
        (pack_tar({"demo-1.0/setup.py": b""}), "PKG-INFO: missing"),
        (pack_tar({"PKG-INFO": metadata_text()}), "PKG-INFO/PKG-INFO: missing"),
        (pack_tar(sdist_files(metadata=b"x" * (5 << 20))), "at most 4194304"),
        (pack_tar(sdist_files(metadata=metadata_text("other"))), "PKG-INFO: name"),
    ],
)  # fmt: skip
def test_a_tar_that_is_hostile_or_broken_is_refused(content: bytes, said: str) -> None:
    message = refused(content, SDIST)
    assert any(part in message for part in said.split("|")), message


def test_a_tar_bomb_is_refused_early_and_in_little_memory() -> None:
    packer = zlib.compressobj(9, wbits=31)
    header = tar_member("demo-1.0/zeros", b"")
    header.size = 200 << 20
    bomb = packer.compress(header.tobuf())
    bomb += b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(200)) + packer.flush()
    tracemalloc.start()
    try:
        assert "expands to more than 50 times its size" in refused(bomb, SDIST)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_gzip_and_zip_at_once_is_refused() -> None:
    # A stored block of the gzip stream holds an end record whose comment swallows the gzip trailer.
    zipped = pack_zip(wheel_files())
    plain = gzip.decompress(sdist().content)
    packer = zlib.compressobj(0, wbits=31)
    content = packer.compress(plain + zipped[:-2] + b"\x08\x00") + packer.flush()
    assert "both a tar and a zip" in refused(content, SDIST)


def test_a_zip_named_as_a_tar_and_a_tar_named_as_a_wheel_are_refused() -> None:
    assert "both a tar and a zip" in refused(wheel().content, SDIST)
    assert "not a zip archive" in refused(sdist().content, WHEEL)
    with pytest.raises(FilenameInvalid):
        read_distribution(wheel().file, "demo-1.0.exe")


def form(**changes: list[str]) -> dict[str, list[str]]:
    fields = {"name": ["Demo"], "version": ["1.0.0"], "filetype": ["bdist_wheel"]}
    return fields | changes


def test_a_form_that_means_the_same_project_agrees() -> None:
    agree(form(), read(wheel()))
    agree(form(name=["dEMO"], version=["v1"], filetype=[]), read(wheel()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ["other"]}, "form: name: 'other', but the file is one of demo"),
        ({"version": ["1.1"]}, "form: version: '1.1', but the file is of 1"),
        ({"name": []}, "form: name: missing"),
        ({"version": ["1.0", "1.0"]}, "form: version: given more than once"),
        ({"name": ["../x"]}, "form: name: '../x' is not a valid project name"),
        ({"version": ["one"]}, "form: version: 'one' is not a valid version"),
        ({"filetype": ["sdist"]}, "form: filetype: 'sdist', but the file is a bdist_wheel"),
    ],
)
def test_a_form_that_speaks_of_another_file_is_refused(changes: dict[str, list[str]], said: str) -> None:
    with pytest.raises(DistributionInvalid) as caught:
        agree(form(**changes), read(wheel()))
    assert said in str(caught.value)
