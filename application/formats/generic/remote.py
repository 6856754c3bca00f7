"""Files of another server, by the paths that they have there. What there is of it, only it knows: listings are of what
was kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

import msgspec

from application.catalogue import TREE_SCOPE
from application.formats.generic import reading
from application.formats.generic.addresses import address_of, has
from application.formats.generic.digests import PUBLISHED
from application.formats.generic.names import guess_version, media_type_of
from application.ports import Spooled
from application.proxying.proxy import proxy_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Derived, Handler, Stream
from domain.errors import Invalid, NotFound

_KEY = "generic"
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_SANDBOXED = ("content-security-policy", "sandbox")


class PageSent(Invalid):
    """A page for people where a file should be: a login form, an apology."""

    template: ClassVar[str] = "a page of HTML in place of {path}"

    def __init__(self, path: str) -> None:
        super().__init__(path=path[:200])


def get_file(call: Call) -> AnyAnswer:
    """GET {path}: the file; what can be told of one that was kept, when the other server has none of that name."""
    _require_files(call)
    request, path = call.request, address_of(call).path
    if has(request, "properties") or has(request, "revision"):
        return reading.get_file(call)
    archive, mark, _ = path.partition("!/")
    try:
        if not mark:
            return _sent(call, path)
        proxy_of(call).fetch(call, _resource(call, archive))
    except NotFound as absent:
        return _made(call, absent)
    return reading.get_file(call)


def get_listing(call: Call) -> AnyAnswer:
    """GET {dir}/: what was kept of a directory."""
    _require_files(call)
    if reading.listing_key(call.request) is None:
        return reading.get_listing(call)
    revision = call.services.catalogue.revision(call.content, TREE_SCOPE, call.at)
    there = msgspec.structs.replace(call, at=revision)
    return Derived(key=f"listing {revision}", render=lambda: reading.get_listing(there))


def get(call: Call) -> AnyAnswer:
    """GET of either."""
    return get_listing(call) if address_of(call).folder else get_file(call)


def kept(handler: Handler) -> Handler:
    """For what is answered from what was kept alone."""

    def answer(call: Call) -> AnyAnswer:
        _require_files(call)
        return handler(call)

    return answer


def is_of_files(call: Call) -> bool:
    """Whether the repository is of plain files. Those of other formats are kept by their own rules, verified by their
    indexes, and do not come by their paths alone.
    """
    found = call.services.formats.by_key(call.repository.format)
    return found is not None and found.key == _KEY


def _require_files(call: Call) -> None:
    if not is_of_files(call):
        raise NotFound("a remote repository of this format does not offer that")


def _sent(call: Call, path: str) -> AnyAnswer:
    found = proxy_of(call).file(call, _resource(call, path))
    if isinstance(found, Stream):
        return msgspec.structs.replace(found, headers=(*found.headers, _SANDBOXED))
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        return found
    file = reading.file_of(row, immutable=found.immutable)
    return msgspec.structs.replace(file, headers=(*file.headers, *found.headers))


def _made(call: Call, absent: NotFound) -> AnyAnswer:
    try:
        return reading.get_file(call)
    except NotFound:
        raise absent from None


def _resource(call: Call, path: str) -> Resource:
    name, version = guess_version(path)
    return Resource(
        path=path,
        url=quote(path),
        lifetime="immutable" if call.repository.settings.overwrite == "once" else "mutable",
        algorithms=PUBLISHED,
        name=name,
        version=version,
        check=_check(path),
    )


def _check(path: str) -> Callable[[Spooled, str], None]:
    """Refuse pages that servers send in place of files. What has no extension is then a directory's listing."""

    def check(spooled: Spooled, media_type: str) -> None:
        del spooled
        if _plain(media_type) not in _PAGES or _plain(media_type_of(path)) in _PAGES:
            return
        if "." not in path.rpartition("/")[2]:
            raise NotFound(f"{path[:200]} is a directory at the upstream")
        raise PageSent(path)

    return check


def _plain(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
