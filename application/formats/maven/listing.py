"""Listings of directories, of every kind of repository: of a remote one, what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from application.catalogue import Child
from application.formats.maven.address import path_of
from application.formats.maven.names import CHECKSUMS, METADATA, split_checksum
from application.formats.maven.pages import MAX_ENTRIES, listing_html
from application.formats.maven.reading import load_metadata, with_slash
from application.formats.maven.remote import INDEX
from application.wire import Answer, AnyAnswer, Call
from domain.artifact import ArtifactNotFound


def get_listing(call: Call) -> AnyAnswer:
    """GET {dir}/: what is in a directory, by pages."""
    return list_members(call, [call])


def list_members(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """The same of a virtual repository: what is in that directory of any member."""
    request = call.request
    if not request.segments:
        return with_slash(request)
    path = path_of(request)
    after = request.query_value("cursor")
    found = {child.key: child for member in reversed(members) for child in _children(member, path, after)}
    if not found and path and not after:
        raise ArtifactNotFound(path)
    children = [found[key] for key in sorted(found)]
    shown = [child for child in children[:MAX_ENTRIES] if child.folder or not split_checksum(child.name)[1]]
    cursor = children[MAX_ENTRIES - 1].key if len(children) > MAX_ENTRIES else None
    derived: list[str] = []
    if any(_has_metadata(member, path) for member in members):
        derived = [METADATA, *(f"{METADATA}.{algorithm}" for algorithm in CHECKSUMS)]
    body = listing_html(path, shown, derived, cursor)
    return Answer(body=body, media_type="text/html; charset=utf-8")


def _children(call: Call, path: str, after: str) -> list[Child]:
    if path.partition("/")[0] == INDEX:
        return []
    directory = f"{path}/" if path else ""
    found = call.services.catalogue.children(call.content, directory, call.at, after=after, limit=MAX_ENTRIES + 1)
    return [child for child in found if path or child.name != INDEX]


def _has_metadata(call: Call, path: str) -> bool:
    if call.repository.kind != "remote":
        return load_metadata(call, path) is not None
    return call.services.catalogue.artifact(call.content, f"{INDEX}/{path}/{METADATA}", call.at) is not None
