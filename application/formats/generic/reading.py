"""GET and HEAD: files, their older revisions, their digests, what is in archives, and listings of directories."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice

from application.catalogue import TREE_SCOPE, ArtifactRow, Child
from application.formats.generic import properties
from application.formats.generic.addresses import address_of, count_of, flag, has, with_slash
from application.formats.generic.digests import digest_of
from application.formats.generic.entries import entry_of
from application.formats.generic.index import (
    MAX_ENTRIES,
    Listing,
    Page,
    checksum_list,
    listing_html,
    listing_json,
    listing_of,
)
from application.wire import Answer, AnyAnswer, Call, Document, DocumentKey, File, Request
from domain.artifact import ArtifactNotFound, RevisionNotFound
from domain.errors import Invalid
from domain.ids import artifact_id

_SIDE_FILES = {".md5": "md5", ".sha1": "sha1", ".sha256": "sha256", ".sha512": "sha512"}
_VARY = (("vary", "Accept"),)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


# keys of documents


def file_key(request: Request) -> DocumentKey | None:
    """The key of a plain file; whatever else is asked of it is not kept."""
    if request.query:
        return None
    return DocumentKey(TREE_SCOPE, f"file {request.raw_path}", shared=False)


def listing_key(request: Request) -> DocumentKey | None:
    """The key of a listing."""
    if has(request, "properties"):
        return None
    shown = ("json" if _wants_json(request) else "html", *(f"{key}={value}" for key, value in request.query))
    return DocumentKey(TREE_SCOPE, f"listing {request.raw_path} {' '.join(shown)}")


# handlers


def get_file(call: Call) -> AnyAnswer:
    """GET {path}: a file, or what can be told of one; a directory's address gets its slash."""
    request, path = call.request, address_of(call).path
    if has(request, "properties"):
        return properties.show(call)
    if has(request, "revision"):
        return file_of(revision_of(call, path, request.query_value("revision")), immutable=True)
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is not None:
        return file_of(row)
    made = _made_file(call, path)
    if made is not None:
        return made
    if call.services.catalogue.children(call.content, f"{path}/", call.at, limit=1):
        return Answer(status=301, headers=(("location", with_slash(request)),))
    raise ArtifactNotFound(path)


def get_listing(call: Call) -> AnyAnswer:
    """GET {dir}/: what is in a directory, by pages; with `?list` or `?deep=1` everything below it."""
    request, address = call.request, address_of(call)
    if not request.segments and not address.path:
        return Answer(status=301, headers=(("location", with_slash(request)),))
    if has(request, "properties"):
        raise Invalid("directories have no properties")
    return shown(request, listing_of(read_page(call, address.path)))


def shown(request: Request, listing: Listing) -> Document:
    """A listing in the form that the request asks for."""
    if _wants_json(request):
        return Document(body=listing_json(listing), media_type="application/json", headers=_VARY)
    kept = "".join(f"&{key}={value}" for key, value in request.query if key in {"deep", "depth", "limit"})
    return Document(body=listing_html(listing, kept), media_type="text/html; charset=utf-8", headers=_VARY)


def read_page(call: Call, path: str) -> Page:
    """The page of a directory that the request asks for. Raises ArtifactNotFound, but not for the repository itself."""
    request, catalogue = call.request, call.services.catalogue
    directory = f"{path}/" if path else ""
    limit = count_of(request, "limit", MAX_ENTRIES, MAX_ENTRIES)
    after = request.query_value("cursor")
    if flag(request, "deep"):
        start = directory + after if after else ""
        rows = catalogue.artifacts_below(call.content, directory, call.at, after=start, limit=limit + 1)
        depth = count_of(request, "depth", 1 << 20, 1 << 20)
        children = [Child(row.path[len(directory) :], row) for row in rows]
        cursor = children[limit - 1].name if len(children) > limit else None
        shown = [child for child in islice(children, limit) if child.name.count("/") < depth]
    else:
        children = catalogue.children(call.content, directory, call.at, after=after, limit=limit + 1)
        cursor = children[limit - 1].key if len(children) > limit else None
        shown = children[:limit]
    if not children and path and not after:
        raise ArtifactNotFound(path)
    return Page(path, shown, cursor)


def file_of(row: ArtifactRow, *, immutable: bool = False) -> File:
    """An artifact as a download."""
    headers = [(f"x-checksum-{name}", digest) for name, digest in row.digests.items()]
    headers.append(("x-artifact-revision", str(row.revision)))
    deprecated = _deprecation(row.properties)
    if deprecated:
        headers.append(("deprecation", deprecated))
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        filename=row.filename,
        headers=tuple(headers),
        last_modified=row.published_at,
        artifact=row.id,
        immutable=immutable,
    )


def revision_of(call: Call, path: str, wanted: str) -> ArtifactRow:
    """What was published at a path as a revision: a number, the version it was published as, or `latest`.

    Deleted ones are found too: their bytes stay for history. Raises RevisionNotFound.
    """
    rows = call.services.finder.revisions(artifact_id(call.content, path), call.at)
    for row in rows:
        if wanted == "latest" or wanted in {str(row.revision), row.version}:
            return row
    raise RevisionNotFound(path, wanted)


def _made_file(call: Call, path: str) -> AnyAnswer | None:
    """What is computed when no file of that name is stored: digests, lists, entries of archives."""
    catalogue = call.services.catalogue
    for suffix, algorithm in _SIDE_FILES.items():
        row = catalogue.artifact(call.content, path.removesuffix(suffix), call.at) if path.endswith(suffix) else None
        if row is not None:
            return Answer(body=digest_of(call.services.blobs, row, algorithm).encode(), media_type="text/plain")
    directory, _, name = path.rpartition("/")
    if name in {"index.json", "SHA256SUMS"}:
        page = read_page(call, directory)
        if name == "index.json":
            return Document(body=listing_json(listing_of(page)), media_type="application/json")
        rows = [child.artifact for child in page.children if child.artifact is not None]
        return Document(body=checksum_list(rows, f"{directory}/" if directory else ""), media_type="text/plain")
    base, mark, entry = path.partition("!/")
    row = catalogue.artifact(call.content, base, call.at) if mark else None
    return entry_of(call.services.blobs, row, entry) if row is not None else None


def _wants_json(request: Request) -> bool:
    if request.query_value("format") or has(request, "list"):
        return request.query_value("format", "json") == "json"
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def _deprecation(properties_: Mapping[str, tuple[str, ...]]) -> str | None:
    value = next(iter(properties_.get("deprecated", ())), "")
    return "true" if value.lower() in {"true", "yes", "1"} or _DATE.match(value) else None
