"""A repository that may hold so much and no more."""

from __future__ import annotations

from pathlib import Path

from tests.integration.product import product


def test_what_does_not_fit_is_refused_and_what_is_taken_away_makes_room(postgres_dsn: str, tmp_path: Path) -> None:
    with product(postgres_dsn, tmp_path) as running:
        running.repository("files", "generic", quota_bytes=100)
        assert running.done("GET", "/api/v1/repositories/files")["quota_bytes"] == 100
        running.done("PUT", "/generic/files/a.txt", b"x" * 60)
        refused = running.call("PUT", "/generic/files/b.txt", b"x" * 41, auth=running.admin)
        assert (refused.status, b"holds 60 of 100 bytes" in refused.body) == (507, True), refused.body
        running.done("PUT", "/generic/files/b.txt", b"x" * 40)
        running.done("DELETE", "/generic/files/a.txt")
        running.done("PUT", "/generic/files/c.txt", b"x" * 60)
        running.done("PATCH", "/api/v1/repositories/files", {"quota_bytes": None})
        running.done("PUT", "/generic/files/d.txt", b"x" * 600)
        for quota in (-1, 101 << 40):
            body = {"quota_bytes": quota}
            assert running.call("PATCH", "/api/v1/repositories/files", body, auth=running.admin).status == 400
