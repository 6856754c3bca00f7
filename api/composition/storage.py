"""What is done with stored bytes: the collector of unneeded blobs, downloads by redirect."""

from __future__ import annotations

from api.answers import Redirects
from api.composition.core import Core
from application.collecting import Collector
from application.ports import BlobLeases
from application.publishing import Progress
from projections.catalogue.references import CatalogueReferences


def compose_collector(core: Core, leases: BlobLeases, progress: Progress) -> Collector:
    """Wire it."""
    references = CatalogueReferences(core.connect, core.settings.history_retention_days)
    return Collector(core.blobs, references, leases, core.log, progress)


def compose_redirects(core: Core) -> Redirects | None:
    """Where clients are sent for large files; None where they get them from here."""
    settings = core.settings
    if not settings.presigned_downloads:
        return None
    return Redirects(core.blobs, settings.storage_backend, settings.presigned_download_expiry_seconds)
