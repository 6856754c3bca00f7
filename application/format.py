"""The contract of a package format: what it is called, its routes, and how it tells of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from application.ports import Spooled
from application.publishing import Target
from application.setting_up import Snippet
from application.wire import Answer, Request, Route, ServerRoute
from domain.artifact import Overwrite, Precondition
from domain.errors import Invalid, RegistryError

if TYPE_CHECKING:
    from application.catalogue import Catalogue
    from application.kinds import Part
    from application.pointing import Pointers
    from application.services import Services

ErrorDialect: TypeAlias = Callable[[Request, RegistryError, int], Answer]
"""The answer that a protocol's clients print readably, given the request, the fault and its HTTP status."""


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A place among the addresses: `/{prefix}/{repository}[@when]/…`, and `/{prefix}/…` where no repository is named.

    prefix: one or more segments; the longest one that fits an address has it. routes: below a repository.
    server_routes: below the prefix itself; they go before repositories.
    """

    prefix: str
    routes: tuple[Route, ...]
    error: ErrorDialect
    server_routes: tuple[ServerRoute, ...] = ()


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was handed over with nothing but a path: by the management API, a resumable upload, a rival's layer.

    path: where the caller wants it; a format with a layout of its own may put it elsewhere. spooled: has the digests of
    `Format.digests`. media_type, version: as the caller says, empty when it does not. precondition: of the path.
    """

    path: str
    spooled: Spooled
    services: Services
    target: Target
    media_type: str = ""
    version: str = ""
    properties: dict[str, tuple[str, ...]] = {}
    precondition: Precondition | None = None


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One ecosystem.

    key: what repositories of it are called in the API. prefix: the first path segments of its protocol. aliases: other
    keys served by the same protocol; further_prefixes: other first segments; server_routes: what its protocol offers
    without a repository; mounts: other protocols that it speaks. overwrite: whether a path may be published again,
    unless the repository says otherwise. order: a sort key that orders versions as the ecosystem does. digests: those
    besides SHA-256 that it publishes. deposit: publishes a file that came without this protocol as if it had come by
    it, and gives the path at which it is now; None takes any file as it is. signs: how its clients expect indexes to be
    signed; a repository of it is made with a key of its own. spellings: a normalised name and those that clients take
    for it; who has one of them, has all. shares: whether a hosted package may be completed from remote members, because
    its owner said so. setup: what its clients are told. alike: the same text for names of which a repository has one
    only. promotes: whether a file is complete without others of its repository. pointers: tags of packages that lead to
    others, and go with those.
    """

    key: str
    title: str
    prefix: str
    routes: tuple[Route, ...]
    error: ErrorDialect
    order: Callable[[str], Any]
    aliases: tuple[str, ...] = ()
    further_prefixes: tuple[str, ...] = ()
    server_routes: tuple[ServerRoute, ...] = ()
    mounts: tuple[Mount, ...] = ()
    overwrite: Overwrite = "never"
    digests: tuple[str, ...] = ()
    deposit: Callable[[Deposit], str] | None = None
    signs: Literal["", "openpgp"] = ""
    shares: Callable[[Catalogue, Part, str], bool] | None = None
    setup: tuple[Snippet, ...] = ()
    spellings: Callable[[str], Sequence[str]] | None = None
    alike: Callable[[str], str] | None = None
    promotes: bool = True
    pointers: Pointers | None = None


class Formats:
    """The formats this process knows, by key and alias."""

    def __init__(self, formats: Iterable[Format]) -> None:
        self.all = tuple(formats)
        self._by_key = {key: found for found in self.all for key in (found.key, *found.aliases)}

    def by_key(self, key: str) -> Format | None:
        """The format that serves repositories of this key or alias."""
        return self._by_key.get(key)

    def checked_key(self, key: str) -> str:
        """The key itself; raises Invalid for one that no format serves."""
        if key not in self._by_key:
            raise Invalid(f"format {key!r} is not supported; known are {', '.join(sorted(self._by_key))}")
        return key
