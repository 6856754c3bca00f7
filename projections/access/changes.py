"""Tells a process whose access changed, so that it remembers of nobody what is no longer true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from application.catalogue import NIL
from projections.access.view import AccessView

MAX_CHANGES = 1_000
"""When more changed at once, forgetting everybody is cheaper than following."""

Listener = Callable[[frozenset[UUID] | None], None]
"""Gets the principals to forget; None is everybody."""


class AccessChanges:
    """Follows the access projection. `advance` and `reset` are for the thread that listens to the projections.

    Every publish moves every projection, so a notification says little: the view is asked what really changed.
    """

    def __init__(self, view: AccessView, listeners: Sequence[Listener]) -> None:
        self._view = view
        self._listeners = listeners
        self._applied: int | None = None

    def advance(self, position: int) -> None:
        """Take notice of everything up to the position; listeners have been told when this returns."""
        if self._applied is None:
            self._tell(None)
        else:
            # no upper bound: of a principal that changed again meanwhile, only the later position is left
            changed = self._view.changed(self._applied, MAX_CHANGES + 1)
            if len(changed) > MAX_CHANGES or NIL in changed:
                self._tell(None)
            elif changed:
                self._tell(frozenset(changed))
        self._applied = position

    def reset(self) -> None:
        """Notifications may have been missed: forget everybody."""
        self._applied = None
        self._tell(None)

    def _tell(self, principals: frozenset[UUID] | None) -> None:
        for listener in self._listeners:
            listener(principals)
