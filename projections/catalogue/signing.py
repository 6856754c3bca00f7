"""Signing keys in the catalogue's read model: their events into rows, and queries over them.

They are the catalogue's own rows because its documents are made with them: rows and revisions move in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection, Cursor

from application.log import Recorded
from application.signing_keys import FileSignature, SigningKeyRow, ToSign
from domain.event import Event
from domain.signing_key import (
    ArtifactSigned,
    RepositorySigning,
    RepositorySigningChanged,
    SigningKeyCreated,
    SigningKeyDeleted,
    SigningKeyRetired,
    SigningKeyRevoked,
    SigningKeyRotated,
)
from projections.access.table import PresentTable
from projections.history import Column, HistoryTable
from projections.projection import Row

TABLES = (
    "view_signing_key",
    "view_repository_signing",
    "view_repository_signing_h",
    "view_artifact_signature",
)

_KeyChange = SigningKeyRotated | SigningKeyRetired | SigningKeyRevoked | SigningKeyDeleted | ArtifactSigned
_OfKey = SigningKeyCreated | _KeyChange

_COLUMNS = {
    "repository": "uuid",
    "name": "text",
    "key_type": "text",
    "algorithm": "text",
    "public_key": "text",
    "fingerprint": "text",
    "key_id": "text",
    "user_id": "text",
    "uid_name": "text",
    "uid_email": "text",
    "sealed": "bytea",
    "made_at": "timestamptz",
    "state": "text",
    "successor": "uuid",
    "overlap_ends_at": "timestamptz",
    "created_at": "timestamptz",
    "created_by": "uuid",
    "last_used_at": "timestamptz",
}
_NAMES = ("id", *_COLUMNS)
_KEY = f"SELECT key, {', '.join(_COLUMNS)} FROM view_signing_key"
_SIGNING = "SELECT keys, sign_metadata, sign_packages, require_signatures FROM view_repository_signing"

_SIGNATURES = """
    SELECT s.key, s.signature, s.made_at FROM view_artifact_signature s JOIN view_signing_key k USING (key)
    WHERE s.artifact = %s AND s.sha256 = %s AND k.state NOT IN ('revoked', 'deleted') ORDER BY s.made_at, s.key
"""
_UNSIGNED = """
    SELECT a.artifact, a.repository, a.path, a.sha256 FROM view_repository_signing r
    JOIN view_signing_key k ON k.key = (r.keys::jsonb ->> 0)::uuid AND k.state = 'active'
    JOIN view_artifact a ON a.repository = r.repository
    WHERE r.sign_packages AND NOT EXISTS (
        SELECT FROM view_artifact_signature s JOIN view_signing_key by ON by.key = s.key
        WHERE s.artifact = a.artifact AND s.sha256 = a.sha256 AND by.state NOT IN ('revoked', 'deleted'))
    LIMIT %s
"""

_ids = msgspec.json.Decoder(tuple[UUID, ...])
_encode = msgspec.json.Encoder().encode


class _Key(NamedTuple):
    repository: UUID | None
    name: str
    key_type: str
    algorithm: str
    public_key: str
    fingerprint: str
    key_id: str
    user_id: str
    uid_name: str | None
    uid_email: str | None
    sealed: bytes
    made_at: datetime
    state: str
    successor: UUID | None
    overlap_ends_at: datetime | None
    created_at: datetime
    created_by: UUID | None
    last_used_at: datetime | None


def signing_table() -> HistoryTable:
    """What signs for repositories, by their ids."""
    return HistoryTable(
        "view_repository_signing",
        [Column("repository", "uuid")],
        [
            Column("keys", "text"),
            Column("sign_metadata", "boolean"),
            Column("sign_packages", "boolean"),
            Column("require_signatures", "boolean"),
        ],
    )


def signing_row(event: RepositorySigningChanged) -> Row:
    """The values of `signing_table`."""
    return (_encode(event.keys).decode(), event.sign_metadata, event.sign_packages, event.require_signatures)


class KeyRows:
    """Folds the events of keys themselves; they have no history, only a state of which nothing is taken back."""

    def __init__(self) -> None:
        self._keys = PresentTable("view_signing_key", "key", _COLUMNS)
        self._signatures: dict[tuple[UUID, str, UUID], tuple[str, datetime]] = {}

    def begin(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Forget what a batch left that failed, and read what this one changes."""
        self._keys.clear()
        self._signatures = {}
        self._keys.fetch(cursor, {one.event.key for one in events if isinstance(one.event, _OfKey)})

    def fold(self, recorded: Recorded) -> None:
        """Fold one event, if it is of a key."""
        event = recorded.event
        if isinstance(event, SigningKeyCreated):
            self._keys.put(event.key, _created(recorded, event))
        elif isinstance(event, _KeyChange) and (values := self._keys.get(event.key)) is not None:
            self._keys.put(event.key, _changed(_Key(*values), recorded, event))
        if isinstance(event, ArtifactSigned):
            self._signatures[event.artifact, event.sha256, event.key] = (event.signature, recorded.at)

    def flush(self, cursor: Cursor[Row]) -> None:
        """Write what changed."""
        self._keys.flush(cursor)
        if self._signatures:
            rows = [(*key, *values) for key, values in self._signatures.items()]
            cursor.execute(
                "INSERT INTO view_artifact_signature (artifact, sha256, key, signature, made_at) "
                "SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::text[], %s::timestamptz[]) "
                "ON CONFLICT (artifact, sha256, key) DO UPDATE "
                "SET signature = excluded.signature, made_at = excluded.made_at",
                [list(part) for part in zip(*rows, strict=True)],
                prepare=True,
            )


class SigningKeyTables:
    """The SigningKeyView port."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection[Row]]]) -> None:
        self._connect = connect

    def key(self, key: UUID) -> SigningKeyRow | None:
        """See SigningKeyView."""
        found = self._rows(f"{_KEY} WHERE key = %s AND state <> 'deleted'", key)
        return found[0] if found else None

    def keys(self, repository: UUID | None = None) -> list[SigningKeyRow]:
        """See SigningKeyView."""
        order = "ORDER BY created_at, key"
        if repository is None:
            return self._rows(f"{_KEY} WHERE state <> 'deleted' {order}")
        chosen = self.signing(repository)
        used = list(chosen.keys) if chosen is not None else []
        condition = "(repository = %s OR key = ANY(%s)) AND state <> 'deleted'"
        return self._rows(f"{_KEY} WHERE {condition} {order}", repository, used)

    def overdue(self, now: datetime) -> list[UUID]:
        """See SigningKeyView."""
        condition = "state = 'overlapping' AND overlap_ends_at <= %s"
        return [row.id for row in self._rows(f"{_KEY} WHERE {condition} ORDER BY overlap_ends_at, key", now)]

    def signing(self, repository: UUID, at: int | None = None) -> RepositorySigning | None:
        """See SigningKeyView."""
        query, parameters = f"{_SIGNING} WHERE repository = %(repository)s", {"repository": repository, "at": at}
        if at is not None:
            past = _SIGNING.replace("view_repository_signing", "view_repository_signing_h")
            query = (
                f"{query} AND since <= %(at)s UNION ALL "
                f"{past} WHERE repository = %(repository)s AND since <= %(at)s AND until > %(at)s"
            )
        with self._connect() as connection:
            row = connection.execute(query, parameters, prepare=True).fetchone()
        return None if row is None else RepositorySigning(_ids.decode(row[0]), *row[1:])

    def signing_keys(self, repository: UUID, at: int | None = None) -> list[SigningKeyRow]:
        """See SigningKeyView."""
        chosen = self.signing(repository, at)
        if chosen is None or not chosen.keys:
            return []
        found = {row.id: row for row in self._rows(f"{_KEY} WHERE key = ANY(%s)", list(chosen.keys))}
        return [found[key] for key in chosen.keys if key in found]

    def signatures(self, artifact: UUID, sha256: str) -> list[FileSignature]:
        """See SigningKeyView."""
        with self._connect() as connection:
            rows = connection.execute(_SIGNATURES, (artifact, sha256), prepare=True).fetchall()
        return [FileSignature(*row) for row in rows]

    def unsigned(self, limit: int) -> list[ToSign]:
        """See SigningKeyView."""
        with self._connect() as connection:
            rows = connection.execute(_UNSIGNED, (limit,), prepare=True).fetchall()
        return [ToSign(*row) for row in rows]

    def _rows(self, query: str, *parameters: object) -> list[SigningKeyRow]:
        with self._connect() as connection:
            rows = connection.execute(query, parameters, prepare=True).fetchall()
        return [SigningKeyRow(**dict(zip(_NAMES, row, strict=True))) for row in rows]


def _created(recorded: Recorded, event: SigningKeyCreated) -> _Key:
    return _Key(
        repository=event.repository,
        name=event.name,
        key_type=event.key_type,
        algorithm=event.algorithm,
        public_key=event.public_key,
        fingerprint=event.fingerprint,
        key_id=event.key_id,
        user_id=event.user_id,
        uid_name=event.uid_name,
        uid_email=event.uid_email,
        sealed=event.sealed,
        made_at=event.made_at,
        state="active",
        successor=None,
        overlap_ends_at=None,
        created_at=recorded.at,
        created_by=recorded.meta.by,
        last_used_at=None,
    )


def _changed(key: _Key, recorded: Recorded, event: Event) -> _Key:
    match event:
        case SigningKeyRotated():
            return key._replace(state="overlapping", successor=event.successor, overlap_ends_at=event.overlap_ends_at)
        case SigningKeyRetired():
            return key._replace(state="retired")
        case SigningKeyRevoked():
            return key._replace(state="revoked", public_key=event.public_key)
        case SigningKeyDeleted():
            return key._replace(state="deleted")
        case _:
            return key._replace(last_used_at=recorded.at)
