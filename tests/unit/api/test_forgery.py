"""Changes that another site makes a browser send."""

from __future__ import annotations

import pytest

from api.forgery import ForgeryRefused, refuse_forged
from api.incoming import Incoming
from domain.permissions import Principal

SITE = {"sec-fetch-site": "cross-site"}


def refused(method: str, headers: dict[str, str], via: str = "cookie") -> bool:
    try:
        refuse_forged(Incoming(method, b"/", b"", headers, "192.0.2.7"), Principal(via=via))
    except ForgeryRefused:
        return True
    return False


@pytest.mark.parametrize("headers", [SITE, {"origin": "https://evil.example"}, {"sec-fetch-mode": "no-cors"}])
def test_a_browser_must_say_that_a_change_is_meant(headers: dict[str, str]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "MKCOL"):
        assert refused(method, headers)
        assert not refused(method, {**headers, "x-requested-with": "console"})
    for method in ("GET", "HEAD", "OPTIONS"):
        assert not refused(method, headers)


def test_other_clients_and_other_credentials_need_not() -> None:
    assert not refused("POST", {"user-agent": "curl/8"})
    assert not refused("POST", SITE, via="session")
    assert not refused("POST", SITE, via="token:1")
    assert not refused("POST", SITE, via="")
