"""Events into the search engine's index."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Cursor

from application.log import Recorded
from domain.artifact import ArtifactDeleted, ArtifactPublished
from domain.repository import RepositoryDeleted
from projections.projection import Projection, Row
from projections.search.engine import DOCUMENTS_AT_ONCE, Engine, EngineAway
from projections.search.engine_documents import PRIMARY_KEY, SETTINGS, are, document_of, in_repositories, shape

LOOK_SECONDS = 10.0


class EngineProjection(Projection):
    """Feeds artifacts to the index, and from the beginning when the index is not the one that was fed before.

    Its position is in the database and its documents are not: after a crash in between the same events are folded
    again, which changes nothing. An engine that is away stops it visibly, and costs no event.
    """

    name = "meilisearch"
    tables = ()
    on_poison = "skip"

    def __init__(self, engine: Engine, index: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self.index = index
        self._clock = clock
        self._created_at: str | None = None
        self._looked_at = 0.0

    def begin(self, cursor: Cursor[Row], position: int) -> int:
        """See Projection. Makes the index when it is not there, or was made otherwise."""
        found = self._engine.created_at(self.index)
        row = cursor.execute(
            "SELECT created_at, shape FROM search_engine WHERE index_uid = %s", (self.index,)
        ).fetchone()
        self._looked_at = self._clock()
        if found is not None and row == (found, shape()):
            self._created_at = found
        else:
            self._engine.make(self.index, PRIMARY_KEY, SETTINGS)
            self._remember(cursor)
            position = 0
        cursor.execute("UPDATE es_tracking SET failed_at = NULL, error = NULL WHERE projection = %s", (self.name,))
        return position

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Feed a batch; a deleted repository splits it."""
        self._look()
        start = 0
        for place, recorded in enumerate(events):
            if isinstance(recorded.event, RepositoryDeleted):
                self._feed(events[start:place])
                self._engine.remove(self.index, in_repositories([recorded.event.repository]))
                start = place + 1
        self._feed(events[start:])

    def idle(self, cursor: Cursor[Row], position: int) -> None:
        """Find out that the index was lost before somebody searches it."""
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            self._look()

    def shadow(self) -> EngineProjection:
        """See Projection: an index beside the live one."""
        beside = EngineProjection(self._engine, f"{self.index}-next", self._clock)
        self._engine.make(beside.index, PRIMARY_KEY, SETTINGS)
        beside._created_at = self._engine.created_at(beside.index)
        return beside

    def replace(self, cursor: Cursor[Row], shadow: Projection) -> None:
        """See Projection."""
        assert isinstance(shadow, EngineProjection)  # noqa: S101 - what `shadow` gave
        if self._engine.created_at(self.index) is None:
            self._engine.make(self.index, PRIMARY_KEY, SETTINGS)
        self._engine.swap(self.index, shadow.index)
        self._remember(cursor)

    def discard(self) -> None:
        """See Projection."""
        self._engine.drop(self.index)

    def _feed(self, events: Sequence[Recorded]) -> None:
        """What is there after the last of these events."""
        latest: dict[str, dict[str, Any] | None] = {}
        for recorded in events:
            match recorded.event:
                case ArtifactPublished() as event:
                    latest[str(recorded.stream)] = document_of(recorded, event)
                case ArtifactDeleted():
                    latest[str(recorded.stream)] = None
        self._engine.put(self.index, [document for document in latest.values() if document is not None])
        gone = [key for key, document in latest.items() if document is None]
        for start in range(0, len(gone), DOCUMENTS_AT_ONCE):
            self._engine.remove(self.index, are(gone[start : start + DOCUMENTS_AT_ONCE]))

    def _look(self) -> None:
        """Raise EngineAway unless the index is still the one that was fed: writing would make another, half empty."""
        self._looked_at = self._clock()
        if self._engine.created_at(self.index) != self._created_at:
            raise EngineAway("go on", f"the index {self.index} is not the one that was filled")

    def _remember(self, cursor: Cursor[Row]) -> None:
        self._created_at = self._engine.created_at(self.index)
        cursor.execute(
            "INSERT INTO search_engine (index_uid, created_at, shape) VALUES (%s, %s, %s) "
            "ON CONFLICT (index_uid) DO UPDATE SET created_at = excluded.created_at, shape = excluded.shape",
            (self.index, self._created_at, shape()),
        )
