"""Attestations that come with an upload (PEP 740): that they speak of this very file, and the object they become.

Signatures are for clients to verify against the roots that they trust; what an index must not do is to serve an
attestation of something else.
Source: https://packaging.python.org/en/latest/specifications/index-hosted-attestations/
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from application.formats.pypi.names import same_file
from domain.errors import Invalid

T = TypeVar("T")

_MAX_BYTES = 1 << 20
_MAX_ATTESTATIONS = 16


class AttestationInvalid(Invalid):
    """The attestations are malformed, or about another file."""

    template: ClassVar[str] = "invalid attestations: {detail}"


class _VerificationMaterial(msgspec.Struct):
    certificate: str
    transparency_entries: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


class _Envelope(msgspec.Struct):
    statement: str
    signature: str


class _Attestation(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    verification_material: _VerificationMaterial
    envelope: _Envelope


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct, rename="camel"):
    subject: Annotated[list[_Subject], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: str


def provenance_of(attestations: str, filename: str, sha256: str) -> bytes:
    """The provenance object of a file from the JSON array that was uploaded with it.

    Raises AttestationInvalid unless each attestation has the form of version 1 and names this file and this digest.
    The publisher is only said to be this index: who uploaded is known from a credential, not from a signed identity.
    """
    if len(attestations) > _MAX_BYTES:
        raise AttestationInvalid(f"more than {_MAX_BYTES} characters")
    raw = _decode(attestations.encode(), list[msgspec.Raw])
    if not 0 < len(raw) <= _MAX_ATTESTATIONS:
        raise AttestationInvalid(f"expected 1 to {_MAX_ATTESTATIONS} attestations, found {len(raw)}")
    kinds = [_check(_decode(bytes(one), _Attestation), filename, sha256) for one in raw]
    if len(set(kinds)) != len(kinds):
        raise AttestationInvalid("two of them are of the same type")
    bundle = {"publisher": {"kind": "artifact-keeper", "claims": None}, "attestations": raw}
    return msgspec.json.encode({"version": 1, "attestation_bundles": [bundle]})


def _check(attestation: _Attestation, filename: str, sha256: str) -> str:
    try:
        payload = base64.b64decode(attestation.envelope.statement, validate=True)
    except (binascii.Error, ValueError):
        raise AttestationInvalid("a statement is not base64") from None
    statement = _decode(payload, _Statement)
    subject = statement.subject[0]
    if not same_file(subject.name, filename) or subject.digest.get("sha256") != sha256:
        raise AttestationInvalid(f"a statement is not about {filename} with this content")
    return statement.predicate_type


def _decode(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise AttestationInvalid(str(error)[:200]) from None
