"""Migrations on a real server: applied once, in order, whole, and never over somebody else's schema."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from infrastructure.postgres.migrate import (
    Migration,
    MigrationFailed,
    MigrationsDiffer,
    MigrationsInvalid,
    migrate,
    pending,
    read_migrations,
)
from infrastructure.postgres.pool import DatabaseUnavailable


def files(folder: Path, **texts: str) -> tuple[Migration, ...]:
    for name, text in texts.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(text)
    return read_migrations(folder)


def names(migrations: tuple[Migration, ...]) -> list[str]:
    return [migration.name for migration in migrations]


def test_our_own_migrations_apply_once_to_an_empty_database(empty_postgres_dsn: str) -> None:
    applied = migrate(empty_postgres_dsn)

    assert applied == read_migrations()
    assert migrate(empty_postgres_dsn) == ()
    with psycopg.connect(empty_postgres_dsn) as connection:
        assert pending(connection, read_migrations()) == ()


def test_a_later_file_is_applied_alone_and_sees_the_former(empty_postgres_dsn: str, tmp_path: Path) -> None:
    migrate(empty_postgres_dsn, files(tmp_path, m0001_one="CREATE TABLE one (id int); INSERT INTO one VALUES (7)"))
    both = files(tmp_path, m0002_two="CREATE TABLE two AS SELECT id FROM one")
    with psycopg.connect(empty_postgres_dsn) as connection:
        assert names(pending(connection, both)) == ["0002_two.sql"]

    assert names(migrate(empty_postgres_dsn, both)) == ["0002_two.sql"]

    with psycopg.connect(empty_postgres_dsn) as connection:
        assert connection.execute("SELECT id FROM two").fetchall() == [(7,)]
        rows = connection.execute("SELECT number, name, sha256 FROM schema_migrations ORDER BY number").fetchall()
        assert rows == [(migration.number, migration.name, migration.sha256) for migration in both]


def test_a_file_that_fails_leaves_nothing_and_names_its_line(empty_postgres_dsn: str, tmp_path: Path) -> None:
    wrong = files(
        tmp_path,
        m0001_good="CREATE TABLE good (id int)",
        m0002_bad="CREATE TABLE half (id int);\n\nSELECT nothing FROM good;\n",
    )

    with pytest.raises(MigrationFailed, match=r"0002_bad\.sql, line 3: column \"nothing\" does not exist"):
        migrate(empty_postgres_dsn, wrong)

    with psycopg.connect(empty_postgres_dsn) as connection:
        assert connection.execute("SELECT to_regclass('good'), to_regclass('half')").fetchone() == ("good", None)
        assert names(pending(connection, wrong)) == ["0002_bad.sql"]


@pytest.mark.parametrize(("name", "text"), [("m0001_one", "SELECT 2"), ("m0001_other", "SELECT 1")])
def test_a_file_that_was_edited_or_renamed_after_it_was_applied_is_refused(
    empty_postgres_dsn: str, tmp_path: Path, name: str, text: str
) -> None:
    migrate(empty_postgres_dsn, files(tmp_path, m0001_one="SELECT 1"))
    (tmp_path / "0001_one.sql").unlink()
    changed = files(tmp_path, **{name: text})

    with pytest.raises(MigrationsDiffer, match=r"0001_one\.sql was changed"):
        migrate(empty_postgres_dsn, changed)


def test_line_ends_do_not_count_as_an_edit(empty_postgres_dsn: str, tmp_path: Path) -> None:
    migrate(empty_postgres_dsn, files(tmp_path, m0001_one="SELECT 1;\nSELECT 2;\n"))
    (tmp_path / "0001_one.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")

    assert migrate(empty_postgres_dsn, read_migrations(tmp_path)) == ()


def test_a_database_of_a_newer_version_is_refused_but_does_for_processes_of_the_old(
    empty_postgres_dsn: str, tmp_path: Path
) -> None:
    old = files(tmp_path, m0001_one="SELECT 1")
    migrate(empty_postgres_dsn, files(tmp_path, m0002_two="SELECT 2"))

    with pytest.raises(MigrationsDiffer, match=r"0002_two\.sql.*newer version"):
        migrate(empty_postgres_dsn, old)
    with psycopg.connect(empty_postgres_dsn) as connection:
        assert pending(connection, old) == ()


def test_processes_that_migrate_at_once_apply_each_file_once(empty_postgres_dsn: str, tmp_path: Path) -> None:
    wanted = files(tmp_path, m0001_slow="CREATE TABLE slow (id int); SELECT pg_sleep(0.2)", m0002_next="SELECT 1")
    applied: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: applied.append(names(migrate(empty_postgres_dsn, wanted)))) for _ in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(applied) == [[], [], [], ["0001_slow.sql", "0002_next.sql"]]


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate(f"postgresql://nobody@/nothing?host={tmp_path}", ())


def test_gaps_doubles_and_odd_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationsInvalid, match="number 1 is missing"):
        files(tmp_path, m0002_two="")
    with pytest.raises(MigrationsInvalid, match="used twice"):
        files(tmp_path, m0001_one="", m0001_uno="")
    with pytest.raises(MigrationsInvalid, match="four digits"):
        files(tmp_path, m1_one="")
