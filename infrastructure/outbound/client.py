"""HTTP to other people's servers, over urllib3: checked addresses, bounded time, redirects followed one by one."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from application.proxying.asking import joined
from application.proxying.ports import AddressRefused, OutboundReply, OutboundRequest, UpstreamAway
from infrastructure.outbound.addresses import AddressPolicy

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""How long a server may say nothing in the middle of an answer."""

CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 10
MAX_POOLS = 64
CONNECTIONS_PER_HOST = 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PROXY_VARIABLES = {"http": "HTTP_PROXY", "https": "HTTPS_PROXY"}


class UrllibOutbound:
    """The Outbound port. environ: where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up."""

    def __init__(
        self, policy: AddressPolicy, ca_cert_path: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._policy = policy
        self._environ = os.environ if environ is None else environ
        context = ssl.create_default_context()
        if ca_cert_path is not None:
            context.load_verify_locations(ca_cert_path)
        options: dict[str, Any] = {
            "num_pools": MAX_POOLS,
            "maxsize": CONNECTIONS_PER_HOST,
            "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS),
            "retries": False,
            "ssl_context": context,
        }
        self._options = options
        self._direct = urllib3.PoolManager(**options)
        self._direct.pool_classes_by_scheme = _checked_pools(policy)
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    def close(self) -> None:
        """End every connection."""
        self._direct.clear()
        for proxy in self._proxies.values():
            proxy.clear()

    def check(self, url: str) -> None:
        """See Outbound."""
        parts = urlsplit(url)
        try:
            self._policy.resolve(parts.hostname or "", parts.port or 80)
        except UpstreamAway:
            return

    @contextmanager
    def open(self, request: OutboundRequest) -> Iterator[OutboundReply]:
        """See Outbound."""
        url, authorization = request.url, request.authorization
        for _ in range(MAX_REDIRECTS + 1):
            headers = request.headers | ({"authorization": authorization} if authorization else {})
            response = self._ask(request, url, headers)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                with closing(_Closing(response)):
                    yield _Reply(response, url)
                return
            _Closing(response).close()
            onward = joined(url, location)
            if urlsplit(onward).scheme not in {"http", "https"}:
                raise AddressRefused(urlsplit(url).hostname or "", onward[:100])
            if urlsplit(onward)[:2] != urlsplit(url)[:2]:
                authorization = ""  # it was meant for the first one
            url = onward
        raise UpstreamAway(urlsplit(request.url).hostname or "", f"more than {MAX_REDIRECTS} redirects")

    def _ask(self, request: OutboundRequest, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        host = urlsplit(url).hostname or ""
        try:
            manager = self._manager(request, url)
            return manager.request(
                request.method, url, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
        except AddressRefused:
            raise
        except (HTTPError, LocationParseError, OSError, ValueError) as error:
            refused = _cause(error)
            if refused is not None:
                raise refused from None
            raise UpstreamAway(host, _reason(error)) from None

    def _manager(self, request: OutboundRequest, url: str) -> urllib3.PoolManager:
        proxy = self._proxy(request, url)
        if not proxy:
            return self._direct
        self.check(url)  # as far as the name can be resolved here; the proxy goes where it goes
        if proxy not in self._proxies:
            parts = urlsplit(proxy)
            auth = f"{parts.username}:{parts.password or ''}" if parts.username else None
            shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            proxy_headers = urllib3.make_headers(proxy_basic_auth=auth) if auth else None
            self._proxies[proxy] = urllib3.ProxyManager(shown, proxy_headers=proxy_headers, **self._options)
        return self._proxies[proxy]

    def _proxy(self, request: OutboundRequest, url: str) -> str:
        parts = urlsplit(url)
        if request.proxy is not None:
            return "" if _listed(parts.hostname or "", request.no_proxy) else request.proxy
        if _listed(parts.hostname or "", self._variable("NO_PROXY")):
            return ""
        return self._variable(_PROXY_VARIABLES[parts.scheme]) if parts.scheme in _PROXY_VARIABLES else ""

    def _variable(self, name: str) -> str:
        return self._environ.get(name) or self._environ.get(name.lower()) or ""


class _Closing:
    """A connection is used again only when its answer was read to the end."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def close(self) -> None:
        if self._response.status in _REDIRECTS | {304}:
            self._response.drain_conn()
        self._response.close() if not self._response.closed else None
        self._response.release_conn()


class _Reply:
    """An OutboundReply."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.url = url

    def chunks(self) -> Iterator[bytes]:
        """See OutboundReply."""
        try:
            yield from self._response.stream(CHUNK_BYTES, decode_content=True)
        except (HTTPError, OSError) as error:
            raise UpstreamAway(urlsplit(self.url).hostname or "", _reason(error)) from None


def _checked_pools(policy: AddressPolicy) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools whose sockets go to checked addresses only: what was resolved is what is connected to."""

    def connect(connection: HTTPConnection) -> socket.socket:
        host, fault = connection._dns_host, None  # noqa: SLF001 - what urllib3 resolves itself
        for family, address in policy.resolve(host, connection.port):
            found = socket.socket(family, socket.SOCK_STREAM)
            try:
                found.settimeout(CONNECT_SECONDS)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                found.connect(address)
            except OSError as error:
                found.close()
                fault = error
            else:
                return found
        raise NewConnectionError(connection, str(fault))

    class CheckedHttp(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    class CheckedHttps(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = CheckedHttp

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = CheckedHttps

    return {"http": HttpPool, "https": HttpsPool}


def _listed(host: str, no_proxy: str) -> bool:
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",") if name.strip()]
    return any(name in {"*", host} or host.endswith(f".{name}") for name in names)


def _cause(error: BaseException | None) -> AddressRefused | None:
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        error = error.__cause__ or error.__context__ or getattr(error, "reason", None)
    return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
