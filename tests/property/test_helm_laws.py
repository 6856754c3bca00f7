"""Laws of the helm format: what is read, and how versions order."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.formats.helm.metadata import read_chart
from application.formats.helm.names import RangeInvalid, best, newest_first, order_key, parse_version
from application.formats.helm.provenance import parse_provenance
from application.formats.helm.upstream import read_index
from domain.errors import Invalid
from tests.samples.helm import make

_NUMBERS = st.integers(0, 2**64 - 1).map(str)
_IDENTIFIERS = st.lists(
    _NUMBERS | st.from_regex(r"[0-9]*[a-z-][0-9a-z-]*", fullmatch=True), min_size=1, max_size=3
).map(".".join)


@st.composite
def versions(draw: st.DrawFn) -> str:
    numbers = ".".join(draw(st.lists(_NUMBERS, min_size=1, max_size=3)))
    rest = [
        f"-{draw(_IDENTIFIERS)}" if draw(st.booleans()) else "",
        f"+{draw(_IDENTIFIERS)}" if draw(st.booleans()) else "",
    ]
    return draw(st.sampled_from(["", "v"])) + numbers + "".join(rest)


_ARCHIVE = make.chart()
_PROVENANCE = make.provenance(_ARCHIVE)


@settings(deadline=None)
@given(versions())
def test_every_version_of_semver_is_read(version: str) -> None:
    assert parse_version(version) == version


@settings(deadline=None)
@given(st.lists(versions(), max_size=6))
def test_the_order_of_versions_is_total(some: list[str]) -> None:
    ordered = newest_first(some)
    assert ordered == newest_first(some[::-1])
    keys = [order_key(version) for version in ordered]
    assert keys == sorted(keys, reverse=True)


@settings(deadline=None)
@given(versions(), versions())
def test_build_metadata_has_no_precedence(version: str, other: str) -> None:
    assert order_key(version.partition("+")[0]) == order_key(version)
    assert (order_key(version) < order_key(other)) + (order_key(version) > order_key(other)) <= 1


@settings(deadline=None)
@given(st.text("0123456789.xX*-+<>=~^|, v", max_size=20))
def test_any_constraint_is_understood_or_refused(text: str) -> None:
    with suppress(RangeInvalid):
        assert best(["1.2.3", "2.0.0-rc.1"], text) in {None, "1.2.3", "2.0.0-rc.1"}


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(gzip.compress))
def test_any_bytes_are_refused_as_a_chart(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_chart(io.BytesIO(data))


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(at: int, bits: int) -> None:
    raw = bytearray(gzip.decompress(_ARCHIVE))
    raw[at % len(raw)] ^= bits
    with suppress(Invalid):
        read_chart(io.BytesIO(gzip.compress(bytes(raw))))


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(_PROVENANCE)))
def test_any_provenance_is_read_or_refused(data: bytes, at: int) -> None:
    with suppress(Invalid):
        parse_provenance(_PROVENANCE[:at] + data + _PROVENANCE[at:])


_FIELDS = ["apiVersion", "name", "version", "urls", "created", "digest", "dependencies", "deprecated", "keywords", "x"]
_VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["v2", "demo", "1.0.0", "x.tgz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=8), max_size=3) | _VALUES)
def test_any_index_of_another_repository_is_read_or_refused(versions: object) -> None:
    with suppress(Invalid):
        for file, offer in read_index(json.dumps({"apiVersion": "v1", "entries": {"demo": versions}}).encode()).items():
            assert file == f"{offer.entry.name}-{offer.entry.version}.tgz"


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_read_as_an_index_or_refused(data: bytes) -> None:
    with suppress(Invalid):
        read_index(data)
