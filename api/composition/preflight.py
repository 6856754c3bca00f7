"""What the settings name is tried before processes depend on it: a wrong one stops the start, with its name."""

from __future__ import annotations

import logging
import socket

import redis

from api.composition.core import open_blobs
from api.composition.searching import open_engine
from domain.errors import Invalid, Unavailable
from infrastructure.blobs.s3_client import StoreRefuses
from infrastructure.settings import Settings
from infrastructure.signing.ed25519 import Ed25519Signer
from projections.search.engine import EngineRefuses

_log = logging.getLogger(__name__)

ANSWER_SECONDS = 3.0


def preflight(settings: Settings, *, alone: bool) -> None:
    """Raise Invalid for a setting that can never work.

    What is away for now is only warned about: every process waits for it, and works when it is back. alone: nobody
    else may listen on BIND_ADDRESS, not even another server of ours.
    """
    _try_address(settings, alone=alone)
    _try_signing_key(settings)
    _try_store(settings)
    _try_redis(settings)
    _try_engine(settings)


def _try_address(settings: Settings, *, alone: bool) -> None:
    address = settings.bind_address
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not alone:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(target)
    except OSError as fault:
        raise Invalid(f"BIND_ADDRESS must be an address to listen on, not {address}: {fault.strerror}") from None


def _try_signing_key(settings: Settings) -> None:
    if settings.log_signing_key is None:
        return
    try:
        Ed25519Signer.from_pem(settings.log_origin, settings.log_signing_key)
    except Invalid as fault:
        raise Invalid(f"AK_LOG_SIGNING_KEY cannot be used: {fault}") from None


def _try_store(settings: Settings) -> None:
    if settings.storage_backend != "s3":
        return
    store = open_blobs(settings)
    try:
        store.check()
    except StoreRefuses as fault:
        if fault.reason == "NoSuchBucket":
            raise Invalid(f"S3_BUCKET must be a bucket that exists, not {settings.s3_bucket!r}") from None
        raise Invalid(
            f"S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must open the bucket {settings.s3_bucket!r}, and S3_REGION be "
            f"its region: {settings.s3_endpoint} answers {fault.reason}"
        ) from None
    except Unavailable as fault:
        _log.warning("S3_ENDPOINT %s: %s; going on", settings.s3_endpoint, fault)


def _try_redis(settings: Settings) -> None:
    if settings.redis_url is None:
        return
    try:
        with redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
        ) as client:
            client.ping()
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as fault:
        raise Invalid(f"REDIS_URL must have a name and password that the server takes: it answers {fault}") from None
    except redis.RedisError as fault:
        _log.warning("REDIS_URL: %s; going on without the shared cache", type(fault).__name__)


def _try_engine(settings: Settings) -> None:
    engine = open_engine(settings)
    if engine is None:
        return
    try:
        engine.check()
    except EngineRefuses as fault:
        raise Invalid(f"MEILISEARCH_API_KEY must be a key of {settings.meilisearch_url}: {fault}") from None
    except Unavailable as fault:
        _log.warning("MEILISEARCH_URL %s: %s; PostgreSQL searches meanwhile", settings.meilisearch_url, fault)
