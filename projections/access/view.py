"""Queries over users, tokens and grants."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from application.identity.directory import GrantFilter, GrantRow, TokenRow, UserFilter, UserRow
from domain.account import name_key
from domain.permissions import Action
from projections.projection import Row

Connect = Callable[[], AbstractContextManager[Connection[Row]]]

_USER = (
    "user_id, kind, username, email, display_name, provider, admin, active, must_change_password, setup, deleted, "
    "sessions_after, created_at, updated_at, last_login_at"
)
_TOKENS = """
    SELECT token, user_id, name, prefix, scopes, expires_at, repositories, description, created_at, created_by, revoked,
           last_used_at
    FROM view_token LEFT JOIN token_use USING (token)
"""
_GRANTS = """
    SELECT g.grant_id, g.principal_type, g.principal, nullif(u.username, ''), g.target_type, g.target, r.key,
           g.actions, g.created_at, g.updated_at
    FROM view_grant g
    LEFT JOIN view_user u ON u.user_id = g.principal
    LEFT JOIN view_repository r ON r.repository = g.target
"""

_scopes = msgspec.json.Decoder(tuple[str, ...])
_repositories = msgspec.json.Decoder(tuple[UUID, ...])
_actions = msgspec.json.Decoder(tuple[Action, ...])


class AccessView:
    """The Directory port over the tables of the access projection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def user(self, user: UUID) -> UserRow | None:
        """See Directory."""
        return self._user("user_id = %s", user)

    def user_by_username(self, username: str) -> UserRow | None:
        """See Directory."""
        return self._named("username_key", username)

    def user_by_email(self, email: str) -> UserRow | None:
        """See Directory."""
        return self._named("email_key", email)

    def users(self, wanted: UserFilter, *, limit: int, offset: int = 0) -> tuple[list[UserRow], int]:
        """See Directory."""
        conditions = ["NOT deleted", "kind = %(kind)s"]
        parameters: dict[str, Any] = {"kind": wanted.kind}
        if wanted.search:
            conditions.append("(username ILIKE %(part)s OR email ILIKE %(part)s OR display_name ILIKE %(part)s)")
            parameters["part"] = f"%{_escaped(wanted.search)}%"
        for column, value in (("active", wanted.active), ("admin", wanted.admin)):
            if value is not None:
                conditions.append(column if value else f"NOT {column}")
        return self._page(
            f"SELECT {_USER} FROM view_user WHERE {' AND '.join(conditions)} ORDER BY username_key, user_id",
            parameters,
            lambda row: UserRow(*row),
            limit,
            offset,
        )

    def usernames(self, users: Collection[UUID]) -> dict[UUID, str]:
        """See Directory."""
        if not users:
            return {}
        with self._connect() as connection:
            return dict(
                connection.execute(
                    "SELECT user_id, username FROM view_user WHERE user_id = ANY(%s::uuid[]) AND username <> ''",
                    (list(users),),
                    prepare=True,
                ).fetchall()
            )

    def administrators(self) -> int:
        """See Directory."""
        count: int = self._value("SELECT count(*) FROM view_user WHERE admin AND active AND NOT deleted")
        return count

    def provisional_administrator(self) -> UserRow | None:
        """See Directory."""
        return self._user("setup AND admin AND NOT deleted")

    def token(self, token: UUID) -> TokenRow | None:
        """See Directory."""
        return next(iter(self._tokens("token = %s", token)), None)

    def token_by_hash(self, sha256: str) -> TokenRow | None:
        """See Directory."""
        return next(iter(self._tokens("hash = %s", sha256)), None)

    def tokens_of(self, user: UUID) -> list[TokenRow]:
        """See Directory."""
        return self._tokens("user_id = %s AND NOT revoked", user)

    def tokens_for(self, repository: UUID) -> list[TokenRow]:
        """See Directory."""
        return self._tokens("repository = %s", repository)

    def grant(self, grant: UUID) -> GrantRow | None:
        """See Directory."""
        with self._connect() as connection:
            row = connection.execute(f"{_GRANTS} WHERE g.grant_id = %s", (grant,), prepare=True).fetchone()
        return None if row is None else _grant_row(row)

    def grants(self, wanted: GrantFilter, *, limit: int, offset: int = 0) -> tuple[list[GrantRow], int]:
        """See Directory."""
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        if any("\0" in str(value) for value in given.values()):
            return [], 0
        conditions = " AND ".join(f"g.{name} = %({name})s" for name in given) or "true"
        query = f"{_GRANTS} WHERE {conditions} ORDER BY g.created_at, g.grant_id"
        return self._page(query, given, _grant_row, limit, offset)

    def grants_of(self, principal: UUID) -> dict[UUID, frozenset[str]]:
        """See Directory."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT target, actions FROM view_grant WHERE principal = %s", (principal,), prepare=True
            ).fetchall()
        return {target: frozenset(_actions.decode(actions)) for target, actions in rows}

    def session_ended(self, session: UUID) -> bool:
        """See Directory."""
        ended: bool = self._value("SELECT EXISTS (SELECT FROM view_session_end WHERE session = %s)", session)
        return ended

    def changed(self, after: int, limit: int) -> list[UUID]:
        """Principals whose access changed after the position, at most `limit`; NIL is everybody."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT principal FROM view_access_change WHERE position > %s LIMIT %s", (after, limit), prepare=True
            ).fetchall()
        return [row[0] for row in rows]

    def _named(self, column: str, name: str) -> UserRow | None:
        if "\0" in name:  # nobody's, and no text to the database
            return None
        return self._user(f"{column} = %s AND NOT deleted", name_key(name))

    def _user(self, condition: str, *parameters: Any) -> UserRow | None:
        with self._connect() as connection:
            row = connection.execute(
                f"SELECT {_USER} FROM view_user WHERE {condition} LIMIT 1", parameters, prepare=True
            ).fetchone()
        return None if row is None else UserRow(*row)

    def _tokens(self, condition: str, parameter: Any) -> list[TokenRow]:
        with self._connect() as connection:
            rows = connection.execute(
                f"{_TOKENS} WHERE {condition} ORDER BY created_at, token", (parameter,), prepare=True
            ).fetchall()
        return [_token_row(row) for row in rows]

    def _page(
        self, query: str, parameters: dict[str, Any], make: Callable[[Row], Any], limit: int, offset: int
    ) -> tuple[list[Any], int]:
        body = query[query.index("FROM") : query.rindex("ORDER BY")]
        with self._connect() as connection:
            counted = connection.execute(f"SELECT count(*) {body}", parameters).fetchone()
            rows = connection.execute(
                f"{query} LIMIT %(limit)s OFFSET %(offset)s", {**parameters, "limit": limit, "offset": offset}
            ).fetchall()
        return [make(row) for row in rows], counted[0] if counted else 0

    def _value(self, query: str, *parameters: Any) -> Any:
        with self._connect() as connection:
            row = connection.execute(query, parameters, prepare=True).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        return row[0]


def _escaped(text: str) -> str:
    """Text for LIKE that means itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("\0", "")


def _token_row(row: Row) -> TokenRow:
    values = list(row)
    values[4] = _scopes.decode(values[4])
    values[6] = None if values[6] is None else _repositories.decode(values[6])
    return TokenRow(*values)


def _grant_row(row: Row) -> GrantRow:
    values = list(row)
    values[7] = _actions.decode(values[7])
    return GrantRow(*values)
