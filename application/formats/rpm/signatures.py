"""Who signed a package: the OpenPGP signatures in its signature header, told by their keys. Nothing is verified here.

Source: RFC 9580 sections 4.2 and 5.2.3; `rpm -K` and dnf verify them with the keys that their users trust.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from application.formats.rpm.header import Header, RpmInvalid

_OVER_HEADER = (267, 268)
_OVER_ALL = (1002, 1005)
_OPENPGP = 278
_SIGNATURE_PACKET = 2
_MADE_AT, _ISSUER, _FINGERPRINT = 2, 16, 33
_MAX_SIGNATURES = 16

_KEYS = {1: "rsa", 3: "rsa", 17: "dsa", 19: "ecdsa", 22: "eddsa", 27: "ed25519", 28: "ed448"}
_HASHES = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3-256", 14: "sha3-512"}


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One signature. key: the fingerprint or key id that it says it is by, hexadecimal. covers: `header` or `all`."""

    key: str
    algorithm: str
    hash: str
    covers: str
    made_at: datetime | None = None


def read_signatures(header: Header) -> tuple[Signature, ...]:
    """The signatures in a signature header; what is none is passed over. Raises RpmInvalid for tags of a wrong type."""
    found = [(header.binary(tag), "header") for tag in _OVER_HEADER]
    found += [(header.binary(tag), "all") for tag in _OVER_ALL]
    found += [(_unarmored(text), "header") for text in header.texts(_OPENPGP)[:_MAX_SIGNATURES]]
    read = (read_signature(data, covers) for data, covers in found if data)
    return tuple(dict.fromkeys(signature for signature in read if signature is not None))


def read_signature(data: bytes, covers: str) -> Signature | None:
    """What one packet says of its signature; None when it is not a signature that is read here."""
    try:
        return _read_body(_packet_body(data), covers)
    except (IndexError, ValueError, OverflowError, RpmInvalid):
        return None


def _unarmored(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _packet_body(data: bytes) -> bytes:
    """What the first packet holds; section 4.2."""
    first = data[0]
    kind = first & 0x3F if first & 0x40 else (first >> 2) & 0x0F
    if not first & 0x80 or kind != _SIGNATURE_PACKET:
        raise RpmInvalid("no signature packet")
    if first & 0x40:
        length, start = _subpacket_length(data, 1)
    else:
        width = (1, 2, 4)[first & 3]
        length, start = int.from_bytes(data[1 : 1 + width]), 1 + width
    body = data[start : start + length]
    if len(body) < length:
        raise RpmInvalid("the packet is cut off")
    return body


def _read_body(body: bytes, covers: str) -> Signature | None:
    version = body[0]
    if version == 3:
        at, key = int.from_bytes(body[3:7]), body[7:15].hex()
        return Signature(key, _KEYS.get(body[15], ""), _HASHES.get(body[16], ""), covers, _moment(at))
    if version not in (4, 6):
        return None
    width = 2 if version == 4 else 4
    hashed = _sized(body, 4, width)
    unhashed = _sized(body, 4 + width + len(hashed), width)
    key, made_at = "", None
    for kind, value in [*_subpackets(unhashed), *_subpackets(hashed)]:
        if kind == _FINGERPRINT:
            key = value[1:].hex()
        elif kind == _ISSUER and not key:
            key = value.hex()
        elif kind == _MADE_AT and len(value) == 4:
            made_at = _moment(int.from_bytes(value))
    return Signature(key, _KEYS.get(body[2], ""), _HASHES.get(body[3], ""), covers, made_at)


def _sized(body: bytes, at: int, width: int) -> bytes:
    length = int.from_bytes(body[at : at + width])
    found = body[at + width : at + width + length]
    if len(found) < length:
        raise RpmInvalid("the signature is cut off")
    return found


def _subpackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, start = _subpacket_length(data, at)
        if not 0 < length <= len(data) - start:
            raise RpmInvalid("a subpacket is cut off")
        yield data[start] & 0x7F, data[start + 1 : start + length]
        at = start + length


def _subpacket_length(data: bytes, at: int) -> tuple[int, int]:
    """A length in the new style, and where what has it begins."""
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 255:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5]), at + 5


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
