"""The audit trail: questions, export, and the life of single streams.

All of it is for administrators; who administers a repository sees what happened there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from api.app import App
from api.http.given import GivenApp, GivenResolved
from api.http.moments import moment
from application.audit.entries import AuditPage, AuditQuery, checked_actor_kind, checked_outcome
from application.audit.lines import AuditItem, csv_header, csv_lines, json_line
from application.audit.replaying import Step, replay
from application.catalogue import NIL
from application.resolving import Resolved
from application.searching import storable
from domain.errors import Invalid, NotFound
from domain.ids import artifact_id
from domain.repository import RepositoryNotFound

MAX_LIMIT = 1_000
MAX_PER_PAGE = 100
MAX_PAGE_NUMBER = 1_000_000_000
MAX_STEPS = 1_000
CATCH_UP_SECONDS = 1.0


class AuditLogItem(msgspec.Struct, frozen=True):
    """An entry as the classic audit log shows it, and its position."""

    id: UUID
    user_id: UUID | None
    actor_username: str | None
    action: str
    resource_type: str
    resource_id: UUID | None
    details: msgspec.Raw
    ip_address: str | None
    correlation_id: str
    created_at: datetime
    outcome: str
    position: int


class AuditLogPage(msgspec.Struct, frozen=True):
    """Newest first."""

    items: list[AuditLogItem]
    total: int
    page: int
    per_page: int


class EventsPage(msgspec.Struct, frozen=True):
    """Entries in the asked order. next: the value of `before` (newest first) or `after` (oldest first) that goes on."""

    items: list[AuditItem]
    next: int | None


class StreamBody(msgspec.Struct, frozen=True):
    """One stream's life. more: whether it goes on beyond these steps; then ask with `after`."""

    stream: UUID
    kind: str
    steps: list[Step]
    more: bool


_Actor = Annotated[str | None, QueryParameter(description="Who did it: id or user name.")]
_ActorKind = Annotated[
    str | None, QueryParameter(description="What did it: `user`, `service`, `system` or `anonymous`.")
]
_Action = Annotated[
    str | None, QueryParameter(description="One or more actions, comma separated, such as `LOGIN,ARTIFACT_DELETED`.")
]
_Topic = Annotated[
    str | None, QueryParameter(description="One or more kinds of event, comma separated, such as `artifact.published`.")
]
_Outcome = Annotated[str | None, QueryParameter(description="`success`, `failure` or `denied`.")]
_Package = Annotated[str | None, QueryParameter(description="Name of a package as its format normalises it.")]
_Request = Annotated[str | None, QueryParameter(description="The `X-Correlation-ID` of the answer.")]
_Since = Annotated[str | None, QueryParameter(name="from", description="ISO 8601 date or time, included.")]
_Until = Annotated[str | None, QueryParameter(name="to", description="ISO 8601 date or time, included.")]
_First = Annotated[int | None, QueryParameter(description="First position, included.")]
_Last = Annotated[int | None, QueryParameter(description="Last position, included.")]
_ResourceType = Annotated[
    str | None, QueryParameter(description="Type of what it was done to: `artifact`, `repository`, `user`, …")
]
_ResourceId = Annotated[UUID | None, QueryParameter(description="Id of what it was done to.")]
_StreamId = Annotated[UUID | None, QueryParameter(description="The stream that an event belongs to.")]
_Before = Annotated[int | None, QueryParameter(description="Newest first, below this position.")]
_After = Annotated[int | None, QueryParameter(description="Oldest first, above this position.")]
_Limit = Annotated[int, QueryParameter(description=f"1 to {MAX_LIMIT}; what is beyond is taken as the nearest.")]
_Version = Annotated[int | None, QueryParameter(description="Only up to this version.")]
_AfterVersion = Annotated[int, QueryParameter(description="Only versions above this one.")]
_Steps = Annotated[int, QueryParameter(description=f"At most so many steps, 1 to {MAX_STEPS}.")]
_Page = Annotated[int, QueryParameter(description="From 1.")]
_PerPage = Annotated[int, QueryParameter(description=f"1 to {MAX_PER_PAGE}.")]


def audit_query(
    app: GivenApp,
    actor: _Actor = None,
    actor_kind: _ActorKind = None,
    action: _Action = None,
    topic: _Topic = None,
    outcome: _Outcome = None,
    repository: Annotated[str | None, QueryParameter(description="Key or id.")] = None,
    package: _Package = None,
    artifact: Annotated[str | None, QueryParameter(description="Id, or path in any or the named repository.")] = None,
    request_id: _Request = None,
    correlation_id: Annotated[str | None, QueryParameter(description="Same as `request_id`.")] = None,
    resource_type: _ResourceType = None,
    resource_id: _ResourceId = None,
    stream: _StreamId = None,
    since: _Since = None,
    until: _Until = None,
    from_position: _First = None,
    to_position: _Last = None,
) -> AuditQuery:
    """What an auditor asks for, from the query string. Names of people and repositories become ids."""
    where = _repository_id(app, repository)
    path, resource = _artifact(artifact, where)
    if resource is not None and resource_id is not None and resource != resource_id:
        raise Invalid("artifact and resource_id name different things")
    return AuditQuery(
        actor=_person_id(app, actor),
        actor_kind=checked_actor_kind(actor_kind) if actor_kind else None,
        actions=_actions(action),
        topics=_names(topic),
        outcome=checked_outcome(outcome) if outcome else None,
        repository=where,
        package=_text(package),
        path=path,
        request=_text(request_id or correlation_id),
        resource_type=_text(resource_type),
        resource_id=resource_id or resource,
        stream=stream,
        since=moment(since, "from"),
        until=moment(until, "to", until=True),
        first=from_position,
        last=to_position,
    ).checked()


def repository_query(
    app: GivenApp,
    resolved: GivenResolved,
    actor: _Actor = None,
    action: _Action = None,
    topic: _Topic = None,
    outcome: _Outcome = None,
    package: _Package = None,
    artifact: Annotated[str | None, QueryParameter(description="Path, or id.")] = None,
    request_id: _Request = None,
    since: _Since = None,
    until: _Until = None,
    from_position: _First = None,
    to_position: _Last = None,
) -> AuditQuery:
    """What a repository's administrator asks. A name that nobody has looks like one that did nothing here."""
    repository, at = _own(resolved)
    _, resource = _artifact(artifact, repository)
    try:
        person = _person_id(app, actor)
    except NotFound:
        person = NIL
    return AuditQuery(
        actor=person,
        actions=_actions(action),
        topics=_names(topic),
        outcome=checked_outcome(outcome) if outcome else None,
        repository=repository,
        package=_text(package),
        request=_text(request_id),
        resource_id=resource,
        since=moment(since, "from"),
        until=moment(until, "to", until=True),
        first=from_position,
        last=to_position if at is None else min(at, at if to_position is None else to_position),
    ).checked()


class AdminAuditController(Controller):
    """`/api/v1/admin/audit`."""

    path = "/api/v1/admin/audit"
    tags = ["audit"]

    @get(opt={"needs": "admin"}, sync_to_thread=True)
    def audit_log(
        self,
        app: GivenApp,
        user_id: Annotated[UUID | None, QueryParameter(description="Who did it.")] = None,
        action: _Action = None,
        resource_type: _ResourceType = None,
        resource_id: _ResourceId = None,
        correlation_id: _Request = None,
        since: _Since = None,
        until: _Until = None,
        page: _Page = 1,
        per_page: _PerPage = 20,
    ) -> AuditLogPage:
        """The audit log by page number. For long walks use `/api/v1/audit/events`, which pages by position."""
        page, per_page = max(1, min(page, MAX_PAGE_NUMBER)), max(1, min(per_page, MAX_PER_PAGE))
        query = AuditQuery(
            actor=user_id,
            actions=_actions(action),
            resource_type=_text(resource_type),
            resource_id=resource_id,
            request=_text(correlation_id),
            since=moment(since, "from"),
            until=moment(until, "to", until=True),
        ).checked()
        _catch_up(app)
        entries, total = app.audit.numbered(query, page, per_page)
        return AuditLogPage([_log_item(item) for item in app.describer.items(entries)], total, page, per_page)


@dataclass
class _Export(Operation):
    """Says that the answer has one of two forms, which the framework cannot see."""

    def __post_init__(self) -> None:
        """Describe both."""
        if self.responses is not None and isinstance(found := self.responses.get("200"), OpenAPIResponse):
            text = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            found.content = {"application/x-ndjson": text, "text/csv": text}


class AuditController(Controller):
    """`/api/v1/audit`."""

    path = "/api/v1/audit"
    tags = ["audit"]
    dependencies = {"wanted": Provide(audit_query, sync_to_thread=True)}

    @get("/events", opt={"needs": "admin"}, sync_to_thread=True)
    def events(
        self,
        app: GivenApp,
        wanted: NamedDependency[AuditQuery],
        before: _Before = None,
        after: _After = None,
        limit: _Limit = 100,
    ) -> EventsPage:
        """Matching events with everything that is known about them, paged by position."""
        return _events(app, wanted, before, after, limit)

    @get("/export", opt={"needs": "admin"}, sync_to_thread=True, operation_class=_Export)
    def export(
        self,
        app: GivenApp,
        wanted: NamedDependency[AuditQuery],
        format: Annotated[  # noqa: A002 - the parameter's public name
            Literal["ndjson", "csv"], QueryParameter(description="Lines of JSON, or a table with a header.")
        ] = "ndjson",
        after: Annotated[int, QueryParameter(description="Go on behind this position.")] = 0,
    ) -> Stream:
        """All matching events, oldest first, up to where the log ends now; as a stream, in bounded memory."""
        _catch_up(app)
        return Stream(
            _export(app, wanted, format, after),
            media_type="application/x-ndjson" if format == "ndjson" else "text/csv",
            headers={"content-disposition": f'attachment; filename="audit.{format}"', "cache-control": "no-store"},
        )

    @get("/streams/{stream_id:uuid}", opt={"needs": "admin"}, sync_to_thread=True)
    def stream(
        self,
        app: GivenApp,
        stream_id: Annotated[UUID, PathParameter(description="As in `stream` of an event.")],
        version: _Version = None,
        after: _AfterVersion = 0,
        limit: _Steps = MAX_STEPS,
    ) -> StreamBody:
        """A stream step by step: each event, and the state of the thing after it."""
        return _replayed(app, stream_id, version, after, limit)


class RepositoryAuditController(Controller):
    """What happened in one repository; also as it was (`libs@2026-03-03`), and to what is gone by now."""

    path = "/api/v1/repositories/{key:str}"
    tags = ["audit"]

    @get(
        "/audit",
        opt={"needs": "repository:admin", "past": True},
        sync_to_thread=True,
        dependencies={"wanted": Provide(repository_query, sync_to_thread=True)},
    )
    def events(
        self,
        app: GivenApp,
        wanted: NamedDependency[AuditQuery],
        before: _Before = None,
        after: _After = None,
        limit: _Limit = 100,
    ) -> EventsPage:
        """Matching events of this repository, denied attempts included, paged by position."""
        return _events(app, wanted, before, after, limit)

    @get("/history", opt={"needs": "repository:admin", "past": True}, sync_to_thread=True)
    def history(
        self,
        app: GivenApp,
        resolved: GivenResolved,
        artifact_path: Annotated[
            str | None, QueryParameter(name="path", description="Of an artifact; without it, the repository's own.")
        ] = None,
        version: _Version = None,
        after: _AfterVersion = 0,
        limit: _Steps = MAX_STEPS,
    ) -> StreamBody:
        """The life of the repository, or of one artifact in it, with the state after each step."""
        repository, at = _own(resolved)
        stream = artifact_id(repository, storable(artifact_path)) if artifact_path else repository
        return _replayed(app, stream, version, after, limit, at)


def _own(resolved: Resolved) -> tuple[UUID, int | None]:
    """The repository whose administrator asks, and until when. What a snapshot shows is not its own history."""
    own = resolved.repository.id
    return own, resolved.at if own == resolved.content else None


def _catch_up(app: App) -> None:
    """Wait until the answer can hold everything that was acknowledged before the question; for a moment only."""
    app.progress.reached(("audit",), app.log.head(), CATCH_UP_SECONDS)


def _events(app: App, wanted: AuditQuery, before: int | None, after: int | None, limit: int) -> EventsPage:
    limit = max(1, min(limit, MAX_LIMIT))
    _catch_up(app)
    if after is None:
        page = app.audit.newest(wanted, before=before, limit=limit)
    elif before is None:
        page = app.audit.oldest(wanted, after=after, limit=limit)
    else:
        raise Invalid("before and after ask for different orders; use from_position and to_position for ranges")
    return EventsPage(app.describer.items(page.entries), _next(page))


def _replayed(app: App, stream: UUID, version: int | None, after: int, limit: int, at: int | None = None) -> StreamBody:
    """Steps from `after` on; earlier ones are folded and not shown. at: only up to this position."""
    limit = max(1, min(limit, MAX_STEPS))
    steps: list[Step] = []
    kind = ""
    for step in replay(app.audit.stream(stream)):
        if at is not None and step.position > at:
            break
        kind = kind or step.topic.partition(".")[0]
        if version is not None and step.version > version:
            break
        if step.version > after:
            steps.append(step)
        if len(steps) > limit:
            break
    if not kind:
        raise NotFound("nothing is known of this stream")
    return StreamBody(stream, kind, list(islice(steps, limit)), more=len(steps) > limit)


def _export(app: App, wanted: AuditQuery, kind: str, after: int) -> Iterator[bytes]:
    if kind == "csv":
        yield csv_header()
    for entries in app.audit.export(wanted, after=after):
        items = app.describer.items(entries)
        yield csv_lines(items) if kind == "csv" else b"".join(map(json_line, items))


def _next(page: AuditPage) -> int | None:
    return page.entries[-1].position if page.more else None


def _log_item(item: AuditItem) -> AuditLogItem:
    return AuditLogItem(
        item.id,
        item.actor_id,
        item.actor_username,
        item.action,
        item.resource_type,
        item.resource_id,
        item.event,
        item.ip_address,
        item.request_id,
        item.recorded_at,
        item.outcome,
        item.position,
    )


def _text(value: str | None) -> str | None:
    return storable(value) if value else None


def _names(value: str | None) -> tuple[str, ...]:
    return tuple(name for part in storable(value or "").split(",") if (name := part.strip()))


def _actions(value: str | None) -> tuple[str, ...]:
    return tuple(name.upper() for name in _names(value))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _person_id(app: App, text: str | None) -> UUID | None:
    if not text:
        return None
    identifier = _uuid(text)
    if identifier is None:
        row = app.directory.user_by_username(storable(text))
        if row is None:
            raise NotFound(f"nobody is called {storable(text)[:100]!r}; people who are gone have their ids")
        identifier = row.id
    return identifier


def _repository_id(app: App, text: str | None) -> UUID | None:
    if not text:
        return None
    row = app.catalogue.repository(storable(text))
    if row is not None:
        return row.id
    identifier = _uuid(text)
    if identifier is None:
        raise RepositoryNotFound(storable(text)[:128])
    return identifier


def _artifact(text: str | None, repository: UUID | None) -> tuple[str | None, UUID | None]:
    """A path to look for, or the id of an artifact."""
    if not text:
        return None, None
    identifier = _uuid(text)
    if identifier is not None:
        return None, identifier
    if repository is not None:
        return None, artifact_id(repository, storable(text))
    return storable(text), None
