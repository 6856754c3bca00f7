"""OpenPGP version 4 keys and signatures of the kind that apt, dnf and zypper check.

The packets are made here, the mathematics is the cryptography library's. Of the OpenPGP libraries for Python none lets
the caller say when a signature was made, without which one document never has the same signature twice; and what the
best of them makes as a key has subpackets at which the parser of rpm 4 gives up. That wants a key like gpg's: a primary
one that signs, one user id, no signature directly over the key.

Source: https://www.rfc-editor.org/rfc/rfc9580; octets as in gpg's own keys where the text leaves a choice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

_VERSION = 4
_RSA, _EDDSA = 1, 22
_SHA512 = 10
_ED25519_OID = bytes.fromhex("2b06010401da470f01")

_SIGNATURE_TAG, _KEY_TAG, _USER_ID_TAG = 2, 6, 13
_OVER_BINARY, _OVER_TEXT, _OVER_USER_ID, _OVER_REVOKED_KEY = 0x00, 0x01, 0x13, 0x20

_CREATED, _KEY_FLAGS, _REASON, _ISSUER, _ISSUER_FINGERPRINT = 2, 27, 29, 16, 33
_CIPHERS, _HASHES, _COMPRESSIONS, _FEATURES, _SERVER = 11, 21, 22, 30, 23
_PREFERENCES = (
    (_KEY_FLAGS, b"\x03"),  # certifies and signs
    (_CIPHERS, b"\x09\x08\x07\x02"),
    (_HASHES, b"\x0a\x09\x08"),
    (_COMPRESSIONS, b"\x02\x03\x01"),
    (_FEATURES, b"\x01"),
    (_SERVER, b"\x80"),
)

_LINE = 64


class OpenPgpKey:
    """A private key with what makes it an OpenPGP one. All that it makes depends on nothing but what is given."""

    def __init__(self, private_key: PrivateKey, made_at: datetime, user_id: str) -> None:
        """made_at: the fingerprint covers it, to the second. user_id: at most 255 bytes of UTF-8."""
        self._private_key = private_key
        self._made_at = int(made_at.timestamp())
        self._user_id = user_id.encode()
        self._algorithm = _RSA if isinstance(private_key, RSAPrivateKey) else _EDDSA
        body = bytes([_VERSION]) + _number(self._made_at, 4) + bytes([self._algorithm]) + _public(private_key)
        self._framed = b"\x99" + _number(len(body), 2) + body  # as it is hashed, which is also how it is written
        self._fingerprint = hashlib.sha1(self._framed, usedforsecurity=False).digest()

    @property
    def fingerprint(self) -> str:
        """40 hexadecimal digits, upper case as gpg shows them."""
        return self._fingerprint.hex().upper()

    @property
    def key_id(self) -> str:
        """The last 16 digits of the fingerprint."""
        return self.fingerprint[-16:]

    def certificate(self, revoked_at: datetime | None = None) -> bytes:
        """The public key with its user id, as packets; with its revocation when it has one."""
        user_id = _packet(_USER_ID_TAG, self._user_id)
        hashed = self._framed + b"\xb4" + _number(len(self._user_id), 4) + self._user_id
        binding = self._signature(_OVER_USER_ID, [hashed], self._made_at, _PREFERENCES)
        return self._framed + (b"" if revoked_at is None else self._revocation(revoked_at)) + user_id + binding

    def over_binary(self, data: Iterable[bytes], made_at: datetime) -> bytes:
        """A signature packet over bytes as they are."""
        return self._signature(_OVER_BINARY, data, self._since(made_at))

    def over_text(self, text: bytes, made_at: datetime) -> bytes:
        """A signature packet over lines, however they end and with whatever blanks."""
        return self._signature(_OVER_TEXT, [_canonical(text)], self._since(made_at))

    def _revocation(self, revoked_at: datetime) -> bytes:
        reason = (_REASON, b"\x00")  # none is given: https://www.rfc-editor.org/rfc/rfc9580#section-5.2.3.31
        return self._signature(_OVER_REVOKED_KEY, [self._framed], self._since(revoked_at), (reason,))

    def _since(self, made_at: datetime) -> int:
        """Not before the key itself: that signature would be refused, and contents may be older than a new key."""
        return max(int(made_at.timestamp()), self._made_at)

    def _signature(
        self, kind: int, data: Iterable[bytes], made_at: int, further: Sequence[tuple[int, bytes]] = ()
    ) -> bytes:
        """Source: https://www.rfc-editor.org/rfc/rfc9580#section-5.2.3 and section 5.2.4."""
        subpackets = _subpackets(
            [
                (_ISSUER_FINGERPRINT, bytes([_VERSION]) + self._fingerprint),
                (_CREATED, _number(made_at, 4)),
                *further,
            ]
        )
        head = bytes([_VERSION, kind, self._algorithm, _SHA512]) + subpackets
        digest = hashlib.sha512()
        for chunk in data:
            digest.update(chunk)
        digest.update(head + bytes([_VERSION, 0xFF]) + _number(len(head), 4))
        hashed = digest.digest()
        unhashed = _subpackets([(_ISSUER, self._fingerprint[-8:])])
        return _packet(_SIGNATURE_TAG, head + unhashed + hashed[:2] + self._signed(hashed))

    def _signed(self, digest: bytes) -> bytes:
        if isinstance(self._private_key, RSAPrivateKey):
            return _mpi(self._private_key.sign(digest, PKCS1v15(), Prehashed(SHA512())))
        signature = self._private_key.sign(digest)
        return _mpi(signature[:32]) + _mpi(signature[32:])


def detached(keys: Sequence[OpenPgpKey], data: Sequence[bytes], made_at: datetime) -> bytes:
    """The armored signatures of all keys over bytes, which are given in one piece or several."""
    return armor("SIGNATURE", b"".join(key.over_binary(data, made_at) for key in keys))


def cleartext(keys: Sequence[OpenPgpKey], text: bytes, made_at: datetime) -> bytes:
    """Text that stays readable, with the signatures of all keys. A last line gets its end if it has none.

    Source: https://www.rfc-editor.org/rfc/rfc9580#section-7.
    """
    escaped = b"\n".join(b"- " + line if line.startswith((b"-", b"From ")) else line for line in _lines(text))
    signatures = armor("SIGNATURE", b"".join(key.over_text(text, made_at) for key in keys))
    return b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + escaped + b"\n" + signatures


def armor(kind: str, data: bytes) -> bytes:
    """Packets as text, with the checksum that parsers of rpm ask for.

    kind: `SIGNATURE` or `PUBLIC KEY BLOCK`. Source: https://www.rfc-editor.org/rfc/rfc9580#section-6.
    """
    text = base64.b64encode(data)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    checksum = b"=" + base64.b64encode(_number(_crc24(data), 3))
    name = kind.encode()
    return b"\n".join([b"-----BEGIN PGP %b-----" % name, b"", *lines, checksum, b"-----END PGP %b-----" % name, b""])


def dearmor(text: str) -> bytes:
    """The packets in what `armor` made."""
    lines = text.splitlines()
    return base64.b64decode("".join(lines[2:-2]))


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n")


def _canonical(text: bytes) -> bytes:
    """What is hashed of text: no blanks before the ends of lines, and no end of the last line."""
    return b"\r\n".join(line.rstrip(b" \t\r") for line in _lines(text))


def _public(private_key: PrivateKey) -> bytes:
    """What follows the algorithm in a key packet."""
    if isinstance(private_key, RSAPrivateKey):
        numbers = private_key.public_key().public_numbers()
        return _mpi(_number(numbers.n, -(-numbers.n.bit_length() // 8))) + _mpi(_number(numbers.e, 4))
    point = b"\x40" + private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return bytes([len(_ED25519_OID)]) + _ED25519_OID + _mpi(point)


def _mpi(data: bytes) -> bytes:
    """A number with its length in bits."""
    value = int.from_bytes(data, "big")
    return _number(value.bit_length(), 2) + _number(value, -(-value.bit_length() // 8))


def _subpackets(pairs: Sequence[tuple[int, bytes]]) -> bytes:
    body = b"".join(bytes([len(data) + 1, kind]) + data for kind, data in pairs)
    return _number(len(body), 2) + body


def _packet(tag: int, body: bytes) -> bytes:
    """In the older of the two framings, which every parser reads, with lengths as gpg writes them."""
    if tag == _USER_ID_TAG:
        return bytes([0x80 | tag << 2, len(body)]) + body
    return bytes([0x81 | tag << 2]) + _number(len(body), 2) + body


def _number(value: int, octets: int) -> bytes:
    return value.to_bytes(octets, "big")


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for octet in data:
        crc = (crc << 8) ^ _CRC_TABLE[(crc >> 16) ^ octet]
        crc &= 0xFFFFFF
    return crc


def _crc_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        crc = octet << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
        table.append(crc & 0xFFFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()
