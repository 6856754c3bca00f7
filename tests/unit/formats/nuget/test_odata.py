from __future__ import annotations

from datetime import UTC, datetime

import pytest

from application.formats.nuget.odata import QueryInvalid, Value, parse_filter, parse_order, quoted, text_value

KNOWN: dict[str, Value] = {
    "Id": "Demo.Pkg",
    "Version": "1.0.0",
    "Title": None,
    "IsLatestVersion": True,
    "Size": 12,
    "Published": datetime(2026, 3, 3, tzinfo=UTC),
}

TRUE = [
    "",
    "IsLatestVersion",
    "IsLatestVersion eq true",
    "not (IsLatestVersion eq false)",
    "Id eq 'demo.pkg'",
    "tolower(Id) eq 'demo.pkg' and Size gt 11 and Size le 12",
    "Id ne null",
    "Title eq null",
    "substringof('O.P',Id) and startswith(Id,'demo') and endswith(tolower(Id),'pkg') and contains(Id, 'mo')",
    "(((Id ne null) and substringof('pkg',tolower(Id))) or ((Title ne null) and substringof('pkg',tolower(Title))))",
    "Id eq 'x' or Id eq 'y' or isLatestVersion",
    "Id eq 'x' and Id eq 'y' or IsLatestVersion",
    "Published ge datetime'2026-01-01T00:00:00'",
    "length(Id) eq 8",
    "indexof(Id, 'Pkg') eq 5",
    "'it''s' eq 'IT''S'",
    "Size eq 12L and Size lt 12.5d and Size gt -1",
]
FALSE = [
    "Id eq 'x'",
    "not IsLatestVersion",
    "Title eq 'x'",
    "Id gt 5",
    "substringof('x',Title)",
    "Size",
    "Id",
    "null",
    "Version eq '2.0.0' or Id eq 'x'",
]
UNREADABLE = [
    "Id eq", "eq 'x'", "(Id eq 'x'", "Id eq 'x')", "Nothing eq 'x'", "run('x')", "tolower(Id,Id) eq 'x'", "Id eq 'x", 'Id eq "x"',
    "Id ; drop", "Id eq 'x' and", "not", "Published gt datetime'soon'", "(" * 70 + "Id" + ")" * 70, "not " * 70 + "Id", "x" * 9000, ",",
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_filters_let_pass(text: str) -> None:
    assert parse_filter(text, KNOWN)(KNOWN) is True


@pytest.mark.parametrize("text", FALSE)
def test_filters_hold_back(text: str) -> None:
    assert parse_filter(text, KNOWN)(KNOWN) is False


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(QueryInvalid):
        parse_filter(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Id eq 'x'", False),
        ("Id eq 'demo.pkg'", True),
        ("Size gt 1", None),
        ("Id eq 'x' and Size gt 1", False),
        ("Id eq 'demo.pkg' and Size gt 1", None),
        ("Id eq 'demo.pkg' or Size gt 1", True),
        ("Id eq 'x' or substringof('a',Title)", None),
        ("not (Size gt 1)", None),
    ],
)
def test_a_filter_says_when_it_needs_to_know_more(text: str, answer: bool | None) -> None:
    assert parse_filter(text, KNOWN)({"Id": "Demo.Pkg"}) is answer


def test_orders_are_read() -> None:
    assert parse_order("Id,version desc", KNOWN) == [("Id", False), ("Version", True)]
    assert parse_order(" ", KNOWN) == []
    for text in ("Nothing", "Id down", "Id,", "Id asc x"):
        with pytest.raises(QueryInvalid):
            parse_order(text, KNOWN)


def test_texts_are_quoted_and_read_again() -> None:
    assert text_value("'it''s'") == "it's"
    assert text_value("plain") == "plain"
    assert text_value(quoted("'")) == "'"
