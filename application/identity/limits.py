"""How often callers may do things, and who is exempt."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address

import msgspec

from application.ports import Allowance, RateLimiter
from domain.account import name_key
from domain.errors import TooMany
from domain.permissions import Principal


class RateLimited(TooMany):
    """Too many requests in one window."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__("too many requests; please try again later", allowance.retry_after_seconds)
        self.allowance = allowance


class Bucket(msgspec.Struct, frozen=True):
    """A limit: so many uses of one key in a window."""

    name: str
    limit: int
    window_seconds: int


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit there is. login counts by user name and address, login_all everything, the others by caller."""

    api: Bucket = Bucket("api", 10_000, 60)
    auth: Bucket = Bucket("auth", 120, 60)
    login: Bucket = Bucket("login", 10, 900)
    login_all: Bucket = Bucket("login-all", 8_192, 60)
    search: Bucket = Bucket("search", 300, 60)
    presign: Bucket = Bucket("presign", 30, 60)
    password: Bucket = Bucket("password", 5, 900)


class Exemptions(msgspec.Struct, frozen=True):
    """Who is not limited: user names, and callers from networks."""

    usernames: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


class Limits:
    """Applies buckets to callers. One that is switched off allows everything."""

    def __init__(
        self,
        limiter: RateLimiter,
        buckets: Buckets | None = None,
        exemptions: Exemptions | None = None,
        *,
        enabled: bool = True,
    ) -> None:
        self.buckets = buckets or Buckets()
        self._limiter = limiter
        self._exemptions = exemptions or Exemptions()
        self._enabled = enabled

    def take(self, bucket: Bucket, principal: Principal, client: str) -> Allowance | None:
        """Count one use by this caller: by user where there is one, else by address. None for whoever is exempt.

        Raises RateLimited.
        """
        if not self._enabled or self.exemption(principal, client) is not None:
            return None
        return self._taken(bucket, str(principal.id or client))

    def take_login(self, username: str, client: str) -> None:
        """Count one sign-in, of everybody's and of this name from this address. Raises RateLimited."""
        if self._enabled and not self._is_trusted(client):
            self._taken(self.buckets.login_all, "")
            self._taken(self.buckets.login, _login_key(username, client))

    def guessing(self, username: str, client: str) -> bool:
        """Whether so many wrong passwords for this name came from this address that no more are looked at."""
        return self._enabled and not self._wrong_passwords(self._limiter.peek, username, client).allowed

    def count_wrong_password(self, username: str, client: str) -> None:
        """Count a wrong password that came with a request instead of a sign-in."""
        if self._enabled:
            self._wrong_passwords(self._limiter.take, username, client)

    def exemption(self, principal: Principal, client: str) -> str | None:
        """What is said of a caller who is not limited: `true` or `trusted-cidr`; None for all others."""
        if principal.username and name_key(principal.username) in self._exemptions.usernames:
            return "true"
        return "trusted-cidr" if self._is_trusted(client) else None

    def _wrong_passwords(self, ask: Callable[[str, int, int], Allowance], username: str, client: str) -> Allowance:
        bucket = self.buckets.login
        return ask(f"wrong-password:{_login_key(username, client)}", bucket.limit, bucket.window_seconds)

    def _taken(self, bucket: Bucket, key: str) -> Allowance:
        allowance = self._limiter.take(f"{bucket.name}:{key}", bucket.limit, bucket.window_seconds)
        if not allowance.allowed:
            raise RateLimited(allowance)
        return allowance

    def _is_trusted(self, client: str) -> bool:
        if not self._exemptions.networks:
            return False
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._exemptions.networks)


def _login_key(username: str, client: str) -> str:
    return f"{name_key(username[:256])}|{client}"
