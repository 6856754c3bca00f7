"""Accounts: for administrators all of them, for everybody their own."""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.app import App
from api.http.accounts import (
    CreatedTokenBody,
    CreateToken,
    TokenList,
    UserBody,
    caller_id,
    checked_id,
    created_body,
    new_token,
    require_self_or_admin,
    token_list,
    user_body,
)
from api.http.given import GivenApp, GivenMeta, GivenPrincipal
from api.http.pages import Page, clamp, page_of
from application.identity.accounts import CurrentPasswordWrong, NewUser, UserChange
from application.identity.directory import UserFilter, UserRow
from domain.account import AccountNotFound
from domain.errors import Invalid
from domain.permissions import Principal
from domain.token import TokenNotFound


class CreateUser(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a creation. Without a password one is made, which must be changed at the first sign-in."""

    username: str
    email: str
    password: str | None = None
    display_name: str | None = None
    is_admin: bool = False


class CreatedUser(msgspec.Struct, frozen=True):
    """A new account; `generated_password` is shown this once."""

    user: UserBody
    generated_password: str | None


class UpdateUser(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a change; what is absent stays."""

    email: str | msgspec.UnsetType = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    is_admin: bool | msgspec.UnsetType = msgspec.UNSET


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a password change. current_password: needed for one's own, unless one is an administrator."""

    new_password: str
    current_password: str | None = None


class TemporaryPassword(msgspec.Struct, frozen=True):
    """A password that was made for somebody, and must be changed."""

    temporary_password: str


class Message(msgspec.Struct, frozen=True):
    """What was done."""

    message: str


class UsersController(Controller):
    """`/api/v1/users`."""

    path = "/api/v1/users"
    tags = ["users"]

    @get(opt={"needs": "admin"}, sync_to_thread=True)
    def list_users(
        self,
        app: GivenApp,
        search: FromQuery[str] = "",
        is_active: FromQuery[bool | None] = None,
        is_admin: FromQuery[bool | None] = None,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
    ) -> Page[UserBody]:
        """People by user name; service accounts are not among them."""
        page, per_page = clamp(page, per_page)
        wanted = UserFilter(search=search, active=is_active, admin=is_admin)
        rows, total = app.directory.users(wanted, limit=per_page, offset=(page - 1) * per_page)
        return page_of([user_body(row) for row in rows], page, per_page, total)

    @post(opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def create_user(self, app: GivenApp, meta: GivenMeta, data: JSONBody[CreateUser]) -> CreatedUser:
        """Create a user."""
        new = NewUser(
            username=data.username,
            email=data.email,
            password=data.password,
            display_name=data.display_name,
            admin=data.is_admin,
        )
        row, generated = app.accounts.create(new, meta)
        return CreatedUser(user_body(row), generated)

    @get("/{user_id:str}", opt={"needs": "user"}, sync_to_thread=True)
    def get_user(self, app: GivenApp, principal: GivenPrincipal, user_id: FromPath[str]) -> UserBody:
        """One account; `me` is the caller's."""
        return user_body(_own_or_any(app, principal, user_id))

    @patch("/{user_id:str}", opt={"needs": "admin"}, sync_to_thread=True)
    def update_user(
        self, app: GivenApp, meta: GivenMeta, user_id: FromPath[str], data: JSONBody[UpdateUser]
    ) -> UserBody:
        """Change an account; what the body does not name stays."""
        change = UserChange(
            email=data.email, display_name=data.display_name, admin=data.is_admin, active=data.is_active
        )
        return user_body(app.accounts.update(checked_id(user_id), change, meta))

    @delete("/{user_id:str}", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def delete_user(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        user_id: FromPath[str],
        erase: FromQuery[bool] = False,
        reason: FromQuery[str] = "",
    ) -> None:
        """Delete an account. erase: destroy its key too, after which nothing personal of it can be read anywhere."""
        user = checked_id(user_id)
        if user == principal.id:
            raise Invalid("you cannot delete your own account")
        if erase:
            app.accounts.erase(user, reason, meta)
        else:
            app.accounts.delete(user, meta)

    # tokens

    @get("/{user_id:str}/tokens", opt={"needs": "user"}, sync_to_thread=True)
    def list_tokens(self, app: GivenApp, principal: GivenPrincipal, user_id: FromPath[str]) -> TokenList:
        """The tokens of an account that were not revoked."""
        return token_list(app.directory.tokens_of(_own_or_any(app, principal, user_id).id))

    @post("/{user_id:str}/tokens", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def create_token(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        user_id: FromPath[str],
        data: JSONBody[CreateToken],
    ) -> CreatedTokenBody:
        """A token that acts as the account."""
        user = _own_or_any(app, principal, user_id).id
        return created_body(app.tokens.create(user, new_token(data), principal, meta))

    @delete("/{user_id:str}/tokens/{token_id:str}", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def revoke_token(
        self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, user_id: FromPath[str], token_id: FromPath[str]
    ) -> None:
        """Revoke a token, everywhere at once."""
        user = _own_or_any(app, principal, user_id).id
        token = app.directory.token(checked_id(token_id))
        if token is None or token.user != user or token.revoked:
            raise TokenNotFound
        app.tokens.revoke(token.id, meta)

    # passwords

    @post("/{user_id:str}/password", opt={"needs": "user", "limit": "password"}, sync_to_thread=True, status_code=200)
    def change_password(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        user_id: FromPath[str],
        data: JSONBody[ChangePassword],
    ) -> None:
        """Give a new password; ends all sessions of the user."""
        user = _own_or_any(app, principal, user_id).id
        must_know = user == principal.id and not principal.is_admin
        if must_know and data.current_password is None:
            raise CurrentPasswordWrong
        current = data.current_password if must_know else None
        app.accounts.change_password(user, data.new_password, meta, current=current)

    @post(
        "/{user_id:str}/password/reset",
        opt={"needs": "admin", "limit": "password"},
        sync_to_thread=True,
        status_code=200,
    )
    def reset_password(
        self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, user_id: FromPath[str]
    ) -> TemporaryPassword:
        """A random password, shown this once, that opens nothing but the door to a new one."""
        user = checked_id(user_id)
        if user == principal.id:
            raise Invalid("change your own password instead of resetting it")
        return TemporaryPassword(app.accounts.reset_password(user, meta))

    @post(
        "/{user_id:str}/force-password-change",
        opt={"needs": "admin", "limit": "password"},
        sync_to_thread=True,
        status_code=200,
    )
    def require_password_change(self, app: GivenApp, meta: GivenMeta, user_id: FromPath[str]) -> Message:
        """Let the user do nothing before a new password is chosen."""
        app.accounts.require_password_change(checked_id(user_id), meta)
        return Message("the user must choose a new password with the next request")


def _own_or_any(app: App, principal: Principal, user_id: str) -> UserRow:
    """The account that a path names, for itself and for administrators."""
    user: UUID = caller_id(principal) if user_id == "me" else checked_id(user_id)
    require_self_or_admin(principal, user)
    row = app.directory.user(user)
    if row is None or row.deleted:
        raise AccountNotFound(user)
    return row
