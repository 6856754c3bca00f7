"""What the address of a request names: a file, a generated document, or the checksum of one of them."""

from __future__ import annotations

import msgspec

from application.formats.maven.names import (
    METADATA,
    LayoutFile,
    LayoutInvalid,
    directory_package,
    parse_file,
    split_checksum,
)
from application.formats.maven.versions import is_snapshot
from application.wire import Request


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is about. path: without the extension of a checksum. algorithm: empty for the thing itself.

    package: by which it is found. file: None for `maven-metadata.xml`, which is in `directory`.
    """

    path: str
    algorithm: str
    package: str
    directory: str
    file: LayoutFile | None = None


def path_of(request: Request) -> str:
    """The path of a request; raises LayoutInvalid where a slash was sent as part of a name."""
    path = "/".join(request.segments)
    if any("/" in segment for segment in request.segments):
        raise LayoutInvalid(path, "a name cannot have a slash in it")
    return path.removesuffix("/")


def read_path(path: str) -> Asked:
    """What a path is the path of; raises LayoutInvalid."""
    base, algorithm = split_checksum(path)
    directory, _, name = base.rpartition("/")
    if name == METADATA:
        parent = directory.rpartition("/")[0]
        package = directory_package(parent if is_snapshot_directory(directory) else directory)
        return Asked(path=base, algorithm=algorithm, package=package, directory=directory)
    file = parse_file(base)
    return Asked(path=base, algorithm=algorithm, package=file.package, directory=directory, file=file)


def asked_of(request: Request) -> Asked | None:
    """What a request asks for; None when there cannot be such a thing."""
    try:
        return read_path(path_of(request))
    except LayoutInvalid:
        return None


def is_snapshot_directory(directory: str) -> bool:
    """Whether it holds the builds of a snapshot: at least `{group}/{artifact}/{version}`."""
    return directory.count("/") >= 2 and is_snapshot(directory.rpartition("/")[2])
