"""`Cargo.toml` as `cargo package` normalises it, to what a registry tells of a crate.

Source: https://doc.rust-lang.org/cargo/reference/manifest.html
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from application.formats.cargo.dependencies import (
    MAX_TEXT_CHARS,
    Dependency,
    DependencyKind,
    Features,
    checked_dependency,
    checked_features,
)
from application.formats.cargo.names import CrateName, CrateVersion, parse_name, parse_version
from domain.errors import Invalid

MAX_MANIFEST_BYTES = 512 * 1024

_RUST_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,2}\Z")
_LINKS = re.compile(r"[^\s\x00-\x20\x7f]{1,256}\Z")
# The parser's time grows with the square of how deep a key goes.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")


class ManifestMalformed(Invalid):
    """Cargo.toml cannot be read, or says what no registry can tell."""

    template: ClassVar[str] = "Cargo.toml: {detail}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a crate says of itself. Texts are empty where nothing is said."""

    name: CrateName
    version: CrateVersion
    dependencies: tuple[Dependency, ...] = ()
    features: Features = {}
    links: str | None = None
    rust_version: str | None = None
    description: str = ""
    keywords: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    license: str = ""
    homepage: str = ""
    documentation: str = ""
    repository: str = ""


class _Package(msgspec.Struct, rename="kebab"):
    name: str
    version: str
    links: str | None = None
    rust_version: str | None = None
    description: str = ""
    keywords: list[str] = []
    categories: list[str] = []
    license: str = ""
    homepage: str = ""
    documentation: str = ""
    repository: str = ""


class _Dependency(msgspec.Struct, rename="kebab"):
    version: str = "*"
    package: str | None = None
    optional: bool = False
    default_features: bool | None = None
    features: list[str] = []
    registry_index: str | None = None
    old_default_features: bool | None = msgspec.field(name="default_features", default=None)


_Table = dict[str, str | _Dependency]


class _Tables(msgspec.Struct, rename="kebab"):
    dependencies: _Table = {}
    dev_dependencies: _Table = {}
    build_dependencies: _Table = {}
    old_dev_dependencies: _Table = msgspec.field(name="dev_dependencies", default_factory=dict)
    old_build_dependencies: _Table = msgspec.field(name="build_dependencies", default_factory=dict)

    def by_kind(self) -> Iterator[tuple[DependencyKind, _Table]]:
        """Every table that is there, with what its dependencies are for."""
        yield "normal", self.dependencies
        yield "dev", {**self.old_dev_dependencies, **self.dev_dependencies}
        yield "build", {**self.old_build_dependencies, **self.build_dependencies}


class _Document(_Tables):
    package: _Package | None = None
    project: _Package | None = None
    target: dict[str, _Tables] = {}
    features: dict[str, list[str]] = {}


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest of at most MAX_MANIFEST_BYTES.

    Raises ManifestMalformed, NameInvalid, VersionInvalid, DependencyInvalid, RequirementInvalid.
    """
    document = _document(data)
    package = document.package or document.project
    if package is None:
        raise ManifestMalformed("no [package]")
    if package.links is not None and not _LINKS.match(package.links):
        raise ManifestMalformed(f"links = {package.links[:100]!r} is not the name of a library")
    if package.rust_version is not None and not _RUST_VERSION.match(package.rust_version):
        raise ManifestMalformed(f"rust-version = {package.rust_version[:100]!r} is not a version of Rust")
    return Manifest(
        name=parse_name(package.name),
        version=parse_version(package.version),
        dependencies=tuple(_dependencies(document)),
        features=checked_features(document.features),
        links=package.links,
        rust_version=package.rust_version,
        description=_plain(package.description),
        keywords=tuple(map(_plain, package.keywords)),
        categories=tuple(map(_plain, package.categories)),
        license=_plain(package.license),
        homepage=_plain(package.homepage),
        documentation=_plain(package.documentation),
        repository=_plain(package.repository),
    )


def _document(data: bytes) -> _Document:
    try:
        text = data.decode()
        if _DEEP_KEY.search(text):
            raise ManifestMalformed("a key is nested too deeply")
        content: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(content, _Document)
    except UnicodeDecodeError:
        raise ManifestMalformed("not UTF-8") from None
    except RecursionError:
        raise ManifestMalformed("values are nested too deeply") from None
    except (ValueError, msgspec.ValidationError) as error:  # numbers of more digits than Python reads are ValueErrors
        raise ManifestMalformed(str(error)[:500]) from None


def _dependencies(document: _Document) -> Iterator[Dependency]:
    for target, tables in [(None, document), *document.target.items()]:
        for kind, table in tables.by_kind():
            for name, stated in table.items():
                yield checked_dependency(_dependency(name, kind, target, stated))


def _dependency(name: str, kind: DependencyKind, target: str | None, stated: str | _Dependency) -> Dependency:
    if isinstance(stated, str):
        stated = _Dependency(version=stated)
    default_features = stated.default_features
    if default_features is None:
        default_features = stated.old_default_features is not False
    return Dependency(
        name=name,
        req=stated.version,
        features=tuple(stated.features),
        optional=stated.optional,
        default_features=default_features,
        target=target,
        kind=kind,
        registry=stated.registry_index,
        package=stated.package,
    )


def _plain(text: str) -> str:
    """The text on one line, without what no terminal should be sent."""
    line = " ".join(text[: 2 * MAX_TEXT_CHARS].split())
    return "".join(character for character in line if character.isprintable())[:MAX_TEXT_CHARS]
