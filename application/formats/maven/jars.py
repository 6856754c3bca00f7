"""What a jar says of itself in `META-INF/maven`: that it is a plugin, and of which project it was made.

A jar is whatever its publisher wants: one that cannot be read just says nothing.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import msgspec

from application.xml_reader import parse_xml
from domain.errors import Invalid

MAX_DIRECTORY_BYTES = 8 << 20
MAX_MEMBER_BYTES = 4 << 20

_PLUGIN = "META-INF/maven/plugin.xml"
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    Invalid,
)


class PluginDescriptor(msgspec.Struct, frozen=True):
    """What `mvn {prefix}:goal` needs to find a plugin."""

    group: str
    artifact: str
    prefix: str


class Origin(msgspec.Struct, frozen=True):
    """The project a jar was made of."""

    group: str
    artifact: str
    version: str


def read_plugin(file: BinaryIO) -> PluginDescriptor | None:
    """The descriptor of a plugin's jar; None for any other file."""
    with _tolerant():
        archive = _open(file)
        if _PLUGIN not in archive.namelist():
            return None
        root = parse_xml(_read(archive, _PLUGIN), _PLUGIN, html_entities=True)
        found = PluginDescriptor(root.value("groupId"), root.value("artifactId"), root.value("goalPrefix"))
        return found if _PREFIX.match(found.prefix) else None
    return None


def read_origin(file: BinaryIO) -> Origin | None:
    """The project that the build wrote into a jar; None when there is none, or more than one."""
    with _tolerant():
        archive = _open(file)
        names = [name for name in archive.namelist() if _is_properties(name)]
        if len(names) != 1:
            return None
        values = _properties(_read(archive, names[0]))
        found = Origin(values.get("groupId", ""), values.get("artifactId", ""), values.get("version", ""))
        return found if all(msgspec.structs.astuple(found)) else None
    return None


@contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except _UNREADABLE:
        return


class _Bounded:
    """A file of which no piece is read that a jar's directory cannot need."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.close = file.tell, file.close

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_DIRECTORY_BYTES:
            size = MAX_DIRECTORY_BYTES + 1
        data = self._file.read(size)
        if len(data) > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("the directory is too large")
        return data


def _open(file: BinaryIO) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast("BinaryIO", _Bounded(file)))


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile(f"{name} is compressed in an unusual way")
    with archive.open(info) as member:
        data = member.read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise zipfile.BadZipFile(f"{name} is too large")
    return data


def _is_properties(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 5 and parts[:2] == ["META-INF", "maven"] and parts[4] == "pom.properties"


def _properties(data: bytes) -> dict[str, str]:
    """The plain lines of a properties file; the values that matter here never need an escape."""
    lines = (line.strip() for line in data.decode("latin-1").splitlines())
    pairs = (line.partition("=") for line in lines if not line.startswith(("#", "!")))
    return {key.strip(): value.strip() for key, _, value in pairs}
