"""Labels of artifacts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from api.app import App
from api.guards import sender
from api.http.artifact_facts import find_artifact
from api.http.given import AnyRequest, GivenApp, GivenMeta, GivenPrincipal
from application.catalogue import ArtifactRow
from application.labelling import Label
from application.resolving import Resolved
from domain.artifact import MAX_LABELS
from domain.errors import Invalid
from domain.permissions import Principal


class LabelGiven(msgspec.Struct, frozen=True):
    """A label to be set."""

    key: str
    value: str = ""


class LabelsGiven(msgspec.Struct, frozen=True):
    """Body of a replacement: these, and no others."""

    labels: Annotated[list[LabelGiven], msgspec.Meta(max_length=MAX_LABELS)]


class ValueGiven(msgspec.Struct, frozen=True):
    """Body of the setting of one label."""

    value: str = ""


class LabelBody(msgspec.Struct, frozen=True):
    """A label of an artifact. created_at: since when it has this value."""

    id: UUID
    artifact_id: UUID
    key: str
    value: str
    created_at: datetime


class LabelList(msgspec.Struct, frozen=True):
    """All labels of an artifact, by key."""

    items: list[LabelBody]
    total: int


class ArtifactLabelsController(Controller):
    """`/api/v1/artifacts/{id}/labels`."""

    path = "/api/v1/artifacts/{artifact_id:uuid}/labels"
    tags = ["artifacts"]

    @get(opt={"needs": "user"}, sync_to_thread=True)
    def labels(self, app: GivenApp, principal: GivenPrincipal, artifact_id: FromPath[UUID]) -> LabelList:
        """The labels of an artifact."""
        row, _ = find_artifact(app, principal, artifact_id)
        return _list(app, row)

    @put(opt={"needs": "user"}, sync_to_thread=True)
    def replace(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        request: AnyRequest,
        artifact_id: FromPath[UUID],
        data: JSONBody[LabelsGiven],
    ) -> LabelList:
        """Give an artifact these labels, and no others."""
        labels = {label.key: label.value for label in data.labels}
        if len(labels) < len(data.labels):
            raise Invalid("a label is given twice")
        row = _writable(app, principal, request, artifact_id)
        app.labelling.change(row.id, row.path, lambda _: labels, meta)
        return _list(app, row)

    @post("/{label_key:str}", opt={"needs": "user"}, sync_to_thread=True, status_code=200)
    def set_label(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        request: AnyRequest,
        artifact_id: FromPath[UUID],
        label_key: FromPath[str],
        data: JSONBody[ValueGiven],
    ) -> LabelBody:
        """Set one label; the others stay."""
        row = _writable(app, principal, request, artifact_id)
        app.labelling.change(row.id, row.path, lambda held: {**held, label_key: data.value}, meta)
        found = next((label for label in app.labelling.labels(row.id) if label.key == label_key), None)
        if found is None:
            raise Invalid(f"label {label_key[:100]!r} was taken away at once")
        return _body(row, found)

    @delete("/{label_key:str}", opt={"needs": "user"}, sync_to_thread=True, status_code=204)
    def remove_label(
        self,
        app: GivenApp,
        principal: GivenPrincipal,
        meta: GivenMeta,
        request: AnyRequest,
        artifact_id: FromPath[UUID],
        label_key: FromPath[str],
    ) -> None:
        """Take one label away; the others stay."""
        row = _writable(app, principal, request, artifact_id)
        app.labelling.change(
            row.id, row.path, lambda held: {key: value for key, value in held.items() if key != label_key}, meta
        )


def _writable(app: App, principal: Principal, request: AnyRequest, artifact: UUID) -> ArtifactRow:
    row, repository = find_artifact(app, principal, artifact)
    app.access.require(principal, Resolved(repository, repository.id, None), "write", **sender(request.scope))
    return row


def _list(app: App, row: ArtifactRow) -> LabelList:
    items = [_body(row, label) for label in app.labelling.labels(row.id)]
    return LabelList(items, len(items))


def _body(row: ArtifactRow, label: Label) -> LabelBody:
    return LabelBody(uuid5(row.id, label.key), row.id, label.key, label.value, label.created_at)
