"""One chunk of a resumable upload on its way: which one it is, and how its body gets to its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Self

from application.ports import Spooled, SpoolWriter
from application.uploading.sessions import UploadBusy, UploadSession, UploadSessions, UploadStaging
from domain.errors import Invalid, SizeMismatch

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})\Z")


def chunk_of(session: UploadSession, content_range: str) -> int:
    """The chunk that a Content-Range (RFC 9110 section 14.4) means: exactly one, as the session was cut."""
    matched = _CONTENT_RANGE.match(content_range.strip())
    if matched is None:
        raise Invalid("Content-Range must be 'bytes first-last/total'")
    first, last, total = map(int, matched.groups())
    if total != session.total_size:
        raise Invalid(f"Content-Range says {total} bytes in all; this session has {session.total_size}")
    chunk, into = divmod(first, session.chunk_size)
    if into or first >= total or last - first + 1 != session.chunk_length(chunk):
        raise Invalid(f"Content-Range must be one chunk of {session.chunk_size} bytes; the last one may be shorter")
    return chunk


class IncomingChunk:
    """A chunk that is about to arrive: a spool for one body, which goes straight to its place in the whole."""

    def __init__(self, session: UploadSession, chunk: int, sessions: UploadSessions, staging: UploadStaging) -> None:
        self.session = session
        self.chunk = chunk
        self.length = session.chunk_length(chunk)
        self._sessions = sessions
        self._staging = staging

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> SpoolWriter:
        """Receive the body; from its first byte until it is received whole the chunk does not count.

        This itself does no I/O. The writer raises SizeMismatch when the body is not of the chunk's length, UploadBusy
        while the session is being completed.
        """
        return _Exactly(self._begin, self.length)

    def discard(self, spooled: Spooled) -> None:
        """Nothing: the bytes are part of the session."""

    def _begin(self) -> SpoolWriter:
        if not self._sessions.begin_chunk(self.session.id, self.chunk):
            raise UploadBusy
        return self._staging.write_chunk(self.session.id, self.chunk, self.chunk * self.session.chunk_size)


class _Exactly:
    """A writer that begins with the first byte, and takes so many bytes, no more and no fewer."""

    def __init__(self, begin: Callable[[], SpoolWriter], length: int) -> None:
        self._begin = begin
        self._length = length
        self._received = 0
        self._writer: SpoolWriter | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._received += len(data)
        if self._received > self._length:
            raise SizeMismatch(self._length, self._received)
        if self._writer is None:
            self._writer = self._begin().__enter__()
        self._writer.write(data)

    def finish(self) -> Spooled:
        if self._received != self._length or self._writer is None:
            raise SizeMismatch(self._length, self._received)
        return self._writer.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*exc)
