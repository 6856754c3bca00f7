"""PUT and DELETE: files come and go; metadata and checksums follow by themselves."""

from __future__ import annotations

from application.catalogue import ArtifactRow
from application.formats.maven.address import path_of, read_path
from application.formats.maven.checksums import accept_checksum
from application.formats.maven.names import METADATA, split_checksum
from application.formats.maven.publishing import plugin_prefixes, publish
from application.pointing import forgotten
from application.publishing import Target
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound
from domain.errors import NotAllowed, TooLarge

MAX_FILES = 10_000
"""The most that one request takes away: it is one set of events, there or not there as a whole."""


class Derived(NotAllowed):
    """What is generated cannot be deleted."""

    template = "{path} is generated from the files; delete those"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


def admit(call: Call) -> None:
    """Refuse a path that no file can have before its bytes are sent."""
    read_path(path_of(call.request))


def put_file(call: Call) -> Answer:
    """PUT {path}: a file, or a checksum to compare with it. Metadata is accepted and not believed."""
    assert call.upload is not None  # noqa: S101 - the route asks for it
    asked = read_path(path_of(call.request))
    if asked.file is None:
        return Answer(status=201)
    if asked.algorithm:
        accept_checksum(call.services, _target(call), asked.path, asked.algorithm, call.upload)
        return Answer(status=201)
    created = publish(call.services, _target(call), asked.file, call.upload)
    return Answer(status=201 if created else 200)


def delete(call: Call) -> Answer:
    """DELETE {path}: a file, or everything in a directory, all or none: a version, an artifact, a group."""
    path = path_of(call.request)
    base, algorithm = split_checksum(path)
    if algorithm or base.rpartition("/")[2] == METADATA:
        raise Derived(path)
    row = call.services.catalogue.artifact(call.content, path)
    rows = [row] if row is not None else _rows_below(call, path)
    target = _target(call)
    follows = forgotten(plugin_prefixes, call.services.catalogue, target.repository, rows)
    call.services.publishing.delete(target, [row.path for row in rows], decision=follows)
    return Answer(status=204)


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)


def _rows_below(call: Call, path: str) -> list[ArtifactRow]:
    rows = call.services.catalogue.artifacts_below(call.content, f"{path}/", limit=MAX_FILES + 1)
    if not path or not rows:
        raise ArtifactNotFound(path or "/")
    if len(rows) > MAX_FILES:
        raise TooLarge(f"there are more than {MAX_FILES} files below {path}; go directory by directory")
    return rows
