from __future__ import annotations

import hashlib

import pytest

from application.formats.helm.provenance import Provenance, ProvenanceInvalid, parse_provenance
from domain.errors import Invalid
from tests.samples.helm import make

ARCHIVE = make.chart()
GOOD = make.provenance(ARCHIVE)
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.mark.parametrize(
    "data", [GOOD, GOOD.replace(b"\n", b"\r\n"), b"\n" + GOOD, GOOD.replace(b"files:", b"- files:")]
)
def test_a_provenance_file_names_an_archive_and_its_digest(data: bytes) -> None:
    assert parse_provenance(data) == Provenance("demo-1.0.0.tgz", SHA256)


REFUSED = {
    "nothing": b"",
    "no message": b"hello",
    "no signature": GOOD.partition(b"-----BEGIN PGP SIGNATURE")[0],
    "text after it": GOOD + b"more",
    "two messages": GOOD + GOOD,
    "no digests": GOOD.replace(b"\n...\n", b"\n"),
    "two files": GOOD.replace(b"files:\n", b"files:\n  other-1.0.0.tgz: sha256:" + b"0" * 64 + b"\n"),
    "another digest": GOOD.replace(b"sha256:", b"sha512:"),
    "another name": make.provenance(ARCHIVE, file="other-1.0.0.tgz"),
    "a path": make.provenance(ARCHIVE, file="../demo-1.0.0.tgz"),
    "no chart": GOOD.replace(b"apiVersion: v2", b"apiVersion: v9"),
    "no YAML": GOOD.replace(b"files:", b"files: ["),
    "too much": GOOD.replace(b"Hash", b"x" * (2 << 20)),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_says_less_or_more_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_provenance(data)


def test_a_refusal_says_what_it_is_about() -> None:
    with pytest.raises(ProvenanceInvalid, match=r"provenance: it describes demo 1\.0\.0, and names 'x\.tgz'"):
        parse_provenance(make.provenance(ARCHIVE, file="x.tgz"))
