"""What watches the registry: audit, live streams, download counts, search, health, metrics."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec

from api.composition.core import Core
from api.composition.identity import Identity
from api.composition.projector import NAMING, decoder
from api.composition.searching import engine_projections
from api.exposition import Exposition, MetricsListener, Whole
from api.metrics import DIRECTORY_VARIABLE, Metrics
from application.audit.lines import Describer
from application.audit.streaming import AuditLine, Change, Channel, audit_lines, entity_changes
from application.health import NotReady, Probe, Probes, require_progress, require_unhalted
from application.jobs import require_jobs
from application.log import Receipt
from application.publishing import NewFile, PackageDecision, Publishing, Target
from domain.errors import Conflict, RegistryError
from infrastructure.postgres.migrate import pending, read_migrations
from infrastructure.queue import JobBoard
from infrastructure.settings import Settings
from projections.access.fold import AccessProjection
from projections.audit.collector import AuditLines
from projections.audit.fold import AuditProjection
from projections.audit.view import AuditView
from projections.catalogue.fold import CatalogueProjection
from projections.feed import Feed, reached
from projections.projection import Projection
from projections.rebuild import Rebuild
from projections.search.fold import SearchProjection
from projections.state import StateView
from projections.transparency.fold import Transparency
from projections.usage.counter import CountedDownloads
from projections.usage.view import UsageView

_log = logging.getLogger(__name__)

READ_MODELS: tuple[type[Projection], ...] = (
    CatalogueProjection,
    AccessProjection,
    AuditProjection,
    SearchProjection,
    Transparency,
)
SHOWN = NAMING
"""What must show a change before a screen is told of it: it will ask at once."""

AUDIT_PATIENCE_SECONDS = 2.0
"""How long auditors wait for the names of what was created just now; a read model that halts must not blind them."""


def read_models(settings: Settings) -> list[str]:
    """Names of what this installation keeps."""
    printed = [AuditLines.name] if settings.audit_stream == "stdout" else []
    engine = [projection.name for projection in engine_projections(settings)]
    return [*(kind.name for kind in READ_MODELS), *engine, *printed]


class MeasuredDownloads(CountedDownloads):
    """Counts downloads in the metrics too."""

    metrics: Metrics

    def count(self, artifact: UUID, repository: UUID, agent: str) -> None:
        """See DownloadCounter."""
        super().count(artifact, repository, agent)
        self.metrics.download()


class MeasuredPublishing(Publishing):
    """Counts what was published."""

    metrics: Metrics

    def publish(self, target: Target, files: Sequence[NewFile], decision: PackageDecision | None = None) -> Receipt:
        """See Publishing."""
        receipt = super().publish(target, files, decision)
        if receipt.position:
            for file in files:
                self.metrics.upload(file.spooled.size_bytes)
        return receipt


class Observing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that watches, wired."""

    audit: AuditView
    describer: Describer
    audit_lines: Channel[AuditLine]
    changes: Channel[Change]
    usage: UsageView
    state: StateView
    probes: Probes
    metrics: Metrics
    exposition: Exposition
    feed: Feed
    reindex: Callable[[], bool]
    pool_figures: Callable[[], dict[str, int]]
    listener: MetricsListener | None

    def start(self) -> None:
        """Begin to watch."""
        self.metrics.start()
        self.feed.start()
        if self.listener is not None:
            self.listener.start()

    def end_streams(self) -> None:
        """Nothing is told any more on live streams; their clients come back, to another worker."""
        self.audit_lines.close()
        self.changes.close()

    def stop(self) -> None:
        """End live streams, and leave the last figures behind."""
        self.feed.stop()
        if self.listener is not None:
            self.listener.stop()
        self.metrics.stop()


def compose_observing(
    core: Core, identity: Identity, gauges: Callable[[], dict[str, float]], counters: Callable[[], dict[str, int]]
) -> Observing:
    """Wire it. gauges, counters: figures of this process that only its other parts know."""
    settings = core.settings
    describer = Describer(identity.directory.usernames, identity.seals.open, core.catalogue)
    shown = partial(reached, core.connect, SHOWN)
    entries = Channel(audit_lines(describer), core.log.read, shown, SHOWN, AUDIT_PATIENCE_SECONDS)
    changes = Channel(
        entity_changes(identity.directory.usernames, core.catalogue.repository_by_id),
        core.log.read,
        shown,
        after=SHOWN,
    )
    usage = UsageView(core.connect)
    state = StateView(core.connect, read_models(settings))
    pool_figures = partial(_pool_figures, core)
    metrics = Metrics(
        _metrics_directory(),
        lambda: {**_process_gauges(core), **gauges()},
        lambda: {**_process_counters(core), **counters()},
    )
    exposition = Exposition(metrics, Whole(state, usage.total, JobBoard(core.connect).states))
    listener = None
    if settings.metrics_port is not None:
        listener = MetricsListener(settings.bind_address.host, settings.metrics_port, exposition.render)
    return Observing(
        audit=AuditView(core.connect, core.log.recorded),
        describer=describer,
        audit_lines=entries,
        changes=changes,
        usage=usage,
        state=state,
        probes=_probes(core, state),
        metrics=metrics,
        exposition=exposition,
        feed=Feed(core.dsn, [entries, changes], decoder()),
        reindex=Reindexing(core.dsn, [SearchProjection(), *engine_projections(settings)]),
        pool_figures=pool_figures,
        listener=listener,
    )


def _probes(core: Core, state: StateView) -> Probes:
    migrations = read_migrations()

    def database() -> None:
        with core.connect() as connection:
            connection.execute("SELECT 1")

    def migrated() -> None:
        with core.connect() as connection:
            missing = pending(connection, migrations)
        if missing:
            raise NotReady(f"migration {missing[0].name} is not applied")

    jobs = JobBoard(core.connect)
    database_probe = Probe(database)
    return Probes(
        health={"database": database_probe, "storage": Probe(core.blobs.check)},
        notes={
            "projections": Probe(lambda: require_progress(state.projections())),
            "jobs": Probe(lambda: require_jobs(jobs.states())),
        },
        readiness={
            "database": database_probe,
            "migrations": Probe(migrated),
            # while others halt, every other request is answered as rightly as ever
            "projections": Probe(lambda: require_unhalted(state.projections(), SHOWN)),
        },
    )


def _metrics_directory() -> Path | None:
    name = os.environ.get(DIRECTORY_VARIABLE)
    return Path(name) if name and Path(name).is_dir() else None


def _pool_figures(core: Core) -> dict[str, int]:
    figures = core.pool.get_stats()
    size, idle = figures.get("pool_size", 0), figures.get("pool_available", 0)
    return {
        "max_connections": figures.get("pool_max", 0),
        "idle_connections": idle,
        "active_connections": max(size - idle, 0),
        "size": size,
    }


def _process_gauges(core: Core) -> dict[str, float]:
    pool = _pool_figures(core)
    return {
        "ak_db_pool_connections_active": float(pool["active_connections"]),
        "ak_db_pool_connections_idle": float(pool["idle_connections"]),
        "ak_db_pool_connections_max": float(pool["max_connections"]),
        "ak_db_pool_connections_size": float(pool["size"]),
        "ak_log_writer_queue": float(core.writer.waiting),
    }


def _process_counters(core: Core) -> dict[str, int]:
    """What this process has done since it began. Events by batches: how many share one flush of the disk."""
    written = core.writer.written
    return {
        "ak_log_writer_batches": written.batches,
        "ak_log_writer_commands": written.commands,
        "ak_log_writer_events": written.events,
    }


class Reindexing:
    """Builds the search indexes anew in the background; True when that began just now."""

    def __init__(self, dsn: str, projections: Sequence[Projection]) -> None:
        self._dsn = dsn
        self._projections = projections
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> bool:
        """Begin; False when it is going on already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            self._thread = threading.Thread(target=self._run, name="reindex", daemon=True)
            self._thread.start()
            return True

    def _run(self) -> None:
        for projection in self._projections:
            self._rebuild(projection)

    def _rebuild(self, projection: Projection) -> None:
        try:
            with Rebuild(self._dsn, projection, decoder()) as shadow:
                position = shadow.swap()
            _log.info("the search index %s was rebuilt up to position %d", projection.name, position)
        except Conflict as error:
            _log.info("the search index is not rebuilt: %s", error)
        except RegistryError as error:
            _log.error("the search index was not rebuilt: %s", error)
        except Exception:  # noqa: BLE001 - the old index goes on answering
            _log.exception("the search index was not rebuilt")
