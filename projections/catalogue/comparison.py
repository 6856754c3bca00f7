"""Two positions of a repository side by side, from the rows that were opened or closed in between."""

from __future__ import annotations

from uuid import UUID

from application.comparing import Difference, change_of
from projections.catalogue.view import Connect

_OPENED_OR_CLOSED = """
    SELECT {columns} FROM {table} WHERE repository = %(repository)s AND since > %(earlier)s AND since <= %(later)s
    UNION
    SELECT {columns} FROM {table}_h WHERE repository = %(repository)s
       AND ((since > %(earlier)s AND since <= %(later)s) OR (until > %(earlier)s AND until <= %(later)s))
"""
_AS_OF = """
    LEFT JOIN LATERAL (
        SELECT {value} AS value FROM {table} t WHERE t.repository = %(repository)s AND {match} AND t.since <= {at}
        UNION ALL
        SELECT {value} FROM {table}_h t WHERE t.repository = %(repository)s AND {match}
           AND t.since <= {at} AND t.until > {at}
        LIMIT 1
    ) {name} ON true
"""


class _Subject:
    """One kind of thing that is compared: its table, what names it, and what of it may differ."""

    def __init__(self, table: str, columns: tuple[str, ...], value: str) -> None:
        match = " AND ".join(f"t.{column} = c.{column}" for column in columns)
        named = ", ".join(columns)
        before = _AS_OF.format(value=value, table=table, match=match, at="%(earlier)s::bigint", name="b")
        after = _AS_OF.format(value=value, table=table, match=match, at="%(later)s::bigint", name="a")
        self.query = (
            f"SELECT {', '.join(f'c.{column}' for column in columns)}, b.value, a.value "
            f"FROM ({_OPENED_OR_CLOSED.format(columns=named, table=table)}) c {before} {after} "
            f"WHERE b.value IS DISTINCT FROM a.value ORDER BY {', '.join(f'c.{column}' for column in columns)} "
            "LIMIT %(limit)s"
        )


_VERSION_VALUE = (
    "concat_ws('; ', CASE WHEN t.yanked IS NOT NULL THEN 'yanked: ' || t.yanked END, "
    "CASE WHEN t.deprecated IS NOT NULL THEN 'deprecated: ' || t.deprecated END)"
)
_ARTIFACTS = _Subject("view_artifact", ("path",), "t.sha256")
_VERSIONS = _Subject("view_version", ("package", "version"), _VERSION_VALUE)
_MARKS = _Subject("view_mark", ("package", "kind", "name"), "t.value")


class CatalogueComparison:
    """The Comparison port."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def differences(self, repository: UUID, earlier: int, later: int, *, limit: int) -> list[Difference]:
        """See Comparison."""
        parameters = {"repository": repository, "earlier": earlier, "later": later, "limit": limit}
        found: list[Difference] = []
        with self._connect() as connection:
            for path, before, after in connection.execute(_ARTIFACTS.query, parameters):
                found.append(Difference("artifact", "", path, change_of(before, after), before, after))
            for package, version, before, after in connection.execute(_VERSIONS.query, parameters):
                found.append(Difference("version", package, version, change_of(before, after), before, after))
            for package, kind, name, before, after in connection.execute(_MARKS.query, parameters):
                found.append(Difference(kind, package, name, change_of(before, after), before, after))
        return found[:limit]
