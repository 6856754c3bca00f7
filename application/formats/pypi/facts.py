"""What an artifact's event keeps of a distribution, so that every page can be made without opening a blob."""

from __future__ import annotations

import msgspec

from application.formats.pypi.metadata import Distribution
from application.formats.pypi.names import Kind

# The log holds up to 16 KiB inline; beyond, the facts would be a blob and each page would have to open one per file.
_MAX_BYTES = 15_000
_MAX_TEXT_CHARS = 1_000

METADATA_ROLE = "metadata"
"""The blob that is served as `{filename}.metadata`."""
PKG_INFO_ROLE = "pkg-info"
"""The metadata of an sdist that may not be relied on (before 2.2): read for display, never offered."""
SIGNATURE_ROLE = "signature"
PROVENANCE_ROLE = "provenance"


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every field may be absent: what was stored by other means than the upload form has none of them.

    The lists and long texts are for search and for policies; they are dropped, longest first, where they would not fit.
    """

    kind: Kind | None = None
    python_tag: str | None = None
    requires_python: str | None = None
    summary: str | None = None
    author: str | None = None
    author_email: str | None = None
    home_page: str | None = None
    license: str | None = None
    license_expression: str | None = None
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    requires_dist: tuple[str, ...] = ()
    provides_extra: tuple[str, ...] = ()
    project_urls: dict[str, str] = {}


_DROPPABLE = (
    "author", "author_email", "home_page", "license", "license_expression", "keywords", "classifiers",
    "requires_dist", "provides_extra", "project_urls",
)  # fmt: skip

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Facts).decode


def encode_facts(distribution: Distribution) -> bytes:
    """The facts as JSON that fits into the event."""
    fields = distribution.fields
    summary = distribution.summary
    facts = Facts(
        kind=distribution.kind,
        python_tag=distribution.python_tag,
        requires_python=distribution.requires_python,
        summary=summary[:_MAX_TEXT_CHARS] if summary else None,
        author=fields.author,
        author_email=fields.author_email,
        home_page=fields.home_page,
        license=fields.license,
        license_expression=fields.license_expression,
        keywords=fields.keywords,
        classifiers=fields.classifiers,
        requires_dist=fields.requires_dist,
        provides_extra=fields.provides_extra,
        project_urls=fields.project_urls,
    )
    encoded = _encode(facts)
    if len(encoded) <= _MAX_BYTES:
        return encoded
    empty = Facts()
    sizes = {field: len(_encode(getattr(facts, field))) for field in _DROPPABLE}
    for field in sorted(_DROPPABLE, key=lambda field: -sizes[field]):
        facts = msgspec.structs.replace(facts, **{field: getattr(empty, field)})
        encoded = _encode(facts)
        if len(encoded) <= _MAX_BYTES:
            break
    return encoded


def decode_facts(metadata: bytes) -> Facts:
    """The facts of an artifact; empty ones for metadata of another kind."""
    try:
        return _decode(metadata)
    except msgspec.DecodeError:
        return Facts()
