"""`npm search`: the registry's own search, told in npm's words.

Source: https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md#get-v1search
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from application.formats.npm.about import NotOffered
from application.formats.npm.accounts import named
from application.formats.npm.address import PackageNotFound
from application.formats.npm.dialect import answer_bytes
from application.formats.npm.index import LATEST, SearchHit, render_search
from application.formats.npm.names import NpmName
from application.formats.npm.people import Person
from application.formats.npm.reading import load_package, owners_of, release_row, tags_of
from application.formats.npm.stored import version_entry
from application.searching import SearchQuery
from application.wire import Answer, Call
from domain.errors import Invalid

DEFAULT_SIZE = 20
MAX_SIZE = 250


class _Shown(msgspec.Struct):
    """What a search result tells of a manifest. All of it was normalised when it was published."""

    description: str = ""
    keywords: list[str] = []
    license: str = ""
    homepage: str = ""
    author: Person | None = None
    repository: dict[str, object] = {}
    bugs: object = None


def find_packages(call: Call) -> Answer:
    """GET -/v1/search: by words of name, description and keywords first, then by parts of names.

    Of a repository as it was, those of today's matches that were there then.
    """
    size, start = _number(call, "size", DEFAULT_SIZE), _number(call, "from", 0)
    names = _matches(call, call.request.query_value("text"))
    hits = [hit for name in names[start : start + min(size, MAX_SIZE)] if (hit := _hit(call, name)) is not None]
    body = render_search(hits, len(names), datetime.now(UTC), call.request.repository_url)
    return answer_bytes(body)


def _matches(call: Call, text: str) -> list[NpmName]:
    """Names of at most MAX_SIZE packages, the best first, each once."""
    search, shelves = call.services.search, call.services.shelves
    if search is None or shelves is None:
        raise NotOffered("this registry has no search")
    here = frozenset({call.content})
    found = search.search(SearchQuery(text=text, repositories=here, limit=MAX_SIZE)) if text.strip() else None
    names = [hit.package for hit in found.hits] if found else []
    parts, _ = shelves.packages(text.strip(), here, limit=MAX_SIZE, offset=0)
    return [NpmName(name) for name in dict.fromkeys([*names, *(hit.package for hit in parts)]) if name][:MAX_SIZE]


def _hit(call: Call, name: NpmName) -> SearchHit | None:
    try:
        package = load_package(call, name, full=False)
    except PackageNotFound:
        return None
    row = release_row(call, name, tags_of(package)[LATEST])
    entry = version_entry(row, None, call.services.blobs, full=True) if row else None
    if row is None or entry is None:
        return None
    shown = msgspec.json.decode(entry.manifest, type=_Shown)
    repository, bugs = shown.repository.get("url"), shown.bugs
    address = bugs.get("url") if isinstance(bugs, dict) else None
    return SearchHit(
        name=name,
        version=entry.version,
        published_at=entry.published_at,
        description=shown.description,
        keywords=shown.keywords,
        license=shown.license,
        homepage=shown.homepage,
        repository=repository if isinstance(repository, str) else "",
        bugs=address if isinstance(address, str) else "",
        author=shown.author,
        publisher=next(iter(named(call, [row.published_by] if row.published_by else [])), None),
        maintainers=named(call, owners_of(call, name)),
    )


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query_value(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a number")
    return int(text)
