"""Web pages of other origins: those listed may call the management API, nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product import Product, product

CONSOLE = "https://console.example.org"
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}


@pytest.fixture
def running(fresh_postgres_dsn: str, tmp_path: Path) -> Iterator[Product]:
    with product(fresh_postgres_dsn, tmp_path, CORS_ORIGINS=CONSOLE) as running:
        yield running


def test_a_listed_origin_may_call(running: Product) -> None:
    asked = running.call("OPTIONS", "/api/v1/repositories", headers={"origin": CONSOLE, **ASKED})
    assert asked.status in {200, 204}
    assert asked.header("access-control-allow-origin") == CONSOLE
    assert "authorization" in asked.header("access-control-allow-headers").lower()
    answer = running.call("GET", "/api/v1/repositories", headers={"origin": CONSOLE})
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, CONSOLE)
    refused = running.call("GET", "/api/v1/users", headers={"origin": CONSOLE})
    assert (refused.status, refused.header("access-control-allow-origin")) == (401, CONSOLE), "errors must be readable"


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", f"{CONSOLE}.evil.example.org"])
def test_no_other_origin_may(running: Product, origin: str) -> None:
    answer = running.call("GET", "/api/v1/repositories", headers={"origin": origin})
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") == ""
    asked = running.call("OPTIONS", "/api/v1/repositories", headers={"origin": origin, **ASKED})
    assert asked.header("access-control-allow-origin") == ""


def test_development_lets_pages_of_this_machine_call(running: Product) -> None:
    answer = running.call("GET", "/api/v1/repositories", headers={"origin": "http://127.0.0.1:5173"})
    assert answer.header("access-control-allow-origin") == "http://127.0.0.1:5173"
    assert answer.header("access-control-allow-credentials") == "true"
    near = running.call("GET", "/api/v1/repositories", headers={"origin": "http://127.0.0.1.evil.example.org"})
    assert near.header("access-control-allow-origin") == ""
