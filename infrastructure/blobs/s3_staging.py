"""Pieces of resumable uploads as objects of a bucket, for API processes on many machines that share no file system."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID

from minio import Minio
from minio.error import S3Error
from urllib3 import BaseHTTPResponse

from application.ports import Spool, Spooled, SpoolWriter
from application.uploading.sessions import UploadLost
from domain.errors import NotFound
from infrastructure.blobs.s3 import MEDIA_TYPE, part_bytes
from infrastructure.blobs.s3_client import s3_faults
from infrastructure.blobs.s3_reader import BUFFER_BYTES, S3Reader

COPY_BYTES = 1 << 20


class S3Staging:
    """A part of a bucket, apart from that of the blobs: `<prefix>/uploads/<session>/<chunk>`.

    A chunk is received into the local spool and then put as one object, so it is replaced whole or not at all. The
    whole is assembled in the local spool: each machine needs room there for the uploads that it completes.
    """

    def __init__(self, client: Minio, bucket: str, prefix: str, spool: Spool) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/uploads/".removeprefix("/")
        self._spool = spool

    def create(self, session: UUID, total_size: int) -> None:
        """Nothing to prepare."""

    def write_chunk(self, session: UUID, chunk: int, offset: int) -> S3ChunkWriter:
        """Receive a chunk; it becomes an object when it is finished."""
        return S3ChunkWriter(self._spool.create(), partial(self._put, f"{self._folder(session)}{chunk:05d}"))

    @contextmanager
    def assembled(
        self, session: UUID, chunks: Sequence[int], size_bytes: int, algorithms: tuple[str, ...]
    ) -> Iterator[Spooled]:
        """A copy of these chunks in the spool, removed with the block unless somebody kept it."""
        with self._spool.create(algorithms) as writer:
            for chunk in chunks:
                try:
                    self._copy(f"{self._folder(session)}{chunk:05d}", writer)
                except NotFound:
                    raise UploadLost from None
            spooled = writer.finish()
        try:
            yield spooled
        finally:
            self._spool.discard(spooled)

    def discard(self, session: UUID) -> None:
        """Remove every object of the session."""
        with s3_faults("remove an upload"):
            for found in self._client.list_objects(self._bucket, prefix=self._folder(session), recursive=True):
                if found.object_name is not None:
                    self._client.remove_object(self._bucket, found.object_name)

    def stale(self, before: datetime) -> list[UUID]:
        """Sessions whose last chunk was put before that time."""
        last: dict[str, datetime] = {}
        with s3_faults("list uploads"):
            for found in self._client.list_objects(self._bucket, prefix=self._prefix, recursive=True):
                name, moment = (found.object_name or "").removeprefix(self._prefix), found.last_modified
                if moment is not None:
                    session = name.partition("/")[0]
                    last[session] = max(moment, last.get(session, moment))
        sessions = []
        for name, moment in last.items():
            with suppress(ValueError):
                if moment < before:
                    sessions.append(UUID(hex=name))
        return sessions

    def _folder(self, session: UUID) -> str:
        return f"{self._prefix}{session.hex}/"

    def _put(self, key: str, spooled: Spooled) -> None:
        with spooled.open() as file, s3_faults("store an upload"):
            self._client.put_object(
                self._bucket,
                key,
                file,
                spooled.size_bytes,
                content_type=MEDIA_TYPE,
                part_size=part_bytes(spooled.size_bytes),
                num_parallel_uploads=1,
            )

    def _copy(self, key: str, writer: SpoolWriter) -> None:
        with io.BufferedReader(S3Reader(partial(self._fetch, key)), BUFFER_BYTES) as file:
            while data := file.read(COPY_BYTES):
                writer.write(data)

    def _fetch(self, key: str, offset: int) -> BaseHTTPResponse | None:
        with s3_faults("read an upload"):
            try:
                return self._client.get_object(self._bucket, key, offset=offset)
            except S3Error as fault:
                if fault.code == "InvalidRange":
                    return None
                raise


class S3ChunkWriter:
    """A chunk on its way: in the spool first."""

    def __init__(self, writer: SpoolWriter, put: partial[None]) -> None:
        self._writer = writer
        self._put = put
        self._spooled: Spooled | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append."""
        self._writer.write(data)

    def finish(self) -> Spooled:
        """Put the object; durable when this returns. The spool file is gone afterwards."""
        self._spooled = self._writer.finish()
        self._put(self._spooled)
        return self._spooled

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.__exit__(*exc)
        if self._spooled is not None:
            with suppress(OSError):
                self._spooled.path.unlink()
