"""What the go command reads: lists of versions, what one is, its go.mod, its zip."""

from __future__ import annotations

from typing import ClassVar

from application.catalogue import ArtifactRow, package_scope
from application.formats.go.address import Asked, asked_file, asked_module
from application.formats.go.index import JSON_TYPE, TEXT_TYPE, render_info, render_list
from application.formats.go.metadata import Facts
from application.formats.go.names import ModulePath
from application.formats.go.stored import GO_MOD_ROLE, facts_of, time_of
from application.formats.go.versions import latest
from application.wire import AnyAnswer, Call, Document, DocumentKey, File, Request
from domain.errors import Invalid, NotFound


class ModuleNotFound(NotFound):
    """No such module here, or none of its versions is left. What cannot be a module's path is no module's."""

    template: ClassVar[str] = "module {module}: not in this repository"

    def __init__(self, module: str) -> None:
        super().__init__(module=module[:300])


class VersionNotFound(NotFound):
    """The module has no such version."""

    template: ClassVar[str] = "module {module}: no {version} in this repository"

    def __init__(self, module: str, version: str) -> None:
        super().__init__(module=module[:300], version=version[:200])


# keys of documents


def list_key(request: Request) -> DocumentKey | None:
    """Of `@v/list`."""
    return _module_key(request, "list")


def latest_key(request: Request) -> DocumentKey | None:
    """Of `@latest`."""
    return _module_key(request, "latest")


def file_key(request: Request) -> DocumentKey | None:
    """Of what is told of a version, and of its files: small ones are held in memory."""
    try:
        asked = asked_file(request.params["module"], request.params["file"])
    except Invalid:
        return None
    return DocumentKey(package_scope(asked.module), asked.path, shared=False)


# handlers


def get_list(call: Call) -> Document:
    """GET {module}/@v/list."""
    _, versions = _versions(call)
    return Document(body=render_list(versions), media_type=TEXT_TYPE)


def get_latest(call: Call) -> Document:
    """GET {module}/@latest."""
    module, versions = _versions(call)
    newest = latest(versions)
    if newest is None:
        raise ModuleNotFound(module)
    return _info(versions[newest])


def get_file(call: Call) -> AnyAnswer:
    """GET {module}/@v/{version}.info, .mod, .zip, .ziphash."""
    try:
        asked = asked_file(call.params["module"], call.params["file"])
    except Invalid:
        raise VersionNotFound(call.params["module"], call.params["file"]) from None
    row, facts = find_version(call, asked)
    match asked.extension:
        case "info":
            return _info(row)
        case "mod":
            sha256 = row.blobs[GO_MOD_ROLE]
            return _file(call, row, sha256, facts.go_mod_bytes, f"{asked.version}.mod", TEXT_TYPE)
        case "zip":
            return _file(call, row, row.sha256, row.size_bytes, f"{asked.version}.zip", row.media_type)
        case "ziphash":
            return Document(body=facts.hash.encode(), media_type=TEXT_TYPE, last_modified=row.published_at)


def refuse_database(call: Call) -> AnyAnswer:
    """GET sumdb/…: a checksum database is an upstream's, if it has one; clients then ask the database itself."""
    raise NotFound("no checksum database is asked through this repository")


# steps


def find_version(call: Call, asked: Asked) -> tuple[ArtifactRow, Facts]:
    """A version as of the call. Raises VersionNotFound."""
    row = call.services.catalogue.artifact(call.content, asked.beside("zip"), call.at)
    facts = facts_of(row, call.services.blobs) if row is not None else None
    if row is None or facts is None:
        raise VersionNotFound(asked.module, asked.version)
    return row, facts


def _module_key(request: Request, name: str) -> DocumentKey | None:
    try:
        return DocumentKey(package_scope(asked_module(request.params["module"])), name)
    except Invalid:
        return None


def _versions(call: Call) -> tuple[ModulePath, dict[str, ArtifactRow]]:
    """The versions of the module that is asked for. Raises ModuleNotFound."""
    try:
        module = asked_module(call.params["module"])
    except Invalid:
        raise ModuleNotFound(call.params["module"]) from None
    rows = call.services.catalogue.artifacts(call.content, module, call.at)
    if not rows:
        raise ModuleNotFound(module)
    return module, {row.version: row for row in rows}


def _info(row: ArtifactRow) -> Document:
    return Document(body=render_info(row.version, time_of(row)), media_type=JSON_TYPE)


def _file(call: Call, row: ArtifactRow, sha256: str, size_bytes: int, filename: str, media_type: str) -> File:
    settings = call.repository.settings
    return File(
        sha256=sha256,
        size_bytes=size_bytes,
        media_type=media_type,
        filename=filename,
        last_modified=row.published_at,
        artifact=row.id if sha256 == row.sha256 else None,
        immutable=settings.overwrite != "allow" and not settings.versioning_enabled,
    )
