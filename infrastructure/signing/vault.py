"""Private keys of repositories: made here, sealed at once, opened only to sign."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from application.signing_keys import KeyRequest, MadeKey, SealedKey
from domain.errors import Unavailable
from infrastructure.signing import openpgp, raw
from infrastructure.signing.openpgp import OpenPgpKey, PrivateKey

MAX_OPEN = 256
"""So many opened keys are remembered: opening one costs as much as a signature."""

_VERSION = b"\x01"
_NONCE_BYTES = 12
_PUBLIC_KEYS = "PUBLIC KEY BLOCK"


class SigningKeySealed(Unavailable):
    """The private half was sealed by another instance, or under another instance key."""

    template = "the signing key {key} was sealed with another instance key, and cannot be used here"

    def __init__(self, key: UUID) -> None:
        super().__init__(key=key)


class SealedKeys:
    """The KeyVault port: AES-256-GCM under a key that follows from the instance key, bound to the id of what it seals.

    So every process of the instance can open it, whatever was restarted or rebuilt, and nobody who only has the log.
    """

    def __init__(self, instance_secret: str) -> None:
        """instance_secret: at least 32 bytes of entropy, the same for every process and for ever."""
        kdf = HKDF(SHA256(), 32, salt=None, info=b"artifact-keeper repository signing keys")
        self._wrapping = AESGCM(kdf.derive(instance_secret.encode()))
        self._lock = threading.Lock()
        self._open: OrderedDict[UUID, PrivateKey] = OrderedDict()

    def make(self, request: KeyRequest) -> MadeKey:
        """See KeyVault."""
        private_key = raw.generate(request.algorithm)
        sealed = self._seal(request.key, private_key)
        if request.key_type == "gpg":
            key = OpenPgpKey(private_key, request.made_at, request.user_id)
            return MadeKey(_armored(key.certificate()), key.fingerprint, key.key_id, sealed)
        fingerprint = raw.fingerprint(private_key)
        return MadeKey(raw.public_pem(private_key), fingerprint, fingerprint[-16:], sealed)

    def public_keys(self, texts: Sequence[str]) -> bytes:
        """See KeyVault."""
        return openpgp.armor(_PUBLIC_KEYS, b"".join(map(openpgp.dearmor, texts)))

    def detached(self, keys: Sequence[SealedKey], data: Sequence[bytes], made_at: datetime) -> bytes:
        """See KeyVault."""
        return openpgp.detached([self._openpgp(key) for key in keys], data, made_at)

    def cleartext(self, keys: Sequence[SealedKey], text: bytes, made_at: datetime) -> bytes:
        """See KeyVault."""
        return openpgp.cleartext([self._openpgp(key) for key in keys], text, made_at)

    def sign(self, key: SealedKey, data: Iterable[bytes], made_at: datetime) -> str:
        """See KeyVault."""
        if key.key_type == "gpg":
            return openpgp.armor("SIGNATURE", self._openpgp(key).over_binary(data, made_at)).decode()
        return raw.sign(self._private(key), data)

    def revoked(self, key: SealedKey, public_key: str, revoked_at: datetime) -> str:
        """See KeyVault."""
        if key.key_type != "gpg":
            return public_key
        return _armored(self._openpgp(key).certificate(revoked_at))

    def _openpgp(self, key: SealedKey) -> OpenPgpKey:
        return OpenPgpKey(self._private(key), key.made_at, key.user_id)

    def _private(self, key: SealedKey) -> PrivateKey:
        with self._lock:
            known = self._open.get(key.key)
            if known is not None:
                self._open.move_to_end(key.key)
                return known
        opened = self._unseal(key)
        with self._lock:
            self._open[key.key] = opened
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        return opened

    def _seal(self, key: UUID, private_key: PrivateKey) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return _VERSION + nonce + self._wrapping.encrypt(nonce, plain, key.bytes)

    def _unseal(self, key: SealedKey) -> PrivateKey:
        nonce_end = 1 + _NONCE_BYTES
        try:
            if key.sealed[:1] != _VERSION or len(key.sealed) < nonce_end:
                raise SigningKeySealed(key.key)
            plain = self._wrapping.decrypt(key.sealed[1:nonce_end], key.sealed[nonce_end:], key.key.bytes)
        except InvalidTag:
            raise SigningKeySealed(key.key) from None
        # it was checked when it was made, and nobody else can have sealed it
        return cast("PrivateKey", load_der_private_key(plain, None, unsafe_skip_rsa_key_validation=True))


def _armored(certificate: bytes) -> str:
    return openpgp.armor(_PUBLIC_KEYS, certificate).decode()
