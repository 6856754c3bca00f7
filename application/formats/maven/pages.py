"""Listings of directories: for people, and for clients that find versions by following links (Gradle, Ivy)."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from application.catalogue import Child

MAX_ENTRIES = 5_000
"""Entries of one page."""


def listing_html(path: str, children: Sequence[Child], derived: Sequence[str], cursor: str | None) -> bytes:
    """A page with one relative link a line, a slash behind directories.

    path: of the directory, without slashes around it. derived: names of files that are generated there. cursor: where
    the next page begins.
    """
    title = html.escape(f"Index of /{path}/" if path else "Index of /")
    lines = ['<a href="../">../</a>'] if path else []
    lines += [_line(child) for child in children]
    lines += [f'<a href="{name}">{name}</a>' for name in derived]
    more = f'<p><a href="?cursor={html.escape(quote(cursor, safe=""))}" rel="next">More</a></p>\n' if cursor else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<pre>\n" + "\n".join(lines) + f"\n</pre>\n{more}</body></html>\n"
    ).encode()


def _line(child: Child) -> str:
    row = child.artifact
    link = f'<a href="{quote(child.name, safe="")}{"/" if row is None else ""}">{html.escape(child.key)}</a>'
    if row is None:
        return link
    return f"{link}{' ' * max(1, 60 - len(child.key))}{row.published_at:%Y-%m-%d %H:%M} {row.size_bytes:>12}"
