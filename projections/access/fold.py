"""Events into users, tokens and grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg import Cursor

from application.catalogue import NIL
from application.log import Recorded
from application.ports import PersonalData
from domain.account import PasswordChanged, Profile, UserCreated, UserDeleted, UserErased, UserUpdated, name_key
from domain.permissions import GrantGiven, GrantRevoked
from domain.repository import RepositoryDeleted
from domain.session import SessionEnded, SessionStarted
from domain.sign_in import LoginFailed
from domain.token import TokenCreated, TokenRevoked
from projections.access.table import PresentTable
from projections.projection import Projection, Row

SESSION_ENDS_KEPT = timedelta(days=400)
"""Longer than any refresh token lives."""

_NOBODY = Profile(username="", email="")
_profile = msgspec.json.Decoder(Profile)
_encode = msgspec.json.Encoder().encode


class _User(NamedTuple):
    kind: str
    username: str
    username_key: str
    email: str
    email_key: str
    display_name: str | None
    provider: str
    admin: bool
    active: bool
    must_change_password: bool
    setup: bool
    deleted: bool
    sessions_after: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class _Token(NamedTuple):
    user_id: UUID
    name: str
    prefix: str
    hash: str
    scopes: str
    expires_at: datetime | None
    repositories: str | None
    repository: UUID | None
    description: str | None
    created_at: datetime
    created_by: UUID | None
    revoked: bool


class _Grant(NamedTuple):
    principal_type: str
    principal: UUID
    target_type: str
    target: UUID
    actions: str
    created_at: datetime
    updated_at: datetime


_USER_COLUMNS = {
    "kind": "text",
    "username": "text",
    "username_key": "text",
    "email": "text",
    "email_key": "text",
    "display_name": "text",
    "provider": "text",
    "admin": "boolean",
    "active": "boolean",
    "must_change_password": "boolean",
    "setup": "boolean",
    "deleted": "boolean",
    "sessions_after": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "last_login_at": "timestamptz",
}
_TOKEN_COLUMNS = {
    "user_id": "uuid",
    "name": "text",
    "prefix": "text",
    "hash": "text",
    "scopes": "text",
    "expires_at": "timestamptz",
    "repositories": "text",
    "repository": "uuid",
    "description": "text",
    "created_at": "timestamptz",
    "created_by": "uuid",
    "revoked": "boolean",
}
_GRANT_COLUMNS = {
    "principal_type": "text",
    "principal": "uuid",
    "target_type": "text",
    "target": "uuid",
    "actions": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}

_UserChange = UserUpdated | PasswordChanged | UserDeleted | UserErased | SessionStarted
_OfUser = UserCreated | _UserChange
_OfToken = TokenCreated | TokenRevoked
_OfGrant = GrantGiven | GrantRevoked
_Relevant = _OfUser | _OfToken | _OfGrant | SessionEnded | LoginFailed | RepositoryDeleted


class AccessProjection(Projection):
    """Folds what authentication and authorisation ask. Halts on what it cannot fold: stale beats wrong."""

    name = "access"
    tables = ("view_user", "view_token", "view_grant", "view_session_end", "view_access_change")

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal
        self._users = PresentTable("view_user", "user_id", _USER_COLUMNS)
        self._tokens = PresentTable("view_token", "token", _TOKEN_COLUMNS)
        self._grants = PresentTable("view_grant", "grant_id", _GRANT_COLUMNS)
        self._changes: dict[UUID, int] = {}
        self._ended: dict[UUID, datetime] = {}

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Fold a batch. What is removed by a condition splits it: all rows before must be in the table by then."""
        chunk: list[Recorded] = []
        for recorded in events:
            if not isinstance(recorded.event, _Relevant):
                continue
            chunk.append(recorded)
            if isinstance(recorded.event, UserDeleted | RepositoryDeleted):
                self._fold_all(cursor, chunk)
                self._remove_dependants(cursor, recorded.event)
                chunk = []
        if chunk:
            self._fold_all(cursor, chunk)

    def _fold_all(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        self._begin()
        self._fetch(cursor, events)
        for recorded in events:
            self._fold(recorded)
        for table in (self._users, self._tokens, self._grants):
            table.flush(cursor)
        self._write_changes(cursor)
        self._write_session_ends(cursor)

    def _begin(self) -> None:
        """Forget what a batch left that failed."""
        for table in (self._users, self._tokens, self._grants):
            table.clear()
        self._changes = {}
        self._ended = {}

    def _fetch(self, cursor: Cursor[Row], events: Iterable[Recorded]) -> None:
        users, tokens, grants = set(), set(), set()
        for recorded in events:
            event = recorded.event
            if isinstance(event, _OfUser):
                users.add(event.user)
            elif isinstance(event, _OfToken):
                tokens.add(event.token)
            elif isinstance(event, _OfGrant):
                grants.add(event.grant)
        self._users.fetch(cursor, users)
        self._tokens.fetch(cursor, tokens)
        self._grants.fetch(cursor, grants)

    def _fold(self, recorded: Recorded) -> None:
        match recorded.event:
            case UserCreated() as event:
                self._create_user(recorded, event)
            case UserUpdated() | PasswordChanged() | UserDeleted() | UserErased() | SessionStarted() as event:
                self._change_user(recorded, event)
            case TokenCreated() as event:
                self._tokens.put(event.token, _token(recorded, event))
            case TokenRevoked() as event:
                if (values := self._tokens.get(event.token)) is not None:
                    self._tokens.put(event.token, _Token(*values)._replace(revoked=True))
                self._changed(event.user, recorded)
            case GrantGiven() | GrantRevoked() as event:
                self._change_grant(recorded, event)
            case SessionEnded() as event:
                self._ended[event.session] = recorded.at
                self._changed(event.user, recorded)
            case LoginFailed(locked_until=datetime()) as event:
                self._changed(event.user, recorded)

    def _changed(self, principal: UUID, recorded: Recorded) -> None:
        self._changes[principal] = recorded.position

    # users

    def _create_user(self, recorded: Recorded, event: UserCreated) -> None:
        profile = self._opened(event.user, event.profile)
        user = _User(
            kind=event.kind,
            username=profile.username,
            username_key=name_key(profile.username),
            email=profile.email,
            email_key=name_key(profile.email),
            display_name=profile.display_name,
            provider=event.provider,
            admin=event.admin,
            active=True,
            must_change_password=event.must_change_password,
            setup=event.setup,
            deleted=False,
            sessions_after=0,
            created_at=recorded.at,
            updated_at=recorded.at,
            last_login_at=None,
        )
        self._users.put(event.user, user)
        self._changed(event.user, recorded)

    def _change_user(self, recorded: Recorded, event: _UserChange) -> None:
        values = self._users.get(event.user)
        if values is None:
            return
        user = _User(*values)
        if isinstance(event, SessionStarted):
            self._users.put(event.user, user._replace(last_login_at=recorded.at))
            return
        match event:
            case UserUpdated():
                user = self._updated(user, recorded, event)
            case PasswordChanged():
                setup = user.setup and event.must_change_password
                user = user._replace(must_change_password=event.must_change_password, setup=setup)
                user = user._replace(sessions_after=recorded.position)
            case UserDeleted():
                user = user._replace(deleted=True, active=False, setup=False, sessions_after=recorded.position)
            case UserErased():
                user = _named(user, _NOBODY)
        self._users.put(event.user, user._replace(updated_at=recorded.at))
        self._changed(event.user, recorded)

    def _updated(self, user: _User, recorded: Recorded, event: UserUpdated) -> _User:
        if event.profile is not msgspec.UNSET:
            user = _named(user, self._opened(event.user, event.profile))
        if event.admin is not msgspec.UNSET:
            user = user._replace(admin=event.admin)
        if event.active is not msgspec.UNSET:
            user = user._replace(active=event.active)
        if event.must_change_password is not msgspec.UNSET:
            user = user._replace(must_change_password=event.must_change_password)
        if event.admin is False or event.active is False:
            user = user._replace(sessions_after=recorded.position)
        return user

    def _opened(self, person: UUID, sealed: bytes) -> Profile:
        """The profile; nobody's when the person was erased since, as in a rebuild."""
        plaintext = self._personal.open(person, sealed)
        return _NOBODY if plaintext is None else _profile.decode(plaintext)

    # grants, sessions

    def _change_grant(self, recorded: Recorded, event: _OfGrant) -> None:
        if isinstance(event, GrantRevoked):
            self._grants.remove(event.grant)
            self._changed(event.principal, recorded)
            return
        old = self._grants.get(event.grant)
        created_at = recorded.at if old is None else _Grant(*old).created_at
        grant = _Grant(
            principal_type=event.principal_type,
            principal=event.principal,
            target_type=event.target_type,
            target=event.target,
            actions=_encode(event.actions).decode(),
            created_at=created_at,
            updated_at=recorded.at,
        )
        self._grants.put(event.grant, grant)
        # what a group may, all its members may: their ids are not here, so everybody is asked anew
        self._changed(NIL if event.principal_type == "group" else event.principal, recorded)

    @staticmethod
    def _remove_dependants(cursor: Cursor[Row], event: UserDeleted | RepositoryDeleted) -> None:
        if isinstance(event, UserDeleted):
            cursor.execute("DELETE FROM view_grant WHERE principal = %s", (event.user,))
            cursor.execute("DELETE FROM view_token WHERE user_id = %s", (event.user,))
        else:
            cursor.execute("DELETE FROM view_grant WHERE target = %s", (event.repository,))

    def _write_changes(self, cursor: Cursor[Row]) -> None:
        if self._changes:
            cursor.execute(
                "INSERT INTO view_access_change (principal, position) SELECT * FROM unnest(%s::uuid[], %s::bigint[]) "
                "ON CONFLICT (principal) DO UPDATE SET position = excluded.position",
                (list(self._changes), list(self._changes.values())),
                prepare=True,
            )

    def _write_session_ends(self, cursor: Cursor[Row]) -> None:
        if not self._ended:
            return
        cursor.execute(
            "INSERT INTO view_session_end (session, ended_at) SELECT * FROM unnest(%s::uuid[], %s::timestamptz[]) "
            "ON CONFLICT DO NOTHING",
            (list(self._ended), list(self._ended.values())),
            prepare=True,
        )
        # by the time of events, not of the clock: a rebuild forgets the same ones
        newest = max(self._ended.values())
        cursor.execute("DELETE FROM view_session_end WHERE ended_at < %s", (newest - SESSION_ENDS_KEPT,))


def _named(user: _User, profile: Profile) -> _User:
    return user._replace(
        username=profile.username,
        username_key=name_key(profile.username),
        email=profile.email,
        email_key=name_key(profile.email),
        display_name=profile.display_name,
    )


def _token(recorded: Recorded, event: TokenCreated) -> _Token:
    confined = event.repositories
    return _Token(
        user_id=event.user,
        name=event.name,
        prefix=event.prefix,
        hash=event.hash,
        scopes=_encode(event.scopes).decode(),
        expires_at=event.expires_at,
        repositories=None if confined is None else _encode(confined).decode(),
        repository=confined[0] if confined is not None and len(confined) == 1 else None,
        description=event.description,
        created_at=recorded.at,
        created_by=recorded.meta.by,
        revoked=False,
    )
