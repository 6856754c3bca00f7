"""Where among the addresses package protocols are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from application.format import Format, Mount
from application.wire import Matcher, Route


class Mounted:
    """A place among the addresses, its compiled routes, and the formats whose repositories are at home there."""

    def __init__(self, mount: Mount, keys: Iterable[str]) -> None:
        self.prefix = tuple(mount.prefix.split("/"))
        self.error = mount.error
        self.matcher = Matcher(mount.routes)
        self.server_matcher = Matcher(mount.server_routes)
        self._keys = frozenset(keys)
        self._open = any(route.any_format for route in mount.routes)

    def is_home(self, format_key: str) -> bool:
        """Whether repositories of the format are at home here."""
        return format_key in self._keys

    def admits(self, format_key: str, route: Route | None) -> bool:
        """Whether a repository of the format can be reached by the route, or by any when there is none."""
        return format_key in self._keys or (route.any_format if route is not None else self._open)


def mounts(format_: Format) -> Iterator[Mounted]:
    """Every place of a format."""
    keys = (format_.key, *format_.aliases)
    for prefix in (format_.prefix, *format_.further_prefixes):
        mount = Mount(prefix=prefix, routes=format_.routes, error=format_.error, server_routes=format_.server_routes)
        yield Mounted(mount, keys)
    for mount in format_.mounts:
        yield Mounted(mount, keys)
