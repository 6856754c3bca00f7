"""Uploads that arrive in pieces: what a session is, and the ports that keep its record and its bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from application.ports import Spooled, SpoolWriter
from domain.errors import Conflict, Gone, Invalid, NotFound

DEFAULT_CHUNK_BYTES = 8 << 20
MOST_CHUNKS = 10_000

Status = Literal["in_progress", "completed", "cancelled", "expired"]


class UploadNotFound(NotFound):
    """No such session, or not this caller's."""

    template = "upload session not found"

    def __init__(self) -> None:
        super().__init__()


class UploadExpired(Gone):
    """The session's time is over, and its bytes are gone."""

    template = "this upload session has expired; start a new one"

    def __init__(self) -> None:
        super().__init__()


class UploadEnded(Conflict):
    """The session was completed or cancelled."""

    template = "this upload session is {status}"

    def __init__(self, status: str) -> None:
        super().__init__(status=status)


class UploadBusy(Conflict):
    """Others are at it: one completes the session while a chunk arrives, or the other way round."""

    template = "{reason}; try again in a moment"

    def __init__(self, reason: str = "this upload is being completed") -> None:
        super().__init__(reason=reason)


class UploadLost(Gone):
    """The session's bytes are no longer here."""

    template = "the bytes of this upload session are no longer here; start a new one"

    def __init__(self) -> None:
        super().__init__()


class UploadIncomplete(Invalid):
    """Completing was asked for too early."""

    template = "{missing} of {chunks} chunks are missing, the first is number {first}"

    def __init__(self, missing: int, chunks: int, first: int) -> None:
        super().__init__(missing=missing, chunks=chunks, first=first)


class UploadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of an upload beforehand, beside where it goes and how long it is."""

    content_type: str = "application/octet-stream"
    artifact_name: str | None = None
    artifact_version: str | None = None
    artifact_metadata_format: str | None = None
    artifact_metadata: dict[str, Any] | None = None
    artifact_metadata_properties: dict[str, Any] | None = None
    package_description: str | None = None
    package_metadata: dict[str, Any] | None = None


class UploadResult(msgspec.Struct, frozen=True):
    """What was published."""

    artifact_id: UUID
    path: str
    size: int
    checksum_sha256: str


class UploadSession(msgspec.Struct, frozen=True, kw_only=True):
    """One upload. Sizes in bytes. sha256: as announced. verified: what arrived had that digest."""

    id: UUID
    owner: UUID
    repository: UUID
    path: str
    total_size: int
    chunk_size: int
    sha256: str
    request: UploadRequest
    status: Status
    created_at: datetime
    expires_at: datetime
    result: UploadResult | None = None
    verified: bool = False

    @property
    def chunk_count(self) -> int:
        """How many chunks there are; 0 for an empty file."""
        return -(-self.total_size // self.chunk_size)

    def chunk_length(self, chunk: int) -> int:
        """The bytes of that chunk; the last may be shorter."""
        return min(self.chunk_size, self.total_size - chunk * self.chunk_size)

    def received_bytes(self, chunks: Collection[int]) -> int:
        """The bytes of those chunks together."""
        return sum(self.chunk_length(chunk) for chunk in chunks)


class UploadSessions(Protocol):
    """The record of sessions, for all processes."""

    def add(self, session: UploadSession) -> None:
        """Keep a new session."""

    def open_sessions(self, owner: UUID) -> int:
        """How many sessions of that owner are in progress."""

    def get(self, session: UUID) -> UploadSession | None:
        """The session, also an ended one for some days."""

    def chunks(self, session: UUID) -> set[int]:
        """The chunks that are wholly here."""

    def begin_chunk(self, session: UUID, chunk: int) -> bool:
        """Forget the chunk until `end_chunk`: it is arriving (again). False while the session is being completed."""

    def end_chunk(self, session: UUID, chunk: int, expires_at: datetime) -> int:
        """The chunk is wholly here; gives how many are, 0 when the session is over. Prolongs the session."""

    def claim(self, session: UUID) -> UploadSession | None:
        """Be the only one to complete the session, as it is now; None when somebody else is, or it is over.

        A claim ends by itself after some minutes.
        """

    def verify(self, session: UUID) -> None:
        """Note that what arrived has the announced digest; undone by the next chunk."""

    def release(self, session: UUID) -> None:
        """End a claim without completing."""

    def end(self, session: UUID, status: Status, result: UploadResult | None = None) -> None:
        """The session is over."""

    def overdue(self, now: datetime) -> list[UUID]:
        """Sessions in progress whose time is over."""

    def forget(self, before: datetime) -> None:
        """Drop the record of sessions that ended or expired before that time."""

    def known(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Those that are in progress."""


class UploadStaging(Protocol):
    """Where the bytes of sessions wait. Chunks may arrive in any order, and again, in any process."""

    def create(self, session: UUID, total_size: int) -> None:
        """Make room. Raises Unavailable when there is none."""

    def write_chunk(self, session: UUID, chunk: int, offset: int) -> SpoolWriter:
        """Receive a chunk whose first byte is at `offset` of the whole. Durable when its `finish` returns.

        Raises UploadBusy while the whole is being assembled, UploadLost when there are no bytes of it here.
        """

    def assembled(
        self, session: UUID, chunks: Sequence[int], size_bytes: int, algorithms: tuple[str, ...]
    ) -> AbstractContextManager[Spooled]:
        """These chunks, which are the whole in its order and so many bytes, hashed in one pass, and out of reach of
        writers as long as the block lasts. Raises UploadLost when there are none here, UploadBusy while one arrives.
        """

    def discard(self, session: UUID) -> None:
        """Remove everything of that session; never raises for an absent one."""

    def stale(self, before: datetime) -> list[UUID]:
        """Sessions whose bytes were last written before that time, known or not."""
