"""What WebDAV clients ask besides files: what there is, directories, and what the server can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
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
    return propfind_all(call, [call])


def propfind_all(call: Call, asked: Sequence[Call]) -> AnyAnswer:
    """The same of several repositories as one: each entry once, the first one's."""
    depth = call.request.headers.get("depth", "infinity").strip().lower()
    if depth not in {"0", "1"}:
        return Answer(status=403, body=FINITE_DEPTH, media_type=MEDIA_TYPE)
    address = address_of(call)
    mount = quote(call.request.repository_url.partition("://")[2].partition("/")[2], safe="/%@")
    rows = (one.services.catalogue.artifact(one.content, address.path, one.at) for one in asked)
    row = None if address.folder else next((row for row in rows if row is not None), None)
    first = [(one, _page(one, address.path)) for one in asked] if row is None else []
    if row is None and address.path and not any(page for _, page in first):
        raise ArtifactNotFound(address.path)
    pages = (_children(one, address.path, page) for one, page in first)
    children = _once(merge(*pages, key=attrgetter("key"))) if depth == "1" else iter(())
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


def _page(call: Call, path: str, after: str = "") -> list[Child]:
    directory = f"{path}/" if path else ""
    return call.services.catalogue.children(call.content, directory, call.at, after=after, limit=_PAGE)


def _children(call: Call, path: str, first: list[Child]) -> Iterator[Child]:
    """All entries of a directory, page by page."""
    page = first
    while page:
        yield from page
        if len(page) < _PAGE:
            return
        page = _page(call, path, page[-1].key)


def _once(children: Iterable[Child]) -> Iterator[Child]:
    """Entries in order, of those with the same name the first."""
    last = ""
    for child in children:
        if child.key != last:
            yield child
        last = child.key
