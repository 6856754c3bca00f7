"""Catalogue rows to the values that pages are rendered from."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from application.catalogue import ArtifactRow, VersionRow
from application.formats.pypi.facts import METADATA_ROLE, PROVENANCE_ROLE, SIGNATURE_ROLE, Facts, decode_facts
from application.formats.pypi.faults import shown
from application.formats.pypi.index import FileEntry, ProjectPage, Status
from application.formats.pypi.legacy_json import ReleaseFile, latest_version
from application.formats.pypi.names import (
    FilenameInvalid,
    NameInvalid,
    PypiName,
    VersionInvalid,
    canonical_version,
    normalise,
    parse_filename,
)
from application.wire import Call
from domain.errors import NotFound


class Project(msgspec.Struct, frozen=True):
    """A project as the catalogue knows it at one position."""

    name: PypiName
    artifacts: list[ArtifactRow]
    versions: dict[str, VersionRow]
    status: Status
    status_reason: str
    tracks: tuple[str, ...] = ()
    alternates: tuple[str, ...] = ()


_Locations: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]


class ProjectNotFound(NotFound):
    """No file of a project of that name is, or was at that time, in the repository."""

    template = "project {name} not found"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


def require_name(call: Call) -> PypiName:
    """The project in the address, normalised; text that is no name is a project that does not exist."""
    text = call.params["project"]
    try:
        return normalise(text)
    except NameInvalid:
        raise ProjectNotFound(shown(text)) from None


def load_project(call: Call, name: PypiName) -> Project:
    """The project at the position that is read; raises ProjectNotFound for one without files."""
    catalogue = call.services.catalogue
    artifacts = catalogue.artifacts(call.content, name, call.at)
    if not artifacts:
        raise ProjectNotFound(name)
    versions = {row.version: row for row in catalogue.versions(call.content, name, call.at)}
    mark = catalogue.marks(call.content, name, "status", call.at).get("status")
    status, reason = msgspec.json.decode(mark, type=tuple[Status, str]) if mark else ("active", "")
    mark = catalogue.marks(call.content, name, "locations", call.at).get("locations")
    tracks, alternates = msgspec.json.decode(mark, type=_Locations) if mark else ((), ())
    return Project(name, artifacts, versions, status, reason, tracks, alternates)


def release_rows(project: Project, version: str) -> list[ArtifactRow]:
    """The files of a release by any spelling of its version; raises NotFound."""
    wanted = _key(version)
    rows = [row for row in project.artifacts if _key(row.version) == wanted]
    if not rows:
        raise NotFound(f"{project.name} has no release {shown(version)}")
    return rows


def latest_rows(project: Project) -> list[ArtifactRow]:
    """The files of the release that the project is shown as."""
    yanked: dict[str, bool] = {}
    for row in project.artifacts:
        yanked[row.version] = yanked.get(row.version, True) and _yanked(row, project) is not False
    return release_rows(project, latest_version(yanked))


def _key(version: str) -> str:
    try:
        return canonical_version(version)
    except VersionInvalid:
        return version


def project_page(project: Project, page_url: str | None) -> ProjectPage:
    """The page of a project; page_url: its absolute address, when provenance files may be named by it."""
    return ProjectPage(
        name=project.name,
        files=tuple(_entry(row, project, decode_facts(row.metadata)) for row in project.artifacts),
        status=project.status,
        status_reason=project.status_reason or None,
        tracks=project.tracks,
        alternate_locations=project.alternates,
        page_url=page_url,
    )


def release_files(project: Project) -> tuple[ReleaseFile, ...]:
    """The files of a project for the JSON documents."""
    return tuple(_release_file(row, project, decode_facts(row.metadata)) for row in project.artifacts)


def _entry(row: ArtifactRow, project: Project, facts: Facts) -> FileEntry:
    return FileEntry(
        filename=row.filename,
        version=row.version or None,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        upload_time=row.published_at,
        requires_python=facts.requires_python,
        yanked=_yanked(row, project),
        core_metadata_sha256=row.blobs.get(METADATA_ROLE),
        gpg_signature=SIGNATURE_ROLE in row.blobs,
        provenance=PROVENANCE_ROLE in row.blobs,
    )


def _release_file(row: ArtifactRow, project: Project, facts: Facts) -> ReleaseFile:
    try:
        named = parse_filename(row.filename)
        kind, tag = named.kind, named.python_tag
    except FilenameInvalid:
        kind, tag = "sdist", "source"
    return ReleaseFile(
        filename=row.filename,
        version=row.version,
        kind=facts.kind or kind,
        python_tag=facts.python_tag or tag,
        digests={"sha256": row.sha256, **row.digests},
        size_bytes=row.size_bytes,
        upload_time=row.published_at,
        requires_python=facts.requires_python,
        yanked=_yanked(row, project),
        gpg_signature=SIGNATURE_ROLE in row.blobs,
    )


def _yanked(row: ArtifactRow, project: Project) -> bool | str:
    version = project.versions.get(row.version)
    if version is None or version.yanked is None:
        return False
    return version.yanked or True
