"""Artifacts of a repository: list, look at, upload, download, delete; also as they were (`{key}@2026-03-03`)."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromQuery, QueryParameter

from api.app import App
from api.http.artifact_bodies import ArtifactBody, RevisionList, bodies, body, revision_list
from api.http.given import AnyRequest, GivenApp, GivenMeta, GivenPrincipal, GivenResolved
from api.http.pages import MAX_PER_PAGE, Pagination, page_of
from api.http.texts import storable
from api.http.transfers import Download, in_pool, receive, sent_path
from application.catalogue import ArtifactRow
from application.depositing import checked_artifact_path
from application.finding import ArtifactFilter
from application.pointing import forgotten
from application.ports import Spooled
from application.publishing import Target
from application.resolving import Resolved
from application.uploading.sessions import UploadRequest
from application.wire import File, Form
from domain.artifact import ArtifactNotFound, RevisionNotFound
from domain.errors import Invalid, Unavailable
from domain.event import Metadata
from domain.ids import artifact_id

MAX_PAGE_NUMBER = 1_000_000

_ANY_TYPE = "*/*"
_UPLOAD: Any = {"opt": {"needs": "repository:write"}, "request_max_body_size": None, "status_code": 201}
Version = Annotated[str, QueryParameter(description="The number of a revision, what it was published as, or `latest`.")]


class ArtifactPage(msgspec.Struct, frozen=True):
    """Artifacts by path. next_cursor: continue behind the last of them. total: at least so many, or with
    `count=exact` just so many.
    """

    items: list[ArtifactBody]
    pagination: Pagination
    has_more: bool
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class ArtifactsController(Controller):
    """`/api/v1/repositories/{key}/…` for what is in it."""

    path = "/api/v1/repositories/{key:str}"
    tags = ["artifacts"]

    @get("/artifacts", opt={"needs": "repository:read"}, sync_to_thread=True)
    def list_artifacts(
        self,
        app: GivenApp,
        resolved: GivenResolved,
        page: FromQuery[int] = 1,
        per_page: FromQuery[int] = 20,
        q: Annotated[str, QueryParameter(description="Part of the path, in any case.")] = "",
        path_prefix: FromQuery[str] = "",
        cursor: Annotated[str, QueryParameter(description="`next_cursor` of the page before, instead of `page`.")] = "",
        count: Annotated[str, QueryParameter(description="`exact` counts all that fit.")] = "",
    ) -> ArtifactPage:
        """Artifacts by path."""
        page, per_page = max(1, min(page, MAX_PAGE_NUMBER)), max(1, min(per_page, MAX_PER_PAGE))
        wanted = ArtifactFilter(repositories=[resolved.content], prefix=storable(path_prefix), text=storable(q))
        after = (resolved.content, storable(cursor)) if cursor else None
        offset = 0 if after is not None else (page - 1) * per_page
        rows = app.finder.find(wanted, resolved.at, after=after, offset=offset, limit=per_page + 1)
        total = app.finder.count(wanted, resolved.at) if count == "exact" else offset + len(rows)
        has_more, rows = len(rows) > per_page, rows[:per_page]
        return ArtifactPage(
            bodies(app, resolved.repository.key, rows),
            page_of([], page, per_page, total).pagination,
            has_more,
            rows[-1].path if has_more else msgspec.UNSET,
        )

    @post("/artifacts", **_UPLOAD)
    async def upload_form(
        self, app: GivenApp, meta: GivenMeta, resolved: GivenResolved, request: AnyRequest
    ) -> ArtifactBody:
        """Upload the file of a form. A text part `path` says where to; one that ends in `/` names the directory."""
        return await _upload_form(app, resolved, meta, request, None)

    @post(
        "/artifacts/{artifact_path:path}",
        opt={"needs": "repository:write"},
        request_max_body_size=None,
        status_code=201,
    )
    async def upload_form_to(
        self, app: GivenApp, meta: GivenMeta, resolved: GivenResolved, request: AnyRequest
    ) -> ArtifactBody:
        """Upload the file of a form to a path."""
        return await _upload_form(app, resolved, meta, request, sent_path(request))

    @put(
        "/artifacts/{artifact_path:path}",
        opt={"needs": "repository:write"},
        request_max_body_size=None,
        status_code=201,
    )
    async def upload(
        self, app: GivenApp, meta: GivenMeta, resolved: GivenResolved, request: AnyRequest
    ) -> ArtifactBody:
        """Upload a file. Digests in `X-Checksum-*` headers are verified; `X-Artifact-Version` names its version."""
        path = checked_artifact_path(sent_path(request))
        wanted = UploadRequest(
            content_type=request.headers.get("content-type", ""),
            artifact_version=request.headers.get("x-artifact-version"),
        )
        async with receive(app, request, "bytes", app.depositor.algorithms(resolved.repository)) as received:
            assert received.upload is not None  # noqa: S101 - asked for
            publish = partial(app.depositor.publish, resolved.repository, path, received.upload, wanted, meta)
            return await in_pool(app, lambda: _written(app, resolved, publish().path))

    @get("/artifacts/{artifact_path:path}", opt={"needs": "repository:read"}, sync_to_thread=True)
    def artifact(
        self, app: GivenApp, resolved: GivenResolved, request: AnyRequest, version: Version = ""
    ) -> ArtifactBody:
        """What is known of one artifact."""
        return body(app, resolved.repository.key, _found(app, resolved, sent_path(request), version))

    @delete("/artifacts/{artifact_path:path}", opt={"needs": "repository:delete"}, sync_to_thread=True, status_code=200)
    def delete_artifact(self, app: GivenApp, meta: GivenMeta, resolved: GivenResolved, request: AnyRequest) -> None:
        """Take an artifact away. What was there can still be read `@` an earlier position."""
        row = _found(app, resolved, sent_path(request))
        target = Target(resolved.content, resolved.repository.settings, meta)
        format_ = app.formats.by_key(resolved.repository.format)
        pointers = None if format_ is None else format_.pointers
        follows = None if pointers is None else forgotten(pointers, app.catalogue, target.repository, [row])
        app.publishing.delete(target, [row.path], decision=follows)

    @get("/download/{artifact_path:path}", opt={"needs": "repository:read"}, sync_to_thread=True, media_type=_ANY_TYPE)
    def download(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        resolved: GivenResolved,
        request: AnyRequest,
        version: Version = "",
    ) -> Response[Any]:
        """The bytes of one artifact, whole or in part."""
        row = _found(app, resolved, sent_path(request), version)
        return Download(app, _file(row), resolved, principal)

    @get("/versions/{artifact_path:path}", opt={"needs": "repository:read"}, sync_to_thread=True)
    def versions(self, app: GivenApp, resolved: GivenResolved, request: AnyRequest) -> RevisionList:
        """Everything that was ever published at a path, newest first."""
        path = sent_path(request)
        for spelling in _spellings(path):
            rows = app.finder.revisions(artifact_id(resolved.content, spelling), resolved.at)
            if rows:
                return revision_list(resolved.repository.key, rows)
        raise ArtifactNotFound(path[:200])


async def _upload_form(
    app: App, resolved: Resolved, meta: Metadata, request: AnyRequest, path: str | None
) -> ArtifactBody:
    async with receive(app, request, "form", app.depositor.algorithms(resolved.repository)) as received:
        assert received.form is not None  # noqa: S101 - asked for
        filename, spooled = _only_file(received.form)
        wanted = checked_artifact_path(_path_in(received.form, filename) if path is None else path)
        publish = partial(app.depositor.publish, resolved.repository, wanted, spooled, UploadRequest(), meta)
        return await in_pool(app, lambda: _written(app, resolved, publish().path))


def _only_file(form: Form) -> tuple[str, Spooled]:
    if len(form.files) != 1:
        raise Invalid(f"the form has {len(form.files)} files; send one")
    _, filename, spooled = form.files[0]
    return filename.replace("\\", "/").rpartition("/")[2], spooled


def _path_in(form: Form, filename: str) -> str:
    wanted = form.value("path").removeprefix("/")
    return wanted + filename if not wanted or wanted.endswith("/") else wanted


def _written(app: App, resolved: Resolved, path: str) -> ArtifactBody:
    """What was published a moment ago, even if somebody has taken it away since."""
    row = app.catalogue.artifact(resolved.content, path)
    row = row or next(iter(app.finder.revisions(artifact_id(resolved.content, path))), None)
    if row is None:
        raise Unavailable(f"{path} was published; it will be shown in a moment")
    return body(app, resolved.repository.key, row)


def _found(app: App, resolved: Resolved, path: str, version: str = "") -> ArtifactRow:
    """The artifact at a path, or a revision of it; raises ArtifactNotFound, RevisionNotFound."""
    for spelling in _spellings(path):
        if not version or version == "latest":
            row = app.catalogue.artifact(resolved.content, spelling, resolved.at)
            rows = [row] if row is not None else []
        else:
            rows = app.finder.revisions(artifact_id(resolved.content, spelling), resolved.at)
            rows = [row for row in rows if version in {str(row.revision), row.version}]
        if rows:
            return rows[0]
    raise RevisionNotFound(path[:200], version[:40]) if version else ArtifactNotFound(path[:200])


def _spellings(path: str) -> tuple[str, ...]:
    """The path as it was sent, and in the composition of letters that formats with free names store."""
    return tuple(dict.fromkeys((path, unicodedata.normalize("NFC", path))))


def _file(row: ArtifactRow) -> File:
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        filename=row.filename,
        headers=tuple((f"x-checksum-{name}", digest) for name, digest in row.digests.items()),
        last_modified=row.published_at,
        artifact=row.id,
    )
