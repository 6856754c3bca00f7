"""Promotion: from a staging repository to where files are used, at once or after somebody else has approved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from api.app import App
from api.http.given import GivenApp, GivenMeta, GivenPrincipal, GivenResolved
from api.http.pages import Page, clamp, page_of
from api.http.repository_settings import release_target, visible_repository
from application.catalogue import ArtifactRow, RepositoryRow
from application.promoting import (
    ApprovalFilter,
    ApprovalRow,
    Promoted,
    PromotionFilter,
    PromotionRow,
    Violation,
    Wanted,
)
from domain.artifact import ArtifactNotFound
from domain.errors import Conflict, Forbidden, Invalid, RegistryError
from domain.event import Metadata
from domain.permissions import Principal, may
from domain.promotion import ApprovalNotFound
from domain.repository import RepositoryNotFound
from domain.token import scope_allows

MAX_ARTIFACTS = 1_000
_STATUSES = ("promoted", "rejected")
_APPROVAL_STATUSES = ("pending", "approved", "rejected")


class PromoteBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a promotion. target_repository: by default the one that the source is linked to."""

    target_repository: str | None = None
    skip_policy_check: bool = False
    notes: str | None = None


class PromoteSeveral(PromoteBody, frozen=True, kw_only=True):
    """Body of several promotions, each by itself."""

    artifact_ids: list[UUID]


class PromoteVersion(PromoteBody, frozen=True, kw_only=True):
    """Body of a promotion of all files of a version, all or none. package: its normalised name."""

    package: str
    version: str


class PromotionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a promotion. artifact_ids: in the source."""

    promoted: bool
    source: str
    target: str
    artifact_ids: list[UUID]
    promotion_id: UUID | None
    policy_violations: list[Violation]
    message: str | None


class PromotionResults(msgspec.Struct, frozen=True):
    """What came of several promotions, in the order in which they were asked for."""

    total: int
    promoted: int
    failed: int
    results: list[PromotionResult]


class RejectBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a rejection."""

    reason: str
    notes: str | None = None


class RejectionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was rejected, and why."""

    rejected: bool
    artifact_id: UUID
    source: str
    reason: str
    rejection_id: UUID


class PromotionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file. id: of the promotion, which several files may have in common."""

    id: UUID
    artifact_id: UUID
    artifact_path: str
    source_repo_key: str
    target_repo_key: str | None
    status: str
    rejection_reason: str | None
    promoted_by: UUID | None
    promoted_by_username: str | None
    policy_result: list[Violation] | None
    notes: str | None
    created_at: datetime


class ReleaseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where files of a staging repository go, if it is linked."""

    linked: bool
    release_repository_key: str | None
    release_repository_id: UUID | None


class SetReleaseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a link; null takes it away."""

    release_repository_key: str | None


class RequestApproval(PromoteBody, frozen=True, kw_only=True):
    """Body of a request for approval."""

    source_repository: str
    target_repository: str
    artifact_id: UUID


class ReviewBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a decision."""

    notes: str | None = None
    skip_policy_check: bool = False


class ApprovalBody(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and what became of it. Repositories by their keys, people by their ids."""

    id: UUID
    artifact_id: UUID
    artifact_path: str
    source_repository: str
    target_repository: str
    status: str
    requested_by: UUID
    requested_at: datetime
    reviewed_by: UUID | None
    reviewed_at: datetime | None
    review_notes: str | None
    policy_result: list[Violation] | None
    notes: str | None


class PromotionController(Controller):
    """`/api/v1/promotion/repositories/{key}`."""

    path = "/api/v1/promotion/repositories/{key:str}"
    tags = ["promotion"]

    @post("/artifacts/{artifact_id:uuid}/promote", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def promote_artifact(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        key: FromPath[str],
        artifact_id: FromPath[UUID],
        data: JSONBody[PromoteBody | None] = None,
    ) -> PromotionResult:
        """Promote one file: for administrators, and API tokens with the scope `promote:artifacts`."""
        body = data or PromoteBody()
        source, target = _places(app, principal, key, body)
        return _promote(app, meta, source, target, [_artifact(app, source, artifact_id)], body)

    @post("/promote", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def promote_several(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        key: FromPath[str],
        data: JSONBody[PromoteSeveral],
    ) -> PromotionResults:
        """Promote several files, each by itself: what cannot be promoted does not keep others back."""
        if not 0 < len(data.artifact_ids) <= MAX_ARTIFACTS:
            raise Invalid(f"artifact_ids: 1 to {MAX_ARTIFACTS}")
        source, target = _places(app, principal, key, data)
        results = [_tried(app, meta, source, target, artifact_id, data) for artifact_id in data.artifact_ids]
        promoted = sum(result.promoted for result in results)
        return PromotionResults(len(results), promoted, len(results) - promoted, results)

    @post("/promote-version", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def promote_version(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        key: FromPath[str],
        data: JSONBody[PromoteVersion],
    ) -> PromotionResult:
        """Promote all files of a version, all or none."""
        source, target = _places(app, principal, key, data)
        if "\0" in data.package:
            raise ArtifactNotFound(data.package)
        rows = [
            row
            for row in app.catalogue.artifacts(source.id, data.package)
            if data.package and row.version == data.version
        ]
        if not rows:
            raise ArtifactNotFound(f"{data.package} {data.version}")
        return _promote(app, meta, source, target, rows, data)

    @post("/artifacts/{artifact_id:uuid}/reject", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def reject_artifact(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        key: FromPath[str],
        artifact_id: FromPath[UUID],
        data: JSONBody[RejectBody],
    ) -> RejectionResult:
        """Keep a file from being promoted, as long as it is these bytes."""
        source = _known(app, _promoter(app, principal, key), key)
        row = _artifact(app, source, artifact_id)
        rejection = app.promoting.reject(row, data.reason, data.notes or "", meta)
        return RejectionResult(
            rejected=True, artifact_id=row.id, source=source.key, reason=data.reason, rejection_id=rejection
        )

    @get("/promotion-history", opt={"needs": "user"}, sync_to_thread=True)
    def history(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        key: FromPath[str],
        artifact_id: FromQuery[UUID | None] = None,
        status: FromQuery[str | None] = None,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
    ) -> Page[PromotionEntry]:
        """What was promoted from the repository and what was rejected, newest first."""
        source = visible_repository(app, principal, key)
        wanted = PromotionFilter(source=source.id, artifact=artifact_id, status=_status(status, _STATUSES))
        page, per_page = clamp(page, per_page)
        rows, total = app.promotions.history(wanted, limit=per_page, offset=(page - 1) * per_page)
        return page_of(_entries(app, rows), page, per_page, total)

    @get("/release-target", opt={"needs": "repository:read"}, sync_to_thread=True)
    def release_target(self, app: GivenApp, resolved: GivenResolved) -> ReleaseTarget:
        """Where files of the repository go."""
        return _release_target(app, resolved.repository)

    @put("/release-target", opt={"needs": "repository:admin"}, sync_to_thread=True)
    def set_release_target(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        resolved: GivenResolved,
        data: JSONBody[SetReleaseTarget],
    ) -> ReleaseTarget:
        """Link the repository to the one where alone its files may go."""
        row = resolved.repository
        target = release_target(app, principal, row, data.release_repository_key)
        changed = app.configuring.change(
            row, lambda settings: msgspec.structs.replace(settings, release_target=target), meta
        )
        return _release_target(app, changed)


class ApprovalController(Controller):
    """`/api/v1/approval`."""

    path = "/api/v1/approval"
    tags = ["promotion"]

    @post("/request", opt={"needs": "user"}, sync_to_thread=True, status_code=201)
    def request(
        self, app: GivenApp, principal: GivenPrincipal, meta: GivenMeta, data: JSONBody[RequestApproval]
    ) -> ApprovalBody:
        """Ask that a file be promoted."""
        source = visible_repository(app, principal, data.source_repository)
        target = visible_repository(app, principal, data.target_repository)
        _may_skip(principal, skip=data.skip_policy_check)
        wanted = Wanted(
            source=source,
            target=target,
            rows=[_artifact(app, source, data.artifact_id)],
            notes=data.notes or "",
            skip_policy=data.skip_policy_check,
        )
        return _approval(app, principal, app.promoting.request(wanted, meta))

    @get("/pending", opt={"needs": "user"}, sync_to_thread=True)
    def pending(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        source_repository: FromQuery[str | None] = None,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
    ) -> Page[ApprovalBody]:
        """Requests that wait, newest first; of all repositories for administrators only."""
        wanted = ApprovalFilter(source=_asked_source(app, principal, source_repository), status="pending")
        return _approvals(app, wanted, page, per_page)

    @get("/history", opt={"needs": "user"}, sync_to_thread=True)
    def decided(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        source_repository: FromQuery[str | None] = None,
        status: FromQuery[str | None] = None,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
    ) -> Page[ApprovalBody]:
        """Requests that were decided, newest first; of all repositories for administrators only."""
        source = _asked_source(app, principal, source_repository)
        wanted = ApprovalFilter(source=source, status=_status(status, _APPROVAL_STATUSES), decided=status is None)
        return _approvals(app, wanted, page, per_page)

    @get("/{approval_id:uuid}", opt={"needs": "user"}, sync_to_thread=True)
    def get_approval(self, app: GivenApp, principal: GivenPrincipal, approval_id: FromPath[UUID]) -> ApprovalBody:
        """One request."""
        return _approval(app, principal, approval_id)

    @post("/{approval_id:uuid}/approve", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def approve(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        approval_id: FromPath[UUID],
        data: JSONBody[ReviewBody | None] = None,
    ) -> ApprovalBody:
        """Grant a request of somebody else, and promote what it asks for."""
        body = data or ReviewBody()
        result = app.promoting.approve(approval_id, body.notes or "", meta, skip_policy=body.skip_policy_check)
        if result.violations:
            raise Conflict("; ".join(violation.message for violation in result.violations))
        return _approval(app, principal, approval_id)

    @post("/{approval_id:uuid}/reject", opt={"needs": "admin"}, sync_to_thread=True, status_code=200)
    def reject(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        approval_id: FromPath[UUID],
        data: JSONBody[ReviewBody | None] = None,
    ) -> ApprovalBody:
        """Refuse a request."""
        app.promoting.refuse(approval_id, (data or ReviewBody()).notes or "", meta)
        return _approval(app, principal, approval_id)


# who may


def _promoter(app: App, principal: Principal, key: str) -> Principal:
    """The caller as one whose scopes cover it, once they do. Raises RepositoryNotFound, Forbidden."""
    if principal.is_admin:
        return principal
    if principal.scopes is not None and scope_allows(principal.scopes, "promote:artifacts"):
        return msgspec.structs.replace(principal, scopes=None)
    visible_repository(app, principal, key)
    raise Forbidden("promoting needs an administrator, or an API token with the scope promote:artifacts")


def _known(app: App, promoter: Principal, key: str) -> RepositoryRow:
    return visible_repository(app, promoter, key)


def _places(app: App, principal: Principal, key: str, body: PromoteBody) -> tuple[RepositoryRow, RepositoryRow]:
    """Source and target of a promotion that the caller may make."""
    promoter = _promoter(app, principal, key)
    _may_skip(principal, skip=body.skip_policy_check)
    source = _known(app, promoter, key)
    if body.target_repository:
        target = _known(app, promoter, body.target_repository)
    else:
        linked = source.settings.release_target
        found = None if linked is None else app.catalogue.repository_by_id(linked)
        if found is None:
            raise Invalid("target_repository is needed: the source is not linked to a release repository")
        target = _known(app, promoter, found.key)
    # by promotion, so that a repository which takes nothing else takes this
    if not may(promoter, "write", target.id, public=target.public):
        raise Forbidden(f"you do not have write access to repository '{target.key}'")
    return source, target


def _may_skip(principal: Principal, *, skip: bool) -> None:
    if skip and not principal.is_admin:
        raise Forbidden("skip_policy_check is for administrators")


def _asked_source(app: App, principal: Principal, key: str | None) -> UUID | None:
    if key:
        return visible_repository(app, principal, key).id
    if not principal.is_admin:
        raise Forbidden("name a source_repository: requests of all repositories are for administrators")
    return None


# steps


def _artifact(app: App, source: RepositoryRow, artifact_id: UUID) -> ArtifactRow:
    row = app.catalogue.artifact_by_id(artifact_id)
    if row is None or row.repository != source.id:
        raise ArtifactNotFound(str(artifact_id))
    return row


def _promote(
    app: App, meta: Metadata, source: RepositoryRow, target: RepositoryRow, rows: list[ArtifactRow], body: PromoteBody
) -> PromotionResult:
    wanted = Wanted(source=source, target=target, rows=rows, notes=body.notes or "", skip_policy=body.skip_policy_check)
    return _result(source, target, [row.id for row in rows], app.promoting.promote(wanted, meta), None)


def _tried(
    app: App, meta: Metadata, source: RepositoryRow, target: RepositoryRow, artifact_id: UUID, body: PromoteBody
) -> PromotionResult:
    try:
        return _promote(app, meta, source, target, [_artifact(app, source, artifact_id)], body)
    except RegistryError as error:
        return _result(source, target, [artifact_id], Promoted(None, []), str(error))


def _result(
    source: RepositoryRow, target: RepositoryRow, artifacts: list[UUID], made: Promoted, message: str | None
) -> PromotionResult:
    return PromotionResult(
        promoted=made.promotion is not None,
        source=source.key,
        target=target.key,
        artifact_ids=artifacts,
        promotion_id=made.promotion,
        policy_violations=made.violations,
        message=message,
    )


def _release_target(app: App, row: RepositoryRow) -> ReleaseTarget:
    linked = row.settings.release_target
    target = None if linked is None else app.catalogue.repository_by_id(linked)
    return ReleaseTarget(
        linked=target is not None,
        release_repository_key=None if target is None else target.key,
        release_repository_id=None if target is None else target.id,
    )


def _status(text: str | None, known: Sequence[str]) -> str | None:
    if text is not None and text not in known:
        raise Invalid(f"status is one of {', '.join(known)}, not {text[:40]!r}")
    return text


def _key_of(app: App, repository: UUID, position: int) -> str:
    """What the repository is called now, or was then when it is no more."""
    row = app.catalogue.repository_by_id(repository) or app.catalogue.repository_by_id(repository, position)
    return row.key if row is not None else str(repository)


def _entries(app: App, rows: Sequence[PromotionRow]) -> list[PromotionEntry]:
    names = app.directory.usernames({row.made_by for row in rows if row.made_by is not None})
    return [
        PromotionEntry(
            id=row.promotion,
            artifact_id=row.artifact,
            artifact_path=row.path,
            source_repo_key=_key_of(app, row.source, row.position),
            target_repo_key=None if row.target is None else _key_of(app, row.target, row.position),
            status=row.status,
            rejection_reason=row.reason,
            promoted_by=row.made_by,
            promoted_by_username=None if row.made_by is None else names.get(row.made_by),
            policy_result=None,
            notes=row.notes,
            created_at=row.made_at,
        )
        for row in rows
    ]


def _approvals(app: App, wanted: ApprovalFilter, page: int, per_page: int) -> Page[ApprovalBody]:
    page, per_page = clamp(page, per_page)
    rows, total = app.promotions.approvals(wanted, limit=per_page, offset=(page - 1) * per_page)
    return page_of([_approval_body(app, row) for row in rows], page, per_page, total)


def _approval(app: App, principal: Principal, approval_id: UUID) -> ApprovalBody:
    row = app.promotions.approval(approval_id)
    if row is None:
        raise ApprovalNotFound
    body = _approval_body(app, row)
    if not principal.is_admin:
        try:
            visible_repository(app, principal, body.source_repository)
        except RepositoryNotFound:
            raise ApprovalNotFound from None
    return body


def _approval_body(app: App, row: ApprovalRow) -> ApprovalBody:
    return ApprovalBody(
        id=row.approval,
        artifact_id=row.artifact,
        artifact_path=row.path,
        source_repository=_key_of(app, row.source, row.position),
        target_repository=_key_of(app, row.target, row.position),
        status=row.status,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        review_notes=row.review_notes,
        policy_result=None,
        notes=row.notes,
    )
