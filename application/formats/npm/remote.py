"""Packages of another registry, shown as our own: our addresses, checked digests, its signatures as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from threading import BoundedSemaphore
from typing import ClassVar
from urllib.parse import quote, urlencode

import msgspec

from application.formats.npm.about import NotOffered
from application.formats.npm.address import (
    Address,
    PackageNotFound,
    VersionNotFound,
    address_of,
    artifact_path,
    existing_name,
)
from application.formats.npm.found_elsewhere import check_attestations, only, read_keys, read_results, write_results
from application.formats.npm.index import ABBREVIATED_TYPE, FULL_TYPE, effective_tags
from application.formats.npm.names import NpmName, VersionInvalid, clean_version, tarball_name
from application.formats.npm.packuments import (
    Packument,
    Tarball,
    moved_version,
    read_packument,
    releases,
    tarball_called,
    tarballs,
    without,
    write_abbreviated,
    write_full,
)
from application.formats.npm.reading import ATTESTATIONS_BELOW, TAGS_BELOW, VARY, wants_abbreviated
from application.formats.npm.writing import ALGORITHMS
from application.proxying.ageing import gate_key, is_held_back, require_age
from application.proxying.proxy import Fetched, Proxy, proxy_of, source_url, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Derived, Document
from domain.errors import NotFound

INDEX = ".index"
"""Where what an upstream says is kept, apart from its tarballs."""

MAX_PACKUMENT_BYTES = 128 << 20
LARGE_BYTES = 8 << 20
_large = BoundedSemaphore(2)
"""Packuments above LARGE_BYTES are read two at a time: each takes some three times its size while it is."""

_MAX_ANSWER_BYTES = 16 << 20
_KEYS_SECONDS = 3600
_MAX_SIZE = 250
_MAX_TEXT_CHARS = 500
_SEARCH = ("text", "size", "from", "quality", "popularity", "maintenance")


class NotAdmitted(NotFound):
    """The names that may come from upstreams are chosen, and this one is not among them."""

    template: ClassVar[str] = "package '{name}' may not come from an upstream: the policy for names keeps it out"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:300])


class AllHeldBack(NotFound):
    """There is a package, and nothing of it is old enough."""

    template: ClassVar[str] = "every version of '{name}' was published less than {days} days ago and is held back"

    def __init__(self, name: str, days: int) -> None:
        super().__init__(name=name[:300], days=days)


# packages


def get_package(call: Call) -> AnyAnswer:
    """GET {pkg}, {pkg}/{version or tag}."""
    address = address_of(call.request)
    require_admitted(call, address.name)
    if len(address.rest) > 1:
        raise NotFound("no such address in this repository")
    if address.rest:
        return _derived(call, address.name, f"version {address.rest[0]}", partial(_version, call, address))
    if wants_abbreviated(call.request):
        return _derived(call, address.name, "abbreviated", partial(_whole, call, write_abbreviated, ABBREVIATED_TYPE))
    return _derived(call, address.name, "full", partial(_whole, call, write_full, FULL_TYPE))


def get_dist_tags(call: Call) -> AnyAnswer:
    """GET -/package/{pkg}/dist-tags."""
    name = address_of(call.request, TAGS_BELOW).name
    require_admitted(call, name)

    def render(packument: Packument, source: str) -> Document:
        shown = [release.version for release in releases(packument, source)]
        if not shown:
            raise PackageNotFound(name)
        body = msgspec.json.encode(effective_tags(packument.tags, shown))
        return Document(body=body, media_type=FULL_TYPE)

    return _derived(call, name, "dist-tags", render)


def get_tarball(call: Call) -> AnyAnswer:
    """GET {pkg}/-/{file}."""
    address, proxy, upstream = address_of(call.request), proxy_of(call), upstream_of(call)
    name, file_name = address.name, address.rest[-1]
    require_admitted(call, name)
    if call.at is not None or not upstream.age_gate.enabled:
        path = artifact_path(name, file_name)
        row = call.services.catalogue.artifact(call.content, path, call.at)
        if row is not None:
            return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    file = tarball_called(_tarballs(call, name), name, file_name)
    if file is None:
        raise NotFound(f"{file_name[:300]} not found")
    require_age(upstream, f"{name}@{file.version}", _moment(file.published))
    return proxy.file(call, _tarball(name, file))


def get_attestations(call: Call) -> AnyAnswer:
    """GET -/npm/v1/attestations/{pkg}@{version}: what the upstream has; its signatures are for clients to check."""
    text = "/".join(call.request.segments[ATTESTATIONS_BELOW:])
    base, _, version = text.rpartition("@")
    name = existing_name(base)
    require_admitted(call, name)
    try:
        version = clean_version(version)
    except VersionInvalid:
        raise NotFound(f"no attestations for {text[:300]}") from None
    path = f"{INDEX}/-/attestations/{name}@{version}.json"
    return proxy_of(call).file(
        call, _said(path, f"-/npm/v1/attestations/{_escaped(name)}@{version}", check_attestations)
    )


# the registry


def get_keys(call: Call) -> AnyAnswer:
    """GET -/npm/v1/keys: those that the upstream signs with."""
    return proxy_of(call).file(call, _keys())


def read_upstream_keys(call: Call) -> bytes:
    """The same as bytes, to be combined."""
    proxy = proxy_of(call)
    return proxy.read(proxy.fetch(call, _keys()))


def find_packages(call: Call) -> Document:
    """GET -/v1/search: what the upstream finds now, as far as it may come from there."""
    if call.at is not None:
        raise NotOffered("what a search at the upstream would have found then is not known")
    given = {name: call.request.query_value(name)[:_MAX_TEXT_CHARS] for name in _SEARCH}
    if given["size"].isdecimal():
        given["size"] = str(min(int(given["size"][:9]), _MAX_SIZE))
    query = urlencode({name: value for name, value in given.items() if value})
    resource = Resource(path=f"{INDEX}/-/search.json", url=f"-/v1/search?{query}", lifetime="mutable")
    results = read_results(proxy_of(call).passed(call, resource))
    shown = only(results, partial(is_admitted, call))
    return Document(body=write_results(shown, datetime.now(UTC)), media_type=FULL_TYPE)


# steps


def is_admitted(call: Call, name: str) -> bool:
    """Whether a package of that name may come from here, by the policy of every repository that the question passed."""
    return all(row.settings.name_policy.admits(name) for row in (call.repository, *call.through))


def require_admitted(call: Call, name: str) -> None:
    """Raise NotAdmitted for a name that may not come from this upstream."""
    if not is_admitted(call, name):
        raise NotAdmitted(name)


def _derived(call: Call, name: NpmName, form: str, render: Callable[[Packument, str], Document]) -> Derived:
    """A document made of the upstream's packument, without what is too young."""
    upstream, proxy, fetched = upstream_of(call), proxy_of(call), _packument(call, name)

    def shown(packument: Packument) -> Document:
        young = {
            version for version in packument.versions if is_held_back(upstream, _moment(packument.times.get(version)))
        }
        if young and len(young) == len(packument.versions):
            raise AllHeldBack(name, upstream.age_gate.min_age_days)
        return render(without(packument, young), source_url(fetched))

    key = f"{form} {name} {gate_key(upstream)} {call.request.repository_url}"
    return proxy.document([fetched], key, lambda: _read(proxy, fetched, name, shown))


def _whole(
    call: Call,
    write: Callable[[Packument, str, str], bytes | None],
    media_type: str,
    packument: Packument,
    source: str,
) -> Document:
    body = write(packument, source, call.request.repository_url)
    if body is None:
        raise PackageNotFound(packument.name)
    return Document(body=body, media_type=media_type, headers=VARY)


def _version(call: Call, address: Address, packument: Packument, source: str) -> Document:
    """One version, by its number or by a tag."""
    found = {release.version: release for release in releases(packument, source)}
    wanted = address.rest[0]
    tags: dict[str, str] = effective_tags(packument.tags, list(found))
    release = next((one for version, one in found.items() if version in {wanted, tags.get(wanted)}), None)
    if release is None:
        raise VersionNotFound(address.name, wanted)
    body = moved_version(address.name, release, call.request.repository_url)
    return Document(body=body, media_type=FULL_TYPE, headers=VARY)


def _packument(call: Call, name: NpmName) -> Fetched:
    resource = Resource(
        path=f"{INDEX}/{name}.json",
        url=_escaped(name),
        lifetime="mutable",
        accept=FULL_TYPE,
        max_bytes=MAX_PACKUMENT_BYTES,
        media_type=FULL_TYPE,
        check=lambda spooled, _: read_packument(spooled.path.read_bytes(), name),
    )
    return proxy_of(call).fetch(call, resource)


def _read(proxy: Proxy, fetched: Fetched, name: NpmName, use: Callable[[Packument], Document]) -> Document:
    """What becomes of the packument."""
    with _large if fetched.row.size_bytes > LARGE_BYTES else nullcontext():
        return use(read_packument(proxy.read(fetched, MAX_PACKUMENT_BYTES), name))


def _tarballs(call: Call, name: NpmName) -> list[Tarball]:
    """The files of the package, kept apart from the packument, which may be hundreds of times as large."""
    proxy, fetched, documents = proxy_of(call), _packument(call, name), call.services.documents

    def listed(packument: Packument) -> Document:
        body = msgspec.json.encode(tarballs(packument, source_url(fetched)))
        return Document(body=body, media_type=FULL_TYPE)

    def render() -> Document:
        return _read(proxy, fetched, name, listed)

    if documents is None:
        body = render().body
    else:
        source = hashlib.sha256(source_url(fetched).encode()).hexdigest()
        body = documents.get(call.content, "tarballs", f"{name} {fetched.row.sha256} {source}", 0, render).body
    return msgspec.json.decode(body, type=list[Tarball])


def _tarball(name: NpmName, file: Tarball) -> Resource:
    return Resource(
        path=artifact_path(name, tarball_name(name, file.version)),
        url=file.url,
        lifetime="immutable",
        digests=file.digests,
        algorithms=ALGORITHMS,
        media_type="application/octet-stream",
        package=name,
        name=name,
        version=file.version,
    )


def _keys() -> Resource:
    return _said(f"{INDEX}/-/keys.json", "-/npm/v1/keys", read_keys)


def _said(path: str, url: str, check: Callable[[bytes], object]) -> Resource:
    """Something that an upstream says of itself or of a version, and hardly ever changes."""
    return Resource(
        path=path,
        url=url,
        lifetime="mutable",
        ttl_seconds=_KEYS_SECONDS,
        accept=FULL_TYPE,
        max_bytes=_MAX_ANSWER_BYTES,
        media_type=FULL_TYPE,
        check=lambda spooled, _: check(spooled.path.read_bytes()),
    )


def _escaped(name: NpmName) -> str:
    """A scoped name is one segment at every registry."""
    return quote(name, safe="@~!*'()")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
