"""Resumable uploads: start, receive chunks in any order, complete by the same pipeline as a direct upload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from application.catalogue import RepositoryRow
from application.ports import BlobStore, Spool, Spooled
from application.uploading.chunks import IncomingChunk, chunk_of
from application.uploading.sessions import (
    DEFAULT_CHUNK_BYTES,
    MOST_CHUNKS,
    UploadBusy,
    UploadEnded,
    UploadExpired,
    UploadIncomplete,
    UploadLost,
    UploadNotFound,
    UploadRequest,
    UploadResult,
    UploadSession,
    UploadSessions,
    UploadStaging,
)
from domain.digests import parse_hex_digest
from domain.errors import DigestMismatch, Invalid, TooLarge, TooMany
from domain.event import Metadata

SESSION_LIFETIME = timedelta(hours=24)
"""From the last chunk that arrived."""

REMEMBERED = timedelta(days=7)
"""How long an ended session still answers with how it ended."""

MOST_OPEN_SESSIONS = 100
RETRY_AFTER_SECONDS = 60

LARGEST_BYTES = 1 << 46
MAX_NAME = 512

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?:;[\x20-\x7e]{1,255})?\Z")
"""RFC 6838 section 4.2, with printable parameters: it is sent as a header with every download."""


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that a client wants to begin."""

    artifact_path: str
    total_size: int
    checksum_sha256: str
    chunk_size: int = DEFAULT_CHUNK_BYTES
    request: UploadRequest = UploadRequest()


class ChunkReceipt(msgspec.Struct, frozen=True):
    """The state after a chunk. bytes_received: of the whole upload so far."""

    chunk_index: int
    bytes_received: int
    chunks_completed: int
    chunks_remaining: int


class UploadStatus(msgspec.Struct, frozen=True):
    """A session and how much of it is here."""

    session: UploadSession
    chunks_completed: int
    bytes_received: int


class UploadPublisher(Protocol):
    """What a direct upload of one file does with it: the same is done with a completed one."""

    def algorithms(self, repository: RepositoryRow) -> tuple[str, ...]:
        """The digests besides SHA-256 that the repository's format publishes."""

    def publish(
        self, repository: RepositoryRow, path: str, spooled: Spooled, request: UploadRequest, meta: Metadata
    ) -> UploadResult:
        """Parse, decide, store, append, wait until it is visible. Raises what a direct upload raises."""


class Uploads:
    """The commands on upload sessions. max_bytes: the largest upload; None for no limit.

    Who may write to the repository is checked by the caller, at each step anew; here only the owner passes.
    """

    def __init__(
        self,
        sessions: UploadSessions,
        staging: UploadStaging,
        blobs: BlobStore,
        spool: Spool,
        publisher: UploadPublisher,
        max_bytes: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sessions = sessions
        self._staging = staging
        self._blobs = blobs
        self._spool = spool
        self._publisher = publisher
        self._max_bytes = max_bytes
        self._now = now

    def start(self, owner: UUID, repository: UUID, new: NewUpload) -> UploadSession:
        """Begin a session. Raises Invalid, TooLarge, TooMany, Unavailable when there is no room."""
        session = UploadSession(
            id=uuid4(),
            owner=owner,
            repository=repository,
            path=new.artifact_path,
            total_size=new.total_size,
            chunk_size=new.chunk_size,
            sha256=_checked(new, self._max_bytes),
            request=new.request,
            status="in_progress",
            created_at=self._now(),
            expires_at=self._now() + SESSION_LIFETIME,
        )
        if self._sessions.open_sessions(owner) >= MOST_OPEN_SESSIONS:
            raise TooMany(f"at most {MOST_OPEN_SESSIONS} uploads of one user may be in progress", RETRY_AFTER_SECONDS)
        self._staging.create(session.id, session.total_size)
        try:
            self._sessions.add(session)
        except BaseException:
            self._staging.discard(session.id)
            raise
        return session

    def get(self, session_id: UUID, owner: UUID | None) -> UploadSession:
        """The owner's session, whatever its state. Raises UploadNotFound."""
        session = self._sessions.get(session_id)
        if session is None or owner is None or session.owner != owner:
            raise UploadNotFound
        return session

    def status(self, session: UploadSession) -> UploadStatus:
        """How much of it is here."""
        chunks = self._sessions.chunks(session.id)
        if session.status == "completed":
            chunks = set(range(session.chunk_count))
        elif self._is_overdue(session):
            session = msgspec.structs.replace(session, status="expired")
        return UploadStatus(session, len(chunks), session.received_bytes(chunks))

    def chunk(self, session: UploadSession, content_range: str) -> IncomingChunk:
        """Get ready for the body of a request with that Content-Range. Raises Invalid, Gone, Conflict."""
        self._require_open(session)
        chunk = chunk_of(session, content_range)
        return IncomingChunk(session, chunk, self._sessions, self._staging)

    def received(self, incoming: IncomingChunk) -> ChunkReceipt:
        """Count a chunk whose body was received whole."""
        session = incoming.session
        expires_at = self._now() + SESSION_LIFETIME
        completed = self._sessions.end_chunk(session.id, incoming.chunk, expires_at)
        if not completed:
            raise UploadLost
        return ChunkReceipt(
            chunk_index=incoming.chunk,
            bytes_received=session.received_bytes(self._sessions.chunks(session.id)),
            chunks_completed=completed,
            chunks_remaining=session.chunk_count - completed,
        )

    def complete(self, session: UploadSession, repository: RepositoryRow, meta: Metadata) -> UploadResult:
        """Publish the whole. Asked again after success it answers the same.

        Raises UploadIncomplete, DigestMismatch, UploadBusy, UploadExpired, UploadEnded, UploadLost, and what a direct
        upload raises. The session then stays: chunks can be sent again, and completing be tried again.
        """
        if session.status == "completed" and session.result is not None:
            return session.result
        self._require_open(session)
        missing = set(range(session.chunk_count)) - self._sessions.chunks(session.id)
        if missing:
            raise UploadIncomplete(len(missing), session.chunk_count, min(missing))
        claimed = self._sessions.claim(session.id)
        if claimed is None:
            raise UploadBusy
        try:
            result = self._publish(claimed, repository, meta)
        except BaseException:
            self._sessions.release(session.id)
            raise
        self._sessions.end(session.id, "completed", result)
        self._staging.discard(session.id)
        return result

    def cancel(self, session: UploadSession) -> None:
        """Give the session up and remove its bytes.

        Raises UploadEnded for a completed one, UploadBusy while it is being completed: it could be published already.
        """
        if session.status == "completed":
            raise UploadEnded(session.status)
        if session.status == "in_progress" and self._sessions.claim(session.id) is None:
            raise UploadBusy
        self._sessions.end(session.id, "cancelled")
        self._staging.discard(session.id)

    def _require_open(self, session: UploadSession) -> None:
        if session.status == "expired" or self._is_overdue(session):
            raise UploadExpired
        if session.status != "in_progress":
            raise UploadEnded(session.status)

    def _is_overdue(self, session: UploadSession) -> bool:
        return session.status == "in_progress" and session.expires_at <= self._now()

    def _publish(self, session: UploadSession, repository: RepositoryRow, meta: Metadata) -> UploadResult:
        with ExitStack() as stack:
            spooled = self._whole(session, self._publisher.algorithms(repository), stack)
            if spooled.sha256 != session.sha256:
                raise DigestMismatch("sha256", session.sha256, spooled.sha256)
            self._sessions.verify(session.id)
            return self._publisher.publish(repository, session.path, spooled, session.request, meta)

    def _whole(self, session: UploadSession, algorithms: tuple[str, ...], stack: ExitStack) -> Spooled:
        """The bytes as they arrived. Where an earlier attempt failed after it had stored them, the blob; but never the
        blob alone for its digest: who knows a digest need not have the bytes, nor be allowed to see them.
        """
        try:
            chunks = range(session.chunk_count)
            return stack.enter_context(self._staging.assembled(session.id, chunks, session.total_size, algorithms))
        except UploadLost:
            if not (session.verified and self._blobs.exists(session.sha256)):
                raise
        return stack.enter_context(self._copied(session.sha256, algorithms))

    @contextmanager
    def _copied(self, sha256: str, algorithms: tuple[str, ...]) -> Iterator[Spooled]:
        with self._blobs.open(sha256) as file, self._spool.create(algorithms) as writer:
            while data := file.read(1 << 20):
                writer.write(data)
            spooled = writer.finish()
        try:
            yield spooled
        finally:
            self._spool.discard(spooled)


def expire_uploads(sessions: UploadSessions, staging: UploadStaging, now: datetime) -> int:
    """Remove the bytes of sessions whose time is over, and bytes of no known session; gives how many sessions."""
    overdue = sessions.overdue(now)
    for session in overdue:
        sessions.end(session, "expired")
        staging.discard(session)
    stale = staging.stale(now - SESSION_LIFETIME)
    for session in set(stale) - sessions.known(stale):
        staging.discard(session)
    sessions.forget(now - REMEMBERED)
    return len(overdue)


def _checked(new: NewUpload, max_bytes: int | None) -> str:
    """The announced digest in lower case; raises Invalid or TooLarge for what cannot become a session."""
    sha256 = parse_hex_digest("sha256", new.checksum_sha256)
    if sha256 is None:
        raise Invalid("checksum_sha256 is not a SHA-256 digest in hexadecimal")
    if new.total_size < 0 or new.chunk_size < 1:
        raise Invalid("total_size must not be negative, and chunk_size must be at least 1")
    limit = LARGEST_BYTES if max_bytes is None else min(max_bytes, LARGEST_BYTES)
    if new.total_size > limit:
        raise TooLarge(f"the upload has {new.total_size} bytes; the limit is {limit}")
    if new.chunk_size > LARGEST_BYTES:
        raise Invalid(f"chunk_size is at most {LARGEST_BYTES}")
    if -(-new.total_size // new.chunk_size) > MOST_CHUNKS:
        raise Invalid(f"the upload would have more than {MOST_CHUNKS} chunks; choose a larger chunk_size")
    request = new.request
    if not _MEDIA_TYPE.match(request.content_type):
        raise Invalid("content_type is not a media type")
    for text in (request.artifact_name or "", request.artifact_version or ""):
        if len(text) > MAX_NAME or not text.isprintable():
            raise Invalid(f"artifact_name and artifact_version are at most {MAX_NAME} printable characters")
    return sha256
