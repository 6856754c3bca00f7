"""What a publish amounts to: the crate read for its own manifest, and agreed with what the client said of it.

The archive is the truth; what a client announces besides has to say the same, so that nobody resolves one set of
dependencies and builds another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import BinaryIO, ClassVar

import msgspec

from application.formats.cargo.archive import CrateMalformed, read_files, top_folder
from application.formats.cargo.dependencies import Dependency
from application.formats.cargo.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from application.formats.cargo.upload import Announced
from domain.errors import Invalid

MANIFEST = "Cargo.toml"


class RegistryUnnamed(Invalid):
    """A crate without a request says of a dependency only that it is where cargo looks by default."""

    template: ClassVar[str] = (
        "dependency {name!r} is in the registry that cargo takes by default; which one that is, only a request by "
        "`cargo publish` says"
    )

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:200])


class ManifestMismatch(Invalid):
    """The request and the crate do not speak of the same release."""

    template: ClassVar[str] = "{what}: the request says {announced}, {manifest_name} in the crate says {stated}"

    def __init__(self, what: str, announced: str, stated: str) -> None:
        super().__init__(what=what[:200], announced=announced[:300], stated=stated[:300], manifest_name=MANIFEST)


def read_crate(file: BinaryIO, announced: Announced, own_indexes: Collection[str]) -> Manifest:
    """The release that the crate and the request describe together.

    own_indexes: addresses of the index that is published to, as `registry_address` has them. Dependencies keep the
    registry that the request names, since the crate names every one by the address that its author used.
    Raises CrateMalformed, ManifestMalformed and what that raises, ManifestMismatch.
    """
    manifest = _read_manifest(file, f"{announced.name}-{announced.version}")
    _compare(announced, manifest)
    dependencies = tuple(_at_home(dependency, own_indexes) for dependency in announced.dependencies)
    return msgspec.structs.replace(manifest, dependencies=dependencies)


def read_alone(file: BinaryIO) -> Manifest:
    """The release that a crate describes by itself. Dependencies are from where its author took them.

    Raises CrateMalformed, ManifestMalformed and what that raises, RegistryUnnamed.
    """
    top = top_folder(file)
    manifest = _read_manifest(file, top)
    if top != f"{manifest.name}-{manifest.version}":
        raise CrateMalformed(f"its folder is {top!r}, {MANIFEST} says {manifest.name} {manifest.version}")
    for dependency in manifest.dependencies:
        if dependency.registry is None:
            raise RegistryUnnamed(dependency.name)
    return manifest


def registry_address(url: str) -> str:
    """The address of an index without what its spellings differ in."""
    return url.removeprefix("sparse+").rstrip("/")


def _read_manifest(file: BinaryIO, top: str) -> Manifest:
    found = read_files(file, top, (MANIFEST,), MAX_MANIFEST_BYTES).get(MANIFEST)
    if found is None:
        raise CrateMalformed(f"no {top}/{MANIFEST}")
    return parse_manifest(found)


def _at_home(dependency: Dependency, own_indexes: Collection[str]) -> Dependency:
    """An index calls itself by no name, so that it is the same wherever it is read from."""
    if dependency.registry is None or registry_address(dependency.registry) not in own_indexes:
        return dependency
    return msgspec.structs.replace(dependency, registry=None)


def _compare(announced: Announced, manifest: Manifest) -> None:
    _same("name", announced.name, manifest.name)
    _same("version", announced.version, manifest.version)
    _same("links", announced.links or "nothing", manifest.links or "nothing")
    said, stated = _placed(announced.dependencies), _placed(manifest.dependencies)
    for place in sorted(said.keys() | stated.keys()):
        what = f"{place[0]} dependency {place[2]!r}"
        ours, theirs = said.get(place), stated.get(place)
        if ours is None or theirs is None or ours.substance != theirs.substance:
            raise ManifestMismatch(what, _shown(ours), _shown(theirs))
        if ours.registry is None and theirs.registry is None:
            raise ManifestMismatch(what, "it is in this registry", "it is in the one that cargo takes by default")
    for name in sorted(announced.features.keys() | manifest.features.keys()):
        one, other = announced.features.get(name), manifest.features.get(name)
        if one is None or other is None or set(one) != set(other):
            raise ManifestMismatch(f"feature {name!r}", _listed(one), _listed(other))


def _same(what: str, announced: str, stated: str) -> None:
    if announced != stated:
        raise ManifestMismatch(what, announced, stated)


def _placed(dependencies: Iterable[Dependency]) -> dict[tuple[str, str, str], Dependency]:
    placed: dict[tuple[str, str, str], Dependency] = {}
    for dependency in dependencies:
        if dependency.place in placed:
            raise ManifestMismatch(f"dependency {dependency.name!r}", "it once", "it twice")
        placed[dependency.place] = dependency
    return placed


def _shown(dependency: Dependency | None) -> str:
    """A dependency on one line, with whatever two of them may differ in."""
    if dependency is None:
        return "nothing"
    package, requirement, features, optional, default_features = dependency.substance
    parts = [f"{package} {requirement}", *sorted(features)]
    parts += ["optional"] if optional else []
    parts += [] if default_features else ["without default features"]
    return ", ".join(parts)


def _listed(values: Iterable[str] | None) -> str:
    return "nothing" if values is None else f"[{', '.join(sorted(values))}]"
