"""Signatures without an envelope, for protocols that frame them in their own way: RSA and Ed25519, keys as PEM."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.signing_key import Algorithm

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

_BITS: dict[str, int] = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
_EXPONENT = 65537


def generate(algorithm: Algorithm) -> PrivateKey:
    """A fresh key."""
    if algorithm == "ed25519":
        return Ed25519PrivateKey.generate()
    return generate_private_key(_EXPONENT, _BITS[algorithm])


def public_pem(key: PrivateKey) -> str:
    """The public half as SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(key: PrivateKey) -> str:
    """SHA-256 of the DER of SubjectPublicKeyInfo, in upper-case hexadecimal digits."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest().upper()


def sign(key: PrivateKey, data: Iterable[bytes]) -> str:
    """The signature in base64. RSA: PKCS #1 v1.5 over the SHA-256. Ed25519 signs the SHA-256 itself: that, unlike the
    data, is never too large to be held.
    """
    digest = hashlib.sha256()
    for chunk in data:
        digest.update(chunk)
    if isinstance(key, RSAPrivateKey):
        return base64.b64encode(key.sign(digest.digest(), PKCS1v15(), Prehashed(SHA256()))).decode()
    return base64.b64encode(key.sign(digest.digest())).decode()
