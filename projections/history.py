"""A table with a memory: current rows, and closed ones with the positions between which they were true.

Rows are read once per batch, changed in memory in event order, and written set by set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from psycopg import Cursor

from projections.projection import Row

Key = tuple[Any, ...]


class Column(msgspec.Struct, frozen=True):
    """A column and its SQL type. loose: a change of it alone closes nothing and leaves no history."""

    name: str
    type: str
    loose: bool = False


class HistoryTable:
    """`name` and `name_h`, keyed by `keys`. Values are tuples in the order of `values`."""

    def __init__(self, name: str, keys: Sequence[Column], values: Sequence[Column]) -> None:
        self.name = name
        self._width = len(keys)
        self._loose = [column.loose for column in values]
        columns = [*keys, *values]
        key_names = ", ".join(column.name for column in keys)
        names = ", ".join(column.name for column in columns)
        key_arrays = _arrays(keys)
        since, until = Column("since", "bigint"), Column("until", "bigint")
        self._select = (
            f"SELECT {names}, since FROM {name} JOIN unnest({key_arrays}) AS wanted ({key_names}) USING ({key_names})"
        )
        self._delete = f"DELETE FROM {name} USING unnest({key_arrays}) AS gone ({key_names}) WHERE " + " AND ".join(
            f"{name}.{column.name} = gone.{column.name}" for column in keys
        )
        assignments = ", ".join(f"{column.name} = excluded.{column.name}" for column in (*values, since))
        self._upsert = (
            f"INSERT INTO {name} ({names}, since) SELECT * FROM unnest({_arrays([*columns, since])}) "
            f"ON CONFLICT ({key_names}) DO UPDATE SET {assignments}"
        )
        self._close = (
            f"INSERT INTO {name}_h ({names}, since, until) SELECT * FROM unnest({_arrays([*columns, since, until])})"
        )
        self._close_where = (
            f"WITH gone AS (DELETE FROM {name} WHERE {{condition}} RETURNING {names}, since) "
            f"INSERT INTO {name}_h ({names}, since, until) "
            f"SELECT {names}, since, %(until)s FROM gone WHERE since < %(until)s"
        )
        self.clear()

    @property
    def tables(self) -> tuple[str, str]:
        """Both table names."""
        return self.name, f"{self.name}_h"

    def clear(self) -> None:
        """Forget everything that was read or changed."""
        self._rows: dict[Key, tuple[Row, int] | None] = {}
        self._changed: set[Key] = set()
        self._closed: list[Row] = []

    def fetch(self, cursor: Cursor[Row], keys: Iterable[Key]) -> None:
        """Read the current rows of these keys, so that `get` knows them."""
        wanted = [key for key in keys if key not in self._rows]
        if not wanted:
            return
        self._rows.update(dict.fromkeys(wanted))
        for row in cursor.execute(self._select, [list(part) for part in zip(*wanted, strict=True)], prepare=True):
            self._rows[row[: self._width]] = (row[self._width : -1], row[-1])

    def get(self, key: Key) -> Row | None:
        """The values of a fetched key, as the events so far have left them."""
        entry = self._rows[key]
        return entry[0] if entry else None

    def put(self, key: Key, values: Row, position: int) -> None:
        """The row is this from `position` on."""
        entry = self._rows[key]
        if entry is None:
            self._rows[key] = (values, position)
        elif self._differs(entry[0], values):
            self._keep(key, entry, position)
            self._rows[key] = (values, position)
        elif entry[0] != values:
            self._rows[key] = (values, entry[1])
        else:
            return
        self._changed.add(key)

    def remove(self, key: Key, position: int) -> None:
        """There is no such row from `position` on."""
        entry = self._rows[key]
        if entry is not None:
            self._keep(key, entry, position)
            self._rows[key] = None
            self._changed.add(key)

    def flush(self, cursor: Cursor[Row]) -> None:
        """Write what changed."""
        if self._closed:
            cursor.execute(self._close, [list(part) for part in zip(*self._closed, strict=True)], prepare=True)
        gone = [key for key in self._changed if self._rows[key] is None]
        if gone:
            cursor.execute(self._delete, [list(part) for part in zip(*gone, strict=True)], prepare=True)
        kept = [(*key, *entry[0], entry[1]) for key in self._changed if (entry := self._rows[key]) is not None]
        if kept:
            cursor.execute(self._upsert, [list(part) for part in zip(*kept, strict=True)], prepare=True)
        self._changed = set()
        self._closed = []

    def close_where(self, cursor: Cursor[Row], condition: str, parameters: dict[str, Any], position: int) -> None:
        """Remove every current row of a condition, set-based. Flush before, clear after."""
        cursor.execute(self._close_where.format(condition=condition), {**parameters, "until": position})

    def _differs(self, old: Row, new: Row) -> bool:
        return any(not loose and before != after for loose, before, after in zip(self._loose, old, new, strict=True))

    def _keep(self, key: Key, entry: tuple[Row, int], position: int) -> None:
        values, since = entry
        if since < position:  # within one command a row may come and go without ever having been seen
            self._closed.append((*key, *values, since, position))


def _arrays(columns: Sequence[Column]) -> str:
    return ", ".join(f"%b::{column.type}[]" for column in columns)
