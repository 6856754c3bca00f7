"""From the text in an address to a repository and the position to read it at.

`libs` is now; `libs@1200` a position; `libs@2026-03-03` the beginning of that day (UTC); `libs@2026-03-03T10:15:00Z` a
moment; `libs@release-7` a named checkpoint. A snapshot repository is its source at a fixed position.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from uuid import UUID

import msgspec

from application.catalogue import Catalogue, RepositoryRow
from domain.errors import Invalid, NotAllowed, NotFound, Unavailable
from domain.repository import RepositoryNotFound

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


class PastIsReadOnly(NotAllowed):
    """A write to a repository as it was."""

    template = "'{name}' shows the repository as it was at position {position}; the past cannot be written to"

    def __init__(self, name: str, position: int) -> None:
        super().__init__(name=name, position=position)


class Resolved(msgspec.Struct, frozen=True):
    """What an address means. repository decides who may; content and at decide what is read.

    source: of a snapshot, what it shows, as it was.
    """

    repository: RepositoryRow
    content: UUID
    at: int | None
    source: RepositoryRow | None = None

    @property
    def shown(self) -> RepositoryRow:
        """The repository whose kind and settings decide who answers."""
        return self.repository if self.source is None else self.source

    def require_present(self, action: str = "write") -> None:
        """Refuse writes to the past; raises PastIsReadOnly. A snapshot itself can be administered."""
        if self.at is not None and not (action == "admin" and self.repository.kind == "snapshot"):
            raise PastIsReadOnly(self.repository.key, self.at)


class Resolver:
    """Resolves addresses.

    head: the last position. position_at: the last one recorded at or before a moment. reached: waits until the
    catalogue shows a position, or a while; or what is read at it would be remembered without its last events.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        head: Callable[[], int],
        position_at: Callable[[datetime], int],
        reached: Callable[[int], bool] = lambda _: True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalogue = catalogue
        self._head = head
        self._position_at = position_at
        self._reached = reached
        self._now = now

    def resolve(self, text: str) -> Resolved:
        """The repository that `key` or `key@when` names.

        Raises RepositoryNotFound, NotFound for positions and checkpoints that are not there, Invalid for times that
        cannot be read or are still to come.
        """
        key, separator, when = text.partition("@")
        row = self._catalogue.repository(key)
        if not separator:
            if row is None:
                raise RepositoryNotFound(key)
            return self._present(row)
        at = self.position(when)
        past = self._catalogue.repository(key, at)
        if past is None:
            raise NotFound(f"repository '{key}' did not exist at position {at}")
        return self._past(row if row is not None and row.id == past.id else _hidden(past), past, at)

    def position(self, when: str) -> int:
        """The position that a selector means: digits, an ISO 8601 date or time, or the name of a checkpoint.

        Raises Unavailable while the catalogue is behind it.
        """
        position = self._meant(when)
        if not self._reached(position):
            raise Unavailable(f"the read models have not reached position {position} yet")
        return position

    def _meant(self, when: str) -> int:
        if when.isascii() and when.isdigit():
            position = int(when[:19])
            if position > self._head():
                raise NotFound(f"position {position} is not in the log yet")
            return position
        if _DATE.match(when) or _TIME.match(when):
            return self._position_at(self._moment(when))
        named = self._catalogue.checkpoint(when)
        if named is None:
            raise NotFound(f"'{when[:100]}' is not a position, a date, a time (ISO 8601) or a named checkpoint")
        return named

    def _moment(self, text: str) -> datetime:
        try:
            if _DATE.match(text):
                moment = datetime.combine(date.fromisoformat(text), time(), UTC)
            else:
                moment = datetime.fromisoformat(text.replace(" ", "+").upper())
        except ValueError:
            raise Invalid(f"{text[:100]!r} is not an ISO 8601 date or time") from None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        if moment > self._now():
            raise Invalid(f"{text} is still to come; a repository can be read as of a past time only")
        return moment

    def _present(self, row: RepositoryRow) -> Resolved:
        return self._shown(row, row) or Resolved(row, row.id, None)

    def _past(self, row: RepositoryRow, past: RepositoryRow, at: int) -> Resolved:
        return self._shown(row, past) or Resolved(row, past.id, at)

    def _shown(self, row: RepositoryRow, snapshot: RepositoryRow) -> Resolved | None:
        """What a snapshot shows; None for what is none."""
        if snapshot.kind != "snapshot" or snapshot.source is None:
            return None
        source = self._catalogue.repository_by_id(snapshot.source, snapshot.source_position)
        return Resolved(row, snapshot.source, snapshot.source_position, source)


def _hidden(past: RepositoryRow) -> RepositoryRow:
    """A repository that is no more is not public: today's permissions decide who may read yesterday."""
    return msgspec.structs.replace(past, public=False)
