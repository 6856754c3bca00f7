"""The documents that are made here: lists of tags, of images, and of what refers to a manifest. Pure.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated
from urllib.parse import quote

import msgspec

from application.formats.oci.metadata import OCI_INDEX
from application.formats.oci.names import Digest, DigestInvalid, is_tag, parse_digest
from domain.errors import Invalid

JSON_TYPE = "application/json"


class ListInvalid(Invalid):
    """Not a list of tags, or not an index of referrers."""

    template = "malformed list: {detail}"


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Descriptor(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    manifests: list[_Descriptor]


_decode_tags = msgspec.json.Decoder(_Tags).decode
_decode_index = msgspec.json.Decoder(_Index).decode


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


def read_tags(data: bytes) -> list[str]:
    """The tags of somebody's list; what no tag can be called is left out. Raises ListInvalid."""
    try:
        tags = _decode_tags(data).tags or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ListInvalid(str(error)[:300]) from None
    return [tag for tag in tags if is_tag(tag)]


def read_referrers(data: bytes) -> list[Referrer]:
    """The referrers of somebody's index. Raises ListInvalid."""
    try:
        found = _decode_index(data).manifests
        return [
            Referrer(
                digest=parse_digest(one.digest),
                media_type=one.media_type,
                size_bytes=one.size,
                artifact_type=one.artifact_type,
                annotations=one.annotations or {},
            )
            for one in found
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DigestInvalid) as error:
        raise ListInvalid(str(error)[:300]) from None


def next_link(path: str, last: str, limit: int) -> tuple[str, str]:
    """The header that names the next part of a list (RFC 8288)."""
    return "link", f'<{path}?n={limit}&last={quote(last, safe="")}>; rel="next"'
