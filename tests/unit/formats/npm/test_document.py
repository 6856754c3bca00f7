from __future__ import annotations

import base64
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from application.formats.npm.document import MAX_BUNDLE_BYTES, PackageDocument, read_document
from application.formats.npm.json_stream import JsonMalformed, JsonStream
from application.formats.npm.people import Person
from domain.errors import Invalid, SizeMismatch, TooLarge
from tests.samples.npm import make

BODY = bytes(range(256)) * 3 + b"ab"


class Drips(io.RawIOBase):
    """A file that gives a few bytes at a time, as a slow socket would."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data, self.at, self.step = data, 0, step

    def read(self, size: int | None = -1) -> bytes:
        piece = self.data[self.at : self.at + self.step]
        self.at += len(piece)
        return piece


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def read(document: Any, sink: io.BytesIO | None = None, max_bytes: int = 1 << 20) -> PackageDocument:
    data = document if isinstance(document, bytes) else encoded(document)
    return read_document(io.BytesIO(data), io.BytesIO() if sink is None else sink, max_bytes)


def with_data(text: str, **others: Any) -> bytes:
    """A document whose attachment has this JSON text as its data."""
    members = "".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in others.items())
    return b'{"_id":"x","_attachments":{"x-1.0.0.tgz":{"data":%s%s}}}' % (text.encode(), members.encode())


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 100_000])
def test_a_publish_gives_its_fields_and_its_tarball_however_the_bytes_arrive(step: int) -> None:
    sink = io.BytesIO()
    document = make.document(BODY, tag="beta", deprecated="old")
    result = read_document(Drips(encoded(document), step), sink)  # type: ignore[arg-type]
    assert sink.getvalue() == BODY
    assert (result.id, result.name, result.dist_tags) == ("ak-hello", "ak-hello", {"beta": "1.0.0"})
    assert result.attachments[0].name == "ak-hello-1.0.0.tgz"
    assert result.attachments[0].size_bytes == len(BODY)
    claimed = result.manifest("1.0.0")
    assert claimed.dist.integrity == make.integrity(BODY)
    assert (claimed.node_version, claimed.npm_version) == ("20.20.2", "11.19.1")
    assert result.deprecations() == {"1.0.0": "old"}


def test_members_may_come_in_any_order() -> None:
    document = make.document(BODY)
    turned = {key: document[key] for key in reversed(document)}
    attachment = turned["_attachments"]["ak-hello-1.0.0.tgz"]
    turned["_attachments"]["ak-hello-1.0.0.tgz"] = {key: attachment[key] for key in reversed(attachment)}
    sink = io.BytesIO()
    assert read(turned, sink) == read(document)
    assert sink.getvalue() == BODY


def test_escapes_do_not_hide_the_attachments() -> None:
    sink = io.BytesIO()
    escaped = (
        encoded(make.document(BODY))
        .replace(b'"_attachments"', b'"\\u005fattach\\u006Dents"')
        .replace(b'"data"', b'"d\\u0061ta"')
    )
    assert read(escaped, sink).attachments[0].size_bytes == len(BODY)
    assert sink.getvalue() == BODY


def test_base64_may_be_escaped_as_other_json_writers_do() -> None:
    sink = io.BytesIO()
    data = bytes([0xFB, 0xFF, 0xBF]) * 50
    text = base64.b64encode(data).decode().replace("/", "\\/").replace("+", "\\u002b")
    read(with_data(f'"{text}"', length=len(data)), sink)
    assert sink.getvalue() == data


@pytest.mark.parametrize(
    "text",
    ['"a"', '"ab"', '"abc"', '"ab=c"', '"===="', '"YWI=YWI="', '"YW I="', '"YWI\\n="', '"Y-_="', '"\\u00e9AAA"', '"\\q"', '"YWI="x', "5", "null", "[]",
     '"YWI=\x01"', '"\\ud83d\\ude00AA"', '"AAAAA"'],
)  # fmt: skip
def test_an_attachment_that_is_not_one_base64_string_is_refused(text: str) -> None:
    with pytest.raises(JsonMalformed):
        read(with_data(text))


def test_padding_inside_a_long_attachment_is_refused() -> None:
    text = base64.b64encode(b"x" * 100).decode() + base64.b64encode(b"y" * 300_000).decode()
    with pytest.raises(JsonMalformed):
        read(with_data(f'"{text}"'))


def test_an_empty_attachment_has_no_bytes() -> None:
    sink = io.BytesIO()
    assert read(with_data('""'), sink).attachments[0].size_bytes == 0
    assert sink.getvalue() == b""


def test_an_attachment_shorter_than_it_announces_is_refused() -> None:
    with pytest.raises(SizeMismatch):
        read(with_data('"AAAA"', length=4))


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":"a","n\\u0061me":"b"}',
        b'{"versions":{"1.0.0":{},"1.0.0":{}}}',
        b'{"versions":{"1.0.0":{"scripts":{"a":"1","a":"2"}}}}',
        b'{"_attachments":{},"_attachments":{}}',
        b'{"_attachments":{"a":{"data":""},"a":{"data":""}}}',
        b'{"_attachments":{"a":{"data":"","data":""}}}',
    ],
)
def test_a_member_that_comes_twice_is_refused_at_any_depth(body: bytes) -> None:
    with pytest.raises(JsonMalformed, match=r"duplicate|twice"):
        read(body)


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"null", b"[]", b'"x"', b"{", b"}", b'{"a"}', b'{"a":}', b'{"a":1', b'{"a":1,}', b"{,}", b'{"a":1 "b":2}', b"{} x", b'{"a":tru}',
     b'{"a":01}', b'{"a":NaN}', b'{"a":[1,]}', b'{"a":[}}', b'{"a":{]}', b'{"a":"\xff"}', b'{"a\xff":1}', b'{"a":"\x01"}', b'{"a":"\\x"}', b'{"a":"\\ud800"}',
     b"{'a':1}", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'{"versions":[]}', b'{"versions":{"1":}}', b'{"dist-tags":{"a":1}}', b'{"_attachments":[]}',
     b'{"_attachments":{"a":1}}', b'{"name":7}', b'{"maintainers":[7]}', b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", b'{"a":' + b"[" * 100_000,
     b'{"_attachments":{"a":{"data":"AAAA"},"b":{"data":"AAAA"}}}', b'{"_attachments":{"a":{},"b":{},"c":{},"d":{},"e":{}}}',
     b'{"_attachments":{"a":{"length":"4","data":"AAAA"}}}', b'{"a":"abc', b'{"a":"abc\\', b'{"a":"abc\\u00'],
)  # fmt: skip
def test_a_body_that_is_no_package_document_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(body)


def test_numbers_of_any_length_are_read_without_converting_them() -> None:
    assert read(b'{"name":"x","a":' + b"9" * 100_000 + b',"b":1e999999}').name == "x"


def test_a_document_without_a_place_for_bytes_takes_no_tarball() -> None:
    with pytest.raises(JsonMalformed, match="no tarball"):
        read_document(io.BytesIO(encoded(make.document(BODY))), None)


def test_what_is_not_the_tarball_is_capped() -> None:
    with pytest.raises(TooLarge):
        read({"name": "x", "readme": "r" * 2000}, max_bytes=1000)
    with pytest.raises(TooLarge):
        read(b'{"a":"' + b"r" * 2000, max_bytes=1000)
    with pytest.raises(TooLarge):
        read(b'{"a":{"b":"' + b"r" * 2000, max_bytes=1000)
    with pytest.raises(TooLarge):
        read(b'{"a":' + b"7" * 2000, max_bytes=1000)
    with pytest.raises(TooLarge):
        read(b'{"_attachments":{"x":{"stub":"' + b"r" * 2000 + b'"}}}', max_bytes=1000)
    with pytest.raises(TooLarge):
        read(b'{"' + b"k" * 3000 + b'":1}')
    with pytest.raises(TooLarge):
        read({"_attachments": {"x-1.0.0.sigstore": {"data": "d" * (MAX_BUNDLE_BYTES + 1)}}})
    with pytest.raises(TooLarge):
        read(b'{"a":[' + b"0," * 700_000 + b"0]}", max_bytes=1 << 22)
    with pytest.raises(TooLarge):
        read(b'{"a":[' + b"[]," * 600_000 + b"0]}", max_bytes=1 << 22)
    assert read({"name": "x", "readme": "r" * 2000}, max_bytes=3000).name == "x"


def test_a_provenance_bundle_is_text_and_not_base64() -> None:
    document = make.document(BODY)
    text = make.bundle(BODY)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {
        "content_type": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "data": text,
        "length": len(text) + 7,
    }
    tarball, bundle = read(document).attachments
    assert tarball.text is None
    assert bundle.text == text
    assert bundle.content_type == "application/vnd.dev.sigstore.bundle.v0.3+json"


def test_a_document_that_came_from_a_registry_can_be_sent_back() -> None:
    document = {
        "_id": "x",
        "_rev": "7-abc",
        "name": "x",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {
            "1.0.0": {"name": "x", "version": "1.0.0", "deprecated": ""},
            "1.1.0": {},
            "1.2.0": {"deprecated": True},
        },
        "maintainers": [{"name": "ada", "email": "a@example.org"}, "bob <b@example.org>"],
        "users": {"ada": True},
        "_attachments": {"x-1.0.0.tgz": {"stub": True, "length": 9}},
        "time": {"created": "2026-01-01T00:00:00.000Z"},
    }
    result = read_document(io.BytesIO(encoded(document)), None)
    assert result.revision == "7-abc"
    assert result.attachments == ()
    assert result.deprecations() == {"1.0.0": "", "1.1.0": None, "1.2.0": "deprecated"}
    assert result.maintainers == (Person("ada", "a@example.org"), Person("bob", "b@example.org"))
    assert result.users == {"ada": True}


def test_an_owner_change_speaks_of_nothing_but_owners() -> None:
    result = read({"_id": "x", "_rev": "1", "maintainers": []})
    assert result.maintainers == ()
    assert (result.versions, result.dist_tags, result.users) == ({}, {}, None)


def test_a_version_object_of_the_wrong_shape_is_invalid_when_it_is_read() -> None:
    document = read({"versions": {"1.0.0": {"name": 7}, "2.0.0": [], "3.0.0": {"deprecated": {}}}})
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        with pytest.raises(JsonMalformed):
            document.manifest(version)
    with pytest.raises(JsonMalformed):
        document.deprecations()


class Generated:
    """A publish of any size that is never whole anywhere."""

    def __init__(self, blocks: int) -> None:
        self.pieces = self.generate(blocks)
        self.rest = b""

    def generate(self, blocks: int) -> Iterator[bytes]:
        yield b'{"_id":"x","_attachments":{"x-1.0.0.tgz":{"length":%d,"data":"' % (blocks * 49152)
        block = base64.b64encode(bytes(49152))
        for _ in range(blocks):
            yield block
        yield b'"}},"name":"x"}'

    def read(self, size: int = -1) -> bytes:
        while len(self.rest) < size and (piece := next(self.pieces, None)):
            self.rest += piece
        data, self.rest = self.rest[:size], self.rest[size:]
        return data


class Counter:
    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def test_a_large_tarball_passes_through_little_memory() -> None:
    blocks = 640
    sink = Counter()
    tracemalloc.start()
    try:
        document = read_document(Generated(blocks), sink)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sink.size == document.attachments[0].size_bytes == blocks * 49152
    assert peak < 2 * 1024 * 1024


def test_a_value_is_copied_byte_for_byte() -> None:
    value = b'{"a" : [1, {"b":"\\"]}"},\n"\\\\", -1.5e3, true, null ],"c":"\xc3\xa4"}'
    for step in (1, 2, 5, 1000):
        out = bytearray()
        stream = JsonStream(Drips(b"  " + value + b" ,", step), 1000)  # type: ignore[arg-type]
        stream.copy(out)
        assert bytes(out) == value
        assert stream.peek() == ord(",")
