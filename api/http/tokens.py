"""Tokens by other ways in: those of one repository, and those of the caller's profile."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from api.app import App
from api.http.accounts import (
    CreatedTokenBody,
    TokenList,
    caller_id,
    checked_id,
    created_body,
    token_list,
)
from api.http.given import GivenApp, GivenMeta, GivenPrincipal, GivenResolved
from application.access import CredentialNeeded
from application.identity.directory import TokenRow
from application.identity.tokens import NewToken
from application.resolving import Resolved
from domain.errors import Forbidden
from domain.permissions import Principal, may
from domain.token import TokenNotFound, scope_allows


class CreateProfileToken(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a token's creation in one's profile."""

    name: str
    scopes: list[str] = msgspec.field(default_factory=lambda: ["read:artifacts"])
    expires_in_days: int | None = None


class CreateRepositoryToken(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the creation of a token that opens one repository only."""

    name: str
    scopes: list[str]
    expires_in_days: int | None = None
    description: str | None = None


class CreatedRepositoryToken(msgspec.Struct, frozen=True):
    """A new token; `token` is shown this once."""

    id: UUID
    token: str
    name: str
    repository_key: str


class RepositoryTokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """A token of a repository, without its secret."""

    id: UUID
    name: str
    token_prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    is_expired: bool
    is_revoked: bool
    description: str | None
    created_by: UUID | None


class RepositoryTokenList(msgspec.Struct, frozen=True):
    """Tokens of a repository, oldest first."""

    items: list[RepositoryTokenBody]


class ProfileTokensController(Controller):
    """`/api/v1/profile/access-tokens`."""

    path = "/api/v1/profile/access-tokens"
    tags = ["tokens"]

    @get(opt={"needs": "user"}, sync_to_thread=True)
    def list_tokens(self, app: GivenApp, principal: GivenPrincipal) -> TokenList:
        """One's tokens that were not revoked."""
        return token_list(app.directory.tokens_of(caller_id(principal)))

    @post(opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def create_token(
        self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, data: JSONBody[CreateProfileToken]
    ) -> CreatedTokenBody:
        """A token of one's own."""
        new = NewToken(name=data.name, scopes=data.scopes, expires_in_days=data.expires_in_days)
        return created_body(app.tokens.create(caller_id(principal), new, principal, meta))

    @delete("/{token_id:str}", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def revoke_token(self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, token_id: FromPath[str]) -> None:
        """Revoke a token of one's own, everywhere at once."""
        token = app.directory.token(checked_id(token_id))
        if token is None or token.user != principal.id or token.revoked:
            raise TokenNotFound
        app.tokens.revoke(token.id, meta)


class RepositoryTokensController(Controller):
    """`/api/v1/repositories/{key}/tokens`. Everybody sees and revokes their own, whoever administers it all of them."""

    path = "/api/v1/repositories/{key:str}/tokens"
    tags = ["tokens"]

    @get(opt={"needs": "repository:read"}, sync_to_thread=True)
    def list_tokens(self, app: GivenApp, principal: GivenPrincipal, resolved: GivenResolved) -> RepositoryTokenList:
        """Tokens that open just this repository."""
        _require_writer(principal, resolved)
        return RepositoryTokenList([_body(row) for row in _shown(app, principal, resolved)])

    @post(opt={"needs": "repository:read"}, sync_to_thread=True, status_code=200)
    def create_token(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        resolved: GivenResolved,
        data: JSONBody[CreateRepositoryToken],
    ) -> CreatedRepositoryToken:
        """A token that opens just this repository, and there at most what the caller may do."""
        _require_writer(principal, resolved)
        row = resolved.repository
        new = NewToken(
            name=data.name, scopes=data.scopes, expires_in_days=data.expires_in_days, description=data.description
        )
        created = app.tokens.create_for_repository(row.id, new, principal, meta, public=row.public)
        return CreatedRepositoryToken(created.id, created.secret, created.name, row.key)

    @get("/{token_id:str}", opt={"needs": "repository:read"}, sync_to_thread=True)
    def get_token(
        self, app: GivenApp, principal: GivenPrincipal, resolved: GivenResolved, token_id: FromPath[str]
    ) -> RepositoryTokenBody:
        """One token."""
        _require_writer(principal, resolved)
        return _body(_one(app, principal, resolved, token_id))

    @delete("/{token_id:str}", opt={"needs": "repository:read"}, sync_to_thread=True, status_code=204)
    def revoke_token(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        resolved: GivenResolved,
        token_id: FromPath[str],
    ) -> None:
        """Revoke a token, everywhere at once."""
        _require_writer(principal, resolved)
        app.tokens.revoke(_one(app, principal, resolved, token_id).id, meta)


def _require_writer(principal: Principal, resolved: Resolved) -> None:
    """Whoever is anybody, on a public repository; on a private one, whoever was granted anything."""
    resolved.require_present("write")
    if not principal.authenticated:
        raise CredentialNeeded
    if not scope_allows(principal.scopes, "write:repositories"):
        raise Forbidden("this token lacks the scope write:repositories")
    row = resolved.repository
    if not (row.public or principal.acts_as_admin or principal.grants.get(row.id) or principal.everywhere):
        raise Forbidden(f"you have no permission on repository '{row.key}'")


def _shown(app: App, principal: Principal, resolved: Resolved) -> list[TokenRow]:
    row = resolved.repository
    found = app.directory.tokens_for(row.id)
    if may(principal, "admin", row.id, public=row.public):
        return found
    return [token for token in found if token.user == principal.id]


def _one(app: App, principal: Principal, resolved: Resolved, token_id: str) -> TokenRow:
    wanted = checked_id(token_id)
    for token in _shown(app, principal, resolved):
        if token.id == wanted:
            return token
    raise TokenNotFound


def _body(row: TokenRow) -> RepositoryTokenBody:
    return RepositoryTokenBody(
        id=row.id,
        name=row.name,
        token_prefix=row.prefix,
        scopes=row.scopes,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
        is_expired=row.is_expired(datetime.now(UTC)),
        is_revoked=row.revoked,
        description=row.description,
        created_by=row.created_by,
    )
