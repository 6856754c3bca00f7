"""Answer values to ASGI messages: HEAD, conditional and range requests, encodings. The only place that calls send.

Sources: RFC 9110 sections 8.8, 13 and 14; RFC 9111.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, BinaryIO, NamedTuple

from api.ranges import Layout, Span, Unsatisfiable, lay_out, wanted_spans
from application.documents import Kept
from application.ports import BlobStore
from application.uploading.digest_headers import representation_digest
from application.wire import Answer, File, Stream

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CHUNK_BYTES = 256 * 1024
"""The most that one message carries: the server queues several for a reader that stalls."""

SEND_TIMEOUT_SECONDS = 60.0
MAX_HELD_FILE_BYTES = 64 * 1024


class Representation(NamedTuple):
    """One encoding of a body, with the headers of an answer that carries it, and of one that says it is unchanged."""

    body: bytes
    etag: str
    headers: Headers
    headers_unchanged: Headers

    @classmethod
    def of(cls, body: bytes, etag: str, headers: Headers) -> Representation:
        """With its tag and its length."""
        own = [*headers, (b"etag", etag.encode()), (b"content-length", str(len(body)).encode())]
        return cls(body, etag, own, _without_body(own))


class Prepared:
    """A body that is in memory, with everything made ready once. compressed: None where that would gain nothing."""

    __slots__ = ("compressed", "file", "identity", "modified", "size")

    def __init__(
        self,
        body: bytes,
        compressed: bytes | None,
        digest: str,
        media_type: str,
        headers: Iterable[tuple[str, str]],
        modified: datetime | None,
        file: File | None = None,
    ) -> None:
        self.modified = modified
        self.file = file
        shared = [(b"content-type", media_type.encode()), *encoded(headers)]
        if modified is not None:
            shared.append((b"last-modified", http_date(modified).encode()))
        if file is not None:
            shared.append((b"accept-ranges", b"bytes"))
        if compressed is not None:
            shared.append((b"vary", b"accept-encoding"))
        self.identity = Representation.of(body, f'"{digest}"', shared)
        self.compressed: Representation | None = None
        self.size = len(body) + 1_200
        if compressed is not None:
            gzip = [*shared, (b"content-encoding", b"gzip")]
            self.compressed = Representation.of(compressed, f'"{digest}-gz"', gzip)
            self.size += len(compressed)

    @classmethod
    def document(cls, kept: Kept) -> Prepared:
        """A generated document."""
        return cls(kept.body, kept.compressed, kept.digest, kept.media_type, kept.headers, kept.last_modified)

    @classmethod
    def small_file(cls, file: File, body: bytes) -> Prepared:
        """A stored file that is small enough to be held."""
        return cls(body, None, file.sha256, file.media_type, file_headers(file), file.last_modified, file)


async def send_prepared(prepared: Prepared, headers: Mapping[str, str], method: str, extra: Headers, send: Send) -> int:
    """Send a body from memory; returns the status."""
    chosen = prepared.compressed
    if chosen is None or "gzip" not in headers.get("accept-encoding", ""):
        chosen = prepared.identity
    body, etag, own, unchanged = chosen
    decided = _condition(headers, etag, prepared.modified)
    if decided is not None:
        return await _send_decided(decided, unchanged, extra, send)
    if prepared.file is not None and method == "GET" and "range" in headers:
        try:
            spans = _spans(headers, len(body), etag, prepared.modified)
        except Unsatisfiable:
            return await _send_unsatisfiable(len(body), extra, send)
        if spans:
            return await _send_parts(body, spans, own, extra, send)
    await _start(send, 200, own + extra)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
    return 200


async def send_answer(answer: Answer, method: str, extra: Headers, send: Send) -> int:
    """Send a small answer made for this request."""
    headers = [
        (b"content-type", answer.media_type.encode()),
        *encoded(answer.headers),
        *extra,
    ]
    if answer.status not in {204, 304}:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await _start(send, answer.status, headers)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
    return answer.status


async def send_stream(stream: Stream, method: str, extra: Headers, send: Send, pool: Executor) -> int:
    """Send a long answer; its chunks are made in a thread, one at a time."""
    headers = [(b"content-type", stream.media_type.encode()), *encoded(stream.headers), *extra]
    loop = asyncio.get_running_loop()
    try:
        await _start(send, stream.status, headers)
        if method != "HEAD":
            while chunk := await loop.run_in_executor(pool, next, stream.chunks, b""):
                await _send_chunk(send, chunk)
        await _end(send)
    finally:  # also for a client that went away, and for chunks that nobody asked for
        close = getattr(stream.chunks, "close", None)
        if close is not None:
            await asyncio.shield(loop.run_in_executor(pool, close))
    return stream.status


async def send_file(
    file: File,
    headers: Mapping[str, str],
    method: str,
    extra: Headers,
    send: Send,
    *,
    blobs: BlobStore,
    pool: Executor,
    pathsend: bool,
    redirects: Redirects | None = None,
) -> int:
    """Send a stored file: from where it is by redirect, or whole by file handle, or in chunks read in a thread."""
    etag = f'"{file.sha256}"'
    own: Headers = [
        (b"content-type", file.media_type.encode()),
        *encoded(file_headers(file)),
        (b"etag", etag.encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if file.last_modified is not None:
        own.append((b"last-modified", http_date(file.last_modified).encode()))
    decided = _condition(headers, etag, file.last_modified)
    if decided is not None:
        return await _send_decided(decided, _without_body(own), extra, send)
    try:
        ranged = method == "GET" and "range" in headers  # of HEAD, RFC 9110 section 14.2 wants it ignored
        spans = _spans(headers, file.size_bytes, etag, file.last_modified) if ranged else []
    except Unsatisfiable:
        return await _send_unsatisfiable(file.size_bytes, extra, send)
    layout = lay_out(spans, file.size_bytes, file.media_type) if len(spans) > 1 else None
    own = _framed(own, file.size_bytes, spans, layout)
    status = 206 if spans else 200
    loop = asyncio.get_running_loop()
    if redirects is not None and redirects.suits(file, headers, method) and len(spans) < 2:
        location = await loop.run_in_executor(pool, redirects.location, file)
        if location is not None:
            return await _send_redirect(file, location, extra, redirects.storage, send)
    if method == "HEAD" or file.size_bytes == 0:
        await _start(send, status, own + extra)
        await _end(send)
        return status
    path = await loop.run_in_executor(pool, _existing_path, blobs, file.sha256)
    if path is not None and pathsend and not spans:
        await _start(send, status, own + extra)
        await send({"type": "http.response.pathsend", "path": path})
        return status
    parts = layout.parts if layout else ((b"", spans[0] if spans else (0, file.size_bytes)),)
    source = await loop.run_in_executor(pool, blobs.open, file.sha256, parts[0][1][0])  # first: may be Unavailable
    await _start(send, status, own + extra)
    for number, (head, (start, end)) in enumerate(parts):
        if number:
            source = await loop.run_in_executor(pool, blobs.open, file.sha256, start)
        await _copy(source, head, end - start, send, pool)
    await send({"type": "http.response.body", "body": layout.closing if layout else b""})
    return status


class Redirects:
    """Sends clients to the object store for the bytes of artifacts.

    Not for what is small enough to be answered from memory, not for HEAD, as the signature is for GET alone, and not
    where the store would judge a condition by a tag of its own. storage: its kind, for X-Artifact-Storage.
    """

    def __init__(self, blobs: BlobStore, storage: str, expires_seconds: int) -> None:
        self.storage = storage
        self._blobs = blobs
        self._expires_seconds = expires_seconds

    def suits(self, file: File, headers: Mapping[str, str], method: str) -> bool:
        """Whether the client may be sent there."""
        if method != "GET" or file.artifact is None or not file.redirectable:
            return False
        return file.size_bytes > MAX_HELD_FILE_BYTES and "if-range" not in headers

    def location(self, file: File) -> str | None:
        """A signed address of the bytes, if the store gives any."""
        return self._blobs.signed_url(
            file.sha256, filename=file.filename, media_type=file.media_type, expires_seconds=self._expires_seconds
        )


def file_headers(file: File) -> list[tuple[str, str]]:
    """What every stored file is sent with: never shown as a page of ours, always named."""
    headers = [
        *file.headers,
        ("content-security-policy", "sandbox"),
        ("x-checksum-sha256", file.sha256),
        representation_digest(file.sha256),
    ]
    if file.filename is not None:
        headers.append(("content-disposition", attachment(file.filename)))
    if file.artifact is not None:
        headers.append(("x-artifact-storage", "proxy"))
    return headers


def attachment(filename: str) -> str:
    """A Content-Disposition that saves under the name (RFC 6266, RFC 8187)."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\' else "_" for char in filename)
    if plain == filename:
        return f'attachment; filename="{plain}"'
    quoted = "".join(f"%{byte:02X}" for byte in filename.encode())
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"


def encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    """Text headers as bytes. Values come from checked data; what cannot be a header value is an error of ours."""
    pairs = []
    for name, value in headers:
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"control character in header {name}")
        pairs.append((name.encode("ascii"), value.encode("latin-1", "replace")))
    return pairs


def http_date(moment: datetime) -> str:
    """An IMF-fixdate."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def gives_bytes(file: File, headers: Mapping[str, str]) -> bool:
    """Whether a GET of the file is answered with bytes; not when the client has them already."""
    return _condition(headers, f'"{file.sha256}"', file.last_modified) is None


def etag_matches(condition: str, etag: str, *, strong: bool = False) -> bool:
    """Whether an If-None-Match list names the tag by weak comparison, or an If-Match list by strong."""
    if condition.strip() == "*":
        return True
    weak = "" if strong else "W/"
    return any(candidate.strip().removeprefix(weak) == etag for candidate in condition.split(","))


def _condition(headers: Mapping[str, str], etag: str, modified: datetime | None) -> int | None:
    """412 or 304 where a condition of the client decides the answer (RFC 9110 section 13.2.2)."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None:
        if not etag_matches(match, etag, strong=True):
            return 412
    elif "if-unmodified-since" in headers and _unmodified(headers["if-unmodified-since"], modified) is False:
        return 412
    if none_match is not None:
        return 304 if etag_matches(none_match, etag) else None
    return 304 if _unmodified(headers.get("if-modified-since"), modified) else None


def _unmodified(since: str | None, modified: datetime | None) -> bool | None:
    """Whether nothing changed after a date; None where nothing can be said."""
    moment = _parse_date(since) if since is not None else None
    if moment is None or modified is None:
        return None
    return modified.replace(microsecond=0) <= moment


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _spans(headers: Mapping[str, str], size: int, etag: str, modified: datetime | None) -> list[Span]:
    """The parts to send; none to send everything, as when If-Range does not hold. Raises Unsatisfiable."""
    guard = headers.get("if-range")
    if guard is not None:
        if '"' in guard:
            holds = guard.strip() == etag
        else:
            moment = _parse_date(guard)
            holds = moment is not None and modified is not None and modified.replace(microsecond=0) == moment
        if not holds:
            return []
    return wanted_spans(headers["range"], size)


def _framed(own: Headers, size: int, spans: list[Span], layout: Layout | None) -> Headers:
    """The headers with what is said of this body: its length, and which part of the file it is."""
    if layout is not None:
        kept = [pair for pair in own if pair[0] != b"content-type"]
        kept.append((b"content-type", layout.media_type.encode()))
        return [*kept, (b"content-length", str(layout.length).encode())]
    start, end = spans[0] if spans else (0, size)
    framed = [*own, (b"content-length", str(end - start).encode())]
    if spans:
        framed.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
    return framed


async def _send_parts(body: bytes, spans: list[Span], own: Headers, extra: Headers, send: Send) -> int:
    headers = [pair for pair in own if pair[0] != b"content-length"]
    media_type = next(value for name, value in headers if name == b"content-type").decode()
    layout = lay_out(spans, len(body), media_type) if len(spans) > 1 else None
    parts = layout.parts if layout else ((b"", spans[0]),)
    content = b"".join(head + body[start:end] for head, (start, end) in parts) + (layout.closing if layout else b"")
    await _start(send, 206, _framed(headers, len(body), spans, layout) + extra)
    await send({"type": "http.response.body", "body": content})
    return 206


async def _send_decided(status: int, unchanged: Headers, extra: Headers, send: Send) -> int:
    headers = unchanged + extra
    if status == 412:
        headers.append((b"content-length", b"0"))
    await _start(send, status, headers)
    await _end(send)
    return status


async def _send_redirect(file: File, location: str, extra: Headers, storage: str, send: Send) -> int:
    headers = [pair for pair in extra if pair[0] != b"cache-control"]
    headers += encoded(
        [
            *file.headers,
            ("location", location),
            ("cache-control", "no-store"),  # it expires, and is whoever's has it
            ("x-artifact-storage", f"redirect-{storage}"),
            ("x-checksum-sha256", file.sha256),
            ("content-length", "0"),
        ]
    )
    await _start(send, 302, headers)
    await _end(send)
    return 302


async def _send_unsatisfiable(size: int, extra: Headers, send: Send) -> int:
    headers = [(b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0"), *extra]
    await _start(send, 416, headers)
    await _end(send)
    return 416


def _existing_path(blobs: BlobStore, sha256: str) -> str | None:
    path = blobs.local_path(sha256)
    return str(path) if path is not None and path.exists() else None


async def _copy(source: BinaryIO, head: bytes, length: int, send: Send, pool: Executor) -> None:
    """Send what stands before, then the next `length` bytes of the file, and close it."""
    loop = asyncio.get_running_loop()
    left = length
    try:
        if head:
            await _send_chunk(send, head)
        while left > 0:
            chunk = await loop.run_in_executor(pool, source.read, min(CHUNK_BYTES, left))
            if not chunk:
                raise EOFError("a stored blob is shorter than recorded")  # the client sees a cut body, not a short one
            left -= len(chunk)
            await _send_chunk(send, chunk)
    finally:
        await loop.run_in_executor(pool, source.close)


async def _send_chunk(send: Send, chunk: bytes) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _start(send: Send, status: int, headers: Headers) -> Awaitable[None]:
    return send({"type": "http.response.start", "status": status, "headers": headers})


def _end(send: Send) -> Awaitable[None]:
    return send({"type": "http.response.body", "body": b""})


def _without_body(headers: Headers) -> Headers:
    return [pair for pair in headers if pair[0] not in _NOT_WITHOUT_BODY]


_NOT_WITHOUT_BODY = frozenset({b"content-length", b"content-type", b"content-encoding", b"content-disposition"})
