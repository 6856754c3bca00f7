"""`maven-metadata.xml` of others, and several as one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from application.formats.maven.index import Metadata, Plugin, Snapshot, SnapshotFile, render
from application.formats.maven.upstream import merged, read_metadata
from application.xml_reader import XmlInvalid

EARLY, LATE = datetime(2026, 3, 3, 10, 15, tzinfo=UTC), datetime(2026, 3, 4, 8, tzinfo=UTC)
OLD_BUILD, NEW_BUILD = "1.0-20260303.101500-1", "1.0-20260304.080000-2"


def snapshot(timestamp: str, number: int, *files: SnapshotFile, at: datetime = EARLY) -> Metadata:
    found = Snapshot(timestamp, number, files, at)
    return Metadata(group="g", artifact="a", version="1.0-SNAPSHOT", snapshot=found, updated_at=at)


def jar(value: str, at: datetime, classifier: str = "") -> SnapshotFile:
    return SnapshotFile(classifier, "jar", value, at)


OLD = snapshot("20260303.101500", 1, jar(OLD_BUILD, EARLY), jar(OLD_BUILD, EARLY, "sources"))
NEW = snapshot("20260304.080000", 2, jar(NEW_BUILD, LATE), at=LATE)
LEGACY = snapshot("20260305.000000", 7, at=LATE)


def test_what_is_rendered_is_read_back() -> None:
    plugins = (Plugin("a", "a-maven-plugin"), Plugin("b", "b-maven-plugin"))
    versions = Metadata(group="g", artifact="a", versions=("1.0", "1.1"), plugins=plugins, updated_at=EARLY)
    for document in (versions, OLD, NEW, LEGACY):
        assert read_metadata(render(document)) == document


def test_documents_that_say_little_are_understood() -> None:
    assert read_metadata(b"<metadata/>") == Metadata()
    old = b"<metadata><versioning><snapshot><buildNumber>3</buildNumber></snapshot></versioning></metadata>"
    found = read_metadata(old).snapshot
    assert found is not None
    assert (found.timestamp, found.build_number, found.files) == ("", 3, ())
    dotted = b"<metadata><versioning><lastUpdated>20260303.101500</lastUpdated></versioning></metadata>"
    assert read_metadata(dotted).updated_at == EARLY


def test_what_no_path_can_have_is_left_out() -> None:
    found = read_metadata(
        b"<metadata><versioning><lastUpdated>soon</lastUpdated><snapshot><timestamp>../x</timestamp>"
        b"<buildNumber>99999999999999999999</buildNumber></snapshot><versions><version>1.0</version><version>../2"
        b"</version><version/><version> 1.0 </version></versions><snapshotVersions><snapshotVersion><extension>jar"
        b"</extension><value>a/b</value></snapshotVersion></snapshotVersions></versioning><plugins><plugin><prefix>x y"
        b"</prefix><artifactId>z</artifactId></plugin></plugins></metadata>"
    )
    assert (found.versions, found.plugins, found.updated_at) == (("1.0",), (), None)
    assert found.snapshot is not None
    assert (found.snapshot.timestamp, found.snapshot.build_number, found.snapshot.files) == ("", 0, ())


@pytest.mark.parametrize("data", [b"", b"<project/>", b"<metadata>", b"<!DOCTYPE metadata><metadata/>"])
def test_what_is_no_metadata_is_refused(data: bytes) -> None:
    with pytest.raises(XmlInvalid):
        read_metadata(data)


def test_versions_are_united_and_put_in_their_order() -> None:
    one = Metadata(group="g", artifact="a", versions=("1.10", "1.2"), updated_at=LATE)
    other = Metadata(versions=("1.9", "1.2", "2.0-SNAPSHOT"), updated_at=EARLY)
    found = merged([other, one])
    assert found.versions == ("1.2", "1.9", "1.10", "2.0-SNAPSHOT")
    assert (found.group, found.artifact, found.updated_at) == ("g", "a", LATE)
    assert b"<release>1.10</release>" in render(found)


@pytest.mark.parametrize("documents", [[OLD, NEW], [NEW, OLD]])
def test_the_newest_build_of_each_file_is_told(documents: list[Metadata]) -> None:
    found = merged(documents).snapshot
    assert found is not None
    assert (found.timestamp, found.build_number, found.updated_at) == ("20260304.080000", 2, LATE)
    assert [(file.classifier, file.value) for file in found.files] == [("", NEW_BUILD), ("sources", OLD_BUILD)]


def test_a_newer_build_that_tells_of_no_files_is_not_hidden_by_older_files() -> None:
    found = merged([OLD, LEGACY])
    assert found.snapshot == Snapshot("20260305.000000", 7, (), LATE)
    assert b"snapshotVersions" not in render(found)


def test_a_prefix_and_an_artifact_are_the_first_members() -> None:
    ours = Metadata(plugins=(Plugin("hello", "hello-maven-plugin"),))
    theirs = Metadata(
        plugins=(Plugin("hello", "evil"), Plugin("hi", "hello-maven-plugin"), Plugin("more", "more-maven-plugin"))
    )
    found = merged([ours, theirs]).plugins
    assert found == (Plugin("hello", "hello-maven-plugin"), Plugin("more", "more-maven-plugin"))
