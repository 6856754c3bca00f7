"""Laws of the Go format: any bytes are read or refused, versions have one order, escaping is undone by unescaping."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from application.formats.go.address import asked_file, asked_path
from application.formats.go.archive import read_zip, top_folder
from application.formats.go.gomod import parse_go_mod
from application.formats.go.index import render_list
from application.formats.go.metadata import decode_facts, encode_facts, read_release
from application.formats.go.names import escape, file_path_fault, folded, parse_module, unescape
from application.formats.go.versions import is_pseudo, latest, listed, order_key, parse_version
from domain.errors import Invalid
from tests.samples.go import make

MODULE, VERSION = parse_module(make.MODULE), parse_version(make.VERSION)

texts = st.text(max_size=40)
numbers = st.integers(0, 3).map(str) | st.integers(0, 2**70).map(str)
identifiers = st.from_regex(
    r"(0|[1-9][0-9]{0,2}|[0-9]?[a-z-][0-9a-z-]{0,3})(\.(0|[1-9][0-9]|[a-z-]{1,3})){0,2}", fullmatch=True
)
versions = st.tuples(numbers, numbers, numbers, st.none() | identifiers).map(
    lambda parts: "v" + ".".join(parts[:3]) + (f"-{parts[3]}" if parts[3] else "")
)
modules = st.from_regex(r"[a-z]{1,8}\.com(/x[A-Za-z0-9_.-]{0,8}y){0,3}", fullmatch=True)
file_names = st.from_regex(r"[a-z]{1,4}(/[a-z0-9]{1,3}x){0,2}\.go", fullmatch=True)
go_mod_lines = st.lists(
    st.sampled_from(
        [
            "module a.b/c",
            "go 1.21",
            "require (",
            ")",
            "x.y/z v1.0.0 // indirect",
            "retract [v1.0.0, v1.1.0]",
            "// c",
            "",
        ]
    )
    | texts,
    max_size=12,
)


def spelled(a: str, b: str) -> int:
    """How golang.org/x/mod/semver compares two versions, written as it is there."""
    (main_a, _, pre_a), (main_b, _, pre_b) = a[1:].partition("-"), b[1:].partition("-")
    for one, other in zip(main_a.split("."), main_b.split("."), strict=True):
        if one != other:
            return 1 if (len(one), one) > (len(other), other) else -1
    if pre_a == pre_b:
        return 0
    if not pre_a or not pre_b:
        return 1 if not pre_a else -1
    parts_a, parts_b = pre_a.split("."), pre_b.split(".")
    for one, other in zip(parts_a, parts_b, strict=False):
        if one != other:
            if one.isdigit() != other.isdigit():
                return -1 if one.isdigit() else 1
            if one.isdigit() and len(one) != len(other):
                return 1 if len(one) > len(other) else -1
            return 1 if one > other else -1
    return 1 if len(parts_a) > len(parts_b) else -1


@settings(deadline=None)
@given(versions, versions)
def test_versions_compare_as_the_go_command_compares_them(a: str, b: str) -> None:
    expected = spelled(a, b)
    assert (order_key(a) > order_key(b)) == (expected > 0)
    assert (order_key(a) == order_key(b)) == (expected == 0) == (a == b)


@settings(deadline=None)
@given(versions | texts, versions | texts, versions | texts)
def test_the_order_of_any_texts_is_total(a: str, b: str, c: str) -> None:
    first, second, third = sorted((a, b, c), key=order_key)
    assert order_key(first) <= order_key(second) <= order_key(third)
    assert (order_key(a) == order_key(b)) == (a == b)


@settings(deadline=None)
@given(st.lists(versions | texts, max_size=8))
def test_the_latest_is_one_of_the_versions_and_the_list_has_no_commits(known: list[str]) -> None:
    newest = latest(known)
    assert newest in known if known else newest is None
    assert sorted(listed(known)) == sorted(version for version in known if not is_pseudo(version))
    assert listed(listed(known)) == listed(known)


@settings(deadline=None)
@given(st.lists(versions, max_size=8))
def test_a_list_has_a_line_for_each_version(known: list[str]) -> None:
    assert sorted(render_list(known).decode().splitlines()) == sorted(v for v in known if not is_pseudo(v))


@settings(deadline=None)
@given(modules | texts, versions | texts)
def test_any_address_is_read_or_refused_and_written_again_as_it_was(module: str, version: str) -> None:
    with contextlib.suppress(Invalid):
        path = f"{escape(parse_module(module))}/@v/{escape(parse_version(version))}.zip"
        asked = asked_path(path)
        assert (asked.path, asked.module, asked.version) == (path, module, version)
        assert path == path.lower()
    for escaped, name in ((module, f"{version}.mod"), (module, version)):
        with contextlib.suppress(Invalid):
            asked_file(escaped, name)


@settings(deadline=None)
@given(texts)
def test_escaping_is_undone_by_unescaping(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert escape(unescape(text)) == text
    if "!" not in text:
        assert unescape(escape(text)) == text


@settings(deadline=None)
@given(texts)
def test_folding_is_idempotent_and_keeps_the_shape(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len(folded(text)) == len(text)
    assert folded(text).count("/") == text.count("/")
    file_path_fault(text)


@settings(deadline=None)
@given(go_mod_lines.map(lambda lines: "\n".join(lines).encode()) | st.binary(max_size=200))
def test_any_go_mod_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        parse_module(parse_go_mod(data).module)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(file_names, st.binary(max_size=30), max_size=4))
def test_the_hash_is_that_of_the_sorted_files(files: dict[str, bytes]) -> None:
    data = make.module(files=files)
    contents = {"demo.go": b"", **files, "go.mod": make.go_mod()}
    contents = contents if "demo.go" in files else contents | {"demo.go": _demo()}
    lines = sorted((f"{MODULE}@{VERSION}/{name}", hashlib.sha256(text).hexdigest()) for name, text in contents.items())
    summary = "".join(f"{digest}  {name}\n" for name, digest in lines).encode()
    expected = "h1:" + base64.b64encode(hashlib.sha256(summary).digest()).decode()
    with contextlib.suppress(Invalid):  # a file and a folder of one name
        release = read_release(io.BytesIO(data), MODULE, VERSION)
        assert release.facts.hash == expected
        assert decode_facts(encode_facts(release)) == release.facts


def _demo() -> bytes:
    return f'package demo\n\nfunc Said() string {{ return "{MODULE} {VERSION}" }}\n'.encode()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_a_zip_or_are_refused(junk: bytes, at: int, patch: bytes) -> None:
    sample = make.module()
    at %= len(sample)
    for data in (junk, b"PK\x03\x04" + junk, sample[:at], sample[:at] + patch + sample[at + len(patch) :]):
        with contextlib.suppress(Invalid):
            read_zip(io.BytesIO(data), MODULE, VERSION)
        with contextlib.suppress(Invalid):
            top_folder(io.BytesIO(data))
