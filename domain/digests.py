"""Digests of bytes: the algorithms that registries publish, and a hasher that computes several in one pass."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NewType

Sha256 = NewType("Sha256", str)
"""Lower-case hexadecimal SHA-256, 64 characters; the name of a blob."""

HEX_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128, "blake2b_256": 64}

_HEX = re.compile(r"[0-9a-f]+\Z")


def parse_hex_digest(algorithm: str, text: str) -> str | None:
    """The digest in lower case, or None when `text` is not a digest of that algorithm."""
    lowered = text.strip().lower()
    if len(lowered) != HEX_LENGTHS.get(algorithm) or not _HEX.match(lowered):
        return None
    return lowered


def sha256_of(data: bytes) -> Sha256:
    """The name that these bytes have as a blob."""
    return Sha256(hashlib.sha256(data).hexdigest())


def subresource_integrity(algorithm: str, hex_digest: str) -> str:
    """The W3C Subresource Integrity form: `sha512-<base64>`."""
    return f"{algorithm}-{base64.b64encode(bytes.fromhex(hex_digest)).decode()}"


class Hasher:
    """SHA-256 and any further algorithms over one stream of bytes."""

    def __init__(self, algorithms: tuple[str, ...] = ()) -> None:
        names = dict.fromkeys(("sha256", *algorithms))
        self._hashes = {name: _new(name) for name in names}
        self.size_bytes = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes."""
        self.size_bytes += len(data)
        for running in self._hashes.values():
            running.update(data)

    def digests(self) -> dict[str, str]:
        """Algorithm to lower-case hexadecimal digest; always holds `sha256`."""
        return {name: running.hexdigest() for name, running in self._hashes.items()}


def _new(name: str) -> hashlib._Hash:
    """An empty hash; `blake2b_256` is BLAKE2b with a 32-byte digest, as the Python index publishes it."""
    if name == "blake2b_256":
        return hashlib.blake2b(digest_size=32, usedforsecurity=False)  # type: ignore[return-value]
    return hashlib.new(name, usedforsecurity=False)
