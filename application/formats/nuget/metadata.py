"""What a package says of itself: the one manifest in the root of its archive, and the files that it shows.

Source: https://learn.microsoft.com/nuget/reference/nuspec
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, ClassVar
from urllib.parse import unquote

import msgspec

from application.archives.zips import Member, ZipLimits, walk
from application.formats.nuget.names import (
    NugetVersion,
    PackageKey,
    VersionInvalid,
    normalized_range,
    parse_id,
    parse_range,
    parse_version,
)
from application.xml_reader import Element, parse_xml
from domain.errors import Invalid

MAX_NUSPEC_BYTES = 1 << 20
MAX_SHOWN_BYTES = 1 << 20
MAX_DEPENDENCIES = 5_000
MAX_NAME_CHARS = 256
_MAX_TEXT_CHARS = 35_000
_SIGNATURE = ".signature.p7s"
_SYMBOLS = "SymbolsPackage"
_LIMITS = ZipLimits(max_unpacked_bytes=16 << 30, ratio=100)
_SHOWN = ("readme", "icon", "license")


class PackageInvalid(Invalid):
    """The file is no package, or not one that NuGet would install."""

    template: ClassVar[str] = "not a NuGet package: {problem}"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem[:300])


class SymbolsRefused(Invalid):
    """Symbols came where packages are taken."""

    template: ClassVar[str] = "symbol packages are not kept here; push the package alone (-NoSymbols)"

    def __init__(self) -> None:
        super().__init__()


class Dependency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another package that is needed. range: as documents tell it; include, exclude: assets."""

    id: str
    range: str = "(, )"
    include: str = ""
    exclude: str = ""


class DependencyGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is needed for a framework; an empty one means any."""

    framework: str = ""
    dependencies: tuple[Dependency, ...] = ()


class Nuspec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The manifest of a package. version: in full; readme, icon, license_file: paths in the archive."""

    id: str
    version: str
    title: str = ""
    authors: str = ""
    description: str = ""
    summary: str = ""
    release_notes: str = ""
    copyright: str = ""
    tags: str = ""
    language: str = ""
    project_url: str = ""
    icon_url: str = ""
    license_url: str = ""
    license_expression: str = ""
    license_file: str = ""
    icon: str = ""
    readme: str = ""
    require_license_acceptance: bool = False
    development_dependency: bool = False
    min_client_version: str = ""
    package_types: tuple[str, ...] = ()
    groups: tuple[DependencyGroup, ...] = ()

    @property
    def key(self) -> PackageKey:
        """Its id in addresses."""
        return PackageKey(self.id.lower())

    @property
    def parsed_version(self) -> NugetVersion:
        """Its version, taken apart."""
        return parse_version(self.version)

    @property
    def is_semver2(self) -> bool:
        """Whether old clients cannot read it: for its own version, or one at the end of a range."""
        ends = (end for group in self.groups for one in group.dependencies for end in parse_range(one.range))
        return self.parsed_version.is_semver2 or any(end.is_semver2 for end in ends)


class Package(msgspec.Struct, frozen=True):
    """A package as it was read. manifest: its bytes; shown: contents of the files that it shows, by role."""

    nuspec: Nuspec
    manifest: bytes
    signed: bool
    shown: dict[str, bytes]


def read_package(file: BinaryIO) -> Package:
    """Read a `.nupkg` from its start, in memory that does not depend on its size.

    Raises ZipMalformed, PackageInvalid, SymbolsRefused, XmlInvalid, IdInvalid, VersionInvalid, RangeInvalid; nothing
    but an Invalid for any bytes: for two manifests, names that leave the archive, names that differ only in case.
    """
    manifest, signed, names = None, False, set[str]()
    for member in walk(file, _LIMITS):
        _check_name(member, names)
        if "/" not in member.name and member.name.lower().endswith(".nuspec"):
            if manifest is not None:
                raise PackageInvalid("there is more than one .nuspec in its root")
            manifest = _read(member, MAX_NUSPEC_BYTES)
        signed = signed or member.name == _SIGNATURE
    if manifest is None:
        raise PackageInvalid("there is no .nuspec in its root")
    nuspec = parse_nuspec(manifest)
    if _SYMBOLS in nuspec.package_types:
        raise SymbolsRefused
    return Package(nuspec, manifest, signed, _shown_files(file, nuspec))


def parse_nuspec(data: bytes, name: str = ".nuspec") -> Nuspec:
    """A manifest. Raises as `read_package` does."""
    root = parse_xml(data, name)
    metadata = root.child("metadata")
    if root.tag != "package" or metadata is None:
        raise PackageInvalid("its .nuspec has no metadata")
    license_ = metadata.child("license")
    kind = license_.attributes.get("type", "").lower() if license_ is not None else ""
    return Nuspec(
        id=parse_id(_only(metadata, "id")),
        version=_version_of(metadata),
        title=_text(metadata, "title"),
        authors=_text(metadata, "authors"),
        description=_text(metadata, "description"),
        summary=_text(metadata, "summary"),
        release_notes=_text(metadata, "releaseNotes"),
        copyright=_text(metadata, "copyright"),
        tags=" ".join(_text(metadata, "tags").replace(",", " ").split()),
        language=_text(metadata, "language"),
        project_url=_text(metadata, "projectUrl"),
        icon_url=_text(metadata, "iconUrl"),
        license_url=_text(metadata, "licenseUrl"),
        license_expression=_text(metadata, "license") if kind == "expression" else "",
        license_file=_path(_text(metadata, "license")) if kind == "file" else "",
        icon=_path(_text(metadata, "icon")),
        readme=_path(_text(metadata, "readme")),
        require_license_acceptance=_truth(metadata, "requireLicenseAcceptance"),
        development_dependency=_truth(metadata, "developmentDependency"),
        min_client_version=metadata.attributes.get("minClientVersion", "")[:MAX_NAME_CHARS],
        package_types=tuple(
            one.attributes.get("name", "")[:MAX_NAME_CHARS] for one in metadata.each("packageTypes", "packageType")
        ),
        groups=_groups(metadata.child("dependencies")),
    )


def _version_of(metadata: Element) -> str:
    text = _only(metadata, "version")
    if "." not in text.partition("-")[0].partition("+")[0]:
        raise VersionInvalid(text)
    return parse_version(text).full


def _only(metadata: Element, tag: str) -> str:
    """The text of a field that must be there, and once: readers disagree about which of two counts."""
    found = metadata.each(tag)
    if len(found) != 1:
        raise PackageInvalid(f"its .nuspec has {len(found)} fields {tag!r}")
    return found[0].text.strip()


def _groups(dependencies: Element | None) -> tuple[DependencyGroup, ...]:
    if dependencies is None:
        return ()
    flat = dependencies.each("dependency")
    groups = dependencies.each("group")
    if len(flat) + sum(len(group.children) for group in groups) > MAX_DEPENDENCIES:
        raise PackageInvalid(f"it has more than {MAX_DEPENDENCIES} dependencies")
    if groups:
        return tuple(
            DependencyGroup(
                framework=group.attributes.get("targetFramework", "")[:MAX_NAME_CHARS],
                dependencies=_dependencies(group.each("dependency")),
            )
            for group in groups
        )
    return (DependencyGroup(dependencies=_dependencies(flat)),) if flat else ()


def _dependencies(elements: Iterable[Element]) -> tuple[Dependency, ...]:
    return tuple(
        Dependency(
            id=parse_id(one.attributes.get("id", "").strip()),
            range=normalized_range(one.attributes.get("version", "")),
            include=one.attributes.get("include", "")[:MAX_NAME_CHARS],
            exclude=one.attributes.get("exclude", "")[:MAX_NAME_CHARS],
        )
        for one in elements
    )


def _shown_files(file: BinaryIO, nuspec: Nuspec) -> dict[str, bytes]:
    """The files that a manifest names; one that is too large, or is not there, is not shown."""
    wanted = dict(zip((nuspec.readme, nuspec.icon, nuspec.license_file), _SHOWN, strict=True))
    wanted.pop("", None)
    if not wanted:
        return {}
    found: dict[str, bytes] = {}
    for member in walk(file, _LIMITS):
        role = wanted.get(unquote(member.name))
        if role is not None and member.size_bytes <= MAX_SHOWN_BYTES:
            found[role] = _read(member, MAX_SHOWN_BYTES)
    return found


def _check_name(member: Member, names: set[str]) -> None:
    path = member.name.replace("\\", "/")
    parts = path.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or ":" in parts[0] or not path.isprintable():
        raise PackageInvalid(f"unsafe path {member.name[:200]!r}")
    key = path.lower()
    if key in names and not member.is_folder:
        raise PackageInvalid(f"the path {member.name[:200]!r} is there twice")
    names.add(key)


def _read(member: Member, max_bytes: int) -> bytes:
    if member.size_bytes > max_bytes:
        raise PackageInvalid(f"{member.name[:200]!r} has {member.size_bytes} bytes; at most {max_bytes} are read")
    return b"".join(member.chunks)


def _text(metadata: Element, tag: str) -> str:
    text = metadata.value(tag)
    if len(text) > _MAX_TEXT_CHARS:
        raise PackageInvalid(f"its {tag} has more than {_MAX_TEXT_CHARS} characters")
    return text


def _path(text: str) -> str:
    return text.replace("\\", "/").removeprefix("./")


def _truth(metadata: Element, tag: str) -> bool:
    return metadata.value(tag).lower() in {"true", "1"}
