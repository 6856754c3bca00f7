"""One object of an S3 service as a file: bounded memory, seekable, and a broken transfer goes on where it broke."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from domain.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 256 * 1024

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.1
"""Doubled at each further attempt without progress: 1.5 s in all, what a restarting gateway needs."""

Fetch = Callable[[int], BaseHTTPResponse | None]


class S3Reader(io.RawIOBase):
    """Reads from an offset to the end of one object.

    fetch: opens the object at an offset; None when the offset is at or past its end; raises NotFound or Unavailable.
    It is called once at construction, so that a missing object is known before the first byte is promised.
    """

    def __init__(self, fetch: Fetch, offset: int = 0) -> None:
        super().__init__()
        self._fetch = fetch
        self._position = offset
        self._end: int | None = None
        self._response: BaseHTTPResponse | None = None
        self._open()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True: a move costs a new request at the next read."""
        return True

    def tell(self) -> int:
        """The offset of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; the end is known only after a first successful request that had bytes to give."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._known_end()
        if offset < 0:
            raise ValueError("negative seek position")
        if offset != self._position:
            self._drop()
            self._position = offset
        return offset

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill from the current position. Raises Unavailable when several attempts in a row brought nothing."""
        view = memoryview(buffer).cast("B")
        if not view or (self._end is not None and self._position >= self._end):
            return 0
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            received = self._receive(view, last=attempt == _ATTEMPTS - 1)
            if received is not None:
                return received
        raise Unavailable("the object store broke off a transfer")

    def close(self) -> None:
        """Give the connection back; a transfer that is not complete is cut."""
        if not self.closed:
            self._drop()
        super().close()

    def _receive(self, view: memoryview, *, last: bool) -> int | None:
        """Bytes put into `view`, 0 at the end of the object, None when the transfer broke and may be tried again."""
        try:
            if self._response is None and not self._open():
                return 0
            assert self._response is not None  # noqa: S101 - for the type checker: `_open` said so
            data = self._response.read(len(view), decode_content=False)
        except (HTTPError, OSError):
            data = b""
        except Unavailable:
            if last:
                raise
            data = b""
        if not data:
            self._drop()
            return None
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _open(self) -> bool:
        response = self._fetch(self._position)
        if response is None:
            self._end = self._position if self._end is None else self._end
            return False
        length = response.headers.get("Content-Length")
        # A service that ignores Range would hand out the first bytes under the name of later ones.
        if length is None or (self._position and response.status != 206):
            response.close()
            raise Unavailable("the object store answered a range request wrongly")
        self._response = response
        self._end = self._position + int(length)
        return self._end > self._position

    def _known_end(self) -> int:
        if self._end is None:
            raise io.UnsupportedOperation("the size is not known")
        return self._end

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()
            response.release_conn()
