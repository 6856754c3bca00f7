"""What a projection is: a name, the tables it owns, and a fold of events into rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from psycopg import Cursor

from application.log import Recorded

Row = tuple[Any, ...]


class Projection(ABC):
    """A read model in the making. Rows and position change in one transaction, which the runner owns.

    name: of the tracking row and the lock. tables: all that it writes; unqualified names, so that a rebuild can write
    the same tables in another schema. on_poison: what an event that cannot be folded does — `halt` for whatever clients
    or permissions depend on (stale beats wrong), `skip` for search and statistics.
    linger_seconds: how long news waits for company, in read models that nobody waits for after a write.
    rebuildable: False for what is signed as it grows. One that keeps its rows elsewhere than in the database has no
    tables; it raises Unavailable while that is away, and is called again with the same events.
    """

    name: ClassVar[str]
    tables: ClassVar[tuple[str, ...]]
    on_poison: ClassVar[Literal["halt", "skip"]] = "halt"
    linger_seconds: ClassVar[float] = 0.0
    rebuildable: ClassVar[bool] = True

    @abstractmethod
    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Fold events, in position order, into the tables. Called again with the same events after a failure."""

    def idle(self, cursor: Cursor[Row], position: int) -> None:  # noqa: B027 - most have nothing to do
        """Called about once a second while there is nothing to read; `position` is the projection's own."""

    def begin(self, cursor: Cursor[Row], position: int) -> int:
        """Called when it begins to lead; gives the position to go on from, which is 0 when everything is lost."""
        return position

    def shadow(self) -> Projection:
        """What a rebuild folds into. One with tables needs no other: its unqualified names mean the shadow's tables."""
        return self

    def replace(self, cursor: Cursor[Row], shadow: Projection) -> None:  # noqa: B027 - tables are swapped by name
        """Put what `shadow` holds in the place of what is asked. Called in the transaction that sets the position."""

    def discard(self) -> None:  # noqa: B027 - tables are dropped with their schema
        """Of a shadow: remove what is left of it."""
