"""What remote repositories stand in for, and how it is reached."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from api.app import App
from application.configuring import Credential
from application.resolving import Resolved
from domain.errors import Invalid
from domain.event import Metadata
from domain.upstream import AgeGate, AgeMode, AuthKind, Egress, EgressMode, RoutingRule, Upstream, checked_rules
from domain.upstream import checked_ttl as _checked_ttl

DEFAULT_TTL_SECONDS = 86_400
MAX_AGE_DAYS = 3650


class CacheTtl(msgspec.Struct, frozen=True):
    """How long a changing document is good."""

    cache_ttl_seconds: int


class CacheTtlBody(msgspec.Struct, frozen=True):
    """See CacheTtl."""

    repository_key: str
    cache_ttl_seconds: int


class Invalidated(msgspec.Struct, frozen=True):
    """How much will be asked of the upstream again."""

    repository_key: str
    path: str
    invalidated: int


class Rules(msgspec.Struct, frozen=True):
    """Applied to the path below the upstream; the first that matches wins."""

    rules: list[RoutingRule]


class RulesBody(msgspec.Struct, frozen=True):
    """See Rules."""

    repository_key: str
    rules: list[RoutingRule]


class Message(msgspec.Struct, frozen=True):
    """Said to people."""

    message: str


class UpstreamAuth(msgspec.Struct, frozen=True):
    """A bearer token goes in `password`."""

    auth_type: AuthKind
    username: str = ""
    password: str = ""


class EgressProxy(msgspec.Struct, frozen=True):
    """inherit: as the environment of the server says; direct: none; explicit: this one."""

    mode: EgressMode
    proxy_url: str = ""
    no_proxy: str = ""


class EgressProxyBody(msgspec.Struct, frozen=True, kw_only=True):
    """proxy_url: without its credential."""

    mode: EgressMode
    proxy_url: str | None
    no_proxy: str | None
    proxy_credentials_configured: bool


class Tested(msgspec.Struct, frozen=True):
    """What the upstream answered."""

    status: str
    upstream_status: int
    upstream_url: str


class AgeGateRequest(msgspec.Struct, frozen=True):
    """Versions younger than so many days are held back."""

    enabled: bool
    min_age_days: int
    mode: AgeMode = "upstream_publish_time"


class AgeGateBody(msgspec.Struct, frozen=True):
    """See AgeGateRequest."""

    repository_key: str
    enabled: bool
    min_age_days: int
    mode: AgeMode


class UpstreamsController(Controller):
    """Below `/api/v1/repositories/{key}`, for remote repositories."""

    path = "/api/v1/repositories/{key:str}"
    tags = ["repositories"]

    @get("/cache-ttl", opt={"needs": "repository:read"}, sync_to_thread=True)
    def get_cache_ttl(self, resolved: NamedDependency[Resolved]) -> CacheTtlBody:
        """How long changing documents are good."""
        seconds = _upstream(resolved).cache_ttl_seconds
        return CacheTtlBody(resolved.repository.key, DEFAULT_TTL_SECONDS if seconds is None else seconds)

    @put("/cache-ttl", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_cache_ttl(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[CacheTtl],
    ) -> CacheTtlBody:
        """Say how long changing documents are good, 1 second to 30 days."""
        seconds = _checked_ttl(data.cache_ttl_seconds)
        app.configuring.change_upstream(
            resolved.repository, lambda upstream: msgspec.structs.replace(upstream, cache_ttl_seconds=seconds), meta
        )
        return CacheTtlBody(resolved.repository.key, seconds)

    @post("/cache/invalidate", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def invalidate_cache(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        path: Annotated[str, QueryParameter(description="Of what was kept; `*` stands for anything.")] = "*",
    ) -> Invalidated:
        """Ask the upstream again before changing documents are served next."""
        return Invalidated(resolved.repository.key, path, app.configuring.invalidate(resolved.repository, path, meta))

    @get("/routing-rules", opt={"needs": "repository:read"}, sync_to_thread=True)
    def get_routing_rules(self, resolved: NamedDependency[Resolved]) -> RulesBody:
        """How paths are rewritten on their way to the upstream."""
        return RulesBody(resolved.repository.key, list(_upstream(resolved).rules))

    @post("/routing-rules", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def set_routing_rules(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[Rules],
    ) -> RulesBody:
        """Rewrite paths on their way to the upstream, by these rules and no others."""
        rules = checked_rules(data.rules)
        app.configuring.change_upstream(
            resolved.repository, lambda upstream: msgspec.structs.replace(upstream, rules=rules), meta
        )
        return RulesBody(resolved.repository.key, list(rules))

    @delete("/routing-rules", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def delete_routing_rules(
        self, app: NamedDependency[App], meta: NamedDependency[Metadata], resolved: NamedDependency[Resolved]
    ) -> Message:
        """Ask the upstream for paths as they are."""
        app.configuring.change_upstream(
            resolved.repository, lambda upstream: msgspec.structs.replace(upstream, rules=()), meta
        )
        return Message("routing rules removed")

    @put("/upstream-auth", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_upstream_auth(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[UpstreamAuth],
    ) -> Message:
        """Set the credential that the upstream is shown; it is never given back."""
        row = resolved.repository
        credential = Credential(data.auth_type, data.username, data.password)
        app.configuring.change_upstream(
            row, lambda upstream: app.configuring.with_credential(row.id, upstream, credential), meta
        )
        return Message("upstream authentication updated")

    @get("/egress-proxy", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def get_egress_proxy(self, app: NamedDependency[App], resolved: NamedDependency[Resolved]) -> EgressProxyBody:
        """The way to the upstream."""
        return _egress_body(_upstream(resolved).egress, app.configuring.proxy_of(resolved.repository))

    @put("/egress-proxy", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_egress_proxy(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[EgressProxy],
    ) -> EgressProxyBody:
        """Choose the way to the upstream."""
        row = resolved.repository
        chosen = Egress(data.mode, data.proxy_url, data.no_proxy)
        row = app.configuring.change_upstream(
            row, lambda upstream: app.configuring.with_proxy(row.id, upstream, chosen), meta
        )
        return _egress_body(chosen, app.configuring.proxy_of(row))

    @post("/test-upstream", opt={"needs": "repository:admin"}, sync_to_thread=True, status_code=200)
    def test_upstream(self, app: NamedDependency[App], resolved: NamedDependency[Resolved]) -> Tested:
        """Ask the upstream, and tell what it answered."""
        tried = app.configuring.try_upstream(resolved.repository)
        return Tested("ok", tried.status, tried.url)

    @get("/age-gate", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def get_age_gate(self, resolved: NamedDependency[Resolved]) -> AgeGateBody:
        """How old a version must be."""
        gate = _upstream(resolved).age_gate
        return AgeGateBody(resolved.repository.key, gate.enabled, gate.min_age_days, gate.mode)

    @put("/age-gate", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_age_gate(
        self,
        app: NamedDependency[App],
        meta: NamedDependency[Metadata],
        resolved: NamedDependency[Resolved],
        data: JSONBody[AgeGateRequest],
    ) -> AgeGateBody:
        """Hold back versions that are younger than so many days."""
        if not 0 <= data.min_age_days <= MAX_AGE_DAYS:
            raise Invalid(f"min_age_days is 0 to {MAX_AGE_DAYS}")
        if data.mode == "first_seen":
            raise Invalid("mode 'first_seen' is not offered: the age is what the upstream tells")
        gate = AgeGate(data.enabled, data.min_age_days, data.mode)
        app.configuring.change_upstream(
            resolved.repository, lambda upstream: msgspec.structs.replace(upstream, age_gate=gate), meta
        )
        return AgeGateBody(resolved.repository.key, gate.enabled, gate.min_age_days, gate.mode)


def _upstream(resolved: Resolved) -> Upstream:
    upstream = resolved.repository.settings.upstream
    if upstream is None:
        raise Invalid(f"'{resolved.repository.key}' is not a remote repository")
    return upstream


def _egress_body(egress: Egress, proxy_url: str) -> EgressProxyBody:
    scheme, _, rest = proxy_url.partition("://")
    return EgressProxyBody(
        mode=egress.mode,
        proxy_url=f"{scheme}://{rest.rpartition('@')[2]}" if proxy_url else None,
        no_proxy=egress.no_proxy or None,
        proxy_credentials_configured="@" in rest,
    )
