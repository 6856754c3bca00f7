"""The raw request, read once: path segments as sent, headers by lower-case name, the public base address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from application.access import Shown
from domain.errors import Invalid

MAX_PATH_BYTES = 4_096
MAX_HEADER_BYTES = 64 * 1024
MAX_QUERY_FIELDS = 200


_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z")


class Incoming(msgspec.Struct, frozen=True):
    """segments: decoded one by one, so that `%2F` stays inside its segment; a trailing slash gives a last empty one."""

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Mapping[str, str]
    client: str

    def segments(self) -> tuple[str, ...]:
        """The decoded path; raises Invalid for whatever could mean two things: `..`, `//`, control characters, bytes
        that are not UTF-8.
        """
        raw = self.raw_path
        if len(raw) > MAX_PATH_BYTES:
            raise Invalid(f"the path is longer than {MAX_PATH_BYTES} bytes")
        parts = raw.split(b"/")[1:]
        try:
            decoded = tuple((unquote_to_bytes(part) if b"%" in part else part).decode() for part in parts)
        except UnicodeDecodeError:
            raise Invalid("the path is not UTF-8") from None
        for index, part in enumerate(decoded):
            if part in {".", ".."} or (not part and index < len(decoded) - 1):
                raise Invalid("the path has an empty, '.' or '..' segment")
            if not part.isprintable():
                _refuse_control(part)
            if "/" in part and any(piece in {"", ".", ".."} for piece in part.split("/")):
                raise Invalid("the path has an empty, '.' or '..' segment")
        return decoded

    @property
    def ticket(self) -> str:
        """The download ticket in the address of a read, or nothing."""
        if b"ticket=" not in self.query_string or self.method not in {"GET", "HEAD"}:
            return ""
        return next((value for name, value in self.query() if name == "ticket"), "")

    def shown(self) -> Shown:
        """Everything that may say who this is."""
        return Shown(self.headers, self.client, self.ticket, self.raw_path.decode("ascii", "replace"))

    def query(self) -> tuple[tuple[str, str], ...]:
        """The query parameters in order; raises Invalid for what is no text."""
        if not self.query_string:
            return ()
        try:
            fields = parse_qsl(
                self.query_string.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS
            )
        except (UnicodeDecodeError, ValueError):
            raise Invalid("the query string is malformed") from None
        if b"%00" in self.query_string:  # no database takes it for text
            raise Invalid("the query string has a NUL")
        return tuple(fields)


def _refuse_control(part: str) -> None:
    if any(char < " " or char == "\x7f" for char in part):
        raise Invalid("the path has a control character")


class Proxies:
    """Which peers may speak for a client: their forwarding headers are believed, nobody else's."""

    def __init__(self, trusted_cidrs: tuple[str, ...], external_url: str | None) -> None:
        self._trusted = tuple(ip_network(cidr, strict=False) for cidr in trusted_cidrs)
        self._external_url = external_url.rstrip("/") if external_url else None

    def client_of(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client: the rightmost forwarded hop that is not a trusted proxy."""
        if not self._trusted or not self._is_trusted(peer):
            return peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = hop.strip()
            if address and not self._is_trusted(address):
                return address if _is_address(address) else peer
        return peer

    def base_url_of(self, peer: str, scheme: str, headers: Mapping[str, str]) -> str:
        """The public address of this server as the client sees it, without a trailing slash."""
        if self._external_url is not None:
            return self._external_url
        host = headers.get("host", "localhost")
        prefix = ""
        if self._trusted and self._is_trusted(peer):
            scheme = headers.get("x-forwarded-proto", scheme).split(",")[0].strip()
            host = headers.get("x-forwarded-host", host).split(",")[0].strip()
            prefix = headers.get("x-forwarded-prefix", "").split(",")[0].strip().rstrip("/")
        return _base_url(scheme, host, prefix)

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def read_scope(scope: Mapping[str, Any]) -> Incoming:
    """An ASGI scope as an Incoming. Repeated headers are joined by a comma, except those that must be single."""
    raw = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(headers) < len(raw):
        headers = _joined(raw)
    if sum(map(len, headers)) + sum(map(len, headers.values())) > MAX_HEADER_BYTES:
        raise Invalid(f"the headers are larger than {MAX_HEADER_BYTES} bytes")
    peer = scope.get("client")
    return Incoming(scope["method"], scope["raw_path"], scope["query_string"], headers, peer[0] if peer else "")


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        if key in headers:
            if key in _SINGLE:
                raise Invalid(f"repeated header {key}")
            text = f"{headers[key]}; {text}" if key == "cookie" else f"{headers[key]}, {text}"
        headers[key] = text
    return headers


@lru_cache(maxsize=1_024)
def _base_url(scheme: str, host: str, prefix: str) -> str:
    if scheme not in {"http", "https"}:
        scheme = "http"
    return f"{scheme}://{checked_host(host)}{prefix if _is_plain(prefix) else ''}"


def checked_host(host: str) -> str:
    """A Host header that may be put into addresses; raises Invalid for anything else."""
    if not _HOST.match(host):
        raise Invalid("the Host header is malformed")
    return host


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_plain(prefix: str) -> bool:
    return all(char.isascii() and (char.isalnum() or char in "-._~/") for char in prefix)


_SINGLE = frozenset(
    {"authorization", "content-length", "content-type", "host", "range", "x-api-key", "x-jfrog-art-api"}
)
