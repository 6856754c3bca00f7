"""What must hold for every input of the Maven format."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from application.formats.maven.checksums import read_checksum
from application.formats.maven.index import Metadata, Plugin, artifact_metadata, render, snapshot_metadata
from application.formats.maven.jars import read_origin, read_plugin
from application.formats.maven.metadata import Pom, agree, encode_facts, parse_pom
from application.formats.maven.names import is_name, parse_file, split_checksum
from application.formats.maven.upstream import merged, read_metadata
from application.formats.maven.versions import order_key
from application.publishing import MAX_INLINE_METADATA_BYTES
from domain.errors import Invalid
from tests.samples.maven import make

NOW = datetime(2026, 3, 3, 10, 15, 7, tzinfo=UTC)
PIECE = st.sampled_from(
    ["0", "1", "2", "10", "alpha", "a", "beta", "b", "m", "rc", "cr", "SNAPSHOT", "ga", "final", "sp", "foo", "jre", ""]
)
VERSION = st.one_of(
    st.lists(st.tuples(PIECE, st.sampled_from([".", "-", "_", ""])), max_size=6).map(
        lambda parts: "".join(piece + separator for piece, separator in parts)
    ),
    st.text(max_size=12),
)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
PATH = st.one_of(
    st.builds(
        lambda group, artifact, version, rest: f"{group}/{artifact}/{version}/{artifact}-{version}{rest}",
        NAME,
        NAME,
        st.sampled_from(["1.0", "1.0-SNAPSHOT", "SNAPSHOT", "2.0+x"]),
        st.from_regex(r"(-[A-Za-z0-9.]{0,6})?\.?[A-Za-z0-9.]{0,6}", fullmatch=True),
    ),
    st.text(max_size=40),
    st.lists(st.text(alphabet="ab./-1", max_size=6), max_size=6).map("/".join),
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


def outcome(read: Callable[[Any], object], value: object) -> str:
    """What reading it says: nothing but an Invalid that prints may be raised."""
    try:
        read(value)
    except Invalid as error:
        return str(error)
    return "fine"


@given(VERSION, VERSION, VERSION)
@example("1.sp", "1-alpha", "1")
@example("1-0-alpha", "1-sp", "1")
def test_the_order_of_versions_is_total(a: str, b: str, c: str) -> None:
    keys = sorted(order_key(version) for version in (a, b, c))
    for low, high in pairwise(keys):
        assert low <= high
    assert keys[0] <= keys[2]
    assert (order_key(a) == order_key(b)) == (a == b)


@given(VERSION.filter(str.isascii), st.sampled_from([".0", "-0", ".ga", "-final", "-RELEASE"]))
def test_what_says_nothing_at_the_end_changes_nothing(version: str, nothing: str) -> None:
    assert order_key(version)[0] == order_key(version + nothing)[0]


@given(VERSION.filter(str.isascii))
def test_the_order_does_not_depend_on_case(version: str) -> None:
    assert order_key(version.upper())[0] == order_key(version.lower())[0]


@given(PATH)
def test_a_path_is_a_file_of_its_own_or_invalid(path: str) -> None:
    outcome(parse_file, path)
    try:
        file = parse_file(path)
    except Invalid:
        return
    name = f"{file.artifact}-{file.file_version}" + (f"-{file.classifier}" if file.classifier else "")
    assert f"{file.group.replace('.', '/')}/{file.artifact}/{file.version}/{name}.{file.extension}" == path
    assert split_checksum(path) == (path, "")


@given(st.one_of(st.binary(max_size=300), TEXT.map(lambda text: f"<project>{text}</project>".encode())))
@example(make.HOSTILE_XML["laughs"])
def test_any_bytes_are_a_pom_or_invalid(data: bytes) -> None:
    outcome(lambda value: parse_pom(value, "a.pom"), data)


@given(st.data())
def test_a_damaged_pom_is_a_pom_or_invalid(data: st.DataObject) -> None:
    whole = bytearray(make.pom(body="<name>Demo</name>"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    outcome(lambda value: agree(parse_pom(value, "a.pom"), parse_file("a/b/1/b-1.pom")), bytes(whole))


@given(st.data())
def test_any_bytes_are_a_jar_that_tells_or_tells_nothing(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([make.plugin_jar(), make.built_jar()])))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for content in (bytes(whole), cut, data.draw(st.binary(max_size=200))):
        read_plugin(io.BytesIO(content))
        read_origin(io.BytesIO(content))


@given(st.binary(max_size=200), st.sampled_from(["md5", "sha1", "sha256", "sha512"]))
def test_any_bytes_are_a_checksum_or_invalid(data: bytes, algorithm: str) -> None:
    outcome(lambda value: read_checksum(value, "a.jar", algorithm), data)


@given(st.lists(TEXT, max_size=30), TEXT, TEXT)
def test_facts_are_small_and_come_back(texts: list[str], name: str, description: str) -> None:
    many = tuple(text * 40 for text in texts)
    pom = Pom(group="g", artifact="a", version="1", name=name[:1000], description=description[:1000], dependencies=many)
    encoded = encode_facts(pom)
    assert len(encoded) <= MAX_INLINE_METADATA_BYTES
    assert msgspec.json.decode(encoded, type=Pom).name == pom.name


@given(st.lists(NAME), st.lists(st.tuples(NAME, NAME), max_size=4))
def test_metadata_reads_back(versions: list[str], plugins: list[tuple[str, str]]) -> None:
    known = artifact_metadata("g", "a", versions, NOW)
    document = ET.fromstring(render(msgspec.structs.replace(known, plugins=tuple(Plugin(*one) for one in plugins))))
    assert [one.text for one in document.iterfind("versioning/versions/version")] == sorted(
        set(versions), key=order_key
    )
    assert [one.findtext("prefix") for one in document.iterfind("plugins/plugin")] == [prefix for prefix, _ in plugins]


@given(st.permutations([("1", 1), ("1", 2), ("2", 3), ("2", 10), ("2", 9)]))
def test_the_newest_build_does_not_depend_on_the_order_of_files(builds: list[tuple[str, int]]) -> None:
    files = [(parse_file(f"g/a/1-SNAPSHOT/a-1-2026030{day}.101500-{number}.jar"), NOW) for day, number in builds]
    found = snapshot_metadata(files)
    assert isinstance(found, Metadata)
    assert found.snapshot is not None
    assert (found.snapshot.timestamp, found.snapshot.build_number) == ("20260302.101500", 10)
    assert [one.value for one in found.snapshot.files] == ["1-20260302.101500-10"]


TAGS = st.sampled_from(
    ["metadata", "versioning", "versions", "version", "snapshot", "timestamp", "buildNumber", "lastUpdated", "plugins",
     "snapshotVersions", "snapshotVersion", "value", "extension", "plugin", "prefix", "artifactId"]
)  # fmt: skip
TREE = st.recursive(
    st.sampled_from(["", "1.0", "../x", "20260303101500", "9" * 30, "x y", "٣"]),
    lambda inner: st.lists(st.tuples(TAGS, inner), max_size=4).map(
        lambda children: "".join(f"<{tag}>{text}</{tag}>" for tag, text in children)
    ),
    max_leaves=12,
)


@given(st.lists(TREE, min_size=1, max_size=3))
def test_metadata_of_any_upstreams_is_merged_into_metadata_that_is_read_back(trees: list[str]) -> None:
    found = merged([read_metadata(f"<metadata>{tree}</metadata>".encode()) for tree in trees])
    again = read_metadata(render(found))
    assert (again.versions, again.plugins) == (found.versions, found.plugins)
    assert all(map(is_name, found.versions))


@given(st.binary(max_size=200))
def test_any_bytes_are_metadata_or_are_refused(data: bytes) -> None:
    outcome(read_metadata, data)
    outcome(read_metadata, b"<metadata>" + data + b"</metadata>")
