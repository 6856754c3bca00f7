"""What must hold for whatever another npm registry says."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from application.formats.npm.found_elsewhere import check_attestations, read_keys, read_results
from application.formats.npm.integrity import digests_of
from application.formats.npm.names import NpmName
from application.formats.npm.packuments import (
    joined,
    read_packument,
    releases,
    tarballs,
    without,
    write,
    write_abbreviated,
    write_full,
)
from domain.errors import Invalid

NAME = NpmName("hello")
SOURCE, HERE = "https://there.example/hello", "https://here.example/npm/libs"

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NUMBER = st.sampled_from(["1.0.0", "1.0.0-a", "2.0.0", "2.0.0+b", "v1.0.0", "x", ""])
ADDRESS = st.sampled_from(["https://x.example/a/hello-1.0.0.tgz", "../a.tgz", "http://[", "http://x:1:2/", "%"]) | VALUE
DIST = st.fixed_dictionaries({}, optional={"tarball": ADDRESS, "integrity": VALUE, "attestations": VALUE}) | VALUE
VERSION = (
    st.fixed_dictionaries(
        {}, optional={"dist": DIST, "scripts": VALUE, "deprecated": VALUE, "_hasShrinkwrap": VALUE, "bin": VALUE}
    )
    | VALUE
)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("hello") | VALUE,
        "versions": st.dictionaries(NUMBER, VERSION, max_size=4) | VALUE,
        "dist-tags": st.dictionaries(st.just("latest") | st.text(max_size=4), NUMBER) | VALUE,
        "time": st.dictionaries(NUMBER | st.just("modified"), st.text(max_size=8)) | VALUE,
        "readme": VALUE,
    },
)


@given(st.binary(max_size=200) | DOCUMENT.map(lambda told: json.dumps(told).encode()))
def test_any_bytes_give_a_packument_or_invalid(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        told = read_packument(body, NAME)
        for write_form in (write_full, write_abbreviated):
            written = write_form(told, SOURCE, HERE)
            shown = [release.version for release in releases(told, SOURCE)]
            assert (written is None) == (not shown)
            if written is not None:
                again: dict[str, Any] = json.loads(written)
                assert list(again["versions"]) == shown
                assert again["dist-tags"]["latest"] in shown
                assert all(one["dist"]["tarball"].startswith(HERE) for one in again["versions"].values())


@given(DOCUMENT.map(lambda told: json.dumps(told).encode()))
def test_what_was_written_is_read_again(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        written = write_full(read_packument(body, NAME), SOURCE, HERE)
        if written is not None:
            again = read_packument(written, NAME)
            assert write_full(again, HERE, HERE) == written
            assert [file.url for file in tarballs(again, HERE)] == [one.tarball for one in releases(again, HERE)]
            whole = joined([again, again])
            assert whole.versions.keys() == again.versions.keys()
            assert write(whole, whole.versions.items()) is not None
            assert write_full(without(again, again.versions.keys()), HERE, HERE) is None


@given(st.binary(max_size=200) | VALUE.map(lambda told: json.dumps({"objects": [told], "keys": [told]}).encode()))
def test_any_bytes_give_answers_or_invalid(body: bytes) -> None:
    for read in (read_results, read_keys, check_attestations):
        with contextlib.suppress(Invalid):
            read(body)


@given(st.text(), st.text())
def test_any_text_gives_digests_or_none(integrity: str, shasum: str) -> None:
    assert all(set(digest) <= set("0123456789abcdef") for digest in digests_of(integrity, shasum).values())
