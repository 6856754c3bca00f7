from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.formats.npm.document import read_document
from application.formats.npm.index import (
    Package,
    SearchHit,
    Signature,
    VersionEntry,
    effective_tags,
    render_abbreviated,
    render_attestations,
    render_dist_tags,
    render_keys,
    render_packument,
    render_search,
    render_version,
    signed_text,
    timestamp,
)
from application.formats.npm.metadata import agree, read_tarball
from application.formats.npm.names import NpmName, order_key
from application.formats.npm.people import Person
from tests.samples.npm import make

GOLDEN = Path(__file__).parents[3] / "golden" / "npm"
BASE = "https://registry.example.org/npm/libs"
START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Person("ada", "ada@example.org")


def entry(name: str, version: str, days: int = 0, **fields: Any) -> VersionEntry:
    """A row as a publish of the sample would leave it."""
    made = {key: fields.pop(key) for key in ("deprecated", "predicate_type", "publisher") if key in fields}
    data = make.tarball({}, name=name, version=version, **fields)
    body = json.dumps(make.document(data, name, version)).encode()
    document = read_document(io.BytesIO(body), io.BytesIO())
    release = agree(document, read_tarball(io.BytesIO(data)), make.digests(data))
    signed = Signature("SHA256:key", f"signed {signed_text(name, version, release.integrity)}")
    return VersionEntry(
        version=release.version,
        manifest=msgspec.Raw(release.manifest),
        abbreviated=msgspec.Raw(release.abbreviated),
        tarball=release.tarball,
        sha1=release.sha1,
        integrity=release.integrity,
        size_bytes=release.size_bytes,
        published_at=START + timedelta(days=days),
        file_count=release.file_count,
        unpacked_bytes=release.unpacked_bytes,
        signatures=(signed,),
        **made,
    )


def sample() -> Package:
    name = "@acme/hello"
    return Package(
        name=NpmName(name),
        revision="42-abc",
        versions=[
            entry(
                name,
                "1.10.0",
                2,
                scripts={"install": "node x"},
                publisher=ADA,
                predicate_type="https://slsa.dev/provenance/v1",
            ),
            entry(name, "1.9.0", 3, deprecated='use "1.10.0"'),
            entry(name, "2.0.0-rc.1", 4, dependencies={"a": "^1.0.0"}, description="the next one"),
        ],
        created_at=START,
        modified_at=START + timedelta(days=5),
        tags={"next": "2.0.0-rc.1", "gone": "1.0.0"},
        removed={"1.0.0": START},
        maintainers=[ADA],
        stars=["bob"],
        readme=make.README,
        readme_file="README.md",
    )


def check_golden(name: str, document: bytes) -> None:
    """Compare with the stored document, member order included; the first run of a new one writes it and fails."""
    path = GOLDEN / name
    pretty = msgspec.json.format(document, indent=1).decode() + "\n"
    if not path.exists():
        path.write_text(pretty)
        pytest.fail(f"{name} is new: look at it, then run again")
    assert pretty == path.read_text()


def test_the_full_packument_is_as_it_was() -> None:
    check_golden("packument.json", render_packument(sample(), BASE))


def test_the_abbreviated_packument_is_as_it_was() -> None:
    check_golden("abbreviated.json", render_abbreviated(sample(), BASE))


def test_a_version_that_was_not_signed_says_nothing_of_signatures() -> None:
    version = msgspec.structs.replace(sample().versions[0], signatures=())
    assert "signatures" not in json.loads(render_version(NpmName("@acme/hello"), version, BASE))["dist"]


def test_keys_are_told_as_clients_import_them() -> None:
    (key,) = json.loads(render_keys([("SHA256:key", b"\x00\xff")]))["keys"]
    assert (key["keyid"], key["key"], key["expires"]) == ("SHA256:key", "AP8=", None)
    assert key["keytype"] == key["scheme"] == "ecdsa-sha2-nistp256"


def test_the_search_document_is_as_it_was() -> None:
    hit = SearchHit(
        name="@acme/hello", version="1.10.0", published_at=START, description="says hello", keywords=["hello"], license="MIT",
        homepage="https://example.org", author=ADA, publisher=ADA, maintainers=[ADA], score=0.5,
    )  # fmt: skip
    check_golden("search.json", render_search([hit, SearchHit("x", "1.0.0", START)], 7, START, BASE))


def test_tarballs_are_addressed_below_the_repository_that_was_asked() -> None:
    package = sample()
    travelled = json.loads(render_abbreviated(package, f"{BASE}@2026-03-03"))
    assert travelled["versions"]["1.9.0"]["dist"]["tarball"] == f"{BASE}@2026-03-03/@acme/hello/-/hello-1.9.0.tgz"
    full = json.loads(render_version(package.name, package.versions[0], BASE))
    assert full["dist"]["tarball"] == f"{BASE}/@acme/hello/-/hello-1.10.0.tgz"
    assert full["dist"]["attestations"]["url"] == f"{BASE}/-/npm/v1/attestations/@acme%2Fhello@1.10.0"


def test_latest_is_the_tag_or_else_the_highest_stable_version() -> None:
    versions = ["1.9.0", "1.10.0", "2.0.0-rc.1"]
    assert effective_tags({}, versions) == {"latest": "1.10.0"}
    assert effective_tags({"latest": "1.9.0"}, versions) == {"latest": "1.9.0"}
    assert effective_tags({"latest": "0.1.0", "next": "2.0.0-rc.1"}, versions) == {
        "latest": "1.10.0",
        "next": "2.0.0-rc.1",
    }
    assert effective_tags({"beta": "2.0.0-rc.1"}, ["2.0.0-rc.1"]) == {"latest": "2.0.0-rc.1", "beta": "2.0.0-rc.1"}
    assert effective_tags({"latest": "1.0.0"}, []) == {}
    assert json.loads(render_dist_tags(sample())) == {"latest": "1.10.0", "next": "2.0.0-rc.1"}


def test_a_packument_repeats_the_latest_versions_own_words() -> None:
    package = msgspec.structs.replace(sample(), tags={"latest": "2.0.0-rc.1"})
    assert json.loads(render_packument(package, BASE))["description"] == "the next one"


def test_a_package_without_versions_still_has_a_document() -> None:
    package = msgspec.structs.replace(sample(), versions=[])
    full = json.loads(render_packument(package, BASE))
    assert (full["versions"], full["dist-tags"]) == ({}, {})
    assert full["time"]["1.0.0"] == "2026-03-01T12:00:00.123Z"
    assert json.loads(render_abbreviated(package, BASE))["versions"] == {}


def test_an_unpublished_version_stays_in_the_times_only() -> None:
    full = json.loads(render_packument(sample(), BASE))
    assert "1.0.0" in full["time"]
    assert "1.0.0" not in full["versions"]
    assert list(full["time"]) == ["created", "modified", "1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"]


def test_a_name_from_an_upstream_is_quoted_in_addresses() -> None:
    name = NpmName("Odd'Name")
    version = msgspec.structs.replace(entry("x", "1.0.0"), tarball="Odd'Name-1.0.0.tgz")
    assert (
        json.loads(render_version(name, version, BASE))["dist"]["tarball"]
        == f"{BASE}/Odd%27Name/-/Odd%27Name-1.0.0.tgz"
    )


def test_attestations_are_served_as_they_were_attached() -> None:
    bundle = make.bundle(b"x").encode()
    assert json.loads(render_attestations([("https://slsa.dev/provenance/v1", bundle)])) == {
        "attestations": [{"predicateType": "https://slsa.dev/provenance/v1", "bundle": json.loads(bundle)}]
    }


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert timestamp(datetime.fromisoformat("2026-03-01T01:02:03+02:00")) == "2026-02-28T23:02:03.000Z"


def test_a_thousand_versions_render_in_a_moment() -> None:
    row = entry("x", "1.0.0")
    versions = [
        msgspec.structs.replace(row, version=f"1.{number}.0", tarball=f"x-1.{number}.0.tgz") for number in range(1000)
    ]
    package = Package(NpmName("x"), "1", versions[::-1], START, START)
    render_abbreviated(package, BASE)
    began = time.perf_counter()
    document = render_abbreviated(package, BASE)
    assert time.perf_counter() - began < 5  # a quadratic one would take minutes
    assert list(json.loads(document)["versions"]) == sorted((row.version for row in versions), key=order_key)
