"""One HTTP worker process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import msgspec
from litestar import Controller

from api.app import App
from api.asgi import Gate
from api.composition.core import Core, open_core, read_settings
from api.composition.identity import LateProgress, compose_identity
from api.composition.logs import configure_logs
from api.composition.storage import compose_collector
from api.composition.uploads import compose_uploads
from api.http.auth import AuthController
from api.http.checkpoints import CheckpointsController
from api.http.permissions import PermissionsController
from api.http.repositories import RepositoriesController
from api.http.setup import SetupController
from api.http.storage import StorageController
from api.http.tokens import ProfileTokensController, RepositoryTokensController
from api.http.transparency import TransparencyController
from api.http.uploads import UploadsController
from api.http.users import UsersController
from api.incoming import Proxies
from api.locks import Locks
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
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.cache import LocalLocks, NoCache, RedisCache
from projections.catalogue.comparison import CatalogueComparison
from projections.catalogue.finder import CatalogueFinder
from projections.catalogue.revisions import Revisions
from projections.progress import Progress
from projections.search.view import SearchView
from projections.transparency.view import TransparencyView
from projections.usage.counter import CountedDownloads

CONTROLLERS: tuple[type[Controller], ...] = (
    AuthController,
    CheckpointsController,
    PermissionsController,
    ProfileTokensController,
    RepositoriesController,
    RepositoryTokensController,
    SetupController,
    StorageController,
    TransparencyController,
    UploadsController,
    UsersController,
)


class Unobserved:
    """Counts nothing."""

    def request(self, method: str, template: str, status: int, seconds: float) -> None:
        """See Observer."""


class Api(msgspec.Struct, frozen=True):
    """A worker: what answers, and how it ends."""

    gate: Gate
    app: App
    close: Callable[[], None]


def compose_api() -> Api:
    """Wire a worker from the environment, and start its threads."""
    settings = read_settings()
    configure_logs(settings)
    return wire_api(open_core(settings))


def wire_api(core: Core) -> Api:
    """Wire a worker, and start its threads."""
    settings = core.settings
    pool = ThreadPoolExecutor(settings.api_threads, thread_name_prefix="request")
    late = LateProgress()
    identity = compose_identity(core, late)
    revisions = Revisions(core.catalogue)

    def reset() -> None:
        revisions.forget()
        identity.changes.reset()

    progress = Progress(core.dsn, {"catalogue": revisions.advance, "access": identity.changes.advance}, reset)
    late.progress = progress
    late.is_fresh = lambda: progress.fresh
    formats = Formats(FORMATS)
    resolver = Resolver(core.catalogue, core.log.head, core.log.position_at)
    access = Access(
        identity.authenticator,
        resolver,
        identity.denials,
        identity.seals,
        lambda: revisions.repositories_generation,
        guests=settings.guest_access,
    )
    leases = PostgresLeases(core.pool)
    publishing = Publishing(core.log, core.catalogue, core.blobs, leases, core.spool, progress)
    repositories = Repositories(core.log, core.catalogue, progress, identity.grants.owner_grants)
    downloads = CountedDownloads(core.connect)
    cache = RedisCache(settings.redis_url) if settings.redis_url else None
    search = SearchView(core.connect)
    services = Services(
        catalogue=core.catalogue,
        finder=CatalogueFinder(core.connect),
        publishing=publishing,
        blobs=core.blobs,
        spool=core.spool,
        access=access,
        formats=formats,
        client_accounts=identity.client_accounts,
        search=search,
        shelves=search,
    )
    wire = Wire(
        FORMATS,
        services=services,
        access=access,
        documents=Documents(cache or NoCache(), cache or LocalLocks()),
        revisions=revisions,
        is_fresh=lambda: progress.fresh,
        count_download=downloads.count,
        pool=pool,
        cache_bytes=settings.document_cache_bytes,
        max_upload_bytes=settings.max_upload_bytes or None,
    )
    app = App(
        settings=settings,
        pool=pool,
        log=core.log,
        progress=progress,
        access=access,
        directory=identity.directory,
        accounts=identity.accounts,
        sessions=identity.sessions,
        tokens=identity.tokens,
        tickets=identity.tickets,
        grants=identity.grants,
        setup_lock=identity.setup_lock,
        resolver=resolver,
        formats=formats,
        catalogue=core.catalogue,
        storage=core.catalogue,
        comparison=CatalogueComparison(core.connect),
        publishing=publishing,
        repositories=repositories,
        collector=compose_collector(core, leases, progress),
        transparency=TransparencyView(core.connect),
        uploads=compose_uploads(core, services),
    )
    gate = Gate(
        wire,
        management(app, CONTROLLERS, version("artifact-keeper"), identity.limits),
        access=access,
        proxies=Proxies(tuple(map(str, settings.trusted_proxies)), settings.external_url),
        pool=pool,
        observer=Unobserved(),
        locks=Locks(lambda: identity.setup_lock.locked, demo=settings.demo_mode),
        log_probes=settings.log_probe_requests,
    )
    progress.start()
    downloads.start()
    identity.start()

    def close() -> None:
        pool.shutdown(wait=True, cancel_futures=True)
        downloads.close()
        identity.stop()
        progress.stop()
        if cache is not None:
            cache.close()
        leases.close()
        core.close()

    return Api(gate, app, close)
