"""The whole process tree of one machine: embedded servers unless others are named, HTTP workers, projector, worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import msgspec

from api.composition.preflight import preflight
from domain.errors import Unavailable
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.valkey import EmbeddedValkey
from infrastructure.postgres.migrate import migrate
from infrastructure.settings import Settings
from infrastructure.supervisor import Command, Supervisor

CHILDREN = ("project", "project", "work", "api")
"""The second projector stands by: it leads within moments when the first one dies."""


class Started(msgspec.Struct, frozen=True):
    """What runs, for the greeting. embedded: names of the servers that this process tree started itself."""

    environ: dict[str, str]
    embedded: tuple[str, ...]


def serve(settings: Settings, say: Callable[[str], None], greeting: Callable[[Started], Callable[[], bool]]) -> int:
    """Run until a signal; the exit status. Data is found again by the next start.

    say: told each unexpected end of a process. greeting: makes what is called, once everything was started, until it
    says that it is done.
    """
    preflight(settings, alone=True)
    with Supervisor(say) as supervisor:
        started = _start_servers(settings, supervisor)
        _migrate(settings, started.environ["DATABASE_URL"])
        for name in CHILDREN:
            if supervisor.stopping:
                return 0
            arguments = [sys.executable, "-m", "api", name]
            supervisor.watch(Command(name, arguments, started.environ))
        return supervisor.run(greeting(started))


def _migrate(settings: Settings, dsn: str) -> None:
    try:
        migrate(dsn)
    except Unavailable as fault:
        if settings.database_url is None:
            raise
        raise Unavailable(f"DATABASE_URL: {fault}") from fault


def _start_servers(settings: Settings, supervisor: Supervisor) -> Started:
    environ = dict(os.environ)
    embedded: list[str] = []
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if settings.database_url is None:
        postgres = EmbeddedPostgres(settings.data_dir)
        environ["DATABASE_URL"] = postgres.start()
        supervisor.watch(postgres, stop_seconds=60)
        embedded.append("PostgreSQL")
    if settings.redis_url is None:
        valkey = EmbeddedValkey(settings.data_dir, max_bytes=settings.valkey_max_bytes)
        environ["REDIS_URL"] = valkey.start()
        supervisor.watch(valkey, stop_seconds=10)
        embedded.append("Valkey")
    return Started(environ, tuple(embedded))
