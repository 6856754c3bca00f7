"""Digests in request and answer headers: what a client announces of its body, and how an answer names its bytes.

`X-Checksum-*` is the convention of Artifactory and Maven tools; `Content-MD5` is RFC 1864, `Digest` RFC 3230,
`Content-Digest` and `Repr-Digest` RFC 9530.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from application.ports import Spooled
from domain.digests import parse_hex_digest
from domain.errors import DigestMismatch, Invalid

ANNOUNCED = ("md5", "sha1", "sha256", "sha512")

_STRUCTURED = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}
"""Names in `Content-Digest` and `Repr-Digest` dictionaries, and in `Digest` lists."""

_BYTE_SEQUENCE = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?\Z")


def announced_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """Algorithm to hexadecimal digest, of everything these headers say about their body.

    Unknown algorithms are left out (RFC 9530 section 2). With `X-Checksum-Deploy: true` there is no body, and
    they name bytes that are stored already. Raises Invalid for a digest that is none, and for two that disagree.
    """
    if headers.get("x-checksum-deploy", "").lower() == "true":
        return {}
    found: dict[str, str] = {}
    for name, algorithm, digest in _named(headers):
        checked = parse_hex_digest(algorithm, digest)
        if checked is None:
            raise Invalid(f"{name} holds no {algorithm} digest")
        if found.setdefault(algorithm, checked) != checked:
            raise Invalid(f"{name} contradicts another digest of the same request")
    return found


def verify_digests(announced: Mapping[str, str], spooled: Spooled) -> None:
    """Raise DigestMismatch for the first announced digest that the received bytes do not have."""
    for algorithm, expected in announced.items():
        actual = spooled.digests[algorithm]
        if actual != expected:
            raise DigestMismatch(algorithm, expected, actual)


def representation_digest(sha256: str) -> tuple[str, str]:
    """The `Repr-Digest` header of bytes with that SHA-256."""
    return "repr-digest", f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _named(headers: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(header, algorithm, hexadecimal digest) of each one that says something."""
    for algorithm in ANNOUNCED:
        name = f"x-checksum-{algorithm}"
        if headers.get(name):
            yield name, algorithm, headers[name]
    if "content-md5" in headers:
        yield "content-md5", "md5", _hex("content-md5", headers["content-md5"])
    for name in ("content-digest", "repr-digest"):
        for item in headers.get(name, "").split(","):
            if item.strip():
                key, value = _dictionary_member(name, item)
                if key in _STRUCTURED:
                    yield name, _STRUCTURED[key], _hex(name, value)
    for item in headers.get("digest", "").split(","):
        key, _, value = item.strip().partition("=")
        if key.lower() in _STRUCTURED:
            yield "digest", _STRUCTURED[key.lower()], _hex("digest", value)


def _dictionary_member(name: str, item: str) -> tuple[str, str]:
    """One member of an RFC 8941 dictionary whose value is a byte sequence."""
    matched = _BYTE_SEQUENCE.match(item)
    if matched is None:
        raise Invalid(f"{name} is malformed; expected members like sha-256=:<base64>:")
    return matched[1], matched[2]


def _hex(name: str, text: str) -> str:
    try:
        return base64.b64decode(text.strip(), validate=True).hex()
    except (binascii.Error, ValueError):
        raise Invalid(f"{name} is not base64") from None
