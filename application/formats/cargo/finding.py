"""`cargo search`: the registry's own search, told in cargo's words."""

from __future__ import annotations

from application.formats.cargo.crates import CrateNotFound, load_crate
from application.formats.cargo.dialect import answer_bytes
from application.formats.cargo.index import SearchHit, render_search
from application.formats.cargo.names import CrateKey, crate_key, highest
from application.searching import SearchQuery
from application.wire import Answer, Call
from domain.errors import Invalid, NotFound

DEFAULT_PER_PAGE = 10
MAX_PER_PAGE = 100
MAX_MATCHES = 500


def find_crates(call: Call) -> Answer:
    """GET api/v1/crates?q=: by words of name, description and keywords first, then by parts of names.

    Of a repository as it was, those of today's matches that were there then.
    """
    per_page, page = _number(call, "per_page", DEFAULT_PER_PAGE), _number(call, "page", 1)
    per_page = min(per_page, MAX_PER_PAGE)
    keys = _matches(call, call.request.query_value("q"))
    start = (max(page, 1) - 1) * per_page
    hits = [hit for key in keys[start : start + per_page] if (hit := _hit(call, key)) is not None]
    return answer_bytes(render_search(hits, len(keys)))


def _matches(call: Call, text: str) -> list[CrateKey]:
    """Crates of at most MAX_MATCHES, the best first, each once."""
    search, shelves = call.services.search, call.services.shelves
    if search is None or shelves is None:
        raise NotFound("this registry has no search")
    here = frozenset({call.content})
    query = SearchQuery(text=text, repositories=here, limit=MAX_MATCHES)
    found = search.search(query).hits if text.strip() else []
    parts, _ = shelves.packages(text.strip(), here, limit=MAX_MATCHES, offset=0)
    names = dict.fromkeys([*(hit.package for hit in found), *(hit.package for hit in parts)])
    return [key for name in names if (key := crate_key(name)) is not None][:MAX_MATCHES]


def _hit(call: Call, key: CrateKey) -> SearchHit | None:
    try:
        found = {release.row.version: release for release in load_crate(call, key)}
    except CrateNotFound:
        return None
    version = highest(name for name, release in found.items() if not release.yanked) or highest(found)
    if version is None:
        return None
    facts = found[version].facts
    return SearchHit(name=facts.name, max_version=version, description=facts.description)


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query_value(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a number")
    return int(text)
