"""Provenance files: a signed message that names a chart and the digest of its archive. Read, never signed here.

Whether the signer is to be trusted is for `helm verify` to say, with the keyring of whoever installs; what a registry
can see is whether the message speaks of the archive that it has.
Source: https://helm.sh/docs/topics/provenance/; RFC 9580 section 7 (cleartext signatures)
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from application.formats.helm.metadata import parse_chart
from application.formats.helm.names import chart_file
from application.yaml_reader import YamlInvalid, parse_yaml
from domain.errors import Invalid

MAX_BYTES = 2 << 20

_MESSAGE = re.compile(
    rb"\A\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Za-z0-9, -]+\n)*\n(?P<text>.*?)\n"
    rb"-----BEGIN PGP SIGNATURE-----\n(?:(?!-----)[^\n]*\n)+-----END PGP SIGNATURE-----\s*\Z",
    re.DOTALL,
)
_DIVIDER = b"\n...\n"
_ESCAPED = re.compile(rb"^- ", re.MULTILINE)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
_WHOLE = "provenance"


class ProvenanceInvalid(Invalid):
    """Not a provenance file, or not one of this chart."""

    template: ClassVar[str] = "provenance: {problem}"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem[:300])


class Provenance(msgspec.Struct, frozen=True):
    """What a provenance file is about. sha256: of the archive, in hexadecimal."""

    file: str
    sha256: str


def parse_provenance(data: bytes) -> Provenance:
    """The one archive that a provenance file names. Raises ProvenanceInvalid, and what `parse_chart` raises."""
    found = _MESSAGE.match(data.replace(b"\r\n", b"\n")) if len(data) <= MAX_BYTES else None
    if found is None:
        raise ProvenanceInvalid("expected a message with a cleartext signature of OpenPGP")
    text = _ESCAPED.sub(b"", found["text"])
    chart_yaml, divider, sums = text.partition(_DIVIDER)
    if not divider or b"\n-----BEGIN PGP" in text:
        raise ProvenanceInvalid("expected a Chart.yaml, a line of three dots, and the digests of files")
    chart = parse_chart(chart_yaml, "provenance")
    file, sha256 = _file_digest(sums)
    if file != chart_file(*chart.coordinates):
        raise ProvenanceInvalid(f"it describes {chart.name} {chart.version}, and names {file!r}")
    return Provenance(file, sha256)


def _file_digest(sums: bytes) -> tuple[str, str]:
    try:
        tree = parse_yaml(sums, _WHOLE)
    except YamlInvalid as fault:
        raise ProvenanceInvalid(str(fault)) from None
    files = tree.get("files") if isinstance(tree, dict) else None
    if not isinstance(files, dict) or len(files) != 1:
        raise ProvenanceInvalid("expected the digest of one file")
    ((file, digest),) = files.items()
    found = _DIGEST.match(digest) if isinstance(digest, str) else None
    if found is None:
        raise ProvenanceInvalid("expected a digest by SHA-256")
    return file, found[1]
