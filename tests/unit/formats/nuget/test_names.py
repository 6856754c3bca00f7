from __future__ import annotations

import pytest

from application.formats.nuget.names import (
    IdInvalid,
    RangeInvalid,
    VersionInvalid,
    ascending,
    normalized_range,
    package_key,
    parse_id,
    parse_range,
    parse_version,
    version_key,
)


@pytest.mark.parametrize("text", ["a", "Demo.Pkg", "a-b.c_d", "_x", "7zip"])
def test_ids_are_groups_of_letters_joined_by_one_mark(text: str) -> None:
    assert parse_id(text) == text
    assert package_key(text.upper()) == text.lower()


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a.-b", "a b", "a/b", "é", "a\n", "a" * 101])
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(IdInvalid):
        parse_id(text)
    assert package_key(text) is None


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("1.0", "1.0.0"),
        ("1.0.0.0", "1.0.0"),
        ("1.0.01", "1.0.1"),
        ("1.2.3.4", "1.2.3.4"),
        ("1.0.0+build", "1.0.0"),
        ("1.0.0-Beta.1+x", "1.0.0-Beta.1"),
        ("01.02.03.04-rc", "1.2.3.4-rc"),
        ("2147483647.0.0", "2147483647.0.0"),
        ("1.0.0-alpha01", "1.0.0-alpha01"),
        ("1.0.0-001", "1.0.0-001"),
    ],
)
def test_versions_have_one_normal_form(written: str, normalized: str) -> None:
    assert parse_version(written).normalized == normalized
    assert version_key(written) == normalized.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3.4.5",
        "v1.0",
        "1.0-",
        "1.0+",
        "1..0",
        "2147483648.0",
        "1.0.0-a..b",
        "1.0.0-a.01",
        "1.0\n",
        "1.0.0-" + "a" * 60,
        "\u0661.\u0660",
    ],
)
def test_other_versions_are_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        parse_version(text)
    assert version_key(text) is None


def test_versions_order_by_numbers_then_pre_releases() -> None:
    ordered = [
        "0.9",
        "1.0.0-alpha",
        "1.0.0-ALPHA.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.0.0.1",
        "1.0.1",
        "1.10",
        "2.0-a",
    ]
    assert ascending(reversed(ordered)) == ordered


def test_old_clients_cannot_read_dots_and_builds() -> None:
    assert [parse_version(text).is_semver2 for text in ("1.0.0-a", "1.0.0-a.b", "1.0.0+a")] == [False, True, True]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "(, )"),
        ("1.0", "[1.0.0, )"),
        ("[1.0]", "[1.0.0, 1.0.0]"),
        ("[1.0,2.0)", "[1.0.0, 2.0.0)"),
        ("(,2.0]", "(, 2.0.0]"),
        (" ( 1.0 , ) ", "(1.0.0, )"),
        ("1.*", "[1.*, )"),
        ("1.0.0-*", "[1.0.0-*, )"),
    ],
)
def test_ranges_are_told_with_both_ends(written: str, told: str) -> None:
    assert normalized_range(written) == told
    parse_range(told)


@pytest.mark.parametrize(
    "text", ["(1.0)", "(1.0]", "[,]x", "[1.0", "1.0,2.0", "[a,b]", "[1.0,2.0,3.0]", "x", "[" + "1" * 200]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises((RangeInvalid, VersionInvalid)):
        normalized_range(text)
