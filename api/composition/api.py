"""One HTTP worker process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import msgspec

from api.app import App
from api.asgi import Gate
from api.composition.core import Core, open_core, read_settings
from api.composition.logs import configure_logs
from api.http.checkpoints import CheckpointsController
from api.http.repositories import RepositoriesController
from api.incoming import Proxies
from api.management import management
from api.wire import Wire
from application.access import Access
from application.documents import Documents
from application.format import Formats
from application.formats import FORMATS
from application.publishing import Publishing
from application.repositories import Repositories
from application.resolving import Resolver
from application.services import Services
from infrastructure.cache import LocalLocks, NoCache, RedisCache
from projections.catalogue.comparison import CatalogueComparison
from projections.catalogue.revisions import Revisions
from projections.progress import Progress

CONTROLLERS = (RepositoriesController, CheckpointsController)


class Api(msgspec.Struct, frozen=True):
    """A worker: what answers, and how it ends."""

    gate: Gate
    app: App
    close: Callable[[], None]


def compose_api() -> Api:
    """Wire a worker from the environment."""
    settings = read_settings()
    configure_logs(settings)
    return wire_api(open_core(settings))


def wire_api(core: Core) -> Api:
    """Wire a worker."""
    settings = core.settings
    pool = ThreadPoolExecutor(settings.api_threads, thread_name_prefix="request")
    revisions = Revisions(core.catalogue)
    progress = Progress(core.dsn, {"catalogue": revisions.advance}, revisions.forget)
    raise NotImplementedError(
        pool,
        progress,
        Access,
        Documents,
        Formats,
        FORMATS,
        Publishing,
        Repositories,
        Resolver,
        Services,
        LocalLocks,
        NoCache,
        RedisCache,
        CatalogueComparison,
        Proxies,
        management,
        Wire,
        version,
    )
