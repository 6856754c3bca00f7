"""Directories of several repositories as one. Members are asked for JSON, which says everything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.formats.generic import reading
from application.formats.generic.addresses import count_of
from application.formats.generic.index import MAX_ENTRIES, all_listings, read_listing
from application.wire import Call, Document, Merge, Request


def _in_json(request: Request) -> Request:
    if not request.segments:  # the address without its slash, which is answered with where it is
        return request
    query = tuple(pair for pair in request.query if pair[0] != "format")
    return msgspec.structs.replace(request, query=(*query, ("format", "json")))


def _listings(call: Call, documents: Sequence[Document]) -> Document:
    limit = count_of(call.request, "limit", MAX_ENTRIES, MAX_ENTRIES)
    listing = all_listings([read_listing(document.body) for document in documents], limit)
    return reading.shown(call.request, listing)


LISTINGS = Merge(combine=_listings, ask=_in_json)
