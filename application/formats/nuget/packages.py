"""Which packages an address names, as of the call."""

from __future__ import annotations

from collections.abc import Iterator

from application.catalogue import ArtifactRow
from application.formats.nuget.dialect import PackageNotFound
from application.formats.nuget.index import Entry
from application.formats.nuget.names import PackageKey, package_key, version_key
from application.formats.nuget.stored import entries_of
from application.wire import Call

_PAGE = 1_000


def package_path(key: str, version: str) -> str:
    """Where an archive is stored. version: normalised, in lower case; spellings that NuGet takes for one collide."""
    return f"{key}/{version}/{key}.{version}.nupkg"


def asked_key(text: str) -> PackageKey:
    """By which the package of that id is known, in whatever case it was typed. Raises PackageNotFound."""
    key = package_key(text)
    if key is None:
        raise PackageNotFound(text)
    return key


def load_package(call: Call, key: PackageKey) -> list[Entry]:
    """Every version, from the lowest on; raises PackageNotFound when there is none."""
    catalogue = call.services.catalogue
    rows = catalogue.artifacts(call.content, key, call.at)
    if not rows:
        raise PackageNotFound(key)
    versions = catalogue.versions(call.content, key, call.at)
    usage = call.services.usage
    downloads = usage.of_versions(call.content, key) if usage is not None else {}
    found = entries_of(rows, versions, call.services.blobs, downloads)
    if not found:
        raise PackageNotFound(key)
    return found


def find_package(call: Call, key: PackageKey) -> list[Entry]:
    """As `load_package`, but empty when there is none."""
    try:
        return load_package(call, key)
    except PackageNotFound:
        return []


def asked_row(call: Call) -> ArtifactRow:
    """The archive that `{id}` and `{version}` in the address name, however they are written. Raises PackageNotFound."""
    text, version = call.params["id"], call.params["version"]
    key, normalized = asked_key(text), version_key(version)
    row = None
    if normalized is not None:
        row = call.services.catalogue.artifact(call.content, package_path(key, normalized), call.at)
    if row is None:
        raise PackageNotFound(text, version)
    return row


def every_key(call: Call) -> Iterator[PackageKey]:
    """The packages of the repository, by their ids."""
    after = ""
    while rows := call.services.catalogue.packages(call.content, call.at, after=after, limit=_PAGE):
        yield from (PackageKey(row.package) for row in rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1].package
