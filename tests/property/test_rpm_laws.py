"""Laws of the RPM format: versions are totally ordered, as for rpm itself; any bytes are read or refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.formats.rpm.evr import compare_evr, order_key, parse_evr, rpmvercmp
from application.formats.rpm.extras import EXTRAS, check_extra
from application.formats.rpm.fragments import make_fragments, primary_of
from application.formats.rpm.header import read_structure
from application.formats.rpm.index import KINDS, foot, head
from application.formats.rpm.integrity import verify
from application.formats.rpm.merging import merge_xml
from application.formats.rpm.metadata import package_of
from application.formats.rpm.signatures import read_signature
from application.formats.rpm.upstream import read_packages, read_repomd, unpacked
from application.ports import Spooled
from domain.errors import Invalid
from tests.samples.rpm import make

versions = st.text(alphabet="0123456789abAB.~^_-+", max_size=8)
evrs = st.builds(lambda epoch, version, release: f"{epoch}:{version}-{release}", st.integers(0, 2), versions, versions)
SPACES = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" xmlns:x="urn:x"'
PIECES = [
    "<package>",
    "</package>",
    "<name>a</name>",
    "<checksum>a</checksum>",
    "<x:y>",
    "</x:y>",
    "<rpm:entry a='&lt;&#10;' x:b=''/>",
    "<format>",
    "</format>",
    "&amp;",
    "<![CDATA[<]]>",
    "<!-- -->",
    "<?p?>",
]
SAMPLES = [make.rpm(files=["/etc/a", "/usr/bin/b"]), *((make.HERE / name).read_bytes() for name in make.BUILT)]


@settings(deadline=None)
@given(versions, versions, versions)
def test_versions_are_totally_ordered(a: str, b: str, c: str) -> None:
    assert rpmvercmp(a, b) == -rpmvercmp(b, a)
    assert rpmvercmp(a, a) == 0
    first, second, third = sorted([a, b, c], key=order_key)
    assert compare_evr(parse_evr(first), parse_evr(third)) <= 0
    assert compare_evr(parse_evr(first), parse_evr(second)) <= 0
    assert compare_evr(parse_evr(second), parse_evr(third)) <= 0


@settings(deadline=None)
@given(versions)
def test_a_tilde_is_older_and_a_caret_newer_than_nothing(version: str) -> None:
    assert rpmvercmp(version + "~", version) == -1
    assert rpmvercmp(version + "^", version) == 1
    assert rpmvercmp(version + "~", version + "^") == -1


@pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm itself is not installed")
def test_versions_order_as_for_rpm_itself() -> None:
    pairs: list[tuple[str, str]] = []

    @settings(max_examples=400, deadline=None, database=None)
    @given(versions.filter(lambda text: "-" not in text), versions.filter(lambda text: "-" not in text))
    def collect(left: str, right: str) -> None:
        pairs.append((left, right))

    collect()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "compare.lua"
        script.write_text(
            "".join(f'print(rpm.vercmp("{left}", "{right}") .. " ")\n' for left, right in pairs if left and right)
        )
        said = subprocess.run(
            ["rpm", "--eval", f"%{{lua: dofile('{script}')}}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "HOME": folder},
        )
    theirs = [int(line) for line in said.stdout.split()]
    asked = [pair for pair in pairs if all(pair)]
    assert len(theirs) == len(asked)
    assert [rpmvercmp(left, right) for left, right in asked] == theirs


def read(data: bytes) -> None:
    """Everything that an upload goes through; what is read must be a part of a document."""
    with contextlib.suppress(Invalid):
        file = io.BytesIO(data)
        structure = read_structure(file)
        package = package_of(structure)
        fragments = make_fragments(package, "ab" * 32, len(data))
        every = (primary_of(fragments, "packages/x.rpm", 1), fragments.filelists, fragments.other)
        for kind, text in zip(KINDS, every, strict=True):
            begin, end = (gzip.decompress(part.data).decode() for part in (head(kind, 1), foot(kind)))
            assert len(ET.fromstring(begin + text + end)) == 1
        verify(file, structure, len(data))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read(data)
    read(make.lead() + data)
    read(make.lead() + make.header({1000: (make.INT32, [1])}) + bytes(4) + data)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 8_000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 8_000),
)
def test_packages_with_some_bytes_changed_are_read_or_refused(
    sample: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    read(bytes(data))
    read(bytes(data[: cut % len(data)]))


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text(max_size=12), max_size=4))
def test_whatever_a_header_says_the_documents_stay_well_formed(summary: str, name: str, files: list[str]) -> None:
    texts = [text.replace("\0", "").encode("utf-8", "replace").decode() for text in (summary, name, *files)]
    tags = {
        make.SUMMARY: (make.STRING, texts[0]),
        **make.relation(1049, 1048, 1050, [(texts[1], 12, texts[0])]),
        **make.file_tags([f"/etc/{text}" for text in texts[2:]]),
    }
    read(make.rpm(tags=tags))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_signature_or_none(data: bytes) -> None:
    read_signature(data, "header")
    read_signature(b"\x88" + bytes([len(data)]) + data, "header")
    read_signature(b"\x88" + bytes([len(data) + 1]) + b"\4" + data, "header")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.sampled_from(sorted(EXTRAS)),
    st.one_of(st.binary(max_size=60), st.text(alphabet="abd:-[]{}&*! \n<>/\"'", max_size=60).map(str.encode)),
)
def test_any_bytes_are_such_a_document_or_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / "uploaded"
    path.write_bytes(data)
    with contextlib.suppress(Invalid):
        check_extra(name, Spooled(path, len(data), {}))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["x.xml.gz", "x.xml.xz", "x.xml.zst", "x.xml"]))
def test_any_bytes_are_the_document_of_another_repository_or_refused(data: bytes, href: str) -> None:
    for body in (data, b"<repomd>" + data + b"</repomd>", b"<metadata><package>" + data + b"</package></metadata>"):
        with contextlib.suppress(Invalid):
            read_repomd(io.BytesIO(body))
        with contextlib.suppress(Invalid):
            list(read_packages(unpacked(io.BytesIO(body), href), href))
        merge_xml("updates", [io.BytesIO(body)])


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_read_of_another_repository_is_well_formed_here(body: str) -> None:
    document = f"<m {SPACES}>{body}</m>".encode()
    with contextlib.suppress(Invalid):
        for told in read_packages(io.BytesIO(document), "primary"):
            ET.fromstring(f"<m {SPACES}>{told.text}</m>")
