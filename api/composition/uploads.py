"""Resumable uploads, with their pieces where the blobs are."""

from __future__ import annotations

from datetime import UTC, datetime

from api.composition.core import Core
from application.depositing import Depositor
from application.services import Services
from application.uploading.sessions import UploadStaging
from application.uploading.streamed import StreamedUploads
from application.uploading.uploads import Uploads, expire_uploads
from infrastructure.blobs.s3 import S3Blobs
from infrastructure.blobs.s3_staging import S3Staging
from infrastructure.blobs.staging import FolderStaging
from infrastructure.postgres.streamed_uploads import PostgresStreamedSessions
from infrastructure.postgres.upload_sessions import PostgresUploadSessions


def compose_uploads(core: Core, services: Services) -> Uploads:
    """The commands on upload sessions."""
    return Uploads(
        PostgresUploadSessions(core.pool),
        open_staging(core),
        core.blobs,
        core.spool,
        Depositor(services),
        core.settings.max_upload_bytes or None,
    )


def compose_streamed_uploads(core: Core) -> StreamedUploads:
    """The commands on uploads of unknown length."""
    return StreamedUploads(
        PostgresStreamedSessions(core.pool), open_staging(core), core.settings.max_upload_bytes or None
    )


def remove_expired_uploads(core: Core) -> int:
    """Forget sessions whose time is over, with their bytes; gives how many."""
    return expire_uploads(PostgresUploadSessions(core.pool), open_staging(core), datetime.now(UTC))


def open_staging(core: Core) -> UploadStaging:
    """In the bucket, which processes on many machines share, or below the directory of incoming bodies."""
    if isinstance(core.blobs, S3Blobs):
        return S3Staging(core.blobs.client, core.blobs.bucket, core.blobs.prefix, core.spool)
    return FolderStaging(core.settings.upload_staging_dir / "sessions")
