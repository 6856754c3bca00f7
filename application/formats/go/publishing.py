"""A version into the log, however it came: as a zip at its address, or as a bare one that says what it is."""

from __future__ import annotations

from typing import ClassVar

from application.format import Deposit
from application.formats.go.address import Asked, asked_path
from application.formats.go.archive import MAX_ZIP_BYTES, top_folder
from application.formats.go.beside import forget_held, require_held
from application.formats.go.metadata import encode_facts, read_release
from application.formats.go.names import parse_module
from application.formats.go.stored import GO_MOD_ROLE
from application.formats.go.versions import parse_version
from application.ports import Spooled
from application.publishing import NewFile, Properties, Target
from application.services import Services
from domain.artifact import Precondition
from domain.errors import Invalid, TooLarge

ZIP_TYPE = "application/zip"


class ZipUnnamed(Invalid):
    """A file came without an address, and does not say of which version it is."""

    template: ClassVar[str] = (
        "{path}: give the path {{module}}/@v/{{version}}.zip, or a zip whose files are below {{module}}@{{version}}/"
    )

    def __init__(self, path: str) -> None:
        super().__init__(path=path[:300])


def publish_zip(
    services: Services,
    target: Target,
    asked: Asked,
    spooled: Spooled,
    *,
    properties: Properties | None = None,
    precondition: Precondition | None = None,
) -> bool:
    """Publish a version; gives whether there was none. The same bytes again change nothing.

    A go.mod and an info that came before are compared and taken up. Raises TooLarge, what `read_release` raises,
    GoModMismatch, ArtifactExists, ArtifactBurnt.
    """
    if spooled.size_bytes > MAX_ZIP_BYTES:
        raise TooLarge(f"the zip of a module has at most {MAX_ZIP_BYTES} bytes")
    with spooled.open() as file:
        release = read_release(file, asked.module, asked.version)
    stated = {**(properties or {}), **require_held(services, target, asked, release)}
    existed = services.catalogue.artifact(target.repository, asked.path) is not None
    with services.spool.create() as writer:
        writer.write(release.go_mod)
        go_mod = writer.finish()
    new = NewFile(
        path=asked.path,
        spooled=spooled,
        media_type=ZIP_TYPE,
        package=asked.module,
        name=asked.module,
        version=asked.version,
        metadata=encode_facts(release),
        blobs={GO_MOD_ROLE: go_mod},
        overwrite="burn",
        properties=stated or None,
        precondition=precondition,
    )
    try:
        services.publishing.publish(target, [new])
    finally:
        services.spool.discard(go_mod)
    forget_held(services, target, asked)
    return not existed


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a zip at the path of a version, or one that says itself of which version it is.

    Raises ZipUnnamed and what `publish_zip` raises.
    """
    asked = _asked(given)
    publish_zip(
        given.services,
        given.target,
        asked,
        given.spooled,
        properties=given.properties or None,
        precondition=given.precondition,
    )
    return asked.path


def _asked(given: Deposit) -> Asked:
    try:
        asked = asked_path(given.path)
    except Invalid:
        with given.spooled.open() as file:
            module, version = top_folder(file)
        if not version:
            raise ZipUnnamed(given.path) from None
        return Asked(parse_module(module), parse_version(version), "zip")
    if asked.extension != "zip":
        raise ZipUnnamed(given.path)
    return asked
