"""Tarballs that come without npm's own protocol: by the management API, a resumable upload, another mount."""

from __future__ import annotations

import msgspec

from application.format import Deposit
from application.formats.npm.address import artifact_path
from application.formats.npm.dialect import VersionPublished
from application.formats.npm.metadata import alone, read_tarball
from application.formats.npm.names import similarity_key
from application.formats.npm.writing import NameTooSimilar, new_file
from application.publishing import PackageDecision
from domain import package
from domain.claim import NameTaken
from domain.event import Event
from domain.package import Package


def deposit(given: Deposit) -> str:
    """Publish a package tarball; its package.json says what it is and where it goes. No tag moves.

    Raises TarballMalformed, NameInvalid, VersionInvalid, VersionPublished, NameTooSimilar.
    """
    spooled, services, target = given.spooled, given.services, given.target
    with spooled.open() as tarball:
        release = alone(read_tarball(tarball), spooled.digests, spooled.size_bytes)
    name, path = release.name, artifact_path(release.name, release.tarball)
    row = services.catalogue.artifact(target.repository, path)
    if row is not None and row.sha256 != spooled.sha256:
        raise VersionPublished(release.version)

    def decide(state: Package) -> list[Event]:
        return package.deprecate(state, target.repository, name, (release.version,), release.deprecated)

    with new_file(path, release, spooled, services) as file:
        new = msgspec.structs.replace(file, properties=given.properties or None, precondition=given.precondition)
        try:
            services.publishing.publish(target, [new], PackageDecision(name, decide, alone=similarity_key(name)))
        except NameTaken:
            raise NameTooSimilar(name) from None
    return path
