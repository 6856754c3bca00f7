from __future__ import annotations

import email
import email.policy

import pytest

from api.ranges import Unsatisfiable, lay_out, wanted_spans


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-9", [(0, 10)]),
        ("bytes=0-", [(0, 100)]),
        ("bytes=90-500", [(90, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("Bytes = 0 - 9", [(0, 10)]),
        ("bytes=0-1,5-6", [(0, 2), (5, 7)]),
        ("bytes=50-59, 0-0 ,-1", [(50, 60), (0, 1), (99, 100)]),
        ("bytes=0-1,200-300", [(0, 2)]),
        ("bytes=0-1,", [(0, 2)]),
        ("bytes=00000000000000000000000-1", [(0, 2)]),
    ],
)
def test_ranges_are_read_as_the_standard_says(header: str, spans: list[tuple[int, int]]) -> None:
    assert wanted_spans(header, 100) == spans


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=0-1,5-2",
        "bytes=--5",
        "bytes=0-1-2",
        "lines=0-1",
        "bytes=0-9,5-6",
        "bytes=0-,0-,0-",
        "bytes=" + ",".join(f"{number}-{number}" for number in range(0, 22, 2)),
        "bytes=٣-٤",
    ],
)
def test_what_is_no_range_or_costs_more_than_the_whole_gets_the_whole(header: str) -> None:
    assert wanted_spans(header, 100) == []


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,-0"])
def test_parts_that_no_byte_is_in_are_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_spans(header, 100)


def test_an_empty_file_has_no_parts() -> None:
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(Unsatisfiable):
            wanted_spans(header, 0)


def test_several_parts_make_a_body_that_mail_readers_take_apart() -> None:
    content = bytes(range(100))
    layout = lay_out([(0, 2), (50, 53)], 100, "application/x-thing")
    body = b"".join(head + content[start:end] for head, (start, end) in layout.parts) + layout.closing
    assert len(body) == layout.length
    message = email.message_from_bytes(
        b"Content-Type: " + layout.media_type.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    parts = list(message.iter_parts())
    assert [part["content-range"] for part in parts] == ["bytes 0-1/100", "bytes 50-52/100"]
    assert [part.get_content_type() for part in parts] == ["application/x-thing"] * 2
    assert [part.get_payload(decode=True) for part in parts] == [b"\x00\x01", b"234"]
