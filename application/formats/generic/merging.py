"""Directories of several repositories as one. Members are asked for JSON, which says everything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.formats.generic import reading, remote, webdav
from application.formats.generic.addresses import count_of
from application.formats.generic.index import MAX_ENTRIES, all_listings, read_listing
from application.wire import Answer, AnyAnswer, Call, Document, Merge, Request


def _in_json(request: Request) -> Request:
    if not request.segments:  # the address without its slash, which is answered with where it is
        return request
    query = tuple(pair for pair in request.query if pair[0] != "format")
    return msgspec.structs.replace(request, query=(*query, ("format", "json")))


def _listings(call: Call, documents: Sequence[Document]) -> Document:
    limit = count_of(call.request, "limit", MAX_ENTRIES, MAX_ENTRIES)
    listing = all_listings([read_listing(document.body) for document in documents], limit)
    return reading.shown(call.request, listing)


def propfind(call: Call, asked: Sequence[Call]) -> AnyAnswer:
    """PROPFIND: of what members hold, and of what was kept by those that stand in for another server."""
    return webdav.propfind_all(
        call, [one for one in asked if one.repository.kind != "remote" or remote.is_of_files(one)]
    )


def options(call: Call, asked: Sequence[Call]) -> Answer:
    """OPTIONS: the same whatever the members."""
    del asked
    return webdav.options(call)


LISTINGS = Merge(combine=_listings, ask=_in_json)
