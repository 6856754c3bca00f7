"""How the management API shows artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from api.app import App
from application.catalogue import ArtifactRow

_NOTHING = b"{}"


class ArtifactBody(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact. metadata: the format's own facts. created_at: of this revision. version_label: what a revision can
    be asked for by, besides its number. analyzable: it is a full record. download_count: until today, at every
    position. quarantine_status: `not_quarantined` where no quarantine applies.
    """

    id: UUID
    repository_key: str
    path: str
    name: str
    version: str | None
    size_bytes: int
    checksum_sha256: str
    content_type: str
    download_count: int
    created_at: datetime
    uploaded_by: UUID | None
    uploaded_by_username: str | None
    metadata: msgspec.Raw | None
    analyzable: bool
    revision: int
    version_label: str | msgspec.UnsetType = msgspec.UNSET
    quarantine_status: str = "not_quarantined"


class RevisionBody(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was published at a path."""

    revision: int
    version_label: str | msgspec.UnsetType = msgspec.UNSET
    size_bytes: int
    checksum_sha256: str
    content_type: str
    uploaded_by: UUID | None
    created_at: datetime


class RevisionList(msgspec.Struct, frozen=True):
    """The revisions of a path, newest first."""

    repository_key: str
    path: str
    items: list[RevisionBody]


def bodies(app: App, key: str, rows: Sequence[ArtifactRow]) -> list[ArtifactBody]:
    """Artifacts of one repository. Metadata that is too large for an event is only in the body of a single one."""
    downloads = app.usage.downloads([row.id for row in rows])
    names = app.directory.usernames({row.published_by for row in rows if row.published_by is not None})
    return [
        ArtifactBody(
            id=row.id,
            repository_key=key,
            path=row.path,
            name=row.name or row.filename,
            version=row.version or None,
            size_bytes=row.size_bytes,
            checksum_sha256=row.sha256,
            content_type=row.media_type,
            download_count=downloads.get(row.id, 0),
            created_at=row.published_at,
            uploaded_by=row.published_by,
            uploaded_by_username=names.get(row.published_by) if row.published_by is not None else None,
            metadata=None if bytes(row.metadata) == _NOTHING else row.metadata,
            analyzable=True,
            revision=row.revision,
            version_label=row.version or msgspec.UNSET,
        )
        for row in rows
    ]


def body(app: App, key: str, row: ArtifactRow) -> ArtifactBody:
    """One artifact, with all its metadata."""
    return msgspec.structs.replace(bodies(app, key, [row])[0], metadata=metadata_of(app, row))


def metadata_of(app: App, row: ArtifactRow) -> msgspec.Raw | None:
    """The format's own facts of an artifact, wherever they are; None where the format has none."""
    if row.metadata_blob is None:
        return None if bytes(row.metadata) == _NOTHING else row.metadata
    with app.blobs.open(row.metadata_blob) as source:
        return msgspec.Raw(source.read())


def revision_list(key: str, rows: Sequence[ArtifactRow]) -> RevisionList:
    """The revisions of a path, which are in the right order."""
    items = [
        RevisionBody(
            revision=row.revision,
            version_label=row.version or msgspec.UNSET,
            size_bytes=row.size_bytes,
            checksum_sha256=row.sha256,
            content_type=row.media_type,
            uploaded_by=row.published_by,
            created_at=row.published_at,
        )
        for row in rows
    ]
    return RevisionList(key, rows[0].path, items)
