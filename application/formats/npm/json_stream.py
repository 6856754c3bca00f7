"""Reading a large JSON document piece by piece: the outer shape is walked, everything else is copied or streamed.

`msgspec` needs a whole document in memory; an npm publish holds the tarball inside one string of it. Only the grammar
that this walk needs is checked here; copied values are for a real parser to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

import msgspec

from domain.errors import Invalid, TooLarge

_CHUNK_BYTES = 64 * 1024
_MAX_DEPTH = 100
_MAX_BRACKETS = 1_000_000
_MAX_KEY_BYTES = 2048
_LONGEST_ESCAPE = 6
_END = -1
_QUOTE = ord('"')
_OPENING, _BRACE_END = tuple(b"{["), ord("}")
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb"[^\s,:{}\[\]\"]*+")
_ESCAPES = re.compile(rb"(?>\\[^u]|\\u[0-9A-Fa-f]{4})++")
# Everything up to the next bracket, or up to a string that the window does not hold whole.
_RUN = re.compile(rb'(?>[^"\[\]{}]++|"(?>[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+")*+')


class JsonMalformed(Invalid):
    """The body is not JSON, or not of the shape that the request needs."""

    template: ClassVar[str] = "malformed JSON body: {detail}"


class JsonStream:
    """A forward-only walk over one JSON text with bounded memory.

    max_bytes: the most that all copied values may take together; beyond it TooLarge is raised.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._window = b""
        self._at = 0
        self._quote = self._backslash = -1
        self._brackets = 0
        self._max_bytes = max_bytes
        self._allowance = max_bytes

    def peek(self) -> int:
        """The first byte of the next token, not consumed; -1 at the end."""
        while True:
            space = _SPACE.match(self._window, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more():
                return _END

    def members(self) -> Iterator[str]:
        """The keys of the object that starts here; the caller consumes each value before asking for the next.

        Raises JsonMalformed for a key that comes twice: two readers of one document must not see two values.
        """
        self._expect(b"{", "an object")
        seen: set[str] = set()
        if self.peek() == _BRACE_END:
            self._at += 1
            return
        while True:
            key = self.text(_MAX_KEY_BYTES)
            if key in seen:
                raise JsonMalformed(f"duplicate member {key[:80]!r}")
            seen.add(key)
            self._expect(b":", "':'")
            yield key
            if self.peek() == _BRACE_END:
                self._at += 1
                return
            self._expect(b",", "',' or '}'")

    def text(self, max_bytes: int) -> str:
        """The string that starts here, decoded; TooLarge above `max_bytes` as written."""
        raw = bytearray(b'"')
        for piece in self.string_pieces():
            raw += piece
            if len(raw) > max_bytes:
                raise TooLarge(f"a text in the JSON body is over {max_bytes} bytes")
        try:
            return msgspec.json.decode(raw + b'"', type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JsonMalformed(str(error)) from None

    def string_pieces(self) -> Iterator[bytes]:
        """The string that starts here as written between its quotes, in pieces that never split an escape.

        Control characters are left to whoever decodes the pieces.
        """
        self._expect(b'"', "a string")
        while True:
            # Each byte of the window is looked at once, however the quotes and the escapes are mixed.
            self._quote = self._find(b'"', self._quote)
            self._backslash = self._find(b"\\", self._backslash)
            end = min(self._quote, self._backslash)
            if end > self._at:
                yield self._take(end)
            elif end == len(self._window):
                self._need_more()
            elif end == self._quote:
                self._at += 1
                return
            else:
                yield self._escapes()

    def _find(self, byte: bytes, known: int) -> int:
        """Where the byte comes next, the end when the window has none. known: an earlier answer for this window."""
        if known >= self._at:
            return known
        found = self._window.find(byte, self._at)
        return found if found >= 0 else len(self._window)

    def _escapes(self) -> bytes:
        """The escapes that follow each other from here, at least one."""
        while len(self._window) - self._at < _LONGEST_ESCAPE and self._more():
            pass
        run = _ESCAPES.match(self._window, self._at)
        if run is None:
            raise JsonMalformed("a string has a damaged escape")
        return self._take(run.end())

    def copy(self, out: bytearray) -> None:
        """Append the value that starts here as written.

        Raises JsonMalformed above 100 levels, TooLarge above the allowance.
        """
        first = self.peek()
        if first in _OPENING:
            self._copy_container(out)
        elif first == _QUOTE:
            self._copy_string(out)
        else:
            self._copy_scalar(out)

    def skip(self) -> None:
        """Pass over the value that starts here; it counts as if it had been copied."""
        self.copy(bytearray())

    def end(self) -> None:
        """Raise JsonMalformed unless nothing but white space is left."""
        if self.peek() != _END:
            raise JsonMalformed("trailing characters after the document")

    def _copy_container(self, out: bytearray) -> None:
        depth = 0
        while True:
            run = _RUN.match(self._window, self._at)
            self._keep(out, run.end() if run else self._at)
            byte = self._window[self._at] if self._at < len(self._window) else _END
            if byte in (_END, _QUOTE):
                # An unfinished string stays in the window until its end is there.
                self._check(len(self._window) - self._at)
                self._need_more()
                continue
            depth += 1 if byte in _OPENING else -1
            self._brackets += 1
            if depth > _MAX_DEPTH:
                raise JsonMalformed(f"nested deeper than {_MAX_DEPTH} levels")
            if self._brackets > _MAX_BRACKETS:
                raise TooLarge(f"the JSON body has more than {_MAX_BRACKETS // 2} objects and lists")
            self._keep(out, self._at + 1)
            if depth == 0:
                return

    def _copy_string(self, out: bytearray) -> None:
        self._spend(2)
        out += b'"'
        for piece in self.string_pieces():
            self._spend(len(piece))
            out += piece
        out += b'"'

    def _copy_scalar(self, out: bytearray) -> None:
        start = len(out)
        while True:
            run = _SCALAR.match(self._window, self._at)
            self._keep(out, run.end() if run else self._at)
            if self._at < len(self._window) or not self._more():
                break
        if len(out) == start:
            raise JsonMalformed("a value is missing")

    def _keep(self, out: bytearray, end: int) -> None:
        self._spend(end - self._at)
        out += self._take(end)

    def _spend(self, count: int) -> None:
        self._check(count)
        self._allowance -= count

    def _check(self, count: int) -> None:
        if count > self._allowance:
            raise TooLarge(f"the JSON body, its attachments aside, is over {self._max_bytes} bytes")

    def _take(self, end: int) -> bytes:
        piece = self._window[self._at : end]
        self._at = end
        return piece

    def _expect(self, byte: bytes, what: str) -> None:
        if self.peek() != byte[0]:
            raise JsonMalformed(f"expected {what}")
        self._at += 1

    def _need_more(self) -> None:
        if not self._more():
            raise JsonMalformed("the document ends too early")

    def _more(self) -> bool:
        """Slide the window; it at least doubles what is left in it, so that rescanning a long string stays linear."""
        left = self._window[self._at :]
        chunk = self._file.read(max(_CHUNK_BYTES, len(left)))
        self._window, self._at = left + chunk, 0
        self._quote = self._backslash = -1
        return bool(chunk)
