"""The answer of WebDAV that file managers and synchronisers need: `multistatus`, of a file or a directory.

A subset of class 1: every property is always given, and nothing of what a client sends is parsed.
Source: RFC 4918 sections 9.1, 14 and 15
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC
from email.utils import format_datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from application.catalogue import ArtifactRow, Child

MEDIA_TYPE = "application/xml; charset=utf-8"
COMPLIANCE = ("dav", "1")
FINITE_DEPTH = b'<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n'
"""Why `Depth: infinity` is refused (RFC 4918 section 9.1)."""

_BEGIN = b'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
_END = b"</D:multistatus>\n"
_BATCH = 200


def multistatus(mount: str, path: str, itself: ArtifactRow | None, children: Iterable[Child] = ()) -> Iterator[bytes]:
    """A multistatus document in pieces: the resource itself, then what is in it.

    mount: the path of the repository in addresses. itself: None when it is a directory.
    """
    yield _BEGIN
    directory = f"{path}/" if path else ""
    yield (_file(mount, itself) if itself is not None else _folder(mount, directory)).encode()
    batch: list[str] = []
    for child in children:
        row = child.artifact
        batch.append(_file(mount, row) if row is not None else _folder(mount, f"{directory}{child.name}/"))
        if len(batch) == _BATCH:
            yield "".join(batch).encode()
            batch = []
    yield "".join(batch).encode() + _END


def _folder(mount: str, directory: str) -> str:
    name = directory.rstrip("/").rpartition("/")[2]
    return _response(
        f"{mount}/{quote(directory)}",
        f"<D:resourcetype><D:collection/></D:resourcetype><D:displayname>{_text(name)}</D:displayname>",
    )


def _file(mount: str, row: ArtifactRow) -> str:
    modified = format_datetime(row.published_at.astimezone(UTC), usegmt=True)
    return _response(
        f"{mount}/{quote(row.path)}",
        f"<D:resourcetype/><D:displayname>{_text(row.filename)}</D:displayname>"
        f"<D:getcontentlength>{row.size_bytes}</D:getcontentlength>"
        f"<D:getcontenttype>{_text(row.media_type)}</D:getcontenttype>"
        f'<D:getetag>"{row.sha256}"</D:getetag>'
        f"<D:getlastmodified>{modified}</D:getlastmodified>"
        f"<D:creationdate>{row.published_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</D:creationdate>",
    )


def _response(href: str, properties: str) -> str:
    return (
        f"<D:response><D:href>{_text(href)}</D:href><D:propstat><D:prop>{properties}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
    )


def _text(text: str) -> str:
    """Text for XML; the few characters that XML cannot hold become U+FFFD."""
    return escape("".join(char if char not in "\ufffe\uffff" else "\ufffd" for char in text))
