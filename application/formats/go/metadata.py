"""What a release of a module is: its zip and its go.mod, read, agreed with its address, and kept as facts.

Stored data: fields are only ever added.
"""

from __future__ import annotations

from typing import BinaryIO, ClassVar

import msgspec

from application.formats.go.archive import go_mod_hash, read_zip
from application.formats.go.gomod import GoMod, Requirement, Retraction, parse_go_mod
from application.formats.go.names import ModulePath
from application.formats.go.versions import INCOMPATIBLE, Version, check_major
from domain.errors import Invalid


class ModuleMismatch(Invalid):
    """The zip is of another module than its address."""

    template: ClassVar[str] = "go.mod says module {stated}, and the address says {module}"

    def __init__(self, stated: str, module: str) -> None:
        super().__init__(stated=stated, module=module)


class NotIncompatible(Invalid):
    """A module with a go.mod calls itself older than modules."""

    template: ClassVar[str] = (
        f"{{version}}: a module with a go.mod has no {INCOMPATIBLE} versions; its path ends in /{{major}}"
    )

    def __init__(self, version: str) -> None:
        super().__init__(version=version, major=version.partition(".")[0])


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact that is a module's zip. hash, go_mod_hash: as `go.sum` has them.

    deprecated, retracts: what this version says of its module; that of the latest version counts.
    """

    hash: str
    go_mod_hash: str
    go_mod_bytes: int
    go: str = ""
    toolchain: str = ""
    deprecated: str = ""
    requires: tuple[Requirement, ...] = ()
    retracts: tuple[Retraction, ...] = ()


class Release(msgspec.Struct, frozen=True):
    """One version of a module. go_mod: what `@v/{version}.mod` gives."""

    module: ModulePath
    version: Version
    go_mod: bytes
    facts: Facts


_decode = msgspec.json.Decoder(Facts).decode


def read_release(file: BinaryIO, module: ModulePath, version: Version) -> Release:
    """Read the zip of a version, all of it.

    Where there is no go.mod, the go command makes one of a line, and so does this.
    Raises VersionInvalid, ZipInvalid, ZipMalformed, GoModMalformed, ModuleMismatch, NotIncompatible.
    """
    check_major(module, version)
    found = read_zip(file, module, version)
    if found.go_mod is None:
        go_mod, said = f"module {module}\n".encode(), GoMod(module=module)
    else:
        go_mod, said = found.go_mod, parse_go_mod(found.go_mod)
        if said.module != module:
            raise ModuleMismatch(said.module, module)
        if version.endswith(INCOMPATIBLE):
            raise NotIncompatible(version)
    facts = Facts(
        hash=found.hash,
        go_mod_hash=go_mod_hash(go_mod),
        go_mod_bytes=len(go_mod),
        go=said.go,
        toolchain=said.toolchain,
        deprecated=said.deprecated,
        requires=said.requires,
        retracts=said.retracts,
    )
    return Release(module, version, go_mod, facts)


def encode_facts(release: Release) -> bytes:
    """The metadata to store."""
    return msgspec.json.encode(release.facts)


def decode_facts(metadata: bytes) -> Facts | None:
    """The facts again; None for an artifact that came in another way."""
    try:
        return _decode(metadata)
    except msgspec.ValidationError:
        return None
