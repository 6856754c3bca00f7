"""What a client must know before it signs in: whether the instance is set up, and how it is configured."""

from __future__ import annotations

import msgspec
from litestar import Controller, get

from api.http.given import GivenApp, GivenPrincipal
from application.identity.directory import GrantFilter


class SetupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the first administrator still has to choose a password."""

    setup_required: bool
    setup_password_hint: str | msgspec.UnsetType = msgspec.UNSET


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True):
    """By what ways people can sign in."""

    oidc_enabled: bool = False
    ldap_enabled: bool = False
    sso_enabled: bool = False
    local_login_enabled: bool = True
    admin_break_glass_enabled: bool = True


class PermissionsConfig(msgspec.Struct, frozen=True):
    """Whether there are permissions at all; they are always enforced."""

    rules_exist: bool
    enforcement_enabled: bool = True


class SystemConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that clients adapt to; the last three for administrators only."""

    max_upload_size_bytes: int
    demo_mode: bool
    guest_access_enabled: bool
    auth: AuthConfig
    search_engine: str | msgspec.UnsetType = msgspec.UNSET
    storage_backend: str | msgspec.UnsetType = msgspec.UNSET
    permissions: PermissionsConfig | msgspec.UnsetType = msgspec.UNSET


class SetupController(Controller):
    """`/api/v1/setup/status` and `/api/v1/system/config`."""

    path = "/api/v1"
    tags = ["setup"]

    @get("/setup/status", opt={"needs": "anonymous", "credential": "ignored"}, sync_to_thread=True)
    def status(self, app: GivenApp) -> SetupStatus:
        """Whether the instance waits for its administrator."""
        required = app.setup_lock.locked
        hint = app.settings.setup_password_hint
        return SetupStatus(setup_required=required, setup_password_hint=hint if required and hint else msgspec.UNSET)

    @get("/system/config", opt={"needs": "anonymous"}, sync_to_thread=True)
    def config(self, app: GivenApp, principal: GivenPrincipal) -> SystemConfig:
        """How this instance is configured."""
        settings = app.settings
        config = SystemConfig(
            max_upload_size_bytes=settings.max_upload_bytes,
            demo_mode=settings.demo_mode,
            guest_access_enabled=settings.guest_access,
            auth=AuthConfig(),
        )
        if not principal.is_admin:
            return config
        return msgspec.structs.replace(
            config,
            search_engine="database" if settings.meilisearch_url is None else "meilisearch",
            storage_backend=settings.storage_backend,
            permissions=PermissionsConfig(app.directory.grants(GrantFilter(), limit=1)[1] > 0),
        )
