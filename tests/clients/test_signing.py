"""gpg and rpm with the keys and signatures of repositories: what administrators type, and what they see."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from application.signing_keys import KeyRequest, MadeKey, SealedKey
from domain.signing_key import Algorithm
from infrastructure.signing.vault import SealedKeys
from tests.clients.machine import Machine
from tests.clients.registry import Registry

TEXT = b"Origin: libs\n- Suite: stable  \nFrom here\n\nDescription: \xc3\xa9\n"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ALGORITHMS: tuple[Algorithm, ...] = ("rsa2048", "rsa3072", "rsa4096", "ed25519")
VAULT = SealedKeys("for tests of signing alone, and no other")


@pytest.fixture
def desk(machine: Machine) -> Machine:
    """A machine with gpg and rpm and empty key rings."""
    machine.require("gpg", "gpgv", "rpmkeys")
    home = machine.home / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text("no-autostart\n")  # no agent outlives the test
    machine.env["GNUPGHOME"] = str(home)
    return machine


def made(algorithm: Algorithm) -> tuple[MadeKey, SealedKey]:
    request = KeyRequest(uuid4(), "gpg", algorithm, AT, f"libs {algorithm} <libs@registry.example>")
    new = VAULT.make(request)
    return new, SealedKey(request.key, "gpg", AT, request.user_id, new.sealed)


def file(desk: Machine, name: str, body: bytes) -> Path:
    path = desk.home / name
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gpg_and_rpm_take_keys_of_every_algorithm_and_gpg_their_signatures(desk: Machine, algorithm: Algorithm) -> None:
    new, sealed = made(algorithm)
    key = file(desk, "key.asc", new.public_key.encode())
    imported = desk.run("gpg", "--batch", "--import", key)
    assert "imported: 1" in imported
    listed = desk.run("gpg", "--batch", "--with-colons", "--list-keys")
    assert f":{new.fingerprint}:" in listed
    assert f"libs {algorithm} <libs@registry.example>" in listed
    data, signature = file(desk, "data", TEXT), file(desk, "data.asc", VAULT.detached([sealed], [TEXT], AT))
    assert "Good signature" in desk.run("gpg", "--batch", "--verify", signature, data)
    data.write_bytes(TEXT + b"\n")
    assert "BAD signature" in desk.run("gpg", "--batch", "--verify", signature, data, fails=True)
    inline = file(desk, "InRelease", VAULT.cleartext([sealed], TEXT, AT))
    assert "Good signature" in desk.run("gpg", "--batch", "--output", "text", "--verify", inline)
    shown = (desk.home / "text").read_bytes()
    assert shown == b"".join(line.rstrip() + b"\n" for line in TEXT.splitlines())  # gpg drops what it does not sign
    database = desk.home / "rpm"
    database.mkdir()
    desk.run("rpmkeys", "--dbpath", database, "--import", key)
    assert new.key_id[-8:].lower() in desk.run("rpm", "--dbpath", database, "-qa", "gpg-pubkey")


def test_during_an_overlap_either_key_is_enough_and_one_file_brings_both(desk: Machine) -> None:
    keys = [made("rsa2048"), made("ed25519")]
    inline = file(desk, "InRelease", VAULT.cleartext([sealed for _, sealed in keys], TEXT, AT))
    for number, (new, _) in enumerate(keys):
        ring = desk.home / f"{number}.gpg"
        desk.run("gpg", "--batch", "--output", ring, "--dearmor", file(desk, "one.asc", new.public_key.encode()))
        said = desk.run("gpgv", "--keyring", ring, inline, fails=True)  # apt takes one good signature for enough
        assert said.count("Good signature") == 1
        assert said.count("No public key") == 1
    block = file(desk, "both.asc", VAULT.public_keys([new.public_key for new, _ in keys]))
    ring = desk.home / "both.gpg"
    desk.run("gpg", "--batch", "--output", ring, "--dearmor", block)
    assert desk.run("gpgv", "--keyring", ring, inline).count("Good signature") == 2
    database = desk.home / "rpm"
    database.mkdir()
    desk.run("rpmkeys", "--dbpath", database, "--import", block)
    assert len(desk.run("rpm", "--dbpath", database, "-qa", "gpg-pubkey").split()) == 2


def test_an_administrator_hands_out_a_key_and_takes_it_back(desk: Machine, registry: Registry) -> None:
    key = registry.done("POST", "/api/v1/signing/keys", {"name": "build", "key_type": "gpg", "algorithm": "rsa2048", "uid_email": "build@registry.example"})  # fmt: skip
    rita = registry.person("rita")
    ask = ["curl", "-fsS", "-H", f"Authorization: Bearer {rita.token}", "-o", "key.asc"]
    public = f"{registry.url}/api/v1/signing/keys/{key['id']}/public"
    desk.run(*ask, public)
    assert "imported: 1" in desk.run("gpg", "--batch", "--import", "key.asc")
    registry.done("POST", f"/api/v1/signing/keys/{key['id']}/revoke")
    desk.run(*ask, public)
    assert "revocation certificate added" in desk.run("gpg", "--batch", "--import", "key.asc")
    assert "pub:r:" in desk.run("gpg", "--batch", "--with-colons", "--list-keys")
