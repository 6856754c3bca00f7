"""Pages and files of another index, shown as our own: relative addresses, checked digests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from application.formats.pypi.index import project_html, project_json, projects_html, projects_json
from application.formats.pypi.limits import MAX_METADATA_BYTES
from application.formats.pypi.names import NameInvalid, PypiName, normalise
from application.formats.pypi.negotiation import HTML, JSON_V1, choose
from application.formats.pypi.pages import require_name
from application.formats.pypi.uploads import media_type_of, path_of
from application.formats.pypi.upstream import UpstreamFile, UpstreamPage, read_names, read_page, without
from application.proxying.ageing import gate_key, is_held_back, require_age
from application.proxying.proxy import Fetched, proxy_of, source_url, upstream_of
from application.proxying.resources import Resource
from application.wire import Answer, AnyAnswer, Call, Document
from domain.errors import NotFound
from domain.upstream import Upstream

INDEX = ".index"
"""Where what an upstream says is kept, apart from its files."""

_ACCEPT = f"{JSON_V1}, application/vnd.pypi.simple.v1+html;q=0.2, {HTML};q=0.01"
_MAX_PAGE_BYTES = 128 << 20
_VARY = (("vary", "Accept"),)
_METADATA = ".metadata"


def list_projects(call: Call) -> AnyAnswer:
    """GET simple/: every project of the upstream."""
    media_type = _chosen(call)
    proxy, fetched = proxy_of(call), _fetch(call, f"{INDEX}/simple.json", "", read_names)

    def render() -> Document:
        names = read_names(proxy.read(fetched), fetched.row.media_type)
        body = projects_json(names) if media_type == JSON_V1 else projects_html(_normal(names))
        return Document(body=body, media_type=_with_charset(media_type), headers=_VARY)

    return proxy.document([fetched], f"simple {media_type}", render)


def show_project(call: Call) -> AnyAnswer:
    """GET simple/{project}/: its files."""
    media_type, name = _chosen(call), require_name(call)
    if name != call.params["project"]:
        return Answer(status=301, headers=(("location", f"../{name}/"),))
    upstream, fetched = upstream_of(call), _page(call, name)

    def render() -> Document:
        page = _shown(upstream, _read(call, fetched, name)).page
        body = project_json(page) if media_type == JSON_V1 else project_html(page)
        return Document(body=body, media_type=_with_charset(media_type), headers=_VARY)

    return proxy_of(call).document([fetched], f"simple {media_type} {name} {gate_key(upstream)}", render)


def show_json(call: Call) -> AnyAnswer:
    """GET pypi/{project}[/{version}]/json: the upstream's document, its files at our addresses."""
    name, version = require_name(call), call.params.get("version")
    tail = f"{name}/{version}/json" if version else f"{name}/json"
    resource = Resource(path=f"{INDEX}/pypi/{tail}", url=f"pypi/{tail}", lifetime="mutable", max_bytes=_MAX_PAGE_BYTES)
    proxy = proxy_of(call)
    fetched = proxy.fetch(call, resource)

    def render() -> Document:
        try:
            document = msgspec.json.decode(proxy.read(fetched))
        except (msgspec.DecodeError, RecursionError) as error:
            raise NotFound(f"the upstream has no JSON document of {name}") from error
        _move_files(document, f"{call.request.repository_url}/simple/{name}/")
        return Document(body=msgspec.json.encode(document), media_type="application/json")

    return proxy.document([fetched], f"json {tail} {call.request.repository_url}", render)


def get_file(call: Call) -> AnyAnswer:
    """GET simple/{project}/{filename}, and its metadata beside it."""
    name, filename = require_name(call), call.params["filename"]
    is_metadata = filename.endswith(_METADATA)
    wanted = filename.removesuffix(_METADATA)
    proxy, path = proxy_of(call), path_of(name, filename)
    upstream = upstream_of(call)
    if call.at is not None or not upstream.age_gate.enabled:
        row = call.services.catalogue.artifact(call.content, path, call.at)
        if row is not None:
            return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    file = _read(call, _page(call, name), name).files.get(wanted)
    if file is None or (is_metadata and file.entry.core_metadata_sha256 is None):
        raise NotFound(f"{filename} not found")
    require_age(upstream, wanted, file.entry.upload_time)
    return proxy.file(call, _metadata(file, path) if is_metadata else _file(file, path, name))


def _file(file: UpstreamFile, path: str, name: PypiName) -> Resource:
    return Resource(
        path=path,
        url=file.url,
        lifetime="immutable",
        digests=file.hashes,
        size_bytes=file.entry.size_bytes,
        media_type=media_type_of(file.entry.filename),
        package=name,
        name=name,
        version=file.entry.version or "",
    )


def _metadata(file: UpstreamFile, path: str) -> Resource:
    return Resource(
        path=path,
        url=file.url + _METADATA,
        lifetime="immutable",
        digests={"sha256": file.entry.core_metadata_sha256 or ""},
        max_bytes=MAX_METADATA_BYTES,
        media_type="text/plain; charset=utf-8",
    )


def _page(call: Call, name: PypiName) -> Fetched:
    def check(body: bytes, media_type: str) -> object:
        return read_page(body, media_type, "", name)

    return _fetch(call, f"{INDEX}/simple/{name}.json", f"{name}/", check)


def _fetch(call: Call, path: str, below: str, check: Callable[[bytes, str], object]) -> Fetched:
    upstream = upstream_of(call)
    url = f"{_root(upstream)}/{below}".lstrip("/")
    resource = Resource(
        path=path,
        url=url,
        lifetime="mutable",
        accept=_ACCEPT,
        index=True,
        max_bytes=_MAX_PAGE_BYTES,
        check=lambda spooled, media_type: check(spooled.path.read_bytes(), media_type),
    )
    return proxy_of(call).fetch(call, resource)


def _root(upstream: Upstream) -> str:
    """Where the simple index is below the upstream's address; many give the address of the index itself."""
    if upstream.index_path or (upstream.index_url or upstream.url).endswith("/simple"):
        return upstream.index_path
    return "simple"


def _read(call: Call, fetched: Fetched, name: PypiName) -> UpstreamPage:
    return read_page(proxy_of(call).read(fetched), fetched.row.media_type, source_url(fetched), name)


def _shown(upstream: Upstream, page: UpstreamPage) -> UpstreamPage:
    held = (entry.filename for entry in page.page.files if is_held_back(upstream, entry.upload_time))
    return without(page, held)


def _chosen(call: Call) -> str:
    return choose(call.request.headers.get("accept"), call.request.query_value("format")) or HTML


def _normal(names: list[str]) -> list[PypiName]:
    found = set()
    for name in names:
        try:
            found.add(normalise(name))
        except NameInvalid:
            continue
    return sorted(found)


def _with_charset(media_type: str) -> str:
    return media_type if media_type == JSON_V1 else f"{media_type}; charset=utf-8"


def _move_files(document: Any, files_url: str) -> None:
    if not isinstance(document, dict):
        return
    releases = document.get("releases")
    groups = [document.get("urls"), *(releases.values() if isinstance(releases, dict) else ())]
    for file in (file for group in groups if isinstance(group, list) for file in group):
        if isinstance(file, dict) and isinstance(file.get("filename"), str):
            file["url"] = files_url + file["filename"]
