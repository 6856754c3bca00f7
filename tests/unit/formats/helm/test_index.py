from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import yaml

from application.formats.helm.index import Entry, render_charts, render_index, render_versions

NOW = datetime(2026, 3, 3, 10, 15, tzinfo=UTC)


def entry(name: str, version: str, **facts: str) -> Entry:
    body = json.dumps({"apiVersion": "v2", "name": name, "version": version, **facts}).encode()
    return Entry(name, version, body, f"{name}-{version}.tgz", "ab" * 32, NOW)


ENTRIES = [
    entry("b", "1.0.0"),
    entry("a", "1.9.0"),
    entry("a", "1.10.0+x", appVersion="1.10"),
    entry("a", "2.0.0-rc.1"),
]


def test_an_empty_index_is_one_that_helm_reads() -> None:
    assert json.loads(render_index([], NOW)) == {
        "apiVersion": "v1",
        "entries": {},
        "generated": "2026-03-03T10:15:00.000000Z",
    }


def test_charts_are_told_by_name_and_their_versions_newest_first() -> None:
    body = render_index(ENTRIES, NOW)
    index = json.loads(body)
    assert list(index["entries"]) == ["a", "b"]
    assert [one["version"] for one in index["entries"]["a"]] == ["2.0.0-rc.1", "1.10.0+x", "1.9.0"]
    assert index["entries"]["a"][1] == {
        "apiVersion": "v2",
        "name": "a",
        "version": "1.10.0+x",
        "appVersion": "1.10",
        "urls": ["charts/a-1.10.0%2Bx.tgz"],
        "created": "2026-03-03T10:15:00.000000Z",
        "digest": "ab" * 32,
    }
    assert yaml.safe_load(body)["entries"].keys() == {"a", "b"}, "JSON is YAML"


def test_the_same_charts_give_the_same_bytes() -> None:
    assert render_index(ENTRIES, NOW) == render_index(ENTRIES[::-1], NOW.astimezone())
    assert render_index(ENTRIES, NOW) != render_index(ENTRIES, NOW + timedelta(seconds=1))


def test_the_api_gives_pages_of_charts() -> None:
    assert list(json.loads(render_charts(ENTRIES, 0, None))) == ["a", "b"]
    assert list(json.loads(render_charts(ENTRIES, 1, 1))) == ["b"]
    assert json.loads(render_charts(ENTRIES, 5, 1)) == {}
    assert [one["version"] for one in json.loads(render_versions(ENTRIES[:1]))] == ["1.0.0"]
