"""Uploads that arrive from front to back, in as many requests as the sender likes, and say at the end what they were.

The bytes wait where those of other resumable uploads do; the record of a session is shared by all processes. Whoever
begins to write takes the turn: what an earlier request of the session still sends does not count any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self
from uuid import UUID, uuid4

import msgspec

from application.ports import Spooled, SpoolWriter
from application.uploading.sessions import UploadBusy, UploadNotFound, UploadStaging
from domain.errors import Invalid, SizeMismatch, TooLarge, TooMany

MOST_OPEN_UPLOADS = 1_000
RETRY_AFTER_SECONDS = 60


class OutOfOrder(Invalid):
    """The bytes that were announced are not the next ones. size_bytes: how many are here."""

    template = "the next byte of this upload is number {size_bytes}"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes=size_bytes)


class StreamedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload. place: what in the repository it is for. parts: the pieces that are here, in order."""

    id: UUID
    owner: UUID
    repository: UUID
    place: str
    parts: tuple[int, ...] = ()
    size_bytes: int = 0


class StreamedSessions(Protocol):
    """The record of sessions, for all processes. One that nobody writes to for days is forgotten."""

    def add(self, upload: StreamedUpload) -> None:
        """Keep a new session."""

    def open_uploads(self, owner: UUID) -> int:
        """How many sessions of that owner there are."""

    def get(self, upload: UUID) -> StreamedUpload | None:
        """The session as it is now."""

    def begin(self, upload: UUID, size_bytes: int) -> int | None:
        """Take the turn, if the session has so many bytes; its number, or None."""

    def end(self, upload: UUID, turn: int, size_bytes: int) -> bool:
        """The bytes of that turn are here; False when another one was begun since, or the session is over."""

    def remove(self, upload: UUID) -> None:
        """The session is over."""


class StreamedUploads:
    """The commands. max_bytes: the largest upload; None for no limit.

    Who may write to the repository is checked by the caller, at each step anew; here only the owner passes.
    """

    def __init__(self, sessions: StreamedSessions, staging: UploadStaging, max_bytes: int | None = None) -> None:
        self._sessions = sessions
        self._staging = staging
        self._max_bytes = max_bytes

    def start(self, owner: UUID, repository: UUID, place: str) -> StreamedUpload:
        """Begin a session. Raises TooMany, Unavailable when there is no room."""
        if self._sessions.open_uploads(owner) >= MOST_OPEN_UPLOADS:
            raise TooMany(f"at most {MOST_OPEN_UPLOADS} uploads of one user may be in progress", RETRY_AFTER_SECONDS)
        upload = StreamedUpload(id=uuid4(), owner=owner, repository=repository, place=place)
        self._staging.create(upload.id, 0)
        try:
            self._sessions.add(upload)
        except BaseException:
            self._staging.discard(upload.id)
            raise
        return upload

    def get(self, upload: UUID, owner: UUID | None, repository: UUID, place: str) -> StreamedUpload:
        """The owner's session for that place. Raises UploadNotFound."""
        found = self._sessions.get(upload)
        if found is None or (found.owner, found.repository, found.place) != (owner, repository, place):
            raise UploadNotFound
        return found

    def next_part(self, upload: StreamedUpload, offset: int | None = None, length: int | None = None) -> IncomingPart:
        """Get ready for the next bytes. offset, length: as announced, None for what was not. Raises OutOfOrder."""
        if offset is not None and offset != upload.size_bytes:
            raise OutOfOrder(upload.size_bytes)
        room = None if self._max_bytes is None else max(0, self._max_bytes - upload.size_bytes)
        return IncomingPart(upload, self._sessions, self._staging, length, room)

    def whole(self, upload: StreamedUpload, algorithms: tuple[str, ...]) -> AbstractContextManager[Spooled]:
        """Everything that came, hashed. Raises UploadBusy while more is arriving, UploadLost."""
        return self._staging.assembled(upload.id, upload.parts, upload.size_bytes, algorithms)

    def end(self, upload: StreamedUpload) -> None:
        """The session is over, and its bytes are removed where nobody kept them."""
        self._sessions.remove(upload.id)
        self._staging.discard(upload.id)


class IncomingPart:
    """The next bytes of an upload, about to arrive: a spool for one body, which goes straight to its place."""

    def __init__(
        self,
        upload: StreamedUpload,
        sessions: StreamedSessions,
        staging: UploadStaging,
        length: int | None,
        room: int | None,
    ) -> None:
        self._upload = upload
        self._sessions = sessions
        self._staging = staging
        self._length = length
        self._room = room

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> SpoolWriter:
        """Receive the body; it counts once it is received whole. This itself does no I/O.

        The writer raises SizeMismatch when the body has not the announced length, TooLarge, OutOfOrder and UploadBusy
        when another request was faster.
        """
        limits = [limit for limit in (self._room, max_bytes) if limit is not None]
        return _PartWriter(self._begin, self._end, self._length, min(limits, default=None))

    def discard(self, spooled: Spooled) -> None:
        """Nothing: the bytes are part of the session."""

    def _begin(self) -> tuple[int, SpoolWriter]:
        upload = self._upload
        turn = self._sessions.begin(upload.id, upload.size_bytes)
        if turn is None:
            now = self._sessions.get(upload.id)
            raise UploadNotFound if now is None else OutOfOrder(now.size_bytes)
        return turn, self._staging.write_chunk(upload.id, turn, upload.size_bytes)

    def _end(self, turn: int, size_bytes: int) -> None:
        if not self._sessions.end(self._upload.id, turn, size_bytes):
            raise UploadBusy("another request wrote to this upload meanwhile")


class _PartWriter:
    """A writer that begins with the first byte; a body without bytes changes nothing."""

    def __init__(
        self,
        begin: Callable[[], tuple[int, SpoolWriter]],
        end: Callable[[int, int], None],
        length: int | None,
        max_bytes: int | None,
    ) -> None:
        self._begin = begin
        self._end = end
        self._length = length
        self._max_bytes = max_bytes
        self._received = 0
        self._turn = 0
        self._writer: SpoolWriter | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        received = self._received + len(data)
        if self._length is not None and received > self._length:
            raise SizeMismatch(self._length, received)
        if self._max_bytes is not None and received > self._max_bytes:
            raise TooLarge(f"the upload is larger than the limit; {self._max_bytes} more bytes would have been taken")
        if self._writer is None and data:
            self._turn, writer = self._begin()
            self._writer = writer.__enter__()
        if self._writer is not None:
            self._writer.write(data)
        self._received = received

    def finish(self) -> Spooled:
        if self._length is not None and self._received != self._length:
            raise SizeMismatch(self._length, self._received)
        if self._writer is None:
            return Spooled(Path(), 0, {})
        spooled = self._writer.finish()
        self._end(self._turn, self._received)
        return spooled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*exc)
