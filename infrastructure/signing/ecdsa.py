"""The ECDSA key that vouches for packages. It follows from the instance key, so there is nothing more to keep."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from application.signing import PackageKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the base point of P-256: https://www.secg.org/sec2-v2.pdf, 2.4.2."""

# 64 bits more than the order has, so that no scalar is noticeably likelier than another
# (https://nvlpubs.nist.gov/nistpubs/FIPS/NIST.FIPS.186-5.pdf, A.2.1).
_SEED_BYTES = 40


class EcdsaPackageSigner:
    """Keeps PackageSigner; the key's id is `SHA256:` and the digest of the public half, as npm writes it."""

    def __init__(self, instance_secret: str) -> None:
        """instance_secret: at least 32 bytes of entropy, the same for every process and for ever."""
        kdf = HKDF(algorithm=SHA256(), length=_SEED_BYTES, salt=None, info=b"artifact-keeper package signatures")
        seed = int.from_bytes(kdf.derive(instance_secret.encode()), "big")
        self._private_key = ec.derive_private_key(seed % (_ORDER - 1) + 1, ec.SECP256R1())
        self._algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
        spki = self._private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = base64.b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=")
        self._key = PackageKey(id=f"SHA256:{digest}", spki=spki)

    @property
    def key(self) -> PackageKey:
        """See PackageSigner."""
        return self._key

    def sign(self, message: bytes) -> bytes:
        """See PackageSigner."""
        return self._private_key.sign(message, self._algorithm)
