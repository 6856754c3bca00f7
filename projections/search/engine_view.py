"""Questions to the search engine; to PostgreSQL what it cannot answer, and everything while it is away or behind."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from application.searching import MAX_COUNTED, Hit, SearchIndex, SearchQuery, SearchResult, name_key, query_words
from domain.errors import RegistryError
from projections.search.engine import Engine
from projections.search.engine_documents import SHOWN, digest, in_repositories, microseconds
from projections.search.engine_fold import EngineProjection
from projections.search.fold import SearchProjection
from projections.search.view import Connect

_log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY_SECONDS = 5.0
"""After a failure nobody asks for this long: searches must not queue before a dead server."""

BEHIND_SECONDS = 5.0
LOOK_SECONDS = 1.0

FACETS = ["repository", "media_type"]
_SORT = {"name": "name_key", "created_at": "position", "size_bytes": "size_bytes"}
_POSITIONS = "SELECT coalesce(max(position), 0) FROM es_tracking WHERE projection = %s"


class _Found(msgspec.Struct):
    """A document as the engine gives it."""

    artifact: UUID
    repository: UUID
    path: str
    package: str
    name: str
    version: str
    sha256: str
    size_bytes: int
    media_type: str
    published_at: int

    def hit(self) -> Hit:
        seconds, micro = divmod(self.published_at, 1_000_000)
        published_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)
        return Hit(**(msgspec.structs.asdict(self) | {"published_at": published_at}))


class _Answer(msgspec.Struct, rename="camel"):
    hits: list[_Found]
    facet_distribution: dict[str, dict[str, int]] = {}


class Freshness:
    """Whether the engine's index shows what the tables showed BEHIND_SECONDS ago. Asks the database once a moment."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, int]] = deque()
        self._looked_at = -LOOK_SECONDS
        self._fresh = False

    def __call__(self) -> bool:
        """Whether it does."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= LOOK_SECONDS:
                self._looked_at = now
                self._fresh = self._look(now)
            return self._fresh

    def _look(self, now: float) -> bool:
        with self._connect() as connection:
            tables, engine = (
                row[0]
                for row in connection.execute(
                    f"({_POSITIONS}) UNION ALL ({_POSITIONS})", (SearchProjection.name, EngineProjection.name)
                ).fetchall()
            )
        while len(self._seen) > 1 and self._seen[1][0] <= now - BEHIND_SECONDS:
            self._seen.popleft()
        wanted = self._seen[0][1] if self._seen else tables
        self._seen.append((now, tables))
        return bool(engine >= wanted)


class EngineView:
    """The SearchIndex port over a search engine. Words may have a typo, and the last one may be a beginning.

    fallbacks: how often PostgreSQL was asked instead because the engine was away or behind.
    """

    def __init__(
        self,
        engine: Engine,
        index: str,
        tables: SearchIndex,
        is_fresh: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._index = index
        self._tables = tables
        self._is_fresh = is_fresh
        self._clock = clock
        self._away_until = 0.0
        self.fallbacks = 0

    @property
    def away(self) -> bool:
        """Whether it did not answer a moment ago."""
        return self._clock() < self._away_until

    def quick(self, text: str, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """See SearchIndex."""
        if limit <= 0 or not query_words(text) or repositories == frozenset():
            return []
        query = SearchQuery(text=text, repositories=repositories, limit=limit)
        return self._try(lambda: self._ask(query, [])[0], lambda: self._tables.quick(text, repositories, limit))

    def search(self, query: SearchQuery) -> SearchResult:
        """See SearchIndex."""
        if not _suits(query):
            return self._tables.search(query)
        return self._try(lambda: self._search(query), lambda: self._tables.search(query))

    def suggest(self, prefix: str, repositories: frozenset[UUID] | None, limit: int) -> list[str]:
        """See SearchIndex. Names in order are a table's work."""
        return self._tables.suggest(prefix, repositories, limit)

    def _search(self, query: SearchQuery) -> SearchResult:
        hits, counts = self._ask(query, FACETS)
        repositories = {UUID(key): count for key, count in counts.get("repository", {}).items()}
        return SearchResult(
            hits,
            sum(repositories.values()),
            exact=True,
            repositories=repositories,
            media_types=counts.get("media_type", {}),
        )

    def _ask(self, query: SearchQuery, facets: list[str]) -> tuple[list[Hit], dict[str, dict[str, int]]]:
        options: dict[str, Any] = {
            "limit": query.limit,
            "offset": query.offset,
            "filter": _filters(query),
            "attributesToRetrieve": SHOWN,
            "facets": facets,
            "matchingStrategy": "all",
        }
        if query.sort != "relevance" or not query.text:
            way = "desc" if query.descending else "asc"
            column = _SORT.get(query.sort, "position")
            options["sort"] = [f"{column}:{way}"] + [f"position:{way}"] * (column != "position")
        text = " ".join(query_words(query.text))
        answer = msgspec.convert(self._engine.search(self._index, text, options), _Answer, strict=True)
        return [found.hit() for found in answer.hits], answer.facet_distribution

    def _try(self, ask: Callable[[], T], instead: Callable[[], T]) -> T:
        if not self.away and self._is_fresh():
            try:
                return ask()
            except (RegistryError, msgspec.ValidationError, ValueError) as fault:
                self._away_until = self._clock() + AWAY_SECONDS
                _log.warning("searching in PostgreSQL for %.0f s: %s", AWAY_SECONDS, fault)
        self.fallbacks += 1
        return instead()


def _suits(query: SearchQuery) -> bool:
    """Whether the engine can answer: it has no patterns, counts no further than MAX_COUNTED, and no text finds none."""
    patterns = (query.name, query.version)
    if query.path is not None or any(pattern is not None and "*" in pattern for pattern in patterns):
        return False
    if query.text and not query_words(query.text):
        return False
    return query.repositories != frozenset() and query.offset + query.limit <= MAX_COUNTED


def _filters(query: SearchQuery) -> list[str]:
    filters = [] if query.repositories is None else [in_repositories(query.repositories)]
    if query.name is not None:
        filters.append(f'name_digest = "{digest(name_key(query.name))}"')
    if query.version is not None:
        filters.append(f'version_digest = "{digest(query.version)}"')
    if query.min_size is not None:
        filters.append(f"size_bytes >= {query.min_size}")
    if query.max_size is not None:
        filters.append(f"size_bytes <= {query.max_size}")
    if query.created_after is not None:
        filters.append(f"published_at >= {microseconds(query.created_after)}")
    if query.created_before is not None:
        filters.append(f"published_at <= {microseconds(query.created_before)}")
    return filters
