"""Request bodies: batched, hashed, written to disk in threads, in bounded memory. The only place that calls receive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from api.errors import Unframed
from application.ports import Spool, Spooled, SpoolWriter
from application.wire import Body, Form
from domain.errors import Invalid, TooLarge, TooSlow

Receive = Callable[[], Awaitable[dict[str, Any]]]

BATCH_BYTES = 1 << 20
MAX_TEXT_BYTES = 16 << 20
MAX_FORM_TEXT_BYTES = 4 << 20
MAX_FORM_PARTS = 1_000
DRAIN_BYTES = 1 << 20
DRAIN_SECONDS = 5.0


class ClientGone(Exception):
    """The body ended before it was complete: the client went away, or its chunks are none. Nobody may be left to
    answer.
    """


class Patience(msgspec.Struct, frozen=True):
    """How slow a sender may be.

    idle_seconds: without a byte, and the head start that a body has. bytes_per_second: on average, after that; or one
    byte a minute would hold a request, and what it has reserved, for ever.
    """

    idle_seconds: float = 60.0
    bytes_per_second: int = 1024


class Received:
    """What became of a body. `release` removes what nobody kept."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.upload: Spooled | None = None
        self.form: Form | None = None
        self.text = b""

    def release(self) -> None:
        """Remove spooled files that were not kept."""
        if self.upload is not None:
            self._spool.discard(self.upload)
        if self.form is not None:
            for _, _, spooled in self.form.files:
                self._spool.discard(spooled)


def check_framing(headers: Mapping[str, str]) -> None:
    """Refuse a request whose end could be seen in two places; raises Unframed."""
    encoding = headers.get("transfer-encoding")
    if encoding is None:
        return
    if encoding.strip().lower() != "chunked":
        raise Unframed(f"transfer-encoding {encoding[:40]!r} is not supported")
    if "content-length" in headers:
        raise Unframed("content-length and transfer-encoding together are ambiguous")


def announced_length(headers: Mapping[str, str], limit: int | None) -> int | None:
    """The Content-Length; raises Unframed for framing that could be read in two ways, TooLarge over the limit."""
    check_framing(headers)
    length = headers.get("content-length")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit()):
        raise Unframed("content-length is not a number")
    size = int(length[:19])
    if limit is not None and size > limit:
        raise TooLarge(f"the body has {size} bytes; the limit is {limit}")
    return size


async def receive_body(
    body: Body, headers: Mapping[str, str], receive: Receive, spool: Spool, pool: Executor, max_bytes: int | None
) -> Received:
    """Take a body as the route wants it.

    Raises TooLarge, Invalid, Unavailable, TooSlow; ClientGone when it breaks off. Nothing is left on disk then.
    """
    received = Received(spool)
    if body.kind == "none":
        return received
    limits = [limit for limit in (body.max_bytes, max_bytes) if limit is not None]
    limit = min(limits, default=None)
    length = announced_length(headers, limit)
    batches = _Batches(receive, length)
    if body.kind == "text":
        received.text = await _text(batches, limit)
    elif body.kind == "bytes" or (body.kind == "either" and not _is_form(headers)):
        received.upload = await _file(batches, spool, pool, body.algorithms, limit)
    else:
        received.form = await _form(batches, headers, spool, pool, body.algorithms, limit)
    return received


class Intake:
    """The messages of one request, remembering whether its body has come to an end.

    After the end the server has nothing more to say until the client goes away, which asking again would wait for.
    patience: None waits for ever.
    """

    def __init__(self, receive: Receive, patience: Patience | None = None) -> None:
        self._receive = receive
        self._patience = patience
        self._asked_first = 0.0
        self._size = 0
        self.complete = False

    async def __call__(self) -> dict[str, Any]:
        """The next message; raises TooSlow when the body does not come in time."""
        if self._patience is None or self.complete:
            message = await self._receive()
        else:
            message = await self._in_time(self._patience)
        self._size += len(message.get("body", b""))
        self.complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def _in_time(self, patience: Patience) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        self._asked_first = self._asked_first or now
        due = self._asked_first + patience.idle_seconds + self._size / patience.bytes_per_second
        try:
            async with asyncio.timeout_at(min(due, now + patience.idle_seconds)):
                return await self._receive()
        except TimeoutError:
            raise TooSlow(f"the body came too slowly: {self._size} bytes, and then none in time") from None


async def drain(receive: Intake) -> None:
    """Read and drop a little of a body that was refused, so that the client gets to see the answer."""
    if receive.complete:
        return
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


class _Batches:
    """Messages gathered to pieces of about BATCH_BYTES; None after the last."""

    def __init__(self, receive: Receive, length: int | None) -> None:
        self._receive = receive
        self._length = length
        self._complete = False
        self._size = 0

    async def next(self) -> list[bytes] | None:
        """The next piece, as the list of its chunks."""
        if self._complete:
            return None
        chunks: list[bytes] = []
        size = 0
        while size < BATCH_BYTES and not self._complete:
            chunk = await self._message()
            if chunk:
                chunks.append(chunk)
                size += len(chunk)
        return chunks

    async def _message(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self._complete = not message.get("more_body", False)
        if self._complete and self._length is not None and self._size < self._length:
            raise ClientGone
        return chunk


async def _text(batches: _Batches, limit: int | None) -> bytes:
    limit = min(MAX_TEXT_BYTES, limit) if limit is not None else MAX_TEXT_BYTES
    parts: list[bytes] = []
    size = 0
    while (chunks := await batches.next()) is not None:
        size += sum(len(chunk) for chunk in chunks)
        if size > limit:
            raise TooLarge(f"the body is larger than the limit of {limit} bytes")
        parts.extend(chunks)
    return b"".join(parts)


async def _file(
    batches: _Batches, spool: Spool, pool: Executor, algorithms: tuple[str, ...], limit: int | None
) -> Spooled:
    loop = asyncio.get_running_loop()
    first = await batches.next()
    rest = await batches.next()
    if rest is None:  # most bodies: one visit to a thread for hashing, writing and flushing
        return await loop.run_in_executor(pool, _write_whole, spool, algorithms, limit, first or [])
    writer = spool.create(algorithms, limit)
    with writer:
        await loop.run_in_executor(pool, _write, writer, first)
        while rest is not None:
            await loop.run_in_executor(pool, _write, writer, rest)
            rest = await batches.next()
        return await loop.run_in_executor(pool, writer.finish)


def _write_whole(spool: Spool, algorithms: tuple[str, ...], limit: int | None, chunks: list[bytes]) -> Spooled:
    with spool.create(algorithms, limit) as writer:
        _write(writer, chunks)
        return writer.finish()


def _write(writer: SpoolWriter, chunks: list[bytes] | None) -> None:
    for chunk in chunks or ():
        writer.write(chunk)


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _form(
    batches: _Batches,
    headers: Mapping[str, str],
    spool: Spool,
    pool: Executor,
    algorithms: tuple[str, ...],
    limit: int | None,
) -> Form:
    media_type, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data" or not boundary:
        raise Invalid("expected a multipart/form-data body with a boundary")
    reader = _FormReader(boundary, spool, algorithms, limit)
    loop = asyncio.get_running_loop()
    try:
        while (chunks := await batches.next()) is not None:
            await loop.run_in_executor(pool, reader.feed, chunks)
        return await loop.run_in_executor(pool, reader.finish)
    except BaseException:
        await asyncio.shield(loop.run_in_executor(pool, reader.abandon))
        raise


class _FormReader:
    """A multipart body as it comes: text fields in memory within a cap, files to the spool."""

    def __init__(self, boundary: str, spool: Spool, algorithms: tuple[str, ...], limit: int | None) -> None:
        self._parser = PushMultipartParser(
            boundary, max_segment_count=MAX_FORM_PARTS, max_segment_size=limit if limit is not None else float("inf")
        )
        self._spool = spool
        self._algorithms = algorithms
        self._limit = limit
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[str, str, Spooled]] = []
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._text_left = MAX_FORM_TEXT_BYTES
        self._writer: SpoolWriter | None = None
        self._open = ExitStack()

    def feed(self, chunks: list[bytes]) -> None:
        """Take the next bytes."""
        try:
            for chunk in chunks:
                for part in self._parser.parse(chunk):
                    self._take(part)
        except MultipartError as error:
            raise Invalid(f"malformed multipart body: {error}") from None
        except UnicodeDecodeError:
            raise Invalid("malformed multipart body: a field is not UTF-8") from None

    def finish(self) -> Form:
        """The whole form; raises Invalid when the body ended early."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise Invalid(f"incomplete multipart body: {error}") from None
        return Form(fields=tuple(self._fields), files=tuple(self._files))

    def abandon(self) -> None:
        """Remove everything that was written."""
        self._open.close()
        for _, _, spooled in self._files:
            self._spool.discard(spooled)

    def _take(self, part: MultipartSegment | bytearray | None) -> None:
        if isinstance(part, MultipartSegment):
            self._segment = part
            self._text = bytearray()
            if part.filename is not None:
                self._writer = self._open.enter_context(self._spool.create(self._algorithms, self._limit))
        elif part is None:
            self._end_segment()
        elif self._writer is not None:
            self._writer.write(part)
        else:
            self._text_left -= len(part)
            if self._text_left < 0:
                raise TooLarge(f"the text fields of the form exceed {MAX_FORM_TEXT_BYTES} bytes")
            self._text += part

    def _end_segment(self) -> None:
        segment = self._segment
        if segment is None:
            return
        if self._writer is not None:
            self._files.append((segment.name, segment.filename or "", self._writer.finish()))
            self._open.pop_all().close()
            self._writer = None
        else:
            self._fields.append((segment.name, self._text.decode("utf-8")))
        self._segment = None
