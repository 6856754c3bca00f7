"""Repositories as directories, for browsing; also as they were (`repository_key=libs@2026-03-03`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import QueryParameter
from litestar.response import Stream

from api.app import App
from api.guards import sender
from api.http.given import AnyRequest, GivenApp, GivenPrincipal
from api.http.texts import storable
from application.catalogue import ArtifactRow, Child
from application.downloads import Download, may_be_recorded
from application.resolving import Resolved
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid
from domain.permissions import Principal

MAX_NODES = 5_000
MAX_COUNTED = 1_000
MAX_COUNTED_IN_ALL = 20_000
"""Whoever counts more in one answer waits too long; what is left then has no count."""

CHUNK_BYTES = 256 * 1024

# Shown by browsers as what they are, and unable to run anything.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})


class NodeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or folder. path: begins with the repository's key. id: of a file, the artifact's."""

    id: str
    name: str
    path: str
    type: Literal["file", "folder"]
    has_children: bool
    repository_key: str
    size_bytes: int | None = None
    children_count: int | None = None
    created_at: datetime | None = None


class TreeBody(msgspec.Struct, frozen=True):
    """What is directly in a directory. more: whether there is more than was asked for."""

    nodes: list[NodeBody]
    more: bool


_Repository = Annotated[
    str, QueryParameter(description="Required; also as it was, with `@` and a position, date, time or checkpoint.")
]


@dataclass
class _Content(Operation):
    """Says that the answer is bytes of any type, which the framework cannot see."""

    def __post_init__(self) -> None:
        """Describe them."""
        if self.responses is not None and isinstance(found := self.responses.get("200"), OpenAPIResponse):
            found.content = {"*/*": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}


class TreeController(Controller):
    """`/api/v1/tree`."""

    path = "/api/v1/tree"
    tags = ["tree"]

    @get(opt={"needs": "anonymous"}, sync_to_thread=True)
    def tree(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        request: AnyRequest,
        repository_key: _Repository = "",
        directory: Annotated[
            str, QueryParameter(name="path", description="With or without the repository's key in front.")
        ] = "",
        include_metadata: Annotated[
            bool, QueryParameter(description="Count what is in each folder, up to 1,000 and not without end.")
        ] = False,
        after: Annotated[
            str,
            QueryParameter(description="The last node of the page before: its name, and a slash if it is a folder."),
        ] = "",
        limit: Annotated[int, QueryParameter(description=f"1 to {MAX_NODES}.")] = MAX_NODES,
    ) -> TreeBody:
        """What is directly in a directory, by name."""
        resolved = _resolve(app, principal, request, repository_key)
        limit = max(1, min(limit, MAX_NODES))
        prefix, found = _children(app, resolved, directory.strip("/"), after, limit + 1)
        nodes, left = [], MAX_COUNTED_IN_ALL if include_metadata else 0
        for child in found[:limit]:
            nodes.append(_node(app, resolved, prefix, child, count=min(left, MAX_COUNTED)))
            left -= nodes[-1].children_count or 0
        return TreeBody(nodes, more=len(found) > limit)

    @get("/content", opt={"needs": "anonymous"}, sync_to_thread=True, operation_class=_Content)
    def content(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        request: AnyRequest,
        repository_key: _Repository = "",
        artifact_path: Annotated[
            str, QueryParameter(name="path", description="With or without the repository's key in front.")
        ] = "",
        max_bytes: Annotated[int | None, QueryParameter(description="Only the first so many.")] = None,
    ) -> Response[Any]:
        """The bytes of one artifact, or their beginning."""
        resolved = _resolve(app, principal, request, repository_key)
        row = _artifact(app, resolved, artifact_path)
        size = row.size_bytes if max_bytes is None else max(0, min(max_bytes, row.size_bytes))
        reads = request.scope["incoming"].method == "GET"  # type: ignore[typeddict-item]
        if reads:
            _note(
                app, Download(row.id, row.sha256, resolved, principal, *_sender(request)), whole=size == row.size_bytes
            )
        return Stream(
            _chunks(app.blobs.open(row.sha256), size) if reads else iter((b"",)),
            media_type=_shown_as(row.media_type),
            headers={
                "content-length": str(size),
                "content-security-policy": "sandbox; default-src 'none'",
                "x-checksum-sha256": row.sha256,
                "cache-control": "private, no-cache",
            },
        )


def _resolve(app: App, principal: Principal, request: AnyRequest, key: str) -> Resolved:
    if not key:
        raise Invalid("repository_key is required")
    resolved = app.access.resolve(principal, key)
    if resolved is None:
        raise app.access.refusal(principal, key)
    app.access.require(principal, resolved, "read", **sender(request.scope))
    return resolved


def _sender(request: AnyRequest) -> tuple[str, str, str]:
    """The id of the request, the client's address and its name."""
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    return scope["request_id"], scope["incoming"].client, request.headers.get("user-agent", "")


def _note(app: App, download: Download, *, whole: bool) -> None:
    """A preview of the beginning is an access, and no download."""
    if may_be_recorded(download.resolved):
        app.recorder.record(download)
    if whole:
        app.downloads.count(download.artifact, download.resolved.content, download.agent)


def _spellings(resolved: Resolved, path: str) -> tuple[str, ...]:
    """The path as it is, and without the repository's key, which the paths of nodes begin with."""
    key = resolved.repository.key
    if path == key:
        return path, ""
    return (path, path.removeprefix(f"{key}/")) if path.startswith(f"{key}/") else (path,)


def _children(app: App, resolved: Resolved, directory: str, after: str, limit: int) -> tuple[str, list[Child]]:
    """The prefix of the directory, and what is in it."""
    prefix = ""
    for spelling in _spellings(resolved, storable(directory)):
        prefix = f"{spelling}/" if spelling else ""
        found = app.catalogue.children(resolved.content, prefix, resolved.at, after=storable(after), limit=limit)
        if found:
            return prefix, found
    return prefix, []


def _artifact(app: App, resolved: Resolved, path: str) -> ArtifactRow:
    if not path:
        raise Invalid("path is required")
    for spelling in _spellings(resolved, storable(path)):
        row = app.catalogue.artifact(resolved.content, spelling, resolved.at)
        if row is not None:
            return row
    raise ArtifactNotFound(path[:200])


def _node(app: App, resolved: Resolved, prefix: str, child: Child, *, count: int) -> NodeBody:
    """count: up to how many entries of a folder are counted."""
    key = resolved.repository.key
    path = f"{key}/{prefix}{child.name}"
    if child.artifact is not None:
        row = child.artifact
        return NodeBody(
            str(row.id),
            child.name,
            path,
            "file",
            has_children=False,
            repository_key=key,
            size_bytes=row.size_bytes,
            created_at=row.published_at,
        )
    below = f"{prefix}{child.name}/"
    counted = None
    if count:
        counted = len(app.catalogue.children(resolved.content, below, resolved.at, limit=count))
    return NodeBody(
        f"folder:{path}", child.name, path, "folder", has_children=True, repository_key=key, children_count=counted
    )


def _chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    with source:
        while size > 0 and (chunk := source.read(min(size, CHUNK_BYTES))):
            size -= len(chunk)
            yield chunk


def _shown_as(media_type: str) -> str:
    """Text as plain text, pictures as they are, and anything that could act in a browser as bytes."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind in _SHOWN:
        return kind
    textual = kind.startswith("text/") or kind.endswith(("json", "xml", "yaml", "toml", "javascript"))
    return "text/plain" if textual else "application/octet-stream"
