"""OpenPGP keys and signatures as another implementation reads them, and octet by octet where parsers are picky."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pysequoia
import pytest

from infrastructure.signing import openpgp, raw
from infrastructure.signing.openpgp import OpenPgpKey

MADE = datetime(2026, 3, 1, 12, 30, 0, 999_999, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)
PRIVATE = {algorithm: raw.generate(algorithm) for algorithm in ("rsa2048", "ed25519")}
BLOCK = "PUBLIC KEY BLOCK"


@pytest.fixture(params=list(PRIVATE))
def key(request: pytest.FixtureRequest) -> OpenPgpKey:
    return OpenPgpKey(PRIVATE[request.param], MADE, "libs <libs@registry.example>")


def certificate(key: OpenPgpKey) -> pysequoia.Cert:
    return pysequoia.Cert.from_bytes(key.certificate())


def verified(key: OpenPgpKey, data: bytes, signature: bytes) -> bool:
    try:
        found = pysequoia.verify(
            data, store=lambda _: [certificate(key)], signature=pysequoia.Sig.from_bytes(signature)
        )
    except RuntimeError:
        return False
    return [one.certificate.upper() for one in found.valid_sigs] == [key.fingerprint]


def test_a_certificate_says_whose_it_is_and_does_not_end(key: OpenPgpKey) -> None:
    read = certificate(key)
    assert read.fingerprint.upper() == key.fingerprint
    assert key.key_id == key.fingerprint[24:]
    assert [str(user) for user in read.user_ids] == ["libs <libs@registry.example>"]
    assert (read.expiration, read.is_revoked) == (None, False)


def test_a_certificate_has_the_shape_of_gpgs(key: OpenPgpKey) -> None:
    pile = list(pysequoia.packet.PacketPile.from_bytes(key.certificate()))
    assert [str(packet.tag) for packet in pile] == ["Tag.PublicKey", "Tag.UserID", "Tag.Signature"]
    primary, user_id, binding = pile
    assert key.certificate()[:1] == b"\x99"
    assert primary.key_created == MADE.replace(microsecond=0)
    assert user_id.user_id_email == "libs@registry.example"
    assert binding.signature_type == pysequoia.packet.SignatureType.PositiveCertification
    assert binding.signature_created == MADE.replace(microsecond=0)
    flags = binding.key_flags
    assert flags is not None
    assert (flags.certification, flags.signing, flags.transport_encryption) == (True, True, False)


def test_a_detached_signature_is_good_for_exactly_its_bytes(key: OpenPgpKey) -> None:
    signature = openpgp.detached([key], [b"one ", b"two"], LATER)
    assert verified(key, b"one two", signature)
    assert not verified(key, b"one two ", signature)
    assert not verified(key, b"one  two", signature)
    other = OpenPgpKey(raw.generate("ed25519"), MADE, "other")
    assert not verified(other, b"one two", signature)


def test_a_signature_says_when_it_was_made_and_is_always_the_same(key: OpenPgpKey) -> None:
    first = openpgp.detached([key], [b"data"], LATER)
    assert first == openpgp.detached([key], [b"da", b"ta"], LATER)
    read = pysequoia.Sig.from_bytes(first)
    assert read.created == LATER
    assert read.expiration is None
    assert (read.issuer_fingerprint or "").upper() == key.fingerprint
    assert str(read.hash_algorithm) == "HashAlgorithm.SHA512"
    assert openpgp.detached([key], [b"data"], LATER + timedelta(seconds=1)) != first


def test_no_signature_is_older_than_its_key(key: OpenPgpKey) -> None:
    signature = openpgp.detached([key], [b"data"], MADE - timedelta(days=300))
    assert pysequoia.Sig.from_bytes(signature).created == MADE.replace(microsecond=0)
    assert verified(key, b"data", signature)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"Origin: libs\nSuite: stable\n", b"Origin: libs\nSuite: stable\n"),
        (b"no end", b"no end\n"),
        (b"- dash\n--\n-----BEGIN PGP SIGNATURE-----\n", b"- - dash\n- --\n- -----BEGIN PGP SIGNATURE-----\n"),
        (b"From here\nFromage\n", b"- From here\nFromage\n"),
        (b"blanks \t\nend \n", b"blanks \t\nend \n"),
        (b"one\r\ntwo\r\n", b"one\r\ntwo\r\n"),
        (b"\n\n", b"\n\n"),
        (b"", b"\n"),
        ("é ü\n".encode(), "é ü\n".encode()),
    ],
)
def test_clear_text_stays_readable_and_is_signed_whatever_its_lines(key: OpenPgpKey, text: bytes, shown: bytes) -> None:
    message = openpgp.cleartext([key], text, LATER)
    assert message.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + shown)
    read = pysequoia.verify(message, store=lambda _: [certificate(key)])
    assert len(read.valid_sigs) == 1
    altered = message.replace(b"SHA512\n\n", b"SHA512\n\nx", 1)
    with pytest.raises(RuntimeError):
        pysequoia.verify(altered, store=lambda _: [certificate(key)])


def test_several_keys_sign_one_text_and_each_alone_is_enough() -> None:
    keys = [OpenPgpKey(private, MADE, name) for name, private in PRIVATE.items()]
    message = openpgp.cleartext(keys, b"text\n", LATER)
    for key in keys:
        read = pysequoia.verify(message, store=lambda _, known=key: [certificate(known)])
        assert [one.certificate.upper() for one in read.valid_sigs] == [key.fingerprint]
    block = openpgp.armor(BLOCK, b"".join(key.certificate() for key in keys))
    assert [one.fingerprint.upper() for one in pysequoia.Cert.split_bytes(block)] == [key.fingerprint for key in keys]


def test_a_revoked_certificate_says_so(key: OpenPgpKey) -> None:
    read = pysequoia.Cert.from_bytes(key.certificate(LATER))
    assert read.is_revoked
    assert read.fingerprint.upper() == key.fingerprint


def test_armor_has_the_checksum_that_old_parsers_ask_for() -> None:
    # 0x21CF02 is the check value of CRC-24/OPENPGP for the digits 1 to 9
    assert openpgp.armor("SIGNATURE", b"123456789") == (
        b"-----BEGIN PGP SIGNATURE-----\n\nMTIzNDU2Nzg5\n=Ic8C\n-----END PGP SIGNATURE-----\n"
    )
    long = bytes(range(256))
    lines = openpgp.armor(BLOCK, long).decode().splitlines()
    assert {len(line) for line in lines[2:-3]} == {64}
    assert openpgp.dearmor(openpgp.armor(BLOCK, long).decode()) == long


def test_a_fingerprint_is_of_the_key_packet() -> None:
    key = OpenPgpKey(PRIVATE["rsa2048"], MADE, "libs")
    packet = key.certificate()
    length = int.from_bytes(packet[1:3], "big")
    assert hashlib.sha1(packet[: 3 + length]).hexdigest().upper() == key.fingerprint
    same = OpenPgpKey(PRIVATE["rsa2048"], MADE, "another name")
    assert same.fingerprint == key.fingerprint
    assert OpenPgpKey(PRIVATE["rsa2048"], LATER, "libs").fingerprint != key.fingerprint
