"""Which repositories a caller may read, in the form that searches take."""

from __future__ import annotations

from uuid import UUID

import msgspec

from api.app import App
from application.catalogue import RepositoryRow
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
    every = app.catalogue.repositories()
    visible = app.access.visible(principal, every)
    everything = len(visible) == len(every)
    return Readable(None if everything else frozenset(row.id for row in visible), {row.id: row for row in visible})


def plain_format(key: str) -> str:
    """A format's key as answers spell it: in lower case, without underscores."""
    return key.lower().replace("_", "")
