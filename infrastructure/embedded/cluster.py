"""The files of a PostgreSQL cluster: making them, configuring them, and what a server that died left among them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from infrastructure.embedded.directory import private_directory
from infrastructure.embedded.errors import DataDirectoryUnusable, ServerDidNotStart
from infrastructure.processes import Account

MAJOR_VERSION = "18"

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at only
_AMPLE_BYTES = 512 * 1024 * 1024

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "artifact-keeper",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_line_prefix": "%m [%p] %a ",
    "log_min_duration_statement": "1s",
    "log_parameter_max_length": "0",
}
"""Ours; a log file per weekday, so a week of them. Parameters of statements are not logged: some are secrets."""

_VOLATILE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}


def create_cluster(binaries: Path, cluster: Path, account: Account | None, *, superuser: str, sync: bool) -> None:
    """Make a new cluster, whole or not at all: it gets its name when it is finished.

    Text is UTF-8 and sorted by code point with Unicode case rules, by PostgreSQL's own tables: the machine's locales
    and their upgrades change nothing. Anybody who reaches the socket is let in; only the account does.
    """
    unfinished = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    private_directory(unfinished, account)
    command = [str(binaries / "initdb"), "-D", str(unfinished), "-U", superuser, "--auth=trust", "--encoding=UTF8"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(  # noqa: S603 - no shell, own binary
        command if sync else [*command, "--no-sync"],
        check=False,
        capture_output=True,
        text=True,
        cwd=unfinished,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
    if done.returncode != 0:
        raise ServerDidNotStart("PostgreSQL", "initdb failed", done.stdout + done.stderr)
    unfinished.rename(cluster)


def check_version(cluster: Path) -> None:
    """Raise DataDirectoryUnusable when the cluster was made by another major version, which cannot read it."""
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != MAJOR_VERSION:
        raise DataDirectoryUnusable(
            f"{cluster} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: "
            "dump it with the former version and restore it into a new data directory"
        )


def configuration_of(sockets: Path, logs: Path, *, durable: bool, extra: Mapping[str, str]) -> str:
    """The text of postgresql.conf; what an administrator sets by ALTER SYSTEM is kept elsewhere and wins over it."""
    machine = {
        "unix_socket_directories": _list_element(str(sockets)),
        "log_directory": str(logs),
        "dynamic_shared_memory_type": "posix" if _shared_memory_is_ample() else "mmap",
    }
    settings = _SETTINGS | machine | ({} if durable else _VOLATILE) | dict(extra)
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _shared_memory_is_ample() -> bool:
    """Containers often have 64 MiB of it, in which a parallel query fails, or none that another user may write to."""
    try:
        if not _SHARED_MEMORY.stat().st_mode & 0o002:
            return False
        room = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize >= _AMPLE_BYTES


def settle_previous(cluster: Path, *, limit_seconds: float = 90) -> None:
    """Make way for a new server after a former one: the caller holds the lock, so no live process of ours owns that.

    A server whose owner was killed is on its way down: wait for it, then insist. A pid file whose number now belongs
    to another program would keep PostgreSQL from starting: remove it.
    """
    pid_file = cluster / "postmaster.pid"
    pid = _recorded_pid(pid_file)
    if pid is None:
        return
    started = time.monotonic()
    insisted = False
    while _serves(pid, cluster):
        waited = time.monotonic() - started
        if not insisted:
            os.kill(pid, signal.SIGINT)
            insisted = True
        elif waited > limit_seconds:
            os.kill(pid, signal.SIGQUIT)
        time.sleep(0.05)
    if Path(f"/proc/{pid}").exists() and _recorded_pid(pid_file) == pid:
        pid_file.unlink()


def _recorded_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _serves(pid: int, cluster: Path) -> bool:
    """Whether that process is a PostgreSQL server on this cluster, in which it works."""
    process = Path(f"/proc/{pid}")
    try:
        return (process / "cwd").readlink() == cluster.resolve() and (process / "exe").readlink().name == "postgres"
    except OSError:
        return False


def _list_element(path: str) -> str:
    """One element of a setting that is a list of names: quoted, so that commas in a path are part of it."""
    return '"' + path.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
