"""The audit as it is handed out: items for people and programs, lines of JSON, tables, and the line for log collectors.

Here is where names of people and their addresses are opened; those of erased people are gone from every form at once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from application.audit.entries import Entry
from application.catalogue import RepositoryRow
from application.identity.clients import Client
from domain.errors import Invalid
from domain.event import Metadata, Origin


class Repositories(Protocol):
    """The part of the catalogue that names repositories."""

    def repository_by_id(self, repository: UUID, at: int | None = None) -> RepositoryRow | None:
        """The repository of that id."""


class AuditItem(msgspec.Struct, frozen=True, kw_only=True):
    """One event with everything that is known about it.

    id: does not depend on where it is read. request_id: the X-Correlation-ID of the answer. repository_key: as it is
    now, or was at the time when the repository is gone. event: what happened, without secrets.
    """

    position: int
    id: UUID
    recorded_at: datetime
    stream: UUID
    version: int
    topic: str
    action: str
    outcome: str
    actor_id: UUID | None
    actor_kind: str
    actor_username: str | None
    via: str
    ip_address: str | None
    user_agent: str | None
    request_id: str
    resource_type: str
    resource_id: UUID | None
    resource_name: str | None
    repository_id: UUID | None
    repository_key: str | None
    package: str | None
    path: str | None
    cause: int | None
    origin: Origin | None
    event: msgspec.Raw


class Describer:
    """Entries to items. usernames: of people by id; open_client: of an event's metadata, None for erased people."""

    def __init__(
        self,
        usernames: Callable[[Collection[UUID]], dict[UUID, str]],
        open_client: Callable[[Metadata], Client | None],
        repositories: Repositories,
    ) -> None:
        self._usernames = usernames
        self._open_client = open_client
        self._repositories = repositories

    def items(self, entries: Sequence[Entry]) -> list[AuditItem]:
        """The items of a page; names are looked up once for all of it."""
        people = {entry.actor for entry in entries if entry.actor is not None}
        people |= {entry.resource_id for entry in entries if entry.resource_type == "user" and entry.resource_id}
        names = self._usernames(people) if people else {}
        keys = self._keys(entries)
        return [self._item(entry, names, keys) for entry in entries]

    def _item(self, entry: Entry, names: dict[UUID, str], keys: dict[UUID, str | None]) -> AuditItem:
        client = self._client(entry)
        name = entry.resource_name
        if name is None and entry.resource_id is not None:
            name = (names if entry.resource_type == "user" else keys).get(entry.resource_id)
        return AuditItem(
            position=entry.position,
            id=entry.id,
            recorded_at=entry.at,
            stream=entry.stream,
            version=entry.version,
            topic=entry.topic,
            action=entry.action,
            outcome=entry.outcome,
            actor_id=entry.actor,
            actor_kind=entry.actor_kind,
            actor_username=names.get(entry.actor) if entry.actor is not None else None,
            via=entry.via,
            ip_address=client.address or None if client else None,
            user_agent=client.agent or None if client else None,
            request_id=entry.request,
            resource_type=entry.resource_type,
            resource_id=entry.resource_id,
            resource_name=name,
            repository_id=entry.repository,
            repository_key=keys.get(entry.repository) if entry.repository is not None else None,
            package=entry.package,
            path=entry.path,
            cause=entry.cause,
            origin=entry.origin,
            event=entry.body(),
        )

    def _client(self, entry: Entry) -> Client | None:
        try:
            return self._open_client(Metadata(by=entry.actor, client=entry.client))
        except Invalid:
            return None  # sealed for another person than the event names: a copy from elsewhere; the fact itself stands

    def _keys(self, entries: Iterable[Entry]) -> dict[UUID, str | None]:
        keys: dict[UUID, str | None] = {}
        for entry in entries:
            identifier = entry.repository
            if identifier is not None and identifier not in keys:
                row = self._repositories.repository_by_id(identifier) or self._repositories.repository_by_id(
                    identifier, entry.position
                )
                keys[identifier] = row.key if row is not None else None
        return keys


_encode = msgspec.json.Encoder().encode


def json_line(item: AuditItem) -> bytes:
    """One item as a line of JSON."""
    return _encode(item) + b"\n"


_AS_THEY_ARE = tuple(name for name in AuditItem.__struct_fields__ if name not in {"origin", "event"})
COLUMNS = (*_AS_THEY_ARE, "origin_instance", "origin_position", "event")


def csv_header() -> bytes:
    """The first line of a table (RFC 4180)."""
    return _csv([COLUMNS])


def csv_lines(items: Iterable[AuditItem]) -> bytes:
    """Items as lines of a table.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front: what clients sent is text.
    """
    return _csv(tuple(map(_cell, _values(item))) for item in items)


def _values(item: AuditItem) -> Iterator[object]:
    for name in _AS_THEY_ARE:
        yield getattr(item, name)
    origin = item.origin
    yield origin.instance if origin else None
    yield origin.position if origin else None
    yield bytes(item.event).decode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int) else text


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula may begin with, in its wide forms too. Source: OWASP, CSV Injection."""


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


_ACTOR_TYPES = {"service": "service_account"}


class _Actor(msgspec.Struct, frozen=True):
    id: UUID | None
    name: str | None
    type: str


class _Resource(msgspec.Struct, frozen=True):
    type: str
    id: UUID | None
    name: str | None


class _CollectorLine(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    category: str = "audit"
    event_id: UUID
    position: int
    timestamp: datetime
    action: str
    outcome: str
    actor: _Actor
    source_ip: str | None
    resource: _Resource
    correlation_id: str | None
    details: msgspec.Raw


def collector_line(item: AuditItem) -> bytes:
    """One item as the line that log collectors read from standard output."""
    return (
        _encode(
            _CollectorLine(
                event_id=item.id,
                position=item.position,
                timestamp=item.recorded_at,
                action=item.action,
                outcome=item.outcome,
                actor=_Actor(item.actor_id, item.actor_username, _ACTOR_TYPES.get(item.actor_kind, item.actor_kind)),
                source_ip=item.ip_address,
                resource=_Resource(item.resource_type, item.resource_id, item.resource_name),
                correlation_id=item.request_id or None,
                details=item.event,
            )
        )
        + b"\n"
    )
