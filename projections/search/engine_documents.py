"""What the search engine holds of an artifact, and how it is to search it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from application.log import Recorded
from application.searching import MAX_COUNTED, describe, name_key, name_words, storable, words
from domain.artifact import ArtifactPublished

VERSION = 1
PRIMARY_KEY = "artifact"
MOST_FACETS = 2_000
"""How many repositories, or media types, are told apart in counts."""

SETTINGS: dict[str, Any] = {
    "searchableAttributes": ["name", "name_words", "package", "keywords", "description", "version", "path"],
    "filterableAttributes": [
        PRIMARY_KEY, "repository", "media_type", "name_digest", "version_digest", "size_bytes", "published_at",
    ],
    "sortableAttributes": ["name_key", "position", "size_bytes"],
    # an order that is asked for goes before everything; among equals the newest is first
    "rankingRules": ["sort", "words", "typo", "proximity", "attribute", "exactness", "position:desc"],
    "typoTolerance": {"disableOnAttributes": ["version", "path"]},
    "pagination": {"maxTotalHits": MAX_COUNTED},
    "faceting": {"maxValuesPerFacet": MOST_FACETS},
}  # fmt: skip

SHOWN = [
    "artifact", "repository", "path", "package", "name", "version", "sha256", "size_bytes", "media_type",
    "published_at",
]  # fmt: skip


def document_of(recorded: Recorded, event: ArtifactPublished) -> dict[str, Any]:
    """One document. Times are microseconds; digests stand for what must be equal to the letter."""
    name = event.name or event.package or event.path.rpartition("/")[2]
    described = describe(bytes(event.metadata))
    return {
        PRIMARY_KEY: str(recorded.stream),
        "position": recorded.position,
        "repository": str(event.repository),
        "path": storable(event.path),
        "package": event.package,
        "name": storable(name),
        "name_words": " ".join(dict.fromkeys(name_words(name))),
        "name_key": name_key(name),
        "name_digest": digest(name_key(name)),
        "version": storable(event.version),
        "version_digest": digest(event.version),
        "sha256": event.sha256,
        "size_bytes": event.size_bytes,
        "media_type": event.media_type,
        "published_at": microseconds(recorded.at),
        "keywords": [" ".join(words(keyword)) for keyword in described.keywords],
        "description": described.description or "",
    }


def digest(text: str) -> str:
    """What stands for a text in a filter: the engine folds case and accents of texts, and not of this."""
    return hashlib.sha256(storable(text).encode()).hexdigest()[:32]


def microseconds(moment: datetime) -> int:
    """Since the epoch, exactly."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def are(artifacts: Iterable[str]) -> str:
    """The filter for these artifacts."""
    quoted = ", ".join(f'"{artifact}"' for artifact in artifacts)
    return f"{PRIMARY_KEY} IN [{quoted}]"


def in_repositories(repositories: Iterable[UUID]) -> str:
    """The filter for artifacts of these repositories."""
    quoted = ", ".join(f'"{repository}"' for repository in sorted(repositories))
    return f"repository IN [{quoted}]"


def shape() -> str:
    """Of documents and settings. An index of another shape is filled anew: count VERSION up when documents change."""
    return f"{VERSION}-{hashlib.sha256(msgspec.json.encode(SETTINGS, order='sorted')).hexdigest()[:16]}"
