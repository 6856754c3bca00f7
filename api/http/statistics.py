"""Figures of the whole registry and of downloads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.params import PathParameter, QueryParameter

from api.app import App
from api.http.given import GivenApp
from api.http.moments import day, moment
from application.audit.entries import AuditQuery
from domain.errors import Invalid

MAX_PER_PAGE = 100
MAX_PAGE_NUMBER = 1_000_000_000
DEFAULT_DAYS = 30
MAX_DAYS = 3_660


class StatsBody(msgspec.Struct, frozen=True):
    """How much there is now."""

    total_repositories: int
    total_artifacts: int
    total_storage_bytes: int
    total_downloads: int
    total_users: int
    active_peers: int
    pending_sync_tasks: int
    proxy_artifact_count: int
    proxy_storage_bytes: int


class DayBody(msgspec.Struct, frozen=True):
    """Downloads on a day (UTC)."""

    date: date
    download_count: int
    proxy_download_count: int


class FamilyBody(msgspec.Struct, frozen=True):
    """Downloads by a kind of client."""

    client_family: str
    download_count: int


class DownloadBody(msgspec.Struct, frozen=True):
    """One download, recorded because its repository records access."""

    artifact_id: UUID | None
    user_id: UUID | None
    username: str | None
    ip_address: str | None
    user_agent: str | None
    downloaded_at: datetime


class DownloadsPage(msgspec.Struct, frozen=True):
    """Newest first."""

    downloads: list[DownloadBody]
    total: int
    page: int
    per_page: int


_PageNumber = Annotated[int, QueryParameter(description="From 1.")]
_PerPage = Annotated[int, QueryParameter(description=f"1 to {MAX_PER_PAGE}.")]
_Since = Annotated[str | None, QueryParameter(name="from", description="Date or time, included.")]
_Until = Annotated[str | None, QueryParameter(name="to", description="Date or time, included.")]


class StatisticsController(Controller):
    """`/api/v1/admin/stats`, `/api/v1/admin/downloads` and trends."""

    path = "/api/v1/admin"
    tags = ["statistics"]

    @get("/stats", opt={"needs": "admin"}, sync_to_thread=True)
    def stats(self, app: GivenApp) -> StatsBody:
        """How much there is. This release keeps no peers and proxies nothing: their figures are 0."""
        totals = app.state.totals()
        return StatsBody(
            total_repositories=totals.repositories,
            total_artifacts=totals.artifacts,
            total_storage_bytes=totals.storage_bytes,
            total_downloads=app.usage.total(),
            total_users=totals.users,
            active_peers=0,
            pending_sync_tasks=0,
            proxy_artifact_count=0,
            proxy_storage_bytes=0,
        )

    @get("/downloads", opt={"needs": "admin"}, sync_to_thread=True)
    def downloads(
        self,
        app: GivenApp,
        artifact_id: Annotated[UUID | None, QueryParameter(description="What was downloaded.")] = None,
        user_id: Annotated[UUID | None, QueryParameter(description="Who did.")] = None,
        since: _Since = None,
        until: _Until = None,
        page: _PageNumber = 1,
        per_page: _PerPage = 20,
    ) -> DownloadsPage:
        """Single downloads, of repositories that record access; all others are only counted."""
        return _downloads(app, AuditQuery(actor=user_id, resource_id=artifact_id), (since, until), (page, per_page))

    @get("/downloads/by-user/{user_id:uuid}", opt={"needs": "admin"}, sync_to_thread=True)
    def downloads_by_user(
        self,
        app: GivenApp,
        user_id: Annotated[UUID, PathParameter(description="Who did.")],
        since: _Since = None,
        until: _Until = None,
        page: _PageNumber = 1,
        per_page: _PerPage = 20,
    ) -> DownloadsPage:
        """Single downloads by one person."""
        return _downloads(app, AuditQuery(actor=user_id), (since, until), (page, per_page))

    @get("/analytics/downloads/trend", opt={"needs": "admin"}, sync_to_thread=True)
    def trend(self, app: GivenApp, since: _Since = None, until: _Until = None) -> list[DayBody]:
        """Downloads a day; the last 30 days unless others are named."""
        first, last = _days(since, until)
        counted = {one.day: one.downloads for one in app.usage.trend(first, last)}
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return [DayBody(one, counted.get(one, 0), 0) for one in days]

    @get("/analytics/downloads/clients", opt={"needs": "admin"}, sync_to_thread=True)
    def clients(self, app: GivenApp, since: _Since = None, until: _Until = None) -> list[FamilyBody]:
        """Downloads by kind of client, most first."""
        return [FamilyBody(*one) for one in app.usage.families(*_days(since, until)).items()]


def _days(since: str | None, until: str | None) -> tuple[date, date]:
    last = day(until, "to", datetime.now(UTC).date())
    first = day(since, "from", last - timedelta(days=DEFAULT_DAYS - 1))
    if not 0 <= (last - first).days < MAX_DAYS:
        raise Invalid(f"from must not be after to, nor more than {MAX_DAYS} days before it")
    return first, last


def _downloads(
    app: App, query: AuditQuery, times: tuple[str | None, str | None], place: tuple[int, int]
) -> DownloadsPage:
    page, per_page = max(1, min(place[0], MAX_PAGE_NUMBER)), max(1, min(place[1], MAX_PER_PAGE))
    asked = msgspec.structs.replace(
        query,
        actions=("ARTIFACT_DOWNLOADED",),
        since=moment(times[0], "from"),
        until=moment(times[1], "to", until=True),
    )
    entries, total = app.audit.numbered(asked, page, per_page)
    items = [
        DownloadBody(
            item.resource_id,
            item.actor_id,
            item.actor_username,
            item.ip_address,
            item.user_agent,
            item.recorded_at,
        )
        for item in app.describer.items(entries)
    ]
    return DownloadsPage(items, total, page, per_page)
