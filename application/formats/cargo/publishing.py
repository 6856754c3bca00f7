"""A release into the log, however it came: by cargo, or as a bare file by the management API or an upload in parts."""

from __future__ import annotations

import msgspec

from application.format import Deposit
from application.formats.cargo.crates import crate_path
from application.formats.cargo.dialect import VersionTaken
from application.formats.cargo.manifest import Manifest
from application.formats.cargo.metadata import read_alone
from application.formats.cargo.names import CrateKey, CrateName, CrateVersion, similarity_key, without_build
from application.formats.cargo.stored import encode_facts
from application.ports import Spooled
from application.publishing import NewFile, PackageDecision, Target
from application.services import Services
from domain import package
from domain.claim import NameTaken
from domain.errors import Conflict
from domain.event import Event
from domain.package import Package

MEDIA_TYPE = "application/octet-stream"


class NameSpelledOtherwise(Conflict):
    """The crate is there under a name that cargo would take for the same."""

    template = "crate `{name}` cannot be published: a crate is or was called so, in another spelling (case, `-`, `_`)"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


def require_new(
    services: Services, target: Target, name: CrateName, version: CrateVersion, sha256: str | None = None
) -> None:
    """Raise VersionTaken, NameSpelledOtherwise. sha256: of bytes that may be there already; None is of none."""
    key = _key(name)
    path = crate_path(key, version)
    for row in services.catalogue.artifacts(target.repository, key):
        if row.path == path and row.sha256 != sha256:
            raise VersionTaken(name, without_build(version))
        if row.name != name:
            raise NameSpelledOtherwise(name)


def new_crate(manifest: Manifest, crate: Spooled) -> NewFile:
    """The release as a file to publish."""
    key = _key(manifest.name)
    return NewFile(
        path=crate_path(key, manifest.version),
        spooled=crate,
        media_type=MEDIA_TYPE,
        package=key,
        name=manifest.name,
        version=manifest.version,
        metadata=encode_facts(manifest),
        overwrite="burn",
    )


def publish_crate(services: Services, target: Target, file: NewFile) -> None:
    """Publish; whoever publishes the first version of a crate is named as its owner. Raises NameSpelledOtherwise."""
    publisher = target.meta.by

    def decide(state: Package) -> list[Event]:
        if state.owners or publisher is None:
            return []
        return package.set_owners(state, target.repository, file.package, (publisher,))

    try:
        decision = PackageDecision(file.package, decide, alone=similarity_key(file.name))
        services.publishing.publish(target, [file], decision)
    except NameTaken:
        raise NameSpelledOtherwise(file.name) from None


def deposit(given: Deposit) -> str:
    """Publish a bare crate; its Cargo.toml says what it is, and where it goes. The same bytes again change nothing.

    Raises what `read_alone` raises, VersionTaken, NameSpelledOtherwise.
    """
    with given.spooled.open() as file:
        manifest = read_alone(file)
    require_new(given.services, given.target, manifest.name, manifest.version, given.spooled.sha256)
    new = new_crate(manifest, given.spooled)
    new = msgspec.structs.replace(new, properties=given.properties or None, precondition=given.precondition)
    publish_crate(given.services, given.target, new)
    return new.path


def _key(name: CrateName) -> CrateKey:
    return CrateKey(name.lower())
