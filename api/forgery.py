"""Requests that another site makes a browser send (CSRF): a write needs more than the session cookie."""

from __future__ import annotations

from api.incoming import Incoming
from application.identity.credentials import COOKIE_VIA
from domain.errors import Forbidden
from domain.permissions import Principal

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
_SENT_BY_BROWSERS = ("sec-fetch-site", "sec-fetch-mode", "origin")


class ForgeryRefused(Forbidden):
    """A browser sent a change with nothing but its cookie: any site could have made it do so."""

    template = "changes from a browser session need the header X-Requested-With"

    def __init__(self) -> None:
        super().__init__()


def refuse_forged(incoming: Incoming, principal: Principal) -> None:
    """Raise ForgeryRefused for a browser's change that only a cookie speaks for.

    What spoke for it is what authentication found, so that no other reading of the Cookie header can differ from it.
    """
    if principal.via != COOKIE_VIA or incoming.method in _SAFE or "x-requested-with" in incoming.headers:
        return
    if any(name in incoming.headers for name in _SENT_BY_BROWSERS):
        raise ForgeryRefused
