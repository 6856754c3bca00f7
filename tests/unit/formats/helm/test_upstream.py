"""Indexes of other chart repositories, and everything about them that may be wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from application.formats.helm.upstream import IndexMalformed, read_index

DIGEST = "ab" * 32


def entry(**told: Any) -> dict[str, Any]:
    return {"apiVersion": "v2", "name": "demo", "version": "1.0.0", "urls": ["demo.tgz"], "digest": DIGEST, **told}


def index(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "entries": {"demo": list(entries)}}


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_an_index_is_read_in_either_spelling(write: Any) -> None:
    told = entry(
        appVersion=1.1, deprecated=True, created="2016-10-06T16:23:20.499814565-06:00", digest=f"sha256:{DIGEST}"
    )
    found = read_index(write(index(told)).encode())
    offer = found["demo-1.0.0.tgz"]
    assert (offer.entry.name, offer.entry.version, offer.entry.sha256) == ("demo", "1.0.0", DIGEST)
    assert offer.entry.created_at.astimezone(UTC) == datetime(2016, 10, 6, 22, 23, 20, 499814, UTC)
    facts = json.loads(offer.entry.facts)
    assert (facts["appVersion"], facts["deprecated"]) == ("1.1", True)
    assert offer.address("https://charts.example/stable/index.yaml") == "https://charts.example/stable/demo.tgz"


def test_what_helm_would_not_take_is_passed_over() -> None:
    bad = [
        entry(version="x"),
        entry(name="../x"),
        entry(urls=[]),
        entry(urls="demo.tgz"),
        entry(urls=["oci://charts.example/demo"]),
        entry(urls=["file:///etc/passwd"]),
        entry(urls=["http://["]),
        entry(removed=True),
        entry(apiVersion="v7"),
        entry(keywords="x"),
    ]
    found = read_index(json.dumps(index(*bad, entry(version="2.0.0"))).encode())
    assert list(found) == ["demo-2.0.0.tgz"]


def test_of_two_charts_at_one_name_the_first_counts() -> None:
    found = read_index(json.dumps(index(entry(), entry(digest="cd" * 32))).encode())
    assert found["demo-1.0.0.tgz"].entry.sha256 == DIGEST


def test_less_is_told_of_less() -> None:
    offer = read_index(json.dumps(index(entry(digest="md5:x", created="soon"))).encode())["demo-1.0.0.tgz"]
    assert (offer.entry.sha256, offer.entry.created_at.year) == ("", 1970)
    assert read_index(b"apiVersion: v1\nentries:\n") == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"[]", b"entries: {}", b"apiVersion: v1\nentries: [a]", b"\xff\xfe"]
)
def test_what_is_no_index_is_refused(body: bytes) -> None:
    with pytest.raises(IndexMalformed):
        read_index(body)
