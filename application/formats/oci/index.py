"""The documents that are made here: lists of tags, of images, and of what refers to a manifest. Pure.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

import msgspec

from application.formats.oci.metadata import OCI_INDEX
from application.formats.oci.names import Digest

JSON_TYPE = "application/json"


class Referrer(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that refers to a subject, as its descriptor tells of it."""

    digest: Digest
    media_type: str
    size_bytes: int
    artifact_type: str = ""
    annotations: dict[str, str] = {}


class Page(msgspec.Struct, frozen=True):
    """A part of an ordered list. more: whether something comes after it."""

    names: Sequence[str]
    more: bool = False


def page(names: Iterable[str], after: str, limit: int | None) -> Page:
    """The names after `after`, in byte order, at most so many."""
    found = sorted(name for name in names if name > after)
    if limit is None or len(found) <= limit:
        return Page(found)
    return Page(found[:limit], limit > 0)


def render_tags(name: str, tags: Sequence[str]) -> bytes:
    """The list of an image's tags."""
    return msgspec.json.encode({"name": name, "tags": tags})


def render_catalogue(names: Sequence[str]) -> bytes:
    """The list of images."""
    return msgspec.json.encode({"repositories": names})


def render_referrers(referrers: Iterable[Referrer]) -> bytes:
    """An index of those who refer to a subject."""
    descriptors = [
        {
            "mediaType": referrer.media_type,
            "digest": str(referrer.digest),
            "size": referrer.size_bytes,
            **({"artifactType": referrer.artifact_type} if referrer.artifact_type else {}),
            **({"annotations": referrer.annotations} if referrer.annotations else {}),
        }
        for referrer in sorted(referrers, key=lambda referrer: referrer.digest)
    ]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors})


def next_link(path: str, last: str, limit: int) -> tuple[str, str]:
    """The header that names the next part of a list (RFC 8288)."""
    return "link", f'<{path}?n={limit}&last={quote(last, safe="")}>; rel="next"'
