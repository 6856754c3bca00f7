"""What WebDAV clients ask besides files: what there is, directories, and what the server can do."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from application.catalogue import Child
from application.formats.generic.addresses import address_of
from application.formats.generic.dav import COMPLIANCE, FINITE_DEPTH, MEDIA_TYPE, multistatus
from application.formats.generic.storing import require_room, target_of
from application.wire import Answer, AnyAnswer, Call, Stream
from domain.artifact import ArtifactNotFound
from domain.errors import NotAllowed

METHODS = ("COPY", "DELETE", "GET", "HEAD", "MKCOL", "MOVE", "OPTIONS", "PATCH", "POST", "PROPFIND", "PUT")
_PAGE = 1_000


def options(call: Call) -> Answer:
    """OPTIONS: the methods, and that this is WebDAV class 1."""
    return Answer(status=204, headers=(("allow", ", ".join(METHODS)), COMPLIANCE, ("ms-author-via", "DAV")))


def propfind(call: Call) -> AnyAnswer:
    """PROPFIND with `Depth` 0 or 1."""
    depth = call.request.headers.get("depth", "infinity").strip().lower()
    if depth not in {"0", "1"}:
        return Answer(status=403, body=FINITE_DEPTH, media_type=MEDIA_TYPE)
    address, catalogue = address_of(call), call.services.catalogue
    mount = quote(call.request.repository_url.partition("://")[2].partition("/")[2], safe="/%@")
    row = None if address.folder else catalogue.artifact(call.content, address.path, call.at)
    first: list[Child] = []
    if row is None:
        directory = f"{address.path}/" if address.path else ""
        first = catalogue.children(call.content, directory, call.at, limit=_PAGE)
        if not first and address.path:
            raise ArtifactNotFound(address.path)
    children = _children(call, address.path, first) if depth == "1" else iter(())
    return Stream(chunks=multistatus(f"/{mount}", address.path, row, children), media_type=MEDIA_TYPE, status=207)


def make_directory(call: Call) -> Answer:
    """MKCOL {dir}: directories are there as long as files are in them, so there is nothing to make.

    Raises NotAllowed for what exists, PathBlocked below a file.
    """
    path, catalogue = address_of(call).path, call.services.catalogue
    if not path or catalogue.children(call.content, f"{path}/", limit=1):
        raise NotAllowed(f"{path or 'the repository'} exists already")
    if require_room(call.services, target_of(call), [path]):
        raise NotAllowed(f"{path} exists already, as a file")
    return Answer(status=201)


def _children(call: Call, path: str, first: list[Child]) -> Iterator[Child]:
    """All entries of a directory, page by page."""
    directory, page = (f"{path}/" if path else ""), first
    while page:
        yield from page
        if len(page) < _PAGE:
            return
        page = call.services.catalogue.children(call.content, directory, call.at, after=page[-1].key, limit=_PAGE)
