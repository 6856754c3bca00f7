"""The key that vouches for packages: derived, stable, and checked by anybody with its public half."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from infrastructure.signing.ecdsa import EcdsaPackageSigner

SECRET = "9f1b7c0d5e3a48627d0f6c1e8b5a3947"


def test_what_it_signed_its_public_key_verifies() -> None:
    signer = EcdsaPackageSigner(SECRET)
    public_key = load_der_public_key(signer.key.spki)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp256r1"
    signature = signer.sign(b"hello@1.0.0:sha512-x")
    public_key.verify(signature, b"hello@1.0.0:sha512-x", ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public_key.verify(signature, b"hello@1.0.1:sha512-x", ec.ECDSA(SHA256()))


def test_every_process_has_the_same_key_and_gives_the_same_signature() -> None:
    one, other = EcdsaPackageSigner(SECRET), EcdsaPackageSigner(SECRET)
    assert one.key == other.key
    assert one.sign(b"message") == other.sign(b"message")


def test_another_instance_has_another_key() -> None:
    assert EcdsaPackageSigner(SECRET).key != EcdsaPackageSigner(SECRET[::-1]).key


def test_a_key_is_named_by_the_digest_of_its_public_half() -> None:
    key = EcdsaPackageSigner(SECRET).key
    assert key.id == "SHA256:" + base64.b64encode(hashlib.sha256(key.spki).digest()).decode().rstrip("=")
