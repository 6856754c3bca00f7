"""Putting files into a repository: what is checked of every one of them, however it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from application.format import Deposit
from application.formats.generic.names import check_path, check_properties, guess_version, media_type_of
from application.ports import Spooled, Stored
from application.publishing import NewFile, Properties, Target
from application.services import Services
from application.wire import Call
from domain.artifact import Precondition
from domain.errors import Conflict, TooLarge

MAX_FILES = 10_000
"""The most that one command creates, moves or removes: it is one set of events, there or not there as a whole."""


class PathBlocked(Conflict):
    """A file cannot be a directory of another file."""

    template = "{path} is a file; a path cannot be both a file and a directory"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


class PathRepeated(Conflict):
    """Two files of one request have the same path."""

    template = "{path} is given twice"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


def target_of(call: Call) -> Target:
    """The repository of the request as the target of commands."""
    return Target(call.content, call.repository.settings, call.meta)


def new_file(
    path: str,
    content: Spooled | Stored,
    *,
    media_type: str = "",
    version: str = "",
    properties: Properties | None = None,
    precondition: Precondition | None = None,
) -> NewFile:
    """A file to publish at a checked path. Its name and version: as its properties say, else as its path does."""
    given = properties or {}
    guessed_name, guessed_version = guess_version(path)
    return NewFile(
        path=path,
        spooled=content,
        media_type=media_type_of(path, media_type),
        name=_first(given, "name") or guessed_name,
        version=version or _first(given, "version") or guessed_version,
        algorithms=tuple(name for name in content.digests if name != "sha256"),
        overwrite="replace",
        properties=given or None,
        precondition=precondition,
    )


def store(services: Services, target: Target, files: Sequence[NewFile]) -> bool:
    """Publish files, all or none; gives whether all of them are new. Raises PathBlocked, PathRepeated, and what
    publishing raises.
    """
    taken = require_room(services, target, [file.path for file in files])
    services.publishing.publish(target, files)
    return not taken


def require_room(services: Services, target: Target, paths: Sequence[str]) -> frozenset[str]:
    """Check that a tree has room for these paths; gives those at which there is a file already."""
    if len(paths) > MAX_FILES:
        raise TooLarge(f"{len(paths)} files at once; at most {MAX_FILES} are possible")
    every = set(paths)
    for path in paths:
        parts = path.split("/")
        for count in range(1, len(parts)):
            if "/".join(parts[:count]) in every:
                raise PathBlocked("/".join(parts[:count]))
    if len(every) < len(paths):
        raise PathRepeated(Counter(paths).most_common(1)[0][0])
    occupancy = services.finder.occupancy(target.repository, paths)
    if occupancy.obstacle is not None:
        blocked = occupancy.obstacle
        raise PathBlocked(next((path for path in paths if blocked.startswith(f"{path}/")), blocked))
    return occupancy.taken


def paths_below(call: Call, path: str, at_most: int | None = None) -> list[str]:
    """The paths of files below a directory, the first `at_most` or all; raises TooLarge where those are too many."""
    directory = f"{path}/" if path else ""
    rows = call.services.catalogue.artifacts_below(
        call.content, directory, call.at, limit=MAX_FILES + 1 if at_most is None else at_most
    )
    if len(rows) > MAX_FILES:
        raise TooLarge(f"there are more than {MAX_FILES} files below {path or 'the root'}; go directory by directory")
    return [row.path for row in rows]


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a file that came without this protocol."""
    path = check_path(given.path)
    file = new_file(
        path,
        given.spooled,
        media_type=given.media_type,
        version=given.version,
        properties=check_properties(given.properties) or None,
        precondition=given.precondition,
    )
    store(given.services, given.target, [file])
    return path


def remove(call: Call, path: str, precondition: Precondition | None) -> None:
    """Take a file away; raises ArtifactNotFound, PreconditionUnmet."""
    call.services.publishing.delete(target_of(call), [path], precondition=precondition)


def _first(properties: Properties, key: str) -> str:
    return next(iter(properties.get(key, ())), "")
