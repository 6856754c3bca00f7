"""Answer values to ASGI messages: HEAD, conditional and range requests, encodings. The only place that calls send.

Sources: RFC 9110 sections 8.8, 13 and 14; RFC 9111.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, BinaryIO

from application.documents import Kept
from application.ports import BlobStore
from application.wire import Answer, File, Stream

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CHUNK_BYTES = 256 * 1024
"""The most that one message carries: the server queues several for a reader that stalls."""

SEND_TIMEOUT_SECONDS = 60.0
MAX_HELD_FILE_BYTES = 64 * 1024

_SINGLE_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class Prepared:
    """A body that is in memory, with everything made ready once: headers per encoding, validators."""

    __slots__ = ("body", "compressed", "etag", "etag_gzip", "file", "headers", "headers_gzip", "modified", "size")

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
        self.body = body
        self.compressed = compressed
        self.etag = f'"{digest}"'
        self.etag_gzip = f'"{digest}-gz"'
        self.modified = modified
        self.file = file
        shared = [(b"content-type", media_type.encode()), *encoded(headers)]
        if modified is not None:
            shared.append((b"last-modified", http_date(modified).encode()))
        if file is not None:
            shared.append((b"accept-ranges", b"bytes"))
        if compressed is not None:
            shared.append((b"vary", b"accept-encoding"))
        self.headers: Headers = [
            *shared,
            (b"etag", self.etag.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        self.headers_gzip: Headers = [
            *shared,
            (b"etag", self.etag_gzip.encode()),
            (b"content-encoding", b"gzip"),
            (b"content-length", str(len(compressed or b"")).encode()),
        ]
        self.size = len(body) + len(compressed or b"") + 1_200

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
    if prepared.compressed is not None and "gzip" in headers.get("accept-encoding", ""):
        body, own, etag = prepared.compressed, prepared.headers_gzip, prepared.etag_gzip
    else:
        body, own, etag = prepared.body, prepared.headers, prepared.etag
    condition = headers.get("if-none-match")
    if (
        etag_matches(condition, etag)
        if condition is not None
        else _unmodified(headers.get("if-modified-since"), prepared.modified)
    ):
        await _start(send, 304, [pair for pair in own if pair[0] not in _NOT_IN_304] + extra)
        await _end(send)
        return 304
    if prepared.file is not None and "range" in headers:
        wanted = _wanted_range(headers, len(body), etag, prepared.modified)
        if wanted is not None:
            return await _send_part(body, wanted, own, extra, method, send)
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
    await _start(send, stream.status, headers)
    if method != "HEAD":
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(pool, next, stream.chunks, b""):
            await _send_chunk(send, chunk)
    await _end(send)
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
) -> int:
    """Send a stored file: whole by file handle where the server can, otherwise in chunks read in a thread."""
    etag = f'"{file.sha256}"'
    own: Headers = [
        (b"content-type", file.media_type.encode()),
        *encoded(file_headers(file)),
        (b"etag", etag.encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if file.last_modified is not None:
        own.append((b"last-modified", http_date(file.last_modified).encode()))
    condition = headers.get("if-none-match")
    if (
        etag_matches(condition, etag)
        if condition is not None
        else _unmodified(headers.get("if-modified-since"), file.last_modified)
    ):
        await _start(send, 304, [pair for pair in own if pair[0] not in _NOT_IN_304] + extra)
        await _end(send)
        return 304
    wanted = _wanted_range(headers, file.size_bytes, etag, file.last_modified) if "range" in headers else None
    if wanted == ():
        return await _send_unsatisfiable(file.size_bytes, extra, send)
    start, end = wanted or (0, file.size_bytes)
    status = 206 if wanted else 200
    if wanted:
        own.append((b"content-range", f"bytes {start}-{end - 1}/{file.size_bytes}".encode()))
    own.append((b"content-length", str(end - start).encode()))
    loop = asyncio.get_running_loop()
    if method == "HEAD" or end == start:
        await _start(send, status, own + extra)
        await _end(send)
        return status
    path = await loop.run_in_executor(pool, _existing_path, blobs, file.sha256)
    if path is not None and pathsend and not wanted:
        await _start(send, status, own + extra)
        await send({"type": "http.response.pathsend", "path": path})
        return status
    source = await loop.run_in_executor(pool, blobs.open, file.sha256, start)  # before the start: may be Unavailable
    try:
        await _start(send, status, own + extra)
        await _copy(source, end - start, send, loop, pool)
    finally:
        await loop.run_in_executor(pool, source.close)
    return status


def file_headers(file: File) -> list[tuple[str, str]]:
    """What every stored file is sent with: never shown as a page of ours, always named."""
    headers = [*file.headers, ("content-security-policy", "sandbox"), ("x-checksum-sha256", file.sha256)]
    if file.filename is not None:
        headers.append(("content-disposition", attachment(file.filename)))
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


def etag_matches(condition: str, etag: str) -> bool:
    """Whether an If-None-Match or If-Match list names the tag, by weak comparison."""
    if condition.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == etag for candidate in condition.split(","))


def _unmodified(since: str | None, modified: datetime | None) -> bool:
    if since is None or modified is None:
        return False
    moment = _parse_date(since)
    return moment is not None and modified.replace(microsecond=0) <= moment


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _wanted_range(
    headers: Mapping[str, str], size: int, etag: str, modified: datetime | None
) -> tuple[int, int] | tuple[()] | None:
    """Start and end (exclusive) of the one range; () when it cannot be satisfied; None to send everything."""
    guard = headers.get("if-range")
    if guard is not None:
        if guard.startswith('"'):
            holds = guard.strip() == etag
        else:
            moment = _parse_date(guard)
            holds = moment is not None and modified is not None and modified.replace(microsecond=0) == moment
        if not holds:
            return None
    found = _SINGLE_RANGE.match(headers["range"].replace(" ", ""))
    if not found or found[1] == found[2] == "":
        return None  # several ranges, or another unit: the whole is a correct answer
    first, last = found[1][:19], found[2][:19]
    if first == "":
        count = int(last)
        return (max(0, size - count), size) if count and size else ()
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if start >= size:
        return ()
    return (start, end) if start < end else None


async def _send_part(
    body: bytes, wanted: tuple[int, int] | tuple[()], own: Headers, extra: Headers, method: str, send: Send
) -> int:
    if not wanted:
        return await _send_unsatisfiable(len(body), extra, send)
    start, end = wanted
    headers = [pair for pair in own if pair[0] != b"content-length"]
    headers.append((b"content-range", f"bytes {start}-{end - 1}/{len(body)}".encode()))
    headers.append((b"content-length", str(end - start).encode()))
    await _start(send, 206, headers + extra)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body[start:end]})
    return 206


async def _send_unsatisfiable(size: int, extra: Headers, send: Send) -> int:
    headers = [(b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0"), *extra]
    await _start(send, 416, headers)
    await _end(send)
    return 416


def _existing_path(blobs: BlobStore, sha256: str) -> str | None:
    path = blobs.local_path(sha256)
    return str(path) if path is not None and path.exists() else None


async def _copy(source: BinaryIO, length: int, send: Send, loop: asyncio.AbstractEventLoop, pool: Executor) -> None:
    left = length
    while left > 0:
        chunk = await loop.run_in_executor(pool, source.read, min(CHUNK_BYTES, left))
        if not chunk:
            raise EOFError("a stored blob is shorter than recorded")  # the client sees a cut body, not a short one
        left -= len(chunk)
        await _send_chunk(send, chunk, more=left > 0)


async def _send_chunk(send: Send, chunk: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


_NOT_IN_304 = frozenset({b"content-length", b"content-type", b"content-encoding", b"content-disposition"})
