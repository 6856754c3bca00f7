"""What a registry says the bytes of a tarball are: Subresource Integrity, and the older SHA-1.

Source: https://www.w3.org/TR/SRI/#the-integrity-attribute
"""

from __future__ import annotations

import binascii
import re

_LENGTHS = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")


def digests_of(integrity: str, shasum: str) -> dict[str, str]:
    """Algorithm to hexadecimal digest. What is given twice and not alike says nothing, nor does what is no digest."""
    found: dict[str, set[str]] = {}
    for item in integrity.split():
        algorithm, _, text = item.partition("?")[0].partition("-")
        digest = _decoded(text)
        if len(digest) == _LENGTHS.get(algorithm):
            found.setdefault(algorithm, set()).add(digest.hex())
    if _SHA1.match(shasum.lower()):
        found.setdefault("sha1", set()).add(shasum.lower())
    return {algorithm: digests.pop() for algorithm, digests in found.items() if len(digests) == 1}


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return b""
