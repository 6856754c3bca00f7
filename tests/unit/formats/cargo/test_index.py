"""Index files and the other documents, as cargo reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from application.formats.cargo.dependencies import Dependency
from application.formats.cargo.index import (
    IndexEntry,
    Owner,
    SearchHit,
    render_config,
    render_index,
    render_owners,
    render_search,
)

NOW = datetime(2026, 3, 3, 12, 0, 0, 999_999, tzinfo=UTC)


def entry(version: str = "1.0.0", **fields: Any) -> IndexEntry:
    return IndexEntry(**{"name": "Demo", "version": version, "sha256": "0" * 64, "published_at": NOW, **fields})


def lines(*entries: IndexEntry) -> list[dict[str, Any]]:
    return [json.loads(line) for line in render_index(entries).splitlines()]


def test_a_line_has_every_member_that_cargo_reads() -> None:
    dependencies = (
        Dependency(name="a", req="^1"),
        Dependency(name="b", req="=0.3", package="real-b", optional=True, default_features=False, features=("x",)),
        Dependency(name="c", req="*", kind="dev", target="cfg(unix)", registry="https://example.org/index"),
    )
    (line,) = lines(entry(dependencies=dependencies, links="z", rust_version="1.70", features={"a": ("b",)}))
    assert line == {
        "name": "Demo",
        "vers": "1.0.0",
        "deps": [
            {
                "name": "a",
                "req": "^1",
                "features": [],
                "optional": False,
                "default_features": True,
                "target": None,
                "kind": "normal",
                "registry": None,
                "package": None,
            },
            {
                "name": "b",
                "req": "=0.3",
                "features": ["x"],
                "optional": True,
                "default_features": False,
                "target": None,
                "kind": "normal",
                "registry": None,
                "package": "real-b",
            },
            {
                "name": "c",
                "req": "*",
                "features": [],
                "optional": False,
                "default_features": True,
                "target": "cfg(unix)",
                "kind": "dev",
                "registry": "https://example.org/index",
                "package": None,
            },
        ],
        "cksum": "0" * 64,
        "features": {"a": ["b"]},
        "yanked": False,
        "links": "z",
        "rust_version": "1.70",
        "pubtime": "2026-03-03T12:00:00Z",
    }


def test_features_that_old_clients_cannot_read_stand_apart_under_a_new_schema() -> None:
    features = {"default": ("std",), "std": (), "dep": ("dep:a",), "weak": ("b?/x", "std")}
    (line,) = lines(entry(features=features))
    assert line["v"] == 2
    assert line["features"] == {"default": ["std"], "std": []}
    assert line["features2"] == {"dep": ["dep:a"], "weak": ["b?/x", "std"]}
    (plain,) = lines(entry(features={"default": ("std",), "x": ("b/x",)}))
    assert "v" not in plain
    assert "features2" not in plain


def test_lines_are_in_the_order_of_publication_and_only_a_yank_changes_one() -> None:
    first, second = entry("2.0.0"), entry("1.0.1", published_at=NOW + timedelta(seconds=5))
    assert [line["vers"] for line in lines(second, first)] == ["2.0.0", "1.0.1"]
    yanked = entry("2.0.0", yanked=True)
    assert render_index([first]).replace(b'"yanked":false', b'"yanked":true') == render_index([yanked])
    assert render_index([first, second]).endswith(b"}\n")


def test_the_configuration_names_addresses_without_a_final_slash() -> None:
    base = "http://registry.example/cargo/libs@7"
    assert json.loads(render_config(base, auth_required=False)) == {"dl": f"{base}/api/v1/crates", "api": base}
    assert json.loads(render_config(base, auth_required=True))["auth-required"] is True


def test_search_results_and_owners_have_the_shape_that_cargo_reads() -> None:
    found = json.loads(render_search([SearchHit("Demo", "1.0.0", "says hello")], 7))
    crate = {"name": "Demo", "max_version": "1.0.0", "description": "says hello"}
    assert found == {"crates": [crate], "meta": {"total": 7}}
    assert json.loads(render_owners([Owner(7, "ada")])) == {"users": [{"id": 7, "login": "ada", "name": None}]}
