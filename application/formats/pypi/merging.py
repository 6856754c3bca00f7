"""The pages of several indexes as one. Members are asked for JSON, which says everything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.catalogue import Catalogue
from application.formats.pypi.index import ProjectPage, project_html, project_json, projects_html, projects_json
from application.formats.pypi.names import PypiName, normalise
from application.formats.pypi.negotiation import HTML, JSON_V1, choose
from application.formats.pypi.upstream import read_names, read_page
from application.kinds import Part
from application.wire import Call, Document, Merge, Request

_VARY = (("vary", "Accept"),)


def _in_json(request: Request) -> Request:
    query = tuple(pair for pair in request.query if pair[0] != "format")
    return msgspec.structs.replace(request, headers={**request.headers, "accept": JSON_V1}, query=query)


def _projects(call: Call, documents: Sequence[Document]) -> Document:
    names = {normalise(name) for document in documents for name in read_names(document.body, JSON_V1)}
    media_type = _chosen(call)
    body = projects_json(names) if media_type == JSON_V1 else projects_html(names)
    return _document(body, media_type)


def _project(call: Call, documents: Sequence[Document]) -> Document:
    """Every file once, the first member's; what is said of the project as a whole is the first member's too."""
    name = normalise(call.params["project"])
    pages = [read_page(document.body, JSON_V1, call.request.repository_url, name).page for document in documents]
    media_type = _chosen(call)
    page = _joined(name, pages)
    return _document(project_json(page) if media_type == JSON_V1 else project_html(page), media_type)


def _joined(name: PypiName, pages: Sequence[ProjectPage]) -> ProjectPage:
    files = {entry.filename: entry for page in reversed(pages) for entry in page.files}
    return ProjectPage(
        name=name,
        files=tuple(files.values()),
        versions=tuple(version for page in pages for version in page.versions),
        status=pages[0].status,
        status_reason=pages[0].status_reason,
    )


def _chosen(call: Call) -> str:
    return choose(call.request.headers.get("accept"), call.request.query_value("format")) or HTML


def _document(body: bytes, media_type: str) -> Document:
    charset = "" if media_type == JSON_V1 else "; charset=utf-8"
    return Document(body=body, media_type=media_type + charset, headers=_VARY)


def shares(catalogue: Catalogue, part: Part, package: str) -> bool:
    """Whether the owners of a hosted project said that it is tracked elsewhere too (PEP 708)."""
    mark = catalogue.marks(part.content, package, "locations", part.at).get("locations")
    return bool(mark) and bool(msgspec.json.decode(mark or "[[],[]]", type=tuple[list[str], list[str]])[0])


PROJECTS = Merge(combine=_projects, ask=_in_json)
PROJECT = Merge(combine=_project, ask=_in_json)
