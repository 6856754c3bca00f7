"""Events into rows that say where in the log an auditor's question is answered."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Cursor

from application.audit.entries import entry_of
from application.log import Recorded
from projections.history import Column
from projections.projection import Projection, Row

COLUMNS = (
    Column("position", "bigint"),
    Column("at", "timestamptz"),
    Column("topic", "text"),
    Column("actor", "uuid"),
    Column("actor_kind", "text"),
    Column("via", "text"),
    Column("action", "text"),
    Column("outcome", "text"),
    Column("resource_type", "text"),
    Column("resource_id", "uuid"),
    Column("repository", "uuid"),
    Column("package", "text"),
    Column("path", "text"),
    Column("request", "text"),
    Column("cause", "bigint"),
    Column("origin_instance", "text"),
    Column("origin_position", "bigint"),
)

_INSERT = (
    f"INSERT INTO view_audit ({', '.join(column.name for column in COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%b::{column.type}[]' for column in COLUMNS)})"
)


class AuditProjection(Projection):
    """One row for each event, whatever it is: an audit with gaps is none. Halts on what it cannot read."""

    name = "audit"
    linger_seconds = 0.1
    tables = ("view_audit",)

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Add a batch."""
        cursor.execute(_INSERT, [list(part) for part in zip(*map(_row, events), strict=True)], prepare=True)


def _row(recorded: Recorded) -> Row:
    entry = entry_of(recorded)
    origin = entry.origin
    return (
        entry.position,
        entry.at,
        entry.topic,
        entry.actor,
        entry.actor_kind,
        entry.via,
        entry.action,
        entry.outcome,
        entry.resource_type,
        entry.resource_id,
        entry.repository,
        entry.package,
        entry.path,
        entry.request or None,
        entry.cause,
        origin.instance if origin else None,
        origin.position if origin else None,
    )
