"""`artifact-keeper admin` beside a running registry, and where nothing else runs."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.__main__ import main
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.spool import FolderSpool
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.migrate import migrate
from tests.integration.product import ADMIN_PASSWORD, Product, product

SECRET = "9f1b7c0d5e3a48627d0f6c1e8b5a3947"


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Operate = Callable[..., Ended]


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("admin"), workers=2) as started:
        yield started


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operate:
    """Run `artifact-keeper admin …` in this process; keywords are `stdin` and settings."""

    def run(*arguments: object, stdin: str = "", **environ: str) -> Ended:
        secrets = {"JWT_SECRET": SECRET, "AK_INSTANCE_KEY": SECRET[::-1]}
        for name, value in (secrets | environ).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["artifact-keeper", "admin", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int), captured
        return Ended(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def operate(running: Product, command: Operate) -> Operate:
    def run(*arguments: object, stdin: str = "", **environ: str) -> Ended:
        beside = {"DATABASE_URL": running.settings.database_url or "", "AK_DATA_DIR": str(running.settings.data_dir)}
        return command(*arguments, stdin=stdin, **(beside | environ))

    return run


def me(running: Product, user: str, password: str) -> int:
    return running.call("GET", "/api/v1/auth/me", auth=(user, password)).status


def test_a_created_user_signs_in_with_the_password_that_was_printed_and_must_change_it(
    running: Product, operate: Operate
) -> None:
    made = operate("create-user", "grace", "--email", "grace@people.example", "--display-name", "Grace")
    assert made.status == 0, made
    password = made.out.rstrip("\n")
    assert len(password) == 20
    assert password not in made.err
    login = {"username": "grace", "password": password}
    session = running.call("POST", "/api/v1/auth/login", login).json()
    assert session["must_change_password"] is True
    assert session["access_token"]


def test_a_password_can_be_given_on_standard_input_and_obeys_the_rules(running: Product, operate: Operate) -> None:
    chosen = "hopper has chosen with care"
    arguments = ("create-user", "hopper", "--email", "hopper@people.example", "--admin", "--password-stdin")
    assert operate(*arguments, stdin="short\n").status == 2
    assert operate(*arguments, stdin="").status == 2
    made = operate(*arguments, "--json", stdin=f"{chosen}\n")
    assert made.status == 0, made
    body = json.loads(made.out)
    assert (body["user"]["username"], body["user"]["is_admin"], body["generated_password"]) == ("hopper", True, None)
    assert chosen not in made.out + made.err
    assert running.call("GET", "/api/v1/users", auth=("hopper", chosen)).status == 200
    again = operate(*arguments, stdin=f"{chosen}\n")
    assert again.status == 2
    assert "already exists" in again.err


def test_users_are_listed_for_people_and_for_scripts(operate: Operate) -> None:
    operate("create-user", "listed", "--email", "listed@people.example")
    listed = json.loads(operate("list-users", "--json").out)
    assert {"admin", "listed"} <= {user["username"] for user in listed}
    text = operate("list-users", "--search", "LISTED").out.splitlines()
    assert text[0].startswith("USER ")
    assert [line.split()[0] for line in text[1:]] == ["listed"]
    assert "listed" not in operate("list-users", "--admins").out


def test_a_reset_password_ends_sessions_on_every_process_and_lifts_a_lock(running: Product, operate: Operate) -> None:
    running.person("forgetful")
    for _ in range(running.settings.account_lockout_threshold):
        assert me(running, "forgetful", "a wrong guess") == 401
    assert me(running, "forgetful", "forgetful has chosen with care") == 401
    reset = operate("reset-password", "forgetful", "--json")
    assert reset.status == 0, reset
    temporary = json.loads(reset.out)["temporary_password"]
    login = {"username": "forgetful", "password": temporary}
    session = running.call("POST", "/api/v1/auth/login", login).json()["access_token"]
    chosen = operate("reset-password", "forgetful", "--password-stdin", stdin="once more with feeling\n")
    assert (chosen.status, chosen.out) == (0, "")
    for worker in range(2):
        assert running.call("GET", "/api/v1/auth/me", auth=session, worker=worker).status == 401
        reply = running.call("GET", "/api/v1/auth/me", auth=("forgetful", "once more with feeling"), worker=worker)
        assert reply.status == 200


def test_an_account_is_disabled_and_enabled_and_the_last_administrator_stays(
    running: Product, operate: Operate
) -> None:
    user = running.person("sleepy")
    assert operate("update-user", "sleepy").status == 2
    assert operate("update-user", "sleepy", "--disable").status == 0
    assert running.call("GET", "/api/v1/auth/me", auth=user, worker=1).status == 401
    shown = json.loads(operate("update-user", "sleepy", "--enable", "--email", "s@people.example", "--json").out)
    assert (shown["is_active"], shown["email"]) == (True, "s@people.example")
    assert running.call("GET", "/api/v1/auth/me", auth=user).status == 200
    for administrator in json.loads(operate("list-users", "--admins", "--json").out):
        if administrator["username"] != "admin":
            assert operate("update-user", administrator["id"], "--no-admin").status == 0
    refused = operate("update-user", "admin", "--no-admin")
    assert refused.status == 2
    assert "last active administrator" in refused.err


def test_a_token_is_printed_alone_and_once_works_and_is_revoked_everywhere(running: Product, operate: Operate) -> None:
    running.repository("tokened", "generic", public=False)
    running.person("robot", tokened="read write")
    made = operate("create-token", "robot", "--name", "ci", "--scope", "read:artifacts", "--scope", "write:artifacts")
    assert made.status == 0, made
    token = made.out.rstrip("\n")
    assert "\n" not in token
    assert token not in made.err
    for worker in range(2):
        put = running.call("PUT", f"/general/tokened/{worker}.txt", b"x", auth=token, worker=worker)
        assert put.status == 201, put.body
    (listed,) = json.loads(operate("list-tokens", "robot", "--json").out)
    assert (listed["name"], listed["token_prefix"]) == ("ci", token[:8])
    assert token not in json.dumps(listed)
    assert operate("revoke-token", "-", stdin=f"{token}\n").status == 0
    for worker in range(2):
        assert running.call("GET", "/general/tokened/0.txt", auth=token, worker=worker).status == 401
    assert operate("revoke-token", "not-a-token").status == 2
    assert operate("create-token", "robot", "--name", "x", "--scope", "everything").status == 2
    assert operate("create-token", "nobody", "--name", "x").status == 2


def test_a_token_can_be_confined_to_a_repository_and_all_of_a_user_revoked(running: Product, operate: Operate) -> None:
    for key in ("inside", "outside"):
        running.repository(key, "generic", public=False)
    running.person("builder", inside="read write", outside="read write")
    scopes = ("--scope", "read:artifacts", "--scope", "write:artifacts")
    made = operate("create-token", "builder", "--name", "one", *scopes, "--repository", "inside", "--json")
    token = json.loads(made.out)["token"]
    assert running.call("PUT", "/general/inside/a.txt", b"x", auth=token).status == 201
    assert running.call("PUT", "/general/outside/a.txt", b"x", auth=token).status in {403, 404}
    assert operate("create-token", "builder", "--name", "two", "--repository", "nowhere").status == 2
    operate("create-token", "builder", "--name", "two", "--expires-in-days", "7")
    revoked = operate("revoke-tokens", "builder")
    assert revoked.err.splitlines()[-1] == "2 revoked"
    assert running.call("GET", "/general/inside/a.txt", auth=token).status == 401
    assert json.loads(operate("list-tokens", "builder", "--json").out) == []


def test_an_erased_person_is_nowhere_readable_any_more(running: Product, operate: Operate) -> None:
    running.person("transient")
    identity = running.done("GET", "/api/v1/users?search=transient")["items"][0]["id"]
    declined = operate("erase-user", "transient", "--reason", "asked for", stdin="n\n")
    assert declined.status == 1
    assert me(running, "transient", "transient has chosen with care") == 200
    assert operate("erase-user", "transient", "--reason", "asked for", "--yes").status == 0
    assert me(running, "transient", "transient has chosen with care") == 401
    assert operate("reset-password", identity).status == 2
    everything = running.call("GET", "/api/v1/audit/export", auth=running.admin).body.decode()
    assert identity in everything
    assert "transient@people.example" not in everything


def test_the_audit_says_that_an_operator_did_it_and_from_where(running: Product, operate: Operate) -> None:
    operate("create-user", "audited", "--email", "audited@people.example")
    found = running.done("GET", "/api/v1/audit/events?action=USER_CREATED&per_page=1&order=desc")["items"]
    entry = next(item for item in found if item["resource_name"] == "audited")
    assert (entry["actor_kind"], entry["actor_id"], entry["via"]) == ("system", None, "command-line")
    assert "admin create-user" in entry["user_agent"]
    assert entry["request_id"]


def test_collecting_tells_what_would_go_then_removes_it_and_keeps_the_rest(running: Product, operate: Operate) -> None:
    running.repository("collected", "generic")
    running.call("PUT", "/general/collected/kept.txt", b"kept", auth=running.admin)
    blobs = running.workers[0].app.blobs
    assert isinstance(blobs, FolderBlobs)
    stray = orphan(running, b"nothing refers to this")
    young = json.loads(operate("collect", "--grace", "3600", "--json").out)
    assert young["storage_keys_deleted"] == 0
    dry = operate("collect", "--dry-run", "--grace", "0")
    assert dry.out == "1 blobs, 22 bytes would be removed\n"
    assert blobs.exists(stray)
    wet = operate("collect", "--grace", "0", "--json")
    assert wet.status == 0
    assert json.loads(wet.out)["bytes_freed"] == 22
    assert not blobs.exists(stray)
    assert running.call("GET", "/general/collected/kept.txt").body == b"kept"


def orphan(running: Product, content: bytes) -> str:
    with FolderSpool(running.settings.upload_staging_dir).create() as writer:
        writer.write(content)
        spooled = writer.finish()
    blobs = running.workers[0].app.blobs
    blobs.keep(spooled)
    path = blobs.local_path(spooled.sha256)
    assert path is not None
    minute_ago = time.time() - 60
    os.utime(path, (minute_ago, minute_ago))
    return spooled.sha256


def test_a_database_that_is_away_is_exit_status_3(command: Operate, tmp_path: Path) -> None:
    ended = command("list-users", DATABASE_URL="postgresql://nobody@127.0.0.1:9/none", AK_DATA_DIR=str(tmp_path))
    assert ended.status == 3
    assert "Traceback" not in ended.err


def test_without_a_database_the_message_says_what_to_set(command: Operate, tmp_path: Path) -> None:
    ended = command("list-users", DATABASE_URL="", AK_DATA_DIR=str(tmp_path))
    assert ended.status == 2
    assert "DATABASE_URL" in ended.err


def test_a_schema_that_is_behind_is_told_and_not_touched(
    command: Operate, empty_postgres_dsn: str, tmp_path: Path
) -> None:
    ended = command("list-users", DATABASE_URL=empty_postgres_dsn, AK_DATA_DIR=str(tmp_path))
    assert ended.status == 3
    assert "artifact-keeper migrate" in ended.err


def test_another_instance_key_is_refused_before_anything_is_done(operate: Operate) -> None:
    ended = operate("list-users", AK_INSTANCE_KEY="q3b8Zr1mXw7nK5tLh2cVd9sJf4gYp6uAeO0iTzNxRyQ")
    assert ended.status == 2
    assert "another instance key" in ended.err


def test_a_registry_that_does_not_run_is_looked_after_too(command: Operate, servers_directory: Path) -> None:
    data = servers_directory / "stopped"
    with EmbeddedPostgres(data, durable=False) as server:
        migrate(server.dsn())
    beside = {"DATABASE_URL": "", "AK_DATA_DIR": str(data)}
    made = command("create-user", "first", "--email", "first@people.example", "--admin", **beside)
    assert made.status == 0, made
    listed = json.loads(command("list-users", "--json", **beside).out)
    assert [user["username"] for user in listed] == ["first"]
    with EmbeddedPostgres(data, durable=False):
        assert "first" in command("list-users", **beside).out


def test_the_first_administrators_password_file_tells_the_new_one(
    command: Operate, fresh_postgres_dsn: str, tmp_path: Path
) -> None:
    beside = {"DATABASE_URL": fresh_postgres_dsn, "AK_DATA_DIR": str(tmp_path)}
    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None) as started:
        file = tmp_path / "admin.password"
        reset = command("reset-password", "admin", **beside)
        assert reset.status == 0, reset
        assert file.read_text() == reset.out
        assert command("reset-password", "admin", "--password-stdin", stdin=ADMIN_PASSWORD, **beside).status == 0
        assert started.call("GET", "/api/v1/users", auth=started.admin).status == 200
        assert not file.exists()
