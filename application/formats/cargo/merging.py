"""The index files of several registries as one: every version once, the first member's that has it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from application.formats.cargo.index import INDEX_TYPE
from application.formats.cargo.names import without_build
from application.formats.cargo.reading import indexed_key
from application.formats.cargo.upstream import read_lines
from application.wire import Call, Document, Merge
from domain.errors import NotFound

_MAX_SEPARATORS = 5
_SEPARATORS = "-_"


def _files(call: Call, documents: Sequence[Document]) -> Document:
    key = indexed_key(call.request)
    if key is None:
        raise NotFound("no such address in this repository")
    versions: dict[str, bytes] = {}
    for document in documents:
        for line in read_lines(document.body, key):
            versions.setdefault(without_build(line.version), line.raw)
    return Document(body=b"".join(raw + b"\n" for raw in versions.values()), media_type=INDEX_TYPE)


def spellings(key: str) -> tuple[str, ...]:
    """The keys that cargo takes for this one: any choice between `-` and `_`.

    Of a name with many of those only the three that anybody would write: as given, and with one of them throughout.
    """
    parts = key.replace("_", "-").split("-")
    if len(parts) > _MAX_SEPARATORS + 1:
        return tuple(dict.fromkeys((key, "-".join(parts), "_".join(parts))))
    chosen = product(_SEPARATORS, repeat=len(parts) - 1)
    return tuple("".join(map("".join, zip(parts, (*signs, ""), strict=True))) for signs in chosen)


FILES = Merge(combine=_files)
