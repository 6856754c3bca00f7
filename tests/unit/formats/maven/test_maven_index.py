"""`maven-metadata.xml` at its levels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from application.formats.maven.index import Metadata, Plugin, artifact_metadata, render, snapshot_metadata
from application.formats.maven.names import LayoutFile, parse_file

GOLDEN = Path(__file__).parents[3] / "golden" / "maven"
NOW = datetime(2026, 3, 3, 10, 15, 7, tzinfo=UTC)
LATER = datetime(2026, 3, 4, 8, 0, 0, tzinfo=UTC)
DIRECTORY = "com/acme/demo/1.0-SNAPSHOT"


def file(name: str, at: datetime = NOW) -> tuple[LayoutFile, datetime]:
    return parse_file(f"{DIRECTORY}/demo-1.0-{name}"), at


FILES = [
    file("20260303.101500-1.jar"),
    file("20260303.101500-1.pom"),
    file("20260303.101500-1-sources.jar"),
    file("20260304.080000-2.pom", LATER),
    file("20260304.080000-2.jar", LATER),
]
SNAPSHOT = snapshot_metadata(FILES)
ARTIFACT = artifact_metadata("com.acme", "demo", ["1.10", "1.0-SNAPSHOT", "1.9", "2.0-rc1", "1.9"], NOW)
GROUP = Metadata(plugins=(Plugin("bye", "bye-maven-plugin"), Plugin("hello", "hello-maven-plugin")))


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("artifact", ARTIFACT),
        ("snapshot", SNAPSHOT),
        ("group", GROUP),
        ("both", msgspec.structs.replace(ARTIFACT, plugins=GROUP.plugins)),
    ],
)
def test_the_document_is_exactly_this(name: str, metadata: Metadata) -> None:
    assert render(metadata).decode() == (GOLDEN / f"{name}.xml").read_text()


def test_each_file_of_a_snapshot_is_told_with_its_newest_build() -> None:
    assert SNAPSHOT is not None
    assert SNAPSHOT.snapshot is not None
    assert {(one.classifier, one.extension): one.value for one in SNAPSHOT.snapshot.files} == {
        ("", "jar"): "1.0-20260304.080000-2",
        ("", "pom"): "1.0-20260304.080000-2",
        ("sources", "jar"): "1.0-20260303.101500-1",
    }


def test_builds_of_one_second_are_told_apart_by_their_number() -> None:
    found = snapshot_metadata([file("20260303.101500-10.jar"), file("20260303.101500-9.jar")])
    assert found is not None
    assert found.snapshot is not None
    assert found.snapshot.build_number == 10


def test_builds_win_over_files_without_a_timestamp() -> None:
    found = snapshot_metadata([file("SNAPSHOT.jar", LATER), file("20260303.101500-1.jar"), file("SNAPSHOT.pom")])
    assert found is not None
    assert found.snapshot is not None
    assert [one.value for one in found.snapshot.files] == ["1.0-20260303.101500-1", "1.0-SNAPSHOT"]


def test_files_without_a_timestamp_alone_make_no_build() -> None:
    found = snapshot_metadata([file("SNAPSHOT.jar")])
    assert found is not None
    assert b"<snapshot>" not in render(found)
    assert b"<value>1.0-SNAPSHOT</value>" in render(found)


def test_without_releases_there_is_no_release() -> None:
    document = render(artifact_metadata("com.acme", "demo", ["1.0-SNAPSHOT"], NOW))
    assert b"<release>" not in document
    assert b"<latest>1.0-SNAPSHOT</latest>" in document


def test_nothing_stored_is_no_metadata() -> None:
    assert snapshot_metadata([]) is None
