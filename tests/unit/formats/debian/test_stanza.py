"""Paragraphs: what is read, and everything that could be read as two."""

from __future__ import annotations

import pytest

from application.formats.debian.stanza import MAX_STANZA_BYTES, StanzaMalformed, parse_signed, parse_stanza
from tests.samples.debian import make


def test_fields_keep_their_order_and_folded_lines() -> None:
    text = b"Package: a\nX-Odd_Field!: v \t\nDescription: short\n long\n .\n\ttabbed  \nEmpty:\n"
    stanza = parse_stanza(text, "control")
    assert stanza.fields == (
        ("Package", "a"),
        ("X-Odd_Field!", "v"),
        ("Description", "short\n long\n .\n\ttabbed"),
        ("Empty", ""),
    )
    assert stanza.get("description").startswith("short")
    assert stanza.get("none", "other") == "other"
    assert parse_stanza(stanza.text().encode(), "again").fields == stanza.fields


def test_a_list_begins_on_the_line_after_its_field() -> None:
    stanza = parse_stanza(b"Files:\n one\n two\n", "dsc")
    assert stanza.get("Files") == "\n one\n two"
    assert stanza.text() == "Files:\n one\n two\n"


def test_empty_lines_around_it_are_no_part_of_it() -> None:
    assert parse_stanza(b"\n\nPackage: a\n\n\n", "control").fields == (("Package", "a"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"Package: a\n\nPackage: b\n", "no second one"),
        (b"Package: a\n \nPackage: b\n", "no second one"),
        (b"Package: a\nDescription: x\n \t\n more\n", "line 3 is empty"),
        (b"Package: a\npackage: b\n", "twice"),
        (b"Package: a\r\nVersion: 1\n", "control character"),
        (b"Package: a\x00\n", "control character"),
        (b"Package: a\x0bb\n", "control character"),
        (b" folded first\nPackage: a\n", "no field"),
        (b"#comment\nPackage: a\n", "no field"),
        (b"-Package: a\n", "no field"),
        (b"Package a\n", "no field"),
        (b": a\n", "no field"),
        (b"", "line 1 is empty"),
        (b"Package: \xff\n", "UTF-8"),
        (b"".join(b"F%d: v\n" % number for number in range(501)), "more than 500 fields"),
        (b"F: " + b"x" * MAX_STANZA_BYTES, "bytes"),
    ],
)
def test_what_has_two_readings_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(StanzaMalformed, match=reason):
        parse_stanza(text, "control")


def test_only_the_signed_text_of_a_signed_file_counts() -> None:
    plain = b"Source: hello\nDescription:\n hello - x\n"
    assert parse_signed(make.clearsigned(plain), "dsc").fields == parse_signed(plain, "dsc").fields
    dashed = make.clearsigned(b"Source: hello\nX: y\n").replace(b"X: y", b"- X: y")
    assert parse_signed(dashed, "dsc").get("X") == "y"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data + b"Source: evil\n",
        lambda data: data.replace(b"\n-----BEGIN PGP SIGNATURE-----", b""),
        lambda data: data + data,
        lambda data: data.replace(b"Hash: SHA512", b"Source: evil"),
        lambda data: data.replace(b"Source", b"-Source"),
        lambda data: data.replace(b"\n\n", b"\n"),
        lambda data: data.replace(b"Source", b"\xff"),
        lambda data: data + b" " * MAX_STANZA_BYTES,
    ],
)
def test_signed_files_with_anything_around_the_signed_text_are_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(StanzaMalformed):
        parse_signed(damage(make.clearsigned(b"Source: hello\nVersion: 1\n")), "dsc")
