"""Collecting blobs that nothing needs any more."""

from __future__ import annotations

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.app import App
from application.collecting import Collected
from domain.event import Metadata


class CollectBody(msgspec.Struct, frozen=True):
    """dry_run: tell what would go."""

    dry_run: bool = False


class StorageController(Controller):
    """`/api/v1/admin/storage-gc`."""

    path = "/api/v1/admin/storage-gc"
    tags = ["operations"]

    @post(opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def collect(
        self, app: NamedDependency[App], meta: NamedDependency[Metadata], data: JSONBody[CollectBody | None] = None
    ) -> Collected:
        """Remove blobs that no artifact needs, now or in any past that can still be read, uploads in flight apart."""
        return app.collector.collect(dry_run=data is not None and data.dry_run, grace_seconds=0, meta=meta)
