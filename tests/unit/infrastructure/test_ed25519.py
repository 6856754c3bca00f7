import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from domain.errors import Invalid
from domain.transparency.notes import VerifierKey, parse_verifier_key
from infrastructure.signing.ed25519 import Ed25519Signer, Ed25519Verifier, SigningKeyInvalid

NAME = "registry.example/log"


def test_what_a_key_signed_its_verifier_key_verifies() -> None:
    signer = Ed25519Signer.generate(NAME)
    verifier = Ed25519Verifier(parse_verifier_key(signer.verifier_key))
    signature = signer.sign(b"message")
    assert (verifier.name, verifier.key_id) == (signer.name, signer.key_id) == (NAME, signer.key_id)
    assert verifier.verify(b"message", signature)
    assert not verifier.verify(b"Message", signature)
    assert not verifier.verify(b"message", signature[:-1])
    assert not verifier.verify(b"message", b"")


def test_the_first_start_makes_a_key_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"
    made = Ed25519Signer.load_or_create(NAME, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Ed25519Signer.load_or_create(NAME, path).verifier_key == made.verifier_key
    assert [file.name for file in path.parent.iterdir()] == ["log.pem"]


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    with ThreadPoolExecutor(8) as starts:
        keys = set(starts.map(lambda _: Ed25519Signer.load_or_create(NAME, path).verifier_key, range(16)))
    assert len(keys) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    Ed25519Signer.load_or_create(NAME, path)
    path.chmod(0o640)
    with pytest.raises(SigningKeyInvalid, match="0600"):
        Ed25519Signer.load_or_create(NAME, path)


def test_a_key_comes_from_pem_text() -> None:
    signer = Ed25519Signer.generate(NAME)
    assert Ed25519Signer.from_pem(NAME, signer.pem().decode()).verifier_key == signer.verifier_key


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
)
def test_other_keys_are_refused(pem: str) -> None:
    with pytest.raises(SigningKeyInvalid):
        Ed25519Signer.from_pem(NAME, pem)


def test_a_log_needs_a_name_that_notes_can_carry() -> None:
    with pytest.raises(SigningKeyInvalid):
        Ed25519Signer.generate("my registry")


def test_bytes_that_are_no_point_are_no_key() -> None:
    with pytest.raises(Invalid):
        Ed25519Verifier(VerifierKey(NAME, b"short"))
