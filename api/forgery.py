"""Requests that another site makes a browser send (CSRF): a write needs more than the session cookie."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from api.incoming import Incoming
from domain.errors import Forbidden, Invalid
from domain.permissions import Principal

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})


def refuse_forged(incoming: Incoming, principal: Principal) -> None:
    """A write whose only credential is a cookie must come from our own pages; raises Forbidden."""
    if incoming.method in _SAFE or not principal.authenticated:
        return
    headers = incoming.headers
    if "authorization" in headers or "x-api-key" in headers or not session_cookie(headers):
        return
    if "x-requested-with" not in headers:
        raise Forbidden("this request needs the header X-Requested-With")


def session_cookie(headers: Mapping[str, str]) -> str:
    """The access token in the session cookie, or nothing."""
    text = headers.get("cookie", "")
    if "ak_access_token" not in text:
        return ""
    try:
        morsel = SimpleCookie(text).get("ak_access_token")
    except CookieError:
        raise Invalid("the Cookie header is malformed") from None
    return morsel.value if morsel is not None else ""
