"""Checksum databases behind another module proxy, passed on as they are: clients verify what they are told.

The address that is asked is always below the upstream's own; a name in it leads nowhere else.
"""

from __future__ import annotations

from typing import ClassVar

from application.formats.go.index import TEXT_TYPE
from application.formats.go.remote import INDEX
from application.formats.go.sums import asked_lookup, is_database, is_full, is_tile
from application.proxying.proxy import proxy_of
from application.proxying.resources import MUTABLE_SECONDS, Resource
from application.wire import AnyAnswer, Call
from domain.errors import NotFound

_MAX_RECORD_BYTES = 1 << 20
_SUPPORTED_SECONDS = 3600
_LOOKUP_SECONDS = 86_400


class DatabaseNotFound(NotFound):
    """No such thing in a checksum database."""

    template: ClassVar[str] = "no such address of a checksum database"


def get_database(call: Call) -> AnyAnswer:
    """GET sumdb/{name}/supported and sumdb/{name}/latest: whether there is one, and how far it is."""
    what = call.request.segments[-1]
    ttl = {"ttl_seconds": _SUPPORTED_SECONDS} if what == "supported" else {}
    return proxy_of(call).file(call, _record(_below_database(call, what), **ttl))


def get_lookup(call: Call) -> AnyAnswer:
    """GET sumdb/{name}/lookup/{module}@{version}: the sums, with a proof that leads to some signed tree."""
    record = call.params["record"]
    if asked_lookup(record) is None:
        raise DatabaseNotFound
    return proxy_of(call).file(call, _record(_below_database(call, f"lookup/{record}"), ttl_seconds=_LOOKUP_SECONDS))


def get_tile(call: Call) -> AnyAnswer:
    """GET sumdb/{name}/tile/{rest}: a piece of the tree."""
    rest = call.params["rest"]
    if not is_tile(rest):
        raise DatabaseNotFound
    url = _below_database(call, f"tile/{rest}")
    resource = Resource(
        path=INDEX + url,
        url=url,
        lifetime="immutable" if is_full(rest) else "mutable",
        max_bytes=_MAX_RECORD_BYTES,
        media_type="application/octet-stream",
    )
    return proxy_of(call).file(call, resource)


def _record(url: str, ttl_seconds: int = MUTABLE_SECONDS) -> Resource:
    return Resource(
        path=INDEX + url,
        url=url,
        lifetime="mutable",
        ttl_seconds=ttl_seconds,
        max_bytes=_MAX_RECORD_BYTES,
        media_type=TEXT_TYPE,
    )


def _below_database(call: Call, what: str) -> str:
    name = call.params["name"]
    if not is_database(name):
        raise DatabaseNotFound
    return f"sumdb/{name}/{what}"
