"""Finding things in one repository as it was. Search engines know the present; the catalogue knows every moment."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from application.catalogue import PackageRow
from application.searching import SearchQuery, SearchResult


class Past(Protocol):
    """Queries over a repository as of a position. They walk it: the cost goes by what it held."""

    def search(self, query: SearchQuery, repository: UUID, at: int) -> SearchResult:
        """One page of everything that matched. Words are looked for in names, versions and paths only. The query's own
        repositories do not matter.
        """

    def packages(
        self, repository: UUID, at: int, text: str = "", *, limit: int, offset: int = 0
    ) -> tuple[list[PackageRow], int]:
        """Packages whose name contained the text, by normalised name: one page, and how many there were."""
