"""Laws of the cargo format: any bytes are read or refused, and what was published comes out of the index."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from application.formats.cargo.archive import read_files
from application.formats.cargo.manifest import parse_manifest
from application.formats.cargo.merging import spellings
from application.formats.cargo.metadata import read_alone, read_crate
from application.formats.cargo.names import (
    CrateKey,
    VersionInvalid,
    crate_key,
    index_path,
    order_key,
    parse_name,
    parse_version,
    similarity_key,
    without_build,
)
from application.formats.cargo.requirements import RequirementInvalid, canonical_requirement
from application.formats.cargo.stored import encode_told
from application.formats.cargo.upload import parse_announced, read_upload
from application.formats.cargo.upstream import read_config, read_lines, read_search
from domain.errors import Invalid, TooLarge
from tests.samples.cargo.make import announced, crate, dependency, manifest, pack, upload

texts = st.text(max_size=40)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True).map(lambda text: f"z{text}")
numbers = st.integers(0, 2**64 - 1).map(str) | st.integers(0, 3).map(str)
identifiers = st.from_regex(
    r"(0|[1-9][0-9]{0,2}|[a-z][0-9a-z-]{0,3})(\.(0|[1-9][0-9]|[a-z-]{1,3})){0,2}", fullmatch=True
)
versions = st.tuples(numbers, numbers, numbers, st.none() | identifiers, st.none() | identifiers).map(
    lambda parts: ".".join(parts[:3]) + (f"-{parts[3]}" if parts[3] else "") + (f"+{parts[4]}" if parts[4] else "")
)
requirements = st.lists(
    st.tuples(st.sampled_from(["", "=", ">", ">=", "<", "<=", "~", "^", ">= "]), st.integers(1, 3), numbers, numbers),
    min_size=1,
    max_size=4,
).map(lambda parts: ",".join(f"{sign}{'.'.join([major, minor, '0'][:count])}" for sign, count, major, minor in parts))


@given(texts)
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        name = parse_name(text)
        key = crate_key(name)
        assert key is not None
        assert index_path(key)[-1] == key == name.lower()
        assert similarity_key(similarity_key(name)) == similarity_key(name)


@given(versions | texts, versions | texts, versions | texts)
def test_the_order_of_versions_is_total(a: str, b: str, c: str) -> None:
    with contextlib.suppress(VersionInvalid):
        one, two, three = order_key(a), order_key(b), order_key(c)
        assert (one < two) + (two < one) + (one == two) == 1
        if one <= two <= three:
            assert one <= three


@given(versions)
def test_build_metadata_never_counts(version: str) -> None:
    parsed = parse_version(version)
    assert order_key(without_build(parsed)) == order_key(parsed)


@given(requirements)
def test_a_canonical_requirement_is_one_that_stays(text: str) -> None:
    canonical = canonical_requirement(text)
    assert canonical_requirement(canonical) == canonical


@given(texts | st.text(alphabet="0123456789.*xX<>=~^, -+", max_size=20))
def test_any_text_is_a_requirement_or_is_refused(text: str) -> None:
    with contextlib.suppress(RequirementInvalid):
        canonical = canonical_requirement(text)
        assert canonical_requirement(canonical) == canonical


@given(st.binary(max_size=300))
def test_any_bytes_are_an_upload_or_are_refused(data: bytes) -> None:
    pieces = list[bytes]()
    with contextlib.suppress(Invalid, TooLarge):
        document = read_upload(io.BytesIO(data), len(data), pieces.append)
        assert len(document) + len(b"".join(pieces)) + 8 == len(data)
        parse_announced(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["name", "vers", "deps", "features", "links"])


@given(st.dictionaries(fields, json_values), st.dictionaries(st.sampled_from(sorted(dependency("a"))), json_values))
def test_any_json_is_metadata_or_is_refused(changes: dict[str, object], inside: dict[str, object]) -> None:
    with contextlib.suppress(Invalid):
        parse_announced(json.dumps({**announced(deps=[{**dependency("a"), **inside}]), **changes}).encode())


@given(st.binary(max_size=300) | st.text(alphabet=string.printable, max_size=200).map(str.encode))
def test_any_bytes_are_a_manifest_or_are_refused(data: bytes) -> None:
    for toml in (data, manifest(tables=data.decode("latin-1"))):
        with contextlib.suppress(Invalid):
            parse_manifest(toml)


@given(st.binary(max_size=1500))
def test_any_bytes_are_a_crate_or_are_refused(data: bytes) -> None:
    for content in (data, gzip.compress(data), pack([("demo-1.0.0/Cargo.toml", data)])):
        with contextlib.suppress(Invalid):
            read_crate(io.BytesIO(content), parse_announced(json.dumps(announced()).encode()), ())
        with contextlib.suppress(Invalid):
            read_alone(io.BytesIO(content))


edits = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=6)


@settings(max_examples=300)
@given(edits)
def test_a_damaged_archive_gives_whole_files_or_is_refused(changes: list[tuple[int, bytes, int]]) -> None:
    data = bytearray(gzip.decompress(crate()))
    for place, new, old in changes:
        at = place % (len(data) + 1)
        data[at : at + old] = new
    with contextlib.suppress(Invalid):
        found = read_files(io.BytesIO(gzip.compress(bytes(data))), "demo-1.0.0", ("Cargo.toml",), 1 << 20)
        assert all(content in data for content in found.values())


@given(names, versions)
def test_made_samples_are_read_back(name: str, version: str) -> None:
    content = crate(name, version)
    body = upload(announced(name, version), content)
    said = parse_announced(read_upload(io.BytesIO(body), len(body), lambda _: None))
    found = read_crate(io.BytesIO(content), said, ())
    assert (found.name, found.version) == (name, version)


index_fields = st.sampled_from(["name", "vers", "cksum", "pubtime", "deps", "features", "dl", "api", "crates", "meta"])


@given(
    st.lists(
        st.binary(max_size=60) | st.dictionaries(index_fields, json_values).map(lambda one: json.dumps(one).encode())
    )
)
def test_any_bytes_of_another_registry_are_understood_or_are_refused(lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    for read in (read_config, read_search, lambda data: read_lines(data, CrateKey("demo"))):
        with contextlib.suppress(Invalid):
            read(body)


@given(st.dictionaries(index_fields, json_values))
def test_a_line_is_passed_on_as_it_is_whatever_else_it_says(more: dict[str, object]) -> None:
    line = json.dumps({**more, "name": "demo", "vers": "1.0.0", "cksum": "0" * 64, "pubtime": None}).encode()
    (found,) = read_lines(b"\n" + line + b"\n{}", CrateKey("demo"))
    assert found.raw == line
    assert json.loads(encode_told(found))["name"] == "demo"


@given(names)
def test_whatever_has_the_name_in_another_spelling_has_all_its_spellings(name: str) -> None:
    found = spellings(name.lower())
    assert name.lower() in found
    assert {similarity_key(one) for one in found} == {similarity_key(name)}
