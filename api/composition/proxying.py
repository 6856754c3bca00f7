"""Remote repositories, wired: the one way out, and what is kept of what came back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import msgspec

from api.composition.core import Core
from application.ports import PersonalData
from application.proxying.incidents import Incidents
from application.proxying.ports import Outbound
from application.proxying.proxy import Proxy
from application.publishing import Publishing
from infrastructure.outbound.addresses import AddressPolicy
from infrastructure.outbound.client import UrllibOutbound
from infrastructure.postgres.upstreams import PostgresUpstreams

OUTCOMES = ("hit", "fetched", "revalidated", "stale", "failed")


class Proxying(msgspec.Struct, frozen=True, kw_only=True):
    """counters: answers of remote repositories by how they came about."""

    proxy: Proxy
    outbound: Outbound
    cache: PostgresUpstreams
    counters: Callable[[], dict[str, int]]
    close: Callable[[], None]


def compose_proxying(
    core: Core, publishing: Publishing, seals: PersonalData, generation: Callable[[], int]
) -> Proxying:
    """Wire it; nothing is asked yet. seals: keep the credentials of upstreams, each under its repository's id."""
    settings = core.settings
    policy = AddressPolicy(settings.upstream_networks, private=settings.upstream_private)
    outbound = UrllibOutbound(policy, settings.ca_cert_path)
    cache = PostgresUpstreams(core.dsn, core.connect)
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def count(outcome: str) -> None:
        with lock:
            counts[outcome] += 1

    proxy = Proxy(
        outbound,
        cache,
        catalogue=core.catalogue,
        publishing=publishing,
        spool=core.spool,
        blobs=core.blobs,
        seals=seals,
        incidents=Incidents(core.log),
        generation=generation,
        count=count,
    )

    def close() -> None:
        proxy.close()
        outbound.close()

    return Proxying(
        proxy=proxy,
        outbound=outbound,
        cache=cache,
        counters=lambda: {f"ak_upstream_{outcome}": counts[outcome] for outcome in OUTCOMES},
        close=close,
    )
