"""The connection to an S3 service: how it is made from settings, and what its refusals mean to the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
    StaticProvider,
)
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from domain.errors import Invalid, NotFound, Unavailable

DEFAULT_ENDPOINT = "https://s3.amazonaws.com"
DEFAULT_REGION = "us-east-1"

_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_CONNECTIONS = 32


class StoreRefuses(Unavailable):
    """The object store answered, and it was no. reason: the service's own word for why."""

    template = "the object store cannot {doing}: {reason}"

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(doing=doing, reason=reason)
        self.reason = reason


def connect(
    *,
    endpoint: str = DEFAULT_ENDPOINT,
    region: str = DEFAULT_REGION,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    ca_cert_path: Path | None = None,
) -> Minio:
    """A client for that service; nothing is sent yet.

    endpoint: a URL, or `host:port` which means https. Without an access key the credentials of the environment, of
    the AWS configuration file, or of the machine's role are used, in that order. ca_cert_path: a PEM file that is
    trusted instead of the public authorities. Raises Invalid for a setting that cannot be used.
    """
    url = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if access_key_id and not secret_access_key:
        raise Invalid("S3_SECRET_ACCESS_KEY is missing beside S3_ACCESS_KEY_ID")
    if ca_cert_path is not None and not ca_cert_path.is_file():
        raise Invalid("S3_CA_CERT_PATH does not name a file")
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/") or url.query or url.username:
        raise Invalid("S3_ENDPOINT must be http(s)://host[:port] without path, query or user")
    try:
        return Minio(
            url.netloc,
            secure=url.scheme == "https",
            region=region,
            credentials=_credentials(access_key_id, secret_access_key),
            http_client=_pool(ca_cert_path),
        )
    except ValueError as fault:
        raise Invalid(f"S3_ENDPOINT or S3_REGION: {fault}") from None


def _credentials(access_key_id: str | None, secret_access_key: str | None) -> Provider:
    if access_key_id and secret_access_key:
        return StaticProvider(access_key_id, secret_access_key)
    return ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider()])


def _pool(ca_cert_path: Path | None) -> urllib3.PoolManager:
    """Short waits and few repeats: a request of ours waits behind these, and reads resume by themselves."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        maxsize=_CONNECTIONS,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(ca_cert_path) if ca_cert_path else certifi.where(),
        retries=urllib3.Retry(total=2, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504]),
    )


@contextmanager
def s3_faults(doing: str) -> Iterator[None]:
    """Turn what the client raises into NotFound (no such object) or Unavailable (everything else).

    A bucket that is missing or closed to us is Unavailable too: it is our operator's fault, never the caller's.
    The messages carry the service's error code, and neither addresses nor credentials.
    """
    try:
        yield
    except S3Error as fault:
        if fault.code == "NoSuchKey":
            raise NotFound("no such blob in the object store") from None
        if fault.response.status >= 500:
            raise Unavailable(f"the object store cannot {doing}: {fault.code}") from fault
        raise StoreRefuses(doing, fault.code or "Refused") from fault
    except (MinioException, HTTPError, OSError) as fault:
        raise Unavailable(f"the object store cannot {doing}: {type(fault).__name__}") from fault
