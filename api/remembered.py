"""Answers in memory, and where they were found: a hit waits for nothing. Used from the event loop only."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias
from uuid import UUID

import msgspec

from api.answers import Prepared
from api.incoming import Incoming
from application.resolving import Resolved
from application.wire import DocumentKey, File

MAX_PLANS = 20_000

Address: TypeAlias = tuple[bytes, bytes, str, str]
"""Everything about a request that an answer from memory may depend on, but who asks."""


class DocumentCache:
    """Prepared answers by key, least recently used out first, bounded by bytes. Used from the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[str, Prepared | File] = OrderedDict()
        self._max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> Prepared | File | None:
        """The entry, if it is held."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Prepared | File) -> None:
        """Hold an entry, unless it would take a quarter of the room."""
        size = _size(entry)
        if size > self._max_bytes // 4 or key in self._entries:
            return
        self._entries[key] = entry
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= _size(dropped)

    def __len__(self) -> int:
        return len(self._entries)


class Plan(msgspec.Struct, frozen=True):
    """Where the answer to an address was found last: a shortcut, good while repositories and its scope do not change.

    cached: the key of the answer in the cache, at that revision. until: of what an upstream said, how long it is good
    (monotonic seconds); None where the revision says it.
    """

    resolved: Resolved
    scope: str
    revision: int
    cached: str
    template: str
    generation: int
    until: float | None = None


class Plans:
    """Plans by address."""

    def __init__(self) -> None:
        self._plans: dict[Address, Plan] = {}

    def get(self, address: Address) -> Plan | None:
        """The plan for an address that was answered before."""
        return self._plans.get(address)

    def put(self, address: Address, plan: Plan) -> None:
        """Remember one; when there are too many, all others are forgotten."""
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[address] = plan


def address_of(incoming: Incoming, base_url: str) -> Address:
    """Of a request."""
    return incoming.raw_path, incoming.query_string, incoming.headers.get("accept", ""), base_url


def cache_key(content: UUID, wanted: DocumentKey, revision: int) -> str:
    """The key of a document in the cache; one text, because it is hashed once and then only looked up.

    The length keeps scope and name apart.
    """
    return f"{content.hex} {revision} {len(wanted.scope)} {wanted.scope} {wanted.name}"


def _size(entry: Prepared | File) -> int:
    return entry.size if isinstance(entry, Prepared) else 1_500
