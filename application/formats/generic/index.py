"""Listings of directories, for people, for tools that follow links, and as JSON; and what is said of one file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec

from application.catalogue import ArtifactRow, Child

MAX_ENTRIES = 10_000
"""Entries of one page."""

_encode = msgspec.json.encode


class Page(msgspec.Struct, frozen=True):
    """Some entries of a directory. path: without slashes around it. next_cursor: where the next page begins."""

    path: str
    children: Sequence[Child]
    next_cursor: str | None = None


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    folder: bool
    size: int | None = None
    sha256: str | None = None
    modified: datetime | None = None
    content_type: str | None = None


class _Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    path: str
    children: list[_Entry]
    next_cursor: str | None = None


class FileInfo(msgspec.Struct, frozen=True):
    """What a client is told of a stored file."""

    uri: str
    path: str
    name: str
    version: str
    size: int
    content_type: str
    revision: int
    modified: datetime
    checksums: Mapping[str, str]
    properties: Mapping[str, tuple[str, ...]]


def listing_json(page: Page) -> bytes:
    """`{"path","children":[{"name","folder","size","sha256","modified","content_type"}],"next_cursor"}`."""
    return _encode(_Listing(page.path, [_entry(child) for child in page.children], page.next_cursor))


def listing_html(page: Page, query: str = "") -> bytes:
    """A page with one link a line, in the manner of Apache: relative, a slash behind folders, then date and size.

    query: further parameters of the link to the next page, each with `&` before it.
    """
    title = html.escape(f"Index of /{page.path}/" if page.path else "Index of /")
    lines = ['<a href="../">../</a>'] if page.path else []
    lines += [_line(child) for child in page.children]
    more = ""
    if page.next_cursor is not None:
        href = html.escape(f"?cursor={quote(page.next_cursor, safe='')}{query}")
        more = f'<p><a href="{href}" rel="next">More</a></p>\n'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<pre>\n" + "\n".join(lines) + f"\n</pre>\n{more}</body></html>\n"
    ).encode()


def checksum_list(rows: Iterable[ArtifactRow], directory: str) -> bytes:
    """The files directly in a directory, as `sha256sum --check` reads them."""
    return "".join(f"{row.sha256}  {row.path[len(directory) :]}\n" for row in rows).encode()


def file_info(row: ArtifactRow, uri: str) -> FileInfo:
    """What there is to say of an artifact."""
    return FileInfo(
        uri=uri,
        path=row.path,
        name=row.name,
        version=row.version,
        size=row.size_bytes,
        content_type=row.media_type,
        revision=row.revision,
        modified=row.published_at,
        checksums={"sha256": row.sha256, **row.digests},
        properties=row.properties,
    )


def _entry(child: Child) -> _Entry:
    row = child.artifact
    if row is None:
        return _Entry(child.name, folder=True)
    return _Entry(
        child.name,
        folder=False,
        size=row.size_bytes,
        sha256=row.sha256,
        modified=row.published_at,
        content_type=row.media_type,
    )


def _line(child: Child) -> str:
    row = child.artifact
    link = f'<a href="{quote(child.name, safe="")}{"/" if row is None else ""}">{html.escape(child.key)}</a>'
    padding = " " * max(1, 52 - len(child.key))
    if row is None:
        return f"{link}{padding}{'-':>16} {'-':>12}"
    return f"{link}{padding}{row.published_at:%Y-%m-%d %H:%M} {row.size_bytes:>12}"
