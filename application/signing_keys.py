"""Signatures over what repositories show: which keys sign at a position, and with what result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from domain.signing_key import (
    Algorithm,
    KeyType,
    RepositorySigning,
    SigningKeyMissing,
    SigningKeyUnsuitable,
    State,
)

__all__ = [
    "FileSignature",
    "KeyRequest",
    "KeyVault",
    "MadeKey",
    "OpenPgpSigner",
    "RepositorySigner",
    "SealedKey",
    "SigningKeyMissing",
    "SigningKeyRow",
    "SigningKeyUnsuitable",
    "SigningKeyView",
    "ToSign",
]


class RepositorySigner(Protocol):
    """Signs a repository's documents with OpenPGP.

    The same data, time and keys give the same bytes, in every process. at: the keys that signed at that position; None
    is now. One that was revoked since signs the past no more either; the present keys do where none is left. All raise
    SigningKeyMissing where nothing signs, SigningKeyUnsuitable where the repository has keys of other types only.
    """

    def public_key(self, repository: UUID, at: int | None) -> bytes:
        """Every key whose signatures may be met, the one in use first, in one armored block."""

    def sign_detached(self, repository: UUID, data: bytes, made_at: datetime, at: int | None) -> bytes:
        """Armored signatures over the bytes, by every key that signs. made_at: what they say of their time."""

    def sign_cleartext(self, repository: UUID, text: bytes, made_at: datetime, at: int | None) -> bytes:
        """The text itself with signatures below, as `InRelease` is."""


class KeyRequest(msgspec.Struct, frozen=True):
    """What to make. made_at: whole seconds. user_id: of an OpenPGP key."""

    key: UUID
    key_type: KeyType
    algorithm: Algorithm
    made_at: datetime
    user_id: str = ""


class SealedKey(msgspec.Struct, frozen=True):
    """A private key that only this instance can use."""

    key: UUID
    key_type: KeyType
    made_at: datetime
    user_id: str
    sealed: bytes


class MadeKey(msgspec.Struct, frozen=True):
    """A new key. public_key: armored OpenPGP or PEM. fingerprint, key_id: hexadecimal, as the field shows them."""

    public_key: str
    fingerprint: str
    key_id: str
    sealed: bytes


class KeyVault(Protocol):
    """Makes private keys and uses them; nothing else ever sees one in clear."""

    def make(self, request: KeyRequest) -> MadeKey:
        """A fresh key. RSA takes up to seconds."""

    def public_keys(self, texts: Sequence[str]) -> bytes:
        """Several armored OpenPGP keys as one block."""

    def detached(self, keys: Sequence[SealedKey], data: Sequence[bytes], made_at: datetime) -> bytes:
        """Armored OpenPGP signatures over data in one piece or several."""

    def cleartext(self, keys: Sequence[SealedKey], text: bytes, made_at: datetime) -> bytes:
        """Text with OpenPGP signatures below."""

    def sign(self, key: SealedKey, data: Iterable[bytes], made_at: datetime) -> str:
        """A detached signature by one key of any type, as text: armored, or base64 of a bare one."""

    def revoked(self, key: SealedKey, public_key: str, revoked_at: datetime) -> str:
        """The public half as it is to be handed out from now on."""


class SigningKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is now. created_by: None for the system."""

    id: UUID
    repository: UUID | None
    name: str
    key_type: KeyType
    algorithm: Algorithm
    public_key: str
    fingerprint: str
    key_id: str
    user_id: str
    uid_name: str | None
    uid_email: str | None
    sealed: bytes
    made_at: datetime
    state: State
    successor: UUID | None
    overlap_ends_at: datetime | None
    created_at: datetime
    created_by: UUID | None
    last_used_at: datetime | None

    def material(self) -> SealedKey:
        """What the vault wants of it."""
        return SealedKey(self.id, self.key_type, self.made_at, self.user_id, self.sealed)


class ToSign(msgspec.Struct, frozen=True):
    """A stored file, as far as signing it goes. id: of the artifact."""

    id: UUID
    repository: UUID
    path: str
    sha256: str


class FileSignature(msgspec.Struct, frozen=True):
    """A signature over a stored file. signature: armored OpenPGP, or base64 of a bare one."""

    key: UUID
    signature: str
    made_at: datetime


class SigningKeyView(Protocol):
    """Keys, and which of them repositories used when. It moves together with the catalogue."""

    def key(self, key: UUID) -> SigningKeyRow | None:
        """The key of that id, unless it was deleted."""

    def keys(self, repository: UUID | None = None) -> list[SigningKeyRow]:
        """Keys that were not deleted, oldest first; those that belong to a repository or sign for it."""

    def overdue(self, now: datetime) -> list[UUID]:
        """Keys whose overlap has ended and that still sign."""

    def signing(self, repository: UUID, at: int | None = None) -> RepositorySigning | None:
        """What signed for a repository at a position, and what it signed; None where nothing was ever chosen."""

    def signing_keys(self, repository: UUID, at: int | None = None) -> list[SigningKeyRow]:
        """The keys that signed for it then, in order, as they are now, also those that were deleted."""

    def signatures(self, artifact: UUID, sha256: str) -> list[FileSignature]:
        """Signatures over these bytes of an artifact, oldest first, but by keys that were revoked or deleted."""

    def unsigned(self, limit: int) -> list[ToSign]:
        """Files without a signature in repositories that have theirs signed and an active key, at most `limit`."""


class OpenPgpSigner:
    """The RepositorySigner port over a view and a vault."""

    def __init__(self, view: SigningKeyView, vault: KeyVault) -> None:
        self._view = view
        self._vault = vault

    def public_key(self, repository: UUID, at: int | None) -> bytes:
        """See RepositorySigner."""
        return self._vault.public_keys([row.public_key for row in self._keys(repository, at)])

    def sign_detached(self, repository: UUID, data: bytes, made_at: datetime, at: int | None) -> bytes:
        """See RepositorySigner."""
        return self._vault.detached(self._signing(repository, at), [data], made_at)

    def sign_cleartext(self, repository: UUID, text: bytes, made_at: datetime, at: int | None) -> bytes:
        """See RepositorySigner."""
        return self._vault.cleartext(self._signing(repository, at), text, made_at)

    def _signing(self, repository: UUID, at: int | None) -> list[SealedKey]:
        chosen = self._view.signing(repository, at)
        if chosen is not None and not chosen.sign_metadata:
            raise SigningKeyMissing
        return [row.material() for row in self._keys(repository, at)]

    def _keys(self, repository: UUID, at: int | None) -> list[SigningKeyRow]:
        usable = _usable(self._view.signing_keys(repository, at))
        if not usable and at is not None:
            usable = _usable(self._view.signing_keys(repository))
        found = [row for row in usable if row.key_type == "gpg"]
        if usable and not found:
            raise SigningKeyUnsuitable(usable[0].key_type, "gpg")
        if not found:
            raise SigningKeyMissing
        return found


def _usable(rows: list[SigningKeyRow]) -> list[SigningKeyRow]:
    return [row for row in rows if row.state not in {"revoked", "deleted"}]
