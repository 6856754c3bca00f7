"""Resumable uploads: start, send chunks, complete; each step is authorised anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.app import App
from api.bodies import ClientGone, Intake, announced_length, drain, receive_body
from api.guards import sender
from application.access import CredentialNeeded
from application.depositing import checked_artifact_path
from application.resolving import Resolved
from application.uploading.chunks import IncomingChunk
from application.uploading.sessions import DEFAULT_CHUNK_BYTES, UploadRequest, UploadResult, UploadSession
from application.uploading.uploads import ChunkReceipt, NewUpload
from application.wire import Body
from domain.errors import Forbidden, Invalid, RegistryError, SizeMismatch
from domain.event import Metadata
from domain.permissions import Principal
from domain.repository import RepositoryNotFound
from domain.token import scope_allows

T = TypeVar("T")

AnyRequest: TypeAlias = Request[Any, Any, Any]
GivenApp: TypeAlias = NamedDependency[App]
GivenPrincipal: TypeAlias = NamedDependency[Principal]


class StartUpload(UploadRequest, frozen=True, kw_only=True):
    """Body of a start. total_size, chunk_size: bytes. checksum_sha256: of the whole."""

    repository_key: str
    artifact_path: str
    total_size: int
    checksum_sha256: str
    chunk_size: int = DEFAULT_CHUNK_BYTES


class StartedBody(msgspec.Struct, frozen=True):
    """A session, and how to cut the file for it."""

    session_id: UUID
    chunk_count: int
    chunk_size: int
    expires_at: datetime


class StatusBody(msgspec.Struct, frozen=True):
    """How far a session is."""

    session_id: UUID
    status: str
    total_size: int
    bytes_received: int
    chunks_completed: int
    chunks_total: int
    repository_key: str
    artifact_path: str
    created_at: datetime
    expires_at: datetime


class UploadsController(Controller):
    """`/api/v1/uploads`."""

    path = "/api/v1/uploads"
    tags = ["uploads"]

    @post(opt={"needs": "user"}, sync_to_thread=True, status_code=201)
    def start(
        self, app: GivenApp, principal: GivenPrincipal, request: AnyRequest, data: JSONBody[StartUpload]
    ) -> StartedBody:
        """Begin an upload of a file whose length and digest are known."""
        resolved = app.access.resolve(principal, data.repository_key)
        if resolved is None:
            raise app.access.refusal(principal, data.repository_key)
        app.access.require(principal, resolved, "write", **sender(request.scope))
        resolved.require_present()
        new = NewUpload(
            artifact_path=checked_artifact_path(data.artifact_path),
            total_size=data.total_size,
            checksum_sha256=data.checksum_sha256,
            chunk_size=data.chunk_size,
            request=msgspec.convert(data, UploadRequest, from_attributes=True),
        )
        session = app.uploads.start(_owner(principal), resolved.content, new)
        return StartedBody(session.id, session.chunk_count, session.chunk_size, session.expires_at)

    @patch("/{session_id:uuid}", opt={"needs": "user"}, request_max_body_size=None)
    async def send_chunk(
        self, app: GivenApp, principal: GivenPrincipal, request: AnyRequest, session_id: FromPath[UUID]
    ) -> ChunkReceipt:
        """Send one chunk, in any order, again if need be; `Content-Range: bytes first-last/total` says which."""
        intake = Intake(request.receive)  # type: ignore[arg-type]  # Litestar's name for the same messages
        try:
            incoming = await _in_pool(app, partial(_expected_chunk, app, principal, request, session_id))
            # Straight to its place in the whole: the session is the spool of this body.
            await receive_body(Body(kind="bytes"), _headers(request), intake, incoming, app.pool, None)
        except ClientGone:
            raise Invalid("the chunk broke off") from None
        except RegistryError:
            await drain(intake)
            raise
        return await _in_pool(app, partial(app.uploads.received, incoming))

    @get("/{session_id:uuid}", opt={"needs": "user"}, sync_to_thread=True)
    def status(self, app: GivenApp, principal: GivenPrincipal, session_id: FromPath[UUID]) -> StatusBody:
        """How far the upload is."""
        found = app.uploads.status(app.uploads.get(session_id, principal.id))
        session = found.session
        row = app.catalogue.repository_by_id(session.repository)
        return StatusBody(
            session_id=session.id,
            status=session.status,
            total_size=session.total_size,
            bytes_received=found.bytes_received,
            chunks_completed=found.chunks_completed,
            chunks_total=session.chunk_count,
            repository_key=row.key if row is not None else "",
            artifact_path=session.path,
            created_at=session.created_at,
            expires_at=session.expires_at,
        )

    @put("/{session_id:uuid}/complete", opt={"needs": "user"}, sync_to_thread=True)
    def complete(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: NamedDependency[Metadata],
        request: AnyRequest,
        session_id: FromPath[UUID],
    ) -> UploadResult:
        """Check the whole against its digest and publish it as a direct upload would be."""
        session = app.uploads.get(session_id, principal.id)
        resolved = _require_write(app, principal, request, session)
        return app.uploads.complete(session, resolved.repository, meta)

    @delete("/{session_id:uuid}", opt={"needs": "user"}, sync_to_thread=True, status_code=204)
    def cancel(self, app: GivenApp, principal: GivenPrincipal, session_id: FromPath[UUID]) -> None:
        """Give the upload up."""
        session = app.uploads.get(session_id, principal.id)
        if not scope_allows(principal.scopes, "delete:artifacts"):
            raise Forbidden("this token lacks the scope delete:artifacts")
        app.uploads.cancel(session)


def _expected_chunk(app: App, principal: Principal, request: AnyRequest, session_id: UUID) -> IncomingChunk:
    """What the body must be, told before any of it is read."""
    session = app.uploads.get(session_id, principal.id)
    _require_write(app, principal, request, session)
    headers = _headers(request)
    incoming = app.uploads.chunk(session, headers.get("content-range", ""))
    announced = announced_length(headers, None)
    if announced is not None and announced != incoming.length:
        raise SizeMismatch(incoming.length, announced)
    return incoming


def _require_write(app: App, principal: Principal, request: AnyRequest, session: UploadSession) -> Resolved:
    """The session's repository as it is now; raises what a direct upload to it would, or that it is gone."""
    row = app.catalogue.repository_by_id(session.repository)
    if row is None:
        raise RepositoryNotFound(str(session.repository))
    resolved = Resolved(row, row.id, None)
    app.access.require(principal, resolved, "write", **sender(request.scope))
    return resolved


def _owner(principal: Principal) -> UUID:
    if principal.id is None:
        raise CredentialNeeded
    return principal.id


def _headers(request: AnyRequest) -> Mapping[str, str]:
    headers: Mapping[str, str] = request.scope["incoming"].headers  # type: ignore[typeddict-item]
    return headers


async def _in_pool(app: App, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(app.pool, work)
