"""Version order: the examples of the specification, and those of people."""

from __future__ import annotations

from itertools import pairwise

import pytest

from application.formats.maven.versions import is_snapshot, latest, latest_release, order_key


def same(left: str, right: str) -> bool:
    return order_key(left)[0] == order_key(right)[0]


@pytest.mark.parametrize(
    "versions",
    [
        ("1", "1.1"),
        ("1-snapshot", "1", "1-sp"),
        ("1-foo2", "1-foo10"),
        ("1.foo", "1-1", "1.1"),
        ("1-ga", "1-sp"),
        ("1-ga.1", "1-sp.1"),
        ("1-sp-1", "1-ga-1"),
        ("1-alpha", "1-beta", "1-milestone", "1-rc", "1-SNAPSHOT", "1", "1-sp", "1-abc", "1-def", "1-1", "1.1"),
        ("1.0-alpha-1", "1.0-alpha-2", "1.0-alpha-10", "1.0-beta-1", "1.0-SNAPSHOT", "1.0", "1.0.1-SNAPSHOT", "1.0.1"),
        ("1.0.RC1", "1.0.RC2", "1.0.SNAPSHOT", "1.0.RELEASE", "1.0.1.RELEASE"),
        ("2.9.9", "2.9.10", "2.10.0-M1", "2.10.0", "10.0"),
        ("28.0-android", "28.0-jre", "28.1-android"),
        ("0", "0.0.1", "0.1"),
        ("20040616", "20260303101500", "99999999999999999999999999"),
    ],
)
def test_versions_are_in_this_order(versions: tuple[str, ...]) -> None:
    for low, high in pairwise(versions):
        assert order_key(low) < order_key(high), (low, high)
        assert not same(low, high)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *(("1", text) for text in ("1.0", "1.0.0", "1.ga", "1-ga", "1-0", "1.final", "1.", "1-", "1-RELEASE", "01")),
        ("1.0.0-foo.0.0", "1-foo"),
        ("1.0.0-0.0.0", "1"),
        ("1.foo", "1-foo"),
        ("1-a1", "1-alpha-1"),
        ("1-b2", "1-beta-2"),
        ("1-m3", "1-milestone-3"),
        ("1-cr", "1-RC"),
        ("1-1.foo-bar1baz-.1", "1-1.foo-bar-1-baz-0.1"),
        ("1_foo", "1-foo"),
    ],
)
def test_versions_that_maven_takes_for_the_same(left: str, right: str) -> None:
    assert same(left, right)
    assert order_key(left) != order_key(right) or left == right


def test_a_letter_is_short_for_a_qualifier_only_before_a_number() -> None:
    assert not same("1-a", "1-alpha")
    assert not same("1-a-1", "1-alpha-1")


def test_a_snapshot_is_told_by_its_end() -> None:
    assert [is_snapshot(version) for version in ("1.0-SNAPSHOT", "SNAPSHOT", "1.0", "1.0-snapshot", "1.0SNAPSHOT")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_the_latest_may_be_a_snapshot_and_the_latest_release_never_is() -> None:
    versions = ["1.9", "2.0-SNAPSHOT", "1.10"]
    assert latest(versions) == "2.0-SNAPSHOT"
    assert latest_release(versions) == "1.10"
    assert latest([]) == latest_release(["1-SNAPSHOT"]) == ""
