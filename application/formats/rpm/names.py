"""What may be a package's name, version and architecture, where its file is, and what other files a repository has."""

from __future__ import annotations

import re

import msgspec

from domain.errors import Invalid

PACKAGES = "packages/"
"""The directory of every package; its file's name says all that tells it from others, so there is one path for it."""

REPODATA = "repodata/"
MAX_NAME = 255

_NAME = re.compile(r"[A-Za-z0-9_.+{}~^-]+\Z")
_VERSION = re.compile(r"[A-Za-z0-9_.+~^{}]+\Z")
_ARCH = re.compile(r"[A-Za-z0-9_]+\Z")
_FILE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-(?P<release>[^-]+)\.(?P<arch>[^-.]+)\.rpm\Z")


class NameInvalid(Invalid):
    """A part of what a package is called cannot be that."""

    template = "{value!r} cannot be the {field} of a package"

    def __init__(self, field: str, value: str) -> None:
        super().__init__(field=field, value=value[:200])


class FileNameWrong(Invalid):
    """The file's name says something else than the package in it."""

    template = "the file must be called {expected} by what is in it, not {given}"

    def __init__(self, given: str, expected: str) -> None:
        super().__init__(given=given[:300], expected=expected)


class NotRpm(Invalid):
    """A file that is not called like a package."""

    template = "{path}: packages are files whose names end in .rpm"

    def __init__(self, path: str) -> None:
        super().__init__(path=path[:300])


class Nevra(msgspec.Struct, frozen=True, order=True):
    """What tells a package from all others. Its file's name has all of it but the epoch."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str

    @property
    def filename(self) -> str:
        """`name-version-release.arch.rpm`."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def evr(self) -> str:
        """`[epoch:]version-release`."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"


def checked_nevra(nevra: Nevra) -> Nevra:
    """The same; raises NameInvalid for a part that rpm would not build, and for a name that no file can have."""
    for field, pattern in (("name", _NAME), ("version", _VERSION), ("release", _VERSION), ("arch", _ARCH)):
        value = getattr(nevra, field)
        if not pattern.match(value):
            raise NameInvalid(field, value)
    if nevra.name[0] in ".-" or len(nevra.filename) > MAX_NAME:
        raise NameInvalid("name", nevra.name)
    return nevra


def package_path(filename: str) -> str:
    """Where the file of a package is."""
    return PACKAGES + filename


def named_package(filename: str) -> str | None:
    """The name of the package that a file of this name has in it; None when it is no package's."""
    found = _FILE.match(filename)
    return found["name"] if found else None
