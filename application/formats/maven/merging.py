"""The metadata of several repositories as one, and checksums of the merged document."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.formats.maven.address import asked_of
from application.formats.maven.index import render
from application.formats.maven.names import split_checksum
from application.formats.maven.reading import XML, checksum_document
from application.formats.maven.upstream import merged, read_metadata
from application.wire import Call, Document, Merge, Request


def _document(call: Call, documents: Sequence[Document]) -> Document:
    """A single one as it is."""
    del call
    if len(documents) == 1:
        return documents[0]
    return Document(body=render(merged([read_metadata(one.body) for one in documents])), media_type=XML)


def _checksum(call: Call, documents: Sequence[Document]) -> Document:
    asked = asked_of(call.request)
    return checksum_document(_document(call, documents).body, asked.algorithm if asked is not None else "sha1")


def _of_document(request: Request) -> Request:
    """The request for what a checksum is of."""
    *directory, name = request.segments
    return msgspec.structs.replace(request, segments=(*directory, split_checksum(name)[0]))


DOCUMENT = Merge(combine=_document)
CHECKSUM = Merge(combine=_checksum, ask=_of_document)
