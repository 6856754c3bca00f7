"""Another registry, shown as our own: its lines as they are, at our addresses; its crates as its index vouches for."""

from __future__ import annotations

from urllib.parse import urlencode

from application.formats.cargo.crates import CrateNotFound, VersionNotFound, asked_key
from application.formats.cargo.index import INDEX_TYPE, SearchHit
from application.formats.cargo.names import CrateKey, CrateVersion, VersionInvalid, index_path, parse_version
from application.formats.cargo.publishing import MEDIA_TYPE
from application.formats.cargo.reading import indexed_key
from application.formats.cargo.stored import encode_told
from application.formats.cargo.upstream import (
    SearchMalformed,
    UpstreamConfig,
    UpstreamLine,
    crate_url,
    read_config,
    read_lines,
    read_search,
)
from application.proxying.ageing import gate_key, is_held_back, require_age
from application.proxying.asking import host_of
from application.proxying.ports import UpstreamLied
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call, Document
from domain.errors import NotFound
from domain.upstream import Upstream

INDEX = ".index"
"""Where what an upstream says is kept, apart from its crates."""

_CONFIG_SECONDS = 3600
_MAX_CONFIG_BYTES = 64 << 10
_MAX_INDEX_BYTES = 32 << 20


def get_index(call: Call) -> AnyAnswer:
    """GET {prefix}/{name}: the lines of the upstream; without those that are held back."""
    key = indexed_key(call.request)
    if key is None:
        raise NotFound("no such address in this repository")
    upstream, fetched = upstream_of(call), _index(call, key)

    def render() -> Document:
        lines = _shown(upstream, _read(call, fetched, key))
        if not lines:
            raise CrateNotFound(key)
        return Document(body=b"".join(line.raw + b"\n" for line in lines), media_type=INDEX_TYPE)

    return proxy_of(call).document([fetched], f"index {key} {gate_key(upstream)}", render)


def get_crate(call: Call) -> AnyAnswer:
    """GET api/v1/crates/{name}/{version}/download."""
    key, version = _asked(call)
    proxy, upstream, path = proxy_of(call), upstream_of(call), _path(key, version)
    if call.at is not None or not upstream.age_gate.enabled:
        row = call.services.catalogue.artifact(call.content, path, call.at)
        if row is not None:
            return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    lines = _read(call, _index(call, key), key)
    line = next((line for line in lines if line.version == version), None)
    if line is None:
        raise VersionNotFound(call.params["name"], version)
    require_age(upstream, f"{line.name} {version}", line.published_at)
    return proxy.file(call, _crate(_config(call), line, key, path))


def find(call: Call, text: str, per_page: int, page: int) -> tuple[list[SearchHit], int]:
    """What the upstream's own search finds. Raises NotFound when it has none."""
    config = _config(call)
    if config.api is None:
        raise NotFound("the upstream has no search")
    query = urlencode({"q": text, "per_page": per_page, "page": page})
    resource = Resource(
        path="search",
        url=f"{config.api}/api/v1/crates?{query}",
        lifetime="mutable",
        accept="application/json",
        bare_token=True,
    )
    try:
        return read_search(proxy_of(call).passed(call, resource))
    except SearchMalformed as fault:
        raise UpstreamLied(host_of(config.api), "search", str(fault)) from None


# steps


def _asked(call: Call) -> tuple[CrateKey, CrateVersion]:
    name, version = call.params["name"], call.params["version"]
    try:
        return asked_key(name), parse_version(version)
    except VersionInvalid:
        raise VersionNotFound(name, version) from None


def _path(key: CrateKey, version: CrateVersion) -> str:
    """As for crates that are published here, but with build metadata: an upstream may have both."""
    return f"{key}/{version}/{key}-{version}.crate"


def _config(call: Call) -> UpstreamConfig:
    resource = Resource(
        path=f"{INDEX}/config.json",
        url="config.json",
        lifetime="mutable",
        index=True,
        ttl_seconds=_CONFIG_SECONDS,
        max_bytes=_MAX_CONFIG_BYTES,
        media_type="application/json",
        check=lambda spooled, _: read_config(spooled.path.read_bytes()),
        bare_token=True,
    )
    proxy = proxy_of(call)
    return read_config(proxy.read(proxy.fetch(call, resource)))


def _index(call: Call, key: CrateKey) -> Fetched:
    place = "/".join(index_path(key))
    resource = Resource(
        path=f"{INDEX}/{place}",
        url=place,
        lifetime="mutable",
        index=True,
        max_bytes=_MAX_INDEX_BYTES,
        media_type=INDEX_TYPE,
        check=lambda spooled, _: read_lines(spooled.path.read_bytes(), key),
        bare_token=True,
    )
    return proxy_of(call).fetch(call, resource)


def _crate(config: UpstreamConfig, line: UpstreamLine, key: CrateKey, path: str) -> Resource:
    return Resource(
        path=path,
        url=crate_url(config, line),
        lifetime="immutable",
        digests={"sha256": line.sha256},
        media_type=MEDIA_TYPE,
        package=key,
        name=line.name,
        version=line.version,
        metadata=encode_told(line),
        bare_token=True,
    )


def _read(call: Call, fetched: Fetched, key: CrateKey) -> list[UpstreamLine]:
    return read_lines(proxy_of(call).read(fetched), key)


def _shown(upstream: Upstream, lines: list[UpstreamLine]) -> list[UpstreamLine]:
    return [line for line in lines if not is_held_back(upstream, line.published_at)]
