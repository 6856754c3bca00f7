"""Laws of signatures: they depend on nothing but what was signed, when, and by whom; and any text survives them."""

from __future__ import annotations

from datetime import UTC, datetime

import pysequoia
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.signing import openpgp, raw
from infrastructure.signing.openpgp import OpenPgpKey

MADE = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = [OpenPgpKey(raw.generate("ed25519"), MADE, name) for name in ("one", "other")]
CERTIFICATES = [pysequoia.Cert.from_bytes(key.certificate()) for key in KEYS]

moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 10, 1), timezones=st.just(UTC))  # noqa: DTZ001
lines = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30), max_size=8)
cuts = st.lists(st.binary(max_size=20), max_size=6)


@given(cuts, moments)
def test_a_signature_depends_on_bytes_and_time_alone(pieces: list[bytes], at: datetime) -> None:
    signature = openpgp.detached(KEYS, pieces, at)
    assert signature == openpgp.detached(KEYS, [b"".join(pieces)], at)
    for key, certificate in zip(KEYS, CERTIFICATES, strict=True):
        single = pysequoia.Sig.from_bytes(openpgp.detached([key], pieces, at))
        found = pysequoia.verify(b"".join(pieces), store=lambda _, known=certificate: [known], signature=single)
        assert len(found.valid_sigs) == 1


@given(lines, moments)
def test_any_text_can_be_signed_in_clear_and_read_again(content: list[str], at: datetime) -> None:
    text = "".join(f"{line}\n" for line in content).encode()
    message = openpgp.cleartext(KEYS, text, at)
    assert message == openpgp.cleartext(KEYS, text, at)
    found = pysequoia.verify(message, store=lambda _: CERTIFICATES)
    assert len(found.valid_sigs) == 2
    below = message.decode().split("\n\n", 1)[1].rpartition("-----BEGIN PGP SIGNATURE-----\n")[0]
    shown = [line.removeprefix("- ") for line in below.split("\n")[:-1]]
    assert shown == (content or [""])


@given(st.binary(max_size=400))
def test_armor_gives_back_what_it_wraps(data: bytes) -> None:
    assert openpgp.dearmor(openpgp.armor("SIGNATURE", data).decode()) == data
