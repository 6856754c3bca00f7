"""Whether a package is whole: its size and digests, as its own headers state them.

Source: https://rpm-software-management.github.io/rpm/manual/format_v4.html, section Signature. A cut-off upload must
not become a package that nobody can install.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from application.formats.rpm.header import RpmInvalid, Structure

_SIGNED_SIZE, _LONG_SIGNED_SIZE, _MD5, _HEADER_SHA256 = 1000, 270, 1004, 273
_PAYLOAD_DIGEST, _PAYLOAD_ALGORITHM = 5092, 5093
_SHA256 = 8
_CHUNK_BYTES = 1 << 20


def verify(file: BinaryIO, structure: Structure, size_bytes: int) -> None:
    """Compare what is stated with what is there; raises RpmInvalid. What a package does not state is not missed."""
    stated = structure.signature.number(_LONG_SIGNED_SIZE) or structure.signature.number(_SIGNED_SIZE)
    if stated is not None and stated != size_bytes - structure.start:
        raise RpmInvalid(f"header and payload have {size_bytes - structure.start} bytes, and say they have {stated}")
    announced = structure.signature.text(_HEADER_SHA256)
    if announced and announced != _digest(file, structure.start, structure.end, "sha256"):
        raise RpmInvalid("its header does not have the SHA-256 digest that it says")
    if structure.header.number(_PAYLOAD_ALGORITHM) == _SHA256:
        digests = structure.header.texts(_PAYLOAD_DIGEST)
        if digests and digests[0] != _digest(file, structure.end, size_bytes, "sha256"):
            raise RpmInvalid("its payload does not have the SHA-256 digest that it says")
        return
    md5 = structure.signature.binary(_MD5)
    if md5 and md5.hex() != _digest(file, structure.start, size_bytes, "md5"):
        raise RpmInvalid("header and payload do not have the MD5 digest that they say")


def _digest(file: BinaryIO, start: int, end: int, algorithm: str) -> str:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    file.seek(start)
    left = end - start
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        hasher.update(chunk)
        left -= len(chunk)
    return hasher.hexdigest()
