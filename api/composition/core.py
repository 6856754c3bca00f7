"""What every process needs: settings, the database, the log, blobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import msgspec
from minio import Minio
from psycopg import Connection

from application.log import EventLog
from application.ports import BlobStore
from domain.errors import Invalid
from infrastructure.blobs import s3_client
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.blobs.spool import FolderSpool
from infrastructure.embedded.postgres import running_dsn
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.patience import watchful
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.writer import Writer
from infrastructure.settings import Settings, load_settings
from projections.catalogue.view import CatalogueView

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]


class Core(msgspec.Struct, frozen=True):
    """One process's connection to everything that lasts."""

    settings: Settings
    dsn: str
    pool: Pool
    connect: Connect
    writer: Writer
    log: EventLog
    catalogue: CatalogueView
    blobs: BlobStore
    spool: FolderSpool

    def close(self) -> None:
        """Write what is pending; end connections."""
        self.writer.close()
        self.log.close()
        self.pool.close()


def read_settings() -> Settings:
    """The environment's settings; raises SettingInvalid."""
    return load_settings(os.environ)


def database_url(settings: Settings) -> str:
    """The database's address: the setting's, else that of a `serve` on the same data directory; raises Invalid."""
    found = settings.database_url or running_dsn(settings.data_dir)
    if found is None:
        raise Invalid(
            f"DATABASE_URL is not set, and no 'artifact-keeper serve' runs on the data directory {settings.data_dir}"
        )
    return found


def open_core(settings: Settings, *, max_connections: int | None = None) -> Core:
    """Connect; nothing waits for the database to be there."""
    dsn = watchful(database_url(settings))
    pool = open_pool(
        dsn,
        min_size=settings.database_min_connections,
        max_size=max_connections or settings.database_max_connections,
        acquire_timeout_seconds=settings.database_acquire_timeout_seconds,
        idle_timeout_seconds=settings.database_idle_timeout_seconds,
        max_lifetime_seconds=settings.database_max_lifetime_seconds,
    )
    connect: Connect = partial(connection, pool)
    writer = Writer(dsn)
    return Core(
        settings=settings,
        dsn=dsn,
        pool=pool,
        connect=connect,
        writer=writer,
        log=EventLog(EventRecorder(pool, writer)),
        catalogue=CatalogueView(connect),
        blobs=open_blobs(settings),
        spool=FolderSpool(settings.upload_staging_dir, settings.max_upload_bytes or None),
    )


def open_blobs(settings: Settings) -> BlobStore:
    """The blob store that the settings choose."""
    if settings.storage_backend == "s3":
        if settings.s3_bucket is None:
            raise Invalid("S3_BUCKET is not set, and STORAGE_BACKEND is s3")
        client = _s3_client(settings, settings.s3_endpoint)
        redirects = None
        if settings.presigned_downloads:
            redirects = _s3_client(settings, settings.s3_public_endpoint or settings.s3_endpoint)
        return S3Blobs(client, settings.s3_bucket, settings.s3_prefix, redirects=redirects)
    return FolderBlobs(settings.storage_path)


def _s3_client(settings: Settings, endpoint: str) -> Minio:
    return s3_client.connect(
        endpoint=endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        ca_cert_path=settings.s3_ca_cert_path,
    )
