"""Bytes of artifacts through management routes: received and sent as package routes do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from litestar import Response
from litestar.types import Receive, Scope, Send

from api.app import App
from api.bodies import ClientGone, Intake, Received, drain, receive_body
from api.exchange import Exchange
from api.http.given import AnyRequest
from application.resolving import Resolved
from application.uploading.digest_headers import announced_digests, verify_digests
from application.wire import Body, File
from domain.errors import Invalid, RegistryError
from domain.permissions import Principal

T = TypeVar("T")

_PATH_DEPTH = len(("api", "v1", "repositories", "{key}", "artifacts"))


def sent_path(request: AnyRequest) -> str:
    """The path of an artifact behind `/api/v1/repositories/{key}/{…}/`, each of its segments decoded once."""
    segments: tuple[str, ...] = request.scope["incoming"].segments()  # type: ignore[typeddict-item]
    return "/".join(segments[_PATH_DEPTH:])


async def in_pool(app: App, work: Callable[[], T]) -> T:
    """Do it in a thread."""
    return await asyncio.get_running_loop().run_in_executor(app.pool, work)


@asynccontextmanager
async def receive(
    app: App, request: AnyRequest, kind: Literal["bytes", "form"], algorithms: tuple[str, ...]
) -> AsyncIterator[Received]:
    """The body, on disk and with the digests that its headers announce; what nobody keeps is removed with the block.

    algorithms: of digests that are wanted besides SHA-256. Raises DigestMismatch, Invalid, TooLarge, TooSlow.
    """
    headers = request.scope["incoming"].headers  # type: ignore[typeddict-item]
    intake = Intake(request.receive)  # type: ignore[arg-type]  # Litestar's name for the same messages
    try:
        announced = announced_digests(headers) if kind == "bytes" else {}
        wanted = Body(kind=kind, algorithms=tuple(dict.fromkeys((*algorithms, *announced))))
        limit = app.settings.max_upload_bytes or None
        received = await receive_body(wanted, headers, intake, app.spool, app.pool, limit)
    except ClientGone:
        raise Invalid("the body broke off") from None
    except RegistryError:
        await drain(intake)
        raise
    try:
        if received.upload is not None:
            verify_digests(announced, received.upload)
        yield received
    finally:
        received.release()


class Download(Response[None]):
    """A stored file as an answer, sent as package routes send theirs: in parts, on conditions, by redirect; counted."""

    def __init__(self, app: App, file: File, resolved: Resolved, principal: Principal) -> None:
        super().__init__(content=None)
        self._app = app
        self._file = file
        self._resolved = resolved
        self._principal = principal

    def to_asgi_response(self, request: AnyRequest, **_: Any) -> Callable[..., Any]:  # type: ignore[override]
        """What Litestar calls to send it."""
        return self._send

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        values: dict[str, Any] = scope  # type: ignore[assignment]
        exchange = Exchange(
            values["incoming"],
            values["base_url"],
            values["request_id"],
            Intake(receive),  # type: ignore[arg-type]  # Litestar's names for the same messages
            send,  # type: ignore[arg-type]
            pathsend="http.response.pathsend" in (values.get("extensions") or ()),
        )
        await self._app.send(exchange, self._file, self._resolved, self._principal)
