"""Keys of people, outside the log: whoever is erased loses theirs, and what it sealed is noise from then on."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import Connection

from domain.account import name_key
from domain.errors import Gone, Invalid
from domain.ids import ANONYMOUS

Connect = Callable[[], AbstractContextManager[Connection[tuple[Any, ...]]]]

MAX_CACHED = 20_000

_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class InstanceKeyWrong(Invalid):
    """The keys in the database were wrapped by another instance key than the configured one."""

    template = (
        "the people's keys in this database were made with another instance key: restore the file or setting that "
        "holds it; without it no name, address or password hash can be read"
    )

    def __init__(self) -> None:
        super().__init__()


class SealBroken(Invalid):
    """Bytes that claim to be sealed for a person and are not."""

    template = "this was not sealed for {person}"

    def __init__(self, person: UUID) -> None:
        super().__init__(person=person)


class PersonErased(Gone):
    """Nothing can be sealed for a person that was erased."""

    template = "person {person} was erased"

    def __init__(self, person: UUID) -> None:
        super().__init__(person=person)


class PersonKeys:
    """The PersonalData port: AES-256-GCM under a key per person in table person_key, wrapped by the instance key.

    Sealed bytes are a version byte, a random nonce, and the ciphertext bound to the person's id. Keys are remembered
    in the process until `forget`, which must be called when access changed anywhere.
    """

    def __init__(self, connect: Connect, instance_secret: str) -> None:
        """instance_secret: at least 32 bytes of entropy, the same for every process and for ever."""
        secret = instance_secret.encode()
        self._connect = connect
        self._wrapping = AESGCM(_derived(secret, b"artifact-keeper person keys"))
        self._digest_key = _derived(secret, b"artifact-keeper name digests")
        self._lock = threading.Lock()
        self._generation = 0
        self._keys: dict[UUID, AESGCM | None] = {}

    def check(self) -> None:
        """Raise InstanceKeyWrong when what is in the database cannot be read with this instance key."""
        self.seal(ANONYMOUS, b"")

    def seal(self, person: UUID, plaintext: bytes) -> bytes:
        """See PersonalData."""
        key = self._keys.get(person) or self._load(person, create=True)
        if key is None:
            raise PersonErased(person)
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + key.encrypt(nonce, plaintext, person.bytes)

    def open(self, person: UUID, sealed: bytes) -> bytes | None:
        """See PersonalData."""
        key = self._keys[person] if person in self._keys else self._load(person, create=False)
        if key is None:
            return None
        nonce_end = 1 + _NONCE_BYTES
        try:
            if sealed[:1] != _VERSION or len(sealed) < nonce_end:
                raise SealBroken(person)
            return key.decrypt(sealed[1:nonce_end], sealed[nonce_end:], person.bytes)
        except InvalidTag:
            raise SealBroken(person) from None

    def erase(self, person: UUID) -> None:
        """See PersonalData."""
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO person_key (person, erased_at) VALUES (%s, now()) "
                "ON CONFLICT (person) DO UPDATE SET wrapped = NULL, erased_at = now() "
                "WHERE person_key.wrapped IS NOT NULL",
                (person,),
            )
        self.forget(frozenset((person,)))

    def forget(self, people: frozenset[UUID] | None) -> None:
        """Ask the database again for the keys of these people; None is everybody."""
        with self._lock:
            self._generation += 1
            if people is None:
                self._keys = {}
            else:
                for person in people:
                    self._keys.pop(person, None)

    def name_digest(self, kind: str, name: str) -> str:
        """See PersonalData. Spellings that mean the same name give the same digest."""
        text = f"{kind}\0{name_key(name)}".encode()
        return hmac.new(self._digest_key, text, hashlib.sha256).hexdigest()

    def _load(self, person: UUID, *, create: bool) -> AESGCM | None:
        generation = self._generation
        with self._connect() as connection:
            row = connection.execute(_SELECT, (person,), prepare=True).fetchone()
            if row is None and create:
                # whoever is first makes the key; the others read it
                fresh = self._wrap(person, os.urandom(_KEY_BYTES))
                connection.execute(
                    "INSERT INTO person_key (person, wrapped) VALUES (%s, %s) ON CONFLICT DO NOTHING", (person, fresh)
                )
                row = connection.execute(_SELECT, (person,), prepare=True).fetchone()
        if row is None:
            return None  # not remembered: the person may get a key at any time
        key = None if row[0] is None else AESGCM(self._unwrap(person, row[0]))
        with self._lock:
            if generation == self._generation:
                while len(self._keys) >= MAX_CACHED:
                    del self._keys[next(iter(self._keys))]
                self._keys[person] = key
        return key

    def _wrap(self, person: UUID, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, person.bytes)

    def _unwrap(self, person: UUID, wrapped: bytes) -> bytes:
        try:
            return self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], person.bytes)
        except InvalidTag:
            raise InstanceKeyWrong from None


_SELECT = "SELECT wrapped FROM person_key WHERE person = %s"


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose).derive(secret)
