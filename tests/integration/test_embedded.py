"""Embedded servers: started from nothing, ended cleanly, found again, and recovered from any kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from infrastructure.embedded import EmbeddedPostgres, EmbeddedValkey
from infrastructure.embedded.errors import DataDirectoryInUse, DataDirectoryUnusable, ServerDidNotStart

OWNER = """
import sys, time
from pathlib import Path
from infrastructure.embedded import EmbeddedPostgres, EmbeddedValkey

data = Path(sys.argv[1])
postgres, valkey = EmbeddedPostgres(data), EmbeddedValkey(data)
postgres.start(), valkey.start()
print(postgres.process.pid, valkey.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def data_dir(servers_directory: Path, request: pytest.FixtureRequest) -> Path:
    path: Path = servers_directory / f"{abs(hash(request.node.nodeid)):x}"
    return path


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir)
    yield server
    server.stop(limit_seconds=5)


@pytest.fixture
def valkey(data_dir: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(data_dir)
    yield server
    server.stop(limit_seconds=5)


@pytest.fixture
def owner(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs both servers on `data_dir`; its first line of output is their process ids."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, f"still running: {[pid for pid in pids if alive(pid)]}"
        time.sleep(0.02)


def write(dsn: str, value: int) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def read(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM kept ORDER BY value").fetchall()]


def listening_ports(pid: int) -> set[str]:
    """Inodes of TCP sockets that are in LISTEN and belong to that process."""
    listening = {
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")} & listening


def test_the_database_is_found_again_after_a_clean_stop(postgres: EmbeddedPostgres) -> None:
    first = postgres.start()
    write(first, 1)
    postgres.stop()
    assert postgres.process is None
    second = postgres.start()

    assert second == first
    assert read(second) == [1]


def test_the_server_speaks_utf8_is_durable_and_listens_on_no_port(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start()) as connection:
        assert connection.execute("SELECT upper('é'), 'a' < 'B', 'Z' < 'a'").fetchone() == ("É", False, True)
        wanted = {"server_encoding": "UTF8", "fsync": "on", "synchronous_commit": "on", "max_connections": "200"}
        assert {name: connection.execute(f"SHOW {name}").fetchone() for name in wanted} == {
            name: (value,) for name, value in wanted.items()
        }
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    assert postgres.process is not None
    assert listening_ports(postgres.process.pid) == set()


def test_the_registrys_role_may_install_the_extensions_that_search_needs(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start()) as connection:
        connection.execute("CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist; CREATE EXTENSION unaccent")


def test_servers_do_not_run_as_root_and_only_their_account_reaches_the_socket(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey, data_dir: Path
) -> None:
    postgres.start()
    valkey.start()
    for server in (postgres.process, valkey.process):
        assert server is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    assert (data_dir / "run").stat().st_mode & 0o777 == 0o700
    assert (data_dir / "postgres").stat().st_mode & 0o777 == 0o700


def test_a_killed_server_starts_again_with_every_acknowledged_write(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    for value in range(20):
        write(dsn, value)
    assert postgres.process is not None
    os.kill(postgres.process.pid, signal.SIGKILL)
    postgres.process.wait()
    assert (Path(f"{postgres._cluster}") / "postmaster.pid").exists()

    assert read(postgres.start()) == list(range(20))


def test_a_killed_server_starts_again_while_a_backend_of_it_is_still_busy(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    write(dsn, 1)
    with psycopg.connect(dsn) as connection:
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)  # it cannot notice that its server is gone
        assert postgres.process is not None
        os.kill(postgres.process.pid, signal.SIGKILL)
        with pytest.raises(ServerDidNotStart, match="shared memory"):
            postgres.start(timeout_seconds=4)
        with subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -CONT {pid}"]):
            assert read(postgres.start()) == [1]
        assert not alive(pid)


def test_a_pid_file_whose_number_belongs_to_somebody_else_is_no_obstacle(
    postgres: EmbeddedPostgres, data_dir: Path
) -> None:
    write(postgres.start(), 1)
    stale = (data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[1]
    postgres.stop()
    with subprocess.Popen(["sleep", "60"], user=(data_dir / "postgres").stat().st_uid) as other:
        (data_dir / "postgres" / "postmaster.pid").write_text(f"{other.pid}\n{stale}")
        assert read(postgres.start()) == [1]
        assert other.poll() is None
        other.kill()


def test_servers_end_when_their_owner_is_killed_and_a_new_owner_takes_over_at_once(
    owner: subprocess.Popen[str], postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert all(map(alive, pids))

    owner.kill()
    owner.wait()
    write(postgres.start(), 2)
    valkey.start()

    assert read(postgres.dsn()) == [2]
    wait_until_gone(pids)


def test_a_data_directory_in_use_is_refused_and_its_servers_go_on(
    owner: subprocess.Popen[str], postgres: EmbeddedPostgres, valkey: EmbeddedValkey, data_dir: Path
) -> None:
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    for server in (postgres, valkey):
        with pytest.raises(DataDirectoryInUse, match=rf"{data_dir} is in use by another .*process {owner.pid}\)"):
            server.start()
    assert all(map(alive, pids))


def test_a_half_made_cluster_is_made_anew(postgres: EmbeddedPostgres, data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")

    write(postgres.start(), 1)


def test_a_cluster_of_another_version_is_refused_with_advice(postgres: EmbeddedPostgres, data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")

    with pytest.raises(DataDirectoryUnusable, match="made by PostgreSQL 16 and this is 18: dump it"):
        postgres.start()


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings={"shared_buffers": "plenty"})

    with pytest.raises(ServerDidNotStart, match='invalid value for parameter "shared_buffers": "plenty"'):
        server.start()
    assert server.process is None


def test_a_path_that_is_too_long_for_sockets_works(data_dir: Path) -> None:
    long = data_dir / ("x" * 100) / "with 'quotes', \"commas\" and spaces"
    with EmbeddedPostgres(long) as postgres, EmbeddedValkey(long) as valkey:
        write(postgres.dsn(), 1)
        assert read(postgres.dsn()) == [1]
        with redis.Redis.from_url(valkey.url) as client:
            assert client.ping()
        sockets = postgres._sockets
        assert sockets is not None
        assert sockets.parent != long
    assert not sockets.exists()


def test_valkey_has_a_memory_cap_keeps_nothing_and_forgets_the_oldest(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir, max_bytes=4 * 1024 * 1024) as server, redis.Redis.from_url(server.url) as client:
        for number in range(100):
            client.set(f"key-{number}", b"x" * 100_000)
        assert 0 < client.dbsize() < 40
        assert client.exists("key-99")
        assert client.config_get("save") == {"save": ""}
        assert server.process is not None
        assert listening_ports(server.process.pid) == set()
    assert list((data_dir / "valkey").iterdir()) == []


def test_a_killed_valkey_starts_again_over_its_stale_socket(valkey: EmbeddedValkey, data_dir: Path) -> None:
    valkey.start()
    assert valkey.process is not None
    os.kill(valkey.process.pid, signal.SIGKILL)
    valkey.process.wait()
    assert (data_dir / "run" / "valkey.sock").exists()

    with redis.Redis.from_url(valkey.start()) as client:
        assert client.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_a_closed_directory_above_lets_just_the_servers_account_through(servers_directory: Path) -> None:
    closed = servers_directory / "closed"
    closed.mkdir(mode=0o700)
    inside = closed / "open"
    inside.mkdir(mode=0o755)
    with EmbeddedPostgres(inside / "data") as postgres:
        assert postgres.process is not None
        account = Path(f"/proc/{postgres.process.pid}").stat().st_uid
        write(postgres.dsn(), 1)

    def entering(uid: int, directory: Path) -> int:
        return subprocess.run(["ls", directory], user=uid, extra_groups=[], capture_output=True, check=False).returncode

    assert entering(account, inside) == 0
    assert entering(account, closed) != 0
    assert entering(65534, inside) != 0


def test_a_terminals_interrupt_does_not_reach_the_servers(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    assert postgres.process is not None

    assert os.getsid(postgres.process.pid) == postgres.process.pid
