"""Bringing a database to the schema of this version: numbered SQL files, forward only (rules: migrations/README.md)."""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import re
from collections.abc import Iterable, Sequence
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
import psycopg
from psycopg import Connection, sql

from domain.errors import Conflict, Invalid
from infrastructure.postgres.pool import DatabaseUnavailable

_log = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<subject>[a-z0-9]+(?:_[a-z0-9]+)*)\.sql\Z")
_LOCK = int.from_bytes(hashlib.sha256(b"artifact-keeper migrations").digest()[:8], signed=True)
_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationsInvalid(Invalid):
    """The files themselves break the rules: a bad name, a gap, a number used twice."""


class MigrationsDiffer(Conflict):
    """What was applied to the database is not what this version would have applied."""


class MigrationFailed(Invalid):
    """A file's SQL failed; nothing of that file was kept, everything before it was."""

    template = "migration {name}, line {line}: {reason}"

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(name=name, line=line, reason=reason)


class Migration(msgspec.Struct, frozen=True):
    """One file. sha256: of its text with LF line ends, so that a checkout's line-end setting does not count."""

    number: int
    name: str
    text: str
    sha256: str


def read_migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations of this version in order; those in `folder` when given. Raises MigrationsInvalid."""
    place = folder or importlib.resources.files("migrations")
    files = [item for item in place.iterdir() if item.name.endswith(".sql")]
    migrations = tuple(
        sorted((_read(file) for file in files), key=lambda migration: (migration.number, migration.name))
    )
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            fault = "its number is used twice" if migration.number < expected else f"number {expected} is missing"
            raise MigrationsInvalid(f"migration {migration.name}: {fault}")
    return migrations


def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> tuple[Migration, ...]:
    """Apply what the database lacks, one transaction for each file, and give what was applied.

    Several processes may call this at once: one works, the others wait and find nothing to do.
    Raises MigrationsDiffer, MigrationFailed, DatabaseUnavailable.
    """
    wanted = read_migrations() if migrations is None else tuple(migrations)
    try:
        with psycopg.connect(dsn, autocommit=True, application_name="artifact-keeper migrate") as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # until this session ends, however it ends
            connection.execute("SET statement_timeout = 0")
            connection.execute(_CREATE_TABLE)
            _refuse_newer(connection, wanted)
            missing = pending(connection, wanted)
            for migration in missing:
                _apply(connection, migration)
            return missing
    except psycopg.OperationalError as fault:
        raise DatabaseUnavailable(str(fault).strip()) from fault


def pending(connection: Connection[Any], migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """The migrations that the database lacks; empty when this version can work with it.

    A database that is further on is fine: while processes are replaced one by one, old code meets the new schema.
    Raises MigrationsDiffer when an applied file was edited or renamed.
    """
    applied = _applied(connection)
    missing = []
    for migration in migrations:
        found = applied.get(migration.number)
        if found is None:
            missing.append(migration)
        elif found != (migration.name, migration.sha256):
            raise MigrationsDiffer(f"migration {found[0]} was changed after it was applied here: restore the file")
    return tuple(missing)


def _refuse_newer(connection: Connection[Any], migrations: Sequence[Migration]) -> None:
    newer = [name for number, (name, _) in _applied(connection).items() if number > len(migrations)]
    if newer:
        raise MigrationsDiffer(f"the database has {min(newer)}, which this version does not know: run a newer version")


def _applied(connection: Connection[Any]) -> dict[int, tuple[str, str]]:
    found = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if found is None or not found[0]:
        return {}
    rows = connection.execute("SELECT number, name, sha256 FROM schema_migrations").fetchall()
    return {number: (name, sha256) for number, name, sha256 in rows}


def _apply(connection: Connection[Any], migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL(migration.text))
            connection.execute(
                "INSERT INTO schema_migrations (number, name, sha256) VALUES (%s, %s, %s)",
                [migration.number, migration.name, migration.sha256],
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as fault:
        before = migration.text[: int(fault.diag.statement_position or 1) - 1]
        raise MigrationFailed(migration.name, before.count("\n") + 1, str(fault.diag.message_primary)) from fault
    _log.info("applied migration %s", migration.name)


def _read(file: Traversable) -> Migration:
    matched = _NAME.match(file.name)
    if matched is None:
        raise MigrationsInvalid(
            f"migration {file.name}: a name is four digits, an underscore, and a subject in lower case"
        )
    try:
        text = file.read_bytes().decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise MigrationsInvalid(f"migration {file.name}: it is not UTF-8") from None
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Migration(number=int(matched["number"]), name=file.name, text=text, sha256=digest)
