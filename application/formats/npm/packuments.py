"""Packuments of other registries: read, narrowed, joined, and written anew with whatever is not ours as it came.

Only what must be changed is decoded: packuments of tens of megabytes are ordinary. Pure; any bytes give a packument or
Invalid.
Source: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec

from application.formats.npm.index import LATEST, effective_tags
from application.formats.npm.integrity import digests_of
from application.formats.npm.manifest import ABBREVIATED_FIELDS, INSTALL_SCRIPTS
from application.formats.npm.names import NpmName, NpmVersion, VersionInvalid, highest, order_key, tarball_name
from domain.errors import Invalid

MAX_VERSIONS = 100_000
_WRITTEN = frozenset({"versions", "dist-tags", "time", "_attachments"})
_OF_THE_PACKAGE = ("created", "modified")
_encode = msgspec.json.encode
_T = TypeVar("_T")

Members = dict[str, msgspec.Raw]
"""An object whose values are JSON texts."""


class PackumentMalformed(Invalid):
    """Not a package document."""

    template: ClassVar[str] = "not a package document: {detail}"


class Packument(msgspec.Struct, frozen=True):
    """A package as some registry tells of it. versions: each as JSON, in either form. times: version to when, and
    `created` and `modified`. fields: everything else at its top.
    """

    name: NpmName
    versions: Members
    tags: Mapping[str, str] = {}
    times: Mapping[str, str] = {}
    fields: Members = {}


class Release(msgspec.Struct, frozen=True):
    """One version that can be installed. tarball: an absolute address. members: of its object; dist: of its `dist`."""

    version: NpmVersion
    tarball: str
    members: Members
    dist: Members


class Tarball(msgspec.Struct, frozen=True, array_like=True):
    """Where the file of a version is, and what it must be. alias: the last segment of the address."""

    version: NpmVersion
    url: str
    digests: dict[str, str]
    alias: str
    published: str = ""


def read_packument(body: bytes, name: NpmName) -> Packument:
    """A packument of this package, in either form. Raises PackumentMalformed."""
    fields = _members(body)
    if fields is None:
        raise PackumentMalformed("it is not an object of JSON")
    told = _text(fields.get("name"))
    if told not in {"", name}:
        raise PackumentMalformed(f"it is of {told[:214]!r} and not of {name!r}")
    versions = _members(fields["versions"]) if "versions" in fields else {}
    if versions is None or len(versions) > MAX_VERSIONS:
        raise PackumentMalformed(f"its versions are not an object of at most {MAX_VERSIONS} members")
    return Packument(
        name=name,
        versions={version: manifest for version, manifest in versions.items() if _is_version(version)},
        tags=_texts(fields.get("dist-tags")),
        times=_texts(fields.get("time")),
        fields={field: value for field, value in fields.items() if field not in _WRITTEN},
    )


def releases(packument: Packument, base_url: str) -> Iterator[Release]:
    """The versions that say where their file is. base_url: what relative addresses are relative to."""
    for version, manifest in packument.versions.items():
        members = _members(manifest)
        dist = _members(members["dist"]) if members and "dist" in members else None
        address = _address(base_url, _text(dist.get("tarball"))) if dist else ""
        if members is not None and dist is not None and address:
            yield Release(NpmVersion(version), address, members, dist)


def tarballs(packument: Packument, base_url: str) -> list[Tarball]:
    """The files of all versions."""
    return [
        Tarball(
            version=release.version,
            url=release.tarball,
            digests=digests_of(_text(release.dist.get("integrity")), _text(release.dist.get("shasum"))),
            alias=unquote(urlsplit(release.tarball).path).rpartition("/")[2],
            published=packument.times.get(release.version, ""),
        )
        for release in releases(packument, base_url)
    ]


def tarball_called(files: Sequence[Tarball], name: NpmName, filename: str) -> Tarball | None:
    """The file that goes by this name here, or else at its own registry: lock files may have been made there."""
    found = next((file for file in files if tarball_name(name, file.version) == filename), None)
    return found or next((file for file in files if file.alias == filename), None)


def without(packument: Packument, hidden: Collection[str]) -> Packument:
    """The packument without some versions; `latest` is then the highest that is left below what it was."""
    if not hidden:
        return packument
    versions = {version: manifest for version, manifest in packument.versions.items() if version not in hidden}
    tags = {tag: version for tag, version in packument.tags.items() if version in versions}
    latest = packument.tags.get(LATEST, "")
    if latest in hidden:
        older = highest(version for version in versions if order_key(version) < order_key(latest))
        tags |= {LATEST: older} if older else {}
    times = {what: when for what, when in packument.times.items() if what not in hidden}
    return msgspec.structs.replace(packument, versions=versions, tags=tags, times=times)


def joined(packuments: Sequence[Packument]) -> Packument:
    """Every version once, the first one's; what is said of the package as a whole, tags too, is the first one's."""
    first = packuments[0]
    versions: Members = {}
    times: dict[str, str] = {what: first.times[what] for what in _OF_THE_PACKAGE if what in first.times}
    for packument in packuments:
        for version, manifest in packument.versions.items():
            if version not in versions:
                versions[version] = manifest
                times.pop(version, None)
                times |= {version: packument.times[version]} if version in packument.times else {}
        for former, when in packument.times.items():
            if former not in versions:
                times.setdefault(former, when)
    modified = [packument.times["modified"] for packument in packuments if "modified" in packument.times]
    times |= {"modified": max(modified)} if modified else {}
    ordered = {version: versions[version] for version in sorted(versions, key=order_key)}
    return msgspec.structs.replace(first, versions=ordered, times=times)


# writing


def write_full(packument: Packument, source_url: str, repository_url: str) -> bytes | None:
    """The full document with the addresses of this repository; None when nothing is left to be installed."""
    versions = (
        (release.version, moved_version(packument.name, release, repository_url))
        for release in releases(packument, source_url)
    )
    return write(packument, versions)


def write_abbreviated(packument: Packument, source_url: str, repository_url: str) -> bytes | None:
    """What installs read, made of a full document; None when nothing is left to be installed."""
    fields = {"name": _raw(packument.name)}
    if "modified" in packument.fields or "modified" in packument.times:
        fields["modified"] = packument.fields.get("modified") or _raw(packument.times["modified"])
    short = msgspec.structs.replace(packument, fields=fields, times={})
    versions = (
        (release.version, _abbreviated(packument.name, release, repository_url))
        for release in releases(packument, source_url)
    )
    return write(short, versions)


def write(packument: Packument, versions: Iterable[tuple[str, bytes | msgspec.Raw]]) -> bytes | None:
    """A document with these versions and no others, as they are; None when there are none."""
    out = BytesIO()
    shown: list[str] = []
    out.write(_encode(packument.fields)[:-1])
    out.write(b',"versions":{' if packument.fields else b'"versions":{')
    for version, manifest in versions:
        out.write(b',"%s":' % version.encode() if shown else b'"%s":' % version.encode())
        out.write(manifest)
        shown.append(version)
    if not shown:
        return None
    out.write(b'},"dist-tags":' + _encode(effective_tags(packument.tags, shown)))
    if packument.times:
        out.write(b',"time":' + _encode(packument.times))
    out.write(b"}")
    return out.getvalue()


def moved_version(name: NpmName, release: Release, repository_url: str) -> bytes:
    """The object of a version with the addresses of this repository, its signatures as they came."""
    return _encode({**release.members, "dist": _moved_dist(name, release, repository_url)})


def _abbreviated(name: NpmName, release: Release, repository_url: str) -> bytes:
    members = release.members
    short: dict[str, Any] = {field: members[field] for field in ABBREVIATED_FIELDS if field in members}
    if "bundleDependencies" not in short and "bundledDependencies" in members:
        short["bundleDependencies"] = members["bundledDependencies"]
    if "hasInstallScript" not in short and any(_texts(members.get("scripts")).get(one) for one in INSTALL_SCRIPTS):
        short["hasInstallScript"] = True
    if "_hasShrinkwrap" in members and bytes(members["_hasShrinkwrap"]) == b"true":
        short["_hasShrinkwrap"] = True
    if "deprecated" in members and bytes(members["deprecated"]) not in {b'""', b"false", b"null"}:
        short["deprecated"] = members["deprecated"]
    return _encode({**short, "dist": _moved_dist(name, release, repository_url)})


def _moved_dist(name: NpmName, release: Release, repository_url: str) -> dict[str, Any]:
    path, file_name = quote(name, safe="@/~!*()"), quote(tarball_name(name, release.version), safe="~!*()")
    dist: dict[str, Any] = {**release.dist, "tarball": f"{repository_url}/{path}/-/{file_name}"}
    attestations = _members(release.dist["attestations"]) if "attestations" in release.dist else None
    if attestations is not None and "url" in attestations:
        wanted = quote(f"{name}@{release.version}", safe="@")
        dist["attestations"] = {**attestations, "url": f"{repository_url}/-/npm/v1/attestations/{wanted}"}
    return dist


# reading parts


def _members(data: bytes | msgspec.Raw) -> Members | None:
    """The members of an object; None for anything else."""
    return _decoded(data, Members)


def _text(data: msgspec.Raw | None) -> str:
    """A text; empty for anything else."""
    return (_decoded(data, str) or "") if data is not None else ""


def _texts(data: msgspec.Raw | None) -> dict[str, str]:
    """The members of an object that are texts."""
    return {name: text for name, value in (_members(data) or {}).items() if (text := _text(value))} if data else {}


def _decoded(data: bytes | msgspec.Raw, shape: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _is_version(text: str) -> bool:
    try:
        order_key(text)
    except VersionInvalid:
        return False
    return True


def _address(base_url: str, reference: str) -> str:
    """The absolute address; empty for one that cannot be asked."""
    try:
        address = urljoin(base_url, reference)
        parts = urlsplit(address)
        fits = bool(reference) and parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return ""
    return address if fits and address.isascii() and address.isprintable() and " " not in address else ""
