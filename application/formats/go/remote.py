"""Another module proxy, shown as our own: what it has of a version is kept for ever, lists for a while.

Nothing is rewritten, or sums would not agree. Files of versions are kept at their own addresses, what changes apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from application.formats.go.address import Asked, asked_file, asked_module, version_path
from application.formats.go.archive import MAX_ZIP_BYTES, require_start
from application.formats.go.index import JSON_TYPE, TEXT_TYPE, Info, read_info, read_list, render_list
from application.formats.go.names import ModulePath, escape, unescape
from application.formats.go.reading import ModuleNotFound, VersionNotFound
from application.formats.go.versions import Version, latest, listed
from application.ports import Spooled
from application.proxying.ageing import gate_key, is_held_back, require_age
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Derived, Document
from domain.errors import Invalid, NotFound

INDEX = ".index/"
"""Where what an upstream says is kept, apart from its files."""

_MAX_LIST_BYTES = 16 << 20
_MAX_INFO_BYTES = 1 << 20
_MAX_GO_MOD_BYTES = 16 << 20
_MOST_YOUNG = 50
"""Versions that are looked at, newest first, to find those that are too young."""

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}\Z")


# handlers


def get_list(call: Call) -> AnyAnswer:
    """GET {module}/@v/list."""
    module, proxy = _module(call), proxy_of(call)
    fetched = proxy.fetch(call, _list(module))
    gated = gate_key(upstream_of(call)) if call.at is None else ""

    def render() -> Document:
        versions = read_list(proxy.read(fetched))
        shown = list(_old_enough(call, module, versions)) if gated else versions
        return Document(body=render_list(shown), media_type=TEXT_TYPE)

    return proxy.document([fetched], f"list {module} {gated}", render)


def get_latest(call: Call) -> AnyAnswer:
    """GET {module}/@latest: what the upstream says it is; of the old ones, where young ones are held back."""
    module = _module(call)
    if upstream_of(call).age_gate.enabled and call.at is None:
        return _latest_old(call, module)
    fetched = proxy_of(call).fetch(call, _info_resource(f"{escape(module)}/@latest", "", mutable=True))
    return _told(call, fetched, f"latest {module}")


def get_file(call: Call) -> AnyAnswer:
    """GET {module}/@v/{version}.info, .mod, .zip; .info of a branch or a revision too, which the upstream resolves."""
    try:
        asked = asked_file(call.params["module"], call.params["file"])
    except Invalid:
        return _get_revision(call)
    proxy, upstream = proxy_of(call), upstream_of(call)
    if upstream.age_gate.enabled and call.at is None:
        require_age(upstream, f"{asked.module}@{asked.version}", _info(call, asked.module, asked.version).time)
    match asked.extension:
        case "info":
            return proxy.file(call, _info_of(asked.module, asked.version))
        case "mod":
            resource = Resource(
                path=asked.path,
                url=asked.path,
                lifetime="immutable",
                max_bytes=_MAX_GO_MOD_BYTES,
                media_type=TEXT_TYPE,
            )
            return proxy.file(call, resource)
        case "zip":
            return proxy.file(call, _zip(asked))
        case "ziphash":
            raise VersionNotFound(asked.module, f"{asked.version}.ziphash")


# what is asked for


def _list(module: ModulePath) -> Resource:
    url = f"{escape(module)}/@v/list"
    return Resource(
        path=INDEX + url,
        url=url,
        lifetime="mutable",
        max_bytes=_MAX_LIST_BYTES,
        check=lambda spooled, _: read_list(spooled.path.read_bytes()),
    )


def _info_of(module: ModulePath, version: Version) -> Resource:
    return _info_resource(version_path(module, version, "info"), version, mutable=False)


def _info_resource(url: str, expected: str, *, mutable: bool) -> Resource:
    def check(spooled: Spooled, _: str) -> Info:
        return read_info(spooled.path.read_bytes(), expected)

    return Resource(
        path=INDEX + url if mutable else url,
        url=url,
        lifetime="mutable" if mutable else "immutable",
        max_bytes=_MAX_INFO_BYTES,
        media_type=JSON_TYPE,
        check=check,
    )


def _zip(asked: Asked) -> Resource:
    """Only its beginning is looked at: every client holds it to the sums that it knows."""

    def check(spooled: Spooled, _: str) -> None:
        with spooled.open() as file:
            require_start(file, asked.module, asked.version)

    return Resource(
        path=asked.path,
        url=asked.path,
        lifetime="immutable",
        max_bytes=MAX_ZIP_BYTES,
        media_type="application/zip",
        package=asked.module,
        name=asked.module,
        version=asked.version,
        check=check,
    )


# steps


def _module(call: Call) -> ModulePath:
    try:
        return asked_module(call.params["module"])
    except Invalid:
        raise ModuleNotFound(call.params["module"]) from None


def _get_revision(call: Call) -> Derived:
    """The info of what is no version: a branch, a tag, a revision."""
    module = _module(call)
    name, _, extension = call.params["file"].rpartition(".")
    try:
        revision = unescape(name)
    except Invalid:
        revision = ""
    if extension != "info" or not _REVISION.match(revision):
        raise VersionNotFound(module, call.params["file"])
    url = f"{escape(module)}/@v/{escape(revision)}.info"
    fetched = proxy_of(call).fetch(call, _info_resource(url, "", mutable=True))
    info = read_info(proxy_of(call).read(fetched))
    require_age(upstream_of(call), f"{module}@{revision}", info.time)
    return _told(call, fetched, f"info {module} {revision}")


def _told(call: Call, fetched: Fetched, name: str, *chosen_by: Fetched) -> Derived:
    """A document of the upstream as it is; chosen_by: what led to it."""
    proxy = proxy_of(call)

    def render() -> Document:
        return Document(body=proxy.read(fetched), media_type=JSON_TYPE)

    return proxy.document([fetched, *chosen_by], name, render)


def _info(call: Call, module: ModulePath, version: Version) -> Info:
    proxy = proxy_of(call)
    return read_info(proxy.read(proxy.fetch(call, _info_of(module, version))), version)


def _old_enough(call: Call, module: ModulePath, versions: list[str]) -> Iterator[str]:
    """Versions without the young ones. They are at the upper end, so the lower ones are not asked about."""
    upstream = upstream_of(call)
    ordered = listed(versions)[::-1]
    for index, version in enumerate(ordered):
        if index >= _MOST_YOUNG or not is_held_back(upstream, _time(call, module, Version(version))):
            yield from ordered[index:]
            return


def _time(call: Call, module: ModulePath, version: Version) -> datetime | None:
    try:
        return _info(call, module, version).time
    except NotFound:
        return None  # it is listed, and is not there


def _latest_old(call: Call, module: ModulePath) -> Derived:
    proxy = proxy_of(call)
    fetched = proxy.fetch(call, _list(module))
    newest = latest(_old_enough(call, module, read_list(proxy.read(fetched))))
    if newest is None:
        raise VersionNotFound(module, "version that is old enough")
    return _told(call, proxy.fetch(call, _info_of(module, Version(newest))), f"latest {module}", fetched)
