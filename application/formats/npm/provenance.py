"""Sigstore bundles that are attached to a publish: which package they speak of, and what they claim about it.

The signature is for clients to check against the roots that they trust; here a bundle must only concern this tarball.
Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://docs.sigstore.dev/about/bundle/
"""

from __future__ import annotations

import binascii
from typing import Any, ClassVar

import msgspec

from domain.errors import Invalid


class BundleMalformed(Invalid):
    """The attached provenance is no Sigstore bundle about this tarball."""

    template: ClassVar[str] = "invalid provenance bundle: {detail}"


class Provenance(msgspec.Struct, frozen=True):
    """A bundle as JSON text, and the type of what it states."""

    predicate_type: str
    bundle: bytes


class _Envelope(msgspec.Struct):
    payload: str


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str
    dsse_envelope: _Envelope


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Statement(msgspec.Struct, rename="camel"):
    subject: list[_Subject]
    predicate_type: str


def read_provenance(text: str, sha512: str) -> Provenance:
    """Read a bundle about the tarball with this SHA-512 (lower-case hexadecimal).

    Raises BundleMalformed when it is damaged or no subject in it has the digest.
    """
    bundle = _decode(text.encode(), _Bundle)
    try:
        payload = binascii.a2b_base64(bundle.dsse_envelope.payload, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BundleMalformed(f"payload: {error}") from None
    statement = _decode(payload, _Statement)
    if not any(subject.digest.get("sha512", "").lower() == sha512 for subject in statement.subject):
        raise BundleMalformed("it is about other bytes than this tarball")
    # Encoded anew: what is served is one JSON value, whatever surrounded it in the upload.
    return Provenance(statement.predicate_type, msgspec.json.format(text.encode(), indent=-1))


def _decode(data: bytes, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleMalformed(str(error)) from None
