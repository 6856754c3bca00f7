from __future__ import annotations

import pytest

from application.formats.helm.names import (
    NameInvalid,
    RangeInvalid,
    VersionInvalid,
    best,
    chart_path,
    newest_first,
    parse_name,
    parse_version,
)

ASCENDING = [
    "0.1.0",
    "v1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1",
    "1.2",
    "1.10.0",
    "2.0.0+b",
]


@pytest.mark.parametrize("text", ["demo", "a-1", "Demo_2", "a.b", "0"])
def test_names_that_can_be_part_of_a_file_name_are_taken(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize("text", ["", ".hidden", "-x", "a/b", "a\\b", "a..b", "a b", "a\0", "é", "a" * 251, "a\n"])
def test_other_names_are_not(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse_name(text)


@pytest.mark.parametrize(
    "text", ["1.2.3", "v1.2.3", "1.2", "1", "1.2.3-rc.1+build.5", "1.0.0-0a", "18446744073709551615.0.0"]
)
def test_versions_that_helm_reads_are_taken_as_they_are(text: str) -> None:
    assert parse_version(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3.4",
        "x",
        "01.2.3",
        "1.2.3-01",
        "1.2.3-",
        "1..2",
        "1.2.3+",
        "V1",
        "1.2.3\n",
        "18446744073709551616",
        "1.0.0-" + "a" * 300,
    ],
)
def test_other_versions_are_not(text: str) -> None:
    with pytest.raises(VersionInvalid):
        parse_version(text)


def test_versions_order_by_precedence() -> None:
    assert newest_first(sorted(ASCENDING)) == ASCENDING[::-1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1.2.0", "1.2.0"),
        ("v1.0.0", "v1.0.0"),
        ("latest", "2.0.0"),
        ("", "2.0.0"),
        ("~1.2", "1.2.3"),
        ("^1", "1.10.0"),
        (">= 1.2, < 1.10", "1.2.3"),
        ("1.2.x || 3", "1.2.3"),
        (">2", None),
        (">3.0.0-0", "3.0.0-rc.1"),
        ("9", None),
    ],
)
def test_a_constraint_means_the_highest_version_that_it_admits(wanted: str, found: str | None) -> None:
    versions = ["1.2.0", "1.2.3", "1.10.0", "2.0.0", "v1.0.0", "3.0.0-rc.1"]
    assert best(versions, wanted) == found


def test_only_prereleases_are_better_than_nothing() -> None:
    assert best(["1.0.0-a", "1.0.0-b"], "latest") == "1.0.0-b"
    assert best([], "latest") is None


@pytest.mark.parametrize("text", ["~~1", "a b", "x" * 300, ">=", "\0", "< - 2", "1 - <"])
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(RangeInvalid):
        best(["1.0.0"], text)


def test_a_chart_is_stored_by_the_name_of_its_file() -> None:
    assert chart_path(parse_name("demo"), parse_version("1.0.0+x")) == "charts/demo-1.0.0+x.tgz"
