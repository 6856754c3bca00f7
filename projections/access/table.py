"""A table of present rows by id: read once per batch, changed in memory in event order, written set by set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from psycopg import Cursor

from projections.projection import Row


class PresentTable:
    """`name`, keyed by one uuid column. columns: of the values, name to SQL type, in the order of their tuples."""

    def __init__(self, name: str, key: str, columns: Mapping[str, str]) -> None:
        names = ", ".join(columns)
        arrays = ", ".join(f"%s::{type_}[]" for type_ in ("uuid", *columns.values()))
        assignments = ", ".join(f"{column} = excluded.{column}" for column in columns)
        self._select = f"SELECT {key}, {names} FROM {name} WHERE {key} = ANY(%s::uuid[])"
        self._delete = f"DELETE FROM {name} WHERE {key} = ANY(%s::uuid[])"
        self._upsert = (
            f"INSERT INTO {name} ({key}, {names}) SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({key}) DO UPDATE SET {assignments}"
        )
        self.clear()

    def clear(self) -> None:
        """Forget everything that was read or changed."""
        self._rows: dict[UUID, Row | None] = {}
        self._changed: set[UUID] = set()

    def fetch(self, cursor: Cursor[Row], ids: Iterable[UUID]) -> None:
        """Read the rows of these ids, so that `get` knows them."""
        wanted = [id_ for id_ in ids if id_ not in self._rows]
        if not wanted:
            return
        self._rows.update(dict.fromkeys(wanted))
        for row in cursor.execute(self._select, (wanted,), prepare=True):
            self._rows[row[0]] = row[1:]

    def get(self, id_: UUID) -> Row | None:
        """The values of a fetched id, as the events so far have left them."""
        return self._rows[id_]

    def put(self, id_: UUID, values: Row) -> None:
        """The row is this now."""
        if self._rows.get(id_) != values:
            self._rows[id_] = values
            self._changed.add(id_)

    def remove(self, id_: UUID) -> None:
        """There is no such row any more."""
        self._rows[id_] = None
        self._changed.add(id_)

    def flush(self, cursor: Cursor[Row]) -> None:
        """Write what changed, then forget."""
        gone = [id_ for id_ in self._changed if self._rows[id_] is None]
        if gone:
            cursor.execute(self._delete, (gone,), prepare=True)
        kept = [(id_, *row) for id_ in self._changed if (row := self._rows[id_]) is not None]
        if kept:
            cursor.execute(self._upsert, [list(part) for part in zip(*kept, strict=True)], prepare=True)
        self.clear()
