"""What an npm address names. Scoped names arrive as `@s/name` in two segments or as `@s%2fname` in one."""

from __future__ import annotations

import msgspec

from application.formats.npm.names import NameInvalid, NpmName, NpmVersion, parse_existing_name, tarball_name
from application.wire import Request
from domain.errors import NotFound


class PackageNotFound(NotFound):
    """No such package here, or none of its versions is left."""

    template = "package '{name}' not found"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:300])


class VersionNotFound(NotFound):
    """The package has no such version or tag."""

    template = "version '{version}' of '{name}' not found"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name=name[:300], version=version[:300])


class Address(msgspec.Struct, frozen=True):
    """A package, and what follows its name."""

    name: NpmName
    rest: tuple[str, ...]


def address_of(request: Request, below: int = 0) -> Address:
    """The package that a path names, after its first `below` segments. Raises PackageNotFound."""
    parts = "/".join(request.segments[below:]).split("/")
    length = 2 if parts[0].startswith("@") else 1
    return Address(existing_name("/".join(parts[:length])), tuple(parts[length:]))


def existing_name(text: str) -> NpmName:
    """A name that a package may have; raises PackageNotFound for any other."""
    try:
        return parse_existing_name(text)
    except NameInvalid:
        raise PackageNotFound(text) from None


def artifact_path(name: NpmName, file_name: str) -> str:
    """Where a tarball is kept, which is also where clients ask for it."""
    return f"{name}/-/{file_name}"


def version_path(name: NpmName, version: NpmVersion) -> str:
    """Where the tarball of a version is kept."""
    return artifact_path(name, tarball_name(name, version))
