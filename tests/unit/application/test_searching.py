"""Words, names and filters of a search."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.searching import (
    MAX_QUERY_WORDS,
    Described,
    checked_checksum,
    checked_sort,
    describe,
    name_key,
    name_words,
    narrowed,
    query_words,
    storable,
    words,
)
from domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My-Package_2.0.tar.gz", ["my", "package", "2", "0", "tar", "gz"]),
        ("@scope/Größe", ["scope", "grösse"]),
        ("ﬁle Ⅷ", ["file", "viii"]),
        ("' & | ! :* <->", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_one_case(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_names_are_found_by_the_words_within_them() -> None:
    assert set(name_words("HTTPServer2Kit")) >= {"httpserver2kit", "http", "server", "2", "kit"}


def test_a_query_has_each_word_once_and_not_too_many() -> None:
    assert query_words("six Six SIX seven") == ["six", "seven"]
    assert len(query_words(" ".join(f"word{number}" for number in range(100)))) == MAX_QUERY_WORDS


@given(st.text())
def test_words_hold_nothing_that_a_query_language_understands(text: str) -> None:
    for word in words(text):
        assert word.isalnum()
        assert 0 < len(word) <= 64
        word.encode()


@given(st.text(alphabet=st.characters()))
def test_what_is_storable_can_be_stored(text: str) -> None:
    assert "\x00" not in storable(text)
    storable(text).encode()


def test_names_compare_without_case_and_punctuation() -> None:
    assert name_key("My.Package") == name_key("my_package") == name_key("my--package") == "my-package"
    assert name_key("@scope/name") == "@scope/name"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (b'{"summary":"HTTP for humans","keywords":["http","web"]}', Described("HTTP for humans", ("http", "web"))),
        (b'{"description":" text ","keywords":"a, b","tags":["c",7]}', Described("text", ("a, b", "c"))),
        (b'{"summary":"","description":"second"}', Described("second")),
        (b'{"summary":["not","text"]}', Described()),
        (b"{}", Described()),
        (b"[1]", Described()),
        (b"not json", Described()),
        (b"\xff", Described()),
    ],
)
def test_descriptions_are_found_where_formats_put_them(metadata: bytes, expected: Described) -> None:
    assert describe(metadata) == expected


def test_orders_have_a_few_names() -> None:
    assert checked_sort("Size") == "size_bytes"
    with pytest.raises(Invalid, match="sort_by"):
        checked_sort("; drop")


@pytest.mark.parametrize(("algorithm", "digest"), [("sha256", "ab" * 32), ("SHA1", "AB" * 20), ("md5", "0f" * 16)])
def test_checksums_are_taken_in_any_case(algorithm: str, digest: str) -> None:
    assert checked_checksum(algorithm, digest) == (algorithm.lower(), digest.lower())


@pytest.mark.parametrize(
    ("algorithm", "digest"), [("sha512", "ab" * 64), ("sha256", "ab"), ("md5", "zz" * 16), ("", "")]
)
def test_what_is_no_checksum_is_refused(algorithm: str, digest: str) -> None:
    with pytest.raises(Invalid):
        checked_checksum(algorithm, digest)


def test_repositories_are_narrowed_by_what_is_wanted() -> None:
    one, two, three = uuid4(), uuid4(), uuid4()
    assert narrowed(None, None) is None
    assert narrowed(None, [one]) == frozenset({one})
    assert narrowed(frozenset({one, two}), [two, three]) == frozenset({two})
    assert narrowed(frozenset({one}), None) == frozenset({one})
