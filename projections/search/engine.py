"""A Meilisearch server as the registry uses it: writes are waited for, and faults say whose they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from meilisearch import Client
from meilisearch.errors import MeilisearchApiError, MeilisearchError
from meilisearch.models.task import TaskInfo

from domain.errors import Invalid, Unavailable

DOCUMENTS_AT_ONCE = 1_000
ASK_SECONDS = 2
WRITE_SECONDS = 30
TASK_SECONDS = 300.0

_POLL_SECONDS = 0.01
_LONGEST_POLL_SECONDS = 0.5
_TRANSIENT = frozenset({"internal", "system"})


class EngineAway(Unavailable):
    """The search engine does not answer, or has lost what it held."""

    template = "the search engine cannot {doing}: {reason}"

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(doing=doing, reason=reason)


class EngineRefuses(EngineAway):
    """The search engine answers, and does not take our key."""


class EngineRejects(Invalid):
    """The search engine will never take what it was sent."""

    template = "the search engine does not take it: {reason}"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


class Engine:
    """One server. Searching is for any thread at once; the rest for one at a time.

    Every write returns when the server has done it, and raises EngineAway (try again) or EngineRejects (never).
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._reading = Client(url, key, timeout=ASK_SECONDS)
        self._writing = Client(url, key, timeout=WRITE_SECONDS)

    def check(self) -> None:
        """Raise EngineAway when the server does not answer, EngineRefuses when our key opens nothing."""
        with _faults("be reached"):
            self._reading.get_version()

    def search(self, index: str, text: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The server's answer; see its search route."""
        with _faults("search"):
            # an index object of one's own: the library keeps the headers of a request in it
            return self._reading.index(index).search(text, options)

    def created_at(self, index: str) -> str | None:
        """When the index was made, by the server's clock; None when there is none of that name."""
        with _faults("be reached"):
            try:
                found = self._writing.get_raw_index(index)
            except MeilisearchApiError as fault:
                if fault.code == "index_not_found":
                    return None
                raise
        return str(found["createdAt"])

    def make(self, index: str, primary_key: str, settings: Mapping[str, Any]) -> None:
        """An empty index of that name, in place of what may be there."""
        self.drop(index)
        with _faults("make an index"):
            self._finish(self._writing.create_index(index, {"primaryKey": primary_key}))
            self._finish(self._writing.index(index).update_settings(dict(settings)))

    def drop(self, index: str) -> None:
        """Remove an index, if it is there."""
        if self.created_at(index) is None:
            return
        with _faults("remove an index"):
            self._finish(self._writing.delete_index(index))

    def put(self, index: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Store documents in place of those of the same key."""
        with _faults("store documents"):
            tasks = [
                self._writing.index(index).add_documents(list(documents[start : start + DOCUMENTS_AT_ONCE]))
                for start in range(0, len(documents), DOCUMENTS_AT_ONCE)
            ]
            for task in tasks:
                self._finish(task)

    def remove(self, index: str, condition: str) -> None:
        """Remove the documents that a filter selects."""
        with _faults("remove documents"):
            self._finish(self._writing.index(index).delete_documents(filter=condition))

    def swap(self, one: str, other: str) -> None:
        """Let two indexes change names, at once."""
        with _faults("swap indexes"):
            self._finish(self._writing.swap_indexes([{"indexes": [one, other]}]))

    def _finish(self, info: TaskInfo) -> None:
        deadline = time.monotonic() + TASK_SECONDS
        pause = _POLL_SECONDS
        while True:
            task = self._writing.get_task(info.task_uid)
            if task.status == "succeeded":
                return
            if task.status in {"failed", "canceled"}:
                fault = task.error or {}
                reason = str(fault.get("message", task.status))
                if task.status == "canceled" or fault.get("type") in _TRANSIENT:
                    raise EngineAway(f"finish {task.type}", reason)
                raise EngineRejects(reason)
            if time.monotonic() > deadline:
                raise EngineAway(f"finish {task.type}", f"not done after {TASK_SECONDS:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)


@contextmanager
def _faults(doing: str) -> Iterator[None]:
    try:
        yield
    except MeilisearchApiError as fault:
        status, reason = fault.status_code, fault.message
        if status in {401, 403}:
            raise EngineRefuses(doing, reason) from fault
        if status in {404, 408, 429} or status >= 500:
            raise EngineAway(doing, reason) from fault
        raise EngineRejects(reason) from fault
    except (MeilisearchError, OSError, KeyError, TypeError, ValueError) as fault:
        # what is no answer of such a server is one that is not there; the library passes some of that on as it is
        raise EngineAway(doing, type(fault).__name__) from fault
