"""What some clients upload beside a zip: its go.mod and its info. Derived here, so they are compared and not stored.

What comes before its zip is held at its own path until that is there; nobody is given it from there.
"""

from __future__ import annotations

from typing import ClassVar

from application.catalogue import ArtifactRow
from application.formats.go.address import Asked, Extension
from application.formats.go.gomod import MAX_GO_MOD_BYTES
from application.formats.go.index import read_info
from application.formats.go.metadata import Release
from application.formats.go.stored import GO_MOD_ROLE, TIME
from application.ports import Spooled
from application.publishing import NewFile, Properties, Target
from application.services import Services
from domain.artifact import ArtifactNotFound
from domain.digests import sha256_of
from domain.errors import Conflict, Invalid, TooLarge

MAX_INFO_BYTES = 64 << 10

_HELD: tuple[Extension, ...] = ("mod", "info")
_TYPES = {"mod": "text/plain", "info": "application/json"}
_MAX_BYTES = {"mod": MAX_GO_MOD_BYTES, "info": MAX_INFO_BYTES}


class GoModMismatch(Invalid):
    """The go.mod that was handed over is not the one in the zip."""

    template: ClassVar[str] = "{module}@{version}: the go.mod beside the zip is not the one in it"

    def __init__(self, asked: Asked) -> None:
        super().__init__(module=asked.module, version=asked.version)


class TimeStated(Conflict):
    """When a version was made is said once."""

    template: ClassVar[str] = "{module}@{version} is of {time}; that does not change any more"

    def __init__(self, asked: Asked, time: str) -> None:
        super().__init__(module=asked.module, version=asked.version, time=time)


def accept_beside(services: Services, target: Target, asked: Asked, spooled: Spooled) -> None:
    """Take the go.mod or the info of a version, before its zip or after it.

    Raises TooLarge, InfoInvalid, GoModMismatch, TimeStated.
    """
    if spooled.size_bytes > _MAX_BYTES[asked.extension]:
        raise TooLarge(f"{asked.path}: more than {_MAX_BYTES[asked.extension]} bytes")
    with spooled.open() as file:
        data = file.read()
    if asked.extension == "info":
        read_info(data, asked.version)
    row = services.catalogue.artifact(target.repository, asked.beside("zip"))
    if row is None:
        _hold(services, target, asked, spooled)
        row = services.catalogue.artifact(target.repository, asked.beside("zip"))
        if row is None:
            return
        forget_held(services, target, asked)  # the zip came meanwhile
    if asked.extension == "mod":
        if spooled.sha256 != row.blobs.get(GO_MOD_ROLE):
            raise GoModMismatch(asked)
    else:
        _state_time(services, target, asked, row, _time(data, asked))


def require_held(services: Services, target: Target, asked: Asked, release: Release) -> Properties:
    """Compare a version that is about to be published with what came before it; gives what that says of it.

    Raises GoModMismatch, and forgets what was held then: the client will send all of it again.
    """
    go_mod = services.catalogue.artifact(target.repository, asked.beside("mod"))
    if go_mod is not None and go_mod.sha256 != sha256_of(release.go_mod):
        forget_held(services, target, asked)
        raise GoModMismatch(asked)
    info = services.catalogue.artifact(target.repository, asked.beside("info"))
    if info is None:
        return {}
    with services.blobs.open(info.sha256) as file:
        time = _time(file.read(), asked)
    return {TIME: (time,)} if time else {}


def forget_held(services: Services, target: Target, asked: Asked) -> None:
    """Take away what was held for a version; another process may have done so."""
    for extension in _HELD:
        path = asked.beside(extension)
        if services.catalogue.artifact(target.repository, path) is not None:
            try:
                services.publishing.delete(target, [path], "compared")
            except ArtifactNotFound:
                continue


def _time(data: bytes, asked: Asked) -> str:
    """When the version was made, by its info; empty where that does not say. Raises InfoInvalid."""
    time = read_info(data, asked.version).time
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time is not None else ""


def _hold(services: Services, target: Target, asked: Asked, spooled: Spooled) -> None:
    media_type = _TYPES[asked.extension]
    held = NewFile(path=asked.path, spooled=spooled, media_type=media_type, overwrite="replace")
    services.publishing.publish(target, [held])


def _state_time(services: Services, target: Target, asked: Asked, row: ArtifactRow, time: str) -> None:
    if not time:
        return

    def decide(properties: Properties) -> Properties:
        stated = properties.get(TIME, (time,))
        if stated != (time,):
            raise TimeStated(asked, stated[0])
        return {**properties, TIME: (time,)}

    services.publishing.change_properties(target, [row.path], decide)
