"""What concerns no single repository: the server, its repositories, searches over those that the caller may read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from application.catalogue import ArtifactRow, RepositoryRow
from application.finding import ArtifactFilter
from application.formats.generic.artifactory.aql import Query, parse_query
from application.formats.generic.artifactory.documents import (
    CONTEXT,
    VERSION,
    Addresses,
    People,
    answer,
    file_info,
    moment,
)
from application.formats.generic.artifactory.telling import people_of
from application.wire import Answer, ServerCall
from domain.digests import parse_hex_digest
from domain.errors import Invalid, NotFound, TooLarge
from domain.repository import RepositoryNotFound

MAX_RESULTS = 1_000
MAX_SCANNED = 200_000
"""Files that one query may look at; it has to name the repositories that it means."""
MAX_FOUND = 20_000
"""Files that one query may find; it has to say more of those that it means."""

_PAGE = 2_000
_CLASSES = {"remote": "remote", "virtual": "virtual"}
_RESERVED = frozenset({"repos"})
_USUAL = ("repo", "path", "name", "type", "size", "created", "created_by", "modified", "modified_by", "updated")


def ping(call: ServerCall) -> Answer:
    """GET api/system/ping."""
    return Answer(body=b"OK")


def version(call: ServerCall) -> Answer:
    """GET api/system/version."""
    return answer(VERSION, "application/vnd.org.jfrog.artifactory.system.Version+json")


def no_encrypted_password(call: ServerCall) -> Answer:
    """GET api/security/encryptedPassword: passwords are given back to nobody."""
    raise NotFound("passwords are not encrypted here; use an API token")


def list_repositories(call: ServerCall) -> Answer:
    """GET api/repositories."""
    return answer([_repository(call, row) for row in _visible(call)])


def show_repository(call: ServerCall) -> Answer:
    """GET api/repositories/{key}."""
    row = next((row for row in _visible(call) if row.key == call.params["key"]), None)
    if row is None:
        raise RepositoryNotFound(call.params["key"])
    return answer({**_repository(call, row), "rclass": _CLASSES.get(row.kind, "local")})


def find_by_name(call: ServerCall) -> Answer:
    """GET api/search/artifact?name=lib*.jar[&repos=a,b]: a pattern, or a part of the name."""
    name = call.request.query_value("name")
    if not name:
        raise Invalid("name is missing in the query")
    pattern = name if "*" in name or "?" in name else f"*{name}*"
    return _results(call, ArtifactFilter(repositories=_wanted(call), name_glob=pattern))


def find_by_properties(call: ServerCall) -> Answer:
    """GET api/search/prop?k=v&k2=*[&repos=a,b]."""
    wanted = {key: "" if value == "*" else value for key, value in call.request.query if key not in _RESERVED}
    if not wanted:
        raise Invalid("no property is in the query")
    return _results(call, ArtifactFilter(repositories=_wanted(call), properties=wanted))


def find_by_checksum(call: ServerCall) -> Answer:
    """GET api/search/checksum?sha256=…|sha1=…|md5=…[&repos=a,b]."""
    for algorithm in ("sha256", "sha1", "md5"):
        text = call.request.query_value(algorithm)
        if not text:
            continue
        digest = parse_hex_digest(algorithm, text)
        if digest is None:
            raise Invalid(f"{algorithm} is no digest")
        repositories = _wanted(call)
        if algorithm == "sha256":
            return _answer_rows(call, call.services.finder.with_blob(digest, repositories, limit=MAX_RESULTS))
        return _results(call, ArtifactFilter(repositories=repositories, digests={algorithm: digest}))
    raise Invalid("sha256, sha1 or md5 is missing in the query")


def find_by_query(call: ServerCall) -> Answer:
    """POST api/search/aql. The body is the query."""
    query = parse_query(call.text.decode("utf-8", "replace"))
    enough = None if query.limit is None or query.sort else query.offset + query.limit
    found = list(islice(_fitting(call, query), enough))
    for field in reversed(query.sort):
        found.sort(key=lambda item: item[field], reverse=query.descending)
    end = None if query.limit is None else query.offset + query.limit
    shown = [_shown(item, query) for item in found[query.offset : end]]
    span: dict[str, int] = {"start_pos": query.offset, "end_pos": query.offset + len(shown), "total": len(shown)}
    if query.limit is not None:
        span["limit"] = query.limit
    return answer({"results": shown, "range": span})


def _fitting(call: ServerCall, query: Query) -> Iterator[dict[str, Any]]:
    """Files that fit, one page of those that may fit after the other. Raises TooLarge."""
    wanted = {row.id: row.key for row in _visible(call) if query.repositories is None or row.key in query.repositories}
    after: tuple[UUID, str] | None = None
    scanned = found = 0
    while page := call.services.finder.find(ArtifactFilter(repositories=list(wanted)), after=after, limit=_PAGE):
        people = people_of(call.services, page)
        for item in (_item(row, wanted[row.repository], people) for row in page):
            if query.condition(item):
                found += 1
                yield item
        scanned += len(page)
        if scanned > MAX_SCANNED or found > MAX_FOUND:
            raise TooLarge(f"the query looks at more than {MAX_SCANNED} files or finds more than {MAX_FOUND}")
        after = (page[-1].repository, page[-1].path)


def _item(row: ArtifactRow, key: str, people: People) -> dict[str, Any]:
    """Every field that a query can name."""
    directory, _, name = row.path.rpartition("/")
    md5, sha1 = row.digests.get("md5", ""), row.digests.get("sha1", "")
    published, by = moment(row.published_at), people.name(row.published_by)
    return {
        "repo": key,
        "path": directory or ".",
        "name": name,
        "type": "file",
        "size": row.size_bytes,
        "depth": row.path.count("/") + 1,
        "created": published,
        "created_by": by,
        "modified": published,
        "modified_by": by,
        "updated": published,
        "sha256": row.sha256,
        "actual_md5": md5,
        "actual_sha1": sha1,
        "original_md5": md5,
        "original_sha1": sha1,
        "properties": row.properties,
    }


def _shown(item: dict[str, Any], query: Query) -> dict[str, Any]:
    """The fields that a query asks for. Clients tell nothing from no properties by their absence."""
    names: Iterable[str] = [name for name in query.include if name in item and name != "properties"] or _USUAL
    if "*" in query.include:
        names = [name for name in item if name != "properties"]
    shown = {name: item[name] for name in names}
    if any(name == "*" or name.startswith(("property", "@")) for name in query.include):
        pairs = [{"key": key, "value": value} for key, values in item["properties"].items() for value in values]
        if pairs:
            shown["properties"] = pairs
    return shown


def _results(call: ServerCall, wanted: ArtifactFilter) -> Answer:
    return _answer_rows(call, call.services.finder.find(wanted, limit=MAX_RESULTS))


def _answer_rows(call: ServerCall, rows: list[ArtifactRow]) -> Answer:
    keys = {row.id: row.key for row in _visible(call)}
    detailed = "info" in call.request.headers.get("x-result-detail", "")
    people = people_of(call.services, rows) if detailed else People({})
    results = []
    for row in rows:
        key = keys.get(row.repository, "")
        addresses = Addresses(call.request.base_url, key)
        result: dict[str, object] = {"uri": addresses.storage(row.path)}
        if detailed:
            result |= file_info(row, row, key, addresses, people)
        results.append(result)
    return answer({"results": results})


def _wanted(call: ServerCall) -> list[UUID]:
    keys = {key for key in call.request.query_value("repos").split(",") if key}
    return [row.id for row in _visible(call) if not keys or row.key in keys]


def _visible(call: ServerCall) -> list[RepositoryRow]:
    return call.services.access.visible(call.principal, call.services.catalogue.repositories())


def _repository(call: ServerCall, row: RepositoryRow) -> dict[str, object]:
    return {
        "key": row.key,
        "description": row.description or "",
        "type": _CLASSES.get(row.kind, "local").upper(),
        "url": f"{call.request.base_url}/{CONTEXT}/{row.key}",
        "packageType": row.format,
    }
