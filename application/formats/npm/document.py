"""The documents that npm clients send: a publish with the tarball inside it, and changes to what is already published.

An attachment goes straight to a sink while the rest is read: a publish of any size needs memory for its manifest only.
Source: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md, npm's `libnpmpublish`
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar

import msgspec

from application.formats.npm.json_stream import JsonMalformed, JsonStream
from application.formats.npm.people import Person, parse_person
from domain.errors import SizeMismatch, TooLarge

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_BUNDLE_BYTES = 4 * 1024 * 1024
_MAX_ATTACHMENTS = 4
_MAX_COMMAS = 600_000
_BASE64_BLOCK = 64 * 1024
_ATTACHMENTS = "_attachments"
_BUNDLE_SUFFIX = ".sigstore"
_Shape = TypeVar("_Shape")


class Sink(Protocol):
    """Where the bytes of a tarball go."""

    def write(self, data: bytes) -> object:
        """Take the next bytes."""


class Attachment(msgspec.Struct, frozen=True):
    """One attachment as it was announced and as it came. text: a Sigstore bundle; None when bytes went to the sink."""

    name: str
    content_type: str
    size_bytes: int
    text: str | None = None


class Dist(msgspec.Struct, frozen=True):
    """What a client claims about the bytes of a version."""

    shasum: str | None = None
    integrity: str | None = None


class ClaimedManifest(msgspec.Struct, frozen=True):
    """The fields of a version object that a client may decide, and those that are compared with the tarball."""

    name: str
    version: str
    dist: Dist = Dist()
    deprecated: str | bool | None = None
    git_head: str | None = msgspec.field(default=None, name="gitHead")
    node_version: str | None = msgspec.field(default=None, name="_nodeVersion")
    npm_version: str | None = msgspec.field(default=None, name="_npmVersion")


class PackageDocument(msgspec.Struct, frozen=True):
    """A package document from a client, with or without attachments.

    versions: version to the JSON text of its manifest. maintainers, users: None when the document does not speak of
    them. users: who starred the package.
    """

    id: str | None = None
    revision: str | None = None
    name: str | None = None
    access: str | None = None
    dist_tags: dict[str, str] = {}
    versions: dict[str, msgspec.Raw] = {}
    maintainers: tuple[Person, ...] | None = None
    users: dict[str, bool] | None = None
    attachments: tuple[Attachment, ...] = ()

    def manifest(self, version: str) -> ClaimedManifest:
        """The claims about one of `versions`. Raises JsonMalformed."""
        return _decode(self.versions[version], ClaimedManifest)

    def deprecations(self) -> dict[str, str | None]:
        """Version to its deprecation message; empty text lifts one, None means that the document is silent about it."""
        return {version: _message(_decode(raw, _Deprecation).deprecated) for version, raw in self.versions.items()}


class _Deprecation(msgspec.Struct, frozen=True):
    deprecated: str | bool | None = None


class _Fields(msgspec.Struct, frozen=True):
    id: str | None = msgspec.field(default=None, name="_id")
    revision: str | None = msgspec.field(default=None, name="_rev")
    name: str | None = None
    access: str | None = None
    dist_tags: dict[str, str] | None = msgspec.field(default=None, name="dist-tags")
    versions: dict[str, msgspec.Raw] | None = None
    maintainers: list[Any] | None = None
    users: dict[str, bool] | None = None


def read_document(file: BinaryIO, sink: Sink | None, max_bytes: int = MAX_DOCUMENT_BYTES) -> PackageDocument:
    """Read a whole PUT body; the one tarball in it is decoded into `sink`.

    sink: None refuses tarballs. max_bytes: for everything but the tarball.
    Raises JsonMalformed, SizeMismatch, TooLarge, and whatever the sink raises. Members may come in any order; a member
    that comes twice, at any depth, is refused.
    """
    stream = JsonStream(file, max_bytes)
    rest = bytearray(b"{")
    attachments: tuple[Attachment, ...] = ()
    for key in stream.members():
        if key == _ATTACHMENTS:
            attachments = tuple(_read_attachments(stream, sink))
            continue
        rest += (b"," if len(rest) > 1 else b"") + msgspec.json.encode(key) + b":"
        stream.copy(rest)
    stream.end()
    rest += b"}"
    return _document(bytes(rest), attachments)


def _document(rest: bytes, attachments: tuple[Attachment, ...]) -> PackageDocument:
    _refuse_duplicates(rest)
    fields = _decode(rest, _Fields)
    return PackageDocument(
        id=fields.id,
        revision=fields.revision,
        name=fields.name,
        access=fields.access,
        dist_tags=fields.dist_tags or {},
        versions=fields.versions or {},
        maintainers=None if fields.maintainers is None else _people(fields.maintainers),
        users=fields.users,
        attachments=attachments,
    )


def _people(values: list[Any]) -> tuple[Person, ...]:
    people = tuple(person for value in values if (person := parse_person(value)))
    if len(people) != len(values):
        raise JsonMalformed("maintainers are objects with a name and an email")
    return people


def _message(deprecated: str | bool | None) -> str | None:
    if isinstance(deprecated, bool):
        return "deprecated" if deprecated else ""
    return deprecated


def _decode(data: bytes | msgspec.Raw, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JsonMalformed(str(error)) from None


def _refuse_duplicates(document: bytes) -> None:
    """Raise JsonMalformed when an object at any depth has a member twice; depth is bounded by the copy before."""
    if document.count(b",") > _MAX_COMMAS:
        raise TooLarge(f"the JSON body has more than {_MAX_COMMAS} values")
    try:
        json.loads(
            document.decode(),
            object_pairs_hook=_distinct,
            parse_constant=_not_json,
            parse_int=_forget,
            parse_float=_forget,
        )
    except ValueError as error:
        raise JsonMalformed(str(error)) from None


def _distinct(pairs: list[tuple[str, object]]) -> None:
    """Check the keys of one object and forget it, so that the check never holds a whole document."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise JsonMalformed("a member comes twice in one object")


def _not_json(constant: str) -> NoReturn:
    raise JsonMalformed(f"{constant} is not JSON")


def _forget(number: str) -> None:
    """Numbers do not matter for the check, and converting a million digits would be slow."""


def _read_attachments(stream: JsonStream, sink: Sink | None) -> Iterable[Attachment]:
    tarballs = 0
    for count, name in enumerate(stream.members()):
        if count >= _MAX_ATTACHMENTS:
            raise JsonMalformed(f"more than {_MAX_ATTACHMENTS} attachments")
        attachment = _read_attachment(stream, name, sink)
        if attachment is None:
            continue
        tarballs += attachment.text is None
        if tarballs > 1:
            raise JsonMalformed("more than one tarball is attached")
        yield attachment


def _read_attachment(stream: JsonStream, name: str, sink: Sink | None) -> Attachment | None:
    """One attachment, or None for a stub: a document read from a registry and sent back names them without data."""
    others = bytearray(b"{")
    size, text = None, None
    for key in stream.members():
        if key != "data":
            others += (b"," if len(others) > 1 else b"") + msgspec.json.encode(key) + b":"
            stream.copy(others)
        elif name.endswith(_BUNDLE_SUFFIX):
            text = stream.text(MAX_BUNDLE_BYTES)
            size = len(text)
        elif sink is None:
            raise JsonMalformed("this request takes no tarball")
        else:
            size = _decode_base64(stream, sink)
    announced = _decode(bytes(others + b"}"), _Announced)
    if size is None:
        return None
    # libnpmpublish gives a bundle's length in UTF-16 units, which says nothing about bytes.
    if text is None and announced.length is not None and announced.length != size:
        raise SizeMismatch(announced.length, size)
    return Attachment(name, announced.content_type or "", size, text)


class _Announced(msgspec.Struct, frozen=True):
    content_type: str | None = None
    length: int | None = None


def _decode_base64(stream: JsonStream, sink: Sink) -> int:
    """Decode the string that starts here into the sink, block by block; gives the number of bytes."""
    carry, size, padded = bytearray(), 0, False

    def flush(count: int) -> None:
        nonlocal size, padded
        if padded and count:
            raise JsonMalformed("data after the end of the base64 text")
        block = bytes(carry[:count])
        del carry[:count]
        try:
            decoded = binascii.a2b_base64(block, strict_mode=True)
        except binascii.Error as error:
            raise JsonMalformed(f"the attachment is not base64: {error}") from None
        padded = block.endswith(b"=")
        size += len(decoded)
        sink.write(decoded)

    for piece in stream.string_pieces():
        carry += _unescaped(piece) if piece.startswith(b"\\") else piece
        if len(carry) >= _BASE64_BLOCK:
            flush(len(carry) // 4 * 4)
    flush(len(carry))
    return size


def _unescaped(piece: bytes) -> bytes:
    """JSON escapes inside base64: some encoders put a backslash before `/` or write `+` by its number."""
    try:
        return msgspec.json.decode(b'"' + piece + b'"', type=str).encode("ascii")
    except (msgspec.DecodeError, UnicodeError):
        raise JsonMalformed("the attachment is not base64: bad escape") from None
