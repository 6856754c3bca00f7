"""What the registry signs of packages, for clients that check who vouched for a file."""

from __future__ import annotations

from typing import Protocol

import msgspec


class PackageKey(msgspec.Struct, frozen=True):
    """A public key on the curve P-256. id: what signatures name it by. spki: DER of its SubjectPublicKeyInfo."""

    id: str
    spki: bytes


class PackageSigner(Protocol):
    """One key for all that this registry publishes, in every process the same and for ever."""

    @property
    def key(self) -> PackageKey:
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature with SHA-256, DER; for one message always the same."""
