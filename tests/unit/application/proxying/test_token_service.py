"""Challenges of upstreams, and to whom a credential is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from application.proxying.ports import OutboundReply, OutboundRequest, UpstreamAway, UpstreamRefused
from application.proxying.token_service import TokenService, is_neighbour, read_challenge

LIBS = UUID(int=1)
SCOPE = "repository:img:pull"
BASIC = "Basic cm9ib3Q6c2VjcmV0"
UPSTREAM = "https://registry-1.hubs.example/v2/img/manifests/1"


class Reply:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.headers, self.url, self._body = status, {}, "", body

    status: int
    headers: dict[str, str]
    url: str

    def chunks(self) -> Iterator[bytes]:
        yield self._body


class Service:
    """The Outbound port: a token service with one answer."""

    def __init__(self, body: Any = None, status: int = 200) -> None:
        self.asked: list[OutboundRequest] = []
        self.body = json.dumps(body if body is not None else {"token": "t0"}).encode()
        self.status = status

    @contextmanager
    def open(self, request: OutboundRequest) -> Iterator[OutboundReply]:
        self.asked.append(request)
        yield Reply(self.status, self.body)

    def check(self, url: str) -> None:
        pass


def request(url: str = UPSTREAM, authorization: str = BASIC) -> OutboundRequest:
    return OutboundRequest(url=url, headers={"user-agent": "ours", "accept": "x"}, authorization=authorization)


def challenge(realm: str = "https://auth.hubs.example/token") -> str:
    return f'Bearer realm="{realm}",service="hub",scope="{SCOPE}"'


def test_a_token_is_asked_for_and_kept_as_long_as_it_is_good() -> None:
    now = [100.0]
    service = Service({"token": "t0", "expires_in": 300})
    tokens = TokenService(service, lambda: now[0])
    assert tokens.known(LIBS, SCOPE, BASIC) == ""
    assert tokens.answer(LIBS, SCOPE, request(), UPSTREAM, challenge()) == "Bearer t0"
    (asked,) = service.asked
    assert asked.url == "https://auth.hubs.example/token?service=hub&scope=repository%3Aimg%3Apull"
    assert (asked.authorization, asked.headers["user-agent"]) == (BASIC, "ours")
    assert tokens.known(LIBS, SCOPE, BASIC) == "Bearer t0"
    for other in ((UUID(int=2), SCOPE, BASIC), (LIBS, "repository:other:pull", BASIC), (LIBS, SCOPE, "")):
        assert tokens.known(*other) == ""
    now[0] += 295
    assert tokens.known(LIBS, SCOPE, BASIC) == ""


def test_what_the_challenge_does_not_say_is_said_for_it() -> None:
    service = Service({"access_token": "t1"})
    answer = TokenService(service).answer(
        LIBS, SCOPE, request(), UPSTREAM, 'Bearer realm="https://auth.hubs.example/t?a=b"'
    )
    assert answer == "Bearer t1"
    assert service.asked[0].url == "https://auth.hubs.example/t?a=b&scope=repository%3Aimg%3Apull"


@pytest.mark.parametrize(
    ("realm", "url", "shown"),
    [
        ("https://registry.example/token", "https://registry.example/v2/", True),
        ("http://127.0.0.1:5000/token", "http://127.0.0.1:5000/v2/", True),
        ("https://auth.hubs.example/token", "https://registry-1.hubs.example/v2/", True),
        ("https://hubs.example/jwt", "https://registry.hubs.example/v2/", True),
        ("http://registry.example/token", "https://registry.example/v2/", False),
        ("https://registry.example:8443/token", "https://registry.example/v2/", False),
        ("http://auth.hubs.example/token", "http://registry-1.hubs.example/v2/", False),
        ("https://evil.example/token", "https://registry.example/v2/", False),
        ("https://evil.co.uk/token", "https://registry.co.uk/v2/", False),
        ("https://10.0.0.2/token", "https://10.0.0.1/v2/", False),
        ("https://auth.hubs.example.evil.test/token", "https://registry-1.hubs.example/v2/", False),
    ],
)
def test_a_credential_is_shown_to_the_upstream_and_its_neighbours(realm: str, url: str, *, shown: bool) -> None:
    assert is_neighbour(realm, url) == shown
    service = Service()
    TokenService(service).answer(LIBS, SCOPE, request(url), url, challenge(realm))
    assert service.asked[0].authorization == (BASIC if shown else "")


def test_a_token_that_was_configured_goes_to_no_token_service() -> None:
    service = Service()
    TokenService(service).answer(LIBS, SCOPE, request(authorization="Bearer own"), UPSTREAM, challenge())
    assert service.asked[0].authorization == ""


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://elsewhere.example/blob", challenge()),
        (UPSTREAM, ""),
        (UPSTREAM, 'Basic realm="x"'),
        (UPSTREAM, "Bearer"),
        (UPSTREAM, 'Bearer realm="file:///etc/passwd"'),
        (UPSTREAM, 'Bearer service="hub"'),
    ],
)
def test_other_challenges_are_not_answered(url: str, header: str) -> None:
    service = Service()
    assert TokenService(service).answer(LIBS, SCOPE, request(), url, header) == ""
    assert service.asked == []


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": "a\r\nb"}, {"token": "ä"}, {"token": 1}, [], "text"])
def test_what_is_no_token_is_refused(body: Any) -> None:
    with pytest.raises((UpstreamRefused, UpstreamAway)):
        TokenService(Service(body)).answer(LIBS, SCOPE, request(), UPSTREAM, challenge())


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(UpstreamRefused, match="401"):
        TokenService(Service({}, 401)).answer(LIBS, SCOPE, request(), UPSTREAM, challenge())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="a", service=b , scope="c,d"', {"realm": "a", "service": "b", "scope": "c,d"}),
        ('Basic realm="x", Bearer realm="y"', {"realm": "y"}),
        ('bearer Realm="q\\"uote"', {"realm": 'q"uote'}),
        ("Negotiate", {}),
    ],
)
def test_challenges_are_read(header: str, expected: dict[str, str]) -> None:
    assert read_challenge(header) == expected
