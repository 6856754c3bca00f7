"""An operator's commands: the same as the web gives, on the database itself, also when nothing else runs."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from api.composition.core import Core, database_url, open_core, read_settings
from api.composition.identity import PASSWORD_FILE, LateProgress, compose_identity, person_keys
from api.composition.projector import decoder
from api.composition.storage import compose_collector
from application.catalogue import Catalogue
from application.collecting import Collected
from application.identity.accounts import Accounts
from application.identity.directory import Directory
from application.identity.tokens import Tokens
from domain.errors import Unavailable
from domain.event import Metadata
from infrastructure.auth.password_file import AdminPasswordFile
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.embedded.errors import DataDirectoryInUse
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres.migrate import migrate, pending, read_migrations
from infrastructure.queue import JobBoard
from infrastructure.settings import Settings
from projections.access.fold import AccessProjection
from projections.catalogue.fold import CatalogueProjection
from projections.progress import Progress
from projections.projection import Projection
from projections.runner import Projector

VIA = "command-line"
CATCH_UP_SECONDS = 120.0
CONNECTIONS = 4


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """What commands of one process use. meta: says that an operator on this machine did it.

    collect: dry_run, grace_seconds or None for the setting's. keep_first_password: keeps the file of the first
    administrator's password true after it was set anew.
    """

    directory: Directory
    catalogue: Catalogue
    accounts: Accounts
    tokens: Tokens
    collect: Callable[[bool, int | None], Collected]
    keep_first_password: Callable[[UUID, str], None]
    meta: Metadata


@contextmanager
def administration(command: str) -> Iterator[Administration]:
    """Everything, with its read models at the head of the log. command: for the audit.

    The database is that of DATABASE_URL, or of a running `serve`, or, when none runs, the embedded one: it is started
    for as long as the block lasts. Read models that nobody leads are led from here meanwhile. Raises Unavailable.
    """
    with _opened() as core:
        person_keys(core).check()
        with _read_models(core) as progress:
            yield _wired(core, command, progress)


@contextmanager
def job_board() -> Iterator[JobBoard]:
    """What the database knows of recurring jobs."""
    with _opened() as core:
        yield JobBoard(core.connect)


@contextmanager
def _opened() -> Iterator[Core]:
    settings = read_settings()
    with _database(settings) as dsn:
        core = open_core(msgspec.structs.replace(settings, database_url=dsn), max_connections=CONNECTIONS)
        try:
            _require_schema(core)
            yield core
        finally:
            core.close()


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None or not (settings.data_dir / "postgres").exists():
        yield database_url(settings)
        return
    server = EmbeddedPostgres(settings.data_dir)
    try:
        dsn = server.start()
    except DataDirectoryInUse:
        yield database_url(settings)
        return
    try:
        migrate(dsn)
        yield dsn
    finally:
        server.stop()


def _require_schema(core: Core) -> None:
    with core.connect() as connection:
        missing = pending(connection, read_migrations())
    if missing:
        raise Unavailable(f"migration {missing[0].name} is not applied: run 'artifact-keeper migrate' first")


@contextmanager
def _read_models(core: Core) -> Iterator[Progress]:
    """The two that commands ask, brought to the head by whoever leads them, and by ourselves when nobody does."""
    kept: list[Projection] = [AccessProjection(person_keys(core)), CatalogueProjection()]
    names = [projection.name for projection in kept]
    # with followers of its own it waits for the other processes' too: what is revoked is so everywhere at once
    progress = Progress(core.dsn, dict.fromkeys(names, lambda _: None), lambda: None)
    projector = Projector(core.dsn, kept, decoder())
    projector.start()
    progress.start()
    try:
        if not progress.reached(names, core.log.head(), CATCH_UP_SECONDS):
            raise Unavailable("the read models are behind the log and do not catch up: see 'artifact-keeper verify'")
        yield progress
    finally:
        with ThreadPoolExecutor(2) as ending:  # either may wait out a second
            ending.submit(progress.stop)
            ending.submit(projector.stop)


def _wired(core: Core, command: str, progress: Progress) -> Administration:
    late = LateProgress()
    late.progress = progress
    late.is_fresh = lambda: progress.fresh
    identity = compose_identity(core, late)
    agent = f"artifact-keeper/{version('artifact-keeper')} {command} ({_account()}@{socket.gethostname()})"
    meta = Metadata(via=VIA, request=str(uuid4()), client=identity.seals(None, "", agent))
    return Administration(
        directory=identity.directory,
        catalogue=core.catalogue,
        accounts=identity.accounts,
        tokens=identity.tokens,
        collect=partial(_collect, core, progress, meta),
        keep_first_password=partial(_keep_first_password, core.settings.data_dir / PASSWORD_FILE, identity.directory),
        meta=meta,
    )


def _collect(core: Core, progress: Progress, meta: Metadata, dry_run: bool, grace_seconds: int | None) -> Collected:
    grace = core.settings.blob_gc_grace_seconds if grace_seconds is None else grace_seconds
    leases = PostgresLeases(core.pool)
    try:
        return compose_collector(core, leases, progress).collect(dry_run=dry_run, grace_seconds=grace, meta=meta)
    finally:
        leases.close()


def _keep_first_password(path: Path, directory: Directory, user: UUID, password: str) -> None:
    row = directory.user(user)
    if row is None or not row.setup:
        return
    file = AdminPasswordFile(path)
    file.remove()
    file.keep(password)


def _account() -> str:
    """Who runs this, as the machine calls them; a container may have no name for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
