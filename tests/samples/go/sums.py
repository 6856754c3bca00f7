"""A checksum database of one record, signed by a key of its own, and a module proxy of one version, as files.

Source: https://go.dev/ref/mod#checksum-database, https://c2sp.org/tlog-tiles, https://c2sp.org/signed-note
"""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from application.formats.go.archive import go_mod_hash, read_zip
from application.formats.go.names import parse_module
from application.formats.go.versions import parse_version
from tests.samples.go import make

_ED25519 = b"\x01"


class SumDatabase:
    """key: what GOSUMDB names it by."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._private = Ed25519PrivateKey.generate()
        public = _ED25519 + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._id = hashlib.sha256(f"{name}\n".encode() + public).digest()[:4]
        self.key = f"{name}+{self._id.hex()}+{b64encode(public).decode()}"

    def files(self, module: str, version: str, zip_: bytes, go_mod: bytes) -> dict[str, bytes]:
        """Everything that a client asks for, by its path below the proxy."""
        found = read_zip(io.BytesIO(zip_), parse_module(module), parse_version(version))
        sums = f"{module} {version} {found.hash}\n{module} {version}/go.mod {go_mod_hash(go_mod)}\n".encode()
        leaf = hashlib.sha256(b"\x00" + sums).digest()
        tree = self._signed(f"go.sum database tree\n1\n{b64encode(leaf).decode()}\n")
        below = f"sumdb/{self.name}"
        return {
            f"{below}/supported": b"",
            f"{below}/latest": tree,
            f"{below}/lookup/{make.escaped(module)}@{make.escaped(version)}": b"0\n" + sums + b"\n" + tree,
            f"{below}/tile/8/0/000.p/1": leaf,
            f"{below}/tile/8/data/000.p/1": sums + b"\n",
        }

    def _signed(self, text: str) -> bytes:
        signature = b64encode(self._id + self._private.sign(text.encode())).decode()
        return f"{text}\n\u2014 {self.name} {signature}\n".encode()


def proxied(module: str, version: str) -> dict[str, bytes]:
    """What a module proxy has of a version, by path."""
    folder = f"{make.escaped(module)}/@v"
    info = f'{{"Version":"{version}","Time":"2026-01-02T15:04:05Z"}}'.encode()
    return {
        f"{folder}/list": f"{version}\n".encode(),
        f"{folder}/{version}.info": info,
        f"{folder}/{version}.mod": make.go_mod(module),
        f"{folder}/{version}.zip": make.module(module, version),
    }
