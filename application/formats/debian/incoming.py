"""The queue that dput uploads into: files wait until a .changes names all of them, then they are published together.

What waits is an artifact like any other, below `incoming/`, where no index looks. The .changes need not come last.
Source: https://manpages.debian.org/bookworm/dput/dput.cf.5.en.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import msgspec

from application.catalogue import ArtifactRow
from application.formats.debian.names import (
    DEFAULT_COMPONENT,
    INCOMING,
    PoolFile,
    checked_component,
    checked_file_name,
    kind_of,
    media_type_of,
    parse_pool_path,
    pool_directory,
)
from application.formats.debian.publishing import ALGORITHMS, opened, reading, require_new
from application.formats.debian.sources import Changes, ListedFile, read_changes
from application.formats.debian.stanza import MAX_STANZA_BYTES
from application.formats.debian.stored import DISTRIBUTION, plain_facts
from application.ports import Spooled, Stored
from application.publishing import NewFile, Target
from application.services import Services
from domain.errors import DigestMismatch, TooLarge

_MAX_WAITING_CHANGES = 200


class WaitingChanges(msgspec.Struct, frozen=True):
    """A .changes in the queue."""

    row: ArtifactRow
    changes: Changes


def receive(services: Services, target: Target, name: str, spooled: Spooled) -> list[str]:
    """Take a file into the queue; gives the paths in the pool of what it completed, nothing while others are missing.

    Raises Invalid, DigestMismatch for a file that is not what a waiting .changes says, ArtifactExists, VersionTaken.
    """
    path = f"{INCOMING}/{checked_file_name(name)}"
    kind = kind_of(name) or "part"
    if kind == "changes":
        if spooled.size_bytes > MAX_STANZA_BYTES:
            raise TooLarge(f"{name}: more than {MAX_STANZA_BYTES} bytes")
        with spooled.open() as file:
            read_changes(file.read())
    new = NewFile(
        path=path,
        spooled=spooled,
        media_type=media_type_of(name),
        algorithms=ALGORITHMS,
        metadata=plain_facts(f"incoming {kind}"),
        overwrite="replace",
    )
    services.publishing.publish(target, [new])
    published: list[str] = []
    for waiting in _waiting(services, target):
        if waiting.row.path == path or any(file.name == name for file in waiting.changes.files):
            published += _complete(services, target, waiting)
    return published


def _waiting(services: Services, target: Target) -> Iterator[WaitingChanges]:
    rows = services.catalogue.artifacts_below(target.repository, f"{INCOMING}/", limit=10_000)
    for row in [row for row in rows if kind_of(row.filename) == "changes"][:_MAX_WAITING_CHANGES]:
        with opened(services, _stored(row)) as file:
            yield WaitingChanges(row, read_changes(file.read(MAX_STANZA_BYTES + 1)))


def _complete(services: Services, target: Target, waiting: WaitingChanges) -> list[str]:
    """Publish what a .changes names when all of it is there, as one set of events."""
    rows: list[ArtifactRow] = []
    for listed in waiting.changes.files:
        row = services.catalogue.artifact(target.repository, f"{INCOMING}/{listed.name}")
        if row is None:
            return []
        if (row.sha256, row.size_bytes) != (listed.sha256, listed.size_bytes):
            raise DigestMismatch(f"sha256 of {listed.name}", listed.sha256, row.sha256)
        rows.append(row)
    changes, suites = waiting.changes, waiting.changes.distributions
    places = [(row, _place(changes, listed)) for row, listed in zip(rows, changes.files, strict=True)]
    directory = pool_directory(_component(changes.files[0]), changes.source)
    places.append((waiting.row, parse_pool_path(f"{directory}/{waiting.row.filename}")))
    with ExitStack() as read:
        placed = [read.enter_context(reading(services, _stored(row), place)) for row, place in places]
        require_new(services, target, placed, suites)
        files = [msgspec.structs.replace(one.file, properties={DISTRIBUTION: suites}) for one in placed]
        services.publishing.move(target, [row.path for row, _ in places], target, files)
    return [file.path for file in files]


def _place(changes: Changes, listed: ListedFile) -> PoolFile:
    return parse_pool_path(f"{pool_directory(_component(listed), changes.source)}/{listed.name}")


def _component(listed: ListedFile) -> str:
    """`contrib` of the section `contrib/net`; `main` is not written."""
    component, slash, _ = listed.section.partition("/")
    return checked_component(component) if slash else DEFAULT_COMPONENT


def _stored(row: ArtifactRow) -> Stored:
    return Stored(row.size_bytes, {**row.digests, "sha256": row.sha256})
