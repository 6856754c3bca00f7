"""Putting a file into the pool: what it says of itself decides its name and version, and where it may stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from application.catalogue import ArtifactRow
from application.format import Deposit
from application.formats.debian.dialect import VersionTaken
from application.formats.debian.metadata import BinaryPackage, read_binary
from application.formats.debian.names import (
    DEFAULT_COMPONENT,
    POOL,
    NameInvalid,
    PoolFile,
    binary_name,
    checked_component,
    checked_file_name,
    checked_package,
    checked_suite,
    kind_of,
    media_type_of,
    parse_pool_path,
    pool_directory,
)
from application.formats.debian.sources import SourcePackage, read_changes, read_source
from application.formats.debian.stanza import MAX_STANZA_BYTES
from application.formats.debian.stored import (
    CONTENTS_ROLE,
    DISTRIBUTION,
    binary_facts,
    facts_of,
    plain_facts,
    source_facts,
    suites_of,
)
from application.ports import Spooled, Stored
from application.publishing import NewFile, Properties, Target
from application.services import Services
from domain.artifact import Precondition, PreconditionUnmet
from domain.errors import TooLarge

ALGORITHMS = ("md5", "sha1", "sha512")
"""Digests besides SHA-256 that indexes tell."""

_COPY_BYTES = 1 << 20
_NEW = Precondition(none_match=("*",))


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read and has its place. package, version, architecture: empty for what an index does not tell."""

    file: NewFile
    package: str = ""
    version: str = ""
    architecture: str = ""


@contextmanager
def reading(services: Services, content: Spooled | Stored, place: PoolFile) -> Iterator[Placed]:
    """Read what is to be at a place. What was set aside for it is removed at the end of the block, unless it was
    published there. Raises Invalid for what is not what its name says.
    """
    placed = _read(services, content, place)
    try:
        yield placed
    finally:
        _release(services, placed)


@contextmanager
def reading_named(services: Services, content: Spooled | Stored, name: str, component: str) -> Iterator[Placed]:
    """The same for a file that came with a name only, and says itself where it belongs."""
    checked_component(component)
    kind = kind_of(checked_file_name(name))
    if kind == "binary":
        with opened(services, content) as file:
            found = read_binary(file)
        own = binary_name(found.package, found.version, found.architecture, name.rpartition(".")[2])
        place = parse_pool_path(f"{pool_directory(component, found.source)}/{own}")
        placed = _binary(services, content, place, found)
    elif kind == "source":
        source = read_source(_small(services, content, name))
        placed = _source(content, parse_pool_path(f"{pool_directory(component, source.package)}/{name}"), source)
    elif kind == "part":  # `hello_2.10.orig.tar.gz` belongs beside `hello_2.10-3.dsc`
        source_name = checked_package(name.partition("_")[0])
        place = parse_pool_path(f"{pool_directory(component, source_name)}/{name}")
        placed = Placed(file=_plain(content, place))
    else:
        raise NameInvalid("file name", name, "expected a .deb, .udeb, .ddeb, .dsc or source tarball")
    try:
        yield placed
    finally:
        _release(services, placed)


def publish(services: Services, target: Target, placed: Placed, suites: Sequence[str]) -> bool:
    """Publish one file into suites, none meaning all of them; gives whether there was none before.

    The same bytes again are accepted, and further suites are added. Raises ArtifactExists, VersionTaken.
    """
    file = placed.file
    require_new(services, target, [placed], suites)
    row = services.catalogue.artifact(target.repository, file.path)
    if row is None:
        properties = _properties(file.properties, suites)
        new = msgspec.structs.replace(file, properties=properties, precondition=file.precondition or _NEW)
        try:
            services.publishing.publish(target, [new])
        except PreconditionUnmet:
            if file.precondition is not None:
                raise
        else:
            return True
    services.publishing.publish(target, [file])
    _add_suites(services, target, file.path, suites)
    return False


def require_new(services: Services, target: Target, placed: Sequence[Placed], suites: Sequence[str]) -> None:
    """Raise VersionTaken where a suite would have one version of a package with two contents."""
    if target.settings.overwrite == "allow":
        return
    for one in placed:
        if not one.package:
            continue
        for row in services.catalogue.artifacts(target.repository, one.package):
            if row.version != one.version or row.sha256 == one.file.spooled.sha256 or row.path == one.file.path:
                continue
            facts = facts_of(row, services.blobs)
            if facts is not None and facts.architecture == one.architecture and _share(row, suites):
                raise VersionTaken(one.package, one.version, one.architecture, row.path)


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a file at a path of the pool; or a package that says itself where it belongs."""
    suites = [checked_suite(suite) for suite in given.properties.get(DISTRIBUTION, ())]
    if given.path.startswith(f"{POOL}/"):
        read = reading(given.services, given.spooled, parse_pool_path(given.path))
    else:
        name = given.path.rpartition("/")[2]
        read = reading_named(given.services, given.spooled, name, DEFAULT_COMPONENT)
    with read as placed:
        file = msgspec.structs.replace(
            placed.file, properties=given.properties or None, precondition=given.precondition
        )
        publish(given.services, given.target, msgspec.structs.replace(placed, file=file), suites)
    return file.path


def suites_asked(text: str) -> tuple[str, ...]:
    """Suites between commas or blanks; raises NameInvalid."""
    return tuple(dict.fromkeys(map(checked_suite, text.replace(",", " ").split())))


@contextmanager
def opened(services: Services, content: Spooled | Stored) -> Iterator[BinaryIO]:
    """The bytes as a file in which one can move about; those of a far store are copied first."""
    if isinstance(content, Spooled):
        with content.open() as file:
            yield file
        return
    path = services.blobs.local_path(content.sha256)
    if path is not None:
        with services.blobs.open(content.sha256) as file:
            yield file
        return
    with services.spool.create() as writer:
        with services.blobs.open(content.sha256) as far:
            while chunk := far.read(_COPY_BYTES):
                writer.write(chunk)
        spooled = writer.finish()
    try:
        with spooled.open() as file:
            yield file
    finally:
        services.spool.discard(spooled)


def _read(services: Services, content: Spooled | Stored, place: PoolFile) -> Placed:
    match place.kind:
        case "binary":
            with opened(services, content) as file:
                found = read_binary(file)
            return _binary(services, content, place, found)
        case "source":
            return _source(content, place, read_source(_small(services, content, place.name)))
        case "changes":
            read_changes(_small(services, content, place.name))
    return Placed(file=_plain(content, place))


def _plain(content: Spooled | Stored, place: PoolFile) -> NewFile:
    return NewFile(
        path=place.path,
        spooled=content,
        media_type=media_type_of(place.name),
        algorithms=ALGORITHMS,
        metadata=plain_facts(place.kind),
    )


def _binary(services: Services, content: Spooled | Stored, place: PoolFile, found: BinaryPackage) -> Placed:
    metadata, contents = binary_facts(found)
    blobs: dict[str, Spooled | Stored] = {}
    if contents is not None:
        with services.spool.create() as writer:
            writer.write(contents)
            blobs[CONTENTS_ROLE] = writer.finish()
    file = msgspec.structs.replace(
        _plain(content, place),
        package=found.package,
        name=found.package,
        version=found.version,
        metadata=metadata,
        blobs=blobs,
    )
    return Placed(file=file, package=found.package, version=found.version, architecture=found.architecture)


def _source(content: Spooled | Stored, place: PoolFile, found: SourcePackage) -> Placed:
    file = msgspec.structs.replace(
        _plain(content, place),
        package=found.package,
        name=found.package,
        version=found.version,
        metadata=source_facts(found),
    )
    return Placed(file=file, package=found.package, version=found.version, architecture="source")


def _release(services: Services, placed: Placed) -> None:
    for content in placed.file.blobs.values():
        if isinstance(content, Spooled):
            services.spool.discard(content)


def _small(services: Services, content: Spooled | Stored, name: str) -> bytes:
    if content.size_bytes > MAX_STANZA_BYTES:
        raise TooLarge(f"{name}: more than {MAX_STANZA_BYTES} bytes")
    with opened(services, content) as file:
        return file.read(MAX_STANZA_BYTES + 1)


def _properties(given: Properties | None, suites: Sequence[str]) -> Properties | None:
    properties = {**(given or {}), **({DISTRIBUTION: tuple(suites)} if suites else {})}
    return properties or None


def _add_suites(services: Services, target: Target, path: str, suites: Sequence[str]) -> None:
    """What is in every suite already stays there."""

    def change(properties: Properties) -> Properties:
        named = properties.get(DISTRIBUTION, ())
        return {**properties, DISTRIBUTION: tuple(dict.fromkeys((*named, *suites)))} if named else properties

    if suites:
        services.publishing.change_properties(target, [path], change)


def _share(row: ArtifactRow, suites: Sequence[str]) -> bool:
    """Whether an artifact and something in these suites meet in one of them; without suites, in all."""
    named = suites_of(row.properties)
    return not named or not suites or bool({*named} & {*suites})
