from __future__ import annotations

import pytest

from domain.errors import Invalid
from domain.upstream import RoutingRule, checked_rules, checked_ttl, checked_url, checked_user_agent, routed


@pytest.mark.parametrize("url", ["https://a.example", "http://a.example:8081/root", "https://[2001:db8::1]/x"])
def test_an_address_is_kept_without_its_last_slash(url: str) -> None:
    assert checked_url(f" {url}/ ") == url


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example/?x=1",
     "https://a.example/#x", "https://a.example:99999", "https://a.example/a b", "https://a.example/\n", "http://[::1",
     "https://a.example/" + "x" * 3000],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        checked_url(url)


def test_the_first_rule_that_matches_wins() -> None:
    rules = checked_rules([RoutingRule("a/(.*)", r"b/\1"), RoutingRule("a/x", "never"), RoutingRule("c", "d")])
    assert [routed(rules, path) for path in ("a/x", "c", "cc", "e")] == ["b/x", "d", "cc", "e"]


@pytest.mark.parametrize("rule", [("(", ""), ("a", r"\1"), ("a" * 600, ""), ("a", "b" * 600)])
def test_a_rule_that_cannot_be_applied_is_refused(rule: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        checked_rules([RoutingRule(*rule)])


def test_rules_are_few() -> None:
    with pytest.raises(Invalid):
        checked_rules([RoutingRule("a", "b")] * 101)


def test_limits_of_other_fields() -> None:
    assert checked_ttl(1) == 1
    assert checked_user_agent("x" * 256) == "x" * 256
    for seconds in (0, -1, 2_592_001):
        with pytest.raises(Invalid):
            checked_ttl(seconds)
    for agent in ("x" * 257, "a\r\nb", "ü"):
        with pytest.raises(Invalid):
            checked_user_agent(agent)
