"""Documents of other repositories: what is read of them, and how several become one."""

from __future__ import annotations

import gzip
import io
from xml.etree import ElementTree as ET

import pytest

from application.formats.rpm.index import KINDS, Kind
from application.formats.rpm.merging import Chosen, document_of, merge_modules, merge_xml
from application.formats.rpm.names import Nevra
from application.formats.rpm.upstream import (
    Data,
    Told,
    checked_href,
    digest_of,
    read_packages,
    read_repomd,
    unpacked,
)
from application.formats.rpm.xml_stream import MAX_DEPTH, XmlInvalid
from tests.samples.rpm import make

GOLDEN = make.HERE.parents[1] / "golden" / "rpm"
SHA256 = "ab" * 32


def repomd(data: str) -> bytes:
    return f'<repomd xmlns="http://linux.duke.edu/metadata/repo">{data}</repomd>'.encode()


def listed(href: str, kind: str = "primary", digest: str = SHA256, algorithm: str = "sha256") -> str:
    return (
        f'<data type="{kind}"><checksum type="{algorithm}">{digest}</checksum><open-checksum type="sha256">{"0" * 64}'
        f'</open-checksum><location href="{href}"/><size>7</size></data>'
    )


def told(number: int = 1, name: str = "demo", href: str = "x.rpm") -> Told:
    return Told(str(number), Nevra(name, 0, "1", "1", "noarch"), f"<package>{number}</package>", href)


def test_a_list_says_where_documents_are_and_what_they_must_be() -> None:
    found = read_repomd(io.BytesIO(repomd(listed("./repodata/a.xml.gz") + listed("repodata/b.xml", "other"))))
    assert found == {
        "primary": Data("primary", "repodata/a.xml.gz", {"sha256": SHA256}, 7),
        "other": Data("other", "repodata/b.xml", {"sha256": SHA256}, 7),
    }
    sha1 = read_repomd(io.BytesIO(repomd(listed("repodata/a", digest="c" * 40, algorithm="sha"))))
    assert sha1["primary"].digests == {"sha1": "c" * 40}


@pytest.mark.parametrize(
    "data",
    [
        listed("http://elsewhere.example/a"),
        listed("//elsewhere.example/a"),
        listed("../a"),
        listed("a/%2e%2e/b"),
        listed("a//b"),
        listed("/a"),
        listed(""),
        listed(".index/a"),
        listed("a?b"),
        listed("a&#10;b"),
        listed("a", digest="0" * 63),
        listed("a", algorithm="crc32"),
    ],
)
def test_a_document_that_is_elsewhere_or_cannot_be_checked_is_not_listed(data: str) -> None:
    found = read_repomd(io.BytesIO(repomd(data + listed("repodata/b", "other"))))
    assert found.keys() == {"other"}


@pytest.mark.parametrize(
    "body", [b"", b"<html/>", b"<repomd>", repomd(""), repomd("<data/>"), b"<repomd/>", b"\xff\xfe"]
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(XmlInvalid):
        read_repomd(io.BytesIO(body))


@pytest.mark.parametrize("kind", KINDS)
def test_packages_are_written_as_they_were_read(kind: Kind) -> None:
    body = (GOLDEN / f"{kind}.xml").read_bytes()
    packages = list(read_packages(io.BytesIO(body), kind))
    assert [one.nevra.evr for one in packages] == ["1:1.0-1"] * 3
    assert [one.nevra.arch for one in packages] == ["noarch", "src", "noarch"]
    parts = document_of(kind, len(packages), (one.text for one in packages))
    again = gzip.decompress(b"".join(part.data for part in parts))
    assert ET.canonicalize(again, strip_text=True) == ET.canonicalize(body, strip_text=True)


def test_the_first_document_says_where_a_package_is() -> None:
    first, *_ = read_packages(io.BytesIO((GOLDEN / "primary.xml").read_bytes()), "primary")
    assert (first.href, first.base, first.size_bytes) == ("ak-hello-1.0-1.noarch.rpm", "", 7070)
    assert first.digests == {"sha256": first.pkgid}


def test_what_is_of_no_concern_here_is_left_out() -> None:
    body = (
        b'<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:x="urn:x" xmlns:r="http://linux.duke.edu/metadata/rpm">'
        b"<x:package><name>no</name></x:package><patch><name>no</name></patch><!-- <package> -->"
        b'<package type="rpm" x:mark="no"><name>de<![CDATA[mo]]></name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/>'
        b'<checksum type="sha256" pkgid="YES">aa</checksum><x:more><name>no</name></x:more>'
        b'<location xml:base="http://elsewhere.example/pub/" href="a%20b.rpm"/>'
        b"<format><r:license>A &lt; B</r:license></format></package></metadata>"
    )
    (one,) = read_packages(io.BytesIO(body), "primary")
    assert one.nevra == Nevra("demo", 0, "1", "1", "noarch")
    assert (one.href, one.base) == ("a b.rpm", "http://elsewhere.example/pub/")
    assert "no<" not in one.text
    assert 'href="a%20b.rpm"' in one.text
    assert "<rpm:license>A &lt; B</rpm:license>" in one.text


@pytest.mark.parametrize(
    "body",
    [
        b"<metadata><package>",
        b"<!DOCTYPE m [<!ENTITY a 'b'>]><metadata>&a;</metadata>",
        b'<!DOCTYPE m [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><metadata/>',
        b"<a>" * (MAX_DEPTH + 1),
        b'<metadata xmlns="http://linux.duke.edu/metadata/common"><package><name>x</name></package></metadata>',
    ],
)
def test_hostile_documents_are_refused(body: bytes) -> None:
    with pytest.raises(XmlInvalid):
        list(read_packages(io.BytesIO(body), "primary"))


def test_a_document_is_unpacked_as_its_name_says() -> None:
    assert unpacked(io.BytesIO(gzip.compress(b"abc")), "x.xml.gz").read(10) == b"abc"
    assert unpacked(io.BytesIO(b"abc"), "x.xml").read(10) == b"abc"


@pytest.mark.parametrize(("kind", "text"), [("sha256", "AB" * 32), ("sha256", f" {SHA256}\n")])
def test_digests_are_read_in_any_spelling(kind: str, text: str) -> None:
    assert digest_of(kind, text) == {"sha256": SHA256}


def test_an_address_may_have_spaces_and_no_way_out() -> None:
    assert checked_href("Packages/a%20b.rpm") == "Packages/a b.rpm"
    assert checked_href("http://[") == ""


# merging


def test_a_package_is_told_once() -> None:
    chosen = Chosen({"ours"}.__contains__)
    assert chosen.choose(0, told(), is_ours=False)
    assert not chosen.choose(1, told(2, href="y.rpm"), is_ours=True), "it is there already"
    assert not chosen.choose(1, told(3, "other"), is_ours=True), "its place is taken"
    assert not chosen.choose(0, told(4, "ours", "z.rpm"), is_ours=False), "the name is ours"
    assert chosen.choose(1, told(5, "ours", "z.rpm"), is_ours=True)
    assert not chosen.choose(1, told(6, "nowhere", ""), is_ours=True)
    assert chosen.count == 2
    assert chosen.is_chosen(0, told())
    assert not chosen.is_chosen(1, told())


def test_modules_are_one_behind_the_other() -> None:
    assert merge_modules([b"---\na: 1\n...", b"b: 2\n\n"]) == b"---\na: 1\n...\n---\nb: 2\n"


def test_of_two_advisories_with_one_id_the_first_counts() -> None:
    first = b"<updates><update><id>A</id><title>1</title></update></updates>"
    second = b"<updates><update><id>A</id><title>2</title></update><update x='\"'><id>B</id></update></updates>"
    broken = (b"<updates><update>", b"<comps/>", b"")
    merged = ET.fromstring(merge_xml("updates", map(io.BytesIO, (first, *broken, second))))
    assert [(update.findtext("id"), update.findtext("title")) for update in merged] == [("A", "1"), ("B", None)]
    assert merged[1].attrib == {"x": '"'}
