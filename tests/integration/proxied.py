"""A registry, an upstream that it may ask, and repositories of every kind, for tests of one format.

with proxied(dsn, tmp_path, "cargo") as world:
    world.begin()
    key = world.virtual(world.local(), world.remote())
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from application.catalogue import ArtifactRow
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.servers.upstream import Upstream

API = "/api/v1"

_numbers = count(1)


class World:
    """What tests arrange; `begin` has the upstream forget what the last one did."""

    def __init__(self, running: Product, upstream: Upstream, format: str) -> None:
        self.running, self.upstream, self.format = running, upstream, format

    def begin(self) -> None:
        upstream = self.upstream
        for known in (upstream.files, upstream.special, upstream.asked, upstream.bodies, upstream.headers):
            known.clear()
        upstream.away, upstream.delay_seconds, upstream.authorization = False, 0.0, ""

    # repositories; each gives the key of a new one

    def repository(self, kind: str, **fields: Any) -> str:
        key = f"{kind}{next(_numbers)}"
        body = {"key": key, "name": key, "format": self.format, "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def local(self, **fields: Any) -> str:
        return self.repository("local", **fields)

    def remote(self, **fields: Any) -> str:
        return self.repository("remote", **{"upstream_url": self.upstream.url, **fields})

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.repository("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    # requests

    def get(self, key: str, path: str, **options: Any) -> Reply:
        return self.running.call("GET", f"/{self.format}/{key}/{path}", **options)

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")

    def until_searchable(self) -> None:
        """Wait for the search to know of everything."""
        assert self.running.workers[0].app.progress.reached(("search",), self.running.head(), 30)

    def rows(self, key: str) -> list[ArtifactRow]:
        """What is kept."""
        catalogue = self.running.workers[0].app.catalogue
        repository = catalogue.repository(key)
        assert repository is not None
        return catalogue.artifacts_below(repository.id, "")

    def rejections(self, key: str) -> list[str]:
        """What the upstream was caught at, by path."""
        events = self.running.done("GET", f"{API}/audit/events?repository={key}&action=UPSTREAM_REJECTED")["items"]
        return [event["resource_name"] for event in events]


@contextmanager
def proxied(dsn: str, directory: Path, format: str) -> Iterator[World]:
    """Started; ended with the block."""
    with Upstream() as upstream, product(dsn, directory, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running:
        yield World(running, upstream, format)
