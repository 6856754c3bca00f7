"""The members of virtual repositories."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.app import App
from api.http.repository_settings import visible_repository
from application.catalogue import RepositoryRow
from application.resolving import Resolved
from domain.errors import Invalid
from domain.event import Metadata
from domain.permissions import Principal
from domain.repository import Member


class MemberBody(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the API shows it. The lowest priority is asked first."""

    id: UUID
    member_repo_id: UUID
    member_repo_key: str
    member_repo_name: str
    member_repo_type: str
    priority: int
    created_at: datetime


class MembersBody(msgspec.Struct, frozen=True):
    """Those members that the caller may know of, in order."""

    members: list[MemberBody]


class NewMember(msgspec.Struct, frozen=True, kw_only=True):
    """Priority: by default after the last."""

    member_key: str
    priority: int | None = None


class RankedMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member and its place."""

    member_key: str
    priority: int


class AllMembers(msgspec.Struct, frozen=True):
    """These and no others."""

    members: list[RankedMember]


class MembersController(Controller):
    """`/api/v1/repositories/{key}/members`."""

    path = "/api/v1/repositories/{key:str}/members"
    tags = ["repositories"]

    @get(opt={"needs": "repository:read"}, sync_to_thread=True)
    def list_members(
        self, app: NamedDependency[App], principal: NamedDependency[Principal], resolved: NamedDependency[Resolved]
    ) -> MembersBody:
        """The members, in the order in which they are asked."""
        return MembersBody(_bodies(app, principal, _virtual(resolved)))

    @post(opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def add_member(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[NewMember],
    ) -> MemberBody:
        """Add a member."""
        row = _virtual(resolved)
        member = visible_repository(app, principal, data.member_key)
        priority = data.priority
        if priority is None:
            priority = max((one.priority for one in row.settings.members), default=0) + 1
        row = app.configuring.add_member(row, Member(member.id, priority), meta)
        return next(body for body in _bodies(app, principal, row) if body.member_repo_id == member.id)

    @put(opt={"needs": "repository:admin"}, sync_to_thread=True)
    def replace_members(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[AllMembers],
    ) -> MembersBody:
        """Make these the members, and no others."""
        row = _virtual(resolved)
        members = [Member(visible_repository(app, principal, one.member_key).id, one.priority) for one in data.members]
        return MembersBody(_bodies(app, principal, app.configuring.set_members(row, members, meta)))

    @delete("/{member_key:str}", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def remove_member(
        self,
        app: NamedDependency[App],
        principal: NamedDependency[Principal],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        member_key: FromPath[str],
    ) -> None:
        """Take a member out; it stays a repository."""
        member = visible_repository(app, principal, member_key)
        app.configuring.remove_member(_virtual(resolved), member.id, meta)


def _virtual(resolved: Resolved) -> RepositoryRow:
    if resolved.repository.kind != "virtual":
        raise Invalid(f"'{resolved.repository.key}' is not a virtual repository")
    return resolved.repository


def _bodies(app: App, principal: Principal, row: RepositoryRow) -> list[MemberBody]:
    bodies = []
    for member in sorted(row.settings.members, key=lambda one: one.priority):
        found = app.catalogue.repository_by_id(member.repository)
        if found is None or not app.access.visible(principal, [found]):
            continue
        bodies.append(
            MemberBody(
                id=uuid5(row.id, str(member.repository)),
                member_repo_id=found.id,
                member_repo_key=found.key,
                member_repo_name=found.name,
                member_repo_type=found.kind,
                priority=member.priority,
                created_at=row.created_at,
            )
        )
    return bodies
