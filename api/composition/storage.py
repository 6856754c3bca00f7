"""The collector of unneeded blobs."""

from __future__ import annotations

from api.composition.core import Core
from application.collecting import Collector
from application.ports import BlobLeases
from application.publishing import Progress
from projections.catalogue.references import CatalogueReferences


def compose_collector(core: Core, leases: BlobLeases, progress: Progress) -> Collector:
    """Wire it."""
    references = CatalogueReferences(core.connect, core.settings.history_retention_days)
    return Collector(core.blobs, references, leases, core.log, progress)
