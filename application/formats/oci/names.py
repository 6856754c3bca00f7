"""The grammar of names, tags and digests, and where things of an image are kept.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests,
https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, NewType

import msgspec

from domain.digests import HEX_LENGTHS, sha256_of
from domain.errors import Invalid

ImageName = NewType("ImageName", str)
"""What comes after the repository's key: segments in lower case, joined by slashes. ROOT_IMAGE where nothing does."""

ROOT_IMAGE = ImageName("_")
"""Stands for the image whose name is the repository's key alone; no written name looks like it."""

Tag = NewType("Tag", str)

MAX_NAME_CHARS = 255
Algorithm = Literal["sha256", "sha512"]

_SEGMENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_HEX = re.compile(r"[0-9a-f]+\Z")
_NUMBERS = re.compile(r"(\d+)")


class NameInvalid(Invalid):
    """Not a name that an image can have."""

    template: ClassVar[str] = "invalid image name {name!r}"
    code: ClassVar[str] = "NAME_INVALID"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:300])


class TagInvalid(Invalid):
    """Not a name that a tag can have."""

    template: ClassVar[str] = "invalid tag {tag!r}"
    code: ClassVar[str] = "MANIFEST_INVALID"

    def __init__(self, tag: str) -> None:
        super().__init__(tag=tag[:200])


class DigestInvalid(Invalid):
    """Not a digest, or not of an algorithm that is known here."""

    template: ClassVar[str] = "invalid digest {digest!r}: expected sha256 or sha512 in lower-case hexadecimal"
    code: ClassVar[str] = "DIGEST_INVALID"

    def __init__(self, digest: str) -> None:
        super().__init__(digest=digest[:200])


class Digest(msgspec.Struct, frozen=True, order=True):
    """A checked digest; as text `sha256:…`."""

    algorithm: Algorithm
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def further(self) -> tuple[str, ...]:
        """What must be computed besides SHA-256 to check it."""
        return () if self.algorithm == "sha256" else (self.algorithm,)


def parse_image(text: str) -> ImageName:
    """The name; the empty text is the image whose name is the repository's key. Raises NameInvalid."""
    if not text:
        return ROOT_IMAGE
    if len(text) > MAX_NAME_CHARS or not _NAME.match(text):
        raise NameInvalid(text)
    return ImageName(text)


def parse_tag(text: str) -> Tag:
    """The tag. Raises TagInvalid."""
    if not _TAG.match(text):
        raise TagInvalid(text)
    return Tag(text)


def is_tag(text: str) -> bool:
    """Whether a tag can be called that."""
    return _TAG.match(text) is not None


def parse_digest(text: str) -> Digest:
    """The digest. Raises DigestInvalid."""
    algorithm, colon, hexadecimal = text.partition(":")
    if algorithm not in ("sha256", "sha512") or not colon:
        raise DigestInvalid(text)
    if len(hexadecimal) != HEX_LENGTHS[algorithm] or not _HEX.match(hexadecimal):
        raise DigestInvalid(text)
    return Digest("sha256" if algorithm == "sha256" else "sha512", hexadecimal)


def parse_reference(text: str) -> Digest | Tag:
    """A digest where there is a colon, else a tag. Raises DigestInvalid, TagInvalid."""
    return parse_digest(text) if ":" in text else parse_tag(text)


def digest_of(data: bytes) -> Digest:
    """The digest by which bytes are known where nobody says another."""
    return Digest("sha256", sha256_of(data))


def full_name(key: str, image: str) -> str:
    """What clients call an image: the repository's key and the image's name."""
    return key if image == ROOT_IMAGE else f"{key}/{image}"


def blob_path(image: ImageName, digest: Digest) -> str:
    """Where a blob of an image is."""
    return f"{image}/blobs/{digest}"


def manifest_path(image: ImageName, digest: Digest) -> str:
    """Where a manifest of an image is."""
    return f"{image}/manifests/{digest}"


def referrers_key(image: ImageName, subject: Digest) -> str:
    """Under which those who refer to a subject are remembered; no image has such a name."""
    return f"{image}@{subject}"


def fallback_tag(subject: Digest) -> Tag:
    """Under which clients list referrers of a subject where the registry does not."""
    return Tag(f"{subject.algorithm}-{subject.hex[:64]}")


def order_key(version: str) -> tuple[Any, ...]:
    """Tags in the order of the numbers in them; nothing else of them says which is newer."""
    return tuple((1, int(part[:19]), "") if part.isdecimal() else (0, 0, part) for part in _NUMBERS.split(version))
