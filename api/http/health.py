"""Whether this process can serve. Anonymous, outside every lock and limit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal

import msgspec
from litestar import Controller, Response, get

from api.app import App
from api.exposition import MEDIA_TYPE
from api.http.given import GivenApp
from application.health import Check, Probe, Status

NO_STORE = {"cache-control": "no-store"}


class PoolBody(msgspec.Struct, frozen=True):
    """This process's connections to the database."""

    max_connections: int
    idle_connections: int
    active_connections: int
    size: int


class HealthBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """healthy while the database and the storage answer.

    checks: these two; `projections`, which tells of read models that halted or lag, and `jobs`, which tells of
    recurring ones that fail again and again. Both decide nothing: what is shown stays true up to where it is.
    """

    status: Literal["healthy", "unhealthy"]
    version: str
    demo_mode: bool
    checks: dict[str, Check]
    db_pool: PoolBody | None = None
    commit: str | None = None
    dirty: bool | None = None


class ReadyCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check found; `setup_complete` has words of its own and does not keep the registry from being ready."""

    status: Status | Literal["complete", "incomplete"]
    message: str | None = None


class ReadyBody(msgspec.Struct, frozen=True):
    """ready while requests would be answered rightly."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, ReadyCheck]


class LiveBody(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class HealthController(Controller):
    """Probes."""

    tags = ["health"]

    @get("/health", opt={"needs": "anonymous"}, sync_to_thread=True)
    def health(self, app: GivenApp) -> Response[HealthBody]:
        """Whether the database and the storage answer; and what else is worth knowing."""
        return _health(app)

    @get("/healthz", opt={"needs": "anonymous"}, sync_to_thread=True)
    def healthz(self, app: GivenApp) -> Response[HealthBody]:
        """The same as `/health`."""
        return _health(app)

    @get("/ready", opt={"needs": "anonymous"}, sync_to_thread=True)
    def ready(self, app: GivenApp) -> Response[ReadyBody]:
        """Whether requests would be answered rightly: the database is there and migrated, and the read models that
        packages and permissions come from go on.
        """
        return _ready(app)

    @get("/readyz", opt={"needs": "anonymous"}, sync_to_thread=True)
    def readyz(self, app: GivenApp) -> Response[ReadyBody]:
        """The same as `/ready`."""
        return _ready(app)

    @get("/livez", opt={"needs": "anonymous"}, sync_to_thread=False)
    def live(self) -> Response[LiveBody]:
        """The process answers; touches nothing."""
        return Response(LiveBody(), headers=NO_STORE)


class MetricsController(Controller):
    """`/api/v1/admin/metrics`."""

    path = "/api/v1/admin/metrics"
    tags = ["health"]

    @get(opt={"needs": "admin"}, sync_to_thread=True, media_type=MEDIA_TYPE)
    def metrics(self, app: GivenApp) -> Response[bytes]:
        """All metrics in the text form of Prometheus."""
        return Response(app.render_metrics(), media_type=MEDIA_TYPE, headers=NO_STORE)


def _health(app: App) -> Response[HealthBody]:
    checks, notes = _ask(app.probes.health), _ask(app.probes.notes)
    healthy = all(check.status == "healthy" for check in checks.values())
    detailed: dict[str, Any] = {}
    if app.settings.detailed_health:
        detailed = {"db_pool": PoolBody(**app.pool_figures()), "commit": os.environ.get("AK_COMMIT")}
    body = HealthBody(
        status="healthy" if healthy else "unhealthy",
        version=version("artifact-keeper"),
        demo_mode=bool(app.settings.demo_mode),
        checks={**checks, **notes},
        **detailed,
    )
    return Response(body, status_code=200 if healthy else 503, headers=NO_STORE)


def _ready(app: App) -> Response[ReadyBody]:
    found = _ask(app.probes.readiness)
    ready = all(check.status == "healthy" for check in found.values())
    checks = {name: ReadyCheck(check.status, check.message) for name, check in found.items()}
    checks["setup_complete"] = ReadyCheck("incomplete" if app.setup_lock.locked else "complete")
    return Response(
        ReadyBody("ready" if ready else "not_ready", checks), status_code=200 if ready else 503, headers=NO_STORE
    )


def _ask(probes: Mapping[str, Probe]) -> dict[str, Check]:
    return {name: probe() for name, probe in probes.items()}
