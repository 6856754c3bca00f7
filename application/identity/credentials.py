"""What a request shows to say who sent it: every form that clients use, to a value. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

import msgspec

from domain.errors import Unauthenticated
from domain.token import is_secret

ACCESS_COOKIE = "ak_access_token"
COOKIE_VIA = "cookie"
MAX_CREDENTIAL = 16 * 1024


class CredentialMalformed(Unauthenticated):
    """An Authorization header in no form that is known here."""

    template = "the Authorization header cannot be read"

    def __init__(self) -> None:
        super().__init__()


class PasswordShown(msgspec.Struct, frozen=True):
    """A name and what came as its password, which may also be a token."""

    username: str
    password: str


class SecretShown(msgspec.Struct, frozen=True):
    """A session token or an API token. cookie: a browser sent it by itself."""

    secret: str
    cookie: bool = False


Shown = PasswordShown | SecretShown


def digest_of(headers: Mapping[str, str]) -> bytes | None:
    """A digest of the credential that counts, to remember it by; None when none was sent.

    Of several, `Authorization` goes before `X-API-Key` and its other names, and that before the cookie.
    """
    value = headers.get("authorization")
    if value is None:
        value = _api_key(headers)
        if value is not None:
            value = "X " + value
        elif (cookies := headers.get("cookie")) and (session := _cookie(cookies)):
            value = "C " + session
        else:
            return None
    return hashlib.blake2s(value.encode("utf-8", "surrogateescape")).digest()


def read_credential(headers: Mapping[str, str]) -> Shown | None:
    """The credential that counts; None when none was sent. Raises CredentialMalformed."""
    value = headers.get("authorization")
    if value is not None:
        return _authorization(value)
    value = _api_key(headers)
    if value is not None:
        return SecretShown(_bounded(value.strip()))
    cookies = headers.get("cookie")
    session = _cookie(cookies) if cookies else None
    return SecretShown(_bounded(session), cookie=True) if session else None


def looks_like_session(secret: str) -> bool:
    """Whether it has the form of a signed session token."""
    return secret.startswith("eyJ") and secret.count(".") == 2


def _api_key(headers: Mapping[str, str]) -> str | None:
    """A secret in a header of its own, by the names that clients of Artifactory and of NuGet have for it, too.

    NuGet's sends an empty one where it has none.
    """
    value = headers.get("x-api-key")
    value = headers.get("x-jfrog-art-api") if value is None else value
    return (headers.get("x-nuget-apikey") or None) if value is None else value


def _authorization(value: str) -> Shown:
    scheme, _, rest = _bounded(value.strip()).partition(" ")
    rest = rest.strip()
    if not rest:
        if not scheme:
            raise CredentialMalformed
        return SecretShown(scheme)  # cargo and RubyGems send the bare token
    match scheme.lower():
        case "basic":
            return _pair(rest) or _malformed()
        case "bearer" | "token":
            if is_secret(rest) or looks_like_session(rest):
                return SecretShown(rest)
            return _pair(rest) or SecretShown(rest)
        case "apikey":
            return SecretShown(rest)
        case _:
            return _malformed()


def _pair(encoded: str) -> PasswordShown | None:
    """base64(user:password); clients differ in charset and in whether they pad."""
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    return PasswordShown(username, password) if colon and "\0" not in text else None


def _cookie(cookies: str) -> str | None:
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name == ACCESS_COOKIE:
            return value
    return None


def _bounded(value: str) -> str:
    if len(value) > MAX_CREDENTIAL:
        raise CredentialMalformed
    return value


def _malformed() -> Shown:
    raise CredentialMalformed
