"""The lists of several registries as one. Members are asked for the whole, whatever part of it a client wants."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.formats.oci.address import image_in
from application.formats.oci.index import read_referrers, read_tags
from application.formats.oci.reading import page_size, referrers_document, tags_document
from application.wire import Call, Document, Merge, Request


def _whole(request: Request) -> Request:
    return msgspec.structs.replace(request, query=())


def _tags(call: Call, documents: Sequence[Document]) -> Document:
    tags = {tag for document in documents for tag in read_tags(document.body)}
    return tags_document(call.request, image_in(call.request), tags, page_size(call.request))


def _referrers(call: Call, documents: Sequence[Document]) -> Document:
    """Each once, as the first member tells of it."""
    listed = [referrer for document in reversed(documents) for referrer in read_referrers(document.body)]
    return referrers_document(call.request, list({referrer.digest: referrer for referrer in listed}.values()))


TAGS = Merge(combine=_tags, ask=_whole)
REFERRERS = Merge(combine=_referrers, ask=_whole)
