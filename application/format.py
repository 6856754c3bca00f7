"""The contract of a package format: what it is called, its routes, and how it tells of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from application.wire import Answer, Request, Route
from domain.artifact import Overwrite
from domain.errors import Invalid, RegistryError


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One ecosystem.

    key: what repositories of it are called in the API. prefix: the first path segment of its protocol. aliases: other
    keys served by the same protocol; further_prefixes: other first segments. overwrite: whether a path may be published
    again, unless the repository says otherwise. error: the answer that its clients print readably; given the request,
    the fault and its HTTP status. order: a sort key that orders versions as the ecosystem does.
    """

    key: str
    title: str
    prefix: str
    routes: tuple[Route, ...]
    error: Callable[[Request, RegistryError, int], Answer]
    order: Callable[[str], Any]
    aliases: tuple[str, ...] = ()
    further_prefixes: tuple[str, ...] = ()
    overwrite: Overwrite = "never"


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
