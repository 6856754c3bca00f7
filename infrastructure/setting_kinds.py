"""Kinds of values that a setting can have: how text is read, and how to say what is accepted.

A reader raises ValueError for text that it does not accept; what it says is never shown, `accepts` is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

Network: TypeAlias = IPv4Network | IPv6Network

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_SIZE = re.compile(r"([0-9]{1,15})\s*(B|[KMGT]iB|[KMGT]B?)?", re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


class Kind(msgspec.Struct, frozen=True):
    """accepts: completes "must be …" and heads the documentation."""

    accepts: str
    read: Callable[[str], Any]


class Address(msgspec.Struct, frozen=True):
    """Where a listener binds."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def whole(minimum: int, maximum: int) -> Kind:
    """A whole number within bounds, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) or not minimum <= int(text) <= maximum:
            raise ValueError
        return int(text)

    return Kind(f"a whole number from {minimum} to {maximum}", read)


def choice(*words: str) -> Kind:
    """One of the words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return text.lower()

    return Kind(" or ".join(filter(None, [", ".join(words[:-1]), words[-1]])), read)


def _flag(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError


def _size(text: str) -> int:
    matched = _SIZE.fullmatch(text)
    if matched is None:
        raise ValueError
    number, unit = matched.groups()
    return int(number) * _FACTORS[(unit or "").lower().removesuffix("ib").removesuffix("b")]


def _address(text: str) -> Address:
    host, separator, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not host or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError
    return Address(host, int(port))


def _web_url(text: str) -> str:
    parts = _split(text, "http", "https")
    if parts.query or parts.fragment or parts.username:
        raise ValueError
    return text.rstrip("/")


def _origin(text: str) -> str:
    parts = _split(text, "http", "https")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _postgres_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError
    try:
        port = str(conninfo_to_dict(text).get("port") or 5432)
    except ProgrammingError:
        raise ValueError from None  # what libpq says quotes the password
    if not all(part.isdecimal() for part in port.split(",")):
        raise ValueError
    return text


def _redis_url(text: str) -> str:
    if text.startswith("unix://"):
        if not urlsplit(text).path.startswith("/"):
            raise ValueError
        return text
    _split(text, "redis", "rediss")
    return text


def _split(text: str, *schemes: str) -> SplitResult:
    """The parts of a URL with a host; its port is checked by being read."""
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0 or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError
    return parts


def _items(text: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
    return tuple(read(item.strip()) for item in text.split(",") if item.strip())


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError
    return Path(text).expanduser().absolute()


def _index_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", text, re.ASCII):
        raise ValueError
    return text


def _key_name(text: str) -> str:
    if "+" in text or re.search(r"\s", text) or not text.isprintable():
        raise ValueError
    return text


FLAG = Kind("true or false", _flag)
TEXT = Kind("text", str)
BYTES = Kind("a number of bytes, or one with KiB, MiB, GiB or TiB", _size)
ADDRESS = Kind("host:port, with [brackets] around an IPv6 host", _address)
WEB_URL = Kind("an http:// or https:// URL without user, query or fragment", _web_url)
ORIGINS = Kind("origins such as https://console.example.org, comma separated", lambda text: _items(text, _origin))
POSTGRES_URL = Kind("a postgresql:// URL", _postgres_url)
REDIS_URL = Kind("a redis://, rediss:// or unix:// URL", _redis_url)
NETWORKS = Kind("networks such as 10.0.0.0/8, comma separated", lambda text: _items(text, ip_network))
NAMES = Kind("names, comma separated", lambda text: _items(text, str))
PATH = Kind("a path", _path)
PORT = whole(1, 65535)
INDEX_NAME = Kind("up to 200 letters, digits, - and _", _index_name)
KEY_NAME = Kind("a name without white space or +", _key_name)
