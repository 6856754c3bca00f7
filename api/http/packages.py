"""Packages: what the formats group artifacts into, over all repositories that the caller may read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.params import PathParameter, QueryParameter

from api.app import App
from api.http.given import GivenApp, GivenPrincipal
from api.http.pages import MAX_PER_PAGE, Page, page_of
from api.http.readable import Readable, as_it_was, plain_format, readable
from application.catalogue import ArtifactRow, PackageRow, VersionRow
from application.resolving import Resolved
from application.searching import PackageHit, describe
from domain.errors import NotFound
from domain.ids import package_id as named
from domain.permissions import Principal

MAX_PAGE_NUMBER = 1_000_000_000
SCANNED = 5_000


class PackageBody(msgspec.Struct, frozen=True):
    """A package. version: its `latest` tag, else the highest of its versions as the format orders them.

    size_bytes: of all its artifacts. metadata: of an artifact of that version. download_count: until today, of what is
    there today, whatever moment is looked at.
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


class PackageNotFound(NotFound):
    """No such package, or none that this caller may know of."""

    template = "package not found"

    def __init__(self) -> None:
        super().__init__()


_PackageId = Annotated[UUID, PathParameter(description="As in `id` of a package.")]
_Then = Annotated[
    str | None, QueryParameter(description="Its repository, to look at the package as it was: `libs@2026-03-03`.")
]


class PackagesController(Controller):
    """`/api/v1/packages`."""

    path = "/api/v1/packages"
    tags = ["packages"]

    @get(opt={"needs": "anonymous"}, sync_to_thread=True)
    def list_packages(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        page: Annotated[int, QueryParameter(description="From 1.")] = 1,
        per_page: Annotated[int, QueryParameter(description=f"1 to {MAX_PER_PAGE}.")] = 24,
        repository_key: Annotated[
            str | None, QueryParameter(description="Only of this repository; also as it was: `libs@2026-03-03`.")
        ] = None,
        format_key: Annotated[str | None, QueryParameter(name="format", description="A format's key.")] = None,
        search: Annotated[str | None, QueryParameter(description="Part of the name, in any case.")] = None,
        q: Annotated[str | None, QueryParameter(description="Same as `search`.")] = None,
    ) -> Page[PackageBody]:
        """Packages by name."""
        page, per_page = max(1, min(page, MAX_PAGE_NUMBER)), max(1, min(per_page, MAX_PER_PAGE))
        text, offset = search or q or "", (page - 1) * per_page
        then = as_it_was(app, principal, repository_key)
        if then is not None:
            shown, total = _packages_then(app, then, text, format_key, per_page, offset)
            return page_of(shown, page, per_page, total)
        may = readable(app, principal)
        hits, total = app.shelves.packages(
            text, may.only(format_key=format_key, key=repository_key), limit=per_page, offset=offset
        )
        return page_of(_bodies(app, hits, may), page, per_page, total)

    @get("/{package_id:uuid}", opt={"needs": "anonymous"}, sync_to_thread=True)
    def package(
        self, app: GivenApp, principal: GivenPrincipal, package_id: _PackageId, repository_key: _Then = None
    ) -> PackageBody:
        """One package."""
        then = as_it_was(app, principal, repository_key)
        if then is not None:
            return _body_then(app, then, _find_then(app, then, package_id))
        hit, may = _find(app, principal, package_id, repository_key)
        return _bodies(app, [hit], may)[0]

    @get("/{package_id:uuid}/versions", opt={"needs": "anonymous"}, sync_to_thread=True)
    def versions(
        self, app: GivenApp, principal: GivenPrincipal, package_id: _PackageId, repository_key: _Then = None
    ) -> VersionList:
        """All versions of a package."""
        then = as_it_was(app, principal, repository_key)
        if then is not None:
            row = _find_then(app, then, package_id)
            return VersionList(_versions(app, row.repository, row.package, then.repository.format, then.at))
        hit, may = _find(app, principal, package_id, repository_key)
        return VersionList(_versions(app, hit.repository, hit.package, may.format(hit.repository), None))


# now


def _find(app: App, principal: Principal, package_id: UUID, key: str | None) -> tuple[PackageHit, Readable]:
    """The package and what the caller may read; raises PackageNotFound also for one that they may not know of."""
    hit = app.shelves.package(package_id)
    may = readable(app, principal)
    if hit is None or hit.repository not in may.rows or (key and may.key(hit.repository) != key):
        raise PackageNotFound
    return hit, may


def _bodies(app: App, hits: list[PackageHit], may: Readable) -> list[PackageBody]:
    downloads = app.usage.of_packages([(hit.repository, hit.package) for hit in hits])
    versions = {hit.id: _latest(app, hit.repository, hit.package, may.format(hit.repository), None) for hit in hits}
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


# then


def _packages_then(
    app: App, then: Resolved, text: str, format_key: str | None, limit: int, offset: int
) -> tuple[list[PackageBody], int]:
    assert then.at is not None  # noqa: S101 - that makes it the past
    if format_key and plain_format(format_key) != plain_format(then.repository.format):
        return [], 0
    rows, total = app.past.packages(then.content, then.at, text, limit=limit, offset=offset)
    return [_body_then(app, then, row) for row in rows], total


def _find_then(app: App, then: Resolved, package_id: UUID) -> PackageRow:
    """A package by its id, which is made from its name: all that there were are looked at."""
    after = ""
    while rows := app.catalogue.packages(then.content, then.at, after=after, limit=SCANNED):
        for row in rows:
            if named(row.repository, row.package) == package_id:
                return row
        after = rows[-1].package
    raise PackageNotFound


def _body_then(app: App, then: Resolved, row: PackageRow) -> PackageBody:
    artifacts = app.catalogue.artifacts(row.repository, row.package, then.at)
    version = _latest(app, row.repository, row.package, then.repository.format, then.at)
    metadata = next((one.metadata for one in artifacts if one.version == version), None)
    newest = max(artifacts, key=lambda one: one.since, default=None)
    return PackageBody(
        id=named(row.repository, row.package),
        repository_key=then.repository.key,
        name=row.name,
        version=version,
        format=plain_format(then.repository.format),
        description=describe(bytes(newest.metadata)).description if newest else None,
        size_bytes=sum(one.size_bytes for one in artifacts),
        download_count=app.usage.of_packages([(row.repository, row.package)]).get((row.repository, row.package), 0),
        created_at=row.created_at,
        updated_at=row.updated_at,
        metadata=metadata,
    )


# both


def _versions(app: App, repository: UUID, package: str, format_key: str, at: int | None) -> list[VersionBody]:
    artifacts: dict[str, list[ArtifactRow]] = {}
    for row in app.catalogue.artifacts(repository, package, at):
        artifacts.setdefault(row.version, []).append(row)
    downloads = app.usage.of_versions(repository, package)
    return [
        VersionBody(
            row.version,
            sum(artifact.size_bytes for artifact in artifacts[row.version]),
            downloads.get(row.version, 0),
            row.created_at,
            artifacts[row.version][0].sha256,
        )
        for row in _descending(app, repository, package, format_key, at)
        if row.version in artifacts
    ]


def _descending(app: App, repository: UUID, package: str, format_key: str, at: int | None) -> list[VersionRow]:
    """The versions of a package, highest first as its format orders them."""
    rows = app.catalogue.versions(repository, package, at)
    found = app.formats.by_key(format_key)
    if found is None:
        return rows[::-1]
    return sorted(rows, key=lambda one: found.order(one.version), reverse=True)


def _latest(app: App, repository: UUID, package: str, format_key: str, at: int | None) -> str:
    tagged = app.catalogue.marks(repository, package, "tag", at).get("latest")
    if tagged is not None:
        return tagged
    versions = _descending(app, repository, package, format_key, at)
    return next((row.version for row in versions if row.yanked is None), versions[0].version if versions else "")
