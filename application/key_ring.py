"""Making, giving, rotating and revoking the keys that sign for repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID, uuid4

import msgspec

from application.log import Change, EventLog
from application.ports import BlobStore
from application.publishing import Progress
from application.repositories import NewRepository
from application.signing_keys import KeyRequest, KeyVault, SigningKeyRow, SigningKeyView, ToSign
from domain import artifact, signing_key
from domain.artifact import Artifact, ArtifactNotFound
from domain.errors import Conflict, NotFound
from domain.event import SYSTEM, Event, Metadata
from domain.ids import signing_id
from domain.signing_key import (
    ArtifactSigned,
    RepositorySigning,
    SigningKey,
    SigningKeyAssigned,
    SigningKeyCreated,
    SigningKeyInactive,
    SigningKeyNotFound,
    checked_algorithm,
    checked_key_name,
    user_id_of,
)

NEW_REPOSITORIES = "rsa3072"
"""What repositories get at their creation: rpm of today's distributions takes no younger kind."""

BATCH = 500
"""So many files at a time are signed off the requests."""

_CHUNK_BYTES = 1 << 20


class NewSigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """What to make. algorithm: None is the type's own. repository: None is for any that is given it."""

    name: str
    key_type: str = "rsa"
    algorithm: str | None = None
    repository: UUID | None = None
    uid_name: str | None = None
    uid_email: str | None = None


class SigningChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to choose anew for a repository; UNSET leaves as it is. key: the one in use; None takes it away."""

    key: UUID | msgspec.UnsetType | None = msgspec.UNSET
    sign_metadata: bool | msgspec.UnsetType = msgspec.UNSET
    sign_packages: bool | msgspec.UnsetType = msgspec.UNSET
    require_signatures: bool | msgspec.UnsetType = msgspec.UNSET


class KeyRing:
    """The commands on signing keys. Each returns when the catalogue shows what it changed.

    signs: whether repositories of a format are made with a key. overlap: how long after a rotation both keys sign.
    """

    def __init__(
        self,
        log: EventLog,
        view: SigningKeyView,
        vault: KeyVault,
        blobs: BlobStore,
        progress: Progress,
        *,
        signs: Callable[[str], bool],
        overlap: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._view = view
        self._vault = vault
        self._blobs = blobs
        self._progress = progress
        self._signs = signs
        self._overlap = overlap
        self._now = now

    def for_new_repository(self, repository: UUID, new: NewRepository) -> list[Change]:
        """What to append with the creation of a repository: its key, where its format wants one."""
        if new.kind == "snapshot" or not self._signs(new.format):
            return []
        wanted = NewSigningKey(name=new.key, key_type="gpg", algorithm=NEW_REPOSITORIES, repository=repository)
        created = self._made(wanted)
        assigned = SigningKeyAssigned(key=created.key, repository=repository)
        chosen = signing_key.change_signing(RepositorySigning(), repository, RepositorySigning(keys=(created.key,)))
        return [
            Change(created.key, 0, [created, assigned], repository),
            Change(signing_id(repository), 0, chosen, repository),
        ]

    def create(self, new: NewSigningKey, meta: Metadata) -> SigningKeyRow:
        """Make a key; the repository's that it is for uses it if it has no active one. Raises Invalid."""
        created = self._made(new)

        def decide() -> list[Change]:
            repository = created.repository
            if repository is None or self._has_active(repository):
                return [Change(created.key, 0, [created], repository)]
            assigned = SigningKeyAssigned(key=created.key, repository=repository)
            choice = self._choose(repository, lambda keys: (created.key, *keys))
            return [Change(created.key, 0, [created, assigned], repository), choice]

        return self._executed(decide, created.key, meta)

    def rotate(self, key: UUID, meta: Metadata) -> SigningKeyRow:
        """Make a key in the place of another, for every repository that uses it; both sign for a while.

        Raises SigningKeyNotFound, SigningKeyInactive.
        """
        old = self._row(key)
        if old.state != "active":
            raise SigningKeyInactive(old.state)  # before a new one is made, which takes its time
        wanted = NewSigningKey(
            name=old.name,
            key_type=old.key_type,
            algorithm=old.algorithm,
            repository=old.repository,
            uid_name=old.uid_name,
            uid_email=old.uid_email,
        )
        created = self._made(wanted, predecessor=key)

        def decide() -> list[Change]:
            state, version = self._load(key)
            now = self._now()
            events = signing_key.rotate(state, created.key, now + self._overlap)
            events += signing_key.retire(_folded(state, events), now)
            still = () if len(events) > 1 else (key,)
            given: list[Event] = [SigningKeyAssigned(key=created.key, repository=one) for one in state.repositories]
            return [
                Change(created.key, 0, [created, *given], created.repository),
                Change(key, version, events, created.repository),
                *(
                    self._choose(one, lambda keys: (created.key, *still, *(other for other in keys if other != key)))
                    for one in state.repositories
                ),
            ]

        return self._executed(decide, created.key, meta)

    def revoke(self, key: UUID, meta: Metadata) -> SigningKeyRow:
        """End a key's use for ever; what it signed is made anew without it. Raises SigningKeyNotFound."""
        row = self._row(key)
        public_key = self._vault.revoked(row.material(), row.public_key, self._now())
        self._end(key, lambda state: signing_key.revoke(state, public_key), meta)
        return self._row(key)

    def delete(self, key: UUID, meta: Metadata) -> None:
        """End a key's use for ever, and show it no more. Raises SigningKeyNotFound."""
        self._end(key, signing_key.delete, meta)

    def retire(self) -> int:
        """End the overlaps that are over; how many. Safe to call from several processes."""
        due = self._view.overdue(self._now())
        for key in due:
            self._end(key, lambda state: signing_key.retire(state, self._now()), SYSTEM)
        return len(due)

    def configure(self, repository: UUID, change: SigningChange, meta: Metadata) -> RepositorySigning:
        """Choose what signs for a repository. A key that is replaced signs no more at once, unlike one that is rotated.

        Raises SigningKeyNotFound, SigningKeyInactive, Invalid.
        """
        changed = RepositorySigning()

        def decide() -> list[Change]:
            nonlocal changed
            state, version = self._log.load(signing_id(repository), RepositorySigning(), signing_key.evolve_signing)
            flags = msgspec.structs.asdict(change)
            key = flags.pop("key")
            given = {name: value for name, value in flags.items() if value is not msgspec.UNSET}
            changed = msgspec.structs.replace(state, **given)
            changes: list[Change] = []
            if key is not msgspec.UNSET:
                changes, keys = self._replaced(repository, state.keys, key)
                changed = msgspec.structs.replace(changed, keys=keys)
            events = signing_key.change_signing(state, repository, changed)
            return [*changes, Change(signing_id(repository), version, events, repository)]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return changed

    def sign_packages(self) -> int:
        """Sign files of repositories that have theirs signed, a batch of them; how many. Safe to call twice at once."""
        signed = 0
        for file in self._view.unsigned(BATCH):
            with suppress(NotFound, Conflict):  # gone or changed meanwhile, or its key is: what is left comes again
                self.sign_artifact(file, SYSTEM)
                signed += 1
        return signed

    def sign_artifact(self, row: ToSign, meta: Metadata) -> tuple[SigningKeyRow, str]:
        """Sign a stored file with its repository's key; the key and the signature.

        Raises ArtifactNotFound, SigningKeyInactive where the repository has no active key.
        """
        key = self._active_key(row.repository)
        if key is None:
            raise SigningKeyInactive("missing")
        with self._blobs.open(row.sha256) as file:
            signature = self._vault.sign(key.material(), _chunks(file), self._now())
        signed = ArtifactSigned(
            key=key.id,
            artifact=row.id,
            repository=row.repository,
            path=row.path,
            sha256=row.sha256,
            signature=signature,
        )

        def decide() -> list[Change]:
            state, version = self._log.load(row.id, Artifact(), artifact.evolve)
            if state.sha256 != row.sha256:
                raise ArtifactNotFound(row.path)
            return [Change(row.id, version, [signed], row.repository)]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return key, signature

    def _made(self, new: NewSigningKey, predecessor: UUID | None = None) -> SigningKeyCreated:
        kind, algorithm = checked_algorithm(new.key_type, new.algorithm)
        name = checked_key_name(new.name)
        user_id = user_id_of(new.uid_name or name, new.uid_email or None) if kind == "gpg" else ""
        request = KeyRequest(uuid4(), kind, algorithm, self._now().replace(microsecond=0), user_id)
        made = self._vault.make(request)
        return SigningKeyCreated(
            key=request.key,
            name=name,
            key_type=kind,
            algorithm=algorithm,
            made_at=request.made_at,
            public_key=made.public_key,
            fingerprint=made.fingerprint,
            key_id=made.key_id,
            sealed=made.sealed,
            repository=new.repository,
            user_id=user_id,
            uid_name=new.uid_name or None,
            uid_email=new.uid_email or None,
            predecessor=predecessor,
        )

    def _end(self, key: UUID, decide_end: Callable[[SigningKey], list[Event]], meta: Metadata) -> None:
        """End a key by what the decision says, and take it from the repositories that it is used by."""

        def decide() -> list[Change]:
            state, version = self._load(key)
            events = decide_end(state)
            if not events:
                return []
            return [
                Change(key, version, events, state.owner),
                *(self._choose(one, lambda keys: tuple(k for k in keys if k != key)) for one in state.repositories),
            ]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)

    def _choose(self, repository: UUID, making: Callable[[tuple[UUID, ...]], tuple[UUID, ...]]) -> Change:
        stream = signing_id(repository)
        state, version = self._log.load(stream, RepositorySigning(), signing_key.evolve_signing)
        changed = msgspec.structs.replace(state, keys=making(state.keys))
        return Change(stream, version, signing_key.change_signing(state, repository, changed), repository)

    def _replaced(
        self, repository: UUID, held: tuple[UUID, ...], key: UUID | None
    ) -> tuple[list[Change], tuple[UUID, ...]]:
        """Let go of the active keys of a repository for another one; those on their way out stay until then."""
        changes, kept = [], []
        for other in held:
            if other == key:
                continue
            state, version = self._load(other)
            if state.state == "overlapping":
                kept.append(other)
            else:
                changes.append(Change(other, version, signing_key.release(state, repository), state.owner))
        if key is None:
            return changes, tuple(kept)
        state, version = self._load(key)
        changes.append(Change(key, version, signing_key.assign(state, repository), state.owner))
        return changes, (key, *kept)

    def _has_active(self, repository: UUID) -> bool:
        state, _ = self._log.load(signing_id(repository), RepositorySigning(), signing_key.evolve_signing)
        return any(self._load(key)[0].state == "active" for key in state.keys)

    def _active_key(self, repository: UUID) -> SigningKeyRow | None:
        rows = self._view.signing_keys(repository)
        return rows[0] if rows and rows[0].state == "active" else None

    def _load(self, key: UUID) -> tuple[SigningKey, int]:
        return self._log.load(key, SigningKey(), signing_key.evolve)

    def _row(self, key: UUID) -> SigningKeyRow:
        row = self._view.key(key)
        if row is None:
            raise SigningKeyNotFound
        return row

    def _executed(self, decide: Callable[[], list[Change]], key: UUID, meta: Metadata) -> SigningKeyRow:
        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return self._row(key)


def _folded(state: SigningKey, events: list[Event]) -> SigningKey:
    for event in events:
        state = signing_key.evolve(state, event)
    return state


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
