"""Names, paths and addresses."""

from __future__ import annotations

import pytest

from application.formats.debian.address import NoSuchIndex, asked_of
from application.formats.debian.names import (
    binary_name,
    checked_architecture,
    checked_suite,
    parse_pool_path,
    pool_directory,
)
from application.formats.debian.versions import checked_version, order_key, upstream_of
from application.wire import Request
from domain.errors import Invalid


def test_packages_go_where_debian_puts_them() -> None:
    assert pool_directory("main", "hello") == "pool/main/h/hello"
    assert pool_directory("main", "libzip") == "pool/main/libz/libzip"
    assert pool_directory("main", "lib") == "pool/main/l/lib"
    assert binary_name("hello", "2:1.0-1", "all") == "hello_1.0-1_all.deb"
    assert upstream_of("2:1.0-rc-1") == "1.0-rc"


@pytest.mark.parametrize(
    ("path", "component", "kind"),
    [
        ("pool/main/h/hello/hello_1_all.deb", "main", "binary"),
        ("pool/main/hello_1%3a2_all.deb".replace("%3a", ":"), "main", "binary"),
        ("pool/non-free-firmware/t/t_1.udeb", "non-free-firmware", "binary"),
        ("pool/main/h/hello_1.dsc", "main", "source"),
        ("pool/main/h/hello_1.orig-doc.tar.xz", "main", "part"),
        ("pool/main/h/hello_1.orig.tar.gz.asc", "main", "part"),
        ("pool/main/h/hello_1.diff.gz", "main", "part"),
        ("pool/main/h/hello_1_amd64.buildinfo", "main", "buildinfo"),
        ("pool/main/h/hello_1_amd64.changes", "main", "changes"),
    ],
)
def test_paths_of_the_pool_are_read(path: str, component: str, kind: str) -> None:
    found = parse_pool_path(path)
    assert (found.component, found.kind, f"{found.directory}/{found.name}") == (component, kind, path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "pool",
        "pool/x.deb",
        "pools/main/x.deb",
        "pool/main/x",
        "pool/main/../x.deb",
        "pool//x.deb",
        "pool/a b/x.deb",
        "pool/main/.x.deb",
        f"pool/main/{'x' * 300}.deb",
        f"pool/main/{'x/' * 600}x.deb",
        "pool/main/x.deb\n",
        "pool/ü/x.deb",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Invalid):
        parse_pool_path(path)


@pytest.mark.parametrize("suite", ["bookworm", "stable/updates", "bookworm-backports", "12.1", "a/b/c/d"])
def test_suites(suite: str) -> None:
    assert checked_suite(suite) == suite


@pytest.mark.parametrize("suite", ["", "/", "a/", "../a", "a/..", "a..b", "a b", "a/by-hash", "a/b/c/d/e", "-a", "a\n"])
def test_no_suites(suite: str) -> None:
    with pytest.raises(Invalid):
        checked_suite(suite)


@pytest.mark.parametrize("architecture", ["any", "source", "linux-any", "any-amd64", "", "AMD64", "amd64\n"])
def test_no_architectures(architecture: str) -> None:
    with pytest.raises(Invalid):
        checked_architecture(architecture)


@pytest.mark.parametrize(
    "text", ["", "1:", ":1", "x:1", "1.0-", "1_0", "-1", "~1", "9999999999:1", "1 ", "1\n", "1" * 201]
)
def test_no_versions(text: str) -> None:
    with pytest.raises(Invalid):
        checked_version(text)


def test_versions_sort_as_the_policy_says() -> None:
    ordered = ["0", "1~~", "1~~a", "1~", "1", "1-0.1", "1-1", "1a", "1+b", "1.0~rc1-1", "1.0-1", "1.9", "1.10", "1:0"]
    assert sorted(sorted(ordered), key=order_key) == ordered
    assert order_key("1.") == order_key("1.0") == order_key("01.00")


def asked(path: str) -> tuple[str, str, str, str, str]:
    request = Request("GET", ("dists", *path.split("/")), {}, (), {}, "", "")
    found = asked_of(request)
    return found.wanted, found.suite, found.directory, found.folder, found.name


def test_addresses_are_read_from_their_end() -> None:
    assert asked("stable/InRelease") == ("InRelease", "stable", "", "", "")
    assert asked("stable/updates/Release.gpg") == ("Release.gpg", "stable/updates", "", "", "")
    directory = "main/binary-amd64"
    assert asked(f"stable/updates/{directory}/Packages.gz") == ("index", "stable/updates", directory, "", "Packages.gz")
    assert asked(f"s/{directory}/Release") == ("stub", "s", directory, "", "Release")
    assert asked("s/main/Contents-amd64.gz") == ("index", "s", "main", "", "Contents-amd64.gz")
    installer = "main/debian-installer/binary-amd64"
    assert asked(f"s/{installer}/by-hash/SHA256/00") == ("hash", "s", installer, "SHA256", "00")


@pytest.mark.parametrize("path", ["Release", "main/Packages", "s/main/binary-any/Packages", "a b/Release", "s/a b/x"])
def test_addresses_that_cannot_be(path: str) -> None:
    with pytest.raises(NoSuchIndex):
        asked(path)
