"""Addresses of checksum databases behind a module proxy. What is told there is signed; nobody changes it on the way.

Source: https://go.dev/ref/mod#checksum-database, https://go.googlesource.com/proposal/+/master/design/25530-sumdb.md
"""

from __future__ import annotations

import re

from application.formats.go.address import asked_module
from application.formats.go.names import ModulePath, unescape
from application.formats.go.versions import is_version
from domain.errors import Invalid

_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+\Z")
_TILE = re.compile(r"8/(?:data|[0-9]{1,2})/(?:x[0-9]{3}/){0,6}[0-9]{3}(?P<partial>\.p/[1-9][0-9]{0,2})?\Z")


def is_database(name: str) -> bool:
    """Whether a database may be called so: like a host."""
    return len(name) <= 253 and _NAME.match(name) is not None


def asked_lookup(record: str) -> ModulePath | None:
    """The module that `lookup/{module}@{version}` asks of; None for an address of nothing."""
    module, _, version = record.rpartition("@")
    try:
        return asked_module(module) if is_version(unescape(version)) else None
    except Invalid:
        return None


def is_tile(rest: str) -> bool:
    """Whether `tile/…` is the address of a tile."""
    return _TILE.match(rest) is not None


def is_full(rest: str) -> bool:
    """Whether a tile will never be replaced by a wider one."""
    return ".p/" not in rest
