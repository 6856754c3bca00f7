from __future__ import annotations

import pytest

from application.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, YamlInvalid, parse_yaml


def test_scalars_stay_the_text_that_was_written() -> None:
    text = "a: 1.10\nb: no\nc: 2026-03-03\nd: 0x10\ne: '~'\nf: |\n  two\n  lines\n"
    assert parse_yaml(text.encode(), "x") == {
        "a": "1.10", "b": "no", "c": "2026-03-03", "d": "0x10", "e": "~", "f": "two\nlines\n",
    }  # fmt: skip


@pytest.mark.parametrize("nothing", ["", "~", "null", "NULL"])
def test_only_a_plain_null_is_nothing(nothing: str) -> None:
    assert parse_yaml(f"a: {nothing}\n".encode(), "x") == {"a": None}


def test_an_empty_file_is_nothing() -> None:
    assert parse_yaml(b"", "x") is None
    assert parse_yaml(b"# nothing\n", "x") is None


def test_aliases_and_merges_stand_for_what_they_name() -> None:
    text = b"one: &one {a: b, c: d}\ntwo: *one\nthree:\n  <<: [*one, {z: y, c: e}]\n  a: own\n'<<': text\n"
    assert parse_yaml(text, "x") == {
        "one": {"a": "b", "c": "d"},
        "two": {"a": "b", "c": "d"},
        "three": {"a": "own", "c": "d", "z": "y"},
        "<<": "text",
    }


def test_other_encodings_of_unicode_are_read() -> None:
    assert parse_yaml("a: größe".encode("utf-16"), "x") == {"a": "größe"}


REFUSED = {
    "a key twice": b"a: 1\na: 2",
    "two documents": b"--- a\n--- b",
    "a damaged one": b"[1, 2",
    "a key that is a list": b"? [a]\n: b",
    "a key that is null": b"~: b",
    "a tag of Python": b"!!python/object/apply:os.system [ls]",
    "a tag of its own": b"a: !vault x",
    "an alias of nothing": b"a: *b",
    "an alias of what it is in": b"&a [*a]",
    "a merge of text": b"<<: text",
    "bytes that are no text": b"\xff\xfe\x00",
    "a control character": b"a: \x00",
    "too many levels": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "too many values": b"- a\n" * MAX_NODES,
    "too many bytes": b"#" * (MAX_BYTES + 1),
    "a bomb": b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_or_never_ends_is_refused(data: bytes) -> None:
    with pytest.raises(YamlInvalid, match=r"\Afile\.yaml: "):
        parse_yaml(data, "file.yaml")


def test_everything_within_the_bounds_is_read() -> None:
    assert parse_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "x")
    assert len(parse_yaml(b"- a\n" * (MAX_NODES - 1), "x") or ()) == MAX_NODES - 1
