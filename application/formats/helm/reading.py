"""What chart clients read: the index, the files, and what the API tells of charts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import datetime

from application.catalogue import TREE_SCOPE
from application.formats.helm.charts import asked_row, asked_rows, every_entry
from application.formats.helm.dialect import JSON_TYPE, ChartNotFound, answer_json
from application.formats.helm.index import (
    INDEX_TYPE,
    Entry,
    render_charts,
    render_index,
    render_version,
    render_versions,
)
from application.formats.helm.metadata import TEMPLATES, VALUES, read_files
from application.formats.helm.names import ARCHIVE, FOLDER, PROVENANCE, best
from application.formats.helm.publishing import HUB_FILE
from application.formats.helm.stored import index_entries
from application.wire import Answer, AnyAnswer, Call, Document, DocumentKey, File, Request
from application.yaml_reader import parse_typed_yaml
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid, NotFound

MAX_TEMPLATE_BYTES = 5 << 20
MAX_TEMPLATES_BYTES = 16 << 20
_SPOKEN_VERSION = "v0.16.0"
"""Of ChartMuseum, whose API this is."""


# keys of documents


def index_key(request: Request) -> DocumentKey:
    """Of the index: it tells of everything."""
    return DocumentKey(TREE_SCOPE, "index.yaml")


def file_key(request: Request) -> DocumentKey | None:
    """Of a chart or its provenance; small ones are held in memory. None for the name of a chart."""
    name = request.segments[-1]
    return DocumentKey(TREE_SCOPE, f"file {name}", shared=False) if is_file(name) else None


# handlers


def get_index(call: Call) -> Document:
    """GET index.yaml."""
    body = render_index(every_entry(call), _changed_at(call))
    return Document(body=body, media_type=INDEX_TYPE)


def get_file(call: Call) -> AnyAnswer:
    """GET charts/{name}: a file; or, where the API has the same address, what is told of the chart."""
    name = call.params["name"]
    return stored_file(call, FOLDER + name) if is_file(name) else get_versions(call)


def get_hub_file(call: Call) -> File:
    """GET artifacthub-repo.yml."""
    return stored_file(call, HUB_FILE)


def list_charts(call: Call) -> Answer:
    """GET api/charts: some charts by the order of their names, all versions of each."""
    return told_charts(call, every_entry(call))


def get_versions(call: Call) -> Answer:
    """GET api/charts/{name}."""
    return told_versions(call, index_entries(asked_rows(call).values(), call.services.blobs))


def get_version(call: Call) -> Answer:
    """GET api/charts/{name}/{version}."""
    return told_version(call, index_entries(asked_rows(call).values(), call.services.blobs))


def get_values(call: Call) -> Answer:
    """GET api/charts/{name}/{version}/values: the defaults of a chart, as they are in it."""
    values = _read(call, lambda path: path == (VALUES,)).get((VALUES,))
    if values is None:
        raise NotFound("the chart has no values.yaml")
    return Answer(body=values, media_type=INDEX_TYPE)


def get_templates(call: Call) -> Answer:
    """GET api/charts/{name}/{version}/templates: the templates of a chart, and its defaults."""
    files = _read(call, lambda path: path[0] == TEMPLATES or path == (VALUES,))
    values = parse_typed_yaml(files.pop((VALUES,), b""), VALUES)
    templates = [{"name": "/".join(path), "data": b64encode(files[path]).decode()} for path in sorted(files)]
    return answer_json({"templates": templates, "values": values if isinstance(values, dict) else {}})


def get_info(call: Call) -> Answer:
    """GET info: of which API this is a version."""
    return answer_json({"version": _SPOKEN_VERSION})


def get_health(call: Call) -> Answer:
    """GET health: who is answered is answered by a healthy one."""
    return answer_json({"healthy": True})


# what is told, whoever has it


def told_charts(call: Call, entries: Iterable[Entry]) -> Answer:
    """Some of these charts, as the query says."""
    limit = _number(call, "limit", None, 1)
    return _json(render_charts(entries, _number(call, "offset", 0, 0) or 0, limit))


def told_versions(call: Call, entries: Iterable[Entry]) -> Answer:
    """Those of the chart that is asked for. Raises ChartNotFound."""
    return _json(render_versions(_named(call, entries)))


def told_version(call: Call, entries: Iterable[Entry]) -> Answer:
    """The one that is asked for: a version, `latest`, or the best that a constraint admits. Raises ChartNotFound."""
    found = {entry.version: entry for entry in _named(call, entries)}
    version = best(found, call.params["version"])
    if version is None:
        raise ChartNotFound
    return _json(render_version(found[version]))


def is_file(name: str) -> bool:
    """Whether the last segment of an address is a file's, and not the name of a chart."""
    return name.endswith((ARCHIVE, ARCHIVE + PROVENANCE))


def _named(call: Call, entries: Iterable[Entry]) -> list[Entry]:
    found = [entry for entry in entries if entry.name == call.params["name"]]
    if not found:
        raise ChartNotFound
    return found


# steps


def stored_file(call: Call, path: str) -> File:
    """What is at a path of the repository. Raises ArtifactNotFound."""
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        raise ArtifactNotFound(path)
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        filename=row.filename,
        last_modified=row.published_at,
        artifact=row.id,
    )


def _read(call: Call, wanted: Callable[[tuple[str, ...]], bool]) -> dict[tuple[str, ...], bytes]:
    row = asked_row(call)
    with call.services.blobs.open(row.sha256) as file:
        return read_files(file, wanted, MAX_TEMPLATE_BYTES, MAX_TEMPLATES_BYTES).files


def _changed_at(call: Call) -> datetime:
    """When what is told here last changed: the time of the revision, which is where a document is read."""
    if not call.at or call.services.recorded_at is None:
        return call.repository.created_at
    return call.services.recorded_at(call.at)


def _json(body: bytes) -> Answer:
    return Answer(body=body, media_type=JSON_TYPE)


def _number(call: Call, name: str, default: int | None, least: int) -> int | None:
    text = call.request.query_value(name)
    if not text and name not in dict(call.request.query):
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise Invalid(f"{name} is a number, at least {least}")
    return int(text)
