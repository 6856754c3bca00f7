"""Keys that sign for repositories: their life from creation to revocation, and which of them a repository uses.

A key's stream knows the repositories that use it, a repository's stream knows its keys: both are written together, so
that a key cannot be rotated or revoked past a repository that is just being given it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Literal, get_args
from uuid import UUID

import msgspec

from domain.errors import Conflict, Invalid, NotFound
from domain.event import Event

KeyType = Literal["gpg", "rsa", "ed25519"]
Algorithm = Literal["rsa2048", "rsa3072", "rsa4096", "ed25519"]
State = Literal["active", "overlapping", "retired", "revoked", "deleted"]

DEFAULT_ALGORITHM: dict[KeyType, Algorithm] = {"gpg": "rsa4096", "rsa": "rsa4096", "ed25519": "ed25519"}
ALGORITHMS: dict[KeyType, tuple[Algorithm, ...]] = {
    "gpg": ("rsa2048", "rsa3072", "rsa4096", "ed25519"),
    "rsa": ("rsa2048", "rsa3072", "rsa4096"),
    "ed25519": ("ed25519",),
}

MAX_NAME = 128
MAX_USER_ID_BYTES = 200

_EMAIL = re.compile(r"[^\s<>()@]{1,64}@[^\s<>()@]{1,120}\Z")


class SigningKeyNotFound(NotFound):
    """No such key, or one that was deleted."""

    template = "signing key not found"

    def __init__(self) -> None:
        super().__init__()


class SigningKeyMissing(NotFound):
    """Nothing signs what was asked for."""

    template = "this repository has no active signing key"

    def __init__(self) -> None:
        super().__init__()


class SigningKeyUnsuitable(Conflict):
    """The repository's key cannot make the kind of signature that was asked for."""

    template = "the signing key of this repository is of type '{found}'; '{needed}' is needed here"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(found=found, needed=needed)


class SigningKeyInactive(Conflict):
    """The key is on its way out, or out of use."""

    template = "the signing key is {state}; only an active one can do this"

    def __init__(self, state: str) -> None:
        super().__init__(state=state)


class SigningKeyCreated(Event, frozen=True, kw_only=True):
    """A key exists. repository: whose it is; None for one that any may use.

    public_key: armored OpenPGP, or PEM of SubjectPublicKeyInfo. sealed: the private half, readable to this instance
    only. made_at: whole seconds, part of what an OpenPGP fingerprint covers, as user_id is of its certificate.
    """

    TOPIC: ClassVar[str] = "signing-key.created"
    key: UUID
    name: str
    key_type: KeyType
    algorithm: Algorithm
    made_at: datetime
    public_key: str
    fingerprint: str
    key_id: str
    sealed: bytes
    repository: UUID | None = None
    user_id: str = ""
    uid_name: str | None = None
    uid_email: str | None = None
    predecessor: UUID | None = None


class SigningKeyAssigned(Event, frozen=True, kw_only=True):
    """The key signs for a repository."""

    TOPIC: ClassVar[str] = "signing-key.assigned"
    key: UUID
    repository: UUID


class SigningKeyReleased(Event, frozen=True, kw_only=True):
    """The key no longer signs for a repository."""

    TOPIC: ClassVar[str] = "signing-key.released"
    key: UUID
    repository: UUID


class SigningKeyRotated(Event, frozen=True, kw_only=True):
    """Another key takes its place; both sign until the overlap ends."""

    TOPIC: ClassVar[str] = "signing-key.rotated"
    key: UUID
    successor: UUID
    overlap_ends_at: datetime


class SigningKeyRetired(Event, frozen=True, kw_only=True):
    """The overlap is over: the key signs nothing new."""

    TOPIC: ClassVar[str] = "signing-key.retired"
    key: UUID


class SigningKeyRevoked(Event, frozen=True, kw_only=True):
    """The key never signs again. public_key: the public half with its revocation, where its kind has such a thing."""

    TOPIC: ClassVar[str] = "signing-key.revoked"
    key: UUID
    public_key: str


class SigningKeyDeleted(Event, frozen=True, kw_only=True):
    """The key never signs again and is not listed any more."""

    TOPIC: ClassVar[str] = "signing-key.deleted"
    key: UUID


class ArtifactSigned(Event, frozen=True, kw_only=True):
    """A key signed what is stored at a path; it is in the stream of the artifact.

    signature: armored OpenPGP, or base64 of a bare one.
    """

    TOPIC: ClassVar[str] = "artifact.signed"
    key: UUID
    artifact: UUID
    repository: UUID
    path: str
    sha256: str
    signature: str


class RepositorySigningChanged(Event, frozen=True, kw_only=True):
    """What signs for a repository, and what it signs. keys: all that sign, the one in use first."""

    TOPIC: ClassVar[str] = "repository-signing.changed"
    repository: UUID
    keys: tuple[UUID, ...] = ()
    sign_metadata: bool = True
    sign_packages: bool = False
    require_signatures: bool = False


class SigningKey(msgspec.Struct, frozen=True):
    """What the next decision needs of a key. repositories: those that use it, in the order in which they began to."""

    id: UUID | None = None
    state: State = "active"
    owner: UUID | None = None
    key_type: KeyType = "gpg"
    algorithm: Algorithm = "rsa4096"
    repositories: tuple[UUID, ...] = ()
    overlap_ends_at: datetime | None = None


class RepositorySigning(msgspec.Struct, frozen=True):
    """What the next decision needs of a repository's choices."""

    keys: tuple[UUID, ...] = ()
    sign_metadata: bool = True
    sign_packages: bool = False
    require_signatures: bool = False


def evolve(state: SigningKey, event: Event) -> SigningKey:
    """Fold one event of a key."""
    match event:
        case SigningKeyCreated():
            return SigningKey(id=event.key, owner=event.repository, key_type=event.key_type, algorithm=event.algorithm)
        case SigningKeyAssigned():
            return msgspec.structs.replace(state, repositories=(*state.repositories, event.repository))
        case SigningKeyReleased():
            left = tuple(one for one in state.repositories if one != event.repository)
            return msgspec.structs.replace(state, repositories=left)
        case SigningKeyRotated():
            return msgspec.structs.replace(state, state="overlapping", overlap_ends_at=event.overlap_ends_at)
        case SigningKeyRetired():
            return msgspec.structs.replace(state, state="retired")
        case SigningKeyRevoked():
            return msgspec.structs.replace(state, state="revoked")
        case SigningKeyDeleted():
            return msgspec.structs.replace(state, state="deleted")
        case _:
            return state


def evolve_signing(state: RepositorySigning, event: Event) -> RepositorySigning:
    """Fold one event of a repository's choices."""
    if not isinstance(event, RepositorySigningChanged):
        return state
    return RepositorySigning(event.keys, event.sign_metadata, event.sign_packages, event.require_signatures)


def assign(state: SigningKey, repository: UUID) -> list[Event]:
    """Have the key sign for a repository. Raises SigningKeyNotFound, SigningKeyInactive, or Invalid for another's."""
    found = require_active(state)
    if state.owner not in {None, repository}:
        raise Invalid("this signing key belongs to another repository")
    return [] if repository in state.repositories else [SigningKeyAssigned(key=found, repository=repository)]


def release(state: SigningKey, repository: UUID) -> list[Event]:
    """Have the key no longer sign for a repository."""
    if state.id is None or repository not in state.repositories:
        return []
    return [SigningKeyReleased(key=state.id, repository=repository)]


def rotate(state: SigningKey, successor: UUID, overlap_ends_at: datetime) -> list[Event]:
    """Give the key's place to another. Raises SigningKeyNotFound, SigningKeyInactive."""
    return [SigningKeyRotated(key=require_active(state), successor=successor, overlap_ends_at=overlap_ends_at)]


def retire(state: SigningKey, now: datetime) -> list[Event]:
    """End the overlap when its time has come; nothing otherwise. The key lets go of its repositories."""
    ended = state.overlap_ends_at is not None and state.overlap_ends_at <= now
    if state.id is None or state.state != "overlapping" or not ended:
        return []
    return [*_release_all(state), SigningKeyRetired(key=state.id)]


def revoke(state: SigningKey, public_key: str) -> list[Event]:
    """End the key's use for ever; nothing when that was done. Raises SigningKeyNotFound."""
    found = require_known(state)
    if state.state == "revoked":
        return []
    return [*_release_all(state), SigningKeyRevoked(key=found, public_key=public_key)]


def delete(state: SigningKey) -> list[Event]:
    """End the key's use for ever and take it off the lists. Raises SigningKeyNotFound."""
    found = require_known(state)
    return [*_release_all(state), SigningKeyDeleted(key=found)]


def change_signing(state: RepositorySigning, repository: UUID, changed: RepositorySigning) -> list[Event]:
    """Choose anew what signs for a repository, and what it signs; nothing when that is so already."""
    if state == changed:
        return []
    return [RepositorySigningChanged(repository=repository, **msgspec.structs.asdict(changed))]


def require_known(state: SigningKey) -> UUID:
    """The key's id; raises SigningKeyNotFound when it never was or was deleted."""
    if state.id is None or state.state == "deleted":
        raise SigningKeyNotFound
    return state.id


def require_active(state: SigningKey) -> UUID:
    """The key's id; raises SigningKeyNotFound, SigningKeyInactive."""
    found = require_known(state)
    if state.state != "active":
        raise SigningKeyInactive(state.state)
    return found


def checked_algorithm(key_type: str, algorithm: str | None) -> tuple[KeyType, Algorithm]:
    """A kind of key and its algorithm, by default the kind's own; raises Invalid."""
    for kind in get_args(KeyType):
        if kind == key_type:
            wanted = DEFAULT_ALGORITHM[kind] if algorithm is None else algorithm
            for known in ALGORITHMS[kind]:
                if known == wanted:
                    return kind, known
            raise Invalid(f"algorithm of a key of type {kind}: {', '.join(ALGORITHMS[kind])}, not {wanted[:40]!r}")
    raise Invalid(f"key_type is one of {', '.join(get_args(KeyType))}, not {key_type[:40]!r}")


def checked_key_name(name: str) -> str:
    """What administrators call a key: 1 to 128 printable characters."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(f"a signing key needs a name of 1 to {MAX_NAME} printable characters")
    return name


def user_id_of(name: str, email: str | None) -> str:
    """Whose key it says to be: `name` or `name <email>`, at most 200 bytes; raises Invalid.

    Source: https://www.rfc-editor.org/rfc/rfc9580#section-5.11.
    """
    if not name.strip() or not name.isprintable() or any(mark in name for mark in "<>"):
        raise Invalid("uid_name: printable characters without '<' and '>'")
    if email is not None and (not email.isprintable() or not _EMAIL.match(email)):
        raise Invalid(f"uid_email: {email[:60]!r} is not an e-mail address")
    text = name.strip() if email is None else f"{name.strip()} <{email}>"
    if len(text.encode()) > MAX_USER_ID_BYTES:
        raise Invalid(f"uid_name and uid_email have together at most {MAX_USER_ID_BYTES} bytes")
    return text


def _release_all(state: SigningKey) -> list[Event]:
    assert state.id is not None  # noqa: S101 - callers have asked
    return [SigningKeyReleased(key=state.id, repository=repository) for repository in state.repositories]
