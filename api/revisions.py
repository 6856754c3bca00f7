"""Which revision of a scope is shown, now and as of past positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from application.catalogue import Catalogue

MAX_PAST = 20_000


class Revisions(Protocol):
    """Current revisions; see `projections.catalogue.revisions`."""

    def remembered(self, repository: UUID, scope: str) -> int | None:
        """Known without waiting."""

    def current(self, repository: UUID, scope: str) -> int:
        """Known or read."""


class ShownRevisions:
    """Revisions by repository, scope and position. is_fresh: whether what is remembered of now can be relied on."""

    def __init__(self, present: Revisions, catalogue: Catalogue, is_fresh: Callable[[], bool]) -> None:
        self._present = present
        self._catalogue = catalogue
        self._is_fresh = is_fresh
        self._past: dict[tuple[UUID, str, int], int] = {}

    def unchanged(self, content: UUID, scope: str, revision: int) -> bool:
        """Whether this is known to be the present revision."""
        return self._present.remembered(content, scope) == revision

    def remembered(self, content: UUID, scope: str, at: int | None) -> int | None:
        """The revision, when it is known without waiting."""
        if at is not None:
            return self._past.get((content, scope, at))
        return self._present.remembered(content, scope) if self._is_fresh() else None

    def at(self, content: UUID, scope: str, at: int | None) -> int:
        """The revision of a scope at a position; None is now. Asks the database for what is not known."""
        if at is None:
            if self._is_fresh():
                return self._present.current(content, scope)
            return self._catalogue.revision(content, scope)
        known = self._past.get((content, scope, at))
        if known is not None:
            return known
        if len(self._past) >= MAX_PAST:
            self._past.clear()
        revision = self._past[content, scope, at] = self._catalogue.revision(content, scope, at)
        return revision
