"""The zip of a module, read to its last byte and held to every rule that the go command has for it.

Source: https://go.dev/ref/mod#zip-files, golang.org/x/mod/zip; https://go.dev/ref/mod#go-sum-files (the hash)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import BinaryIO, ClassVar

import msgspec

from application.archives.zips import Member, ZipLimits, walk
from application.formats.go.gomod import MAX_GO_MOD_BYTES
from application.formats.go.names import ModulePath, file_path_fault, folded
from application.formats.go.versions import Version
from domain.errors import Invalid

MAX_ZIP_BYTES = 500 << 20
"""Of the zip, and of everything in it."""

MAX_LICENSE_BYTES = 16 << 20
MAX_PATHS = 100_000
GO_MOD = "go.mod"

_LOCAL, _LOCAL_BYTES, _EMPTY = b"PK\x03\x04", 30, b"PK\x05\x06"
_LIMITS = ZipLimits(max_unpacked_bytes=MAX_ZIP_BYTES)


class ZipInvalid(Invalid):
    """The go command would not take this zip for that version of the module."""

    template: ClassVar[str] = "module zip: {detail}"


class ModuleZip(msgspec.Struct, frozen=True):
    """What a zip holds. hash: as `go.sum` has it. go_mod: None where there is none, as before there were modules."""

    hash: str
    go_mod: bytes | None


def read_zip(file: BinaryIO, module: ModulePath, version: Version) -> ModuleZip:
    """Check the zip of a version. Raises ZipInvalid and ZipMalformed, and nothing else, for any bytes."""
    prefix = f"{module}@{version}/"
    lines: list[tuple[bytes, bytes]] = []
    paths = _Paths()
    go_mod: bytes | None = None
    for member in walk(file, _LIMITS):
        below = member.name.removeprefix(prefix)
        if below == member.name:
            raise ZipInvalid(f"{member.name[:200]!r} is not below {prefix!r}")
        if below:
            paths.add(below.removesuffix("/"), is_folder=member.is_folder)
        if below == GO_MOD:
            go_mod = b"".join(_bounded(member, MAX_GO_MOD_BYTES))
            digest = hashlib.sha256(go_mod)
        else:
            _check_special(below, member)
            digest = hashlib.sha256()
            for chunk in member.chunks:
                digest.update(chunk)
        lines.append((member.name.encode(), digest.hexdigest().encode()))
    if not lines:
        raise ZipInvalid("there is nothing in it")
    return ModuleZip(_hash(lines), go_mod)


def require_start(file: BinaryIO, module: ModulePath, version: Version) -> None:
    """Raise ZipInvalid where the first bytes are not those of a zip of the version; nothing else is looked at."""
    header = file.read(_LOCAL_BYTES)
    name_bytes = int.from_bytes(header[26:28], "little")
    prefix = f"{module}@{version}/".encode()
    if header.startswith(_EMPTY):
        return
    if not header.startswith(_LOCAL) or not file.read(name_bytes).startswith(prefix):
        raise ZipInvalid(f"it does not begin with a file below {prefix.decode()!r}")


def top_folder(file: BinaryIO) -> tuple[str, str]:
    """Module and version that the first entry names, unchecked; empty where it names none. Raises ZipMalformed."""
    first = next(walk(file, _LIMITS), None)
    head, at, rest = first.name.partition("@") if first is not None else ("", "", "")
    return (head, rest.partition("/")[0]) if at else ("", "")


def go_mod_hash(go_mod: bytes) -> str:
    """The hash of a go.mod alone, as `go.sum` has it."""
    return _hash([(GO_MOD.encode(), hashlib.sha256(go_mod).hexdigest().encode())])


def _hash(lines: Iterable[tuple[bytes, bytes]]) -> str:
    """`h1:` and the SHA-256 of a list of digests and names, in the order of the names."""
    summary = b"".join(digest + b"  " + name + b"\n" for name, digest in sorted(lines))
    return "h1:" + base64.b64encode(hashlib.sha256(summary).digest()).decode()


def _check_special(below: str, member: Member) -> None:
    if below.rpartition("/")[2].casefold() == GO_MOD:
        where = "is not called go.mod" if "/" not in below else "is the go.mod of another module"
        raise ZipInvalid(f"{below[:200]!r} {where}")
    if below == "LICENSE" and member.size_bytes > MAX_LICENSE_BYTES:
        raise ZipInvalid(f"LICENSE has more than {MAX_LICENSE_BYTES} bytes")


def _bounded(member: Member, max_bytes: int) -> Iterable[bytes]:
    if member.size_bytes > max_bytes:
        raise ZipInvalid(f"{GO_MOD} has {member.size_bytes} bytes; at most {max_bytes} are read")
    return member.chunks


class _Paths:
    """The paths in a zip, none of which may be taken for another, in whatever case."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, bool]] = {}

    def add(self, path: str, *, is_folder: bool) -> None:
        """Take a path, and the folders above it."""
        fault = file_path_fault(path)
        if fault is not None:
            raise ZipInvalid(f"the path {path[:200]!r}: {fault}")
        key = folded(path)
        if not is_folder and self._known.get(key) == (path, False):
            raise ZipInvalid(f"{path[:200]!r} is there twice")
        while path and not self._has(key, path, is_folder=is_folder):
            path, key, is_folder = path.rpartition("/")[0], key.rpartition("/")[0], True

    def _has(self, key: str, path: str, *, is_folder: bool) -> bool:
        """Whether the path was there already, and then everything above it."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) == MAX_PATHS:
                raise ZipInvalid(f"more than {MAX_PATHS} files and folders")
            self._known[key] = path, is_folder
            return False
        if known[0] != path:
            raise ZipInvalid(f"{known[0][:200]!r} and {path[:200]!r} differ in nothing but case")
        if known[1] != is_folder:
            raise ZipInvalid(f"{path[:200]!r} is both a file and a folder")
        return True
