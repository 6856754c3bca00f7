"""Sealed private keys: usable by every process of the instance, and by nobody else."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from uuid import uuid4

import pysequoia
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec.structs import replace

from application.signing_keys import KeyRequest, MadeKey, SealedKey
from domain.signing_key import Algorithm, KeyType
from infrastructure.signing import vault as vaults
from infrastructure.signing.vault import SealedKeys, SigningKeySealed

SECRET = "9f1b7c0d5e3a48627d0f6c1e8b5a3947"
MADE = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def made(key_type: KeyType, algorithm: Algorithm) -> tuple[MadeKey, SealedKey]:
    request = KeyRequest(uuid4(), key_type, algorithm, MADE, "libs")
    found = SealedKeys(SECRET).make(request)
    return found, SealedKey(request.key, key_type, MADE, "libs", found.sealed)


def test_another_process_signs_with_the_same_key_to_the_same_bytes() -> None:
    new, sealed = made("gpg", "ed25519")
    one, other = SealedKeys(SECRET), SealedKeys(SECRET)
    signature = one.detached([sealed], [b"data"], MADE)
    assert signature == other.detached([sealed], [b"data"], MADE) == one.detached([sealed], [b"data"], MADE)
    read = pysequoia.verify(
        b"data",
        store=lambda _: [pysequoia.Cert.from_bytes(new.public_key.encode())],
        signature=pysequoia.Sig.from_bytes(signature),
    )
    assert [one.certificate.upper() for one in read.valid_sigs] == [new.fingerprint]


def test_raw_keys_sign_what_their_public_half_verifies() -> None:
    new, sealed = made("rsa", "rsa2048")
    public = load_pem_public_key(new.public_key.encode())
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == 2048
    signature = SealedKeys(SECRET).sign(sealed, [b"some ", b"data"], MADE)
    public.verify(base64.b64decode(signature), b"some data", PKCS1v15(), SHA256())
    assert new.key_id == new.fingerprint[-16:]

    new, sealed = made("ed25519", "ed25519")
    edwards = load_pem_public_key(new.public_key.encode())
    assert isinstance(edwards, Ed25519PublicKey)
    signature = SealedKeys(SECRET).sign(sealed, [b"some ", b"data"], MADE)
    edwards.verify(base64.b64decode(signature), hashlib.sha256(b"some data").digest())
    assert SealedKeys(SECRET).revoked(sealed, new.public_key, MADE) == new.public_key


def test_what_is_sealed_is_another_ciphertext_each_time_and_never_the_key_itself() -> None:
    (_, one), (_, other) = made("ed25519", "ed25519"), made("ed25519", "ed25519")
    assert one.sealed[:1] == other.sealed[:1] == b"\x01"
    assert one.sealed[1:13] != other.sealed[1:13]
    assert b"PRIVATE" not in one.sealed


@pytest.mark.parametrize("change", ["instance", "key", "octet", "version", "cut"])
def test_what_was_not_sealed_here_for_this_key_is_not_opened(change: str) -> None:
    _, sealed = made("gpg", "ed25519")
    vault = SealedKeys(SECRET[::-1] if change == "instance" else SECRET)
    body = {
        "octet": sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1]),
        "version": b"\x02" + sealed.sealed[1:],
        "cut": sealed.sealed[:5],
    }.get(change, sealed.sealed)
    key = uuid4() if change == "key" else sealed.key
    with pytest.raises(SigningKeySealed, match=str(key)):
        vault.cleartext([replace(sealed, key=key, sealed=body)], b"text", MADE)


def test_only_so_many_keys_are_held_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "MAX_OPEN", 2)
    vault = SealedKeys(SECRET)
    keys = [made("gpg", "ed25519")[1] for _ in range(4)]
    before = [vault.detached([key], [b"x"], MADE) for key in keys]
    assert len(vault._open) == 2
    assert [vault.detached([key], [b"x"], MADE) for key in keys] == before
