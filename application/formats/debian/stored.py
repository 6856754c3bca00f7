"""What the catalogue keeps of a file of the pool. Stored data: fields are only ever added."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from application.catalogue import ArtifactRow
from application.formats.debian.contents import pack_paths, paths_to_text, text_to_paths, unpack_paths
from application.formats.debian.metadata import BinaryPackage
from application.formats.debian.names import checked_suite
from application.formats.debian.sources import ListedFile, SourcePackage
from application.ports import BlobStore
from domain.errors import Invalid

DISTRIBUTION = "deb.distribution"
"""The property that names the suites an artifact is in; without it, it is in every suite."""

CONTENTS_ROLE = "contents"
_MAX_INLINE_CHARS = 12 * 1024


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metadata of an artifact.

    stanza: of a binary or source package, as its index begins it. contents: its paths, packed; empty where they are the
    blob of the role `contents`, or unknown. files: of a source package.
    """

    kind: str
    stanza: str = ""
    architecture: str = ""
    section: str = ""
    description: str = ""
    contents: str = ""
    files: tuple[ListedFile, ...] = ()


_decode = msgspec.json.Decoder(Facts).decode


def binary_facts(found: BinaryPackage) -> tuple[bytes, bytes | None]:
    """The metadata to store, and the packed paths where they are to be a blob of their own."""
    packed = pack_paths(found.paths) if found.paths else b""
    stanza, contents = found.stanza.text(), paths_to_text(packed)
    inline = len(stanza) + len(contents) <= _MAX_INLINE_CHARS
    facts = Facts(
        kind="binary",
        stanza=stanza,
        architecture=found.architecture,
        section=found.section,
        description=found.description[:500],
        contents=contents if inline else "",
    )
    return msgspec.json.encode(facts), None if inline else packed


def source_facts(found: SourcePackage) -> bytes:
    """The metadata to store."""
    facts = Facts(kind="source", stanza=found.stanza.text(), architecture="source", files=found.files)
    return msgspec.json.encode(facts)


def plain_facts(kind: str) -> bytes:
    """The metadata of a file that no index tells of by itself."""
    return msgspec.json.encode(Facts(kind=kind))


def facts_of(row: ArtifactRow, blobs: BlobStore) -> Facts | None:
    """What is kept of an artifact; None for one that came another way."""
    metadata = bytes(row.metadata)
    if row.metadata_blob:
        with blobs.open(row.metadata_blob) as file:
            metadata = file.read()
    try:
        return _decode(metadata)
    except msgspec.DecodeError:
        return None


def paths_of(row: ArtifactRow, facts: Facts, blobs: BlobStore) -> list[bytes]:
    """The paths that a binary package brings."""
    if CONTENTS_ROLE in row.blobs:
        with blobs.open(row.blobs[CONTENTS_ROLE]) as file:
            return unpack_paths(file.read())
    return text_to_paths(facts.contents) if facts.contents else []


def suites_of(properties: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The suites that an artifact names; none when it is in every suite. What cannot be one is passed over."""
    return tuple(suite for suite in properties.get(DISTRIBUTION, ()) if _is_suite(suite))


def _is_suite(text: str) -> bool:
    try:
        checked_suite(text)
    except Invalid:
        return False
    return True
