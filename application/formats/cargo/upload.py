"""The body of a publish: two lengths, what cargo says of the crate, and the crate.

Source: https://doc.rust-lang.org/cargo/reference/registry-web-api.html#publish
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, ClassVar

import msgspec

from application.formats.cargo.dependencies import (
    Dependency,
    DependencyKind,
    Features,
    checked_dependency,
    checked_features,
)
from application.formats.cargo.names import CrateName, CrateVersion, parse_name, parse_version
from domain.errors import Invalid, TooLarge

MAX_JSON_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_LENGTH_BYTES = 4


class UploadMalformed(Invalid):
    """The body is not one that cargo would send."""

    template: ClassVar[str] = "malformed publish request: {detail}"


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says of the crate that it publishes. registries of dependencies: as the client names them."""

    name: CrateName
    version: CrateVersion
    dependencies: tuple[Dependency, ...]
    features: Features
    links: str | None


class _Dependency(msgspec.Struct):
    name: str
    version_req: str
    features: list[str] = []
    optional: bool = False
    default_features: bool = True
    target: str | None = None
    kind: DependencyKind | None = None
    registry: str | None = None
    explicit_name_in_toml: str | None = None


class _Document(msgspec.Struct):
    name: str
    vers: str
    deps: list[_Dependency] = []
    features: dict[str, list[str]] = {}
    links: str | None = None


def read_upload(body: BinaryIO, size_bytes: int, take: Callable[[bytes], object]) -> bytes:
    """Split a body of that size: the JSON is returned, the crate goes to `take` in pieces.

    Raises UploadMalformed when the lengths and the body do not agree, TooLarge for more JSON than MAX_JSON_BYTES.
    """
    json_bytes = _length(body)
    if json_bytes > MAX_JSON_BYTES:
        raise TooLarge(f"the metadata has {json_bytes} bytes; at most {MAX_JSON_BYTES} are taken, readme included")
    document = body.read(json_bytes)
    if len(document) < json_bytes:
        raise UploadMalformed("it ends inside the metadata")
    crate_bytes = _length(body)
    present = size_bytes - json_bytes - 2 * _LENGTH_BYTES
    if crate_bytes != present:
        raise UploadMalformed(f"it announces a crate of {crate_bytes} bytes, and {present} follow")
    while chunk := body.read(_CHUNK_BYTES):
        take(chunk)
    return document


def parse_announced(document: bytes) -> Announced:
    """Read the JSON of a publish.

    Raises UploadMalformed, NameInvalid, VersionInvalid, DependencyInvalid, RequirementInvalid.
    """
    try:
        stated = msgspec.json.decode(document, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UploadMalformed(f"metadata: {error}") from None
    except RecursionError:
        raise UploadMalformed("metadata: nested too deeply") from None
    return Announced(
        name=parse_name(stated.name),
        version=parse_version(stated.vers),
        dependencies=tuple(checked_dependency(_dependency(dependency)) for dependency in stated.deps),
        features=checked_features(stated.features),
        links=stated.links,
    )


def _length(body: BinaryIO) -> int:
    data = body.read(_LENGTH_BYTES)
    if len(data) < _LENGTH_BYTES:
        raise UploadMalformed("it ends before a length")
    return int.from_bytes(data, "little")


def _dependency(stated: _Dependency) -> Dependency:
    """The names change places: an index calls a renamed dependency by its alias."""
    alias = stated.explicit_name_in_toml
    return Dependency(
        name=alias or stated.name,
        req=stated.version_req,
        features=tuple(stated.features),
        optional=stated.optional,
        default_features=stated.default_features,
        target=stated.target,
        kind=stated.kind or "normal",
        registry=stated.registry,
        package=stated.name if alias else None,
    )
