"""The one check of management routes: every handler declares what it needs, and nothing else decides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from application.access import Access, CredentialNeeded
from application.identity.authentication import CLIENT_VIA
from application.resolving import Resolved
from domain.errors import Forbidden, PreconditionRequired
from domain.permissions import Principal

NEEDS = frozenset(
    {
        "anonymous",
        "user",
        "admin",
        "repository:read",
        "repository:write",
        "repository:delete",
        "repository:admin",
    }
)

PASSWORD_CHANGE_PATHS = ("/auth/me", "/auth/logout")


class NeedUndeclared(TypeError):
    """A route handler without `opt={"needs": …}`. The server does not start with one."""


class PasswordChangeRequired(PreconditionRequired):
    """The account must choose a new password before anything else."""

    template = "the password of this account must be changed first"
    code = "PASSWORD_CHANGE_REQUIRED"

    def __init__(self) -> None:
        super().__init__()


class PackagesOnly(Forbidden):
    """What a package client got in place of a password opens packages; or it could be made into more."""

    template = "this token is for package clients; use the password, a session or an API token here"

    def __init__(self) -> None:
        super().__init__()


class AdministratorNeeded(Forbidden):
    """Only administrators may. It is in the audit already."""

    template = "administrator access required"

    def __init__(self) -> None:
        super().__init__()


def sender(scope: Any) -> dict[str, str]:
    """Address, program and id of a request, as the audit wants to know them of what it refuses."""
    incoming = scope["incoming"]
    return {
        "client": incoming.client,
        "agent": incoming.headers.get("user-agent", ""),
        "request": scope["request_id"],
    }


def check_declared(handlers: Iterable[HTTPRouteHandler]) -> None:
    """Raise NeedUndeclared for the first handler that does not say what it needs."""
    for handler in handlers:
        if handler.opt.get("needs") not in NEEDS and not _tells_methods(handler):
            raise NeedUndeclared(f"{sorted(handler.http_methods)} {sorted(handler.paths)} declares no needs")


async def enforce(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar guard of every route."""
    if _tells_methods(handler):
        return
    needs = handler.opt.get("needs")
    if needs is None:
        raise NeedUndeclared(str(handler))
    scope: dict[str, Any] = connection.scope  # type: ignore[assignment]
    principal: Principal = scope["principal"]
    refused = scope.get("refused_credential")
    if refused is not None and handler.opt.get("credential") != "ignored":
        raise refused
    if principal.must_change_password and needs != "anonymous" and not _changes_password(connection.scope["path"]):
        raise PasswordChangeRequired
    if needs == "anonymous":
        return
    if principal.via == CLIENT_VIA:
        raise PackagesOnly
    if needs.startswith("repository:"):
        scope["resolved"] = await _require_repository(
            connection, principal, needs.partition(":")[2], past=handler.opt.get("past", False)
        )
        return
    if not principal.authenticated:
        raise CredentialNeeded
    if needs == "admin" and not principal.is_admin:
        access: Access = connection.app.state.app.access
        access.denied(principal, "admin", connection.scope["path"], None, **sender(scope))
        raise AdministratorNeeded


def _tells_methods(handler: Any) -> bool:
    """Whether it is the answer to OPTIONS that the framework makes of the methods of a path."""
    return bool(handler.http_methods == {"OPTIONS"})


async def _require_repository(
    connection: ASGIConnection[Any, Any, Any, Any], principal: Principal, action: Any, *, past: bool
) -> Resolved:
    """The repository, once the principal may do the action. past: the route only reads, whatever right it needs."""
    scope: dict[str, Any] = connection.scope  # type: ignore[assignment]
    app = connection.app.state.app
    access: Access = app.access
    key = connection.path_params["key"]
    loop = asyncio.get_running_loop()
    resolved = await loop.run_in_executor(app.pool, access.resolve, principal, key)
    if resolved is None:
        raise access.refusal(principal, key)
    access.require(principal, resolved, action, **sender(scope))
    if action != "read" and not past:
        resolved.require_present(action)
    return resolved


def _changes_password(path: str) -> bool:
    return path.endswith("/password") or any(path.endswith(tail) for tail in PASSWORD_CHANGE_PATHS)
