"""What the documents of a repository say of one package, as pieces of XML that are made once, when it is published.

Source: the output of createrepo_c, https://github.com/rpm-software-management/createrepo_c; there is no other text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

import msgspec

from application.formats.rpm.metadata import DEPENDENCIES, Change, Dependency, Package, PackagedFile, is_primary


class Fragments(msgspec.Struct, frozen=True):
    """Of one package. primary: three parts, between which go the time of its publishing and where it is."""

    primary: tuple[str, str, str]
    filelists: str
    other: str


def make_fragments(package: Package, sha256: str, size_bytes: int) -> Fragments:
    """The pieces for a package with these bytes."""
    return Fragments(
        primary=(_primary_head(package, sha256), _primary_sizes(package, size_bytes), _primary_tail(package)),
        filelists=_listed(package, sha256, "".join(f"  {_file(file)}\n" for file in package.files)),
        other=_listed(package, sha256, "".join(map(_change, package.changes))),
    )


def primary_of(fragments: Fragments, location: str, published_at: int) -> str:
    """The piece of the first document. location: from the repository's root; published_at: seconds since 1970."""
    head, sizes, tail = fragments.primary
    return f"{head}{published_at}{sizes}<location href={quoteattr(location)}/>{tail}"


def _primary_head(package: Package, sha256: str) -> str:
    nevra = package.nevra
    return (
        '<package type="rpm">\n'
        f"  <name>{escape(nevra.name)}</name>\n"
        f"  <arch>{escape(nevra.arch)}</arch>\n"
        f"  {_version(package)}\n"
        f'  <checksum type="sha256" pkgid="YES">{sha256}</checksum>\n'
        f"  <summary>{escape(package.summary)}</summary>\n"
        f"  <description>{escape(package.description)}</description>\n"
        f"  <packager>{escape(package.packager)}</packager>\n"
        f"  <url>{escape(package.url)}</url>\n"
        '  <time file="'
    )


def _primary_sizes(package: Package, size_bytes: int) -> str:
    return (
        f'" build="{package.built_at}"/>\n'
        f'  <size package="{size_bytes}" installed="{package.installed_bytes}" archive="{package.archive_bytes}"/>\n'
        "  "
    )


def _primary_tail(package: Package) -> str:
    start, end = package.header_range
    lines = [
        "",
        "  <format>",
        f"    <rpm:license>{escape(package.license)}</rpm:license>",
        f"    <rpm:vendor>{escape(package.vendor)}</rpm:vendor>",
        f"    <rpm:group>{escape(package.group)}</rpm:group>",
        f"    <rpm:buildhost>{escape(package.build_host)}</rpm:buildhost>",
        f"    <rpm:sourcerpm>{escape(package.source_rpm)}</rpm:sourcerpm>",
        f'    <rpm:header-range start="{start}" end="{end}"/>',
        *_dependencies(package),
        *(f"    {_file(file)}" for file in package.files if is_primary(file.path)),
        "  </format>",
        "</package>\n",
    ]
    return "\n".join(lines)


def _dependencies(package: Package) -> Iterator[str]:
    for kind in DEPENDENCIES:
        if found := package.dependencies.get(kind):
            yield f"    <rpm:{kind}>"
            yield from _entries(found)
            yield f"    </rpm:{kind}>"


def _entries(found: Iterable[Dependency]) -> Iterator[str]:
    for one in found:
        stated = f" flags={quoteattr(one.comparison)}" if one.comparison else ""
        if one.version:
            stated += f' epoch="{one.epoch}" ver={quoteattr(one.version)}'
        if one.release:
            stated += f" rel={quoteattr(one.release)}"
        if one.before:
            stated += ' pre="1"'
        yield f"      <rpm:entry name={quoteattr(one.name)}{stated}/>"


def _listed(package: Package, sha256: str, content: str) -> str:
    nevra = package.nevra
    return (
        f'<package pkgid="{sha256}" name={quoteattr(nevra.name)} arch={quoteattr(nevra.arch)}>\n'
        f"  {_version(package)}\n{content}</package>\n"
    )


def _version(package: Package) -> str:
    nevra = package.nevra
    return f'<version epoch="{nevra.epoch}" ver={quoteattr(nevra.version)} rel={quoteattr(nevra.release)}/>'


def _file(file: PackagedFile) -> str:
    kind = f' type="{file.kind}"' if file.kind else ""
    return f"<file{kind}>{escape(file.path)}</file>"


def _change(change: Change) -> str:
    return f'  <changelog author={quoteattr(change.author)} date="{change.at}">{escape(change.text)}</changelog>\n'
