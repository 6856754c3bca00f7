"""`cargo search`: the registry's own search, told in cargo's words; of remote repositories, the upstream's."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from application.formats.cargo import remote
from application.formats.cargo.crates import CrateNotFound, load_crate
from application.formats.cargo.dialect import answer_bytes
from application.formats.cargo.index import SearchHit, render_search
from application.formats.cargo.names import CrateKey, crate_key, highest, similarity_key
from application.searching import SearchQuery
from application.wire import Answer, Call
from domain.errors import BadGateway, Invalid, NotFound

DEFAULT_PER_PAGE = 10
MAX_PER_PAGE = 100
MAX_MATCHES = 500

_log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True):
    """Words, and which of the results are wanted. page: from 1."""

    text: str
    per_page: int
    page: int

    @property
    def start(self) -> int:
        """How many results stand before those that are wanted."""
        return (self.page - 1) * self.per_page


def find_crates(call: Call) -> Answer:
    """GET api/v1/crates?q=: by words of name, description and keywords first, then by parts of names.

    Of a repository as it was, those of today's matches that were there then.
    """
    return _answer(_find_here(call, _asked(call)))


def find_upstream(call: Call) -> Answer:
    """The same of a remote repository: what its upstream finds."""
    return _answer(_find_upstream(call, _asked(call)))


def find_in_members(call: Call, members: Sequence[Call]) -> Answer:
    """The same of a virtual repository: what its members find, each name once, first member first.

    The first MAX_PER_PAGE of each member take part. A remote member that does not answer has no results.
    """
    asked = _asked(call)
    whole = Asked(asked.text, min(asked.start + asked.per_page, MAX_PER_PAGE), 1)
    found: dict[str, SearchHit] = {}
    total = 0
    for member in members:
        find = _find_upstream if member.repository.kind == "remote" else _find_here
        try:
            hits, count = find(member, whole)
        except BadGateway as fault:
            _log.warning("search in remote repository %s: %s", member.repository.key, fault)
            continue
        total += count
        for hit in hits:
            if found.setdefault(similarity_key(hit.name), hit) is not hit:
                total -= 1
    return _answer((list(found.values())[asked.start : asked.start + asked.per_page], total))


def _find_here(call: Call, asked: Asked) -> tuple[list[SearchHit], int]:
    keys = _matches(call, asked.text)
    wanted = keys[asked.start : asked.start + asked.per_page]
    return [hit for key in wanted if (hit := _hit(call, key)) is not None], len(keys)


def _find_upstream(call: Call, asked: Asked) -> tuple[list[SearchHit], int]:
    """Among what is kept, where there is nobody to ask: in the past, and when the upstream has no search."""
    if call.at is not None:
        return _find_here(call, asked)
    try:
        return remote.find(call, asked.text, asked.per_page, asked.page)
    except NotFound:
        return _find_here(call, asked)


def _answer(found: tuple[list[SearchHit], int]) -> Answer:
    return answer_bytes(render_search(*found))


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


def _asked(call: Call) -> Asked:
    per_page = min(_number(call, "per_page", DEFAULT_PER_PAGE), MAX_PER_PAGE)
    return Asked(call.request.query_value("q"), per_page, max(_number(call, "page", 1), 1))


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query_value(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a number")
    return int(text)
