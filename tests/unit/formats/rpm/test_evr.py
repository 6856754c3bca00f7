"""How versions of packages order."""

from __future__ import annotations

import pytest

from application.formats.rpm.evr import Evr, order_key, parse_evr, rpmvercmp

ORDERED = [
    ("1.0", "1.0", 0),
    ("1.0", "2.0", -1),
    ("2.0.1", "2.0.1a", -1),
    ("5.5p1", "5.5p10", -1),
    ("10xyz", "10.1xyz", -1),
    ("xyz10", "xyz10.1", -1),
    ("xyz.4", "8", -1),
    ("xyz.4", "2", -1),
    ("5.5p2", "5.6p1", -1),
    ("6.0.rc1", "6.0", 1),
    ("10b2", "10a1", 1),
    ("1.0aa", "1.0a", 1),
    ("10.0001", "10.0039", -1),
    ("10.0001", "10.1", 0),
    ("4.999.9", "5.0", -1),
    ("20101121", "20101122", -1),
    ("2_0", "2.0", 0),
    ("a+", "a_", 0),
    ("+_", "_+", 0),
    ("+a", "a", 0),
    ("1.0~rc1", "1.0", -1),
    ("1.0~rc1", "1.0~rc2", -1),
    ("1.0~rc1~git123", "1.0~rc1", -1),
    ("1.0^", "1.0", 1),
    ("1.0^git1", "1.0^git2", -1),
    ("1.0^git1", "1.01", -1),
    ("1.0^20160101", "1.0.1", -1),
    ("1.0~rc1^git1", "1.0~rc1", 1),
    ("1.0^git1~pre", "1.0^git1", -1),
    ("1b.fc17", "1.fc17", -1),
    ("1g.fc17", "1.fc17", 1),
    ("1.", "1", 0),
    ("", "1", -1),
]
"""Most are from rpm's own tests, tests/rpmvercmp.at."""


@pytest.mark.parametrize(("left", "right", "order"), ORDERED)
def test_versions_order_as_for_rpm(left: str, right: str, order: int) -> None:
    assert rpmvercmp(left, right) == order
    assert rpmvercmp(right, left) == -order


def test_an_epoch_goes_before_everything_and_a_release_behind() -> None:
    versions = ["1:0.1-1", "2.0-1", "2.0-10", "2.0-9", "1.9-1", "2.0~rc1-1", "0:1.10-1"]
    assert sorted(versions, key=order_key) == ["1.9-1", "0:1.10-1", "2.0~rc1-1", "2.0-1", "2.0-9", "2.0-10", "1:0.1-1"]


@pytest.mark.parametrize(
    ("text", "evr"),
    [
        ("1.0", Evr(0, "1.0")),
        ("1.0-3", Evr(0, "1.0", "3")),
        ("2:1.0-3.el9", Evr(2, "1.0", "3.el9")),
        (":1.0", Evr(0, "1.0")),
        ("a:1.0", Evr(0, "a:1.0")),
        ("", Evr(0, "")),
    ],
)
def test_any_text_is_a_version(text: str, evr: Evr) -> None:
    assert parse_evr(text) == evr


def test_a_version_is_written_as_it_was_read() -> None:
    for text in ("1.0-3", "2:1.0-3", "1.0"):
        assert str(parse_evr(text)) == text
