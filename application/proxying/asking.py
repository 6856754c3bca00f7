"""From a resource to the request for it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from application.proxying.ports import Known, OutboundRequest
from application.proxying.resources import Resource
from domain.upstream import Upstream, routed

Open = Callable[[str], str]
"""A sealed text to the text."""

USER_AGENT = "artifact-keeper"


def resource_url(upstream: Upstream, resource: Resource) -> str:
    """The address of a resource; one below the upstream goes through the routing rules."""
    if "://" in resource.url:
        return resource.url
    base = upstream.index_url if resource.index and upstream.index_url else upstream.url
    return f"{base}/{routed(upstream.rules, resource.url.lstrip('/'))}"


def outbound_request(upstream: Upstream, resource: Resource, opened: Open, known: Known | None) -> OutboundRequest:
    """The request for a resource; known: makes it conditional (RFC 9110 section 13.1)."""
    url = resource_url(upstream, resource)
    headers = {"accept": resource.accept, "user-agent": upstream.user_agent or USER_AGENT}
    if known is not None and known.etag:
        headers["if-none-match"] = known.etag
    if known is not None and known.last_modified:
        headers["if-modified-since"] = known.last_modified
    egress = upstream.egress
    proxy = {"inherit": None, "direct": "", "explicit": opened(egress.proxy) if egress.proxy else ""}[egress.mode]
    return OutboundRequest(
        url=url,
        headers=headers,
        authorization=_authorization(upstream, opened, resource.bare_token) if _at_home(upstream, url) else "",
        proxy=proxy,
        no_proxy=egress.no_proxy,
    )


def host_of(url: str) -> str:
    """The host of an address, for people; the rest of it may hold what is not theirs to see."""
    return urlsplit(url).netloc.rpartition("@")[2]


def joined(base: str, reference: str) -> str:
    """An address that a document at `base` refers to; empty for one that is none."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return ""


def _authorization(upstream: Upstream, opened: Open, bare_token: bool) -> str:
    if upstream.auth == "basic":
        pair = f"{upstream.username}:{opened(upstream.secret) if upstream.secret else ''}"
        return f"Basic {b64encode(pair.encode()).decode()}"
    if upstream.auth == "bearer":
        token = opened(upstream.secret)
        return token if bare_token else f"Bearer {token}"
    return ""


def _at_home(upstream: Upstream, url: str) -> bool:
    """Whether the credential of the upstream is meant for this address too."""
    try:
        return _origin(url) in {_origin(upstream.url), _origin(upstream.index_url)}
    except ValueError:  # no address, as an upstream may give any text for one: whoever asks there is told so
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
