"""PUT and DELETE: files come and go; metadata and checksums follow by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from application.catalogue import ArtifactRow
from application.formats.maven.address import path_of, read_path
from application.formats.maven.checksums import accept_checksum
from application.formats.maven.names import METADATA, directory_package, group_directory, split_checksum
from application.formats.maven.publishing import forget_plugins, publish
from application.publishing import PackageDecision, Target
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
    decisions = list(_decisions(call, rows))
    publishing, target = call.services.publishing, _target(call)
    publishing.delete(target, [row.path for row in rows], decision=decisions[0] if decisions else None)
    for decision in decisions[1:]:
        publishing.judge(target, decision)
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


def _decisions(call: Call, rows: Sequence[ArtifactRow]) -> Iterator[PackageDecision]:
    """What follows for the groups of plugins of which nothing is left."""
    catalogue, emptied = call.services.catalogue, dict[str, list[str]]()
    for name in sorted({row.package for row in rows if row.package}):
        group, _, artifact = name.partition(":")
        prefixes = catalogue.marks(call.content, directory_package(group_directory(group)), "tag")
        if artifact not in prefixes.values():
            continue
        if len(catalogue.artifacts(call.content, name)) == sum(row.package == name for row in rows):
            emptied.setdefault(group, []).append(artifact)
    for group, artifacts in emptied.items():
        yield forget_plugins(_target(call), group, artifacts)
