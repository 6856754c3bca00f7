"""What a format asks an upstream for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from application.ports import Spooled

MUTABLE_SECONDS = 300
MISSING_SECONDS = 45


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One thing at an upstream, and where it is kept.

    path: in this repository. url: relative to the upstream's address, or absolute where an index gave it. lifetime: an
    immutable one is never asked for again; a mutable one after ttl_seconds, or what the repository says. index: below
    the address of the upstream's indexes, where that is another. digests: which the bytes must have; size_bytes
    likewise. algorithms: digests besides SHA-256 to compute. media_type: empty takes the upstream's. package, name,
    version, metadata: of the artifact that it becomes. check: given the bytes and their media
    type, raises Invalid for what is not what it should be; it is not kept then. bare_token: a token goes without
    `Bearer` before it. scope: what a token must be good for, where the upstream wants one of its token service.
    """

    path: str
    url: str
    lifetime: Literal["immutable", "mutable"]
    accept: str = "*/*"
    index: bool = False
    ttl_seconds: int = MUTABLE_SECONDS
    digests: dict[str, str] = {}
    size_bytes: int | None = None
    max_bytes: int | None = None
    algorithms: tuple[str, ...] = ()
    media_type: str = ""
    package: str = ""
    name: str = ""
    version: str = ""
    metadata: bytes = b"{}"
    check: Callable[[Spooled, str], object] | None = None
    bare_token: bool = False
    scope: str = ""
