"""The repository layout."""

from __future__ import annotations

import pytest

from application.formats.maven.names import (
    Build,
    LayoutInvalid,
    directory_package,
    file_path,
    media_type_of,
    parse_file,
    split_checksum,
)

BASE = "com/acme/demo"


@pytest.mark.parametrize(
    ("name", "classifier", "extension"),
    [
        ("demo-1.0.jar", "", "jar"),
        ("demo-1.0.pom", "", "pom"),
        ("demo-1.0.module", "", "module"),
        ("demo-1.0-sources.jar", "sources", "jar"),
        ("demo-1.0-linux-x86_64.so", "linux-x86_64", "so"),
        ("demo-1.0-jdk1.5.jar", "jdk1.5", "jar"),
        ("demo-1.0.tar.gz", "", "tar.gz"),
        ("demo-1.0-bin.tar.bz2", "bin", "tar.bz2"),
        ("demo-1.0.pom.asc", "", "pom.asc"),
        ("demo-1.0-sources.jar.asc", "sources", "jar.asc"),
        ("demo-1.0-bin.tar.xz.asc", "bin", "tar.xz.asc"),
        ("demo-1.0.jar.sigstore.json", "", "jar.sigstore.json"),
        ("demo-1.0.spdx.json", "", "spdx.json"),
        ("demo-1.0-cyclonedx.json", "cyclonedx", "json"),
        ("demo-1.0.7z", "", "7z"),
    ],
)
def test_what_stands_behind_the_version(name: str, classifier: str, extension: str) -> None:
    file = parse_file(f"{BASE}/1.0/{name}")
    assert (file.package, file.version, file.file_version, file.build) == ("com.acme:demo", "1.0", "1.0", None)
    assert (file.classifier, file.extension) == (classifier, extension)
    assert not file.mutable


def test_the_build_of_a_snapshot_is_no_classifier() -> None:
    file = parse_file(f"{BASE}/1.0-SNAPSHOT/demo-1.0-20260303.101500-12-sources.jar")
    assert file.build == Build("20260303.101500", 12)
    assert (file.version, file.file_version) == ("1.0-SNAPSHOT", "1.0-20260303.101500-12")
    assert (file.classifier, file.extension, file.mutable) == ("sources", "jar", False)


def test_a_snapshot_without_a_timestamp_may_change() -> None:
    file = parse_file(f"{BASE}/1.0-SNAPSHOT/demo-1.0-SNAPSHOT-tests.jar")
    assert (file.build, file.classifier, file.mutable) == (None, "tests", True)


def test_a_snapshot_may_have_no_other_version() -> None:
    assert parse_file(f"{BASE}/SNAPSHOT/demo-20260303.101500-1.jar").file_version == "20260303.101500-1"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "demo-1.0.jar",
        "demo/1.0/demo-1.0.jar",
        f"{BASE}/1.0/other-1.0.jar",
        f"{BASE}/1.0/demo-2.0.jar",
        f"{BASE}/1.0/demo-1.0.1.jar",
        f"{BASE}/1.0/demo-1.0",
        f"{BASE}/1.0/demo-1.0.",
        f"{BASE}/1.0/demo-1.0..jar",
        f"{BASE}/1.0/demo-1.0-.jar",
        f"{BASE}/1.0/demo-1.0-sources",
        f"{BASE}/1.0/demo-1.0x.jar",
        f"{BASE}/1.0/demo-1.0.jar.sha1",
        f"{BASE}/1.0/demo-1.0.sha1",
        f"{BASE}/1.0-SNAPSHOT/demo-1.0.jar",
        f"{BASE}/1.0-SNAPSHOT/demo-1.0-2026.101500-1.jar",
        f"{BASE}/1.0-SNAPSHOT/demo-2.0-20260303.101500-1.jar",
        "com.acme/demo/1.0/demo-1.0.jar",
        "com/../demo/1.0/demo-1.0.jar",
        "com/acme/../1.0/..-1.0.jar",
        "com//demo/1.0/demo-1.0.jar",
        "com/ac me/demo/1.0/demo-1.0.jar",
        "com/acme/demo/${revision}/demo-${revision}.jar",
        "com/acme/demo/1.0/demo-1.0-a b.jar",
        "com/acme/dem\u00f6/1.0/dem\u00f6-1.0.jar",
        f"{BASE}/1.0/demo-1.0-{'x' * 300}.jar",
        f"{'a/' * 600}demo/1.0/demo-1.0.jar",
    ],
)
def test_what_is_no_path_of_a_file(path: str) -> None:
    with pytest.raises(LayoutInvalid):
        parse_file(path)


def test_checksums_are_told_by_their_extension() -> None:
    assert split_checksum("a/b.jar.sha1") == ("a/b.jar", "sha1")
    assert split_checksum("a/b.jar.asc.sha512") == ("a/b.jar.asc", "sha512")
    assert split_checksum("a/b.jar") == ("a/b.jar", "")
    assert split_checksum("md5") == ("md5", "")


def test_names_and_directories() -> None:
    assert directory_package("com/acme/demo") == "com.acme:demo"
    assert directory_package("acme") == ":acme"
    assert file_path("com.acme", "demo", "1.0", "pom") == "com/acme/demo/1.0/demo-1.0.pom"


def test_media_types_go_by_the_last_extension() -> None:
    assert media_type_of("jar") == "application/java-archive"
    assert media_type_of("tar.gz") == "application/gzip"
    assert media_type_of("jar.asc") == "application/pgp-signature"
    assert media_type_of("unheard") == "application/octet-stream"
