"""Manifests: what they say of an image, read strictly and within bounds. The bytes themselves are kept as they came.

Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md, …/image-index.md, …/descriptor.md,
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import msgspec

from application.formats.oci.names import Digest, DigestInvalid, parse_digest
from domain.errors import Invalid

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
"""Was in a candidate of the specification; some clients still push it."""

HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"

MAX_MANIFEST_BYTES = 8 * 1024 * 1024
MAX_DESCRIPTORS = 2_000
MAX_ANNOTATIONS = 1_000
MAX_TEXT_CHARS = 8_192
_MAX_SIZE = 1 << 50

_ELSEWHERE = re.compile(r"nondistributable|\.foreign\.")


class ManifestInvalid(Invalid):
    """Not a manifest that clients could use."""

    template: ClassVar[str] = "invalid manifest: {detail}"
    code: ClassVar[str] = "MANIFEST_INVALID"


_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]
_Annotations = Annotated[dict[_Text, str], msgspec.Meta(max_length=MAX_ANNOTATIONS)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=_MAX_SIZE)]


class _Platform(msgspec.Struct):
    architecture: _Text = ""
    os: _Text = ""
    variant: _Text | None = None


class _Descriptor(msgspec.Struct, rename="camel"):
    media_type: _Text
    digest: _Text
    size: _Size
    urls: Annotated[list[_Text], msgspec.Meta(max_length=100)] | None = None
    data: str | None = None
    platform: _Platform | None = None
    artifact_type: _Text | None = None


_Descriptors = Annotated[list[_Descriptor], msgspec.Meta(max_length=MAX_DESCRIPTORS)]


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int | None = None
    media_type: _Text | None = None
    artifact_type: _Text | None = None
    config: _Descriptor | None = None
    layers: _Descriptors | None = None
    manifests: _Descriptors | None = None
    blobs: _Descriptors | None = None
    subject: _Descriptor | None = None
    annotations: _Annotations | None = None


class Reference(msgspec.Struct, frozen=True):
    """A descriptor of something that the manifest needs. needed: whether it must be here."""

    digest: Digest
    media_type: str
    size_bytes: int
    needed: bool = True


class Platform(msgspec.Struct, frozen=True):
    """For what machines one of the manifests of an index is."""

    digest: Digest
    os: str
    architecture: str
    variant: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says. blobs: the config and the layers, each once; manifests: those that an index lists.

    artifact_type: as others see it: its own, or that of its config; empty where there is neither.
    """

    kind: Literal["image", "index", "artifact"]
    media_type: str
    blobs: tuple[Reference, ...] = ()
    manifests: tuple[Reference, ...] = ()
    platforms: tuple[Platform, ...] = ()
    config_type: str = ""
    config_digest: Digest | None = None
    subject: Digest | None = None
    artifact_type: str = ""
    annotations: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Document).decode

_KINDS: dict[str, Literal["image", "index", "artifact"]] = {
    OCI_MANIFEST: "image",
    DOCKER_MANIFEST: "image",
    OCI_INDEX: "index",
    DOCKER_LIST: "index",
    OCI_ARTIFACT: "artifact",
}


def parse_manifest(data: bytes, content_type: str = "") -> Manifest:
    """Read a manifest.

    content_type: as its sender says, with or without parameters; it must be what the manifest says itself. Raises
    ManifestInvalid and nothing else: also for a type that is none of a manifest, and for Docker's first schema.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"it has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are taken")
    try:
        document = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestInvalid(str(error)[:500]) from None
    except RecursionError:
        raise ManifestInvalid("nested too deeply") from None
    media_type = _media_type(document, content_type)
    try:
        return _manifest(document, media_type)
    except DigestInvalid as fault:
        raise ManifestInvalid(str(fault)) from None


def _media_type(document: _Document, content_type: str) -> str:
    sent = content_type.partition(";")[0].strip().lower()
    own = document.media_type or ""
    if own and sent and own.lower() != sent:
        raise ManifestInvalid(f"mediaType is {own[:200]!r} and Content-Type is {sent[:200]!r}")
    media_type = own or sent
    if media_type not in _KINDS:
        raise ManifestInvalid(f"{media_type[:200]!r} is not a type of manifest that is taken here")
    return media_type


def _manifest(document: _Document, media_type: str) -> Manifest:
    kind = _KINDS[media_type]
    _require_shape(document, kind)
    config, children = document.config, document.manifests or []
    blobs = [*([config] if config else []), *(document.layers or []), *(document.blobs or [])]
    return Manifest(
        kind=kind,
        media_type=media_type,
        blobs=_once(blobs),
        manifests=_once(children),
        platforms=_platforms(children),
        config_type=config.media_type if config else "",
        config_digest=parse_digest(config.digest) if config else None,
        subject=parse_digest(document.subject.digest) if document.subject else None,
        artifact_type=document.artifact_type or (config.media_type if config else ""),
        annotations=document.annotations or {},
    )


def _require_shape(document: _Document, kind: str) -> None:
    """Refuse what one reader would take for an image and another one for an index."""
    if kind != "artifact" and document.schema_version != 2:
        raise ManifestInvalid("schemaVersion must be 2")
    if kind == "image" and (document.config is None or document.layers is None):
        raise ManifestInvalid("an image has a config and layers")
    if kind == "index" and document.manifests is None:
        raise ManifestInvalid("an index has manifests")
    if kind != "index" and document.manifests is not None:
        raise ManifestInvalid("only an index has manifests")
    if kind == "index" and (document.config, document.layers, document.blobs) != (None, None, None):
        raise ManifestInvalid("an index has neither a config nor layers")


def _once(descriptors: Iterable[_Descriptor]) -> tuple[Reference, ...]:
    """Each digest once: several layers may be the same."""
    found: dict[Digest, Reference] = {}
    for descriptor in descriptors:
        reference = _reference(descriptor)
        known = found.setdefault(reference.digest, reference)
        if known.size_bytes != reference.size_bytes:
            raise ManifestInvalid(f"{reference.digest} is said to have two sizes")
        if reference.needed and not known.needed:
            found[reference.digest] = reference
    return tuple(found.values())


def _reference(descriptor: _Descriptor) -> Reference:
    """What carries its bytes itself, or may not be distributed, need not be here."""
    elsewhere = bool(descriptor.urls) or _ELSEWHERE.search(descriptor.media_type) is not None
    needed = not elsewhere and descriptor.data is None
    return Reference(parse_digest(descriptor.digest), descriptor.media_type, descriptor.size, needed)


def _platforms(children: Iterable[_Descriptor]) -> tuple[Platform, ...]:
    return tuple(
        Platform(
            parse_digest(child.digest), child.platform.os, child.platform.architecture, child.platform.variant or ""
        )
        for child in children
        if child.platform is not None
    )
