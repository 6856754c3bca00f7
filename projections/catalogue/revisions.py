"""Current revisions in memory: which version of a scope this process would serve, without asking the database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from application.catalogue import NIL
from projections.catalogue.view import CatalogueView

MAX_SCOPES = 50_000
MAX_CHANGES = 20_000
"""When more changed at once (a bulk import), forgetting everything is cheaper than following."""

Key = tuple[int, str]
"""Of a repository, whose id hashes and compares faster as a number; and a scope."""


class Revisions:
    """Scope to current revision for what was asked lately; advanced by the catalogue's notifications.

    on_repositories: called when repositories were created, changed or deleted.
    """

    def __init__(self, view: CatalogueView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._current: OrderedDict[Key, int] = OrderedDict()
        self._loading: dict[Key, int] = {}
        self._applied = 0
        self._generation = 0
        self.repositories_generation = 0

    def remembered(self, repository: UUID, scope: str) -> int | None:
        """The current revision when it is known; never waits."""
        return self._current.get((repository.int, scope))

    def current(self, repository: UUID, scope: str) -> int:
        """The current revision; asks the database when it is not known."""
        key = (repository.int, scope)
        known = self._current.get(key)
        if known is not None:
            return known
        with self._lock:
            generation = self._generation
            self._loading.setdefault(key, 0)
        revision = self._view.revision(repository, scope)
        with self._lock:
            revision = max(revision, self._loading.pop(key, 0))
            if generation == self._generation:
                self._current[key] = revision
                while len(self._current) > MAX_SCOPES:
                    self._current.popitem(last=False)
        return revision

    def advance(self, position: int) -> None:
        """Take notice of everything up to the position."""
        if self._applied == 0:
            self.forget()
            self._applied = position
            return
        changes = self._view.changes(self._applied, position, MAX_CHANGES + 1)
        if len(changes) > MAX_CHANGES:
            self.forget()
        with self._lock:
            for repository, scope, revision in changes:
                key = (repository.int, scope)
                if repository == NIL:
                    self.repositories_generation += 1
                if key in self._current:
                    self._current[key] = revision
                if key in self._loading:
                    self._loading[key] = max(self._loading[key], revision)
            self._applied = position

    def forget(self) -> None:
        """Drop everything: notifications may have been missed."""
        with self._lock:
            self._generation += 1
            self.repositories_generation += 1
            self._current.clear()
            self._applied = 0
