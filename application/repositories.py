"""Creating, changing and deleting repositories, and naming positions of the log."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from application.catalogue import Catalogue, RepositoryRow
from application.log import Change, EventLog, Receipt
from application.publishing import Progress
from domain import checkpoint, claim, repository
from domain.checkpoint import NamedPosition
from domain.claim import Claim
from domain.errors import Invalid, NotFound
from domain.event import Event, Metadata
from domain.ids import checkpoint_id, claim_id
from domain.repository import (
    Kind,
    Repository,
    RepositoryCreated,
    RepositoryDeleted,
    RepositoryUpdated,
    Settings,
    checked_key,
)

_CLAIM = "repository"


class NewRepository(msgspec.Struct, frozen=True, kw_only=True):
    """What to create. source and source_position: required for, and only for, snapshots; an upstream, for remotes."""

    key: str
    name: str
    description: str | None
    format: str
    kind: Kind
    public: bool = False
    settings: Settings = Settings()
    source: UUID | None = None
    source_position: int | None = None


class RepositoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change; UNSET leaves as it is."""

    key: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    public: bool | msgspec.UnsetType = msgspec.UNSET
    settings: Settings | msgspec.UnsetType = msgspec.UNSET


class OwnerGrants(Protocol):
    """Gives the creator of a repository its ownership, as part of the same command."""

    def __call__(self, repository: UUID, meta: Metadata) -> list[Change]:
        """Changes to append along with the creation; none for the system."""


class RepositoryKeys(Protocol):
    """Gives a new repository the key that signs for it, as part of the same command."""

    def __call__(self, repository: UUID, new: NewRepository) -> list[Change]:
        """Changes to append along with the creation; none where nothing is signed."""


class Repositories:
    """The commands on repositories and checkpoints."""

    def __init__(
        self,
        log: EventLog,
        catalogue: Catalogue,
        progress: Progress,
        owner_grants: OwnerGrants,
        repository_keys: RepositoryKeys = lambda *_: [],
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._progress = progress
        self._owner_grants = owner_grants
        self._repository_keys = repository_keys

    def create(self, new: NewRepository, meta: Metadata, identifier: UUID | None = None) -> RepositoryRow:
        """Create a repository; raises NameTaken, Invalid. Its creator owns it. identifier: under which its secrets are
        sealed already.
        """
        checked_key(new.key)
        if (new.kind == "remote") != (new.settings.upstream is not None):
            raise Invalid("a remote repository needs an upstream_url; other kinds have none")
        if (new.kind == "snapshot") != (new.source is not None and new.source_position is not None):
            raise Invalid("a snapshot needs a source repository and a position; other kinds have none")
        own = identifier or uuid4()
        created = RepositoryCreated(repository=own, **msgspec.structs.asdict(new))
        keys = self._repository_keys(own, new)

        def decide() -> list[Change]:
            return [
                self._claim(new.key, own),
                Change(own, 0, [created], own),
                *self._owner_grants(own, meta),
                *keys,
            ]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue", "access"), receipt.position)
        return self._row(own, receipt)

    def update(self, row: RepositoryRow, change: RepositoryChange, meta: Metadata) -> RepositoryRow:
        """Change attributes; a new key must be free."""

        def decide() -> list[Change]:
            state, version = self._load(row)
            changes = []
            if change.key is not msgspec.UNSET and change.key != state.key:
                checked_key(change.key)
                changes = [self._claim(change.key, row.id), self._release(state.key)]
            event = RepositoryUpdated(repository=row.id, **msgspec.structs.asdict(change))
            return [*changes, Change(row.id, version, [event], row.id)]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return self._row(row.id, receipt)

    def delete(self, row: RepositoryRow, meta: Metadata) -> Receipt:
        """Delete with all content; the key is free again, the past stays readable."""

        def decide() -> list[Change]:
            state, version = self._load(row)
            event: Event = RepositoryDeleted(repository=row.id, key=state.key)
            return [Change(row.id, version, [event], row.id), self._release(state.key)]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return receipt

    def name_position(self, name: str, position: int, meta: Metadata) -> Receipt:
        """Give a position a name; raises Invalid for a name, NotFound for a position, that cannot be."""
        if not 0 < position <= self._log.head():
            raise NotFound(f"position {position} is not in the log")

        def decide() -> list[Change]:
            state, version = self._log.load(checkpoint_id(name), NamedPosition(), checkpoint.evolve)
            return [Change(checkpoint_id(name), version, checkpoint.name_position(state, name, position))]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        return receipt

    def _load(self, row: RepositoryRow) -> tuple[Repository, int]:
        state, version = self._log.load(row.id, Repository(), repository.evolve)
        return repository.require_live(state, row.key), version

    def _claim(self, key: str, holder: UUID) -> Change:
        """Keys that differ only in case are one name: some clients and file systems fold it."""
        stream = claim_id(_CLAIM, key.lower())
        state, version = self._log.load(stream, Claim(), claim.evolve)
        return Change(stream, version, claim.take(state, _CLAIM, key, holder))

    def _release(self, key: str) -> Change:
        stream = claim_id(_CLAIM, key.lower())
        state, version = self._log.load(stream, Claim(), claim.evolve)
        return Change(stream, version, claim.release(state, _CLAIM))

    def _row(self, identifier: UUID, receipt: Receipt) -> RepositoryRow:
        row = self._catalogue.repository_by_id(identifier)
        if row is None:
            raise NotFound(f"the repository was stored at position {receipt.position} and is not visible yet")
        return row
