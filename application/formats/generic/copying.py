"""COPY and MOVE: files are referred to from another path, in this repository or in another one; no byte is copied."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import msgspec

from application.catalogue import ArtifactRow
from application.formats.generic.addresses import address_of, uri_of
from application.formats.generic.digests import stored
from application.formats.generic.names import Address, check_path, read_address
from application.formats.generic.storing import MAX_FILES, new_file, require_room
from application.publishing import NewFile, Target
from application.resolving import Resolved
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound, Precondition
from domain.errors import Conflict, Forbidden, Invalid, NotAllowed, TooLarge
from domain.permissions import Action

_PREFIXES = ("general", "generic", "artifactory")


class DestinationInvalid(Invalid):
    """The other address is none of ours."""

    template = "{address!r} is not the address of a file or directory in a repository"

    def __init__(self, address: str) -> None:
        super().__init__(address=address[:200])


class Place(msgspec.Struct, frozen=True):
    """A path in some repository that the caller may reach."""

    resolved: Resolved
    address: Address

    @property
    def path(self) -> str:
        """The path within the repository; empty for all of it."""
        return self.address.path


def copy(call: Call) -> Answer:
    """COPY {path} with `Destination`."""
    return _dav(call, moving=False)


def move(call: Call) -> Answer:
    """MOVE {path} with `Destination`."""
    return _dav(call, moving=True)


def copy_here(call: Call) -> Answer:
    """POST {path} with `X-Copy-Source: /general/other/path`."""
    source = call.request.headers.get("x-copy-source", "")
    if not source:
        raise NotAllowed("POST of a file takes the header X-Copy-Source; send forms to a directory, files by PUT")
    transfer(call, place_of(call, source, "read"), own_place(call), moving=False)
    return Answer(status=201, headers=(("location", uri_of(call.request, address_of(call).path)),))


def own_place(call: Call) -> Place:
    """What the request itself names."""
    return Place(Resolved(call.repository, call.content, call.at), address_of(call))


def place_of(call: Call, text: str, action: Action) -> Place:
    """What an address, absolute or from the root, names. Raises DestinationInvalid, and what refuses the action."""
    parts = urlsplit(text)
    path = parts.path.removeprefix(urlsplit(call.request.base_url).path)
    prefix, _, rest = path.removeprefix("/").partition("/")
    key, _, below = rest.partition("/")
    if prefix not in _PREFIXES or not key:
        raise DestinationInvalid(text)
    return place_in(call, unquote(key), f"/{below}", action)


def place_in(call: Call, key: str, raw_path: str, action: Action) -> Place:
    """A path, as sent, in a repository; raises what refuses the action."""
    access = call.services.access
    resolved = access.resolve(call.principal, key)
    if resolved is None:
        raise access.refusal(call.principal, key)
    agent = call.request.headers.get("user-agent", "")
    access.require(call.principal, resolved, action, call.request.client, agent=agent, request=call.meta.request)
    if action != "read":
        resolved.require_present(action)
    return Place(resolved, read_address(raw_path))


def quoted(path: str) -> str:
    """A decoded path as it would have been sent."""
    return quote(path)


def transfer(
    call: Call, source: Place, target: Place, *, moving: bool, overwrite: bool = True, dry: bool = False
) -> bool:
    """Copy or move a file, or a directory with all that is in it, all or none; gives whether all of it is new there.

    dry: find out only whether it could be done.
    """
    _require_files(call, target)
    if moving:
        _require_files(call, source)
    rows = _rows(call, source)
    precondition = None if overwrite else Precondition(none_match=("*",))
    files = [_copy_of(call, row, _path_at(source, target, row), precondition) for row in rows]
    here = source.resolved.content == target.resolved.content and source.resolved.at is None
    if here and {row.path for row in rows} & {file.path for file in files}:
        raise Forbidden("source and destination are the same, or one is in the other")
    into = Target(target.resolved.content, target.resolved.repository.settings, call.meta)
    taken = require_room(call.services, into, [file.path for file in files])
    if dry:
        return not taken
    if moving:
        outof = Target(source.resolved.content, source.resolved.repository.settings, call.meta)
        call.services.publishing.move(outof, [row.path for row in rows], into, files)
    else:
        call.services.publishing.publish(into, files)
    return not taken


def _dav(call: Call, *, moving: bool) -> Answer:
    destination = call.request.headers.get("destination", "")
    target = place_of(call, destination, "write")
    overwrite = call.request.headers.get("overwrite", "T").upper() != "F"
    created = transfer(call, own_place(call), target, moving=moving, overwrite=overwrite)
    return Answer(status=201 if created else 204, headers=(("location", destination),) if created else ())


def _require_files(call: Call, place: Place) -> None:
    """Other formats publish and withdraw by rules of their own."""
    repository = place.resolved.repository
    format_ = call.services.formats.by_key(repository.format)
    if format_ is None or format_.key != "generic":
        raise NotAllowed(f"'{repository.key}' holds {repository.format} packages; use their own client")


def _rows(call: Call, place: Place) -> list[ArtifactRow]:
    catalogue, content, at = call.services.catalogue, place.resolved.content, place.resolved.at
    if not place.address.folder:
        row = catalogue.artifact(content, place.path, at)
        if row is not None:
            return [row]
    rows = catalogue.artifacts_below(content, f"{place.path}/" if place.path else "", at, limit=MAX_FILES + 1)
    if not rows:
        raise ArtifactNotFound(place.path)
    if len(rows) > MAX_FILES:
        raise TooLarge(f"more than {MAX_FILES} files at once; go directory by directory")
    return rows


def _path_at(source: Place, target: Place, row: ArtifactRow) -> str:
    """Where a file of the source goes. A file that is sent to a directory keeps its name."""
    if row.path == source.path:
        below = f"/{row.filename}" if target.address.folder else ""
    else:
        below = row.path[len(source.path) :]
    path = (target.path + below).removeprefix("/")
    if not path:
        raise Conflict("a file cannot take the place of a repository")
    return check_path(path)


def _copy_of(call: Call, row: ArtifactRow, path: str, precondition: Precondition | None) -> NewFile:
    return new_file(
        path,
        stored(call.services.blobs, row),
        media_type=row.media_type,
        properties=row.properties or None,
        precondition=precondition,
    )
