"""Putting a file where the layout wants it: what is checked, and what follows for its group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from application.catalogue import Catalogue
from application.format import Deposit
from application.formats.maven.checksums import require_announced, take_held_away
from application.formats.maven.jars import PluginDescriptor, read_origin, read_plugin
from application.formats.maven.metadata import MAX_POM_BYTES, Pom, agree, encode_facts, parse_pom
from application.formats.maven.names import (
    METADATA,
    LayoutFile,
    LayoutInvalid,
    directory_package,
    file_path,
    group_directory,
    media_type_of,
    parse_file,
    split_checksum,
)
from application.pointing import Pointer
from application.ports import Spooled
from application.publishing import NewFile, PackageDecision, Properties, Target
from application.services import Services
from domain import package
from domain.artifact import Precondition
from domain.errors import Invalid, TooLarge

ALGORITHMS = ("md5", "sha1", "sha512")
"""Digests besides SHA-256 that clients ask for."""


class NoCoordinates(Invalid):
    """A file came without a place, and does not say where it belongs."""

    template = (
        "{path}: give the path {{group}}/{{artifact}}/{{version}}/{{artifact}}-{{version}}.{{extension}}; {reason}"
    )

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path=path[:300], reason=reason)


def publish(
    services: Services,
    target: Target,
    file: LayoutFile,
    spooled: Spooled,
    *,
    properties: Properties | None = None,
    precondition: Precondition | None = None,
) -> bool:
    """Publish one file; gives whether there was none before. The same bytes again are accepted and change nothing.

    Raises Invalid for a POM that is none or that belongs elsewhere, and for bytes that do not have the digest that was
    announced for them; ArtifactExists for other bytes of a release.
    """
    metadata = _checked_pom(file, spooled) if file.main and file.extension == "pom" else b"{}"
    require_announced(services, target, file.path, spooled)
    existed = services.catalogue.artifact(target.repository, file.path) is not None
    new = NewFile(
        path=file.path,
        spooled=spooled,
        media_type=media_type_of(file.extension),
        package=file.package,
        name=file.package,
        version=file.version,
        algorithms=ALGORITHMS,
        metadata=metadata,
        overwrite="replace" if file.mutable else "never",
        properties=properties or None,
        precondition=precondition,
    )
    services.publishing.publish(target, [new], _prefix_decision(target, file, spooled))
    # once more: one that came meanwhile did not see the file, so this sees it
    take_held_away(services, target, require_announced(services, target, file.path, spooled))
    return not existed


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a file at a path of the layout; or a POM or a jar that says itself where it belongs."""
    base, algorithm = split_checksum(given.path)
    if algorithm or base.rpartition("/")[2] == METADATA:
        raise LayoutInvalid(given.path, "checksums and metadata are generated here, and not uploaded")
    try:
        file = parse_file(given.path)
    except LayoutInvalid:
        file = parse_file(_own_path(given))
    publish(
        given.services,
        given.target,
        file,
        given.spooled,
        properties=given.properties,
        precondition=given.precondition,
    )
    return file.path


def plugin_prefixes(catalogue: Catalogue, repository: UUID, packages: Sequence[str]) -> Iterator[Pointer]:
    """`Format.pointers`: the prefixes by which artifacts are called as plugins."""
    for name in packages:
        group, _, artifact = name.partition(":")
        holder = directory_package(group_directory(group))
        for prefix, called in catalogue.marks(repository, holder, "tag").items():
            if called == artifact:
                yield Pointer(holder, prefix, artifact, name)


def _prefix_decision(target: Target, file: LayoutFile, spooled: Spooled) -> PackageDecision | None:
    """A plugin's jar says by which prefix it is called. What it says of other artifacts than itself is not believed.

    The prefixes of a group are kept as tags of the package whose metadata has the same address, so that everything in
    one document has one scope: `com.acme.tools` is where an artifact `tools` of `com.acme` would be.
    """
    if not (file.main and file.extension == "jar"):
        return None
    with spooled.open() as jar:
        plugin = read_plugin(jar)
    if plugin is None or not _is_own(plugin, file):
        return None
    name = directory_package(group_directory(file.group))
    return PackageDecision(
        name, lambda state: package.set_tag(state, target.repository, name, plugin.prefix, file.artifact)
    )


def _is_own(plugin: PluginDescriptor, file: LayoutFile) -> bool:
    return (plugin.group, plugin.artifact) == (file.group, file.artifact)


def _checked_pom(file: LayoutFile, spooled: Spooled) -> bytes:
    pom = _read_pom(spooled, file.path)
    agree(pom, file)
    return encode_facts(pom)


def _read_pom(spooled: Spooled, path: str) -> Pom:
    if spooled.size_bytes > MAX_POM_BYTES:
        raise TooLarge(f"{path}: a POM has at most {MAX_POM_BYTES} bytes")
    with spooled.open() as file:
        return parse_pom(file.read(), path)


def _own_path(given: Deposit) -> str:
    """Where a file belongs by what is written in it."""
    extension = given.path.rpartition(".")[2]
    if extension in {"pom", "xml"}:
        pom = _read_pom(given.spooled, given.path)
        return file_path(pom.group, pom.artifact, pom.version, "pom")
    if extension == "jar":
        with given.spooled.open() as jar:
            origin = read_origin(jar)
        if origin is not None:
            return file_path(origin.group, origin.artifact, origin.version, "jar")
        raise NoCoordinates(given.path, "the jar does not tell of one project in META-INF/maven")
    raise NoCoordinates(given.path, "only POMs and jars can say themselves where they belong")
