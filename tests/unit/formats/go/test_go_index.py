"""The documents of a module proxy, written and read, and the addresses of checksum databases."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest

from application.formats.go.archive import ZipInvalid, require_start
from application.formats.go.index import (
    Info,
    InfoInvalid,
    ListInvalid,
    parse_time,
    read_info,
    read_list,
    render_info,
    render_list,
)
from application.formats.go.names import parse_module
from application.formats.go.sums import asked_lookup, is_database, is_full, is_tile
from application.formats.go.versions import parse_version
from tests.samples.go import make

NOON = datetime(2026, 3, 3, 12, 0, 0, 999, UTC)


def test_a_list_is_in_order_and_is_read_again() -> None:
    body = render_list(["v1.10.0", "v1.9.0", "v0.0.0-20260303101500-abcdefabcdef"])
    assert body == b"v1.9.0\nv1.10.0\n"
    assert read_list(body) == ["v1.9.0", "v1.10.0"]
    assert render_list([]) == b""


def test_of_a_list_everything_is_passed_over_that_clients_pass_over() -> None:
    assert read_list(b"v1.0.0 2026-01-01T00:00:00Z\r\n\nmaster\nv1.1\n  v2.0.0+incompatible\n\xff\n") == [
        "v1.0.0",
        "v2.0.0+incompatible",
    ]
    assert read_list(b"") == read_list(b"\n \n") == []
    for page in (b"<!doctype html>\n<p>Sign in</p>", b"no versions here", b"\xff\xfe"):
        with pytest.raises(ListInvalid):
            read_list(page)


def test_an_info_tells_whole_seconds_in_utc() -> None:
    body = render_info("v1.0.0", NOON.astimezone(timezone(timedelta(hours=5))))
    assert body == b'{"Version":"v1.0.0","Time":"2026-03-03T12:00:00Z"}'
    assert read_info(body, "v1.0.0") == Info("v1.0.0", NOON.replace(microsecond=0))
    assert read_info(b'{"Version":"v1.0.0","Origin":{"VCS":"git"}}') == Info("v1.0.0", None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[" * 10_000,
        b"\xff",
        b'{"Version":1}',
        b'{"Version":"main"}',
        b'{"Version":"v1"}',
        b'{"Version":"v1.0.1"}',
        b'{"Version":"v1.0.0","Time":"yesterday"}',
        b'{"Version":"v1.0.0","Time":"2026-03-03T12:00:00"}',
    ],
)
def test_what_is_no_info_of_the_version_is_refused(data: bytes) -> None:
    with pytest.raises(InfoInvalid):
        read_info(data, "v1.0.0")


def test_times_have_a_zone_and_a_place_in_utc() -> None:
    assert parse_time("2026-03-03T14:00:00.000999+02:00") == NOON
    for text in ("", "2026-03-03", "2026-03-03T12:00:00", "0001-01-01T00:00:00+14:00", "noon"):
        assert parse_time(text) is None, text


def test_the_beginning_of_a_zip_says_of_which_version_it_is() -> None:
    module, version = parse_module(make.MODULE), parse_version(make.VERSION)
    for data in (make.module(), make.pack([])):
        require_start(io.BytesIO(data), module, version)
    for data in (make.module(version="v1.0.1"), make.module()[:30], b"", b"<html>", b"PK\x03\x04"):
        with pytest.raises(ZipInvalid, match="does not begin with a file below"):
            require_start(io.BytesIO(data), module, version)


def test_names_of_databases_are_names_of_hosts() -> None:
    assert is_database("sum.example.org")
    for name in ("", "localhost", "Sum.example.org", "sum.example.org:443", "a..b", "a.b/c", "a.b\n", "a." + "b" * 260):
        assert not is_database(name), name


def test_a_lookup_is_of_a_version_of_a_module() -> None:
    assert asked_lookup("example.com/!acme/!kit@v1.0.0-!r!c1") == "example.com/Acme/Kit"
    assert asked_lookup("example.com/demo@v2.0.0+incompatible") == "example.com/demo"
    for record in (
        "",
        "@v1.0.0",
        "example.com/demo",
        "example.com/Acme@v1.0.0",
        "example.com/demo@main",
        "a.b/../c@v1",
    ):
        assert asked_lookup(record) is None, record


@pytest.mark.parametrize(
    ("rest", "full"),
    [
        ("8/0/000", True),
        ("8/2/x001/x234/067", True),
        ("8/data/x001/067", True),
        ("8/0/000.p/1", False),
        ("8/data/x001/067.p/255", False),
    ],
)
def test_tiles_are_full_or_partial(rest: str, *, full: bool) -> None:
    assert is_tile(rest)
    assert is_full(rest) == full


@pytest.mark.parametrize(
    "rest", ["", "8/0/0", "9/0/000", "8/0/x001", "8/0/000.p/0", "8/0/000.p/x", "8/000/000", "8/0/000\n", "8/0/../000"]
)
def test_what_is_no_tile(rest: str) -> None:
    assert not is_tile(rest)
