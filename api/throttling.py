"""How often callers may use the management API: counted once, in a guard; told in the headers of every answer."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Message, Scope

from application.identity.limits import Bucket, Limits, RateLimited
from application.ports import Allowance
from domain.permissions import Principal

_API = "/api/v1/"


class Throttle:
    """Litestar guard of every route below /api/v1. A route may name a further bucket: `opt={"limit": "search"}`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Count; raises RateLimited."""
        scope: dict[str, Any] = connection.scope  # type: ignore[assignment]
        if not scope["path"].startswith(_API):
            return
        limits = self._limits
        principal: Principal = scope["principal"]
        client = scope["incoming"].client
        exempt = limits.exemption(principal, client)
        if exempt is not None:
            scope["rate_limit_exempt"] = exempt
            return
        further = handler.opt.get("limit")
        buckets = [limits.buckets.api, *([getattr(limits.buckets, further)] if further else [])]
        pool = connection.app.state.app.pool
        loop = asyncio.get_running_loop()
        try:
            scope["allowance"] = await loop.run_in_executor(pool, _taken, limits, buckets, principal, client)
        except RateLimited as error:
            scope["allowance"] = error.allowance
            raise


def _taken(limits: Limits, buckets: list[Bucket], principal: Principal, client: str) -> Allowance | None:
    """Count in every bucket; the answer tells of the last and narrowest one."""
    allowance = None
    for bucket in buckets:
        allowance = limits.take(bucket, principal, client)
    return allowance


async def tell_allowance(message: Message, scope: Scope) -> None:
    """Litestar hook before each message: what is left goes into the headers."""
    if message["type"] != "http.response.start":
        return
    values: dict[str, Any] = scope  # type: ignore[assignment]
    headers = list(message["headers"])
    if exempt := values.get("rate_limit_exempt"):
        headers.append((b"x-ratelimit-exempt", str(exempt).encode()))
    allowance: Allowance | None = values.get("allowance")
    if allowance is not None:
        headers.append((b"x-ratelimit-limit", str(allowance.limit).encode()))
        headers.append((b"x-ratelimit-remaining", str(allowance.remaining).encode()))
    message["headers"] = headers
