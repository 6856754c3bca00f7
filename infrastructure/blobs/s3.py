"""Blobs as objects of an S3 bucket, under the same names that they have in a directory: `ab/<sha256>`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import BinaryIO
from urllib.parse import quote

from minio import Minio
from minio.commonconfig import REPLACE, CopySource
from minio.error import S3Error
from urllib3 import BaseHTTPResponse

from application.ports import BlobInfo, Spooled
from domain.digests import Hasher
from domain.errors import DigestMismatch, NotFound, Unavailable
from infrastructure.blobs.faults import checked_prefix, checked_sha256
from infrastructure.blobs.s3_client import StoreRefuses, s3_faults
from infrastructure.blobs.s3_reader import BUFFER_BYTES, S3Reader

PART_BYTES = 8 * 1024 * 1024
MOST_PARTS = 10_000
MEDIA_TYPE = "application/octet-stream"
LONGEST_SIGNATURE_SECONDS = 604_800
"""Seven days, the limit of the signature's own format."""


class S3Blobs:
    """A bucket, or the part of one below `prefix`. The client comes from `s3_client.connect`.

    redirects: the client that `signed_url` signs with, whose endpoint is the one that the registry's own clients can
    reach; without one it gives no addresses. One part of an upload is in memory at a time: 8 MiB for objects up to
    80 GB, a ten-thousandth of larger ones.
    """

    def __init__(self, client: Minio, bucket: str, prefix: str = "", *, redirects: Minio | None = None) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._redirects = redirects

    def keep(self, spooled: Spooled) -> None:
        """Upload under the digest, verified on the way out and again by the service; the spool file is gone afterwards.

        A large object that is there is copied onto itself, which refreshes its time without moving bytes; a small one
        is simply sent again, in one request where asking first would make two. Raises DigestMismatch when the spool
        file no longer holds what was received, Unavailable when it has vanished and the blob is not stored.
        """
        key = self._key(spooled.sha256)
        if not (spooled.size_bytes > PART_BYTES and self._refresh(key, spooled.size_bytes)):
            try:
                self._upload(key, spooled)
            except FileNotFoundError:
                if not self._refresh(key, spooled.size_bytes):
                    raise Unavailable("the received bytes are no longer in the spool; send them again") from None
        with suppress(OSError):
            spooled.path.unlink()

    def open(self, sha256: str, offset: int = 0) -> BinaryIO:
        """The bytes from `offset` on. Seekable too, at the cost of one request for each move."""
        key = self._key(sha256)

        def fetch(position: int) -> BaseHTTPResponse | None:
            with s3_faults("read a blob"):
                try:
                    return self.client.get_object(self.bucket, key, offset=position)
                except S3Error as fault:
                    if fault.code == "InvalidRange":
                        return None
                    raise

        return io.BufferedReader(S3Reader(fetch, offset), BUFFER_BYTES)

    def size(self, sha256: str) -> int:
        """The size in bytes."""
        return self._stored_size(self._key(sha256))

    def exists(self, sha256: str) -> bool:
        """Whether the blob is stored."""
        try:
            self.size(sha256)
        except NotFound:
            return False
        return True

    def local_path(self, sha256: str) -> None:
        """None: the bytes are not on this machine."""
        checked_sha256(sha256)

    def signed_url(self, sha256: str, *, filename: str | None, media_type: str, expires_seconds: int) -> str | None:
        """An address that gives the bytes as a download of that name until it expires; None unless redirects are on.

        Made without asking the service, so also for a blob that is not there. expires_seconds: at most seven days.
        """
        key = self._key(sha256)
        if self._redirects is None:
            return None
        headers: dict[str, str | list[str] | tuple[str]] = {"response-content-type": media_type}
        if filename is not None:
            headers["response-content-disposition"] = attachment(filename)
        with s3_faults("sign an address"):
            return self._redirects.presigned_get_object(
                self.bucket,
                key,
                expires=timedelta(seconds=min(max(expires_seconds, 1), LONGEST_SIGNATURE_SECONDS)),
                response_headers=headers,
            )

    def delete(self, sha256: str) -> None:
        """Remove; an absent blob is no fault."""
        key = self._key(sha256)
        with suppress(NotFound), s3_faults("delete a blob"):
            self.client.remove_object(self.bucket, key)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Every stored blob whose digest starts with `prefix`, in digest order, a thousand per request."""
        checked_prefix(prefix)
        return self._walk(prefix)

    def check(self) -> None:
        """Raise Unavailable when the bucket cannot be reached with our credentials."""
        with s3_faults("be reached"):
            found = self.client.bucket_exists(self.bucket)
        if not found:
            raise StoreRefuses("be reached", "NoSuchBucket")

    def _key(self, sha256: str) -> str:
        checked_sha256(sha256)
        return f"{self.prefix}{sha256[:2]}/{sha256}"

    def _stored_size(self, key: str) -> int:
        with s3_faults("read a blob"):
            return self.client.stat_object(self.bucket, key).size or 0

    def _refresh(self, key: str, size_bytes: int) -> bool:
        """Renew the time of what is stored; False when it is absent, of another size, or the service will not copy."""
        try:
            if self._stored_size(key) != size_bytes:
                return False
        except NotFound:
            return False
        with s3_faults("refresh a blob"):
            try:
                self.client.copy_object(
                    self.bucket,
                    key,
                    CopySource(self.bucket, key),
                    metadata={"Content-Type": MEDIA_TYPE},
                    metadata_directive=REPLACE,
                )
            except S3Error:
                return False
        return True

    def _upload(self, key: str, spooled: Spooled) -> None:
        headers: dict[str, str | list[str] | tuple[str]] = {}
        if spooled.size_bytes <= PART_BYTES:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(spooled.sha256)).decode()
        with spooled.open() as file, s3_faults("store a blob"):
            self.client.put_object(
                self.bucket,
                key,
                _Verified(file, spooled),  # type: ignore[arg-type]  # put_object asks for nothing but `read`
                spooled.size_bytes,
                content_type=MEDIA_TYPE,
                metadata=headers,
                part_size=part_bytes(spooled.size_bytes),
                num_parallel_uploads=1,
            )

    def _walk(self, prefix: str) -> Iterator[BlobInfo]:
        names = f"{prefix[:2]}/{prefix}" if len(prefix) > 2 else prefix
        with s3_faults("list blobs"):
            for found in self.client.list_objects(self.bucket, prefix=self.prefix + names, recursive=True):
                sha256 = (found.object_name or "").rpartition("/")[2]
                if len(sha256) == 64 and not sha256.strip("0123456789abcdef") and found.last_modified is not None:
                    yield BlobInfo(sha256, found.size or 0, found.last_modified)


class _Verified:
    """A spool file that is hashed again while it is sent, and refuses to give its last part if the digest differs."""

    def __init__(self, file: BinaryIO, spooled: Spooled) -> None:
        self._file = file
        self._spooled = spooled
        self._hasher = Hasher()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hasher.update(data)
        if self._hasher.size_bytes >= self._spooled.size_bytes or not data:
            actual = self._hasher.digests()["sha256"]
            if actual != self._spooled.sha256:
                raise DigestMismatch("sha256", self._spooled.sha256, actual)
        return data


def part_bytes(size_bytes: int) -> int:
    """The size of one part: 8 MiB, or as many as the limit of 10,000 parts makes necessary, in whole MiB."""
    mebibyte = 1024 * 1024
    needed = -(-size_bytes // MOST_PARTS)
    return max(PART_BYTES, -(-needed // mebibyte) * mebibyte)


def attachment(filename: str) -> str:
    """A Content-Disposition value for that file name, whatever characters it holds (RFC 6266 appendix D)."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    extended = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}"
