"""First boot over HTTP: the lock, the file with the password, and the way out; limits on who hurries."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product import Product, product

API = "/api/v1"


def password_of(directory: Path) -> str:
    return (directory / "admin.password").read_text().splitlines()[0]


def test_an_instance_is_locked_until_its_administrator_has_chosen_a_password(
    fresh_postgres_dsn: str, tmp_path: Path
) -> None:
    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None, SETUP_PASSWORD_HINT="ask ops") as running:
        file = tmp_path / "admin.password"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for path in ("/", "/pypi/libs/simple/", f"{API}/repositories", f"{API}/users/me"):
            assert running.call("GET", path).status == 403, path
            assert b"SETUP_REQUIRED" in running.call("GET", path).body
        status = running.call("GET", f"{API}/setup/status").json()
        assert status == {"setup_required": True, "setup_password_hint": "ask ops"}
        first = password_of(tmp_path)

    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None) as running:
        assert password_of(tmp_path) == first
        session = running.call("POST", f"{API}/auth/login", {"username": "admin", "password": first}).json()
        assert session["must_change_password"]
        access = session["access_token"]
        assert running.call("GET", f"{API}/repositories", auth=access).status == 403
        change = {"new_password": "chosen with care", "current_password": first}
        assert running.call("POST", f"{API}/users/me/password", change, auth=access).status == 200
        assert not file.exists()
        assert running.call("GET", f"{API}/repositories").status == 200
        assert running.call("GET", f"{API}/users", auth=("admin", "chosen with care")).status == 200
        assert running.call("GET", f"{API}/setup/status").json() == {"setup_required": False}

    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None) as running:
        assert running.call("GET", f"{API}/repositories").status == 200
        assert not file.exists()


def test_a_lost_password_file_is_replaced_at_the_next_start(fresh_postgres_dsn: str, tmp_path: Path) -> None:
    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None):
        lost = password_of(tmp_path)
    (tmp_path / "admin.password").unlink()
    with product(fresh_postgres_dsn, tmp_path, ADMIN_PASSWORD=None) as running:
        new = password_of(tmp_path)
        assert new != lost
        for password, status in ((lost, 401), (new, 200)):
            login = {"username": "admin", "password": password}
            assert running.call("POST", f"{API}/auth/login", login).status == status


def test_two_workers_open_together(fresh_postgres_dsn: str, tmp_path: Path) -> None:
    with product(fresh_postgres_dsn, tmp_path, workers=2, ADMIN_PASSWORD=None) as running:
        assert {running.call("GET", f"{API}/repositories", worker=worker).status for worker in (0, 1)} == {403}
        login = {"username": "admin", "password": password_of(tmp_path)}
        access = running.call("POST", f"{API}/auth/login", login).json()["access_token"]
        change = {"new_password": "chosen with care", "current_password": login["password"]}
        assert running.call("POST", f"{API}/users/me/password", change, auth=access).status == 200
        for worker in (1, 0):
            assert running.call("GET", f"{API}/repositories", worker=worker).status == 200
            assert running.call("GET", f"{API}/auth/me", auth=access, worker=worker).status == 401


@pytest.fixture
def limited(fresh_postgres_dsn: str, tmp_path: Path) -> Iterator[Product]:
    with product(
        fresh_postgres_dsn,
        tmp_path,
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_API_PER_MIN="5",
        RATE_LIMIT_LOGIN_PER_WINDOW="2",
        RATE_LIMIT_PASSWORD_CHANGE_PER_WINDOW="1",
        RATE_LIMIT_EXEMPT_USERNAMES="admin",
    ) as running:
        yield running


def test_whoever_hurries_is_told_when_to_return(limited: Product) -> None:
    answers = [limited.call("GET", f"{API}/system/config") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[0].header("x-ratelimit-limit") == "5"
    assert 0 < int(answers[-1].header("retry-after")) <= 60
    assert set(answers[-1].json()) == {"code", "message"}
    assert limited.call("GET", f"{API}/system/config", client="192.0.2.99").status == 200
    exempt = limited.call("GET", f"{API}/system/config", auth=("admin", "chosen with care"))
    assert (exempt.status, exempt.header("x-ratelimit-exempt")) == (200, "true")


def test_sign_ins_are_limited_by_name_and_address(limited: Product) -> None:
    login = {"username": "nobody", "password": "wrong"}
    answers = [limited.call("POST", f"{API}/auth/login", login).status for _ in range(3)]
    assert answers == [401, 401, 429]
    right = {"username": "admin", "password": "chosen with care"}
    assert limited.call("POST", f"{API}/auth/login", right).status == 200
    assert limited.call("POST", f"{API}/auth/login", login, client="192.0.2.99").status == 401
