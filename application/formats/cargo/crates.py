"""Which crate an address names, and what the catalogue has of it."""

from __future__ import annotations

from application.catalogue import ArtifactRow
from application.formats.cargo.names import (
    CrateKey,
    CrateVersion,
    VersionInvalid,
    crate_key,
    parse_version,
    without_build,
)
from application.formats.cargo.stored import Release, releases
from application.wire import Call
from domain.errors import NotFound


class CrateNotFound(NotFound):
    """No such crate here, or none of its versions is left."""

    template = "crate `{name}` does not exist"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:100])


class VersionNotFound(NotFound):
    """The crate has no such version."""

    template = "crate `{name}` does not have a version `{version}`"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name=name[:100], version=version[:100])


def asked_key(text: str) -> CrateKey:
    """By which the crate of that name is known, in whatever case it was typed. Raises CrateNotFound."""
    key = crate_key(text)
    if key is None:
        raise CrateNotFound(text)
    return key


def crate_path(key: CrateKey, version: CrateVersion) -> str:
    """Where a crate is stored: the same for versions that differ only in build metadata, so that they collide."""
    unique = without_build(version)
    return f"{key}/{unique}/{key}-{unique}.crate"


def load_crate(call: Call, key: CrateKey) -> list[Release]:
    """Every version as of the call; raises CrateNotFound when there is none."""
    catalogue = call.services.catalogue
    rows = catalogue.artifacts(call.content, key, call.at)
    versions = catalogue.versions(call.content, key, call.at) if rows else []
    found = releases(rows, versions, call.services.blobs)
    if not found:
        raise CrateNotFound(key)
    return found


def asked_release(call: Call) -> ArtifactRow:
    """The crate that `{name}/{version}` in the address names, as of the call. Raises CrateNotFound, VersionNotFound."""
    name, version = call.params["name"], call.params["version"]
    key = asked_key(name)
    try:
        path = crate_path(key, parse_version(version))
    except VersionInvalid:
        raise VersionNotFound(name, version) from None
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None or row.version != version:
        raise VersionNotFound(name, version)
    return row
