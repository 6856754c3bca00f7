"""Paths of modules and of files in them, escaping, versions and their order, as the go command has them."""

from __future__ import annotations

import pytest

from application.formats.go.address import FileNameInvalid, asked_file, asked_path
from application.formats.go.names import (
    AddressInvalid,
    ModulePathInvalid,
    above,
    escape,
    file_path_fault,
    folded,
    major_suffix,
    parse_module,
    unescape,
)
from application.formats.go.versions import (
    VersionInvalid,
    check_major,
    is_pseudo,
    is_version,
    latest,
    listed,
    order_key,
    parse_version,
)


@pytest.mark.parametrize(
    "path",
    [
        "example.com/demo",
        "example.com",
        "github.com/BurntSushi/toml",
        "example.com/demo/v2",
        "example.com/v",
        "example.com/a~b/_c/-d",
        "gopkg.in/yaml.v3",
        "gopkg.in/yaml.v0",
        "gopkg.in/acme/yaml.v2-unstable",
        "example.com/conf/com10",
    ],
)
def test_paths_that_modules_may_have(path: str) -> None:
    assert parse_module(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "demo",
        "Example.com/demo",
        "-a.com/demo",
        "example.com/",
        "/example.com",
        "example.com//demo",
        "example.com/.demo",
        "example.com/demo.",
        "example.com/../demo",
        "example.com/a b",
        "example.com/é",
        "example.com/a!b",
        "example.com/demo\n",
        "example.com/con",
        "example.com/AUX.txt",
        "example.com/long~1",
        "example.com/demo/v0",
        "example.com/demo/v1",
        "example.com/demo/v02",
        "example.com/demo/v2.0",
        "gopkg.in/yaml",
        "gopkg.in/yaml.v01",
        "example.com/" + "a" * 201,
        "example.com" + "/a" * 300,
    ],
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ModulePathInvalid):
        parse_module(path)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("example.com/demo", ""),
        ("example.com/demo/v2", "/v2"),
        ("example.com/demo/v10", "/v10"),
        ("example.com/demov2", ""),
        ("gopkg.in/yaml.v3", ".v3"),
        ("gopkg.in/yaml.v3-unstable", ".v3"),
        ("example.com/demo/v1", None),
        ("gopkg.in/yaml", None),
    ],
)
def test_the_major_version_that_a_path_names(path: str, suffix: str | None) -> None:
    assert major_suffix(path) == suffix


@pytest.mark.parametrize("path", ["a.go", ".github/x", "-a", "sub dir/ü.txt", "a@[b]{c}~#$%&()+,;=^_".replace(";", "")])
def test_paths_that_files_may_have(path: str) -> None:
    assert file_path_fault(path) is None


@pytest.mark.parametrize(
    "path", ["", "a//b", "./a", "a/..", "a.", "nul", "x/COM1.go", "a:b", "a\\b", "a*", 'a"b', "a\x00", "€", "a" * 1025]
)
def test_paths_of_files_that_are_refused(path: str) -> None:
    assert file_path_fault(path)


def test_what_is_above_a_path() -> None:
    assert above("a.b/c/v2") == ("a.b/c/v2", "a.b/c", "a.b")
    assert above("a.b") == ("a.b",)


def test_capitals_are_escaped_and_nothing_else_is() -> None:
    assert escape("github.com/BurntSushi/toml") == "github.com/!burnt!sushi/toml"
    assert unescape("github.com/!burnt!sushi/toml") == "github.com/BurntSushi/toml"
    for text in ("A", "!A", "a!", "!!a", "!1"):
        with pytest.raises(AddressInvalid):
            unescape(text)


def test_what_file_systems_without_case_confuse_is_folded_alike() -> None:
    assert folded("Straße/ΣΑΣ") == folded("STRAẞE/σας")
    assert folded("strasse") != folded("straße"), "one character stays one"
    assert folded("İ") == "İ"


def test_addresses_name_a_file_of_a_version() -> None:
    asked = asked_file("example.com/!demo", "v1.0.0-!r!c1.mod")
    assert (asked.module, asked.version, asked.extension) == ("example.com/Demo", "v1.0.0-RC1", "mod")
    assert asked.path == "example.com/!demo/@v/v1.0.0-!r!c1.mod"
    assert asked_path(asked.beside("zip")).extension == "zip"
    for name in ("v1.0.0", "v1.0.0.exe", "list", "", ".zip"):
        with pytest.raises((FileNameInvalid, VersionInvalid)):
            asked_file("example.com/demo", name)


@pytest.mark.parametrize("version", ["v1.2.3", "v0.0.0", "v1.2.3-beta.1", "v1.0.0-0a", "v2.0.0+incompatible"])
def test_canonical_versions(version: str) -> None:
    assert parse_version(version) == version


@pytest.mark.parametrize(
    "version",
    ["", "1.2.3", "v1", "v1.2", "v01.2.3", "v1.2.3-01", "v1.2.3-", "v1.2.3+x", "v1.2.3.4", "v1.2.3\n", "v" + "1" * 200],
)
def test_versions_that_are_refused(version: str) -> None:
    with pytest.raises(VersionInvalid):
        parse_version(version)


def test_a_go_mod_may_name_shorter_versions() -> None:
    assert all(map(is_version, ("v1", "v1.2", "v1.2.3+meta", "v1.2.3-x")))
    assert not any(map(is_version, ("", "master", "v1-x", "v1.2.x", "1.2.3")))


@pytest.mark.parametrize(
    ("path", "version", "fits"),
    [
        ("example.com/demo", "v0.1.0", True),
        ("example.com/demo", "v1.9.0", True),
        ("example.com/demo", "v2.0.0", False),
        ("example.com/demo", "v2.0.0+incompatible", True),
        ("example.com/demo", "v1.0.0+incompatible", False),
        ("example.com/demo/v2", "v2.0.0-rc.1", True),
        ("example.com/demo/v2", "v3.0.0", False),
        ("example.com/demo/v2", "v2.0.0+incompatible", False),
        ("gopkg.in/yaml.v3", "v3.0.1", True),
        ("gopkg.in/yaml.v3", "v2.0.0", False),
        ("gopkg.in/yaml.v1", "v0.0.0-20260303101500-abcdefabcdef", True),
    ],
)
def test_the_major_version_agrees_with_the_path(path: str, version: str, *, fits: bool) -> None:
    if fits:
        check_major(parse_module(path), parse_version(version))
    else:
        with pytest.raises(VersionInvalid):
            check_major(parse_module(path), parse_version(version))


def test_versions_that_stand_for_commits() -> None:
    for version in (
        "v0.0.0-20260303101500-abcdefabcdef",
        "v1.2.4-0.20260303101500-abcdefabcdef",
        "v1.2.3-pre.0.20260303101500-abcdefabcdef",
        "v2.0.1-0.20260303101500-abcdefabcdef+incompatible",
    ):
        assert is_pseudo(version), version
    for version in ("v1.0.0", "v1.0.0-20260303101500", "v1.2.0-20260303101500-abcdefabcdef", "v1.0.0-a-b"):
        assert not is_pseudo(version), version


ORDER = [
    "junk",
    "master",
    "v0.0.0-20260303101500-abcdefabcdef",
    "v0.9.0",
    "v1.0.0-1",
    "v1.0.0-2",
    "v1.0.0-10",
    "v1.0.0-a",
    "v1.0.0-a.1",
    "v1.0.0-a.b",
    "v1.0.0-rc.9",
    "v1.0.0-rc.10",
    "v1.0.0",
    "v1.9.0",
    "v1.10.0",
    "v2.0.0+incompatible",
    "v10.0.0+incompatible",
]
"""As golang.org/x/mod/semver sorts them."""


def test_versions_are_ordered_as_the_go_command_orders_them() -> None:
    backwards = ORDER[::-1]
    assert sorted(backwards, key=order_key) == ORDER


def test_the_list_leaves_commits_out() -> None:
    assert listed(["v1.10.0", "v1.9.0", "v1.9.1-0.20260303101500-abcdefabcdef", "v1.10.0-rc.1"]) == [
        "v1.9.0",
        "v1.10.0-rc.1",
        "v1.10.0",
    ]


def test_the_latest_is_a_release_else_a_pre_release_else_the_youngest_commit() -> None:
    old, young = "v1.0.1-0.20250101000000-abcdefabcdef", "v0.0.0-20260101000000-abcdefabcdef"
    known = ["v3.0.0+incompatible", "v1.2.0", "v1.10.0", "v2.0.0-rc.1", "v1.0.0-rc.1", old, young]
    expected = ["v1.10.0", "v1.2.0", "v3.0.0+incompatible", "v2.0.0-rc.1", "v1.0.0-rc.1", young, old]
    for version in expected:
        assert latest(known) == version
        known.remove(version)
    assert latest([]) is None
