"""Compressed bytes as they unpack: forward only, in bounded memory, and never more than was allowed.

One reader for the compressions that package managers put around tars and indexes. Zstandard is read here and nowhere
else, so its window is bounded in one place.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import BinaryIO, ClassVar, Protocol

import zstandard

from domain.errors import Invalid

_CHUNK_BYTES = 64 * 1024
_MAX_WINDOW_BYTES = 128 << 20
"""What `xz -9` and `zstd --ultra -22` need, and no more."""


class PackedMalformed(Invalid):
    """The bytes do not unpack, or to more than is read."""

    template: ClassVar[str] = "{kind} data: {detail}"

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail, kind=kind)


class PackedTooLarge(PackedMalformed):
    """The bytes are good as far as they were read, and there are more than that."""


class _Inflater(Protocol):
    """One compressed stream. Output is bounded by what is asked for; input beyond the end is kept."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused(self) -> bytes: ...

    def more(self, packed: bytes, max_bytes: int) -> bytes: ...

    def hungry(self) -> bool: ...


class _Zlib:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused(self) -> bytes:
        return self._inner.unused_data

    def more(self, packed: bytes, max_bytes: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + packed, max_bytes)

    def hungry(self) -> bool:
        return not self._inner.unconsumed_tail


class _Buffered:
    """bz2 and lzma keep what they have not read yet themselves."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused(self) -> bytes:
        return self._inner.unused_data

    def more(self, packed: bytes, max_bytes: int) -> bytes:
        return self._inner.decompress(packed, max_bytes)

    def hungry(self) -> bool:
        return self._inner.needs_input


class Unpacked:
    """A file read through its compression: `gzip`, `xz`, `lzma`, `bzip2`, `zstd`, or `none`.

    max_bytes: the most that comes out; what follows is refused. Several members in a row are one, as the tools have it.
    Reading raises PackedMalformed, and nothing else, for any bytes.
    """

    def __init__(self, file: BinaryIO, kind: str, max_bytes: int) -> None:
        self._file = file
        self._kind = kind
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._chunk = b""
        self._at = 0
        self._inflater = _inflater(kind)
        self._zstd = _zstd_reader(file) if kind == "zstd" else None
        self._pending = b""

    def read(self, count: int) -> bytes:
        """The next bytes, as many as asked; fewer only at the end. Callers bound the count."""
        pieces = []
        while count and (available := self._available()):
            step = min(count, available)
            pieces.append(self._chunk[self._at : self._at + step])
            self._at += step
            count -= step
        return b"".join(pieces)

    def exactly(self, count: int) -> bytes:
        """The next bytes; the end may not come before."""
        data = self.read(count)
        if len(data) < count:
            raise PackedMalformed(self._kind, "ends too early")
        return data

    def skip(self, count: int) -> None:
        """Pass over bytes without holding them."""
        while count:
            step = min(count, self._available())
            if not step:
                raise PackedMalformed(self._kind, "ends too early")
            self._at += step
            count -= step

    def _available(self) -> int:
        while self._at == len(self._chunk):
            chunk = self._unpack()
            if not chunk:
                return 0
            self._left -= len(chunk)
            if self._left < 0:
                raise PackedTooLarge(self._kind, f"unpacks to more than {self._max_bytes} bytes")
            self._chunk, self._at = chunk, 0
        return len(self._chunk) - self._at

    def _unpack(self) -> bytes:
        """The next piece; nothing at the end."""
        try:
            if self._kind == "none":
                return self._file.read(_CHUNK_BYTES)
            if self._zstd is not None:
                return self._zstd.read(_CHUNK_BYTES)
            return self._inflate()
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, zstandard.ZstdError, MemoryError) as fault:
            raise PackedMalformed(self._kind, f"damaged ({type(fault).__name__})") from None

    def _inflate(self) -> bytes:
        assert self._inflater is not None  # noqa: S101 - what is neither plain nor Zstandard has one
        while True:
            if self._inflater.eof:
                self._pending = self._behind(self._inflater.unused)
                if not self._pending:
                    return b""
                self._inflater = _inflater(self._kind)
                assert self._inflater is not None  # noqa: S101 - as above
            if not self._pending and self._inflater.hungry():
                self._pending = self._file.read(_CHUNK_BYTES)
            packed, self._pending = self._pending, b""
            piece = self._inflater.more(packed, _CHUNK_BYTES)
            if piece:
                return piece
            if not packed and not self._inflater.eof:
                raise PackedMalformed(self._kind, "ends too early")

    def _behind(self, rest: bytes) -> bytes:
        """What begins behind a member, zeros passed over; nothing at the end of the file."""
        rest = rest.lstrip(b"\0")
        while not rest and (more := self._file.read(_CHUNK_BYTES)):
            rest = more.lstrip(b"\0")
        return rest


def _inflater(kind: str) -> _Inflater | None:
    match kind:
        case "gzip":
            return _Zlib()
        case "bzip2":
            return _Buffered(bz2.BZ2Decompressor())
        case "xz":
            return _Buffered(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_WINDOW_BYTES))
        case "lzma":
            return _Buffered(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MAX_WINDOW_BYTES))
        case _:
            return None


def _zstd_reader(file: BinaryIO) -> zstandard.ZstdDecompressionReader:
    inner = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    return inner.stream_reader(file, read_size=_CHUNK_BYTES, read_across_frames=True, closefd=False)
