"""The addresses of a Python index, and how pages and files are answered; changes are in `changes`.

Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/ (pages and files),
the API pages in the documentation of the public index (upload and JSON).
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from application.catalogue import PACKAGES_SCOPE, ArtifactRow, package_scope
from application.formats.pypi import merging, remote
from application.formats.pypi.changes import (
    delete_file,
    delete_release,
    set_locations,
    set_status,
    unyank,
    upload,
    yank,
)
from application.formats.pypi.core_metadata import CoreMetadata, parse_core_metadata
from application.formats.pypi.facts import METADATA_ROLE, PKG_INFO_ROLE, PROVENANCE_ROLE, SIGNATURE_ROLE
from application.formats.pypi.index import project_html, project_json, projects_html, projects_json
from application.formats.pypi.legacy_json import Release, project_document
from application.formats.pypi.limits import MAX_METADATA_BYTES
from application.formats.pypi.names import NameInvalid, PypiName, normalise
from application.formats.pypi.negotiation import JSON_V1, OFFERED, choose
from application.formats.pypi.pages import (
    latest_rows,
    load_project,
    project_page,
    release_files,
    release_rows,
    require_name,
)
from application.formats.pypi.uploads import ALGORITHMS, path_of
from application.wire import Answer, Body, Call, Document, DocumentKey, File, Request, Route
from domain.errors import NotFound

_VARY = (("vary", "Accept"),)
_MAX_REASON_BYTES = 4_096
_MAX_STATUS_BYTES = 8_192
_MAX_LOCATIONS_BYTES = 131_072
_SIDE_FILES = {
    ".metadata": (METADATA_ROLE, "text/plain; charset=utf-8"),
    ".asc": (SIGNATURE_ROLE, "application/pgp-signature"),
    ".provenance": (PROVENANCE_ROLE, "application/vnd.pypi.integrity.v1+json"),
}


# keys of documents


def _projects_key(request: Request) -> DocumentKey | None:
    media_type = _chosen(request)
    return DocumentKey(PACKAGES_SCOPE, f"simple {media_type}") if media_type else None


def _project_key(request: Request) -> DocumentKey | None:
    media_type, name = _chosen(request), _normal(request.params["project"])
    if media_type is None or name != request.params["project"]:
        return None
    return DocumentKey(package_scope(name), f"simple {media_type} {_page_url(request, name) or ''}")


def _file_key(request: Request) -> DocumentKey | None:
    name = _normal(request.params["project"])
    return DocumentKey(package_scope(name), f"file {request.params['filename']}") if name else None


def _json_key(request: Request) -> DocumentKey | None:
    name = _normal(request.params["project"])
    if name is None or name != request.params["project"]:
        return None
    return DocumentKey(package_scope(name), f"json {request.params.get('version', '')} {request.repository_url}")


def _package(request: Request) -> str | None:
    return _normal(request.params["project"])


def _chosen(request: Request) -> str | None:
    return choose(request.headers.get("accept"), request.query_value("format"))


def _normal(text: str) -> PypiName | None:
    try:
        return normalise(text)
    except NameInvalid:
        return None


def _page_url(request: Request, name: str) -> str | None:
    # Only provenance files are named by an absolute address, and only over https: other pages do not depend on it.
    return f"{request.repository_url}/simple/{name}/" if request.base_url.startswith("https://") else None


# pages


def list_projects(call: Call) -> Answer | Document:
    """GET simple/: every project."""
    media_type = _chosen(call.request)
    if media_type is None:
        return _not_acceptable()
    names = [PypiName(row.package) for row in call.services.catalogue.packages(call.content, call.at)]
    body = projects_json(names) if media_type == JSON_V1 else projects_html(names)
    return Document(body=body, media_type=_with_charset(media_type), headers=_VARY)


def show_project(call: Call) -> Answer | Document:
    """GET simple/{project}/: its files."""
    media_type, name = _chosen(call.request), require_name(call)
    if name != call.params["project"]:
        return _moved(call.request, f"../{name}/")
    if media_type is None:
        return _not_acceptable()
    page = project_page(load_project(call, name), _page_url(call.request, name))
    body = project_json(page) if media_type == JSON_V1 else project_html(page)
    return Document(body=body, media_type=_with_charset(media_type), headers=_VARY)


def add_slash(call: Call) -> Answer:
    """GET simple, simple/{project}: the page is at the address with the slash."""
    project = call.params.get("project")
    return _moved(call.request, f"{require_name(call)}/" if project else "simple/")


def show_json(call: Call) -> Answer | Document:
    """GET pypi/{project}[/{version}]/json: the document of the public index, for audit and update tools."""
    name = require_name(call)
    version = call.params.get("version")
    if name != call.params["project"]:
        return _moved(call.request, f"../../{name}/{quote(version)}/json" if version else f"../{name}/json")
    project = load_project(call, name)
    rows = release_rows(project, version) if version else latest_rows(project)
    release = Release(name=name, fields=_metadata(call, rows), files=release_files(project), last_serial=call.at or 0)
    files_url = f"{call.request.repository_url}/simple/{name}/"
    body = project_document(release, files_url, all_releases=version is None)
    return Document(body=body, media_type="application/json")


# files


def get_file(call: Call) -> File:
    """GET simple/{project}/{filename}, and the metadata, signature and provenance beside it."""
    name, filename = require_name(call), call.params["filename"]
    row = call.services.catalogue.artifact(call.content, path_of(name, filename), call.at)
    if row is not None:
        return File(
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            media_type=row.media_type,
            filename=row.filename,
            last_modified=row.published_at,
            artifact=row.id,
            immutable=_immutable(call),
            redirectable=False,  # clients that read a part of a wheel, older ones too, lose the range on the way
        )
    for suffix, (role, media_type) in _SIDE_FILES.items():
        if filename.endswith(suffix):
            return _side_file(call, path_of(name, filename.removesuffix(suffix)), role, media_type)
    raise NotFound(f"{filename} not found")


def _side_file(call: Call, path: str, role: str, media_type: str) -> File:
    row = call.services.catalogue.artifact(call.content, path, call.at)
    sha256 = row.blobs.get(role) if row is not None else None
    if row is None or sha256 is None:
        raise NotFound(f"{row.filename if row else path.rpartition('/')[2]} has no {role}")
    size_bytes = call.services.blobs.size(sha256)
    return File(
        sha256=sha256,
        size_bytes=size_bytes,
        media_type=media_type,
        last_modified=row.published_at,
        immutable=_immutable(call),
    )


def _immutable(call: Call) -> bool:
    """Whether a name means the same bytes for ever: unless the repository was set to let files be replaced."""
    settings = call.repository.settings
    return settings.overwrite != "allow" and not settings.versioning_enabled


def _metadata(call: Call, rows: list[ArtifactRow]) -> CoreMetadata:
    """What the metadata file of a release says; of its wheel rather than of its sdist."""
    for row in sorted(rows, key=lambda row: not row.path.endswith(".whl")):
        sha256 = row.blobs.get(METADATA_ROLE) or row.blobs.get(PKG_INFO_ROLE)
        if sha256 is None:
            continue
        with call.services.blobs.open(sha256) as file:
            fields, _ = parse_core_metadata(file.read(MAX_METADATA_BYTES), row.filename)
        if fields is not None:
            return fields
    return CoreMetadata(metadata_version="1.0", name=rows[0].name, version=rows[0].version)


def _with_charset(media_type: str) -> str:
    return media_type if media_type == JSON_V1 else f"{media_type}; charset=utf-8"


def _moved(request: Request, reference: str) -> Answer:
    """To an address relative to the one that was asked, which holds behind any proxy."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    return Answer(status=301, headers=(("location", reference + query),))


def _not_acceptable() -> Answer:
    offered = ", ".join(OFFERED)
    return Answer(status=406, body=f"This page exists as {offered}.\n".encode(), headers=_VARY)


_FORM = Body(kind="form", algorithms=ALGORITHMS)
_STATUS = Body(kind="text", max_bytes=_MAX_STATUS_BYTES)
_LOCATIONS = Body(kind="text", max_bytes=_MAX_LOCATIONS_BYTES)
_REASON = Body(kind="text", max_bytes=_MAX_REASON_BYTES)

ROUTES = (
    Route(
        method="GET",
        pattern="/simple/",
        needs="read",
        handler=list_projects,
        document=_projects_key,
        remote=remote.list_projects,
        merge=merging.PROJECTS,
    ),
    Route(
        method="GET",
        pattern="/simple/{project}/",
        needs="read",
        handler=show_project,
        document=_project_key,
        remote=remote.show_project,
        merge=merging.PROJECT,
        package=_package,
    ),
    Route(
        method="GET",
        pattern="/simple/{project}/{filename}",
        needs="read",
        handler=get_file,
        document=_file_key,
        remote=remote.get_file,
        package=_package,
    ),
    Route(method="GET", pattern="/simple", needs="read", handler=add_slash, remote=add_slash),
    Route(method="GET", pattern="/simple/{project}", needs="read", handler=add_slash, remote=add_slash),
    *(
        Route(
            method="GET",
            pattern=pattern,
            needs="read",
            handler=show_json,
            document=_json_key,
            remote=remote.show_json,
            package=_package,
        )
        for pattern in ("/pypi/{project}/json", "/pypi/{project}/{version}/json")
    ),
    Route(method="POST", pattern="/", needs="write", handler=upload, body=_FORM),
    Route(method="POST", pattern="/legacy", needs="write", handler=upload, body=_FORM),
    Route(method="POST", pattern="/legacy/", needs="write", handler=upload, body=_FORM),
    # No client has a protocol for these; they are ours.
    Route(method="PUT", pattern="/pypi/{project}/{version}/yank", needs="write", handler=yank, body=_REASON),
    Route(method="PUT", pattern="/pypi/{project}/status", needs="admin", handler=set_status, body=_STATUS),
    Route(method="PUT", pattern="/pypi/{project}/locations", needs="admin", handler=set_locations, body=_LOCATIONS),
    Route(method="DELETE", pattern="/pypi/{project}/{version}/yank", needs="write", handler=unyank),
    Route(method="DELETE", pattern="/pypi/{project}/{version}", needs="delete", handler=delete_release),
    Route(method="DELETE", pattern="/simple/{project}/{filename}", needs="delete", handler=delete_file),
)
