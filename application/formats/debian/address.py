"""What an address below `dists/` is of. A suite may have slashes, so it is read from its end."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from application.formats.debian.names import checked_architecture, checked_component, checked_suite
from application.wire import Request
from domain.errors import Invalid, NotFound

Wanted: TypeAlias = Literal[
    "InRelease", "Release", "Release.gpg", "gpg-key.asc", "gpg-key.gpg", "stub", "index", "hash"
]

_OF_SUITE = frozenset({"InRelease", "Release", "Release.gpg", "gpg-key.asc", "gpg-key.gpg"})
_INSTALLER = "debian-installer"
_BINARY = "binary-"
_FOLDERS = frozenset({"source", "i18n", "dep11", "cnf"})
"""Below a component; the last three are told by other archives only."""


class NoSuchIndex(NotFound):
    """Nothing can be at the address."""

    template = "no such file in this archive: {path}"

    def __init__(self, path: str) -> None:
        super().__init__(path=path[:300])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is about. directory: below the suite, of an index. name: of the file; of one that is asked for by
    its digest, `folder` says by which kind.
    """

    wanted: Wanted
    suite: str
    directory: str = ""
    name: str = ""
    folder: str = ""

    @property
    def path(self) -> str:
        """The path of an index below its suite."""
        return f"{self.directory}/{self.name}"


def asked_of(request: Request) -> Asked:
    """What a request below `dists/` asks for. Raises NoSuchIndex."""
    path = "/".join(request.segments[1:])
    if any("/" in segment for segment in request.segments):
        raise NoSuchIndex(path)
    try:
        asked = _read(request.segments[1:])
        checked_suite(asked.suite)
    except Invalid:
        raise NoSuchIndex(path) from None
    return asked


def _read(segments: tuple[str, ...]) -> Asked:
    *parents, name = segments
    if len(parents) >= 3 and parents[-2] == "by-hash":
        suite, directory = _split(parents[:-2])
        return Asked(wanted="hash", suite=suite, directory=directory, folder=parents[-1], name=name)
    if name in _OF_SUITE and not (name == "Release" and parents and _is_index_folder(parents[-1])):
        return Asked(wanted=name, suite="/".join(parents))  # type: ignore[arg-type]
    suite, directory = _split(parents)
    return Asked(wanted="stub" if name == "Release" else "index", suite=suite, directory=directory, name=name)


def _split(segments: list[str]) -> tuple[str, str]:
    """The suite, and the folder of an index: `{component}[/debian-installer]/binary-{architecture}` or the like."""
    depth = 1
    if segments and _is_index_folder(segments[-1]):
        depth = 3 if len(segments) > 3 and segments[-2] == _INSTALLER else 2
        if segments[-1].startswith(_BINARY):
            checked_architecture(segments[-1].removeprefix(_BINARY))
    if len(segments) <= depth:
        raise NoSuchIndex("/".join(segments))
    checked_component(segments[-depth])
    return "/".join(segments[:-depth]), "/".join(segments[-depth:])


def _is_index_folder(segment: str) -> bool:
    return segment in _FOLDERS or segment.startswith(_BINARY)
