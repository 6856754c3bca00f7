"""Digests of stored bytes that nobody computed when they came: read from the blob, and remembered."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import cast

from application.catalogue import ArtifactRow
from application.ports import BlobStore, Stored
from domain.digests import Hasher

PUBLISHED = ("md5", "sha1")
"""Besides SHA-256: what answers and file information show, computed while receiving."""

_CHUNK_BYTES = 1 << 20


def digest_of(blobs: BlobStore, row: ArtifactRow, algorithm: str) -> str:
    """A digest of an artifact's bytes in hexadecimal; takes as long as reading them where it is not known."""
    if algorithm == "sha256":
        return row.sha256
    return row.digests.get(algorithm) or _read(cast("Hashable", blobs), row.sha256, (algorithm,))[algorithm]


def stored(blobs: BlobStore, row: ArtifactRow) -> Stored:
    """An artifact's bytes, to be referred to by another one, with every digest that is published."""
    digests = {"sha256": row.sha256, **row.digests}
    missing = tuple(name for name in PUBLISHED if name not in digests)
    if missing:
        digests |= _read(cast("Hashable", blobs), row.sha256, missing)
    return Stored(row.size_bytes, digests)


@lru_cache(maxsize=4096)
def _read(blobs: Hashable, sha256: str, algorithms: tuple[str, ...]) -> dict[str, str]:
    hasher = Hasher(algorithms)
    with cast("BlobStore", blobs).open(sha256) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.digests()
