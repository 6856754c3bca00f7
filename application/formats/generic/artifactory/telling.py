"""What is there: bytes, what there is to say of files and directories, lists of files, and properties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from application.catalogue import ArtifactRow, Child
from application.formats.generic import reading
from application.formats.generic.addresses import address_of, count_of, flag, has
from application.formats.generic.artifactory.documents import (
    FILE,
    FILE_LIST,
    FOLDER,
    PROPERTIES,
    STATISTICS,
    People,
    addresses_of,
    answer,
    child_entry,
    file_entry,
    file_info,
    folder_info,
    moment,
    pieces,
)
from application.formats.generic.names import property_names
from application.formats.generic.properties import PropertiesNotFound
from application.services import Services
from application.usage import DownloadStats
from application.wire import Answer, AnyAnswer, Call, Stream
from domain.artifact import ArtifactNotFound

_PAGE = 1_000


def get(call: Call) -> AnyAnswer:
    """GET {repo}/{path}: the bytes, or a page of the directory."""
    return reading.get_listing(call) if address_of(call).folder else reading.get_file(call)


def show(call: Call) -> AnyAnswer:
    """GET api/storage/{repo}/{path}: FileInfo or FolderInfo; `?properties`, `?list`, `?stats`, `?lastModified`."""
    request, path = call.request, address_of(call).path
    row = call.services.catalogue.artifact(call.content, path, call.at) if path else None
    if has(request, "properties"):
        return _properties(call, row, path)
    if has(request, "stats"):
        return _statistics(call, row, path)
    if has(request, "list"):
        return _list(call, path)
    if has(request, "lastModified"):
        return _last_modified(call, row, path)
    return file_answer(call, row) if row is not None else _folder(call, path)


def file_answer(call: Call, row: ArtifactRow, status: int = 200) -> Answer:
    """FileInfo of an artifact."""
    first = next(reversed(call.services.finder.revisions(row.id, call.at)), row)
    people = people_of(call.services, [row, first])
    info = file_info(row, first, call.repository.key, addresses_of(call.request), people)
    return answer(info, FILE, status)


def people_of(services: Services, rows: Iterable[ArtifactRow]) -> People:
    """Names of those who published these."""
    if services.directory is None:
        return People({})
    return People(services.directory.usernames({row.published_by for row in rows if row.published_by is not None}))


def _folder(call: Call, path: str) -> Stream:
    directory, catalogue = f"{path}/" if path else "", call.services.catalogue

    def page(after: str) -> list[Child]:
        return catalogue.children(call.content, directory, call.at, after=after, limit=_PAGE)

    def entries(children: list[Child]) -> Iterator[dict[str, object]]:
        while children:
            yield from map(child_entry, children)
            children = page(children[-1].key)

    first = page("")
    if not first and path:
        raise ArtifactNotFound(path)
    info = folder_info(path, call.repository, addresses_of(call.request))
    return Stream(chunks=pieces(info, "children", entries(first)), media_type=FOLDER)


def _list(call: Call, path: str) -> Stream:
    """All files below a directory, with `deep=1`, or `depth` levels of them; otherwise those that are in it."""
    directory, catalogue = f"{path}/" if path else "", call.services.catalogue
    depth = count_of(call.request, "depth", 1 << 20, 1 << 20) if flag(call.request, "deep") else 1

    def page(after: str) -> list[ArtifactRow]:
        return catalogue.artifacts_below(call.content, directory, call.at, after=after, limit=_PAGE)

    def entries(rows: list[ArtifactRow]) -> Iterator[dict[str, object]]:
        while rows:
            for row in rows:
                below = row.path[len(directory) :]
                if below.count("/") < depth:
                    yield file_entry(row, below)
            rows = page(rows[-1].path)

    first = page("")
    if not first and path:
        raise ArtifactNotFound(path)
    head: dict[str, object] = {"uri": addresses_of(call.request).storage(path), "created": moment(datetime.now(UTC))}
    return Stream(chunks=pieces(head, "files", entries(first)), media_type=FILE_LIST)


def _last_modified(call: Call, row: ArtifactRow | None, path: str) -> Answer:
    """The file itself or, of a directory, the one that changed last."""
    last, after = row, ""
    directory = f"{path}/" if path else ""
    while row is None:
        page = call.services.catalogue.artifacts_below(call.content, directory, call.at, after=after, limit=_PAGE)
        if not page:
            break
        last = max([*page, *([last] if last else [])], key=lambda found: found.published_at)
        after = page[-1].path
    if last is None:
        raise ArtifactNotFound(path)
    uri = addresses_of(call.request).storage(last.path)
    return answer({"uri": uri, "lastModified": moment(last.published_at)})


def _statistics(call: Call, row: ArtifactRow | None, path: str) -> Answer:
    if row is None:
        raise ArtifactNotFound(path)
    usage = call.services.usage
    stats = usage.stats(row.id) if usage is not None else DownloadStats()
    document = {
        "uri": addresses_of(call.request).download(row.path),
        "downloadCount": stats.count,
        "lastDownloaded": int(stats.last_at.timestamp() * 1000) if stats.last_at else 0,
        "remoteDownloadCount": 0,
        "remoteLastDownloaded": 0,
    }
    return answer(document, STATISTICS)


def _properties(call: Call, row: ArtifactRow | None, path: str) -> Answer:
    """Directories have none, and say so as files without any do."""
    if row is None:
        if path and not call.services.catalogue.children(call.content, f"{path}/", call.at, limit=1):
            raise ArtifactNotFound(path)
        raise PropertiesNotFound(path)
    names = property_names(call.request.query_value("properties"))
    shown = {key: values for key, values in row.properties.items() if not names or key in names}
    if not shown:
        raise PropertiesNotFound(path)
    return answer({"uri": addresses_of(call.request).storage(path), "properties": shown}, PROPERTIES)
