"""The documents of a repository: put together from compressed pieces of some packages each, and listed in repomd.xml.

A gzip file may have many members (RFC 1952 section 2.2), so what was compressed once is only copied afterwards.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal
from xml.sax.saxutils import quoteattr

import msgspec
import zstandard
from isal import isal_zlib

Kind = Literal["primary", "filelists", "other"]
KINDS: tuple[Kind, ...] = ("primary", "filelists", "other")

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://linux.duke.edu/metadata"
_ROOTS: dict[Kind, str] = {
    "primary": f'metadata xmlns="{_NAMESPACE}/common" xmlns:rpm="{_NAMESPACE}/rpm"',
    "filelists": f'filelists xmlns="{_NAMESPACE}/filelists"',
    "other": f'otherdata xmlns="{_NAMESPACE}/other"',
}
_LEVEL = 5
_ZSTD_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS


class Part(msgspec.Struct, frozen=True):
    """A member of a gzip file. open_bytes: how long it is without compression."""

    data: bytes
    open_bytes: int


class Piece(msgspec.Struct, frozen=True):
    """What each document says of some packages."""

    packages: int
    parts: dict[Kind, Part]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A document as repomd.xml lists it. type: of the data; name: of the file, behind its digest. Sizes in bytes.

    open_sha256, open_bytes: of the document without compression; None when it has none.
    """

    type: str
    name: str
    sha256: str
    size_bytes: int
    open_sha256: str | None = None
    open_bytes: int | None = None


class Measured:
    """The digests and sizes of a document, taken while its parts go by."""

    def __init__(self, kind: Kind, ending: str = "gz") -> None:
        self._kind = kind
        self._ending = ending
        self._closed, self._open = hashlib.sha256(), hashlib.sha256()
        self._closed_bytes = self._open_bytes = 0

    def add(self, part: Part) -> None:
        """The next part."""
        self.add_both(part.data, decompress(part.data))

    def add_both(self, packed: bytes, plain: bytes) -> None:
        """The next part, with and without its compression."""
        self._closed.update(packed)
        self._closed_bytes += len(packed)
        self._open.update(plain)
        self._open_bytes += len(plain)

    def listed(self) -> Listed:
        """What repomd.xml says of it."""
        return Listed(
            type=self._kind,
            name=f"{self._kind}.xml.{self._ending}",
            sha256=self._closed.hexdigest(),
            size_bytes=self._closed_bytes,
            open_sha256=self._open.hexdigest(),
            open_bytes=self._open_bytes,
        )


def make_part(text: str) -> Part:
    """Text as a part. The same text always gives the same bytes: their digest is part of an address."""
    data = text.encode("utf-8", "replace")
    return Part(compress(data), len(data))


def compress(data: bytes) -> bytes:
    """A gzip member without a time and a name in it."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(data) + compressor.flush()


def decompress(part: bytes) -> bytes:
    """What a gzip member of ours holds."""
    text: bytes = isal_zlib.decompress(part, wbits=_GZIP)
    return text


def in_zstd(part: bytes) -> bytes:
    """What a gzip member of ours holds, as a Zstandard frame; frames, too, may stand one behind the other."""
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(decompress(part))


def make_piece(packages: Iterable[tuple[str, str, str]]) -> Piece:
    """The piece of some packages, given what each document says of each."""
    told = list(packages)
    parts = {kind: make_part("".join(one[number] for one in told)) for number, kind in enumerate(KINDS)}
    return Piece(len(told), parts)


def head(kind: Kind, packages: int) -> Part:
    """What goes before the packages."""
    return make_part(f'{_XML}<{_ROOTS[kind]} packages="{packages}">\n')


def foot(kind: Kind) -> Part:
    """What goes behind them."""
    return make_part(f"</{_ROOTS[kind].partition(' ')[0]}>\n")


def file_name(revision: int, listed: Listed) -> str:
    """What a document is called in one revision: it says all that is needed to make it again."""
    return f"{revision}-{listed.sha256}-{listed.name}"


def render_repomd(revision: int, timestamp: int, listed: Sequence[Listed]) -> bytes:
    """The document that names all others. timestamp: when the revision came about, in seconds since 1970."""
    lines = [
        f'{_XML}<repomd xmlns="{_NAMESPACE}/repo" xmlns:rpm="{_NAMESPACE}/rpm">',
        f"  <revision>{revision}</revision>",
    ]
    for one in listed:
        lines += [f"  <data type={quoteattr(one.type)}>", f'    <checksum type="sha256">{one.sha256}</checksum>']
        if one.open_sha256 is not None:
            lines.append(f'    <open-checksum type="sha256">{one.open_sha256}</open-checksum>')
        lines += [
            f"    <location href={quoteattr(f'repodata/{file_name(revision, one)}')}/>",
            f"    <timestamp>{timestamp}</timestamp>",
            f"    <size>{one.size_bytes}</size>",
        ]
        if one.open_bytes is not None:
            lines.append(f"    <open-size>{one.open_bytes}</open-size>")
        lines.append("  </data>")
    lines.append("</repomd>\n")
    return "\n".join(lines).encode()
