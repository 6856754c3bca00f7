"""The one way out of answers that concern a repository: counted, recorded, with what caches are told."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from api.answers import (
    Headers,
    Prepared,
    Redirects,
    gives_bytes,
    send_answer,
    send_file,
    send_prepared,
    send_stream,
)
from api.exchange import Exchange
from api.incoming import Incoming
from api.threads import Threads
from application.documents import keep
from application.downloads import Download, may_be_recorded
from application.ports import BlobStore
from application.resolving import Resolved
from application.wire import Answer, AnyAnswer, Derived, Document, File, Stream
from domain.permissions import Principal

VARY = (b"vary", b"authorization")


class Outlet:
    """Sends answers."""

    def __init__(
        self,
        threads: Threads,
        blobs: BlobStore,
        count_download: Callable[[UUID, UUID, str], None],
        record_download: Callable[[Download], None] | None = None,
        redirects: Redirects | None = None,
    ) -> None:
        self._threads = threads
        self._blobs = blobs
        self._count_download = count_download
        self._record_download = record_download
        self._redirects = redirects

    async def send(self, exchange: Exchange, answer: AnyAnswer, resolved: Resolved, principal: Principal) -> int:
        """Send an answer that concerns a repository: the one way out of stored bytes, whoever found them."""
        file = answer if isinstance(answer, File) else None
        if isinstance(answer, File | Stream) and answer.holder is not None:
            resolved = Resolved(answer.holder, answer.holder.id, resolved.at)
        self.record(exchange, file, resolved, principal)
        self.count(exchange.incoming, answer if isinstance(answer, File | Stream) else None, resolved)
        return await self.send_value(exchange, answer, self.caching(resolved, principal, file))

    async def send_value(self, exchange: Exchange, answer: AnyAnswer, extra: Headers) -> int:
        """Send an answer with these headers; it is nobody's download."""
        headers, method = exchange.incoming.headers, exchange.incoming.method
        match answer:
            case File():
                return await send_file(
                    answer,
                    headers,
                    method,
                    extra,
                    exchange.send,
                    blobs=self._blobs,
                    pool=self._threads.pool,
                    pathsend=exchange.pathsend,
                    redirects=self._redirects,
                )
            case Document():
                prepared = Prepared.document(await self._threads.run(keep, answer))
                return await send_prepared(prepared, headers, method, extra, exchange.send)
            case Stream():
                pool = self._threads.patient if answer.waits else self._threads.pool
                return await send_stream(answer, method, extra, exchange.send, pool)
            case Derived():
                entry = await self._threads.run(answer.render)
                return await self.send_value(exchange, entry, extra)
            case Answer():
                return await send_answer(answer, method, extra, exchange.send)

    def caching(self, resolved: Resolved, principal: Principal, file: File | None) -> Headers:
        """Immutable bytes for ever, documents to be revalidated; nothing shared that a credential was needed for."""
        private = principal.authenticated or not resolved.repository.public
        return _CACHING[private, file is not None and file.immutable]

    def count(self, incoming: Incoming, file: File | Stream | None, resolved: Resolved) -> None:
        """Count a download, if it is one."""
        if file is None or file.artifact is None or incoming.method != "GET":
            return
        if isinstance(file, File) and not gives_bytes(file, incoming.headers):
            return
        asked = incoming.headers.get("range", "bytes=0-")
        if asked.startswith("bytes=0-"):  # the parts of a resumed download are one download
            self._count_download(file.artifact, resolved.content, incoming.headers.get("user-agent", ""))

    def record(self, exchange: Exchange, file: File | None, resolved: Resolved, principal: Principal) -> None:
        """Hand the download of a repository that records access to the recorder, before the first byte goes out."""
        incoming = exchange.incoming
        if file is None or file.artifact is None or incoming.method != "GET" or self._record_download is None:
            return
        if may_be_recorded(resolved) and gives_bytes(file, incoming.headers):
            headers = incoming.headers
            agent, part = headers.get("user-agent", ""), headers.get("range", "")
            self._record_download(
                Download(
                    file.artifact, file.sha256, resolved, principal, exchange.request_id, incoming.client, agent, part
                )
            )


_CACHING: dict[tuple[bool, bool], Headers] = {
    (False, False): [(b"cache-control", b"public, no-cache")],
    (False, True): [(b"cache-control", b"public, max-age=31536000, immutable")],
    (True, False): [(b"cache-control", b"private, no-cache"), VARY],
    (True, True): [(b"cache-control", b"private, max-age=31536000, immutable"), VARY],
}
"""By whether it is private and whether it is immutable."""
