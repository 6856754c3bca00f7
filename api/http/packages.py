"""Packages: what the formats group artifacts into, over all repositories that the caller may read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from api.app import App
from api.http.given import GivenApp, GivenPrincipal
from api.http.pages import MAX_PER_PAGE, Page, page_of
from api.http.readable import Readable, readable
from application.catalogue import ArtifactRow, VersionRow
from application.searching import PackageHit
from domain.errors import NotFound
from domain.permissions import Principal

MAX_PAGE_NUMBER = 1_000_000_000


class PackageBody(msgspec.Struct, frozen=True):
    """A package. version: its `latest` tag, else the highest of its versions as the format orders them.

    size_bytes: of all its artifacts. metadata: of an artifact of that version.
    """

    id: UUID
    repository_key: str
    name: str
    version: str
    format: str
    description: str | None
    size_bytes: int
    download_count: int
    created_at: datetime
    updated_at: datetime
    metadata: msgspec.Raw | None


class VersionBody(msgspec.Struct, frozen=True):
    """A version. checksum_sha256: of its first artifact by path; size_bytes: of all."""

    version: str
    size_bytes: int
    download_count: int
    created_at: datetime
    checksum_sha256: str


class VersionList(msgspec.Struct, frozen=True):
    """The versions of a package, highest first."""

    versions: list[VersionBody]


class PackagesController(Controller):
    """`/api/v1/packages`."""

    path = "/api/v1/packages"
    tags = ["packages"]

    @get(opt={"needs": "anonymous"}, sync_to_thread=True)
    def list_packages(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 24,
        repository_key: FromQuery[str | None] = None,
        format_key: Annotated[str | None, QueryParameter(name="format")] = None,
        search: Annotated[str | None, QueryParameter(description="Part of the name, in any case.")] = None,
        q: Annotated[str | None, QueryParameter(description="Same as `search`.")] = None,
    ) -> Page[PackageBody]:
        """Packages by name."""
        may = readable(app, principal)
        page, per_page = max(1, min(page, MAX_PAGE_NUMBER)), max(1, min(per_page, MAX_PER_PAGE))
        hits, total = app.shelves.packages(
            search or q or "",
            may.only(format_key=format_key, key=repository_key),
            limit=per_page,
            offset=(page - 1) * per_page,
        )
        return page_of(_bodies(app, hits, may), page, per_page, total)

    @get("/{package_id:uuid}", opt={"needs": "anonymous"}, sync_to_thread=True)
    def package(self, app: GivenApp, principal: GivenPrincipal, package_id: FromPath[UUID]) -> PackageBody:
        """One package."""
        hit, may = _find(app, principal, package_id)
        return _bodies(app, [hit], may)[0]

    @get("/{package_id:uuid}/versions", opt={"needs": "anonymous"}, sync_to_thread=True)
    def versions(self, app: GivenApp, principal: GivenPrincipal, package_id: FromPath[UUID]) -> VersionList:
        """All versions of a package."""
        hit, may = _find(app, principal, package_id)
        artifacts: dict[str, list[ArtifactRow]] = {}
        for row in app.catalogue.artifacts(hit.repository, hit.package):
            artifacts.setdefault(row.version, []).append(row)
        downloads = app.usage.of_versions(hit.repository, hit.package)
        return VersionList(
            [
                VersionBody(
                    row.version,
                    sum(artifact.size_bytes for artifact in artifacts[row.version]),
                    downloads.get(row.version, 0),
                    row.created_at,
                    artifacts[row.version][0].sha256,
                )
                for row in _descending(app, hit, may)
                if row.version in artifacts
            ]
        )


def _find(app: App, principal: Principal, package_id: UUID) -> tuple[PackageHit, Readable]:
    """The package and what the caller may read; NotFound also for a package that they may not know of."""
    hit = app.shelves.package(package_id)
    may = readable(app, principal)
    if hit is None or hit.repository not in may.rows:
        raise NotFound("package not found")
    return hit, may


def _descending(app: App, hit: PackageHit, may: Readable) -> list[VersionRow]:
    """The versions of a package, highest first as its format orders them."""
    rows = app.catalogue.versions(hit.repository, hit.package)
    row = may.rows.get(hit.repository)
    found = app.formats.by_key(row.format) if row is not None else None
    if found is None:
        return rows[::-1]
    return sorted(rows, key=lambda one: found.order(one.version), reverse=True)


def _latest(app: App, hit: PackageHit, may: Readable) -> str:
    tagged = app.catalogue.marks(hit.repository, hit.package, "tag").get("latest")
    if tagged is not None:
        return tagged
    versions = _descending(app, hit, may)
    return next((row.version for row in versions if row.yanked is None), versions[0].version if versions else "")


def _bodies(app: App, hits: list[PackageHit], may: Readable) -> list[PackageBody]:
    downloads = app.usage.of_packages([(hit.repository, hit.package) for hit in hits])
    versions = {hit.id: _latest(app, hit, may) for hit in hits}
    metadata = app.shelves.metadata([(hit.repository, hit.package, versions[hit.id]) for hit in hits])
    return [
        PackageBody(
            id=hit.id,
            repository_key=may.key(hit.repository),
            name=hit.name,
            version=versions[hit.id],
            format=may.format(hit.repository),
            description=hit.description,
            size_bytes=hit.size_bytes,
            download_count=downloads.get((hit.repository, hit.package), 0),
            created_at=hit.created_at,
            updated_at=hit.updated_at,
            metadata=metadata.get((hit.repository, hit.package, versions[hit.id])),
        )
        for hit in hits
    ]
