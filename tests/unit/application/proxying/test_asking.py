from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest

from application.proxying.asking import outbound_request, resource_url
from application.proxying.ports import Known, OutboundRequest
from application.proxying.resources import Resource
from domain.upstream import Egress, RoutingRule, Upstream

PLAIN = Upstream(url="https://up.example/root")
LOCKED = Upstream(url="https://up.example/root", auth="basic", username="rita", secret="sealed")


def ask(upstream: Upstream, url: str, known: Known | None = None) -> OutboundRequest:
    resource = Resource(path="p", url=url, lifetime="mutable", accept="text/plain")
    return outbound_request(upstream, resource, lambda sealed: f"opened {sealed}", known)


def test_a_relative_address_is_below_the_upstream_and_goes_through_the_rules() -> None:
    routed = Upstream(url="https://up.example", rules=(RoutingRule("a/(.*)", r"b/\1"),))
    assert ask(PLAIN, "/a/x").url == "https://up.example/root/a/x"
    assert ask(routed, "a/x").url == "https://up.example/b/x"
    assert ask(routed, "https://files.example/a/x").url == "https://files.example/a/x"


def test_indexes_may_be_elsewhere() -> None:
    upstream = Upstream(url="https://up.example", index_url="https://index.example/i")
    assert resource_url(upstream, Resource(path="p", url="x", lifetime="mutable", index=True)) == (
        "https://index.example/i/x"
    )
    assert resource_url(upstream, Resource(path="p", url="x", lifetime="mutable")) == "https://up.example/x"


@pytest.mark.parametrize("url", ["a", "https://up.example:443/elsewhere"])
def test_the_credential_is_shown_at_home(url: str) -> None:
    assert ask(LOCKED, url).authorization == "Basic " + b64encode(b"rita:opened sealed").decode()


@pytest.mark.parametrize(
    "url",
    [
        "http://up.example/a",
        "https://up.example:8443/a",
        "https://up.example.evil.example/a",
        "https://evil.example",
        "https://up.example:99999/a",
        "https://[up.example/a",
    ],
)
def test_and_nowhere_else(url: str) -> None:
    assert ask(LOCKED, url).authorization == ""


def test_a_token_is_shown_as_such() -> None:
    upstream = Upstream(url="https://up.example", auth="bearer", secret="s")
    assert ask(upstream, "a").authorization == "Bearer opened s"


def test_what_is_known_makes_the_question_conditional() -> None:
    asked = ask(PLAIN, "a", Known("00", '"e"', "Tue, 03 Mar 2026 00:00:00 GMT", datetime.now(UTC)))
    assert asked.headers["if-none-match"] == '"e"'
    assert asked.headers["if-modified-since"] == "Tue, 03 Mar 2026 00:00:00 GMT"
    assert set(ask(PLAIN, "a").headers) == {"accept", "user-agent"}


def test_the_way_out_is_chosen() -> None:
    ways = {
        "inherit": None,
        "direct": "",
        "explicit": "opened sealed",
    }
    for mode, proxy in ways.items():
        egress = Egress(mode, "sealed" if mode == "explicit" else "", "a.example")  # type: ignore[arg-type]
        assert ask(Upstream(url="https://up.example", egress=egress), "a").proxy == proxy
