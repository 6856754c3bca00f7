"""What the address of a request names: a module, and of one of its versions a file."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import msgspec

from application.formats.go.names import ModulePath, escape, parse_module, unescape
from application.formats.go.versions import Version, parse_version
from domain.errors import Invalid

Extension = Literal["info", "mod", "zip", "ziphash"]

_EXTENSIONS = frozenset({"info", "mod", "zip", "ziphash"})
_FOLDER = "/@v/"


class FileNameInvalid(Invalid):
    """No file of a version is called so."""

    template: ClassVar[str] = "{name}: expected {{version}}.info, {{version}}.mod or {{version}}.zip"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:200])


class Asked(msgspec.Struct, frozen=True):
    """A file of a version. path: by which it is stored, the same as in its address."""

    module: ModulePath
    version: Version
    extension: Extension

    @property
    def path(self) -> str:
        """Escaped, relative to the repository."""
        return version_path(self.module, self.version, self.extension)

    def beside(self, extension: Extension) -> str:
        """The path of another file of the version."""
        return version_path(self.module, self.version, extension)


def version_path(module: ModulePath, version: Version, extension: Extension) -> str:
    """Where a file of a version is, in addresses and in the catalogue."""
    return f"{escape(module)}{_FOLDER}{escape(version)}.{extension}"


def asked_module(escaped: str) -> ModulePath:
    """The module that an address names. Raises AddressInvalid, ModulePathInvalid."""
    return parse_module(unescape(escaped))


def asked_file(escaped: str, name: str) -> Asked:
    """The file that an address names. Raises FileNameInvalid, AddressInvalid, ModulePathInvalid, VersionInvalid."""
    version, _, extension = name.rpartition(".")
    if extension not in _EXTENSIONS:
        raise FileNameInvalid(name)
    module = asked_module(escaped)
    return Asked(module, parse_version(unescape(version)), cast("Extension", extension))


def asked_path(path: str) -> Asked:
    """The file at a path as `Asked.path` has it. Raises what `asked_file` raises."""
    module, _, name = path.rpartition(_FOLDER)
    return asked_file(module, name)
