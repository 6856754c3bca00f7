"""One HTTP worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version

import msgspec
from litestar import Controller

from api.app import App
from api.asgi import Gate
from api.bodies import Patience
from api.composition.core import Core, open_core, read_settings
from api.composition.identity import LateProgress, compose_identity
from api.composition.logs import configure_logs
from api.composition.observing import MeasuredDownloads, MeasuredPublishing, compose_observing
from api.composition.proxying import compose_proxying
from api.composition.searching import compose_searching
from api.composition.signing import compose_signing
from api.composition.storage import compose_collector, compose_redirects
from api.composition.uploads import compose_streamed_uploads, compose_uploads
from api.http.artifact_facts import ArtifactFactsController
from api.http.artifact_labels import ArtifactLabelsController
from api.http.artifacts import ArtifactsController
from api.http.audit import AdminAuditController, AuditController, RepositoryAuditController
from api.http.auth import AuthController
from api.http.checkpoints import CheckpointsController
from api.http.events import AuditStreamController, EventsController
from api.http.health import HealthController, MetricsController
from api.http.members import MembersController
from api.http.name_policies import NamePoliciesController
from api.http.packages import PackagesController
from api.http.permissions import PermissionsController
from api.http.promotion import ApprovalController, PromotionController
from api.http.repositories import RepositoriesController
from api.http.search import ReindexController, SearchController
from api.http.setup import SetupController
from api.http.signing import SigningController
from api.http.snippets import SnippetsController
from api.http.statistics import StatisticsController
from api.http.storage import StorageController
from api.http.tokens import ProfileTokensController, RepositoryTokensController
from api.http.transparency import TransparencyController
from api.http.tree import TreeController
from api.http.uploads import UploadsController
from api.http.upstreams import UpstreamsController
from api.http.users import UsersController
from api.http.welcome import WelcomeController
from api.incoming import Proxies
from api.locks import Locks
from api.management import management
from api.wire import Wire
from application.access import Access
from application.configuring import Configuring
from application.depositing import Depositor
from application.documents import Documents
from application.downloads import DownloadRecorder
from application.format import Formats
from application.formats import FORMATS
from application.labelling import Labelling
from application.promoting import Promoting
from application.repositories import Repositories
from application.resolving import Resolver
from application.services import Services
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.cache import LocalLocks, MemoryCache, RedisCache
from infrastructure.signing.ecdsa import EcdsaPackageSigner
from projections.catalogue.comparison import CatalogueComparison
from projections.catalogue.finder import CatalogueFinder
from projections.catalogue.past import CataloguePast
from projections.catalogue.revisions import Revisions
from projections.progress import Progress
from projections.promotions.view import PromotionTables
from projections.search.view import SearchView
from projections.transparency.view import TransparencyView
from projections.usage.view import UsageView

MEMORY_CACHE_BYTES = 16 << 20
"""For documents of a process that has no other cache: most are held once more, ready to be sent."""

CONTROLLERS: tuple[type[Controller], ...] = (
    AdminAuditController,
    ApprovalController,
    ArtifactFactsController,
    ArtifactLabelsController,
    ArtifactsController,
    AuditController,
    AuditStreamController,
    AuthController,
    CheckpointsController,
    EventsController,
    HealthController,
    MembersController,
    MetricsController,
    NamePoliciesController,
    PackagesController,
    PermissionsController,
    ProfileTokensController,
    PromotionController,
    RepositoriesController,
    ReindexController,
    RepositoryAuditController,
    RepositoryTokensController,
    SearchController,
    SetupController,
    SigningController,
    SnippetsController,
    StatisticsController,
    StorageController,
    TransparencyController,
    TreeController,
    UploadsController,
    UpstreamsController,
    UsersController,
    WelcomeController,
)


class Api(msgspec.Struct, frozen=True):
    """A worker: what answers, and how it ends. end_streams: before that, so that live streams do not hold it up."""

    gate: Gate
    app: App
    end_streams: Callable[[], None]
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
    resolver = Resolver(
        core.catalogue, core.log.head, core.log.position_at, lambda at: progress.reached(("catalogue",), at)
    )
    access = Access(
        identity.authenticator,
        resolver,
        identity.denials,
        identity.seals,
        lambda: revisions.repositories_generation,
        guests=settings.guest_access,
    )
    leases = PostgresLeases(core.pool)
    publishing = MeasuredPublishing(core.log, core.catalogue, core.blobs, leases, core.spool, progress)
    signing = compose_signing(core, progress)
    promotions = PromotionTables(core.connect)
    repositories = Repositories(
        core.log, core.catalogue, progress, identity.grants.owner_grants, signing.ring.for_new_repository
    )
    downloads = MeasuredDownloads(core.connect)
    finder = CatalogueFinder(core.connect)
    recorder = DownloadRecorder(core.log, core.catalogue, finder, access.metadata)
    cache = RedisCache(settings.redis_url) if settings.redis_url else None
    tables = SearchView(core.connect)
    searching = compose_searching(core, tables)
    usage = UsageView(core.connect)
    documents = Documents(cache or MemoryCache(MEMORY_CACHE_BYTES), cache or LocalLocks())
    proxying = compose_proxying(core, publishing, identity.keys, lambda: revisions.repositories_generation)
    services = Services(
        catalogue=core.catalogue,
        finder=finder,
        publishing=publishing,
        blobs=core.blobs,
        spool=core.spool,
        access=access,
        formats=formats,
        client_accounts=identity.client_accounts,
        client_tokens=identity.client_tokens,
        search=searching.index,
        shelves=tables,
        directory=identity.directory,
        usage=usage,
        package_signer=EcdsaPackageSigner(settings.instance_key),
        repository_signer=signing.signer,
        proxy=proxying.proxy,
        documents=documents,
        recorded_at=core.log.recorded_at,
        streamed_uploads=compose_streamed_uploads(core),
    )
    wire = Wire(
        FORMATS,
        services=services,
        access=access,
        documents=documents,
        revisions=revisions,
        is_fresh=lambda: progress.fresh,
        count_download=downloads.count,
        pool=pool,
        cache_bytes=settings.document_cache_bytes,
        max_upload_bytes=settings.max_upload_bytes or None,
        max_waiting=settings.max_concurrency,
        redirects=compose_redirects(core),
        record_download=recorder.record,
    )
    observing = compose_observing(
        core,
        identity,
        lambda: {
            "ak_document_cache_bytes": float(wire.cache.bytes),
            "ak_document_cache_entries": float(len(wire.cache)),
            "ak_downloads_unwritten": float(downloads.pending),
            "ak_downloads_unrecorded": float(recorder.pending),
            **searching.gauges(),
        },
        lambda: {
            "ak_document_cache_hits": wire.cache.hits,
            "ak_document_cache_misses": wire.cache.misses,
            "ak_visibility_timeouts": progress.late,
            **searching.counters(),
            **proxying.counters(),
        },
    )
    downloads.metrics = publishing.metrics = observing.metrics
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
        finder=services.finder,
        storage=core.catalogue,
        comparison=CatalogueComparison(core.connect),
        publishing=publishing,
        repositories=repositories,
        configuring=Configuring(
            core.log,
            core.catalogue,
            progress,
            seals=identity.keys,
            outbound=proxying.outbound,
            cache=proxying.cache,
        ),
        signing_keys=signing.view,
        key_ring=signing.ring,
        promotions=promotions,
        promoting=Promoting(
            core.log, core.catalogue, core.blobs, publishing, formats, promotions, signing.view, progress
        ),
        repository_signer=signing.signer,
        collector=compose_collector(core, leases, progress),
        transparency=TransparencyView(core.connect),
        uploads=compose_uploads(core, services),
        depositor=Depositor(services),
        labelling=Labelling(core.log, observing.audit.stream),
        blobs=core.blobs,
        spool=core.spool,
        send=wire.send,
        audit=observing.audit,
        describer=observing.describer,
        audit_lines=observing.audit_lines,
        changes=observing.changes,
        usage=observing.usage,
        downloads=downloads,
        recorder=recorder,
        search=searching.index,
        shelves=tables,
        past=CataloguePast(core.connect),
        state=observing.state,
        probes=observing.probes,
        reindex=observing.reindex,
        render_metrics=observing.exposition.render,
        pool_figures=observing.pool_figures,
    )
    gate = Gate(
        wire,
        management(app, CONTROLLERS, version("artifact-keeper"), identity.limits),
        access=access,
        proxies=Proxies(tuple(map(str, settings.trusted_proxies)), settings.external_url),
        pool=pool,
        observer=observing.metrics,
        locks=Locks(lambda: identity.setup_lock.locked, demo=settings.demo_mode),
        log_probes=settings.log_probe_requests,
        patience=Patience(idle_seconds=settings.body_idle_seconds),
    )
    closing: list[Callable[[], object]] = [
        observing.stop,
        proxying.close,
        wire.close,
        partial(pool.shutdown, wait=True, cancel_futures=True),
        downloads.close,
        recorder.stop,
        identity.stop,
        progress.stop,
        *([cache.close] if cache is not None else []),
        leases.close,
        core.close,
    ]
    _each((progress.start, downloads.start, recorder.start, observing.start, identity.start))
    return Api(gate, app, observing.end_streams, partial(_each, closing))


def _each(steps: Iterable[Callable[[], object]]) -> None:
    for step in steps:
        step()
