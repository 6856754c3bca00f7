"""Repositories: list, create, change, delete; what they hold, and what changed between two positions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from api.app import App
from api.http.pages import Page, paginate
from api.http.repository_settings import changed_settings, chosen_settings
from application.catalogue import RepositoryRow
from application.comparing import Difference
from application.repositories import NewRepository, RepositoryChange
from application.resolving import Resolved
from domain.errors import Forbidden, Invalid
from domain.event import Metadata
from domain.permissions import Principal, may_administer
from domain.repository import RepositoryNotFound
from domain.token import scope_allows
from domain.upstream import AuthKind

MAX_DIFFERENCES = 10_000
_KINDS = ("local", "remote", "virtual", "staging", "snapshot")


class RepositoryBody(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as the API shows it."""

    id: UUID
    key: str
    name: str
    description: str | None
    format: str
    repo_type: str
    is_public: bool
    allow_anonymous_access: bool
    promotion_only: bool
    versioning_enabled: bool
    overwrite: str
    record_access: bool
    storage_used_bytes: int
    quota_bytes: int | None
    project_id: UUID | None
    has_trusted_gpg_key: bool
    upstream_url: str | None
    upstream_auth_type: str | None
    upstream_auth_configured: bool
    curation_enabled: bool
    curation_default_action: str
    custom_user_agent: str | None
    index_upstream_url: str | None
    pypi_upstream_index_path: str | None
    publish_to: UUID | None
    shared_names: list[str]
    apt_origin: str | msgspec.UnsetType = msgspec.UNSET
    apt_label: str | msgspec.UnsetType = msgspec.UNSET
    apt_release_version: str | msgspec.UnsetType = msgspec.UNSET
    apt_description: str | msgspec.UnsetType = msgspec.UNSET
    npm_allowed_scopes: list[str] | msgspec.UnsetType = msgspec.UNSET
    npm_allow_unscoped: bool | msgspec.UnsetType = msgspec.UNSET
    npm_allowed_name_patterns: list[str] | msgspec.UnsetType = msgspec.UNSET
    snapshot_of: UUID | None
    snapshot_position: int | None
    created_at: datetime
    updated_at: datetime


class MemberRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a virtual repository to be. Priority 0 is its place in the list."""

    repo_key: str
    priority: int = 0


class CreateRepository(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a creation. snapshot_of, snapshot_at: of a snapshot, the source's key and any selector after `@`. The
    fields of an upstream: of a remote one. member_repos, publish_to (the member that takes what is published),
    shared_names (patterns of packages that remote members may add to): of a virtual one.
    """

    key: str
    name: str
    format: str | None = None
    repo_type: str = "local"
    description: str | None = None
    is_public: bool = False
    allow_anonymous_access: bool | None = None
    versioning_enabled: bool = False
    overwrite: str = "default"
    record_access: bool = False
    promotion_only: bool = False
    quota_bytes: int | None = None
    upstream_url: str | None = None
    index_upstream_url: str | None = None
    pypi_upstream_index_path: str | None = None
    upstream_auth_type: AuthKind = "none"
    upstream_username: str = ""
    upstream_password: str = ""
    custom_user_agent: str = ""
    cache_ttl_seconds: int | None = None
    member_repos: list[MemberRequest] | None = None
    publish_to: str | None = None
    shared_names: list[str] = []
    apt_origin: str = ""
    apt_label: str = ""
    apt_release_version: str = ""
    apt_description: str = ""
    npm_allowed_scopes: list[str] | None = None
    npm_allow_unscoped: bool | None = None
    npm_allowed_name_patterns: list[str] | None = None
    snapshot_of: str | None = None
    snapshot_at: str | int | None = None


class UpdateRepository(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a change; what is absent stays."""

    key: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    is_public: bool | msgspec.UnsetType = msgspec.UNSET
    allow_anonymous_access: bool | msgspec.UnsetType = msgspec.UNSET
    versioning_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    overwrite: str | msgspec.UnsetType = msgspec.UNSET
    record_access: bool | msgspec.UnsetType = msgspec.UNSET
    promotion_only: bool | msgspec.UnsetType = msgspec.UNSET
    release_repository_key: str | msgspec.UnsetType | None = msgspec.UNSET
    quota_bytes: int | msgspec.UnsetType | None = msgspec.UNSET
    index_upstream_url: str | msgspec.UnsetType = msgspec.UNSET
    pypi_upstream_index_path: str | msgspec.UnsetType = msgspec.UNSET
    custom_user_agent: str | msgspec.UnsetType = msgspec.UNSET
    publish_to: str | msgspec.UnsetType | None = msgspec.UNSET
    shared_names: list[str] | msgspec.UnsetType = msgspec.UNSET
    apt_origin: str | msgspec.UnsetType = msgspec.UNSET
    apt_label: str | msgspec.UnsetType = msgspec.UNSET
    apt_release_version: str | msgspec.UnsetType = msgspec.UNSET
    apt_description: str | msgspec.UnsetType = msgspec.UNSET
    npm_allowed_scopes: list[str] | msgspec.UnsetType = msgspec.UNSET
    npm_allow_unscoped: bool | msgspec.UnsetType = msgspec.UNSET
    npm_allowed_name_patterns: list[str] | msgspec.UnsetType = msgspec.UNSET


class StorageBody(msgspec.Struct, frozen=True):
    """How much a repository holds. Logical counts every artifact, physical every distinct blob, unique those that no
    other repository holds.
    """

    repository_key: str
    logical_bytes: int
    physical_bytes: int
    unique_bytes: int
    shared_bytes: int
    dedup_ratio: float
    blob_count: int
    dedup_scope: str
    computed_at: datetime | None


class DifferenceBody(msgspec.Struct, frozen=True, rename={"from_position": "from", "to_position": "to"}):
    """What changed between two positions, appeared, changed and vanished apart."""

    repository_key: str
    from_position: int
    to_position: int
    appeared: list[Difference]
    changed: list[Difference]
    vanished: list[Difference]
    truncated: bool


class RepositoriesController(Controller):
    """`/api/v1/repositories`."""

    path = "/api/v1/repositories"
    tags = ["repositories"]

    @get(opt={"needs": "anonymous"}, sync_to_thread=True)
    def list_repositories(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
        format: FromQuery[str | None] = None,  # noqa: A002 - the parameter's public name
        type_: Annotated[str | None, QueryParameter(name="type")] = None,
        repo_type: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
    ) -> Page[RepositoryBody]:
        """The repositories that the caller may see."""
        kind = type_ or repo_type
        rows = [
            row
            for row in app.access.visible(principal, app.catalogue.repositories())
            if (format is None or row.format == _plain(format))
            and (kind is None or row.kind == kind)
            and (q is None or q.lower() in row.key.lower() or q.lower() in row.name.lower())
        ]
        found = paginate(rows, page, per_page)
        used = app.storage.used_bytes([row.id for row in found.items])
        return Page([_body(row, used.get(row.id, 0)) for row in found.items], found.pagination)

    @post(opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def create_repository(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        data: JSONBody[CreateRepository],
    ) -> RepositoryBody:
        """Create a repository."""
        if not may_administer(principal):
            raise Forbidden("creating repositories needs an administrator, or the system permission 'admin'")
        source, position, format_key = None, None, data.format
        if data.repo_type == "snapshot":
            resolved = self._source(app, principal, data)
            source, position, format_key = resolved.content, resolved.at, resolved.repository.format
        if data.repo_type not in _KINDS:
            raise Invalid(f"repo_type {data.repo_type!r} is not one of {', '.join(_KINDS)}")
        identifier = uuid4()
        key = app.formats.checked_key(_plain(format_key or ""))
        new = NewRepository(
            key=data.key,
            name=data.name,
            description=data.description,
            format=key,
            kind=data.repo_type,  # type: ignore[arg-type]
            public=data.is_public if data.allow_anonymous_access is None else data.allow_anonymous_access,
            settings=chosen_settings(app, principal, identifier, key, data),
            source=source,
            source_position=position,
        )
        return _body(app.repositories.create(new, meta, identifier), 0)

    @get("/{key:str}", opt={"needs": "repository:read"}, sync_to_thread=True)
    def get_repository(self, app: NamedDependency[App], resolved: NamedDependency[Resolved]) -> RepositoryBody:
        """One repository."""
        row = resolved.repository
        return _body(row, app.storage.used_bytes([row.id]).get(row.id, 0))

    @patch("/{key:str}", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def update_repository(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[UpdateRepository],
    ) -> RepositoryBody:
        """Change a repository; what the body does not name stays."""
        row = resolved.repository
        settings = changed_settings(app, principal, row, data)
        public = data.is_public if data.allow_anonymous_access is msgspec.UNSET else data.allow_anonymous_access
        change = RepositoryChange(
            key=data.key, name=data.name, description=data.description, public=public, settings=settings
        )
        row = app.repositories.update(row, change, meta)
        return _body(row, app.storage.used_bytes([row.id]).get(row.id, 0))

    @delete("/{key:str}", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def delete_repository(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
    ) -> None:
        """Delete a repository with all its content; what it was can still be read `@` an earlier position."""
        if not scope_allows(principal.scopes, "delete:repositories"):
            raise Forbidden("this token lacks the scope delete:repositories")
        app.repositories.delete(resolved.repository, meta)

    @get("/{key:str}/storage", opt={"needs": "repository:read"}, sync_to_thread=True)
    def storage(self, app: NamedDependency[App], resolved: NamedDependency[Resolved]) -> StorageBody:
        """How much the repository holds, and how much of it is shared."""
        usage = app.storage.usage(resolved.content)
        return StorageBody(
            repository_key=resolved.repository.key,
            logical_bytes=usage.logical_bytes,
            physical_bytes=usage.physical_bytes,
            unique_bytes=usage.unique_bytes,
            shared_bytes=usage.physical_bytes - usage.unique_bytes,
            dedup_ratio=usage.logical_bytes / usage.physical_bytes if usage.physical_bytes else 1.0,
            blob_count=usage.blob_count,
            dedup_scope="instance",
            computed_at=usage.computed_at,
        )

    @get("/{key:str}/diff", opt={"needs": "repository:read"}, sync_to_thread=True)
    def diff(
        self,
        app: NamedDependency[App],
        resolved: NamedDependency[Resolved],
        from_: Annotated[str, QueryParameter(name="from")],
        to: FromQuery[str | None] = None,
        limit: FromQuery[int] = 1_000,
    ) -> DifferenceBody:
        """What appeared, changed and vanished between two positions, times or named checkpoints."""
        earlier = app.resolver.position(from_)
        later = app.resolver.position(to) if to is not None else (resolved.at or app.log.head())
        if earlier > later:
            raise Invalid(f"'from' (position {earlier}) is later than 'to' (position {later})")
        limit = max(1, min(limit, MAX_DIFFERENCES))
        found = app.comparison.differences(resolved.content, earlier, later, limit=limit + 1)
        shown = found[:limit]
        return DifferenceBody(
            resolved.repository.key,
            earlier,
            later,
            [item for item in shown if item.change == "appeared"],
            [item for item in shown if item.change == "changed"],
            [item for item in shown if item.change == "vanished"],
            truncated=len(found) > limit,
        )

    @staticmethod
    def _source(app: App, principal: Principal, data: JSONBody[CreateRepository]) -> Resolved:
        if data.snapshot_of is None:
            raise Invalid("a snapshot names its source in 'snapshot_of' and may name a time in 'snapshot_at'")
        when = data.snapshot_at if data.snapshot_at is not None else app.log.head()
        resolved = app.access.resolve(principal, f"{data.snapshot_of}@{when}")
        if resolved is None or not app.access.allows(principal, resolved, "read"):
            raise RepositoryNotFound(data.snapshot_of)
        return resolved


def _plain(key: str) -> str:
    """Format keys with and without underscores are the same in requests."""
    return key.strip().lower().replace("_", "")


def _body(row: RepositoryRow, used_bytes: int) -> RepositoryBody:
    upstream, names = row.settings.upstream, row.settings.name_policy
    return RepositoryBody(
        id=row.id,
        key=row.key,
        name=row.name,
        description=row.description,
        format=row.format,
        repo_type=row.kind,
        is_public=row.public,
        allow_anonymous_access=row.public,
        promotion_only=row.settings.promotion_only,
        versioning_enabled=row.settings.versioning_enabled,
        overwrite=row.settings.overwrite,
        record_access=row.settings.record_access,
        storage_used_bytes=used_bytes,
        quota_bytes=row.settings.quota_bytes,
        project_id=None,
        has_trusted_gpg_key=False,
        upstream_url=upstream.url if upstream else None,
        upstream_auth_type=upstream.auth if upstream else None,
        upstream_auth_configured=upstream is not None and upstream.auth != "none",
        curation_enabled=False,
        curation_default_action="allow",
        custom_user_agent=(upstream.user_agent or None) if upstream else None,
        index_upstream_url=(upstream.index_url or None) if upstream else None,
        pypi_upstream_index_path=(upstream.index_path or None) if upstream else None,
        publish_to=row.settings.publish_to,
        shared_names=list(row.settings.shared_names),
        apt_origin=row.settings.apt_origin or msgspec.UNSET,
        apt_label=row.settings.apt_label or msgspec.UNSET,
        apt_release_version=row.settings.apt_release_version or msgspec.UNSET,
        apt_description=row.settings.apt_description or msgspec.UNSET,
        npm_allowed_scopes=list(names.allowed_scopes) if names.active else msgspec.UNSET,
        npm_allow_unscoped=names.allow_unscoped if names.active else msgspec.UNSET,
        npm_allowed_name_patterns=list(names.allowed_patterns) if names.active else msgspec.UNSET,
        snapshot_of=row.source,
        snapshot_position=row.source_position,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
