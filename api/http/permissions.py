"""Permissions: who may do what to which repository, or to the system."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from api.http.accounts import checked_id
from api.http.given import GivenApp, GivenMeta
from api.http.pages import Page, clamp, page_of
from application.identity.directory import GrantFilter, GrantRow
from application.identity.grants import NewGrant
from domain.permissions import GrantNotFound


class PermissionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A permission as the API shows it."""

    id: UUID
    principal_type: str
    principal_id: UUID
    principal_name: str | None
    target_type: str
    target_id: UUID
    target_name: str | None
    actions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class SetPermission(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a creation and of a change."""

    principal_type: str
    principal_id: UUID
    target_type: str
    target_id: UUID
    actions: list[str]


class PermissionsController(Controller):
    """`/api/v1/permissions`."""

    path = "/api/v1/permissions"
    tags = ["permissions"]

    @get(opt={"needs": "admin"}, sync_to_thread=True)
    def list_permissions(
        self,
        app: GivenApp,
        principal_type: FromQuery[str | None] = None,
        principal_id: FromQuery[UUID | None] = None,
        target_type: FromQuery[str | None] = None,
        target_id: FromQuery[UUID | None] = None,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
    ) -> Page[PermissionBody]:
        """Permissions, oldest first."""
        page, per_page = clamp(page, per_page)
        wanted = GrantFilter(
            principal_type=principal_type, principal=principal_id, target_type=target_type, target=target_id
        )
        rows, total = app.directory.grants(wanted, limit=per_page, offset=(page - 1) * per_page)
        return page_of([_body(row) for row in rows], page, per_page, total)

    @post(opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def create_permission(self, app: GivenApp, meta: GivenMeta, data: JSONBody[SetPermission]) -> PermissionBody:
        """Grant actions on a target to a principal that has none on it yet."""
        return _body(app.grants.give(_new(data), meta))

    @get("/{permission_id:str}", opt={"needs": "admin"}, sync_to_thread=True)
    def get_permission(self, app: GivenApp, permission_id: FromPath[str]) -> PermissionBody:
        """One permission."""
        row = app.directory.grant(checked_id(permission_id))
        if row is None:
            raise GrantNotFound
        return _body(row)

    @put("/{permission_id:str}", opt={"needs": "admin"}, sync_to_thread=True)
    def change_permission(
        self, app: GivenApp, meta: GivenMeta, permission_id: FromPath[str], data: JSONBody[SetPermission]
    ) -> PermissionBody:
        """Make the permission this one."""
        return _body(app.grants.change(checked_id(permission_id), _new(data), meta))

    @delete("/{permission_id:str}", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def revoke_permission(self, app: GivenApp, meta: GivenMeta, permission_id: FromPath[str]) -> None:
        """Take the permission back, everywhere at once."""
        app.grants.revoke(checked_id(permission_id), meta)


def _new(data: SetPermission) -> NewGrant:
    return NewGrant(
        principal_type=data.principal_type,
        principal=data.principal_id,
        target_type=data.target_type,
        target=data.target_id,
        actions=data.actions,
    )


def _body(row: GrantRow) -> PermissionBody:
    return PermissionBody(
        id=row.id,
        principal_type=row.principal_type,
        principal_id=row.principal,
        principal_name=row.principal_name,
        target_type=row.target_type,
        target_id=row.target,
        target_name=row.target_name,
        actions=row.actions,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
