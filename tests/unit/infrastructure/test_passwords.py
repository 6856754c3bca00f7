"""Argon2id hashes, how strong passwords are, and the first administrator's file."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from application.identity.passwords import generate_password
from domain.passwords import PasswordPolicy, faults
from infrastructure.auth.password_file import AdminPasswordFile
from infrastructure.auth.passwords import Argon2Passwords, TooManySignIns
from infrastructure.auth.strength import common_passwords, strength

CHEAP = {"memory_kib": 64, "iterations": 1}


def test_a_hash_knows_its_password_and_no_other() -> None:
    passwords = Argon2Passwords(**CHEAP)
    hashed = passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$")
    assert passwords.verify(hashed, "correct horse")
    assert not passwords.verify(hashed, "correct horse ")
    assert passwords.hash("correct horse") != hashed


def test_passwords_are_the_same_however_they_are_typed() -> None:
    passwords = Argon2Passwords(**CHEAP)
    assert passwords.verify(passwords.hash("u\u0308ber alles"), "über alles")


def test_no_account_and_a_broken_hash_are_just_wrong() -> None:
    passwords = Argon2Passwords(**CHEAP)
    assert not passwords.verify(None, "correct horse")
    assert not passwords.verify("not a hash", "correct horse")
    assert not passwords.verify(passwords.hash("x" * 2000), "x" * 2000)


def test_an_unknown_account_costs_what_a_known_one_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Argon2Passwords(memory_kib=8 * 1024, iterations=2)
    hashed, verified = passwords.hash("correct horse"), []

    def verify(self: PasswordHasher, stored: str, password: str) -> bool:
        verified.append((stored.rsplit("$", 2)[0], len(stored), password))
        raise VerifyMismatchError

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert not passwords.verify(hashed, "wrong")
    assert not passwords.verify(None, "wrong")
    assert verified == [("$argon2id$v=19$m=8192,t=2,p=1", len(hashed), "wrong")] * 2


def test_hashes_of_other_parameters_are_outdated() -> None:
    old = Argon2Passwords(**CHEAP).hash("correct horse")
    new = Argon2Passwords(memory_kib=128, iterations=1)
    assert new.is_outdated(old)
    assert new.verify(old, "correct horse")
    assert not new.is_outdated(new.hash("correct horse"))


def test_only_so_many_are_hashed_at_once_and_others_do_not_wait_for_ever() -> None:
    passwords = Argon2Passwords(2, concurrent=1, wait_seconds=0.2, **CHEAP)
    inside, leave = threading.Event(), threading.Event()

    def occupy() -> None:
        with passwords._slot():
            inside.set()
            leave.wait(5)

    busy = threading.Thread(target=occupy)
    busy.start()
    assert inside.wait(5)
    started = time.perf_counter()
    with pytest.raises(TooManySignIns):
        passwords.hash("waits for its turn")
    assert time.perf_counter() - started >= 0.2

    waiting = threading.Thread(target=lambda: passwords.verify(None, "waits for its turn"))
    passwords._wait_seconds = 5
    waiting.start()
    while passwords._waiting._value:
        time.sleep(0.001)
    started = time.perf_counter()
    with pytest.raises(TooManySignIns):
        passwords.hash("one too many")
    assert time.perf_counter() - started < 4  # it would wait for 5
    leave.set()
    busy.join(5)
    waiting.join(5)
    assert passwords.hash("correct horse")


def test_common_passwords_are_known_and_guessing_is_estimated() -> None:
    assert {"password1", "qwertyuiop", "12345678"} <= common_passwords()
    assert strength("password1") == 0
    assert strength("correct horse battery staple") == 4
    assert strength("annannann", ("annannann",)) == 0
    assert strength("x" * 5000) >= 0


def test_generated_passwords_meet_the_strictest_policy() -> None:
    strict = PasswordPolicy(min_length=20, uppercase=True, lowercase=True, digit=True, special=True)
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(faults(strict, password, common_passwords()) == [] for password in made)
    assert all(strength(password) == 4 for password in made)


def test_the_password_file_is_the_owners_alone_and_the_first_one_wins(tmp_path: Path) -> None:
    file = AdminPasswordFile(tmp_path / "data" / "admin.password")
    assert not file.exists()
    assert file.keep("first") == "first"
    assert file.keep("second") == "first"
    assert file.path.read_text() == "first\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["admin.password"]
    file.remove()
    file.remove()
    assert file.keep("second") == "second"
