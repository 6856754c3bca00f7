"""What a crate depends on and which features it has, in the terms of an index, whoever told of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import msgspec

from application.formats.cargo.requirements import canonical_requirement
from domain.errors import Invalid

DependencyKind = Literal["normal", "dev", "build"]
Features = dict[str, tuple[str, ...]]
"""Feature to what it turns on."""

MAX_TEXT_CHARS = 2048

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}\Z")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00-\x20\x7f]+\Z")
_FIRST = re.compile(r"\w")
_SIGNS = re.compile(r"[-+.]")
_COMMA = re.compile(r",(?=\)|\Z)")


class DependencyInvalid(Invalid):
    """A dependency or a feature that no index can tell of."""

    template: ClassVar[str] = "{place}: {problem}"

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place=place[:200], problem=problem)


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency as a line of an index has it.

    name: as the dependent's sources call it; package: its real name, where that is another. target: a platform, None
    for all. registry: the address of the index that has it, None for the one in which this stands.
    """

    name: str
    req: str
    features: tuple[str, ...] = ()
    optional: bool = False
    default_features: bool = True
    target: str | None = None
    kind: DependencyKind = "normal"
    registry: str | None = None
    package: str | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from the others of its crate: its kind, its platform, its name."""
        return self.kind, _squeezed(self.target or ""), self.name

    @property
    def substance(self) -> tuple[str, str, frozenset[str], bool, bool]:
        """What an install depends on. The registry is not part of it: each side names it in its own way."""
        return self.package or self.name, self.req, frozenset(self.features), self.optional, self.default_features


def checked_dependency(dependency: Dependency) -> Dependency:
    """The dependency with its requirement in canonical form. Raises DependencyInvalid, RequirementInvalid."""
    place = f"dependency {dependency.name!r}"
    for name in (dependency.name, dependency.package):
        if name is not None and not _NAME.match(name):
            raise DependencyInvalid(place, "not a name that a crate can have")
    for feature in dependency.features:
        _require_feature(feature, place)
    target, registry = dependency.target, dependency.registry
    if target is not None and (len(target) > MAX_TEXT_CHARS or not target.isprintable() or not target.strip()):
        raise DependencyInvalid(place, "not a target platform")
    if registry is not None and (len(registry) > MAX_TEXT_CHARS or not _URL.match(registry)):
        raise DependencyInvalid(place, "the registry is not the address of an index")
    package = dependency.package if dependency.package != dependency.name else None
    return msgspec.structs.replace(dependency, req=canonical_requirement(dependency.req), package=package)


def checked_features(features: Mapping[str, Iterable[str]]) -> Features:
    """The features themselves. Raises DependencyInvalid.

    Source: https://doc.rust-lang.org/cargo/reference/features.html#the-features-section
    """
    checked: Features = {}
    for name, values in features.items():
        place = f"feature {name!r}"
        _require_name(name, place)
        checked[name] = tuple(values)
        for value in checked[name]:
            _require_feature(value, place)
    return checked


def is_modern(value: str) -> bool:
    """Whether a feature turns on something in the way that cargo before 1.60 cannot read (`dep:x`, `x?/y`).

    Source: https://doc.rust-lang.org/cargo/reference/registry-index.html#json-schema (features2)
    """
    return value.startswith("dep:") or "?/" in value


def _require_feature(value: str, place: str) -> None:
    """A feature, of this crate or of a dependency: `x`, `dep:x`, `x/y`, `x?/y`."""
    dependency, slash, feature = value.removeprefix("dep:").partition("/")
    if slash:
        _require_name(dependency.removesuffix("?"), place)
        _require_name(feature, place)
    else:
        _require_name(dependency, place)


def _require_name(name: str, place: str) -> None:
    letters = _SIGNS.sub("", name)
    if not _FIRST.match(name) or not f"_{letters}".isidentifier() or len(name) > MAX_TEXT_CHARS:
        raise DependencyInvalid(place, f"{name[:100]!r} is not a name that a feature can have")


def _squeezed(target: str) -> str:
    """A platform without what its author may write or leave: spaces, and commas after the last of a list."""
    return _COMMA.sub("", "".join(target.split()))
