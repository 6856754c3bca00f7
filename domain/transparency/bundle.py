"""The audit bundle: a log with everything that proves it, one JSON object a line, to be checked far from the registry.

Order of lines: the head, then for every 256 events the further checkpoints within them, their leaf hashes (a tile of
level 0), and the events themselves by position. A reader needs to remember no more than one such group.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, BinaryIO, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.errors import Invalid
from domain.transparency.merkle import entry_of, leaf_hash

FORMAT = "artifact-keeper-log/1"

MAX_LINE_BYTES = 4 << 20
"""Well above the largest event: 1 MiB of state, in base64."""


class BundleMalformed(Invalid):
    """A line is not one of a bundle, or stands where it cannot."""


class Head(msgspec.Struct, frozen=True, tag_field="kind", tag="head", forbid_unknown_fields=True):
    """The first line. note: the signed checkpoint that covers the whole bundle. key: the log's verifier key as the
    bundle's maker saw it; trusting it would prove nothing.
    """

    note: str
    key: str = ""
    format: str = FORMAT


class SignedCheckpoint(msgspec.Struct, frozen=True, tag_field="kind", tag="checkpoint", forbid_unknown_fields=True):
    """A further signed checkpoint, before the leaf hashes that reach its size."""

    note: str


class LeafHashes(msgspec.Struct, frozen=True, tag_field="kind", tag="tile", forbid_unknown_fields=True):
    """A tile of level 0: the leaf hashes of positions 256 * index + 1 and on, concatenated."""

    index: int
    hashes: bytes


class LoggedEvent(msgspec.Struct, frozen=True, tag_field="kind", tag="event", forbid_unknown_fields=True):
    """One event exactly as stored; nothing in it is left out of its leaf hash. state: the stored bytes."""

    position: Annotated[int, Meta(ge=1)]
    stream: UUID
    version: int
    repository: UUID | None
    topic: str
    recorded_at: Annotated[datetime, Meta(tz=True)]
    state: bytes

    def entry(self) -> bytes:
        """What the log commits to for it. Raises Invalid when no log can hold it."""
        return entry_of(
            self.position, self.stream, self.version, self.repository, self.recorded_at, self.topic, self.state
        )

    def leaf(self) -> bytes:
        """Its leaf hash. Raises Invalid when no log can hold it."""
        return leaf_hash(self.entry())

    def __str__(self) -> str:
        topic = self.topic if self.topic.isprintable() else ascii(self.topic)  # it may be shown on a terminal
        return (
            f"event {self.position} ({topic}, stream {self.stream}, version {self.version}, "
            f"recorded {self.recorded_at.isoformat()})"
        )


class Garbled(msgspec.Struct, frozen=True):
    """A line that is none of a bundle's."""

    number: int
    detail: str


Line: TypeAlias = Head | SignedCheckpoint | LeafHashes | LoggedEvent

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def format_line(line: Line) -> bytes:
    """One line with its newline."""
    return _encoder.encode(line) + b"\n"


def parse_line(data: bytes) -> Line:
    """Read one line, newline or not. Raises BundleMalformed."""
    try:
        line = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleMalformed(f"not a line of a bundle: {error}") from error
    if isinstance(line, Head) and line.format != FORMAT:
        raise BundleMalformed("the bundle is of a format that this version does not know")
    return line


def read_lines(file: BinaryIO) -> Iterator[Line | Garbled]:
    """The lines of a bundle, one at a time. Never raises for what is in the file."""
    number = 0
    while data := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(data) == MAX_LINE_BYTES and not data.endswith(b"\n"):
            yield Garbled(number, "the line is too long")
            while (data := file.readline(MAX_LINE_BYTES)) and not data.endswith(b"\n"):
                pass
            continue
        try:
            yield parse_line(data)
        except BundleMalformed as error:
            yield Garbled(number, str(error))
