"""Packages read from their archives, and everything about them that may be wrong."""

from __future__ import annotations

import io

import pytest

from application.formats.nuget.metadata import Dependency, DependencyGroup, Package, SymbolsRefused, read_package
from domain.errors import Invalid
from tests.samples.nuget import make


def read(data: bytes) -> Package:
    return read_package(io.BytesIO(data))


def test_every_field_of_a_manifest_is_read() -> None:
    body = (
        '<license type="expression">MIT OR Apache-2.0</license><icon>images\\icon.png</icon><readme>docs/README.md</readme>'
        '<packageTypes><packageType name="DotnetTool" /></packageTypes>'
    )
    dependencies = make.dependencies(net45=[("A", "1.0")], netstandard2_0=[])
    data = make.package(
        "Demo.Pkg",
        "1.02.0.0-Beta.1+abc",
        body=body + dependencies,
        attributes=' minClientVersion="2.12"',
        extra={"images/icon.png": make.PNG, "docs/README.md": b"# Hello", ".signature.p7s": b"x"},
        title="Demo",
        tags="one,two three",
        requireLicenseAcceptance="true",
        projectUrl="https://example.org",
    )
    package = read(data)
    found = package.nuspec
    assert (found.id, found.key, found.version) == ("Demo.Pkg", "demo.pkg", "1.2.0-Beta.1+abc")
    assert (found.title, found.authors, found.tags) == ("Demo", "Ada, Bob", "one two three")
    assert (found.license_expression, found.license_file) == ("MIT OR Apache-2.0", "")
    assert (found.min_client_version, found.package_types) == ("2.12", ("DotnetTool",))
    assert found.require_license_acceptance
    assert found.groups == (
        DependencyGroup(framework="net45", dependencies=(Dependency(id="A", range="[1.0.0, )"),)),
        DependencyGroup(framework="netstandard2.0"),
    )
    assert package.signed
    assert package.shown == {"icon": make.PNG, "readme": b"# Hello"}
    assert found.is_semver2


def test_flat_dependencies_are_one_group() -> None:
    package = read(make.package(body=make.dependencies(("A", ""), ("B", "[1.0,2.0-a.b)"))))
    assert package.nuspec.groups == (
        DependencyGroup(dependencies=(Dependency(id="A"), Dependency(id="B", range="[1.0.0, 2.0.0-a.b)"))),
    )
    assert package.nuspec.is_semver2, "a range that old clients cannot read"
    assert not read(make.package()).nuspec.is_semver2


def test_what_a_manifest_names_and_is_not_there_is_not_shown() -> None:
    body = '<license type="file">LICENSE.txt</license><icon>none.png</icon><readme>big.md</readme>'
    data = make.package(body=body, extra={"LICENSE.txt": b"MIT", "big.md": bytes(2 << 20)})
    assert read(data).shown == {"license": b"MIT"}


@pytest.mark.parametrize("data", make.REFUSED.values(), ids=make.REFUSED)
def test_what_is_no_package_or_could_be_two_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read(data)


def test_symbols_are_refused_with_the_way_to_push_without_them() -> None:
    with pytest.raises(SymbolsRefused, match="NoSymbols"):
        read(make.REFUSED["symbols"])


def test_a_damaged_archive_is_refused_wherever_it_breaks() -> None:
    data = make.package()
    for cut in range(0, len(data), 23):
        with pytest.raises(Invalid):
            read(data[:cut])
