"""Putting a package into a repository, however it came: by its protocol, or as a bare file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from application.format import Deposit
from application.formats.rpm.extras import EXTRAS, publish_extra
from application.formats.rpm.fragments import Fragments, make_fragments
from application.formats.rpm.header import read_structure
from application.formats.rpm.integrity import verify
from application.formats.rpm.metadata import Package, package_of
from application.formats.rpm.names import REPODATA, FileNameWrong, NotRpm, named_package, package_path
from application.formats.rpm.stored import FRAGMENTS, encode, facts_of
from application.ports import Spooled, Stored
from application.publishing import MAX_INLINE_METADATA_BYTES, NewFile, Properties, Target
from application.services import Services
from domain.artifact import Precondition

MEDIA_TYPE = "application/x-rpm"


def publish(
    services: Services,
    target: Target,
    spooled: Spooled,
    filename: str = "",
    *,
    properties: Properties | None = None,
    precondition: Precondition | None = None,
) -> tuple[Package, bool]:
    """Publish a package; gives what it is, and whether it is new. The same bytes again change nothing.

    filename: as the client calls it; one that is the name of another package's file is refused, any other one does not
    matter. Raises RpmInvalid, NameInvalid, FileNameWrong, ArtifactExists.
    """
    package = read_whole(spooled)
    own = package.nevra.filename
    if filename not in ("", own) and named_package(filename) is not None:
        raise FileNameWrong(filename, own)
    fragments = make_fragments(package, spooled.sha256, spooled.size_bytes)
    with _metadata(services, package, fragments) as (metadata, blobs):
        new = NewFile(
            path=package_path(own),
            spooled=spooled,
            media_type=MEDIA_TYPE,
            package=package.nevra.name,
            name=package.nevra.name,
            version=package.nevra.evr,
            metadata=metadata,
            blobs=blobs,
            properties=properties or None,
            precondition=precondition,
        )
        receipt = services.publishing.publish(target, [new])
    return package, receipt.position > 0


def read_whole(spooled: Spooled) -> Package:
    """Read a package, and see that nothing of it is missing."""
    with spooled.open() as file:
        structure = read_structure(file)
        package = package_of(structure)
        verify(file, structure, spooled.size_bytes)
    return package


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a package goes where it belongs by what is in it; a document that is uploaded, to its place."""
    directory, _, name = given.path.rpartition("/")
    if f"{directory}/" == REPODATA and name in EXTRAS:
        return publish_extra(given.services, given.target, name, given.spooled)
    if not name.endswith(".rpm"):
        raise NotRpm(given.path)
    package, _ = publish(
        given.services,
        given.target,
        given.spooled,
        name,
        properties=given.properties,
        precondition=given.precondition,
    )
    return package_path(package.nevra.filename)


@contextmanager
def _metadata(
    services: Services, package: Package, fragments: Fragments
) -> Iterator[tuple[bytes, dict[str, Spooled | Stored]]]:
    """The metadata, with the fragments in it; or, where they are too large for that, in a blob of their own."""
    metadata = encode(facts_of(package, fragments))
    if len(metadata) <= MAX_INLINE_METADATA_BYTES:
        yield metadata, {}
        return
    with services.spool.create() as writer:
        writer.write(encode(fragments))
        spooled = writer.finish()
    try:
        yield encode(facts_of(package, None)), {FRAGMENTS: spooled}
    finally:
        services.spool.discard(spooled)
