"""Which packages may come from upstreams, by their names."""

from __future__ import annotations

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.app import App
from api.http.repository_settings import require_name_policy, with_name_policy
from application.catalogue import RepositoryRow
from application.resolving import Resolved
from domain.event import Metadata


class ScopePolicy(msgspec.Struct, frozen=True):
    """Scopes whose packages may come; no scope at all lets everything come that no pattern of names keeps out."""

    allowed_scopes: list[str]
    allow_unscoped: bool = False


class ScopePolicyBody(msgspec.Struct, frozen=True):
    """See ScopePolicy. active: whether anything is kept out."""

    repository_key: str
    allowed_scopes: list[str]
    allow_unscoped: bool
    active: bool


class NamePoliciesController(Controller):
    """`/api/v1/repositories/{key}/npm-scope-policy`."""

    path = "/api/v1/repositories/{key:str}/npm-scope-policy"
    tags = ["repositories"]

    @get(opt={"needs": "repository:read"}, sync_to_thread=True)
    def get_scope_policy(self, app: NamedDependency[App], resolved: NamedDependency[Resolved]) -> ScopePolicyBody:
        """Which scopes may come from upstreams."""
        row = resolved.repository
        require_name_policy(app, row.format, row.kind)
        return _body(row)

    @put(opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_scope_policy(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[ScopePolicy],
    ) -> ScopePolicyBody:
        """Let packages of these scopes come from upstreams, and of no others."""
        row = resolved.repository
        given = {"npm_allowed_scopes": data.allowed_scopes, "npm_allow_unscoped": data.allow_unscoped}
        return _body(
            app.configuring.change(
                row, lambda settings: with_name_policy(app, settings, row.format, row.kind, given), meta
            )
        )


def _body(row: RepositoryRow) -> ScopePolicyBody:
    policy = row.settings.name_policy
    return ScopePolicyBody(row.key, list(policy.allowed_scopes), policy.allow_unscoped, policy.active)
