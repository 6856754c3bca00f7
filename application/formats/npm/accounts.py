"""What clients do about the people who use them: login, logout, tokens, profile, owners of packages.

None of these is about the repository in the address. They need no right to it, nor that it is there, and a credential
only where one is used.
Source: npm's `npm-profile`, https://github.com/npm/registry/blob/main/docs/user/authentication.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from application.formats.npm.about import NotOffered
from application.formats.npm.dialect import answer_json
from application.formats.npm.index import timestamp
from application.formats.npm.names import NpmName
from application.formats.npm.people import Person
from application.identity.client_accounts import READ_SCOPES, ClientAccounts
from application.identity.directory import TokenRow
from application.identity.tokens import NewToken
from application.wire import Answer, Call, ServerCall
from domain.errors import Invalid, Unauthenticated

LOGIN_TOKEN_DAYS = 365
_USER_DOCUMENT = "org.couchdb.user:"
_Shape = TypeVar("_Shape")


class _Login(msgspec.Struct):
    name: str
    password: str


class _WantedToken(msgspec.Struct):
    """What `npm token create` sends. Restrictions that have no counterpart here are refused, not dropped."""

    password: str
    readonly: bool = False
    name: str | None = None
    description: str | None = None
    expires: int | None = None
    cidr_whitelist: list[str] | None = None
    packages: list[str] | None = None
    scopes: list[str] | None = None
    orgs: list[str] | None = None
    packages_and_scopes_permission: str | None = None
    orgs_permission: str | None = None
    bypass_2fa: bool | None = None


def put_user(call: ServerCall) -> Answer:
    """PUT -/user/org.couchdb.user:{user}: a login. Accounts are made by administrators, not by this."""
    login = _decode(call.text, _Login)
    if login.name != call.params["user"]:
        raise Invalid("the name in the address and the name in the document differ")
    people = _people(call)
    signed_in = people.sign_in(login.name, login.password, call.meta, call.request.client)
    new = NewToken(name="npm login", scopes=signed_in.scopes, expires_in_days=LOGIN_TOKEN_DAYS)
    token = people.create_token(signed_in, new).secret
    username = signed_in.user.username
    return answer_json(
        {
            "ok": f"you are authenticated as '{username}'",
            "id": _USER_DOCUMENT + username,
            "rev": "1",
            "token": token,
        },
        201,
    )


def get_user(call: ServerCall) -> Answer:
    """GET -/user/org.couchdb.user:{user}: who somebody is, for those who are somebody themselves."""
    caller = _require_user(call)
    user = _people(call).user(call.params["user"])
    email = user.email if caller == user.id or call.principal.is_admin else ""
    return answer_json(
        {"_id": _USER_DOCUMENT + user.username, "name": user.username, "email": email, "type": "user", "roles": []}
    )


def logout(call: ServerCall) -> Answer:
    """DELETE -/user/token/{token}."""
    _people(call).revoke(_require_user(call), call.params["token"], call.meta)
    return answer_json({"ok": True})


# tokens


def list_tokens(call: ServerCall) -> Answer:
    """GET -/npm/v1/tokens: the caller's own, without their secrets."""
    tokens = _people(call).tokens_of(_require_user(call), datetime.now(UTC))
    return answer_json({"objects": [_shown(token) for token in tokens], "total": len(tokens), "urls": {}})


def create_token(call: ServerCall) -> Answer:
    """POST -/npm/v1/tokens: the password proves once more who asks."""
    _require_user(call)
    wanted = _decode(call.text, _WantedToken)
    _refuse_restrictions(wanted)
    people = _people(call)
    signed_in = people.sign_in(call.principal.username, wanted.password, call.meta, call.request.client)
    new = NewToken(
        name=wanted.name or "npm token",
        scopes=list(READ_SCOPES) if wanted.readonly else signed_in.scopes,
        expires_in_days=wanted.expires,
        description=wanted.description,
    )
    created = people.create_token(signed_in, new)
    now = timestamp(datetime.now(UTC))
    return answer_json(
        {
            "token": created.secret,
            "key": _key(created.id),
            "name": created.name,
            "cidr_whitelist": None,
            "readonly": wanted.readonly,
            "created": now,
            "updated": now,
        }
    )


def delete_token(call: ServerCall) -> Answer:
    """DELETE -/npm/v1/tokens/token/{key}: by its id or by itself."""
    _people(call).revoke(_require_user(call), call.params["key"], call.meta)
    return Answer(status=204)


def _refuse_restrictions(wanted: _WantedToken) -> None:
    asked = msgspec.structs.asdict(wanted)
    for field in ("cidr_whitelist", "packages", "scopes", "orgs", "orgs_permission", "bypass_2fa"):
        if asked[field]:
            raise Invalid(f"tokens cannot be restricted by {field} here; use the API for tokens of one repository")
    if wanted.packages_and_scopes_permission not in (None, "read-only", "read-write"):
        raise Invalid("packages_and_scopes_permission is read-only or read-write")
    if wanted.packages_and_scopes_permission == "read-only":
        wanted.readonly = True


def _key(token: UUID) -> str:
    """By which clients name a token. With its dashes npm would take it for a secret, and print asterisks."""
    return token.hex


def _shown(token: TokenRow) -> dict[str, Any]:
    return {
        "token": token.prefix,
        "key": _key(token.id),
        "name": token.name,
        "cidr_whitelist": None,
        "readonly": not {"write:artifacts", "admin", "*"} & set(token.scopes),
        "created": timestamp(token.created_at),
        "updated": timestamp(token.last_used_at or token.created_at),
        "expiry": timestamp(token.expires_at) if token.expires_at else None,
    }


# profile


def get_profile(call: ServerCall) -> Answer:
    """GET -/npm/v1/user."""
    _require_user(call)
    user = _people(call).user(call.principal.username)
    return answer_json(
        {
            "name": user.username,
            "fullname": user.display_name or "",
            "email": user.email,
            "email_verified": True,
            "tfa": False,
            "created": timestamp(user.created_at),
            "updated": timestamp(user.updated_at),
        }
    )


def refuse_profile_change(call: ServerCall) -> Answer:
    """POST -/npm/v1/user."""
    raise NotOffered("profiles are changed in the console or through the API")


# owners


def named(call: Call, accounts: Sequence[UUID]) -> list[Person]:
    """Accounts by their names, in order; those who have no name any more are left out."""
    if not accounts or call.services.client_accounts is None:
        return []
    names = call.services.client_accounts.usernames(accounts)
    return [Person(names[account]) for account in accounts if account in names]


def owners_named(call: Call, people: tuple[Person, ...], package: NpmName) -> tuple[UUID, ...]:
    """The accounts that a document names as maintainers. Raises AccountNotFound, Invalid when it names nobody."""
    if not people:
        raise Invalid(f"{package} needs an owner")
    accounts = _people(call)
    return tuple(dict.fromkeys(accounts.user(person.name).id for person in people))


def _people(call: Call | ServerCall) -> ClientAccounts:
    if call.services.client_accounts is None:
        raise NotOffered("accounts are managed in the console or through the API")
    return call.services.client_accounts


def _require_user(call: ServerCall) -> UUID:
    if call.principal.id is None:
        raise Unauthenticated("authentication required")
    return call.principal.id


def _decode(text: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"malformed JSON body: {error}") from None
