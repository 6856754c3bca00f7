"""What must hold for every input of the npm format."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from application.formats.npm.document import read_document
from application.formats.npm.index import VersionEntry, render_version
from application.formats.npm.json_stream import JsonStream
from application.formats.npm.manifest import abbreviated_manifest, encode_manifest, full_manifest
from application.formats.npm.metadata import agree, read_tarball
from application.formats.npm.names import (
    NpmName,
    clean_version,
    highest,
    is_prerelease,
    order_key,
    parse_existing_name,
    parse_name,
    parse_tag,
    parse_version,
    similarity_key,
    split_name,
    tarball_name,
)
from application.formats.npm.people import parse_person
from domain.errors import Invalid
from tests.samples.npm import make

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NUMBER = st.integers(0, 2**53 - 1).map(str)
IDENTIFIER = st.one_of(NUMBER, st.from_regex(r"[0-9A-Za-z-]{0,4}[A-Za-z-][0-9A-Za-z-]{0,4}", fullmatch=True))
PRERELEASE = st.lists(IDENTIFIER, max_size=3).map(lambda parts: "-" + ".".join(parts) if parts else "")
BUILD = st.lists(st.from_regex(r"[0-9A-Za-z-]{1,5}", fullmatch=True), max_size=2).map(
    lambda parts: "+" + ".".join(parts) if parts else ""
)
VERSION = st.builds(lambda a, b, c, pre: f"{a}.{b}.{c}{pre}", NUMBER, NUMBER, NUMBER, PRERELEASE)
NAME = st.from_regex(r"(@[a-z0-9~-][a-z0-9._~-]{0,8}/)?[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("node_modules", "favicon.ico")
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def outcome(read: Callable[[Any], object], value: object) -> str:
    """What reading it says: nothing but an Invalid that prints may be raised."""
    try:
        read(value)
    except Invalid as error:
        return str(error)
    return "fine"


def read_everything(body: bytes) -> None:
    document = read_document(io.BytesIO(body), io.BytesIO())
    document.deprecations()
    for version in document.versions:
        document.manifest(version)


@given(VERSION, BUILD, st.sampled_from(["", "v", "=", " v", "=v"]), st.sampled_from(["", " ", "\n"]))
def test_cleaning_a_version_is_idempotent_and_forgets_build_metadata(
    version: str, build: str, before: str, after: str
) -> None:
    assert (
        clean_version(before + version + build + after)
        == parse_version(version)
        == clean_version(clean_version(version))
    )


@given(VERSION, VERSION, VERSION)
def test_the_order_of_versions_is_total(a: str, b: str, c: str) -> None:
    keys = [order_key(version) for version in (a, b, c)]
    assert (keys[0] == keys[1]) == (a == b)
    assert (keys[0] < keys[1]) + (keys[0] > keys[1]) + (keys[0] == keys[1]) == 1
    ordered = sorted(keys)
    assert all(first <= second for first, second in pairwise(ordered))


@given(VERSION.filter(is_prerelease))
def test_a_prerelease_comes_before_its_release(version: str) -> None:
    assert order_key(version) < order_key(version.partition("-")[0])


@given(st.lists(VERSION, min_size=1, max_size=6))
def test_nothing_stable_is_higher_than_the_highest(versions: list[str]) -> None:
    best = highest(versions)
    assert best in versions
    stable = [version for version in versions if not is_prerelease(version)]
    assert best == max(stable or versions, key=order_key)


@given(NAME)
def test_a_name_round_trips_through_its_parts(text: str) -> None:
    name = parse_name(text)
    scope, base = split_name(name)
    assert (f"{scope}/{base}" if scope else base) == name == parse_existing_name(name)
    assert similarity_key(name) == similarity_key(NpmName(name.upper()))
    assert tarball_name(name, parse_version("1.0.0")) == f"{base}-1.0.0.tgz"


@given(st.text())
@example("a\n")
@example("1.0.0\n")
@example("@/")
def test_any_text_is_a_name_a_version_a_tag_or_invalid(text: str) -> None:
    for parse in (parse_name, parse_existing_name, clean_version, parse_version, order_key, parse_tag):
        assert outcome(parse, text)
    parse_person(text)


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_document_or_invalid(body: bytes) -> None:
    assert outcome(read_everything, body)


@given(
    st.dictionaries(
        st.sampled_from(["_id", "name", "versions", "dist-tags", "_attachments", "users", "maintainers", "access"]),
        JSON,
    )
)
def test_any_values_in_a_document_are_read_or_invalid(document: dict[str, Any]) -> None:
    assert outcome(read_everything, json.dumps(document).encode())


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), JSON),
    st.binary(max_size=2000),
    st.integers(1, 50),
    st.booleans(),
)
def test_a_document_is_read_alike_however_it_arrives_and_wherever_the_attachment_stands(
    fields: dict[str, Any], data: bytes, step: int, first: bool
) -> None:
    fields = {f"x-{key}": value for key, value in fields.items()}
    attachments = {"_attachments": {"x-1.0.0.tgz": {"data": base64.b64encode(data).decode(), "length": len(data)}}}
    body = json.dumps(
        {**attachments, "name": "x", **fields} if first else {"name": "x", **fields, **attachments}
    ).encode()

    class Drips(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(step)

    sink = io.BytesIO()
    document = read_document(Drips(body), sink)
    assert sink.getvalue() == data
    assert (document.name, document.attachments[0].size_bytes) == ("x", len(data))


@given(JSON, st.sampled_from([None, 1, ","]))
def test_a_value_is_copied_as_it_was_written(value: Any, indent: Any) -> None:
    text = json.dumps(value, indent=2 if indent == 1 else None, ensure_ascii=indent is None).encode()
    out = bytearray()
    stream = JsonStream(io.BytesIO(text + b","), len(text))
    stream.copy(out)
    assert bytes(out) == text
    assert stream.peek() == ord(",")


@given(st.binary(max_size=4000))
def test_any_bytes_are_a_tarball_or_invalid(data: bytes) -> None:
    for candidate in (data, gzip.compress(data, 1), gzip.compress(make.member("package/package.json", data), 1)):
        assert outcome(read_tarball, io.BytesIO(candidate))


@given(st.data())
def test_a_tarball_with_any_bytes_changed_is_read_or_invalid(data: st.DataObject) -> None:
    plain = bytearray(gzip.decompress(make.tarball()))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(read_tarball, io.BytesIO(gzip.compress(bytes(plain), 1)))


@given(st.dictionaries(st.sampled_from(sorted({*make.PACKAGE, "dependencies", "optionalDependencies", "bundleDependencies", "peerDependenciesMeta",
                                               "funding", "bugs", "contributors", "os", "deprecated", "gypfile", "directories"})), JSON))  # fmt: skip
def test_any_package_json_becomes_manifests_or_is_invalid(fields: dict[str, Any]) -> None:
    full = full_manifest({**fields, "name": "x", "version": "1.0.0"}, shrinkwrapped=True, has_gyp_file=True)
    served = json.loads(encode_manifest(full))
    short = json.loads(encode_manifest(abbreviated_manifest(full)))
    assert short.items() <= served.items()
    for field in ("dependencies", "optionalDependencies", "scripts", "bin", "engines"):
        assert all(isinstance(value, str) for value in served.get(field, {}).values())
    assert all(
        "/" not in command and not path.startswith(("/", "..")) for command, path in served.get("bin", {}).items()
    )


@given(NAME, VERSION, JSON, st.text(st.characters(codec="utf-8"), max_size=30))
def test_what_is_published_is_what_is_served(name: str, version: str, extra: Any, message: str) -> None:
    data = make.tarball({}, name=name, version=version, custom=extra)
    document = read_document(io.BytesIO(json.dumps(make.document(data, name, version)).encode()), io.BytesIO())
    release = agree(document, read_tarball(io.BytesIO(data)), make.digests(data))
    row = VersionEntry(
        version=release.version, manifest=msgspec.Raw(release.manifest), abbreviated=msgspec.Raw(release.abbreviated), tarball=release.tarball,
        sha1=release.sha1, integrity=release.integrity, size_bytes=release.size_bytes, published_at=NOW, deprecated=message,
    )  # fmt: skip
    served = json.loads(render_version(release.name, row, "http://h/npm/r"))
    assert (served["name"], served["version"], served.get("custom")) == (name, version, extra)
    assert served["dist"]["tarball"] == f"http://h/npm/r/{name}/-/{tarball_name(release.name, release.version)}"
    assert served.get("deprecated", "") == message
