"""The process that runs background jobs."""

from __future__ import annotations

from api.composition.core import Core
from api.composition.signing import compose_signing
from api.composition.storage import compose_collector
from api.composition.uploads import remove_expired_uploads
from application.collecting import Collector
from application.jobs import Job
from application.key_ring import BATCH, KeyRing
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.queue import Worker
from projections.progress import Progress

REMEMBER_COMMANDS = "7 days"
HOUR_SECONDS = 3600.0
MINUTE_SECONDS = 60.0


class WorkerProcess:
    """The worker with what its jobs wait for."""

    def __init__(self, core: Core) -> None:
        self._progress = Progress(core.dsn, {}, lambda: None)
        self._leases = PostgresLeases(core.pool)
        collector = compose_collector(core, self._leases, self._progress)
        recurring = jobs(core, collector, compose_signing(core, self._progress).ring)
        self._worker = Worker(recurring, core.connect, core.settings.redis_url, core.settings.job_threads)

    def start(self) -> None:
        """Begin."""
        self._progress.start()
        self._worker.start()

    def stop(self) -> None:
        """Finish what runs."""
        self._worker.stop()
        self._leases.close()
        self._progress.stop()


def jobs(core: Core, collector: Collector, ring: KeyRing) -> list[Job]:
    """Everything that recurs."""

    def forget_commands() -> None:
        with core.connect() as connection:
            connection.execute("DELETE FROM es_command WHERE at < now() - %s::interval", (REMEMBER_COMMANDS,))

    def forget_readers() -> None:
        with core.connect() as connection:
            connection.execute("DELETE FROM es_reader WHERE at < now() - interval '1 minute'")

    def expire_uploads() -> None:
        remove_expired_uploads(core)

    def collect_blobs() -> None:
        collector.collect(grace_seconds=core.settings.blob_gc_grace_seconds)

    def retire_signing_keys() -> None:
        ring.retire()

    def sign_packages() -> None:
        while ring.sign_packages() >= BATCH:
            pass

    recurring = [
        Job("forget-commands", HOUR_SECONDS, forget_commands),
        Job("forget-readers", HOUR_SECONDS, forget_readers),
        Job("expire-uploads", HOUR_SECONDS, expire_uploads),
        Job("retire-signing-keys", HOUR_SECONDS, retire_signing_keys),
        Job("sign-packages", MINUTE_SECONDS, sign_packages),
    ]
    if core.settings.blob_gc_enabled:
        recurring.append(Job("collect-blobs", HOUR_SECONDS, collect_blobs))
    return recurring
