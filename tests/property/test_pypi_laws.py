"""Laws of the PyPI format: normalising, ordering, hostile bytes, and that installers read what we render."""

import contextlib
import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name, canonicalize_version
from packaging.version import Version

from application.formats.pypi.core_metadata import parse_core_metadata
from application.formats.pypi.faults import ArchiveInvalid
from application.formats.pypi.index import FileEntry, ProjectPage, project_html, project_json
from application.formats.pypi.metadata import read_distribution
from application.formats.pypi.names import (
    NameInvalid,
    canonical_version,
    guess_version,
    normalise,
    order_key,
    parse_filename,
)
from application.formats.pypi.negotiation import choose
from application.formats.pypi.zips import open_zip
from domain.errors import Invalid
from tests.samples.pypi.make import metadata_text, sdist, sdist_files, wheel, wheel_files

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)
versions = st.from_regex(
    r"([1-9]!)?(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?)){0,3}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?(\+[a-z0-9]{1,4})?",
    fullmatch=True,
)
texts = st.text(max_size=40)


@given(names)
def test_normalising_is_idempotent_and_what_packaging_says(name: str) -> None:
    key = normalise(name)
    assert normalise(key) == key
    assert str(key) == canonicalize_name(name)


@given(names, st.sampled_from("-_."), st.sampled_from("-_."))
def test_names_that_differ_in_case_or_separators_meet(name: str, one: str, other: str) -> None:
    spelled = "".join(one if c in "-_." else c.upper() for c in name)
    again = "".join(other * 2 if c in "-_." else c.lower() for c in name)
    assert normalise(spelled) == normalise(again)


@given(texts)
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    with contextlib.suppress(NameInvalid):
        assert normalise(normalise(text)) == normalise(text)


@given(versions)
def test_canonical_versions_are_idempotent_and_what_packaging_says(version: str) -> None:
    key = canonical_version(version)
    assert canonical_version(key) == key == canonicalize_version(version)
    assert Version(key) == Version(version)


@given(versions | texts, versions | texts, versions | texts)
def test_the_order_of_versions_is_total(a: str, b: str, c: str) -> None:
    one, two, three = order_key(a), order_key(b), order_key(c)
    assert (one < two) + (two < one) + (one == two) == 1
    if one <= two <= three:
        assert one <= three


@given(texts)
def test_any_file_name_is_read_or_refused(text: str) -> None:
    for filename in (text, text + ".whl", text + ".tar.gz", text + "-1.0-py3-none-any.whl"):
        with contextlib.suppress(Invalid):
            parse_filename(filename)
        guess_version(normalise("demo"), filename)


@given(names, versions)
def test_made_samples_are_read_back(name: str, version: str) -> None:
    for make in (wheel, sdist):
        made = make(name, version)
        found = read_distribution(made.file, made.filename)
        assert (str(found.normalised), found.canonical) == (canonicalize_name(name), canonicalize_version(version))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_distribution_or_invalid(data: bytes) -> None:
    for filename in ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-1.0.zip"):
        for content in (data, gzip.compress(data), b"PK\3\4" + data):
            with contextlib.suppress(Invalid):
                read_distribution(io.BytesIO(content), filename)


edits = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=6)


Edits = list[tuple[int, bytes, int]]


def edited(content: bytes, changes: Edits) -> bytes:
    data = bytearray(content)
    for place, new, old in changes:
        at = place % (len(data) + 1)
        data[at : at + old] = new
    return bytes(data)


@settings(max_examples=300)
@given(edits)
def test_a_damaged_wheel_is_invalid_or_what_the_standard_library_reads(changes: Edits) -> None:
    made = wheel()
    content = edited(made.content, changes)
    with contextlib.suppress(Invalid):
        read_distribution(io.BytesIO(content), made.filename)
    with contextlib.suppress(ArchiveInvalid):
        ours = open_zip(io.BytesIO(content))
        with zipfile.ZipFile(io.BytesIO(content)) as theirs:
            assert theirs.namelist() == list(ours.members)
            for name, member in ours.members.items():
                assert ours.read(member, 1 << 20) == theirs.read(name)


@settings(max_examples=300)
@given(edits, st.booleans())
def test_a_damaged_sdist_is_invalid_or_read(changes: Edits, inside: bool) -> None:
    made = sdist()
    content = gzip.compress(edited(gzip.decompress(made.content), changes)) if inside else edited(made.content, changes)
    with contextlib.suppress(Invalid):
        read_distribution(io.BytesIO(content), made.filename)


@given(st.binary(max_size=300) | edits.map(lambda changes: edited(metadata_text(), changes)))
def test_any_metadata_file_is_read_or_has_faults(data: bytes) -> None:
    fields, faults = parse_core_metadata(data, "METADATA")
    assert (fields is None) == bool(faults)


headers = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)


@given(st.lists(st.tuples(st.sampled_from(["Requires-Dist", "Summary", "Classifier", "Requires-Python", "Project-URL",
                                           "Keywords", "License-Expression", "Content-Type", "Dynamic"]), headers)))  # fmt: skip
def test_any_field_values_are_read_or_have_faults(fields: list[tuple[str, str]]) -> None:
    parsed, faults = parse_core_metadata(metadata_text(fields=tuple(fields)), "METADATA")
    assert (parsed is None) == bool(faults)


entries = st.builds(
    FileEntry,
    filename=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    version=st.none() | versions,
    sha256=st.none() | st.just("ab" * 32),
    size_bytes=st.none() | st.integers(0, 2**40),
    upload_time=st.none()
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda m: m.replace(tzinfo=UTC)),  # noqa: DTZ001
    requires_python=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
    yanked=st.booleans() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
    core_metadata_sha256=st.none() | st.just("cd" * 32),
)


class Anchors(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], list[str]]] = []
        self._open = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append((dict(attrs), []))
        self._open = tag == "a"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found[-1][1].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = False


@given(names, st.lists(entries, max_size=4))
def test_both_pages_read_back_as_the_rows_they_were_made_from(name: str, rows: list[FileEntry]) -> None:
    page = ProjectPage(name=normalise(name), files=tuple(rows))
    read = json.loads(project_json(page))
    anchors = Anchors(project_html(page)).found
    assert sorted(file["filename"] for file in read["files"]) == sorted(row.filename for row in rows)
    for file, (attributes, text) in zip(read["files"], anchors, strict=True):
        url, fragment = urldefrag(str(attributes["href"]))
        assert "".join(text) == file["filename"] == unquote(url) == unquote(file["url"])
        assert fragment == (f"sha256={file['hashes']['sha256']}" if file["hashes"] else "")
        assert attributes.get("data-requires-python") == file.get("requires-python")
        assert (attributes.get("data-yanked", False) or ("data-yanked" in attributes)) == file["yanked"]
    for row in rows:
        file = next(file for file in read["files"] if file["filename"] == row.filename)
        if sum(other.filename == row.filename for other in rows) == 1:
            assert file.get("size") == row.size_bytes
            assert file["yanked"] == row.yanked
            if row.upload_time:
                assert datetime.fromisoformat(file["upload-time"]) == row.upload_time


@given(st.text(st.characters(codec="latin-1"), max_size=60), st.none() | texts)
def test_any_accept_header_gets_an_answer(accept: str | None, parameter: str | None) -> None:
    assert choose(accept, parameter) in (
        None, "text/html", "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json",
    )  # fmt: skip


@given(names, names)
def test_a_wheel_under_the_name_of_another_project_is_refused(name: str, other: str) -> None:
    assume(canonicalize_name(name) != canonicalize_name(other))
    made, named = wheel(name), wheel(other)
    try:
        read_distribution(made.file, named.filename)
    except Invalid:
        return
    raise AssertionError(named.filename)


def test_the_samples_are_the_same_every_time() -> None:
    assert wheel() == wheel()
    assert sdist() == sdist()
    assert wheel_files() == wheel_files()
    assert sdist_files() == sdist_files()
