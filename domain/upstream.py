"""What a remote repository is told about the registry that it stands in for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from domain.errors import Invalid

AuthKind = Literal["none", "basic", "bearer"]
EgressMode = Literal["inherit", "direct", "explicit"]
AgeMode = Literal["upstream_publish_time", "first_seen"]

MAX_URL_CHARS = 2048
MAX_TTL_SECONDS = 2_592_000
MAX_USER_AGENT_CHARS = 256
MAX_RULES = 100
MAX_PATTERN_CHARS = 512


class RoutingRule(msgspec.Struct, frozen=True):
    """path_pattern: a regular expression for the whole path; rewrite_to: what is asked for instead."""

    path_pattern: str
    rewrite_to: str


class Egress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The way out. proxy: a sealed URL, for `explicit`; no_proxy: hosts that are reached directly, comma separated."""

    mode: EgressMode = "inherit"
    proxy: str = ""
    no_proxy: str = ""


class AgeGate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Versions younger than so many days are held back."""

    enabled: bool = False
    min_age_days: int = 0
    mode: AgeMode = "upstream_publish_time"


class Upstream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address, and how it is asked.

    index_url: where indexes are, if not at `url`; index_path: of the Python index, below it. secret: a password or
    token, sealed. cache_ttl_seconds: how long a changing document is good; None is what its format says.
    """

    url: str
    index_url: str = ""
    index_path: str = ""
    auth: AuthKind = "none"
    username: str = ""
    secret: str = ""
    user_agent: str = ""
    cache_ttl_seconds: int | None = None
    rules: tuple[RoutingRule, ...] = ()
    egress: Egress = Egress()
    age_gate: AgeGate = AgeGate()


def checked_url(text: str) -> str:
    """An http or https URL without user, query and fragment, and without a slash at its end. Raises Invalid."""
    try:
        parts = urlsplit(text.strip())
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or parts.username or parts.password or parts.query or parts.fragment or len(text) > MAX_URL_CHARS:
        raise Invalid(f"{text[:200]!r} is not the address of an upstream: use http:// or https:// and a host, no user")
    if not text.isprintable() or " " in text.strip():
        raise Invalid("the address of an upstream has no spaces and no control characters")
    return text.strip().rstrip("/")


def checked_rules(rules: Sequence[RoutingRule]) -> tuple[RoutingRule, ...]:
    """The rules, if each can be applied. Raises Invalid."""
    if len(rules) > MAX_RULES:
        raise Invalid(f"at most {MAX_RULES} routing rules")
    for rule in rules:
        if len(rule.path_pattern) > MAX_PATTERN_CHARS or len(rule.rewrite_to) > MAX_PATTERN_CHARS:
            raise Invalid(f"a pattern or a path is longer than {MAX_PATTERN_CHARS} characters")
        try:
            pattern = re.compile(rule.path_pattern)
            re.sub(pattern, rule.rewrite_to, "")
        except (re.error, IndexError, RecursionError, OverflowError) as error:
            raise Invalid(f"routing rule {rule.path_pattern[:100]!r}: {error}") from None
    return tuple(rules)


def routed(rules: Sequence[RoutingRule], path: str) -> str:
    """The path that is asked for instead of this one: the first rule that matches wins."""
    for rule in rules:
        found = re.fullmatch(rule.path_pattern, path)
        if found:
            return found.expand(rule.rewrite_to)
    return path


def checked_user_agent(text: str) -> str:
    """Printable and not too long. Raises Invalid."""
    if len(text) > MAX_USER_AGENT_CHARS or not text.isprintable() or not text.isascii():
        raise Invalid(f"custom_user_agent: at most {MAX_USER_AGENT_CHARS} printable ASCII characters")
    return text


def checked_ttl(seconds: int) -> int:
    """1 second to 30 days. Raises Invalid."""
    if not 1 <= seconds <= MAX_TTL_SECONDS:
        raise Invalid(f"cache_ttl_seconds is 1 to {MAX_TTL_SECONDS}")
    return seconds
