"""The page that describes the API: it needs nothing from elsewhere, and says what every route answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product import Product, product


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("docs")) as running:
        yield running


def test_the_page_and_its_parts_come_from_here(running: Product) -> None:
    page = running.call("GET", "/api/v1/docs")
    assert (page.status, page.header("content-type").split(";")[0]) == (200, "text/html")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert len(parts) == 3
    for part in parts:
        assert "//" not in part
        answer = running.call("GET", f"/api/v1/{part}")
        assert answer.status == 200
        assert len(answer.body) > 50
    assert "default-src 'self';" in page.header("content-security-policy")
    assert running.call("GET", "/api/v1/docs/other.js").status == 404


def test_every_route_says_in_a_line_what_it_does(running: Product) -> None:
    description = json.loads(running.call("GET", "/api/v1/openapi.json").body)
    silent = [
        f"{method} {path}"
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in {"get", "put", "post", "patch", "delete", "head"} and " " not in operation.get("summary", "")
    ]
    assert silent == []


def test_production_does_not_describe_itself_unless_asked(fresh_postgres_dsn: str, tmp_path: Path) -> None:
    with product(fresh_postgres_dsn, tmp_path, ENVIRONMENT="production") as quiet:
        assert quiet.call("GET", "/api/v1/docs").status == 404
        assert quiet.call("GET", "/api/v1/openapi.json").status == 404


def test_the_address_itself_shows_what_may_be_read_and_where_clients_find_it(running: Product) -> None:
    running.repository("seen", "pypi")
    running.repository("hidden", "npm", public=False)
    page = running.call("GET", "/")
    assert (page.status, page.header("content-type").split(";")[0]) == (200, "text/html")
    assert b"/pypi/seen/" in page.body
    assert b"hidden" not in page.body
    assert b"/npm/hidden/" in running.call("GET", "/", auth=running.admin).body
