"""Reading .deb, .dsc and .changes: good ones of every kind, and what is refused."""

from __future__ import annotations

import io
import tarfile

import pytest

from application.formats.debian import metadata
from application.formats.debian.metadata import read_binary
from application.formats.debian.sources import read_changes, read_source
from domain.errors import Invalid
from tests.samples.debian import make


@pytest.mark.parametrize("packing", make.PACKERS)
def test_every_compression_is_read(packing: str) -> None:
    found = read_binary(io.BytesIO(make.deb(packing=packing)))
    assert (found.package, found.version, found.architecture) == ("hello", "1.0-1", "amd64")
    assert found.paths == (b"usr/share/doc/hello/greeting",)
    assert (found.section, found.description, found.source) == ("misc", "the package hello", "hello")


def test_links_and_odd_names_are_listed_and_folders_are_not() -> None:
    long = "usr/share/" + "x" * 150
    data = make.tar(
        [
            make.folder("./usr/"),
            make.link("./usr/link", "greeting"),
            ("./usr/with space", b""),
            (f"./{long}", b"1"),
            ("./bad\nname", b""),
            ("./ütf", b""),
        ]
    )
    control = make.PACKERS[".xz"](make.tar([("control", make.control().encode())]))
    members = [("debian-binary", b"2.0\n"), ("_odd", b"x"), ("control.tar.xz", control), ("data.tar", data)]
    found = read_binary(io.BytesIO(make.ar([*members, ("_gpgorigin", b"signature")])))
    assert found.paths == tuple(sorted((b"usr/link", b"usr/with space", long.encode(), "ütf".encode())))


def test_pax_names_are_listed() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("./" + "ü" * 120))
    control = make.tar([("./control", make.control().encode())])
    members = [("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", buffer.getvalue())]
    assert read_binary(io.BytesIO(make.ar(members))).paths == (("ü" * 120).encode(),)


def test_of_large_packages_the_checksums_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_LISTED_BYTES", 2_000)
    files = {"usr/bin/a": b"x" * 10_000, "usr/bin/b c": b"y"}
    assert read_binary(io.BytesIO(make.deb(files=files))).paths == (b"usr/bin/a", b"usr/bin/b c")


def test_the_source_package_may_have_another_name_and_version() -> None:
    assert read_binary(io.BytesIO(make.deb(Source="other (2:1.0-1)"))).source == "other"


def test_the_name_comes_first_and_unknown_fields_stay() -> None:
    text = make.control(Phased_Update_Percentage="10").replace("Package: hello\n", "") + "Package: hello\n"
    stanza = read_binary(io.BytesIO(make.deb(text=text))).stanza
    assert stanza.fields[0] == ("Package", "hello")
    assert stanza.get("Phased-Update-Percentage") == "10"


_CONTROL = make.tar([("./control", make.control().encode())])
_DATA = make.tar([("./a", b"")])
_GOOD = [("debian-binary", b"2.0\n"), ("control.tar", _CONTROL), ("data.tar", _DATA)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not begin"),
        (b"!<arch>\n", "expected debian-binary"),
        (make.ar(_GOOD)[:-600], "ends behind"),
        (make.ar(_GOOD)[:90], "no header"),
        (make.ar([*_GOOD, ("data.tar", _DATA)]), "expected debian-binary"),
        (make.ar([_GOOD[1], _GOOD[0], _GOOD[2]]), "expected debian-binary"),
        (make.ar([("debian-binary", b"3.0\n"), *_GOOD[1:]]), "format is not 2.0"),
        (make.ar([_GOOD[0], ("control.tar.bz2", b""), _GOOD[2]]), "control.tar.bz2"),
        (make.ar([_GOOD[0], ("control.tar.gz", b"xyz"), _GOOD[2]]), "damaged"),
        (make.ar([_GOOD[0], ("control.tar", _DATA), _GOOD[2]]), "no file control"),
        (make.ar([_GOOD[0], ("control.tar", make.tar([("control", b"x"), ("./control", b"y")])), _GOOD[2]]), "twice"),
        (make.ar([_GOOD[0], ("control.tar", make.tar([make.link("control", "x")])), _GOOD[2]]), "no file"),
        (make.ar([*_GOOD[:2], ("data.tar.xz", b"broken")]), "data.tar.xz"),
        (make.ar([*_GOOD[:2], ("data.tar.zst", b"broken")]), "data.tar.zst"),
        (make.ar([*_GOOD[:2], ("data.tar.gz", make.PACKERS[".gz"](_DATA)[:-20])]), "ends too early"),
        (make.ar([*_GOOD[:2], ("data.tar", b"x" * 512)]), "header is damaged"),
        (make.deb(Architecture="any"), "architecture"),
        (make.deb(Version="1 0"), "version"),
        (make.deb(Version="1.0-"), "version"),
        (make.deb(Source="../x"), "package"),
    ],
)
def test_broken_packages_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read_binary(io.BytesIO(data))


def test_a_small_package_that_unpacks_to_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_CONTROL_TAR_BYTES", 1 << 20)
    bomb = make.PACKERS[".xz"](make.tar([("./large", bytes(4 << 20)), ("./control", make.control().encode())]))
    with pytest.raises(Invalid, match="unpacks to more than"):
        read_binary(io.BytesIO(make.ar([_GOOD[0], ("control.tar.xz", bomb), _GOOD[2]])))


def test_a_source_package_names_its_files_with_their_digests() -> None:
    files = make.source()
    name, dsc = next(iter(files.items()))
    for data in (dsc, make.clearsigned(dsc)):
        found = read_source(data)
        assert (found.package, found.version) == ("hello", "1.0-1")
        assert [file.name for file in found.files] == [one for one in files if one != name]
        assert "Files" not in dict(found.stanza.fields)
        assert found.stanza.fields[0] == ("Package", "hello")


def test_a_changes_file_says_where_to() -> None:
    found = read_changes(make.changes({"a_1_all.deb": b"x"}, suites="unstable testing unstable", section="contrib/net"))
    assert found.distributions == ("unstable", "testing")
    assert (found.files[0].name, found.files[0].section, found.files[0].size_bytes) == ("a_1_all.deb", "contrib/net", 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Checksums-Sha256:", b"X-Other:"),
        (b" 1 a.deb\nChecksums-Sha256", b" 2 a.deb\nChecksums-Sha256"),
        (b"a.deb", b"../a.deb"),
        (b"a.deb", b"a b.deb"),
        (b"Distribution: stable", b"Distribution: ../x"),
        (b"Distribution: stable\n", b""),
        (b"Source: hello", b"Source: Hello"),
        (b"Version: 1.0-1", b"Version: -"),
        (b"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", b"2d71"),
        (b" misc optional", b" misc"),
    ],
)
def test_lists_that_disagree_or_lead_elsewhere_are_refused(before: bytes, after: bytes) -> None:
    data = make.changes({"a.deb": b"x"})
    assert before in data
    with pytest.raises(Invalid):
        read_changes(data.replace(before, after))
