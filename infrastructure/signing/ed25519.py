"""Ed25519 keys of the log: making one, keeping it on disk, signing and verifying notes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from domain.errors import Invalid
from domain.transparency.notes import VerifierKey, is_key_name


class SigningKeyInvalid(Invalid):
    """The log cannot be signed with what was configured as its key."""


class Ed25519Verifier:
    """A public key with the name under which it is trusted; keeps NoteVerifier."""

    def __init__(self, key: VerifierKey) -> None:
        try:
            self._public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
        except ValueError as error:
            raise Invalid("not an Ed25519 public key") from error
        self._key = key
        self._key_id = key.key_id

    @property
    def name(self) -> str:
        """The key's name, which is also the origin of the log it signs."""
        return self._key.name

    @property
    def key_id(self) -> bytes:
        """The four bytes before each signature."""
        return self._key_id

    @property
    def verifier_key(self) -> str:
        """The public key as text, for auditors to pin."""
        return str(self._key)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the bare signature is this key's, over exactly this message."""
        try:
            self._public_key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Ed25519Signer(Ed25519Verifier):
    """A private key with the name under which it signs; keeps CheckpointSigner."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        if not is_key_name(name):
            raise SigningKeyInvalid(f"'{name}' cannot name a log: white space and '+' are not allowed")
        public_key = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        super().__init__(VerifierKey(name, public_key))
        self._private_key = private_key

    @classmethod
    def generate(cls, name: str) -> Self:
        """A fresh key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, name: str, pem: str | bytes) -> Self:
        """Take a key from PKCS #8 PEM text without a passphrase. Raises SigningKeyInvalid."""
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningKeyInvalid("the log's signing key is not an unencrypted PEM private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyInvalid("the log's signing key is not an Ed25519 key")
        return cls(name, key)

    @classmethod
    def load_or_create(cls, name: str, path: Path) -> Self:
        """The key in this file, made and stored (mode 0600) at the first start; of several processes one wins.

        Raises SigningKeyInvalid when the file holds something else or others may read it.
        """
        if not path.exists():
            _store(path, cls.generate(name).pem())
        if path.stat().st_mode & 0o077:
            raise SigningKeyInvalid(f"{path} can be read by other users: set its mode to 0600")
        return cls.from_pem(name, path.read_bytes())

    def sign(self, message: bytes) -> bytes:
        """The bare signature, 64 bytes."""
        return self._private_key.sign(message)

    def pem(self) -> bytes:
        """The private key as PKCS #8 PEM."""
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _store(path: Path, pem: bytes) -> None:
    """Write beside, then link: the file appears whole or not at all, and never replaces another process's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
