"""Commands that run processes, and those that prepare for them."""

from __future__ import annotations

import signal
import sys
import threading

import rich_click as click

from api.composition.core import database_url, open_core, read_settings
from api.composition.logs import configure_logs


@click.command()
def serve() -> None:
    """Run everything on this machine, until Ctrl-C.

    Starts an embedded PostgreSQL and Valkey below AK_DATA_DIR unless DATABASE_URL and REDIS_URL name others, brings
    the schema up to date, and keeps the HTTP workers, the projector and the job worker running. A process that dies
    is started again. The next start finds all data.
    """
    from api.cli.greeting import Greeting  # noqa: PLC0415 - the other commands need no greeting
    from api.composition.serve import serve as run  # noqa: PLC0415 - nor embedded servers

    settings = read_settings()
    configure_logs(settings)
    sys.exit(run(settings, lambda text: click.echo(text, err=True), lambda started: Greeting(settings, started)))


@click.command()
def api() -> None:
    """Run the HTTP server: AK_API_WORKERS processes on BIND_ADDRESS. Run as many as you like."""
    from api.composition.http_server import http_server  # noqa: PLC0415 - loads the server only where it serves
    from api.composition.preflight import preflight  # noqa: PLC0415 - see above

    settings = read_settings()
    configure_logs(settings)
    database_url(settings)
    preflight(settings, alone=False)
    http_server(settings).serve()


@click.command()
def project() -> None:
    """Keep the read models up to date. Several may run: one leads each read model, the others stand by."""
    from api.composition.projector import compose_projector  # noqa: PLC0415 - see above

    settings = read_settings()
    configure_logs(settings)
    core = open_core(settings, max_connections=4)
    projector = compose_projector(core)
    projector.start()
    _wait_for_signal()
    projector.stop()
    core.close()


@click.command()
def work() -> None:
    """Run background jobs: collecting unneeded blobs, pruning, what schedules ask for. Several may run."""
    from api.composition.worker import WorkerProcess  # noqa: PLC0415 - see above

    settings = read_settings()
    configure_logs(settings)
    core = open_core(settings, max_connections=settings.job_threads + 2)
    worker = WorkerProcess(core)
    worker.start()
    _wait_for_signal()
    worker.stop()
    core.close()


@click.command()
def migrate() -> None:
    """Bring the database schema up to date. Safe to run at any time, by several at once."""
    from api.composition.maintenance import migrate as run  # noqa: PLC0415 - see above

    for name in run(read_settings()):
        click.echo(f"applied {name}")


@click.command()
def settings() -> None:
    """List every setting: its value now, its default, and what it means."""
    from api.composition.settings import describe_settings  # noqa: PLC0415 - see above

    click.echo(describe_settings())


def _wait_for_signal() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    while not done.wait(3600):
        pass
