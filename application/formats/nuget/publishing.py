"""A package into the log, however it came: pushed by a client, or as a bare file by the management API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from application.format import Deposit
from application.formats.nuget.dialect import PackageExists
from application.formats.nuget.metadata import Package, read_package
from application.formats.nuget.packages import package_path
from application.formats.nuget.stored import MANIFEST_ROLE, encode_facts
from application.ports import Spool, Spooled
from application.publishing import NewFile, PackageDecision, Target
from application.services import Services
from domain import package as packages
from domain.event import Event
from domain.package import Package as PackageState

MEDIA_TYPE = "application/octet-stream"
ALGORITHMS = ("sha512",)


def push(services: Services, target: Target, archive: Spooled) -> None:
    """Publish an archive. Raises PackageExists, for the same bytes too, and what `read_package` raises."""
    found = _read(archive)
    path = _path(found)
    if services.catalogue.artifact(target.repository, path) is not None:
        raise PackageExists(found.nuspec.id, found.nuspec.version)
    _publish(services, target, archive, found)


def deposit(given: Deposit) -> str:
    """`Format.deposit`: an archive, whose manifest says where it belongs. The same bytes again change nothing."""
    found = _read(given.spooled)
    _publish(given.services, given.target, given.spooled, found, given)
    return _path(found)


def _publish(
    services: Services, target: Target, archive: Spooled, found: Package, given: Deposit | None = None
) -> None:
    """Whoever publishes the first version of a package is named as its owner."""
    publisher = target.meta.by

    def decide(state: PackageState) -> list[Event]:
        if state.owners or publisher is None:
            return []
        return packages.set_owners(state, target.repository, found.nuspec.key, (publisher,))

    with _new_file(found, archive, services.spool) as file:
        new = file
        if given is not None:
            new = msgspec.structs.replace(file, properties=given.properties or None, precondition=given.precondition)
        services.publishing.publish(target, [new], PackageDecision(found.nuspec.key, decide))


def _read(archive: Spooled) -> Package:
    with archive.open() as file:
        return read_package(file)


def _path(found: Package) -> str:
    return package_path(found.nuspec.key, found.nuspec.parsed_version.normalized.lower())


@contextmanager
def _new_file(found: Package, archive: Spooled, spool: Spool) -> Iterator[NewFile]:
    """The package as a file to publish; its manifest and what it shows are spooled until the block ends."""
    blobs: dict[str, Spooled] = {}
    try:
        for role, content in {MANIFEST_ROLE: found.manifest, **found.shown}.items():
            with spool.create() as writer:
                writer.write(content)
                blobs[role] = writer.finish()
        yield NewFile(
            path=_path(found),
            spooled=archive,
            media_type=MEDIA_TYPE,
            package=found.nuspec.key,
            name=found.nuspec.id,
            version=found.nuspec.parsed_version.normalized,
            algorithms=ALGORITHMS,
            metadata=encode_facts(found),
            blobs=dict(blobs),
            overwrite="burn",
        )
    finally:
        for extra in blobs.values():
            spool.discard(extra)
