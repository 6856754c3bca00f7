"""The answers of several module proxies as one: every version of all of them, and the latest of their latest."""

from __future__ import annotations

from collections.abc import Sequence

from application.formats.go.index import TEXT_TYPE, read_info, read_list, render_list
from application.formats.go.versions import latest
from application.wire import Call, Document, Merge


def _lists(call: Call, documents: Sequence[Document]) -> Document:
    versions = {version for document in documents for version in read_list(document.body)}
    return Document(body=render_list(versions), media_type=TEXT_TYPE)


def _latest(call: Call, documents: Sequence[Document]) -> Document:
    """The first member's, where two have the same version."""
    by_version = {read_info(document.body).version: document for document in reversed(documents)}
    newest = latest(by_version)
    return by_version[newest] if newest is not None else documents[0]


LISTS = Merge(combine=_lists)
LATEST = Merge(combine=_latest)
