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


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a listing. folder: it has nothing but a name."""

    name: str
    folder: bool
    size: int | None = None
    sha256: str | None = None
    modified: datetime | None = None
    content_type: str | None = None

    @property
    def key(self) -> str:
        """Its place in the order of a directory: the name, with a slash after a folder's."""
        return f"{self.name}/" if self.folder else self.name


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some entries of a directory as they are shown. See Page."""

    path: str
    children: list[Entry]
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


def listing_of(page: Page) -> Listing:
    """What is shown of a page."""
    return Listing(page.path, [_entry(child) for child in page.children], page.next_cursor)


def all_listings(listings: Sequence[Listing], limit: int = MAX_ENTRIES) -> Listing:
    """The listings of one directory in several repositories, from the same place on: each entry once, the first's."""
    found: dict[str, Entry] = {}
    for listing in listings:
        for entry in listing.children:
            found.setdefault(entry.key, entry)
    ends = [listing.next_cursor for listing in listings if listing.next_cursor is not None]
    # Behind the end of a listing that goes on, it may have what the others have not.
    keys = sorted(key for key in found if not ends or key <= min(ends))
    cursor = keys[limit - 1] if len(keys) > limit else min(ends, default=None)
    return Listing(listings[0].path, [found[key] for key in keys[:limit]], cursor)


def listing_json(listing: Listing) -> bytes:
    """`{"path","children":[{"name","folder","size","sha256","modified","content_type"}],"next_cursor"}`."""
    return _encode(listing)


def read_listing(body: bytes) -> Listing:
    """What `listing_json` wrote."""
    return msgspec.json.decode(body, type=Listing)


def listing_html(page: Listing, query: str = "") -> bytes:
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


def _entry(child: Child) -> Entry:
    row = child.artifact
    if row is None:
        return Entry(child.name, folder=True)
    return Entry(
        child.name,
        folder=False,
        size=row.size_bytes,
        sha256=row.sha256,
        modified=row.published_at,
        content_type=row.media_type,
    )


def _line(entry: Entry) -> str:
    link = f'<a href="{quote(entry.name, safe="")}{"/" if entry.folder else ""}">{html.escape(entry.key)}</a>'
    padding = " " * max(1, 52 - len(entry.key))
    if entry.modified is None:
        return f"{link}{padding}{'-':>16} {'-':>12}"
    return f"{link}{padding}{entry.modified:%Y-%m-%d %H:%M} {entry.size:>12}"
