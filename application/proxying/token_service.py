"""Upstreams that want a token of their own token service, as registries of containers do.

Such an upstream answers 401 and says where a token is given and for what. The credential that it was configured with
goes there only if that place is the upstream's own, or its neighbour's in the same domain; what was redirected
elsewhere asks in vain.
Source: https://distribution.github.io/distribution/spec/auth/token/, RFC 9110 section 11.6.1
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from threading import Lock
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec

from application.proxying.ports import Outbound, OutboundRequest, UpstreamAway, UpstreamRefused

MAX_ANSWER_BYTES = 256 * 1024
MAX_TOKENS = 10_000
DEFAULT_SECONDS = 60
"""How long a token is good that says nothing of it."""

_SPARE_SECONDS = 10
_SHORT_LABEL = 3
"""Below domains such as `co.uk`, neighbours are strangers."""

_PARAMETER = re.compile(r'([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))', re.IGNORECASE)


class _Answer(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class TokenService:
    """Gets tokens, and keeps them as long as they are good. For use by several threads."""

    def __init__(self, outbound: Outbound, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._monotonic = monotonic
        self._lock = Lock()
        self._tokens: OrderedDict[tuple[UUID, str, str], tuple[str, float]] = OrderedDict()

    def known(self, repository: UUID, scope: str, credential: str) -> str:
        """The Authorization that was good for this before; empty when there is none. credential: the configured one."""
        with self._lock:
            token, until = self._tokens.get((repository, scope, credential), ("", 0.0))
        return f"Bearer {token}" if token and self._monotonic() < until else ""

    def answer(self, repository: UUID, scope: str, request: OutboundRequest, url: str, challenge: str) -> str:
        """The Authorization for a request that was answered 401; empty where there is no answer to it.

        scope: what is wanted, where the challenge says nothing of it. request: what was asked, with the configured
        credential. url: where the answer came from. Raises UpstreamAway, UpstreamRefused, AddressRefused.
        """
        asked = read_challenge(challenge)
        realm = asked.get("realm", "")
        if not realm.startswith(("http://", "https://")) or _origin(url) != _origin(request.url):
            return ""
        query = {"service": asked.get("service", ""), "scope": asked.get("scope", scope)}
        address = f"{realm}{'&' if '?' in realm else '?'}{urlencode({k: v for k, v in query.items() if v})}"
        trusted = request.authorization.startswith("Basic ") and is_neighbour(realm, request.url)
        got = self._ask(
            msgspec.structs.replace(
                request,
                url=address,
                headers={"accept": "application/json", "user-agent": request.headers.get("user-agent", "")},
                authorization=request.authorization if trusted else "",
            )
        )
        token = got.token or got.access_token
        if not token or not token.isprintable() or not token.isascii():
            raise UpstreamRefused(urlsplit(realm).netloc, "no token")
        good_seconds = got.expires_in if got.expires_in is not None else DEFAULT_SECONDS
        self._keep((repository, scope, request.authorization), token, good_seconds - _SPARE_SECONDS)
        return f"Bearer {token}"

    def _ask(self, request: OutboundRequest) -> _Answer:
        host = urlsplit(request.url).netloc
        with self._outbound.open(request) as reply:
            if reply.status != 200:
                raise UpstreamRefused(host, str(reply.status))
            body = bytearray()
            for chunk in reply.chunks():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise UpstreamRefused(host, "a token that is too long")
        try:
            return _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamAway(host, "its token service sent no token") from None

    def _keep(self, key: tuple[UUID, str, str], token: str, seconds: float) -> None:
        with self._lock:
            self._tokens[key] = token, self._monotonic() + seconds
            while len(self._tokens) > MAX_TOKENS:
                self._tokens.popitem(last=False)


def read_challenge(header: str) -> dict[str, str]:
    """The parameters of a Bearer challenge, by name in lower case; none of another scheme's."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        at = re.search(r"(?:^|,)\s*bearer\s+", header, re.IGNORECASE)
        if at is None:
            return {}
        rest = header[at.end() :]
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(rest):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return found


def is_neighbour(realm: str, url: str) -> bool:
    """Whether a credential that is meant for one address may be shown at the other."""
    if _origin(realm) == _origin(url):
        return True
    there, here = urlsplit(realm), urlsplit(url)
    if there.scheme != "https" or here.scheme != "https" or not there.hostname or not here.hostname:
        return False
    if _is_address(there.hostname) or _is_address(here.hostname):
        return False
    domain = here.hostname.split(".")[1:]
    if len(domain) < 2 or len(domain[-2]) <= _SHORT_LABEL:
        return False
    return there.hostname.split(".")[1:] == domain or there.hostname.split(".") == domain


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
