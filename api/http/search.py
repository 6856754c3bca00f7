"""Search over everything that the caller may read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.params import QueryParameter

from api.app import App
from api.http.given import GivenApp, GivenPrincipal
from api.http.moments import moment
from api.http.pages import MAX_PER_PAGE, Pagination
from api.http.readable import Readable, as_it_was, plain_format, readable
from application.resolving import Resolved
from application.searching import Hit, SearchQuery, SearchResult, checked_checksum, checked_sort
from domain.errors import Invalid

MAX_LIMIT = 50
MAX_DAYS = 3650
MAX_PAGE_NUMBER = 1_000_000_000


class FoundBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artifact that was found. What has no value is left out."""

    id: UUID
    type: Literal["artifact"]
    name: str
    repository_key: str
    created_at: datetime
    path: str | None = None
    format: str | None = None
    version: str | None = None
    size_bytes: int | None = None
    downloads: int | None = None


class Results(msgspec.Struct, frozen=True):
    """The best matches, best first."""

    results: list[FoundBody]


class FacetBody(msgspec.Struct, frozen=True):
    """A value and how many matches have it."""

    value: str
    count: int


class Facets(msgspec.Struct, frozen=True):
    """All matches by what they are, most frequent first."""

    formats: list[FacetBody]
    repositories: list[FacetBody]
    content_types: list[FacetBody]


class AdvancedBody(msgspec.Struct, frozen=True):
    """A page of matches. exact: whether all were counted; else there are more than `total`."""

    items: list[FoundBody]
    pagination: Pagination
    facets: Facets
    exact: bool


class ChecksumBody(msgspec.Struct, frozen=True):
    """An artifact with a given checksum."""

    id: UUID
    repository_key: str
    path: str
    name: str
    version: str | None
    size_bytes: int
    checksum_sha256: str
    content_type: str
    download_count: int
    created_at: datetime


class ChecksumResults(msgspec.Struct, frozen=True):
    """Artifacts with a given checksum, oldest first."""

    artifacts: list[ChecksumBody]


class Suggestions(msgspec.Struct, frozen=True):
    """Names, in order."""

    suggestions: list[str]


_Limit = Annotated[int, QueryParameter(description="0 to 50; more is taken as 50.")]
_Size = Annotated[int | None, QueryParameter(description="Bytes, included.")]
_Moment = Annotated[str | None, QueryParameter(description="ISO 8601 date or time, included.")]


class SearchController(Controller):
    """`/api/v1/search`."""

    path = "/api/v1/search"
    tags = ["search"]

    @get("/quick", opt={"needs": "anonymous"}, sync_to_thread=True)
    def quick(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        q: Annotated[str, QueryParameter(description="Words; nothing finds nothing.")] = "",
        limit: _Limit = 10,
        types: Annotated[str | None, QueryParameter(description="Comma separated; only `artifact` is known.")] = None,
    ) -> Results:
        """The best matches for words, each of which may be the beginning of one."""
        if types and "artifact" not in {one.strip().rstrip("s") for one in types.lower().split(",")}:
            return Results([])
        may = readable(app, principal)
        return Results(_items(app.search.quick(q, may.repositories, _limit(limit)), may))

    @get("/advanced", opt={"needs": "anonymous"}, sync_to_thread=True)
    def advanced(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        text: Annotated[str, QueryParameter(name="query", description="Words, each maybe the beginning of one.")] = "",
        format_key: Annotated[str | None, QueryParameter(name="format", description="A format's key.")] = None,
        repository_key: Annotated[
            str | None,
            QueryParameter(
                description="Only here; also as it was (`libs@2026-03-03`), by names, versions and paths alone."
            ),
        ] = None,
        name: Annotated[str | None, QueryParameter(description="Exact, or a pattern with `*`.")] = None,
        artifact_path: Annotated[
            str | None, QueryParameter(name="path", description="A part, or a pattern with `*` for all of it.")
        ] = None,
        version: Annotated[str | None, QueryParameter(description="Exact, or a pattern with `*`.")] = None,
        min_size: _Size = None,
        max_size: _Size = None,
        created_after: _Moment = None,
        created_before: _Moment = None,
        page: Annotated[int, QueryParameter(description="From 1.")] = 1,
        per_page: Annotated[int, QueryParameter(description="0 to 100.")] = 20,
        sort_by: Annotated[
            str, QueryParameter(description="`relevance`, `name`, `created_at` or `size_bytes`.")
        ] = "relevance",
        sort_order: Annotated[
            str, QueryParameter(description="`asc` or `desc`; without it names ascend and all else descends.")
        ] = "",
    ) -> AdvancedBody:
        """Everything that matches all filters. `per_page=0` only counts."""
        may, then = readable(app, principal), as_it_was(app, principal, repository_key)
        page, per_page = max(1, min(page, MAX_PAGE_NUMBER)), max(0, min(per_page, MAX_PER_PAGE))
        sort = checked_sort(sort_by or "relevance")
        wanted = SearchQuery(
            text=text.strip(),
            repositories=None if then else may.only(format_key=format_key, key=repository_key),
            name=name or None,
            path=artifact_path or None,
            version=version or None,
            min_size=min_size,
            max_size=max_size,
            created_after=moment(created_after, "created_after"),
            created_before=moment(created_before, "created_before", until=True),
            sort=sort,
            descending=_descending(sort_order, default=sort != "name"),
            limit=per_page,
            offset=(page - 1) * per_page,
        )
        if then is None:
            found = app.search.search(wanted)
        else:
            may = Readable(None, {then.content: then.repository})
            found = _past(app, then, wanted, format_key)
        pages = -(-found.total // per_page) if per_page else 0
        return AdvancedBody(
            _items(found.hits, may),
            Pagination(page, per_page, found.total, pages),
            _facets(found, may),
            found.exact,
        )

    @get("/checksum", opt={"needs": "anonymous"}, sync_to_thread=True)
    def checksum(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        checksum: Annotated[str, QueryParameter(description="Hexadecimal.")],
        algorithm: Annotated[str, QueryParameter(description="`sha256`, `sha1` or `md5`.")] = "sha256",
    ) -> ChecksumResults:
        """Artifacts by checksum. Only SHA-256 is known of every artifact, others where they were published with it."""
        may = readable(app, principal)
        hits = app.shelves.by_checksum(*checked_checksum(algorithm, checksum), may.repositories)
        downloads = app.usage.downloads([hit.artifact for hit in hits])
        return ChecksumResults([_checksum_body(hit, may, downloads.get(hit.artifact, 0)) for hit in hits])

    @get("/suggest", opt={"needs": "anonymous"}, sync_to_thread=True)
    def suggest(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        prefix: Annotated[str, QueryParameter(description="The beginning of a name.")],
        limit: _Limit = 10,
    ) -> Suggestions:
        """Names that begin so."""
        return Suggestions(app.search.suggest(prefix, readable(app, principal).repositories, _limit(limit)))

    @get("/trending", opt={"needs": "anonymous"}, sync_to_thread=True)
    def trending(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        days: Annotated[int, QueryParameter(description=f"1 to {MAX_DAYS}, today included.")] = 7,
        limit: _Limit = 10,
    ) -> list[FoundBody]:
        """What was downloaded most in the last days, today included."""
        may = readable(app, principal)
        counted = dict(app.usage.trending(max(1, min(days, MAX_DAYS)), _limit(limit), may.repositories))
        hits = app.shelves.artifacts(list(counted))
        return [_found(hit, may, counted[hit.artifact]) for hit in hits]

    @get("/recent", opt={"needs": "anonymous"}, sync_to_thread=True)
    def recent(self, app: GivenApp, principal: GivenPrincipal, limit: _Limit = 10) -> list[FoundBody]:
        """What was published last."""
        may = readable(app, principal)
        return _items(app.shelves.recent(may.repositories, _limit(limit)), may)


class ReindexBody(msgspec.Struct, frozen=True):
    """What happens now."""

    status: str
    message: str


class ReindexedBody(msgspec.Struct, frozen=True):
    """What happens now, and what is in the index that is being replaced."""

    message: str
    artifacts_indexed: int
    repositories_indexed: int


class ReindexController(Controller):
    """Building the search index anew from the log, beside the one that answers."""

    path = "/api/v1/admin"
    tags = ["search"]

    @post("/search/reindex", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def reindex_search(self, app: GivenApp) -> ReindexBody:
        """Start; the old index answers until the new one takes its place."""
        started = app.reindex()
        return ReindexBody("started" if started else "running", _message(started=started))

    @post("/reindex", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def reindex(self, app: GivenApp) -> ReindexedBody:
        """The same, told with figures."""
        found = app.search.search(SearchQuery(limit=0))
        return ReindexedBody(_message(started=app.reindex()), found.total, len(found.repositories))


def _past(app: App, then: Resolved, wanted: SearchQuery, format_key: str | None) -> SearchResult:
    assert then.at is not None  # noqa: S101 - that makes it the past
    if format_key and plain_format(format_key) != plain_format(then.repository.format):
        return SearchResult([], 0, exact=True, repositories={}, media_types={})
    return app.past.search(wanted, then.content, then.at)


def _message(*, started: bool) -> str:
    return "the search index is being rebuilt" if started else "the search index was being rebuilt already"


def _limit(limit: int) -> int:
    return max(0, min(limit, MAX_LIMIT))


def _descending(text: str, *, default: bool) -> bool:
    order = text.lower()
    if order not in {"", "asc", "desc"}:
        raise Invalid("sort_order is asc or desc")
    return order == "desc" if order else default


def _items(hits: list[Hit], may: Readable) -> list[FoundBody]:
    return [_found(hit, may) for hit in hits]


def _found(hit: Hit, may: Readable, downloads: int | None = None) -> FoundBody:
    return FoundBody(
        id=hit.artifact,
        type="artifact",
        name=hit.name,
        repository_key=may.key(hit.repository),
        created_at=hit.published_at,
        path=hit.path,
        format=may.format(hit.repository) or None,
        version=hit.version or None,
        size_bytes=hit.size_bytes,
        downloads=downloads,
    )


def _checksum_body(hit: Hit, may: Readable, downloads: int) -> ChecksumBody:
    return ChecksumBody(
        id=hit.artifact,
        repository_key=may.key(hit.repository),
        path=hit.path,
        name=hit.name,
        version=hit.version or None,
        size_bytes=hit.size_bytes,
        checksum_sha256=hit.sha256,
        content_type=hit.media_type,
        download_count=downloads,
        created_at=hit.published_at,
    )


def _facets(found: SearchResult, may: Readable) -> Facets:
    formats: dict[str, int] = {}
    for repository, count in found.repositories.items():
        key = may.format(repository)
        formats[key] = formats.get(key, 0) + count
    return Facets(
        formats=_facet(formats),
        repositories=_facet({may.key(repository): count for repository, count in found.repositories.items()}),
        content_types=_facet(found.media_types),
    )


def _facet(counts: dict[str, int]) -> list[FacetBody]:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [FacetBody(value, count) for value, count in ordered if value]
