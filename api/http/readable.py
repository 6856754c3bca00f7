"""Which repositories a caller may read, in the form that searches take."""

from __future__ import annotations

from uuid import UUID

import msgspec

from api.app import App
from application.catalogue import RepositoryRow
from application.resolving import Resolved
from application.searching import narrowed
from domain.permissions import Principal


class Readable(msgspec.Struct, frozen=True):
    """repositories: None when nothing is hidden from the caller. rows: those that are not hidden, by id."""

    repositories: frozenset[UUID] | None
    rows: dict[UUID, RepositoryRow]

    def only(self, *, format_key: str | None = None, key: str | None = None) -> frozenset[UUID] | None:
        """Those of a format and of a key; what is None does not matter."""
        if not format_key and not key:
            return self.repositories
        wanted = {
            row.id
            for row in self.rows.values()
            if (not key or row.key == key) and (not format_key or plain_format(row.format) == plain_format(format_key))
        }
        return narrowed(self.repositories, wanted)

    def key(self, repository: UUID) -> str:
        """The key of a repository; empty for one that was deleted a moment ago."""
        row = self.rows.get(repository)
        return row.key if row is not None else ""

    def format(self, repository: UUID) -> str:
        """The format of a repository, spelled as in answers."""
        row = self.rows.get(repository)
        return plain_format(row.format) if row is not None else ""


def readable(app: App, principal: Principal) -> Readable:
    """What the caller may read now."""
    visible = app.access.visible(principal, app.catalogue.repositories())
    # nothing but an administrator's rights stays true of the repository that is made private a moment from now
    everything = principal.is_admin
    return Readable(None if everything else frozenset(row.id for row in visible), {row.id: row for row in visible})


def as_it_was(app: App, principal: Principal, key: str | None) -> Resolved | None:
    """What a filter by repository means when it names one at a position: `key@when`, or a snapshot.

    None for a repository as it is now, and for one that the caller may not know of. Raises NotFound and Invalid for a
    time that there was not, to those who may read the repository.
    """
    resolved = app.access.resolve(principal, key) if key else None
    if resolved is None or resolved.at is None or not app.access.allows(principal, resolved, "read"):
        return None
    return resolved


def plain_format(key: str) -> str:
    """A format's key as answers spell it: in lower case, without underscores."""
    return key.lower().replace("_", "")
