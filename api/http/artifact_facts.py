"""Artifacts by their ids: what they are, what their format knows of them, and how often they were downloaded."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from api.app import App
from api.http.artifact_bodies import ArtifactBody, body, metadata_of
from api.http.given import GivenApp, GivenPrincipal
from api.http.readable import plain_format
from application.catalogue import ArtifactRow, RepositoryRow
from application.resolving import Resolved
from domain.artifact import ArtifactNotFound
from domain.permissions import Principal


class MetadataBody(msgspec.Struct, frozen=True):
    """What the format read in an artifact, and what people said of it: properties by name."""

    artifact_id: UUID
    format: str
    metadata: msgspec.Raw
    properties: dict[str, tuple[str, ...]]


class StatsBody(msgspec.Struct, frozen=True):
    """Downloads of an artifact. Times are a second or so late."""

    artifact_id: UUID
    download_count: int
    first_downloaded: datetime | None
    last_downloaded: datetime | None


class ArtifactFactsController(Controller):
    """`/api/v1/artifacts/{id}`."""

    path = "/api/v1/artifacts/{artifact_id:uuid}"
    tags = ["artifacts"]

    @get(opt={"needs": "anonymous"}, sync_to_thread=True)
    def artifact(self, app: GivenApp, principal: GivenPrincipal, artifact_id: FromPath[UUID]) -> ArtifactBody:
        """One artifact."""
        row, repository = find_artifact(app, principal, artifact_id)
        return body(app, repository.key, row)

    @get("/metadata", opt={"needs": "anonymous"}, sync_to_thread=True)
    def metadata(self, app: GivenApp, principal: GivenPrincipal, artifact_id: FromPath[UUID]) -> MetadataBody:
        """What is known of an artifact's content, and its properties."""
        row, repository = find_artifact(app, principal, artifact_id)
        known = metadata_of(app, row) or msgspec.Raw(b"{}")
        return MetadataBody(row.id, plain_format(repository.format), known, row.properties)

    @get("/stats", opt={"needs": "anonymous"}, sync_to_thread=True)
    def stats(self, app: GivenApp, principal: GivenPrincipal, artifact_id: FromPath[UUID]) -> StatsBody:
        """How often an artifact was downloaded."""
        row, _ = find_artifact(app, principal, artifact_id)
        found = app.usage.stats(row.id)
        return StatsBody(row.id, found.count, found.first_at, found.last_at)


def find_artifact(app: App, principal: Principal, artifact: UUID) -> tuple[ArtifactRow, RepositoryRow]:
    """The artifact and its repository; ArtifactNotFound also for one that the caller may not know of."""
    row = app.catalogue.artifact_by_id(artifact)
    repository = app.catalogue.repository_by_id(row.repository) if row is not None else None
    if row is None or repository is None:
        raise ArtifactNotFound(str(artifact))
    if not app.access.allows(principal, Resolved(repository, repository.id, None), "read"):
        raise ArtifactNotFound(str(artifact))
    return row, repository
