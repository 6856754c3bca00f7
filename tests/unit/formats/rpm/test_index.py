"""The documents of a repository: fragments, pieces, spans, and the list of them."""

from __future__ import annotations

import gzip
import hashlib
import io
from typing import Any
from xml.etree import ElementTree as ET

from application.formats.rpm.fragments import make_fragments, primary_of
from application.formats.rpm.generation import MAX_SPAN, cut
from application.formats.rpm.index import (
    KINDS,
    Listed,
    Measured,
    file_name,
    foot,
    head,
    make_part,
    make_piece,
    render_repomd,
)
from application.formats.rpm.memory import Memory
from application.formats.rpm.metadata import read_package
from tests.samples.rpm import make

RPM = "{http://linux.duke.edu/metadata/rpm}"


def told(**options: Any) -> tuple[str, str, str]:
    package = read_package(io.BytesIO(make.rpm(**options)))
    fragments = make_fragments(package, "ab" * 32, 1234)
    return primary_of(fragments, f"packages/{package.nevra.filename}", 77), fragments.filelists, fragments.other


def parsed(kind: str, pieces: list[tuple[str, str, str]]) -> ET.Element:
    number = KINDS.index(kind)
    parts = [head(KINDS[number], len(pieces)), *(make_part(one[number]) for one in pieces), foot(KINDS[number])]
    return ET.fromstring(gzip.decompress(b"".join(part.data for part in parts)))


def test_members_of_gzip_are_one_document() -> None:
    pieces = [told(), told(name="other", files=["/etc/x", "/usr/share/y"])]
    for kind in KINDS:
        root = parsed(kind, pieces)
        assert (root.attrib["packages"], len(root)) == ("2", 2)


def test_what_a_package_says_stays_text() -> None:
    evil = "</description></package>&<\"'\n]]>"
    tags = {
        make.DESCRIPTION: (make.STRING, evil),
        **make.relation(1054, 1053, 1055, [('a" flags="EQ', 8, '1" x="')]),
        1080: (make.INT32, [1]),
        1081: (make.ARRAY, [evil]),
        1082: (make.ARRAY, [evil]),
    }
    pieces = [told(tags=tags, files=['/etc/<&"'])]
    root = parsed("primary", pieces)
    assert [element.text for element in root.iter() if element.tag.endswith("}description")] == [evil]
    (conflict,) = root.iter(f"{RPM}conflicts")
    assert conflict[0].attrib == {"name": 'a" flags="EQ', "flags": "EQ", "epoch": "0", "ver": '1" x="'}
    assert [element.text for element in parsed("filelists", pieces).iter() if element.tag.endswith("}file")] == [
        '/etc/<&"'
    ]
    (change,) = (element for element in parsed("other", pieces).iter() if element.tag.endswith("}changelog"))
    assert (change.attrib["author"], change.text) == (evil, evil)


def test_a_document_is_measured_as_it_goes_by() -> None:
    measured, parts = Measured("other"), [make_part("abc"), make_part("de")]
    for part in parts:
        measured.add(part)
    data = b"".join(part.data for part in parts)
    assert measured.listed() == Listed(
        type="other",
        name="other.xml.gz",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        open_sha256=hashlib.sha256(b"abcde").hexdigest(),
        open_bytes=5,
    )


def test_a_piece_counts_its_packages() -> None:
    assert make_piece([told(), told(name="other")]).packages == 2


def test_the_list_names_each_document_by_revision_and_digest() -> None:
    listed = Listed(
        type="primary", name="primary.xml.gz", sha256="ab" * 32, size_bytes=5, open_sha256="cd" * 32, open_bytes=9
    )
    plain = Listed(type="group", name="comps.xml", sha256="ef" * 32, size_bytes=7)
    root = ET.fromstring(render_repomd(12, 1_700_000_000, [listed, plain]))
    space = {"r": "http://linux.duke.edu/metadata/repo"}
    assert root.findtext("r:revision", namespaces=space) == "12"
    first, second = root.findall("r:data", space)
    assert {child.tag.partition("}")[2]: child.text or child.attrib for child in first} == {
        "checksum": "ab" * 32,
        "open-checksum": "cd" * 32,
        "location": {"href": f"repodata/12-{'ab' * 32}-primary.xml.gz"},
        "timestamp": "1700000000",
        "size": "5",
        "open-size": "9",
    }
    assert second.find("r:open-checksum", space) is None
    assert file_name(12, plain) == f"12-{'ef' * 32}-comps.xml"


def test_one_more_package_changes_one_span() -> None:
    outline = [(f"packages/p{number:05d}-1.0-1.noarch.rpm", number) for number in range(5_000)]
    before = cut(outline)
    assert sum(span.count for span in before) == len(outline)
    assert max(span.count for span in before) <= MAX_SPAN
    for changed in (
        sorted([*outline, ("packages/p02500-2.0-1.noarch.rpm", 9_999)]),
        [(path, 9_999 if since == 2_500 else since) for path, since in outline],
        [one for one in outline if one[1] != 2_500],
    ):
        keys = {span.key for span in before}
        assert len({span.key for span in cut(changed)} - keys) <= 2


def test_spans_follow_each_other() -> None:
    outline = [(f"packages/{number}", 1) for number in range(1_000)]
    spans = cut(sorted(outline))
    at = 0
    for span in spans:
        assert span.after == (sorted(outline)[at - 1][0] if at else "")
        at += span.count
    assert cut([]) == []


def test_memory_keeps_within_its_weight() -> None:
    memory: Memory[int, str] = Memory(100)
    for number in range(50):
        memory.put(number, "x", 10)
    kept = [number for number in range(50) if memory.get(number) is not None]
    assert len(kept) == 10
    memory.put(kept[0], "y", 10)
    assert memory.get(kept[0]) == "x", "what is there already stays"
