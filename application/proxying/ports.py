"""What proxying needs from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

import msgspec

from application.ports import Spooled, SpoolWriter
from domain.errors import BadGateway


class UpstreamAway(BadGateway):
    """No answer, or none that can be used now; another attempt may have one."""

    template = "the upstream {host} is not available: {reason}"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(host=host, reason=reason)


class UpstreamRefused(BadGateway):
    """The upstream answered, and not with what was asked for."""

    template = "the upstream {host} answered {status}"

    def __init__(self, host: str, status: str) -> None:
        super().__init__(host=host, status=status)


class UpstreamLied(BadGateway):
    """What came is not what should have come. It was not kept."""

    template = "the upstream {host} sent {path} with {problem}; it was not kept"

    def __init__(self, host: str, path: str, problem: str) -> None:
        super().__init__(host=host, path=path[:200], problem=problem)


class AddressRefused(BadGateway):
    """An address that this server must not be led to: its own machine, its network, what a cloud tells of itself."""

    template = "{host} is at {address}, where this registry does not go"

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host=host, address=address)


class OutboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to somebody else's server.

    authorization: sent to the origin of the URL alone, never along a redirect to another. proxy: None asks the
    environment; empty goes directly. no_proxy: hosts reached directly, comma separated.
    """

    url: str
    headers: dict[str, str] = {}
    authorization: str = ""
    proxy: str | None = None
    no_proxy: str = ""
    method: str = "GET"


class OutboundReply(Protocol):
    """An answer whose body has not been read yet."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case."""

    @property
    def url(self) -> str:
        """Where the answer came from, after redirects."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent, without its content coding. Raises UpstreamAway when it breaks off."""


class Outbound(Protocol):
    """The one way out: addresses are checked after resolution, redirects too, and everything has its time."""

    def open(self, request: OutboundRequest) -> AbstractContextManager[OutboundReply]:
        """Ask. Raises UpstreamAway, AddressRefused."""

    def check(self, url: str) -> None:
        """Raise AddressRefused for an address that would be refused; a name that cannot be resolved now is let pass."""


class Known(msgspec.Struct, frozen=True):
    """What is known of something at an upstream. sha256: None when the upstream has no such thing."""

    sha256: str | None
    etag: str
    last_modified: str
    checked_at: datetime


class UpstreamCache(Protocol):
    """When the upstream was asked last, for all processes. It may be lost: then the upstream is asked again."""

    def known(self, repository: UUID, path: str) -> Known | None:
        """What was noted last."""

    def note(self, repository: UUID, path: str, known: Known) -> None:
        """Remember."""

    def expire(self, repository: UUID, pattern: str) -> int:
        """Forget when paths that match (`*` for anything) were asked for; gives how many."""

    def alone(self, repository: UUID, path: str) -> AbstractContextManager[None]:
        """Be the only one of all processes in the block for this path. Who dies in it is replaced by the next."""


class GrowingWriter(SpoolWriter, Protocol):
    """A file being received that others read meanwhile."""

    def reader(self) -> BinaryIO:
        """What was written so far, for another thread; what comes later appears in it by and by, at the latest when
        `finish` returns. It can be read to its end also after the file was kept or discarded; it cannot be opened then
        any more (FileNotFoundError).
        """


class GrowingSpool(Protocol):
    """See Spool."""

    def create(self, algorithms: tuple[str, ...] = (), max_bytes: int | None = None) -> GrowingWriter:
        """Begin to receive."""

    def discard(self, spooled: Spooled) -> None:
        """Remove what was received, if it is still here."""
