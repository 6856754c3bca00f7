"""Grants: who may do what to which repository, or to the system."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec

from application.catalogue import Catalogue
from application.identity.directory import Directory, GrantRow
from application.log import Change, EventLog, Receipt
from application.publishing import Progress
from domain import permissions
from domain.errors import Invalid, Unavailable
from domain.event import Metadata
from domain.ids import grant_id
from domain.permissions import ACTIONS, SYSTEM_TARGET, Grant, GrantGiven, GrantNotFound

PRINCIPAL_TYPES = {"user": "user", "service_account": "service"}
"""As the API says it, to the kind of account."""

TARGET_TYPES = ("repository", "system")


class NewGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to let do what to which target."""

    principal_type: str
    principal: UUID
    target_type: str
    target: UUID
    actions: list[str]


class Grants:
    """The commands on grants. Each returns when every process knows what it changed."""

    def __init__(self, log: EventLog, directory: Directory, catalogue: Catalogue, progress: Progress) -> None:
        self._log = log
        self._directory = directory
        self._catalogue = catalogue
        self._progress = progress

    def give(self, new: NewGrant, meta: Metadata) -> GrantRow:
        """Grant; raises Invalid for what is not known, GrantExists."""
        self._check(new)
        grant = uuid4()
        self._finish(self._log.execute(lambda: [self._given(grant, new)], meta))
        return self._shown(grant)

    def change(self, grant: UUID, new: NewGrant, meta: Metadata) -> GrantRow:
        """Make an existing grant this one; raises GrantNotFound, GrantExists where the new place is taken."""
        old = self._row(grant)
        self._check(new)
        moved = (old.principal, old.target) != (new.principal, new.target)

        def decide() -> list[Change]:
            left = [self._revoked(old)] if moved else []
            return [*left, self._given(grant, new)]

        self._finish(self._log.execute(decide, meta))
        return self._shown(grant)

    def revoke(self, grant: UUID, meta: Metadata) -> None:
        """Take a grant back; raises GrantNotFound."""
        old = self._row(grant)
        self._finish(self._log.execute(lambda: [self._revoked(old)], meta))

    @staticmethod
    def owner_grants(repository: UUID, meta: Metadata) -> list[Change]:
        """What makes the creator of a repository its owner, as part of the creation; nothing for the system."""
        if meta.by is None:
            return []
        given = GrantGiven(
            grant=uuid4(),
            principal_type="service_account" if meta.kind == "service" else "user",
            principal=meta.by,
            target_type="repository",
            target=repository,
            actions=ACTIONS,
        )
        return [Change(grant_id(meta.by, repository), 0, [given], repository)]

    def _given(self, grant: UUID, new: NewGrant) -> Change:
        stream = grant_id(new.principal, new.target)
        state, version = self._log.load(stream, Grant(), permissions.evolve)
        events = permissions.give(
            state, grant, new.principal_type, new.principal, new.target_type, new.target, new.actions
        )
        return Change(stream, version, events, _repository(new.target_type, new.target))

    def _revoked(self, old: GrantRow) -> Change:
        stream = grant_id(old.principal, old.target)
        state, version = self._log.load(stream, Grant(), permissions.evolve)
        if state.id != old.id:
            raise GrantNotFound
        return Change(stream, version, permissions.revoke(state), _repository(old.target_type, old.target))

    def _check(self, new: NewGrant) -> None:
        kind = PRINCIPAL_TYPES.get(new.principal_type)
        if kind is None:
            raise Invalid(f"principal_type is one of {', '.join(PRINCIPAL_TYPES)}")
        row = self._directory.user(new.principal)
        if row is None or row.deleted or row.kind != kind:
            raise Invalid(f"unknown principal: there is no {new.principal_type} {new.principal}")
        if new.target_type not in TARGET_TYPES:
            raise Invalid(f"target_type is one of {', '.join(TARGET_TYPES)}")
        if (new.target_type == "system") != (new.target == SYSTEM_TARGET):
            raise Invalid("the target of type system, and only that, is the nil UUID")
        if new.target_type == "repository" and self._catalogue.repository_by_id(new.target) is None:
            raise Invalid(f"unknown target: there is no repository {new.target}")

    def _row(self, grant: UUID) -> GrantRow:
        row = self._directory.grant(grant)
        if row is None:
            raise GrantNotFound
        return row

    def _finish(self, receipt: Receipt) -> None:
        self._progress.reached(("access",), receipt.position)

    def _shown(self, grant: UUID) -> GrantRow:
        row = self._directory.grant(grant)
        if row is None:
            raise Unavailable("the permission is stored and not visible yet; please look again in a moment")
        return row


def _repository(target_type: str, target: UUID) -> UUID | None:
    return target if target_type == "repository" else None
