"""Laws of the NuGet format: versions, ranges, filters, and archives of strangers."""

from __future__ import annotations

import io
import json
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from application.formats.nuget.metadata import parse_nuspec, read_package
from application.formats.nuget.names import (
    MAX_VERSION_CHARS,
    PackageKey,
    ascending,
    normalized_range,
    order_key,
    parse_version,
    version_key,
)
from application.formats.nuget.odata import parse_filter, quoted, text_value
from application.formats.nuget.upstream import read_names, read_offers, read_pages, read_services
from domain.errors import Invalid
from tests.samples.nuget import make

_NUMBERS = st.integers(0, 2**31 - 1)
_IDENTIFIER = st.integers(0, 999).map(str) | st.from_regex(r"[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,3}", fullmatch=True)
_IDENTIFIERS = st.lists(_IDENTIFIER, min_size=1, max_size=3).map(".".join)


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = ".".join(map(str, draw(st.lists(_NUMBERS, min_size=2, max_size=4))))
    text += f"-{draw(_IDENTIFIERS)}" if draw(st.booleans()) else ""
    text += f"+{draw(_IDENTIFIERS)}" if draw(st.booleans()) else ""
    assume(len(text) <= MAX_VERSION_CHARS)
    return text


_PACKAGE = make.package(body=make.dependencies(("A", "1.0")))
_MANIFEST = make.nuspec(body=make.dependencies(("A", "1.0")))


@settings(deadline=None)
@given(versions())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    normalized = parse_version(text).normalized
    assert parse_version(normalized).normalized == normalized
    assert order_key(normalized) == order_key(text)
    assert version_key(text.upper()) == version_key(text)


@settings(deadline=None)
@given(versions(), st.integers(0, 2))
def test_zeros_that_are_left_away_change_nothing(text: str, zeros: int) -> None:
    numbers, mark, rest = text.partition("-")
    if "+" not in numbers and numbers.count(".") + zeros <= 3 and len(text) + 2 * zeros <= MAX_VERSION_CHARS:
        assert version_key(numbers + ".0" * zeros + mark + rest) == version_key(text)


@settings(deadline=None)
@given(st.lists(versions(), max_size=6))
def test_the_order_of_versions_is_total(some: list[str]) -> None:
    ordered = ascending(some)
    assert ordered == ascending(some[::-1])
    keys = [order_key(text) for text in ordered]
    assert keys == sorted(keys)


@settings(deadline=None)
@given(versions())
def test_a_pre_release_comes_before_its_release(text: str) -> None:
    numbers = text.partition("-")[0].partition("+")[0]
    assert order_key(f"{numbers}-a") < order_key(numbers)


@settings(deadline=None)
@given(versions(), versions(), st.sampled_from("[("), st.sampled_from("])"))
def test_a_range_is_told_in_one_way(low: str, high: str, opening: str, closing: str) -> None:
    told = normalized_range(f"{opening}{low},{high}{closing}")
    assert normalized_range(told) == told


@settings(deadline=None)
@given(st.text("0123456789.[](),*- ab", max_size=12))
def test_any_range_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        assert normalized_range(normalized_range(text)) == normalized_range(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_can_stand_in_a_filter(text: str) -> None:
    assert text_value(quoted(text)) == text
    assert parse_filter(f"Id eq {quoted(text)}", ["Id"])({"Id": text}) is True


@settings(deadline=None)
@given(st.text("()'ab eqornt,1.", max_size=40) | st.text(max_size=20))
def test_any_filter_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        assert parse_filter(text, ["Id", "ab"])({"Id": "x"}) in {True, False, None}


@settings(deadline=None)
@given(st.integers(0, len(_PACKAGE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(at: int, bits: int) -> None:
    data = bytearray(_PACKAGE)
    data[at] ^= bits
    with suppress(Invalid):
        read_package(io.BytesIO(bytes(data)))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_package(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_package(io.BytesIO(data))


@settings(deadline=None)
@given(
    st.integers(0, len(_MANIFEST)), st.binary(max_size=20) | st.sampled_from([b"<a>", b"&x;", b"<!DOCTYPE a>", b"\0"])
)
def test_any_manifest_is_read_or_refused(at: int, data: bytes) -> None:
    with suppress(Invalid):
        parse_nuspec(_MANIFEST[:at] + data + _MANIFEST[at:])


_FIELDS = [
    "@id",
    "@type",
    "items",
    "resources",
    "lower",
    "upper",
    "catalogEntry",
    "id",
    "version",
    "published",
    "listed",
]
_FIELDS += ["dependencyGroups", "dependencies", "range", "packageContent", "tags", "authors", "deprecation", "data"]
_TEXTS = ["Demo.Pkg", "1.0.0", "2020-01-01T00:00:00Z", "https://feed.example/x", "http://[", "RegistrationsBaseUrl"]
_VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(_TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=5),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=5) | _VALUES)
def test_any_document_of_another_feed_is_read_or_refused(told: object) -> None:
    body, key = json.dumps(told).encode(), PackageKey("demo.pkg")
    with suppress(Invalid):
        read_services(body, "https://feed.example/v3/index.json")
    with suppress(Invalid):
        read_names(body)
    with suppress(Invalid):
        _, leaves = read_pages(body, "https://feed.example/v3/index.json")
        read_offers(leaves, key, "https://feed.example/v3/index.json")
    with suppress(Invalid):
        read_offers([told] if isinstance(told, dict) else [], key, "https://feed.example/")
