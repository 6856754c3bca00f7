"""Sessions: sign in, refresh, sign out; who one is; download tickets; one's own tokens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, JSONBody

from api.app import App
from api.http.accounts import CreatedTokenBody, CreateToken, caller_id, checked_id, created_body, new_token
from api.http.given import Answer, AnyRequest, GivenApp, GivenMeta, GivenPrincipal
from application.identity.credentials import ACCESS_COOKIE
from application.identity.sessions import SignedIn
from application.identity.tickets import TICKET_SECONDS, TicketHolder, checked_path
from domain.account import AccountNotFound
from domain.errors import Forbidden, Unauthenticated
from domain.session import SessionOver
from domain.token import TokenNotFound, scope_allows

REFRESH_COOKIE = "ak_refresh_token"
REFRESH_PATH = "/api/v1/auth/refresh"


class Login(msgspec.Struct, frozen=True):
    """Body of a sign-in."""

    username: str
    password: str


class RefreshToken(msgspec.Struct, frozen=True):
    """Body of a refresh and of a sign-out; without it the cookie counts."""

    refresh_token: str | None = None


class SignedInBody(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a sign-in. expires_in: of the access token, in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind, not a token
    must_change_password: bool


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The caller."""

    id: UUID
    username: str
    email: str
    display_name: str | None
    is_admin: bool
    totp_enabled: bool


class TicketRequest(msgspec.Struct, frozen=True):
    """Body of a request for a download ticket. resource_path: the only path it will be good for."""

    purpose: str
    resource_path: str | None = None


class TicketBody(msgspec.Struct, frozen=True):
    """A ticket, good once for `expires_in` seconds as `?ticket=`."""

    ticket: str
    expires_in: int


class AuthController(Controller):
    """`/api/v1/auth`."""

    path = "/api/v1/auth"
    tags = ["sessions"]

    @post("/login", opt={"needs": "anonymous", "credential": "ignored"}, sync_to_thread=True, status_code=200)
    def login(
        self, app: GivenApp, request: AnyRequest, meta: GivenMeta, data: JSONBody[Login]
    ) -> Response[SignedInBody]:
        """Sign in with a password: tokens in the body, and in cookies for browsers."""
        signed_in = app.sessions.start(data.username, data.password, meta, _client(request))
        return _signed_in(app, request, signed_in)

    @post(
        "/refresh",
        opt={"needs": "anonymous", "credential": "ignored", "limit": "auth"},
        sync_to_thread=True,
        status_code=200,
    )
    def refresh(
        self, app: GivenApp, request: AnyRequest, meta: GivenMeta, data: JSONBody[RefreshToken | None] = None
    ) -> Response[SignedInBody]:
        """A new pair of tokens for a refresh token, which is used up."""
        token = _refresh_token(request, data)
        if not token:
            raise SessionOver
        return _signed_in(app, request, app.sessions.refresh(token, meta))

    @post(
        "/logout",
        opt={"needs": "anonymous", "credential": "ignored", "limit": "auth"},
        sync_to_thread=True,
        status_code=200,
    )
    def logout(
        self,
        app: GivenApp,
        request: AnyRequest,
        principal: GivenPrincipal,
        meta: GivenMeta,
        data: JSONBody[RefreshToken | None] = None,
    ) -> Response[None]:
        """End the session of the refresh token, and the one that the caller uses. Nothing to end is fine too."""
        families = {principal.session} - {None}
        with suppress(Unauthenticated):
            families.add(app.sessions.family_of(_refresh_token(request, data)))
        for family in families:
            if family is not None:
                app.sessions.end(family, meta)
        return Answer(None, cookies=_cookies(app, request, "", 0, "", 0))

    @get("/me", opt={"needs": "user"}, sync_to_thread=True)
    def me(self, app: GivenApp, principal: GivenPrincipal) -> Me:
        """Who the caller is."""
        row = app.directory.user(caller_id(principal))
        if row is None:
            raise AccountNotFound(principal.id)
        return Me(
            id=row.id,
            username=row.username,
            email=row.email,
            display_name=row.display_name,
            is_admin=principal.is_admin,
            totp_enabled=False,
        )

    @post("/ticket", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def ticket(self, app: GivenApp, principal: GivenPrincipal, data: JSONBody[TicketRequest]) -> TicketBody:
        """A ticket for one download by something that cannot send headers. It reads, and no more."""
        path = checked_path(data.resource_path)
        if not scope_allows(principal.scopes, "read:artifacts"):
            raise Forbidden("this token lacks the scope read:artifacts")
        confined = None if principal.repositories is None else tuple(sorted(principal.repositories))
        holder = TicketHolder(caller_id(principal), confined, all_repositories=principal.acts_as_admin)
        return TicketBody(app.tickets.issue(holder, path), TICKET_SECONDS)

    @post("/tokens", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def create_token(
        self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, data: JSONBody[CreateToken]
    ) -> CreatedTokenBody:
        """A token of one's own."""
        return created_body(app.tokens.create(caller_id(principal), new_token(data), principal, meta))

    @delete("/tokens/{token_id:str}", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def revoke_token(self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, token_id: FromPath[str]) -> None:
        """Revoke a token of one's own, everywhere at once."""
        token = app.directory.token(checked_id(token_id))
        if token is None or token.user != principal.id or token.revoked:
            raise TokenNotFound
        app.tokens.revoke(token.id, meta)


def _client(request: AnyRequest) -> str:
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    client: str = scope["incoming"].client
    return client


def _refresh_token(request: AnyRequest, data: RefreshToken | None) -> str:
    return (data.refresh_token if data is not None else None) or request.cookies.get(REFRESH_COOKIE, "")


def _signed_in(app: App, request: AnyRequest, signed_in: SignedIn) -> Response[SignedInBody]:
    body = SignedInBody(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_in=signed_in.access_seconds,
        must_change_password=signed_in.user.must_change_password,
    )
    cookies = _cookies(
        app,
        request,
        signed_in.access_token,
        signed_in.access_seconds,
        signed_in.refresh_token,
        signed_in.refresh_seconds,
    )
    return Response(body, cookies=cookies, headers={"Cache-Control": "no-store"})


def _cookies(
    app: App, request: AnyRequest, access: str, access_seconds: int, refresh: str, refresh_seconds: int
) -> list[Cookie]:
    """Both cookies; an age of 0 takes them back. Out of reach of scripts and of other sites."""
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    encrypted = str(scope["base_url"]).startswith("https://")
    secure = bool(app.settings.enforce_https or (app.settings.production and encrypted))

    def cookie(key: str, value: str, path: str, seconds: int) -> Cookie:
        return Cookie(key=key, value=value, path=path, max_age=seconds, httponly=True, samesite="strict", secure=secure)

    return [
        cookie(ACCESS_COOKIE, access, "/", access_seconds),
        cookie(REFRESH_COOKIE, refresh, REFRESH_PATH, refresh_seconds),
    ]
